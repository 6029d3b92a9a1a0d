package testservers

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"time"
)

// ReplicaOptions says how to start a replica.
type ReplicaOptions struct {
	Name     string            // "" = replica
	ServerID uint32            // 0 = that of the primary and one
	Settings map[string]string // system variables, over those of the primary
}

// Replica starts a read-only replica of this server and returns when it has
// replayed all that this one holds. It follows by GTID, and its own binary log
// has other file names, as behind a failover. It begins with the first
// transaction, so the primary must not have purged its binary log, and starts
// from the settings that the primary was created with.
func (m *MySQL) Replica(ctx context.Context, o ReplicaOptions) (*MySQL, error) {
	if m.watchdog == nil {
		return nil, fmt.Errorf("make replica of %s: %w", m.name, ErrExternal)
	}
	options := m.o
	options.Name, options.Dir, options.Port = cmp.Or(o.Name, "replica"), "", 0
	options.ServerID = cmp.Or(o.ServerID, m.o.ServerID+1)
	options.Version = m.version
	options.Settings = map[string]string{"log_bin": "replica-bin"}
	m.mu.Lock()
	maps.Copy(options.Settings, m.o.Settings)
	m.mu.Unlock()
	for _, own := range []string{"port", "server_id", "datadir", "socket"} {
		delete(options.Settings, own)
	}
	maps.Copy(options.Settings, o.Settings)
	r, err := StartMySQL(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("start replica of %s: %w", m.name, err)
	}
	if err := r.follow(ctx, m); err != nil {
		r.discard()
		return nil, fmt.Errorf("start replica of %s: %w", m.name, err)
	}
	return r, nil
}

// follow makes the server a replica and waits for it to catch up.
func (m *MySQL) follow(ctx context.Context, primary *MySQL) error {
	m.primary = primary
	primary.usersMu.Lock()
	maps.Copy(m.passwords, primary.passwords)
	primary.usersMu.Unlock()
	m.keepReadOnly("ON")
	if _, err := m.SQL(ctx, "", m.followSQL()); err != nil {
		return err
	}
	return m.CatchUp(ctx)
}

// keepReadOnly makes what SET GLOBAL says of writing last beyond a restart.
func (m *MySQL) keepReadOnly(value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.o.Settings["read_only"] = value
	if m.o.Flavour == FlavourMySQL {
		m.o.Settings["super_read_only"] = value
	}
}

// followSQL points a server to its primary. Each flavour has its own words.
func (m *MySQL) followSQL() string {
	p := m.primary
	where := fmt.Sprintf("%%[1]s_HOST = '%s', %%[1]s_PORT = %d, %%[1]s_USER = %s, %%[1]s_PASSWORD = %s",
		p.host, p.port, quoteMySQLText(p.super), quoteMySQLText(p.password))
	if p.ca != "" {
		where += ", %[1]s_SSL = 1, %[1]s_SSL_VERIFY_SERVER_CERT = 1, %[1]s_SSL_CA = " + quoteMySQLText(p.ca)
	}
	if m.o.Flavour == FlavourMariaDB {
		return "SET GLOBAL read_only = ON; CHANGE MASTER TO " + fmt.Sprintf(where, "MASTER") +
			", MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1; START SLAVE"
	}
	return "SET GLOBAL super_read_only = ON; CHANGE REPLICATION SOURCE TO " + fmt.Sprintf(where, "SOURCE") +
		", SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1; START REPLICA"
}

// CatchUp waits until a replica has replayed all that its primary has
// committed by the time of the call.
func (m *MySQL) CatchUp(ctx context.Context) error {
	if m.primary == nil {
		return fmt.Errorf("catch up %s: not a replica", m.name)
	}
	end, err := m.primary.BinlogEnd(ctx)
	if err != nil {
		return fmt.Errorf("catch up %s: %w", m.name, err)
	}
	wait := "WAIT_FOR_EXECUTED_GTID_SET"
	if m.o.Flavour == FlavourMariaDB {
		wait = "MASTER_GTID_WAIT"
	}
	limit := startLimit
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	out, err := m.SQL(ctx, "", fmt.Sprintf("SELECT %s(%s, %d)", wait, quoteMySQLText(end.GTIDs), int(limit.Seconds())))
	if err != nil {
		return fmt.Errorf("catch up %s to %s: %w", m.name, end.GTIDs, err)
	}
	if out != "0" {
		return fmt.Errorf("catch up %s to %s: waited %v: %s", m.name, end.GTIDs, limit, m.replicaState(ctx))
	}
	return nil
}

// replicaState is what the replica says of itself, for the one who waited in vain.
func (m *MySQL) replicaState(ctx context.Context) string {
	state, err := m.SQL(ctx, "", "SHOW REPLICA STATUS")
	if err != nil {
		return err.Error()
	}
	return state
}

// Promote makes a replica a primary of its own and returns when it takes
// writes. The old primary goes on running until it is stopped or killed.
func (m *MySQL) Promote(ctx context.Context) error {
	if m.primary == nil {
		return fmt.Errorf("promote %s: not a replica", m.name)
	}
	if _, err := m.SQL(ctx, "", "STOP REPLICA; RESET REPLICA ALL; SET GLOBAL read_only = OFF"); err != nil {
		return fmt.Errorf("promote %s: %w", m.name, err)
	}
	m.primary = nil
	m.keepReadOnly("OFF")
	m.log.Info("replica promoted", "server", m.name)
	return nil
}
