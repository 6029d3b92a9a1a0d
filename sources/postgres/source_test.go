package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sources"
)

func TestCopyThenStreamThenResume(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE orders (id bigint PRIMARY KEY, what text, price numeric(10,2))`,
		`INSERT INTO orders SELECT i, 'thing '||i, i/7.0 FROM generate_series(1, 1000) i`)
	r.run()
	r.same("orders")
	r.sql(`UPDATE orders SET what = 'changed' WHERE id % 3 = 0`, `DELETE FROM orders WHERE id % 5 = 0`, `INSERT INTO orders VALUES (5000, null, 'NaN')`)
	r.sync()
	r.same("orders")
	r.restart()
	r.sql(`UPDATE orders SET id = id + 100000 WHERE id < 10`)
	r.sync()
	r.same("orders")
}

// texts are the changes after the copy, as text.
func (r *rig) texts() []string {
	all := []string{}
	for _, c := range r.changes() {
		if c.op != changelog.OpRead {
			all = append(all, c.String())
		}
	}
	return all
}

func (r *rig) wantChanges(want ...string) {
	r.Helper()
	if got := r.texts(); !slices.Equal(got, want) {
		r.Fatalf("changes:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestG4G5TransactionsAreWholeInCommitOrderAndStatementOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, v text)`)
	r.run()
	r.sql(`BEGIN; INSERT INTO t VALUES (1, 'a'); SAVEPOINT s; INSERT INTO t VALUES (2, 'lost'); ROLLBACK TO s;
INSERT INTO t VALUES (3, 'c'); UPDATE t SET v = 'b' WHERE id = 1; UPDATE t SET v = 'c' WHERE id = 1; DELETE FROM t WHERE id = 3; COMMIT`,
		`BEGIN; INSERT INTO t VALUES (4, 'gone'); ROLLBACK`, `TRUNCATE t`, `INSERT INTO t VALUES (9, null)`)
	r.sync()
	r.wantChanges("c t  1|a", "c t  3|c", "u t  1|b", "u t  1|c", "d t 3|~", "t t", `c t  9|\N`)
	first := r.changes()[0]
	for _, c := range r.changes()[:5] {
		if c.unit != first.unit || c.meta.XID == 0 || c.meta.CommitTime == 0 {
			t.Fatalf("change %v is of unit %d, the first of %d", c, c.unit, first.unit)
		}
	}
}

// Two transactions overlap in the WAL; the one that commits first comes first, and each is whole.
func TestG5InterleavedTransactionsAreTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	long := r.session()
	long.do(`BEGIN`, `INSERT INTO t VALUES (1)`)
	r.sql(`INSERT INTO t VALUES (2)`)
	r.sync()
	r.restart() // its position lies between the long transaction's first row and its commit
	long.do(`INSERT INTO t VALUES (3)`, `COMMIT`)
	r.sync()
	r.wantChanges("c t  2", "c t  1", "c t  3")
}

func TestG3ManyRowsOfOneLSNArriveOnceAcrossARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	r.sql(`COPY t FROM PROGRAM 'seq 1 500'`)
	r.sync()
	r.restart()
	r.sql(`COPY t FROM PROGRAM 'seq 501 1000'`)
	r.sync()
	if got := len(r.texts()); got != 1000 {
		t.Fatalf("%d changes, want 1000", got)
	}
	r.same("t")
}

func TestPreparedTransactionsArriveWhenCommitted(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	gid := r.db + "_x"
	r.sql(`BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION '` + gid + `'`)
	r.sql(`INSERT INTO t VALUES (2)`)
	r.sync()
	r.wantChanges("c t  2")
	r.restart()
	r.sql(`COMMIT PREPARED '` + gid + `'`)
	r.sync()
	r.wantChanges("c t  2", "c t  1")
}

