//go:build e2e

package e2e

import (
	"context"
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"cdc/e2e/checker"
	"cdc/e2e/testservers"
	"cdc/e2e/workload"
)

// Goal: the traps that capture is known to fall into, met by the whole program.
// Each test fails without its defence.

// stopsWith waits for the end of a run in a named stop and asserts that it is
// said, and recorded.
func (c *capture) stopsWith(p *process, kind string, says ...string) {
	c.t.Helper()
	p.wantExit(exitStopped)
	result{args: []string{"run"}, code: p.code(), err: lastError(p.text())}.refuses(c.t, exitStopped, append(says, kind, "cdc resolve")...)
	if status := c.must("status", "--json"); !strings.Contains(status, `"`+kind+`"`) {
		c.t.Errorf("status does not tell of %s:\n%s", kind, status)
	}
	// A stop stands until somebody decides.
	p = c.start()
	p.wantExit(exitStopped)
}

// lastError is what a run said when it ended, after its log lines.
func lastError(text string) string {
	if i := strings.LastIndex(text, "\ncdc: "); i >= 0 {
		return text[i+1:]
	}
	return text
}

// recopies decides for a new epoch, and asserts that all is well afterwards.
func (c *capture) recopies() {
	c.t.Helper()
	c.must("resolve", c.source, "--recopy")
	p := c.run()
	c.awaitCurrent()
	c.verify()
	p.stop()
}

func TestG2RecreatedSlotIsGapUntilResolved(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	c.run().stop()
	slot := c.ask(`SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database()`)
	until(t, "the server to notice that nobody reads the slot", func() bool { return c.ask(slotActive) == "false" })
	c.sql(`SELECT pg_drop_replication_slot('` + slot + `')`)
	c.appSQL(`INSERT INTO orders VALUES (4, 'lost')`)
	c.sql(`SELECT pg_create_logical_replication_slot('` + slot + `', 'pgoutput')`)
	c.appSQL(`INSERT INTO orders VALUES (5, 'after')`)
	c.stopsWith(c.start(), "GAP", slot)
	if rows := c.must("at", "now", "orders", "--format", "csv"); strings.Contains(rows, "after") {
		t.Errorf("the log went on past the gap:\n%s", rows)
	}
	c.recopies()
}

func TestG2InvalidatedSlotIsGapUntilResolved(t *testing.T) {
	t.Parallel()
	server := testservers.Start(t, testservers.PostgresOptions{Name: "walkeep", Settings: map[string]string{
		"max_slot_wal_keep_size": "16MB", "max_wal_size": "32MB", "min_wal_size": "32MB",
	}})
	c := smallRig(t, server)
	c.run().stop()
	c.appSQL(`CREATE TABLE filler (note text); INSERT INTO orders VALUES (4, 'lost')`)
	until(t, "the slot to be lost", func() bool {
		c.appSQL(`INSERT INTO filler SELECT repeat(md5(i::text), 30) FROM generate_series(1, 20000) i`)
		c.sql(`SELECT pg_switch_wal(); CHECKPOINT`)
		return c.ask(`SELECT wal_status FROM pg_replication_slots WHERE database = current_database()`) == "lost"
	})
	c.stopsWith(c.start(), "GAP", "max_slot_wal_keep_size")
	c.appSQL(`DROP TABLE filler`)
	c.recopies()
}

// A standby that was promoted without what the log holds is another history.
func TestG2StandbyPromotedBehindTheLogIsDiverged(t *testing.T) {
	t.Parallel()
	c, p := promotedStandby(t, func(standby *testservers.Postgres) string {
		return `ALTER SYSTEM SET primary_conninfo = ''; SELECT pg_reload_conf()`
	})
	c.stopsWith(p, "DIVERGED", "timeline")
	c.recopies()
}

