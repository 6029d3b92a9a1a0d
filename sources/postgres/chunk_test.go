package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"cdc/changelog"
	"cdc/sources"
)

// Goal: a table that is copied in chunks while it changes, is altered, or the capture is cut off, is in the end what the source has,
// and the log did not answer for it before.
//
// Method: small chunks, and a hook behind each that does the worst.

// recopy records that an operator wants the table copied. The capture runs.
func (r *rig) recopy(name string) {
	r.Helper()
	at, ok := tableNamed(r, name)
	if !ok {
		r.Fatalf("the log does not know table %s", name)
	}
	var u changelog.UnitBuilder
	u.Reset(changelog.UnitControl)
	u.Meta.Source, u.Meta.Epoch = 1, r.log.Catalog().Sources()[0].Epoch
	u.AddDecision(changelog.Decision{Action: actionRecopy, Table: at.Table.ID})
	if _, err := r.log.Append(r.Context(), &u); err != nil {
		r.Fatal(err)
	}
}

// late makes a table behind the back of a running capture and waits until the log knows that it is there.
func (r *rig) late(name string, statements ...string) {
	r.Helper()
	r.sql(statements...)
	r.eventually("table "+name+" to be seen", func() bool {
		at, ok := tableNamed(r, name)
		return ok && at.State.State == changelog.TableUntracked
	})
}

// complete waits until the table's copy is.
func (r *rig) complete(name string) {
	r.Helper()
	r.eventually("table "+name+" to be copied", func() bool { return r.isComplete(name) })
	r.sync()
}

func (r *rig) isComplete(name string) bool {
	at, _ := tableNamed(r, name)
	return at.State.State == changelog.TableComplete
}

// chunks has tables copied in chunks of so many rows, and f called behind each.
func (r *rig) chunks(rows int, f func(n int)) {
	n := 0
	r.tune = func(s *Source) {
		s.chunkRows = rows
		s.chunkDone = func(int) { // of one chunk after the other
			n++
			if f != nil {
				f(n)
			}
		}
	}
}

// readOnce makes sure that the last copy has brought no key of the table twice.
func (r *rig) readOnce(name string) {
	r.Helper()
	at, _ := tableNamed(r, name)
	seen := map[string]bool{}
	for _, c := range r.changes() {
		if c.table != name || c.op != changelog.OpRead || c.meta.Commit() < at.From {
			continue
		}
		var key []string
		values := strings.Split(c.after, "|")
		for _, i := range at.Table.KeyColumns() {
			key = append(key, values[i])
		}
		if k := strings.Join(key, "|"); seen[k] {
			r.Fatalf("key %s of table %s was copied twice", k, name)
		} else {
			seen[k] = true
		}
	}
}

// keyedTables are tables whose keys are of all sorts; k makes the n-th key.
var keyedTables = []struct{ name, columns, key, k string }{
	{"ints", `id int`, `id`, `n - 1000`},
	{"pairs", `b text, a int`, `a, b`, `'b' || n % 17, n / 7`},
	{`Odd "name" \1`, `"Key, ""one""" text, "two'\" numeric(9,2)`, `"Key, ""one""", "two'\"`, `E'\\ '' " ' || n % 5, n / 2.0`},
	{"uuids", `id uuid`, `id`, `md5(n::text)::uuid`},
	{"words", `w text COLLATE "en-x-icu"`, `w`, `(ARRAY['a','A','ä','z','Z','-',' '])[n % 7 + 1] || n`},
	{"numbers", `x numeric`, `x`, `(n - 500) / 8.0`},
	{"times", `at timestamptz, mood mood, d dm`, `at, mood, d`, `'2024-01-01Z'::timestamptz + n * interval '1 hour', (ARRAY['sad','ok']::mood[])[n % 2 + 1], n`},
	{"bytes", `b bytea, ok bool, day date`, `ok, b, day`, `decode(lpad(to_hex(n), 4, '0'), 'hex'), n % 3 = 0, CASE WHEN n % 9 = 0 THEN 'infinity' ELSE '2024-01-01'::date - n END`},
}