func TestUnchangedTOASTIsCompletedNeverNull(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, big text, n int)`, `ALTER TABLE t ALTER big SET STORAGE EXTERNAL`,
		`INSERT INTO t VALUES (1, repeat('x', 100000), 1)`)
	r.run()
	r.sql(`UPDATE t SET n = 2`, `INSERT INTO t VALUES (2, repeat('y', 100000), 1)`, `UPDATE t SET n = 3 WHERE id = 2`, `UPDATE t SET id = 20 WHERE id = 2`)
	r.sync()
	r.same("t")
	r.restart()
	r.sql(`UPDATE t SET n = n + 1`)
	r.sync()
	r.same("t")
}

func TestReplicaIdentitiesAreToldApart(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE k (id int PRIMARY KEY, v text)`, `INSERT INTO k VALUES (1, 'a')`,
		`CREATE TABLE f (id int, v text)`, `ALTER TABLE f REPLICA IDENTITY FULL`, `INSERT INTO f VALUES (1, 'a'), (1, null)`,
		`CREATE TABLE u (id int NOT NULL, v text, w int NOT NULL)`, `CREATE UNIQUE INDEX u_i ON u (w, id)`,
		`ALTER TABLE u REPLICA IDENTITY USING INDEX u_i`, `INSERT INTO u VALUES (1, 'a', 10)`)
	r.run()
	r.sql(`UPDATE k SET v = 'b'`, `UPDATE k SET id = 2`, `DELETE FROM k`, `UPDATE f SET v = 'b' WHERE v = 'a'`, `DELETE FROM f WHERE v IS NULL`,
		`UPDATE u SET w = 11`, `DELETE FROM u`)
	r.sync()
	r.wantChanges("u k  1|b", "u k 1|~ 2|b", "d k 2|~", "u f 1|a 1|b", `d f 1|\N`, "u u 1|~|10 1|a|11", "d u 1|~|11")
}

func TestPartitionsArriveAsTheirRoot(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE p (id int, day int, v text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)`,
		`CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (10)`,
		`CREATE TABLE p2 (v text, day int NOT NULL, id int NOT NULL, PRIMARY KEY (id, day))`, `ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20)`,
		`INSERT INTO p SELECT i, i % 19 + 1, 'v' FROM generate_series(1, 100) i`)
	r.run()
	r.same("p")
	r.sql(`UPDATE p SET day = 15 WHERE day = 2`, `INSERT INTO p VALUES (1000, 12, 'new')`, `DELETE FROM p WHERE day = 3`)
	r.sync()
	r.same("p")
	if rows := r.table("p1"); len(rows) != 0 {
		t.Fatalf("the partition is a table of its own: %q", rows)
	}
}

func TestInheritingTablesAreTablesOfTheirOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE parent (id int PRIMARY KEY)`, `CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent)`,
		`INSERT INTO parent VALUES (1)`, `INSERT INTO child VALUES (2)`)
	r.run()
	r.sql(`INSERT INTO child VALUES (3)`)
	r.sync()
	r.same("child")
	if got := r.table("parent"); !slices.Equal(got, []string{"1"}) {
		t.Fatalf("parent has %q", got)
	}
}

func TestHostileSettingsOfTheRoleChangeNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, append([]string{edgeTypes}, edgeTable("edge", append(append([][]string{}, edgeColumns...), textColumns...))...)...)
	role := r.pg.Role(t, testservers.CaptureRole{Database: r.db}) // the sessions of the test have none of the settings
	r.sql(`ALTER ROLE ` + role + ` SUPERUSER`)
	for _, set := range []string{
		"datestyle = 'SQL, DMY'", "intervalstyle = 'iso_8601'", "extra_float_digits = '-15'", "timezone = 'Asia/Kolkata'",
		"bytea_output = 'escape'", "statement_timeout = '50ms'", "idle_in_transaction_session_timeout = '50ms'", "search_path = 'nowhere'",
		"default_transaction_isolation = 'serializable'", "client_encoding = 'LATIN1'", "xmlbinary = 'hex'", "standard_conforming_strings = 'off'",
	} {
		r.sql(`ALTER ROLE ` + role + ` SET ` + set)
	}
	r.o.DSN = r.pg.DSN(role, r.db)
	r.run()
	r.same("public.edge")
	r.sql(`UPDATE public.edge SET id = id + 1000`)
	r.sync()
	r.same("public.edge")
}

func TestMessagesOfTheApplicationAreKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	r.sql(`SELECT pg_logical_emit_message(false, 'out', 'side')`, `BEGIN; INSERT INTO t VALUES (1); SELECT pg_logical_emit_message(true, 'in', 'tx'); COMMIT`,
		`SELECT pg_logical_emit_message(false, 'out', 'last')`)
	r.sync()
	r.wantChanges("m   outside", "c t  1", "m   intx", "m   outlast")
	r.restart()
	r.sql(`INSERT INTO t VALUES (2)`)
	r.sync()
	r.wantChanges("m   outside", "c t  1", "m   intx", "m   outlast", "c t  2")
}

