package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cdc/changelog"
	"cdc/sources"
)

// slotState is a row of pg_replication_slots.
type slotState struct {
	plugin, database string
	temporary        bool
	activePID        int64
	restart          LSN
	confirmed        LSN
	status           string // wal_status
	reason           string // why it was invalidated, where the server says so
	held             int64  // bytes of WAL that it keeps
	end              LSN    // of the server's WAL at the moment
	here             bool   // it was made in the database that is asked
}

// walEndSQL is the end of the WAL on a primary or a standby.
const walEndSQL = `CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END`

// insertedSQL is the end of what has been written, transactions included that have committed without waiting for the disk.
const insertedSQL = `CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END`

// walEnd is the end of what has been written, as the stream counts.
func (c *catalog) walEnd(ctx context.Context) (LSN, error) {
	r, err := c.one(ctx, `SELECT `+insertedSQL)
	if err != nil {
		return 0, err
	}
	return withoutHeader(r[0].lsn()), nil
}

// withoutHeader takes off the header of a page that nothing has been written to yet: the server counts it, the stream does not.
func withoutHeader(end LSN) LSN {
	const pageBytes, longHeaderBytes = 8192, 40
	if within := end % pageBytes; within <= longHeaderBytes {
		end -= within
	}
	return end
}

// readSlot is the named slot; false when there is none.
func (c *catalog) readSlot(ctx context.Context, name string) (slotState, bool, error) {
	reason := `NULL`
	if c.version >= 17 {
		reason = `invalidation_reason`
	}
	rows, err := c.query(ctx, `SELECT plugin, database, temporary, coalesce(active_pid, 0), restart_lsn, confirmed_flush_lsn, wal_status, `+reason+`,
coalesce(pg_catalog.pg_wal_lsn_diff(`+walEndSQL+`, restart_lsn)::bigint, -1), `+walEndSQL+`,
coalesce(database = pg_catalog.current_database(), false)
FROM pg_catalog.pg_replication_slots WHERE slot_name = $1`, name)
	if err != nil {
		return slotState{}, false, fmt.Errorf("read slot: %w", err)
	}
	if len(rows) == 0 {
		return slotState{}, false, nil
	}
	r := rows[0]
	return slotState{
		plugin: r[0].text(), database: r[1].text(), temporary: r[2].bool(), activePID: r[3].int(), restart: r[4].lsn(),
		confirmed: r[5].lsn(), status: r[6].text(), reason: r[7].text(), held: r[8].int(), end: r[9].lsn(), here: r[10].bool(),
	}, true, nil
}

// resolveRemedy is what an operator does about a lost stretch of the stream.
func (s *Source) resolveRemedy() string {
	return "run 'cdc resolve " + s.o.Name + " --recopy': a new epoch begins with a copy of the tables, and the log says what it does not hold"
}

// checkSlot makes sure that the slot still stands behind everything that the log does not hold.
func (s *Source) checkSlot(ctx context.Context, c *catalog, id identity) error {
	gap := func(detail string) error {
		return &sources.Stop{Stop: changelog.Stop{
			Kind: changelog.StopGap, Position: FormatPosition(id.position), Detail: detail, Remedy: s.resolveRemedy(),
		}}
	}
	slot, ok, err := c.readSlot(ctx, id.slot)
	switch {
	case err != nil:
		return err
	case !ok:
		return gap(fmt.Sprintf("slot %q is gone: what was committed after %s is lost to us", id.slot, id.position.End))
	case slot.plugin != "pgoutput":
		return gap(fmt.Sprintf("slot %q is not ours: its plugin is %q", id.slot, slot.plugin))
	case !slot.here:
		return gap(fmt.Sprintf("slot %q is not ours: it was made in database %q", id.slot, slot.database))
	case slot.status == "lost":
		reason := "the server needed the space of its WAL (max_slot_wal_keep_size)"
		if slot.reason != "" {
			reason = slot.reason
		}
		return gap(fmt.Sprintf("slot %q was invalidated: %s", id.slot, reason))
	case slot.confirmed > id.position.End:
		return gap(fmt.Sprintf("slot %q begins at %s, the log ends at %s: it was made again or moved, and what lies between is lost to us",
			id.slot, slot.confirmed, id.position.End))
	}
	return nil
}

// Limits of the wait for a slot that another session holds.
const (
	strangerWait = 5 * time.Second
	ownWaitExtra = 10 * time.Second
	slotPause    = 250 * time.Millisecond
)