func keyedTable(name, columns, key string) string {
	return `CREATE TABLE ` + quoteName(name) + ` (` + columns + `, v int, big text, PRIMARY KEY (` + key + `)); ALTER TABLE ` + quoteName(name) +
		` ALTER big SET STORAGE EXTERNAL`
}

func fill(name, k string, from, to int) string {
	return fmt.Sprintf(`INSERT INTO %s SELECT %s, n, repeat('x', 2500) || n FROM generate_series(%d, %d) n`, quoteName(name), k, from, to)
}

func TestG2G6EveryKindOfKeyIsCopiedInChunks(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TYPE mood AS ENUM ('sad', 'ok')`, `CREATE DOMAIN dm AS int CHECK (VALUE > 0)`, `CREATE TABLE first (id int PRIMARY KEY)`)
	r.chunks(23, nil)
	r.run()
	for _, k := range keyedTables {
		r.late(k.name, keyedTable(k.name, k.columns, k.key), fill(k.name, k.k, 1, 150))
		r.recopy(k.name)
	}
	for _, k := range keyedTables {
		r.complete(k.name)
		if got, want := r.table(k.name), r.sourceTable(quoteName(k.name)); !slices.Equal(got, want) {
			t.Fatalf("table %s: %d rows in the log, %d at the source: %q, %q", k.name, len(got), len(want), except(got, want), except(want, got))
		}
		r.readOnce(k.name)
	}
}

// churn changes a table of ints at random until the context is done: rows come, go, change in part and move to other keys.
func (r *rig) churn(ctx context.Context, name string, seed uint64) error {
	conn, err := pgconn.Connect(ctx, r.dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	random := rand.New(rand.NewPCG(seed, 1))
	for ctx.Err() == nil {
		id, other := random.IntN(2000), random.IntN(2000)
		sql := []string{
			`UPDATE %[1]s SET v = v + 1 WHERE id BETWEEN %[2]d AND %[2]d + 3`,
			`UPDATE %[1]s SET v = v + 1, big = repeat('y', 2200) || v WHERE id = %[2]d`,
			`DELETE FROM %[1]s WHERE id = %[2]d`,
			`INSERT INTO %[1]s VALUES (%[2]d, 0, repeat('z', 2300)) ON CONFLICT DO NOTHING`,
			`UPDATE %[1]s SET id = %[3]d WHERE id = %[2]d AND NOT EXISTS (SELECT FROM %[1]s WHERE id = %[3]d)`,
			`UPDATE %[1]s SET id = %[3]d, big = 'short' WHERE id = %[2]d AND NOT EXISTS (SELECT FROM %[1]s WHERE id = %[3]d)`,
		}[random.IntN(6)]
		// A row that is not copied yet and moves has the copy begin again: seldom enough that it ends.
		if strings.Contains(sql, "SET id = %[3]d WHERE") && random.IntN(20) > 0 {
			continue
		}
		sql = "BEGIN; " + fmt.Sprintf(sql, name, id, other) + "; " + fmt.Sprintf(`UPDATE %s SET v = v - 1 WHERE id = %d`, name, other) + "; COMMIT"
		_, err := conn.Exec(ctx, sql).ReadAll()
		var refused *pgconn.PgError
		if errors.As(err, &refused) && (refused.Code == "23505" || refused.Code == "40P01") { // the two were in each other's way
			_, err = conn.Exec(ctx, "ROLLBACK").ReadAll()
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		_ = sources.Pause(ctx, churnPause)
	}
	return nil
}

// churnPause leaves a capture under the race detector the time to keep up.
const churnPause = 2 * time.Millisecond

// busily runs f while the table changes.
func (r *rig) busily(name string, f func()) {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	seed := rand.Uint64()
	r.Logf("seed %d", seed)
	var all sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		all.Go(func() { errs[i] = r.churn(ctx, name, seed+uint64(i)) })
	}
	f()
	cancel()
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		r.Fatal(err)
	}
}

func TestG2G6BusyTableIsCopiedInChunks(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE first (id int PRIMARY KEY)`)
	r.chunks(100, nil)
	r.run()
	r.late("t", `CREATE TABLE t (id int PRIMARY KEY, v int, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL`,
		`INSERT INTO t SELECT n, n, repeat('x', 2500) || n FROM generate_series(1, 1500) n`)
	r.busily("t", func() {
		r.recopy("t")
		r.complete("t")
		r.equalAtPositions("t", 3)
	})
	r.sync()
	r.same("t")
	r.readOnce("t")
}