func TestTruncateOfSeveralTablesKeepsItsOptions(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE a (id int PRIMARY KEY)`, `CREATE TABLE b (id serial PRIMARY KEY, a int REFERENCES a)`, `INSERT INTO a VALUES (1)`, `INSERT INTO b (a) VALUES (1)`)
	r.run()
	r.sql(`TRUNCATE a RESTART IDENTITY CASCADE`)
	r.sync()
	r.same("a", "b")
	if got := r.texts(); len(got) != 2 {
		t.Fatalf("changes %q, want two truncates", got)
	}
}

// A table without identity beside the captured ones stays writable, is not captured, and is said to be so.
func TestG10TableWithoutIdentityStaysWritable(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE TABLE bare (id int)`, `INSERT INTO bare VALUES (1)`)
	r.run()
	r.sql(`UPDATE bare SET id = 2`, `DELETE FROM bare`, `INSERT INTO bare VALUES (3)`, `INSERT INTO t VALUES (1)`)
	r.sync()
	r.same("t")
	if got := strings.Join(r.src.Progress().Untracked, "; "); !strings.Contains(got, `"public"."bare" has no usable identity`) || !strings.Contains(got, "ALTER TABLE") {
		t.Fatalf("untracked: %q", got)
	}
	at, ok := tableNamed(r, "bare")
	if !ok || at.State.State != changelog.TableUntracked {
		t.Fatalf("state of the table in the log: %+v", at.State)
	}
}

func tableNamed(r *rig, name string) (found changelog.TableAt, ok bool) {
	for _, at := range r.log.Catalog().TablesAt(newest) {
		if at.Table.Name == name {
			found, ok = at, true
		}
	}
	return found, ok
}

func TestTableThatLosesItsKeyStaysWritable(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE TABLE l (id int PRIMARY KEY)`, `INSERT INTO l VALUES (1)`)
	r.run()
	r.sql(`ALTER TABLE l DROP CONSTRAINT l_pkey`)
	r.eventually("the table to leave the publication", func() bool {
		_, err := r.pg.SQL(t.Context(), r.db, `UPDATE l SET id = id + 1`)
		return err == nil
	})
	r.eventually("the log to say so", func() bool {
		at, _ := tableNamed(r, "l")
		return at.State.State == changelog.TableUntracked
	})
}

func TestAppendOnlyTablesGiveInsertsAndTruncates(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE TABLE journal (what text)`, `INSERT INTO journal VALUES ('old')`)
	r.o.AppendOnly = []string{"journal"}
	r.run()
	r.sql(`INSERT INTO journal VALUES ('new')`, `UPDATE journal SET what = 'changed'`, `DELETE FROM journal`, `TRUNCATE journal`)
	r.sync()
	r.wantChanges("c journal  new", "t journal")
	if at, _ := tableNamed(r, "journal"); !at.Table.AppendOnly || !at.Answerable() {
		t.Fatalf("journal is %+v", at.Table)
	}
	r.o.AppendOnly = nil // what is in the log goes on being captured
	r.restart()
	r.sql(`INSERT INTO journal VALUES ('later')`)
	r.sync()
	r.wantChanges("c journal  new", "t journal", "c journal  later")
	r.sql(`INSERT INTO t VALUES (1)`)
	r.sync() // a second later the watcher has looked
	if at, _ := tableNamed(r, "journal"); !at.Answerable() {
		t.Fatalf("journal is %+v", at.State)
	}
}

