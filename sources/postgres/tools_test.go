package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sources"
)

func TestSnapshotHoldsTheTablesAtItsPosition(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, v text)`, `INSERT INTO t SELECT i, 'v' FROM generate_series(1, 100) i`)
	r.run()
	ver, err := r.src.Verification(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer ver.Close()
	r.sql(`DELETE FROM t WHERE id > 10`)
	at, _ := tableNamed(r, "t")
	var rows []string
	err = ver.Read(t.Context(), at.Table, func(packed []byte) error {
		row, err := at.Table.Layout().Row(packed)
		rows = append(rows, rowText(at.Table, row))
		return err
	})
	if err != nil || len(rows) != 100 {
		t.Fatalf("%d rows, %v; want 100", len(rows), err)
	}
	ver.Close()
	r.eventually("the slot to go", func() bool {
		return r.sql(`SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'cdc\_verify%' AND database = current_database()`) == "0"
	})
}

// Snapshots taken under load agree with the log at exactly their positions.
func TestG6SnapshotsUnderLoadEqualTheLogAtTheirPositions(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, v int)`, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) i`)
	r.run()
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for n := range 3 {
		conn := r.session()
		load.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				conn.do(fmt.Sprintf(`UPDATE t SET v = v + 1 WHERE id = %d`, (i*7+n)%20+1))
			}
		})
	}
	at, _ := tableNamed(r, "t")
	want := map[LSN][]string{}
	for range 4 {
		ver, err := r.src.Verification(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rows := []string{}
		err = ver.Read(t.Context(), at.Table, func(packed []byte) error {
			row, err := at.Table.Layout().Row(packed)
			rows = append(rows, rowText(at.Table, row))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(rows)
		want[endOf(ver.Position())] = rows
		ver.Close()
	}
	cancel()
	load.Wait()
	r.sync()
	for at, rows := range want {
		if got := r.tableAt("t", at); !slices.Equal(got, rows) {
			t.Errorf("at %s: log %q, source %q", at, got, rows)
		}
	}
}

func TestDropRemovesWhatWasMade(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE TABLE j (v text)`)
	r.o.AppendOnly = []string{"j"}
	read := func() string {
		return r.sql(`SELECT count(*) FROM pg_replication_slots WHERE database = current_database() AND active`)
	}
	r.run()
	r.eventually("the slot to be read", func() bool { return read() == "1" })
	if _, err := r.src.Drop(t.Context()); err == nil {
		t.Fatal("a slot in use was dropped")
	}
	r.halt()
	r.eventually("the server to notice that nobody reads the slot", func() bool { return read() == "0" })
	dropped, err := r.src.Drop(t.Context())
	if err != nil || len(dropped) != 3 {
		t.Fatalf("dropped %q, %v", dropped, err)
	}
	if left := r.sql(`SELECT (SELECT count(*) FROM pg_replication_slots WHERE database = current_database()) + (SELECT count(*) FROM pg_publication)`); left != "0" {
		t.Fatalf("%s things stay behind", left)
	}
}

// tailed gathers what Tail reads.
type tailed struct {
	mu    sync.Mutex
	lines []string
}

func (l *tailed) Change(c *changelog.Change) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("%c %s", c.Op, rowText(c.Table, c.After)))
	return nil
}

func (l *tailed) Commit(sources.Commit) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, "commit")
	return nil
}

func (l *tailed) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, ", ")
}

func TestTailShowsChangesAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	r := newRig(t, edgeTypes, `CREATE TABLE t (id int PRIMARY KEY, e mood, p pair)`)
	r.open()
	ctx, cancel := context.WithCancel(t.Context())
	out, ended := &tailed{}, make(chan error, 1)
	go func() { ended <- r.src.Tail(ctx, out) }()
	r.eventually("the tail to begin", func() bool {
		return r.sql(`SELECT count(*) FROM pg_replication_slots WHERE database = current_database() AND active AND confirmed_flush_lsn IS NOT NULL`) == "1"
	})
	r.sql(`INSERT INTO t VALUES (1, 'sad', ROW(1, 'x'))`, `UPDATE t SET e = 'ok'`, `ALTER TABLE t ADD n int`, `INSERT INTO t VALUES (2, null, null, 5)`, `DELETE FROM t WHERE id = 2`)
	want := `c 1|sad|(1,x), commit, u 1|ok|(1,x), commit, c 2|\N|\N|5, commit, d , commit`
	r.eventually("the changes", func() bool { return out.all() == want })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	r.eventually("everything to be removed", func() bool {
		return r.sql(`SELECT (SELECT count(*) FROM pg_replication_slots WHERE database = current_database()) + (SELECT count(*) FROM pg_publication)`) == "0"
	})
}