// equalAtPositions compares the log's table with the source's at positions of the source's choice.
func (r *rig) equalAtPositions(name string, n int) {
	r.Helper()
	for range n {
		v, err := r.src.Verification(r.Context())
		if err != nil {
			r.Fatal(err)
		}
		known, _ := tableNamed(r, name)
		var want []string
		err = v.Read(r.Context(), known.Table, func(packed []byte) error {
			row, err := known.Table.Layout().Row(packed)
			want = append(want, rowText(known.Table, row))
			return err
		})
		v.Close()
		if err != nil {
			r.Fatal(err)
		}
		slices.Sort(want)
		at, err := ParsePosition(v.Position())
		if err != nil {
			r.Fatal(err)
		}
		r.sync()
		if got := r.tableAt(name, at.End); !slices.Equal(got, want) {
			r.Fatalf("at %s: %d rows in the log, %d at the source: %q, %q", at.End, len(got), len(want), except(got, want), except(want, got))
		}
	}
}

// A capture that is killed goes on behind the last chunk that the log holds.
func TestG2G8CopyKilledAtEveryChunkGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE first (id int PRIMARY KEY)`)
	var appended atomic.Int64
	r.chunks(100, func(int) {
		appended.Add(1)
		r.stop()
	})
	r.run()
	r.late("t", `CREATE TABLE t (id int PRIMARY KEY, v int, big text)`, `INSERT INTO t SELECT n, n, 'x' FROM generate_series(1, 1500) n`)
	r.recopy("t")
	runs := 1
	for ; ; runs++ {
		_ = r.stopError()
		complete := r.isComplete("t")
		r.halt()
		r.err = nil
		if complete {
			break
		}
		r.sql(fmt.Sprintf(`UPDATE t SET v = -v WHERE id %% 7 = %d; DELETE FROM t WHERE id %% 100 = %d; INSERT INTO t VALUES (%d, 0, 'new'), (%d, 0, 'new')`,
			runs%7, runs, 2000+runs, -runs))
		r.start()
	}
	r.run()
	r.same("t")
	r.readOnce("t")
	if runs < 10 || appended.Load() > 40 {
		t.Fatalf("%d runs and %d chunks for 16 ranges", runs, appended.Load())
	}
}

func TestG8CopyOutlivesLostConnections(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE first (id int PRIMARY KEY)`)
	r.chunks(50, func(n int) {
		if n%4 == 2 {
			r.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'cdc %' AND datname = current_database()`)
		}
	})
	r.run()
	r.late("t", `CREATE TABLE t (id int PRIMARY KEY, v int, big text)`, `INSERT INTO t SELECT n, n, 'x' FROM generate_series(1, 600) n`)
	r.recopy("t")
	r.complete("t")
	r.same("t")
	r.readOnce("t")
}

// What is done to a table while it is being copied ends in the table as it is.
func TestG2TableAlteredDuringItsCopyIsCopiedAsItIs(t *testing.T) {
	t.Parallel()
	for name, ddl := range map[string]string{
		"truncate":            `TRUNCATE t; INSERT INTO t SELECT n, n, 'new' FROM generate_series(1, 30) n`,
		"column added":        `ALTER TABLE t ADD w int DEFAULT 7; UPDATE t SET w = 8 WHERE id > 400`,
		"column added, quiet": `ALTER TABLE t ADD w int DEFAULT 7`,
		"column dropped":      `ALTER TABLE t DROP big; UPDATE t SET v = 0 WHERE id > 400`,
		"column renamed":      `ALTER TABLE t RENAME big TO small`,
		"names swapped":       `ALTER TABLE t RENAME big TO x; ALTER TABLE t RENAME more TO big; ALTER TABLE t RENAME x TO more`,
		"volatile default":    `ALTER TABLE t ADD w text DEFAULT gen_random_uuid()::text`,
		"rewritten":           `ALTER TABLE t ALTER v TYPE bigint USING v * 10; INSERT INTO t VALUES (-1, -1, 'new')`,
		"rewritten, quiet":    `ALTER TABLE t ALTER v TYPE bigint USING v * 10`,
		"another key":         `ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (v); UPDATE t SET id = 1 WHERE v > 100`,
		"vacuumed":            `VACUUM FULL t`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, `CREATE TABLE first (id int PRIMARY KEY)`)
			r.chunks(50, func(n int) {
				if n == 3 {
					for statement := range strings.SplitSeq(ddl, "; ") {
						r.sql(statement)
					}
				}
			})
			r.run()
			r.late("t", `CREATE TABLE t (id int PRIMARY KEY, v int, big text, more text DEFAULT 'm')`, `INSERT INTO t SELECT n, n, 'x' FROM generate_series(1, 500) n`)
			r.recopy("t")
			r.complete("t")
			r.shapeIsKnown("t")
			r.complete("t")
			r.sql(`INSERT INTO t (id, v) VALUES (9999, 9999)`)
			r.sync()
			r.same("t")
		})
	}
}

func TestTableDroppedDuringItsCopyIsDropped(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE first (id int PRIMARY KEY)`)
	r.chunks(50, func(n int) {
		if n == 3 {
			r.sql(`DROP TABLE t`)
		}
	})
	r.run()
	r.late("t", `CREATE TABLE t (id int PRIMARY KEY)`, `INSERT INTO t SELECT generate_series(1, 500)`)
	r.recopy("t")
	r.eventually("the log to say so", func() bool {
		at, _ := tableNamed(r, "t")
		return at.State.State == changelog.TableDropped
	})
	r.sql(`INSERT INTO first VALUES (1)`)
	r.sync()
	r.same("first")
}

func TestOperatorMayAskForTheCopyOfATableAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, v int)`, `INSERT INTO t SELECT n, n FROM generate_series(1, 300) n`)
	asked := false
	r.chunks(50, func(n int) {
		if n == 2 && !asked { // in the middle of the copy
			asked = true
			r.recopy("t")
		}
	})
	r.run()
	r.recopy("t")
	r.eventually("the second copy", func() bool {
		at, _ := tableNamed(r, "t")
		return at.State.State == changelog.TableComplete && asked
	})
	r.eventually("the third copy", func() bool {
		decisions := r.log.Catalog().Decisions()
		at, _ := tableNamed(r, "t")
		return len(decisions) == 2 && at.From > decisions[1].Offset && at.State.State == changelog.TableComplete
	})
	r.sync()
	r.same("t")
}

// A table without a key that one could read it by is copied as a whole, at the snapshot of a slot.
func TestTableThatHasNoOrderIsCopiedAsAWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE first (id int PRIMARY KEY)`, `CREATE TABLE amounts (m money PRIMARY KEY, v text)`)
	r.o.AppendOnly = []string{"public.events"}
	r.o.Tables = []string{"public.*"}
	r.sql(`CREATE TABLE events (v int)`)
	r.run()
	r.late("t", `CREATE TABLE t (id int, v text)`, `ALTER TABLE t REPLICA IDENTITY FULL`, `INSERT INTO t SELECT n, 'v' FROM generate_series(1, 100) n`)
	r.sql(`INSERT INTO amounts SELECT n, 'v' FROM generate_series(1, 100) n`, `INSERT INTO events SELECT generate_series(1, 100)`)
	for _, name := range []string{"t", "amounts", "events"} {
		before, _ := tableNamed(r, name)
		r.recopy(name)
		r.eventually("table "+name+" to be copied", func() bool {
			at, _ := tableNamed(r, name)
			return at.StateSince > before.StateSince && at.State.State == changelog.TableCopied
		})
	}
	r.sql(`UPDATE t SET v = 'w' WHERE id > 90`, `UPDATE amounts SET v = 'w' WHERE v = '5'`)
	r.sync()
	r.same("amounts")
	reads := map[string]int{}
	for _, c := range r.changes() {
		if c.op == changelog.OpRead {
			reads[c.table]++
		}
	}
	if reads["t"] != 100 || reads["events"] != 100 {
		t.Fatalf("rows read: %v", reads)
	}
}