func TestPatternsChooseTables(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE SCHEMA "S.1"`, `CREATE TABLE "S.1"."T 1" (id int PRIMARY KEY)`, `CREATE TABLE ab (id int PRIMARY KEY)`, `CREATE TABLE ac (id int PRIMARY KEY)`,
		`INSERT INTO "S.1"."T 1" VALUES (1)`, `INSERT INTO ab VALUES (1)`, `INSERT INTO ac VALUES (1)`)
	r.o.Tables = []string{`"S.1".T*`, `public.a?`, `!shop.public.ac`}
	r.run()
	got := map[string]int{}
	for _, c := range r.changes() {
		got[c.table]++
	}
	if fmt.Sprint(got) != "map[T 1:1 ab:1]" {
		t.Fatalf("captured %v", got)
	}
}

// wantUnfit starts the capture and expects it to be refused.
func (r *rig) wantUnfit(text string) {
	r.Helper()
	r.start()
	err := r.stopError()
	var unfit *sources.Unfit
	if !errors.As(err, &unfit) || !strings.Contains(err.Error(), text) {
		r.Fatalf("ended with %v, want unfit with %q", err, text)
	}
}

func TestPatternThatMatchesNothingIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.o.Tables = []string{"t", "oders"}
	r.wantUnfit(`pattern "oders" matches no table`)
}

func TestNamedTableWithoutIdentityIsRefusedWithItsRemedy(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE bare (id int)`)
	r.o.Tables = []string{"public.bare"}
	r.wantUnfit(`ALTER TABLE "public"."bare" REPLICA IDENTITY FULL`)
}

func TestMissingPublicationIsRefusedWithItsRemedy(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.o.Publication = "mine"
	r.wantUnfit(`CREATE PUBLICATION "mine" FOR TABLE ONLY "public"."t"`)
}

func TestPublicationOfTheUserIsUsedAsItIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, a int, secret text)`, `CREATE TABLE other (id int PRIMARY KEY)`,
		`INSERT INTO t VALUES (1, 1, 's'), (2, -1, 's')`,
		`CREATE PUBLICATION mine FOR TABLE t (id, a) WHERE (id < 100)`)
	r.o.Publication = "mine"
	r.run()
	r.sql(`INSERT INTO t VALUES (3, 3, 's'), (300, 3, 's')`, `INSERT INTO other VALUES (1)`)
	r.sync()
	if got := r.table("t"); !slices.Equal(got, []string{"1|1", "2|-1", "3|3"}) {
		t.Fatalf("table t: %q", got)
	}
	if got := strings.Join(r.src.Progress().Untracked, "; "); !strings.Contains(got, `"other" is not in publication "mine"`) {
		t.Fatalf("untracked: %q", got)
	}
}

// A database without changes of its own beside a busy one must not hold WAL.
func TestIdleTableBesideABusyOneHoldsNoWAL(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE TABLE busy (id int, v text)`)
	r.o.Tables = []string{"t"}
	r.run()
	confirmed := func() LSN {
		l, err := ParseLSN(r.sql(`SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE database = current_database()`))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	before := confirmed()
	r.sql(`INSERT INTO busy SELECT i, repeat('x', 500) FROM generate_series(1, 20000) i`)
	r.eventually("the slot to move on", func() bool { return confirmed() > before+8<<20 })
	if len(r.changes()) != 0 {
		t.Fatalf("the log has changes: %v", r.changes()[:1])
	}
}

// A look at the catalogue that finds nothing new costs the changes after it no questions to the server.
func TestLookThatFindsNothingNewAsksNothingAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.o.WatchEvery = 3 * time.Second
	r.run()
	r.sql(`INSERT INTO t VALUES (1)`)
	r.sync()
	asked := func() string { // when the session that reads the catalogue was used last
		return r.sql(`SELECT query_start FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'
			AND pid <> pg_backend_pid() ORDER BY backend_start LIMIT 1`)
	}
	next := func() changelog.Offset { return r.log.Bounds().Next }
	for _, id := range []string{"2", "3", "4"} { // a look may come in between
		before := asked()
		r.eventually("a look at the catalogue", func() bool { return asked() != before })
		from := next()
		r.eventually("two ticks, with which it is handled", func() bool { return next() >= from+2 })
		quiet := asked()
		r.sql(`INSERT INTO t VALUES (` + id + `)`)
		r.sync()
		if asked() == quiet {
			return
		}
	}
	t.Error("the first change after each look had the server asked again what the table is")
}

func TestIdleRestartIsNoGap(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	for range 3 {
		r.restart()
		r.sync()
	}
	r.sql(`INSERT INTO t VALUES (1)`)
	r.sync()
	r.same("t")
}

func (r *rig) slotName() string { return r.src.slot() }