func TestDoctorNamesWhatIsMissingWithItsRemedy(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE TABLE bare (id int)`, `CREATE TABLE hidden (id int PRIMARY KEY)`)
	role := r.pg.Role(t, testservers.CaptureRole{Database: r.db})
	r.sql(`REVOKE ALL ON hidden FROM `+role, `ALTER ROLE `+role+` NOREPLICATION`)
	r.o.DSN, r.o.Tables = r.pg.DSN(role, r.db), []string{"public.*"}
	r.open()
	findings, err := r.src.Doctor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range findings {
		if f.Severity != sources.SeverityOK {
			fmt.Fprintf(&text, "%s %s: %s; %s\n", f.Severity, f.Check, f.Detail, f.Remedy)
		}
	}
	for _, want := range []string{"REPLICATION", "max_slot_wal_keep_size", `"public"."bare"`, "GRANT SELECT ON \"public\".\"hidden\"", "CREATE PUBLICATION"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no finding with %q in:\n%s", want, text.String())
		}
	}
}

// A role may have the right to make publications and still not own the tables, which the server asks for as well.
func TestDoctorSaysThatOnlyAnOwnerPublishesATable(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE TABLE log (v text)`)
	role := r.pg.Role(t, testservers.CaptureRole{Database: r.db})
	r.sql(`GRANT CREATE ON DATABASE ` + r.db + ` TO ` + role)
	r.o.DSN, r.o.AppendOnly = r.pg.DSN(role, r.db), []string{"log"}
	r.open()
	finding := r.finding("publication")
	if finding.Severity != sources.SeverityProblem || !strings.Contains(finding.Detail, `"public"."log"`) {
		t.Fatalf("%+v", finding)
	}
	_, statement, _ := strings.Cut(finding.Remedy, "run: ")
	statement, _, _ = strings.Cut(statement, ";")
	r.sql(statement, `INSERT INTO log VALUES ('a')`, `UPDATE log SET v = 'b'`) // the application may go on
	r.sql(`ALTER TABLE t OWNER TO `+role, `ALTER TABLE log OWNER TO `+role)
	if finding := r.finding("publication"); finding.Severity != sources.SeverityOK {
		t.Errorf("%+v", finding)
	}
}