func TestThrottledCopyKeepsToItsRate(t *testing.T) {
	t.Parallel()
	const rate, rows = 400, 600
	r := newRig(t, `CREATE TABLE first (id int PRIMARY KEY)`)
	r.o.CopyRowsPerSecond = rate
	r.run()
	r.late("t", `CREATE TABLE t (id int PRIMARY KEY)`, fmt.Sprintf(`INSERT INTO t SELECT generate_series(1, %d)`, rows))
	begun := time.Now()
	r.recopy("t")
	r.complete("t")
	// The first range is read at once.
	if took := time.Since(begun); took < (rows-rate/2)*time.Second/rate {
		t.Fatalf("%d rows came within %s at %d rows a second", rows, took, rate)
	}
	r.same("t")
}

// Nothing is known of the rows' width, so far more are asked for than fit: the session is given up rather than read to its end.
func TestWideRowsEndAChunkEarly(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE first (id int PRIMARY KEY)`)
	var chunks atomic.Int64
	r.tune = func(s *Source) { s.chunkDone = func(int) { chunks.Add(1) } }
	r.run()
	r.late("t", `CREATE TABLE t (id int PRIMARY KEY, big text)`, `INSERT INTO t SELECT n, repeat('x', 100000) || n FROM generate_series(1, 250) n`)
	r.recopy("t")
	r.complete("t")
	if got, want := r.table("t"), r.sourceTable("t"); !slices.Equal(got, want) {
		t.Fatalf("%d rows in the log, %d at the source", len(got), len(want))
	}
	r.readOnce("t")
	if n := chunks.Load(); n < 6 || n > 12 {
		t.Fatalf("%d chunks for 25 MB, want about one for each 4 MiB", n)
	}
}

// stuckServer is a server on which commits can be made to hang: they are in the WAL and reach the stream, and no view shows them,
// because the server waits for a standby that nobody is.
func stuckServer(t *testing.T) (r *rig, stick, loosen func()) {
	pg := own(t, nil)
	r = newRigOn(t, pg, `CREATE TABLE t (id int PRIMARY KEY, v int)`, `INSERT INTO t SELECT n, 0 FROM generate_series(1, 500) n`)
	set := func(names string) func() {
		return func() {
			r.sql(`ALTER SYSTEM SET synchronous_standby_names = '` + names + `'`)
			r.sql(`SELECT pg_reload_conf()`)
			r.eventually("the setting to be read", func() bool { return r.sql(`SHOW synchronous_standby_names`) == names })
			// Commits wait when the checkpointer has read it, too. The first checkpoint may have begun before it did.
			r.sql(`CHECKPOINT`, `CHECKPOINT`)
		}
	}
	return r, set("nobody"), set("")
}

// hangingUpdate commits an update that hangs, and waits until the log has it.
func (r *rig) hangingUpdate(id int) (done chan error) {
	r.Helper()
	done = make(chan error, 1)
	s := r.session()
	go func() {
		_, err := s.conn.Exec(context.WithoutCancel(r.Context()), fmt.Sprintf(`UPDATE t SET v = 1 WHERE id = %d`, id)).ReadAll()
		done <- err
	}()
	want := fmt.Sprintf(`u t  %d|1`, id)
	r.eventually("the update to be in the log", func() bool { return slices.Contains(r.texts(), want) })
	if got := r.sql(fmt.Sprintf(`SELECT v FROM t WHERE id = %d`, id)); got != "0" {
		r.Fatalf("the update can be seen: v = %s", got)
	}
	return done
}

// holdAfter has the copy of a table stand after so many chunks until release is called.
func (r *rig) holdAfter(chunks int) (release func()) {
	hold := make(chan struct{})
	release = sync.OnceFunc(func() { close(hold) })
	r.Cleanup(release) // before the capture is halted
	r.chunks(50, func(n int) {
		if n == chunks {
			<-hold
		}
	})
	return release
}

// underWay reports whether a chunk has been appended.
func (r *rig) underWay() bool {
	at, _ := tableNamed(r, "t")
	return at.State.Cursor != ""
}

// waitsThenEnds makes sure that the copy does not end while the commit hangs, and that it does afterwards.
func (r *rig) waitsThenEnds(ended func() bool, loosen func(), done chan error) {
	r.Helper()
	r.eventually("the copy to say what it waits for, or its end", func() bool {
		p := r.src.Progress().Copy
		return ended() || p != nil && strings.Contains(p.Current, "waiting for")
	})
	if ended() {
		r.Error("the copy ended at views that did not show what the log held")
	}
	loosen()
	if err := <-done; err != nil {
		r.Fatal(err)
	}
	r.eventually("the copy to end", ended)
	r.sync()
	r.same("t")
}

// A commit that waits for a standby is in the log before any view shows it. A chunk of such a view would bring the row of before.
func TestG2ChunkViewMustHoldWhatIsStreamed(t *testing.T) {
	t.Parallel()
	t.Run("during the copy", func(t *testing.T) {
		t.Parallel()
		r, stick, loosen := stuckServer(t)
		release := r.holdAfter(2)
		r.run()
		r.recopy("t")
		r.eventually("the copy to be under way", r.underWay)
		stick()
		done := r.hangingUpdate(490)
		release()
		r.waitsThenEnds(func() bool { return r.isComplete("t") }, loosen, done)
	})
	t.Run("before the copy", func(t *testing.T) {
		t.Parallel()
		r, stick, loosen := stuckServer(t)
		r.chunks(50, nil)
		r.run()
		stick()
		done := r.hangingUpdate(490)
		r.recopy("t")
		r.waitsThenEnds(func() bool { return r.isComplete("t") }, loosen, done)
	})
	t.Run("before a restart", func(t *testing.T) {
		t.Parallel()
		r, stick, loosen := stuckServer(t)
		release := r.holdAfter(2)
		r.run()
		r.recopy("t")
		r.eventually("the copy to be under way", r.underWay)
		stick()
		done := r.hangingUpdate(490)
		r.stop()
		release()
		r.restart()
		r.waitsThenEnds(func() bool { return r.isComplete("t") }, loosen, done)
	})
}

func TestCursorsKeepWhatTheyAreGiven(t *testing.T) {
	for _, values := range [][]string{{"1"}, {`a"b`, `\`, "'", "<&>", "ä\u2028\x01", ""}} {
		text, err := writeCursor(values)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readCursor(text); err != nil || !slices.Equal(got, values) {
			t.Errorf("%q came back as %q, %v", values, got, err)
		}
	}
}

func TestSnapshotShowsWhatHasEndedBeforeIt(t *testing.T) {
	v, err := parseSnapshot("100:110:100,105")
	if err != nil {
		t.Fatal(err)
	}
	for xid, want := range map[uint64]bool{1: true, 99: true, 100: false, 101: true, 105: false, 109: true, 110: false, 1 << 40: false} {
		if got := v.shows(xid); got != want {
			t.Errorf("transaction %d is shown: %t, want %t", xid, got, want)
		}
	}
	p := newPassed(0, func() {})
	p.note(true)
	p.transaction(99, 1)
	p.transaction(105, 2)
	before := p.place()
	p.transaction(120, 3)
	if xid, ok := p.hidden(v, before); !ok || xid != 105 {
		t.Errorf("hidden is %d, %t, want 105", xid, ok)
	}
	if v, err = parseSnapshot("110:112:"); err != nil {
		t.Fatal(err)
	}
	if xid, ok := p.hidden(v, before); ok {
		t.Errorf("hidden is %d, which came after the view was asked for", xid)
	}
	for _, text := range []string{"", "1:2", "x:2:", "1:2:3,", "1:2:-3"} {
		if _, err := parseSnapshot(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