func TestG2DroppedSlotIsAGap(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	r.halt()
	r.dropSlot(r.slotName())
	r.err = nil
	r.start()
	r.wantStop(changelog.StopGap, "is gone")
}

func TestG2RecreatedSlotIsAGap(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	r.halt()
	r.dropSlot(r.slotName())
	r.sql(`INSERT INTO t VALUES (1)`,
		`SELECT pg_create_logical_replication_slot('`+r.slotName()+`', 'pgoutput')`)
	r.err = nil
	r.start()
	r.wantStop(changelog.StopGap, "made again or moved")
}

func TestG9SlotInUseIsFenced(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	r.halt()
	r.unread(r.slotName()) // by ourselves
	other := r.pg.Command(t.Context(), "postgres", r.db, "pg_recvlogical", "-S", r.slotName(), "-d", r.dsn, "--start", "-f", "-",
		"-o", "proto_version=1", "-o", "publication_names="+r.slotName())
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	}()
	r.eventually("the other reader to begin", func() bool {
		return r.sql(`SELECT active FROM pg_replication_slots WHERE slot_name = '`+r.slotName()+`'`) == "t"
	})
	r.err = nil
	r.start()
	r.wantStop(changelog.StopFenced, "pg_recvlogical")
}

// A kill between the slot's making and the copy's commit leaves a slot that nobody may use: the next start drops it and copies anew.
func TestInterruptedCopyBeginsAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `INSERT INTO t VALUES (1)`)
	r.open()
	w := sources.NewWriter(sources.WriterOptions{Log: r.log, State: r.state, Source: changelog.SourceInfo{Name: "shop"}})
	c, err := r.src.openCatalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ws, err := r.src.connectWalsender(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	is, err := identify(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.src.introduce(t.Context(), c, w, is); err != nil {
		t.Fatal(err)
	}
	if _, err := createSlot(t.Context(), ws, r.slotName(), false, c.version); err != nil {
		t.Fatal(err)
	}
	c.close()
	closeConn(ws.PgConn)
	r.halt()
	r.sql(`INSERT INTO t VALUES (2)`)
	r.start()
	r.sync()
	r.same("t")
	if got := r.log.Catalog().Sources()[0].Epoch; got != 1 {
		t.Fatalf("epoch %d, want 1", got)
	}
}

func TestResolveBeginsANewEpochWithACopy(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	r.halt()
	r.dropSlot(r.slotName())
	r.sql(`INSERT INTO t VALUES (1)`)
	r.err = nil
	r.start()
	r.wantStop(changelog.StopGap, "")
	r.halt()
	r.open()
	var u changelog.UnitBuilder
	u.Reset(changelog.UnitControl)
	u.Meta.Source, u.Meta.Epoch = 1, 1
	u.AddDecision(changelog.Decision{Action: actionRecopy})
	n, err := r.log.Append(t.Context(), &u)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.log.WaitDurable(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	r.halt()
	r.err = nil
	r.start()
	r.sync()
	r.same("t")
	if got := r.log.Catalog().Sources()[0].Epoch; got != 2 {
		t.Fatalf("epoch %d, want 2", got)
	}
}

func TestResumedStreamIsBinaryLikeTheFirst(t *testing.T) {
	t.Parallel()
	pg := testservers.Start(t, testservers.PostgresOptions{Settings: map[string]string{"log_replication_commands": "on"}})
	r := newRigOn(t, pg, `CREATE TABLE orders (id bigint PRIMARY KEY, price numeric(10,2), at timestamptz)`)
	r.run()
	r.sql(`INSERT INTO orders VALUES (1, 2.5, now())`) // the copy alone may have come to the source's end; this comes by the stream
	r.sync()
	r.restart()
	r.sql(`INSERT INTO orders VALUES (2, 2.5, now())`)
	r.sync()
	starts := 0
	for line := range strings.Lines(pg.LogTail(5000)) {
		if !strings.Contains(line, "START_REPLICATION") || !strings.Contains(line, "LOGICAL") {
			continue
		}
		starts++
		if !strings.Contains(line, "binary 'true'") {
			t.Errorf("the stream is not binary: %s", line)
		}
	}
	if starts < 2 {
		t.Fatalf("the server has seen %d streams, want 2", starts)
	}
}