// A publication is used as it is, so that the tables which it lacks would be left out without a word.
func TestDoctorSaysWhatAPublicationLacks(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE TABLE "It's 1" (id int PRIMARY KEY)`, `CREATE TABLE u (id int PRIMARY KEY)`)
	r.sql(`CREATE PUBLICATION mine FOR TABLE t WITH (publish_via_partition_root = true)`)
	r.o.Publication = "mine"
	r.open()
	findings, err := r.src.Doctor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	warned := false
	for _, f := range findings {
		if f.Check != "publication" || f.Severity == sources.SeverityOK {
			continue
		}
		warned = f.Severity == sources.SeverityWarning && strings.Contains(f.Detail, `does not hold 2 of the tables`)
		_, statement, _ := strings.Cut(f.Remedy, "run: ")
		statement, _, _ = strings.Cut(statement, ";")
		r.sql(statement)
	}
	if !warned {
		t.Fatalf("no warning in %+v", findings)
	}
	if findings, err = r.src.Doctor(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Check == "publication" && f.Severity != sources.SeverityOK {
			t.Errorf("after the remedy: %+v", f)
		}
	}
}

func TestRecopyCommandCanBeGivenToAShell(t *testing.T) {
	for want, info := range map[string]*tableInfo{
		`'cdc resolve shop --recopy public.orders'`:            {schema: "public", name: "orders"},
		`cdc resolve shop --recopy '"public"."It'\''s ""1"""'`: {schema: "public", name: `It's "1"`},
		`cdc resolve shop --recopy '"odd.schema"."orders"'`:    {schema: "odd.schema", name: "orders"},
	} {
		if got := recopyCommand("shop", info); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// finding is what doctor says about a check.
func (r *rig) finding(check string) sources.Finding {
	r.Helper()
	findings, err := r.src.Doctor(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	for _, f := range findings {
		if f.Check == check {
			return f
		}
	}
	r.Fatalf("nothing about %s in %+v", check, findings)
	return sources.Finding{}
}

func TestLeastPrivilegedRoleIsEnoughOrToldWhatItLacks(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `INSERT INTO t VALUES (1)`)
	role := r.pg.Role(t, testservers.CaptureRole{Database: r.db})
	r.o.DSN = r.pg.DSN(role, r.db)
	r.wantUnfit(`let the owner of the tables run: CREATE PUBLICATION`)
	r.halt()
	r.sql(`CREATE PUBLICATION mine FOR TABLE t`)
	r.o.Publication, r.err = "mine", nil
	r.run()
	r.sql(`INSERT INTO t VALUES (2)`)
	r.sync()
	r.same("t")
}

func TestWrongPasswordIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.o.Password = "wrong"
	r.start()
	var refused *sources.Refused
	if err := r.stopError(); !errors.As(err, &refused) || !refused.Password || strings.Contains(err.Error(), r.dsn) {
		t.Fatalf("ended with %v", err)
	}
}

func TestMissingPasswordIsSaid(t *testing.T) {
	s := &Source{dsn: &dsn{config: &pgconn.Config{}}}
	for password, want := range map[string]bool{"": true, "given": false} {
		s.dsn.config.Password = password
		var refused *sources.Refused
		if err := s.classifyConnect(&pgconn.PgError{Code: codeWrongPassword}, false); !errors.As(err, &refused) ||
			refused.Password == want || strings.Contains(refused.Remedy, "no password was given") != want {
			t.Errorf("with %q: %+v", password, refused)
		}
	}
}

func TestG8CutConnectionsAreTakenUpAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	for i := range 3 {
		r.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'cdc %' AND datname = current_database()`,
			fmt.Sprintf(`INSERT INTO t SELECT i FROM generate_series(%d, %d) i`, i*100, i*100+99))
		r.sync()
	}
	r.same("t")
	if got := len(r.texts()); got != 300 {
		t.Fatalf("%d changes, want 300", got)
	}
}

// own starts a server for a test that reconfigures or stops it.
func own(t *testing.T, settings map[string]string) *testservers.Postgres {
	t.Helper()
	pg, err := testservers.StartPostgres(t.Context(), testservers.PostgresOptions{Name: "own", Settings: settings})
	testservers.RequireServer(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := pg.Stop(ctx); err != nil {
			t.Logf("stop server: %v", err)
		}
	})
	return pg
}

func TestG2ServerThatForgotOurWALIsAGap(t *testing.T) {
	t.Parallel()
	pg := own(t, map[string]string{"max_slot_wal_keep_size": "16MB", "min_wal_size": "32MB", "max_wal_size": "64MB"})
	r := newRigOn(t, pg, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE TABLE busy (v text)`)
	r.o.Tables = []string{"t"}
	r.run()
	r.halt()
	for range 4 {
		r.sql(`INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 20000)`, `SELECT pg_switch_wal()`, `CHECKPOINT`)
	}
	r.err = nil
	r.start()
	r.wantStop(changelog.StopGap, "invalidated")
}

func TestHeldWALAboveTheUsersLimitGivesTheSlotUp(t *testing.T) {
	t.Parallel()
	pg := own(t, nil)
	r := newRigOn(t, pg, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE TABLE busy (v text)`)
	r.o.Tables, r.o.MaxHeldWAL = []string{"t"}, 1<<20
	r.run()
	long := r.session()
	long.do(`BEGIN`, `INSERT INTO t VALUES (1)`) // it keeps the slot from moving
	r.sql(`INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 20000)`, `CHECKPOINT`)
	r.wantStop(changelog.StopGap, heldTooMuch)
	if left := r.sql(`SELECT count(*) FROM pg_replication_slots`); left != "0" {
		t.Fatal("the slot is still there")
	}
}

func TestG2PromotedStandbyThatWasBehindUsIsDiverged(t *testing.T) {
	t.Parallel()
	pg := own(t, nil)
	r := newRigOn(t, pg, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	standby, err := pg.Standby(t.Context(), testservers.StandbyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Stop(context.WithoutCancel(t.Context()))
	if err := standby.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := standby.Kill(); err != nil {
		t.Fatal(err)
	}
	r.sql(`INSERT INTO t VALUES (1)`)
	r.sync()
	r.halt()
	if err := pg.Kill(); err != nil {
		t.Fatal(err)
	}
	defer pg.Restart(context.WithoutCancel(t.Context()))
	if err := standby.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.o.DSN, r.err = standby.SuperuserDSN(r.db), nil
	r.start()
	r.wantStop(changelog.StopDiverged, "never happened on timeline 2")
}

func TestG9AnotherServerIsDivergedAndTheLogIsNotWritten(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	r.halt()
	r.open()
	w := sources.NewWriter(sources.WriterOptions{Log: r.log, State: r.state, Source: changelog.SourceInfo{Name: "shop"}})
	info := w.Source()
	for _, is := range []server{{system: "1", database: r.db}, {system: info.Find(factSystem), database: "other"}} {
		var stop *sources.Stop
		if err := r.src.checkIdentity(w, is); !errors.As(err, &stop) || stop.Kind != changelog.StopDiverged || !stop.Unrecorded {
			t.Errorf("server %+v: %v", is, err)
		}
	}
}

// A slot that is not there is the server's own error, with its code.
func TestStreamOfAMissingSlotIsRefusedByTheServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.open()
	ws, err := r.src.connectWalsender(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(ws.PgConn)
	feed, err := startFeed(t.Context(), ws, startSQL("x", 0, publications{main: "p"}, false), silenceMin)
	if codeOf(err) != "42704" || feed != nil {
		t.Fatalf("a slot that does not exist: %v", err)
	}
}

// A connection on which nothing arrives any more, without an end, is noticed.
func TestSilentConnectionIsNoticed(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE PUBLICATION p FOR TABLE t`)
	r.open()
	ws, err := r.src.connectWalsender(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(ws.PgConn)
	name := randomName("silent_")
	e, err := createSlot(t.Context(), ws, name, true, 15)
	if err != nil {
		t.Fatal(err)
	}
	feed, err := startFeed(t.Context(), ws, startSQL(name, e.point, publications{main: "p"}, false), 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer feed.close()
	for err == nil {
		_, err = feed.next() // the server speaks once, then waits for an answer that never comes
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("ended with %v", err)
	}
}