// awaitSlot waits while another session holds the slot: not long for a stranger, and as long as the server needs to notice for
// one that this program left behind on this machine.
func (s *Source) awaitSlot(ctx context.Context, c *catalog, id identity) error {
	begun := time.Now()
	for {
		slot, ok, err := c.readSlot(ctx, id.slot)
		if err != nil {
			return err
		}
		if !ok || slot.activePID == 0 {
			return nil
		}
		holder, limit, err := s.holder(ctx, c, slot.activePID)
		if err != nil {
			return err
		}
		if limit > 0 && time.Since(begun) > limit {
			return &sources.Stop{Unrecorded: true, Stop: changelog.Stop{
				Kind: changelog.StopFenced, Position: FormatPosition(id.position),
				Detail: fmt.Sprintf("slot %q is in use by %s", id.slot, holder),
				Remedy: "stop the other program; if nobody needs its session, run: SELECT pg_terminate_backend(" + strconv.FormatInt(slot.activePID, 10) + ");",
			}}
		}
		if err := sources.Pause(ctx, slotPause); err != nil {
			return err
		}
	}
}

// holder describes a session and says how long to wait for it, 0 when it has ended since the slot was looked at: it may have been our
// own, for which we have waited longer than for a stranger.
func (s *Source) holder(ctx context.Context, c *catalog, pid int64) (who string, limit time.Duration, err error) {
	rows, err := c.query(ctx, `
SELECT coalesce(application_name, ''), coalesce(client_addr::text, 'a local socket'), coalesce(backend_start::text, 'an unknown time'),
       (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout')
FROM pg_catalog.pg_stat_activity WHERE pid = $1::int`, strconv.FormatInt(pid, 10))
	if err != nil {
		return "", 0, err
	}
	if len(rows) == 0 {
		return "", 0, nil
	}
	r := rows[0]
	who = fmt.Sprintf("process %d (%q from %s, since %s)", pid, r[0].text(), r[1].text(), r[2].text())
	if r[0].text() == applicationName(s.o) {
		return who, time.Duration(r[3].int())*time.Millisecond + ownWaitExtra, nil
	}
	return who, strangerWait, nil
}

// exported is a logical slot as it was made, with the snapshot of the moment from which it streams.
type exported struct {
	point    LSN
	snapshot string
}

// createSlot makes a slot and exports the snapshot of its consistent point. The snapshot can be imported until the session runs
// its next command.
func createSlot(ctx context.Context, ws *walsender, name string, temporary bool, version int) (exported, error) {
	var b strings.Builder
	b.WriteString("CREATE_REPLICATION_SLOT " + quoteName(name))
	if temporary {
		b.WriteString(" TEMPORARY")
	}
	b.WriteString(" LOGICAL pgoutput ")
	if version >= 15 {
		b.WriteString("(SNAPSHOT 'export')")
	} else {
		b.WriteString("EXPORT_SNAPSHOT")
	}
	rows, err := command(ctx, ws.PgConn, b.String())
	if err != nil {
		return exported{}, classifySlot(name, err)
	}
	if len(rows) != 1 || len(rows[0]) < 3 {
		return exported{}, fmt.Errorf("create slot %q: unexpected answer", name)
	}
	point, err := ParseLSN(rows[0][1].text())
	if err != nil {
		return exported{}, fmt.Errorf("create slot %q: %w", name, err)
	}
	return exported{point: point, snapshot: rows[0][2].text()}, nil
}

func classifySlot(name string, err error) error {
	switch codeOf(err) {
	case "53400":
		return &sources.Unfit{
			Detail: fmt.Sprintf("no free replication slot for %q: %s", name, err),
			Remedy: "drop a slot that nobody uses, or raise max_replication_slots and restart the server",
		}
	case "42501":
		return &sources.Unfit{Detail: fmt.Sprintf("the role may not make slot %q: %s", name, err), Remedy: "run: ALTER ROLE … REPLICATION;"}
	}
	return fmt.Errorf("create slot %q: %w", name, err)
}

// dropSlot removes a slot if it exists and nobody uses it.
func (c *catalog) dropSlot(ctx context.Context, name string) error {
	_, err := c.query(ctx, `
SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1`, name)
	if err != nil {
		return fmt.Errorf("drop slot %q: %w", name, err)
	}
	return nil
}