// A standby that has everything is the same history, but the slot did not come
// with it: what it held back meanwhile is lost.
func TestG2StandbyPromotedWithoutTheSlotIsGap(t *testing.T) {
	t.Parallel()
	c, p := promotedStandby(t, func(*testservers.Postgres) string { return `SELECT 1` })
	c.stopsWith(p, "GAP", "slot")
	c.recopies()
}

// promotedStandby has a standby take over from a server that is captured, after
// a statement on the standby and a captured change at its primary, and starts
// a run against it.
func promotedStandby(t *testing.T, before func(standby *testservers.Postgres) string) (*rig, *process) {
	t.Helper()
	primary := testservers.Start(t, testservers.PostgresOptions{Name: "primary"})
	c := smallRig(t, primary)
	c.run().stop()
	standby, err := primary.Standby(t.Context(), testservers.StandbyOptions{Slot: "standby"})
	if err != nil {
		t.Fatal(err)
	}
	standby.StopAfter(t)
	if err := standby.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	statement := before(standby)
	if _, err := standby.SQL(t.Context(), "postgres", statement); err != nil {
		t.Fatal(err)
	}
	until(t, "the standby to have or to lose its stream", func() bool {
		streaming := c.ask(`SELECT count(*)::text FROM pg_stat_replication WHERE application_name NOT LIKE 'cdc%'`) == "1"
		return streaming == (statement == `SELECT 1`)
	})
	p := c.run()
	c.appSQL(`INSERT INTO orders VALUES (4, 'on the old primary')`)
	c.awaitCurrent()
	p.stop()
	if statement == `SELECT 1` {
		if err := standby.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // its databases and roles are dropped next
		if err := primary.Restart(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.server, c.addr = standby, standby.Addr()
	c.forgetAdmin()
	c.appSQL(`INSERT INTO orders VALUES (6, 'on the new primary')`)
	return c, c.start()
}

// forgetAdmin makes the next question go to the server of the moment.
func (c *rig) forgetAdmin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.admin != nil {
		_ = c.admin.Close(context.Background()) // its server is gone
		c.admin = nil
	}
}

func TestG2AnotherServerBehindTheAddressIsDiverged(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	c.run().stop()
	other := smallRig(t, testservers.Start(t, testservers.PostgresOptions{Name: "other"}))
	c.runWith(other.dsn(), "--name", c.database).refuses(t, exitStopped, "DIVERGED", "point the DSN at", "another name")
	other.leavesNothing()
	c.appSQL(`INSERT INTO orders VALUES (4, 'd')`)
	c.thenWorks()
}

// An idle captured table beside a busy one that is not captured: the slot moves
// on, so that no WAL is held back.
func TestG10IdleTableBesideBusyOneHoldsNoWAL(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	c.appSQL(`CREATE TABLE noise (a int)`) // without an identity: not captured
	c.run()
	stop := c.write(`INSERT INTO noise SELECT generate_series(1, 100)`)
	for range 3 {
		c.resumes("busy writes elsewhere")
	}
	stop()
	c.verify()
}

func TestIdleRestartIsNoGap(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	for range 3 {
		p := c.run()
		c.sql(`CHECKPOINT; SELECT pg_switch_wal(); SELECT pg_logical_emit_message(false, 'other', 'work')`)
		c.awaitCurrent()
		p.stop()
		c.sql(`SELECT pg_logical_emit_message(false, 'other', 'work'); CHECKPOINT`)
	}
	c.appSQL(`INSERT INTO orders VALUES (4, 'd')`)
	c.thenWorks()
}

// A table without an identity beside the captured ones goes on taking updates
// and deletes; so does a captured one that loses its identity.
func TestG10TableWithoutIdentityStaysWritable(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	c.appSQL(`CREATE TABLE loose (a int, b int); INSERT INTO loose VALUES (1, 1), (2, 2)`)
	p := c.run()
	c.appSQL(`UPDATE loose SET b = 3 WHERE a = 1; DELETE FROM loose WHERE a = 2; INSERT INTO orders VALUES (4, 'd')`)
	c.awaitCurrent()
	if status := c.must("status", "--json"); !strings.Contains(status, "loose") {
		t.Errorf("status does not tell of the table that is left out:\n%s", status)
	}
	c.verify()
	p.stop()
}

// A table made while capture runs is reported and never silently empty; an
// operator's decision has it copied.
func TestG2TableMadeLaterIsUntrackedUntilCopied(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	c.run()
	c.appSQL(`CREATE TABLE later (id int PRIMARY KEY); INSERT INTO later VALUES (1), (2)`)
	until(t, "the new table to be reported", func() bool {
		return strings.Contains(c.must("status", "--json"), "later")
	})
	if r := c.cdc("at", "now", "later"); r.code == 0 {
		t.Errorf("an untracked table was answered: %v", r)
	}
	c.recopyTable("public.later")
	until(t, "the new table to be answered", func() bool {
		r := c.cdc("at", "now", "later", "--format", "csv")
		return r.code == 0 && strings.Count(r.out, "\n") == 3
	})
	c.appSQL(`INSERT INTO later VALUES (3)`)
	c.awaitCurrent()
	c.verify()
}

// recopyTable has a table copied as soon as the log knows of it, which is a
// moment after status does.
func (c *capture) recopyTable(table string) {
	c.t.Helper()
	until(c.t, "table "+table+" to be known", func() bool { return c.cdc("resolve", c.source, "--recopy", table).code == 0 })
}

// As of a time T nothing is visible that was committed after T by the source's
// own clock, though commit times are not in the order of commits.
func TestG6NothingOfTheFutureLeaks(t *testing.T) {
	t.Parallel()
	server := testservers.Start(t, testservers.PostgresOptions{Name: "clock", Settings: map[string]string{"track_commit_timestamp": "on"}})
	c := newRig(t, server)
	w := c.prepareWorkload(workload.Options{Seed: seed(t), Clients: 8, Pause: time.Millisecond, BigValues: 2000})
	c.run()
	stop := c.keepBusy(w)
	until(t, "enough transactions", func() bool { return w.Count(checker.Committed) > 2000 })
	stop()
	c.awaitCurrent()
	// Of the commits, and of the instants between them, some hundred.
	times := strings.Fields(strings.ReplaceAll(c.sql(`
SELECT to_char(pg_xact_commit_timestamp(xmin) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM (SELECT xmin, row_number() OVER (ORDER BY pg_xact_commit_timestamp(xmin)) n FROM w_tx) t WHERE n % 400 = 7`), "\n", " "))
	if len(times) < 3 {
		t.Fatalf("only %d moments", len(times))
	}
	for _, moment := range times {
		c.nothingLater(moment)
	}
}

// nothingLater asks for the ledger as of a time, and for the source's commit
// times of what it holds.
func (c *rig) nothingLater(moment string) {
	c.t.Helper()
	out := c.must("at", moment, workload.LedgerTable, "--format", "csv")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		c.t.Fatal(err)
	}
	ids := make([]string, 0, len(rows))
	for _, row := range rows[1:] {
		ids = append(ids, row[0])
	}
	later := c.sql(`SELECT count(*) FROM w_tx WHERE pg_xact_commit_timestamp(xmin) > '` + moment + `' AND id = ANY('{` + strings.Join(ids, ",") + `}')`)
	if later != "0" {
		c.t.Errorf("as of %s, %s of %d transactions are from the future", moment, later, len(ids))
	}
	// What the inversions hold back is little: commit times go back by milliseconds.
	missing := c.sql(`SELECT count(*) FROM w_tx WHERE pg_xact_commit_timestamp(xmin) < '` + moment + `'::timestamptz - interval '1 second'
AND NOT id = ANY('{` + strings.Join(ids, ",") + `}')`)
	if missing != "0" {
		c.t.Errorf("as of %s, %s transactions of more than a second before are missing", moment, missing)
	}
}
