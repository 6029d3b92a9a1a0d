package testservers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// copiedWrongly are folders whose contents belong to the server that was
// copied: its slots above all, which would hold back WAL for nobody. Its pid file goes too.
var copiedWrongly = []string{
	"pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp",
}

// StandbyOptions says how to start a standby.
type StandbyOptions struct {
	Name     string            // "" = standby
	Slot     string            // physical slot to make on the primary and stream from; "" = none
	Settings map[string]string // postgresql.conf, over those of the primary
}

// Standby starts a streaming standby of this server and returns when it can be
// read and streams. The primary is frozen while its files are copied: what is
// copied is the state of one instant, from which a server recovers as from a
// crash. That works for every version and needs no pg_basebackup.
func (p *Postgres) Standby(ctx context.Context, o StandbyOptions) (*Postgres, error) {
	if o.Name == "" {
		o.Name = "standby"
	}
	options := p.o
	options.Name, options.Dir, options.Port = o.Name, "", 0
	options.Settings = map[string]string{}
	maps.Copy(options.Settings, p.o.Settings)
	delete(options.Settings, "port")
	options.Settings["primary_conninfo"] = p.conninfo(o.Name)
	if o.Slot != "" {
		options.Settings["primary_slot_name"] = o.Slot
		if _, err := p.SQL(ctx, superuserDatabase,
			"SELECT pg_create_physical_replication_slot("+quoteText(o.Slot)+", true)"); err != nil {
			return nil, fmt.Errorf("make slot of standby: %w", err)
		}
	}
	maps.Copy(options.Settings, o.Settings)
	s, err := preparePostgres(options)
	if err != nil {
		return nil, err
	}
	if err := s.follow(ctx, p); err != nil {
		s.discard()
		return nil, fmt.Errorf("start standby of %s: %w", p.name, err)
	}
	return s, nil
}

// follow fills the folder from the primary, starts and waits for streaming.
func (p *Postgres) follow(ctx context.Context, primary *Postgres) error {
	p.primary, p.password = primary, primary.password
	primary.rolesMu.Lock()
	maps.Copy(p.passwords, primary.passwords)
	primary.rolesMu.Unlock()
	if err := primary.copyFrozen(ctx, p); err != nil {
		return err
	}
	if p.o.TLS {
		if err := writeCertificates(p.dir, p.account); err != nil {
			return err
		}
	}
	if err := p.writeDataFile("standby.signal", ""); err != nil {
		return err
	}
	if err := p.firstStart(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return p.waitTrue(ctx, "SELECT count(*) = 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'")
}

// copyFrozen copies the data folder to another server's while nothing writes.
func (p *Postgres) copyFrozen(ctx context.Context, to *Postgres) error {
	if err := p.Pause(); err != nil {
		return err
	}
	copyErr := to.account.run(ctx, to.runDir(), "cp", "-a", "--reflink=auto", p.dataDir(), to.dataDir())
	if err := errors.Join(copyErr, p.Resume()); err != nil {
		return err
	}
	for _, name := range []string{"postmaster.pid", "postmaster.opts"} {
		if err := os.Remove(filepath.Join(to.dataDir(), name)); err != nil {
			return err
		}
	}
	for _, name := range copiedWrongly {
		if err := emptyDir(filepath.Join(to.dataDir(), name)); err != nil {
			return err
		}
	}
	return nil
}

func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// conninfo is how a standby reaches this server.
func (p *Postgres) conninfo(application string) string {
	parts := []string{
		"host=" + p.host, fmt.Sprintf("port=%d", p.port), "user=" + p.super,
		"password=" + p.password, "application_name=" + application,
	}
	for name, value := range p.params {
		parts = append(parts, name+"="+value)
	}
	return strings.Join(parts, " ")
}

// Promote makes a standby a primary of its own and returns when it takes
// writes. The old primary goes on running until it is stopped or killed.
func (p *Postgres) Promote(ctx context.Context) error {
	if _, err := p.SQL(ctx, superuserDatabase, "SELECT pg_promote(true, 30)"); err != nil {
		return fmt.Errorf("promote %s: %w", p.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := p.waitTrue(ctx, "SELECT NOT pg_is_in_recovery()"); err != nil {
		return fmt.Errorf("promote %s: %w", p.name, err)
	}
	p.log.Info("standby promoted", "server", p.name)
	return nil
}

// CatchUp waits until a standby has replayed all that its primary has written
// by the time of the call.
func (p *Postgres) CatchUp(ctx context.Context) error {
	if p.primary == nil {
		return fmt.Errorf("catch up %s: not a standby", p.name)
	}
	lsn, err := p.primary.SQL(ctx, superuserDatabase, "SELECT pg_current_wal_lsn()")
	if err != nil {
		return fmt.Errorf("catch up %s: %w", p.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := p.waitTrue(ctx, "SELECT pg_last_wal_replay_lsn() >= "+quoteText(lsn)+"::pg_lsn"); err != nil {
		return fmt.Errorf("catch up %s to %s: %w", p.name, lsn, err)
	}
	return nil
}

// waitTrue asks until the answer is true.
func (p *Postgres) waitTrue(ctx context.Context, question string) error {
	err := poll(ctx, func() (bool, error) {
		answer, err := p.SQL(ctx, superuserDatabase, question)
		return answer == "t", err
	})
	if err != nil {
		return fmt.Errorf("wait for %q: %w", question, err)
	}
	return nil
}
