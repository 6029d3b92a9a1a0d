package postgres

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/schema"
)

// Goal: rows that are read again while their table changes, is altered, or the capture is cut off, leave the log's table as the source
// has it, or say why not.
//
// Method: small chunks, and a hook behind each that does the worst.

// reread asks for rows of a table, and gives the reread as the log has it by now.
func (r *rig) reread(name, predicate string) func() changelog.RereadRecord {
	r.Helper()
	at, ok := tableNamed(r, name)
	if !ok {
		r.Fatalf("the log does not know table %s", name)
	}
	var u changelog.UnitBuilder
	u.Reset(changelog.UnitControl)
	u.Meta.Source, u.Meta.Epoch = 1, r.log.Catalog().Sources()[0].Epoch
	u.AddDecision(changelog.Decision{Action: changelog.ActionReread, Table: at.Table.ID, Detail: predicate})
	n := len(r.log.Catalog().Rereads())
	if _, err := r.log.Append(r.Context(), &u); err != nil {
		r.Fatal(err)
	}
	return func() changelog.RereadRecord { return r.log.Catalog().Rereads()[n] }
}

// over waits until a reread is, and returns the reason when it did not come to its end.
func (r *rig) over(reread func() changelog.RereadRecord) (why string) {
	r.Helper()
	r.eventually("the reread to be over", func() bool { return reread().Last.Stage.Over() })
	return reread().Last.Detail
}

// readAgain are the rows of the table that have come with op r since the reread was asked for.
func (r *rig) readAgain(name string, asked changelog.RereadRecord) (rows []string) {
	r.Helper()
	for _, c := range r.changes() {
		if c.table == name && c.op == changelog.OpRead && c.meta.Commit() > asked.Asked.Offset {
			rows = append(rows, c.after)
		}
	}
	return rows
}

const rereadTable = `CREATE TABLE t (id int PRIMARY KEY, v int, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
	INSERT INTO t SELECT n, n % 5, repeat('x', 2300) || n FROM generate_series(1, 1500) n`

func TestG2G6RowsOfABusyTableAreReadAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, rereadTable)
	r.chunks(100, func(int) {
		if p := r.src.Progress().Copy; p == nil || p.RowsEstimated == 0 || p.Current != "shop.public.t" {
			t.Errorf("the progress does not say how far the rows are: %+v", p)
		}
	})
	r.run()
	before, _ := tableNamed(r, "t")
	r.busily("t", func() {
		for range 3 {
			reread := r.reread("t", "v % 2 = 0 AND length(big) > 10")
			if why := r.over(reread); why != "" {
				t.Fatal(why)
			}
			r.equalAtPositions("t", 1)
		}
	})
	r.sync()
	r.same("t")
	if at, _ := tableNamed(r, "t"); at.StateSince != before.StateSince {
		t.Fatalf("the table's state has changed: %+v", at)
	}
}

// A row that the log has lost comes back, one that does not match stays lost, and what the source does not have stays.
func TestRowsThatTheLogLacksComeWithTheReread(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, v text)`, `INSERT INTO t SELECT n, 'first' FROM generate_series(1, 20) n`)
	r.run()
	r.lose("t", 3, 4, 13)
	reread := r.reread("t", "id BETWEEN 3 AND 7 AND id <> 4")
	if why := r.over(reread); why != "" {
		t.Fatal(why)
	}
	r.sync()
	if got := r.readAgain("t", reread()); !slices.Equal(got, []string{"3|first", "5|first", "6|first", "7|first"}) {
		t.Fatalf("read again: %q", got)
	}
	got, want := r.table("t"), r.sourceTable("t")
	if lost := except(want, got); len(got) != 18 || !slices.Equal(lost, []string{"4|first", "13|first"}) && !slices.Equal(lost, []string{"13|first", "4|first"}) {
		t.Fatalf("%d rows in the log, which lacks %q", len(got), lost)
	}
}

// lose has the log say that rows are gone which the source has.
func (r *rig) lose(name string, ids ...int64) {
	r.Helper()
	at, _ := tableNamed(r, name)
	now := r.log.Catalog().Progress(1)
	var u changelog.UnitBuilder
	u.Reset(changelog.UnitTx)
	u.Meta = changelog.UnitMeta{Kind: changelog.UnitTx, Source: 1, Epoch: now.Epoch, Position: now.Position, Clock: now.Clock}
	for _, id := range ids {
		var b schema.Builder
		b.Reset(at.Table.Layout(), nil)
		b.Int(0, id)
		key, err := b.Finish()
		if err != nil {
			r.Fatal(err)
		}
		u.RowChange(changelog.OpDelete, at.Table, changelog.ImageKey, key, nil, nil)
	}
	if _, err := r.log.Append(r.Context(), &u); err != nil {
		r.Fatal(err)
	}
}

// A capture that is killed goes on behind the last chunk that the log holds. Rows that match no longer by then are left alone.
func TestG8RereadKilledAtEveryChunkGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, v int, big text)`, `INSERT INTO t SELECT n, n, 'x' FROM generate_series(1, 3000) n`)
	var killing atomic.Bool
	r.chunks(100, func(int) {
		if killing.Load() {
			r.stop()
		}
	})
	r.run()
	reread := r.reread("t", "id % 2 = 0 AND big = 'x'")
	killing.Store(true)
	runs := 1
	for ; ; runs++ {
		_ = r.stopError()
		over := reread().Last.Stage.Over()
		r.halt()
		r.err = nil
		if over {
			break
		}
		r.sql(fmt.Sprintf(`UPDATE t SET v = -v WHERE id %% 7 = %d; UPDATE t SET big = 'y' WHERE id > 2000 AND id %% 10 = 4; DELETE FROM t WHERE id %% 100 = %d`, runs%7, runs))
		r.start()
	}
	killing.Store(false)
	r.run()
	if r := reread(); r.Last.Stage != changelog.RereadComplete {
		t.Fatalf("%+v", r)
	}
	r.same("t")
	seen := map[string]bool{}
	for _, row := range r.readAgain("t", reread()) {
		key, _, _ := strings.Cut(row, "|")
		if seen[key] {
			t.Fatalf("row %s was read twice", row)
		}
		seen[key] = true
	}
	if runs < 10 || len(seen) < 1200 || len(seen) > 1450 {
		t.Fatalf("%d runs, %d rows of 1500 that matched at first", runs, len(seen))
	}
}

// What is done to a table while its rows are read again ends in the table as it is, and in a reason when the rest could not be read.
func TestG2TableAlteredDuringItsReread(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ddl string
		why string
	}{
		"predicate's column dropped": {`ALTER TABLE t DROP more; UPDATE t SET v = 0 WHERE id > 400`, `column "more" does not exist`},
		"predicate's column renamed": {`ALTER TABLE t RENAME more TO less; UPDATE t SET v = 0 WHERE id > 400`, `column "more" does not exist`},
		"predicate's type changed":   {`ALTER TABLE t ALTER more DROP DEFAULT, ALTER more TYPE bytea USING more::bytea`, "does not hold the whole table"},
		"other column dropped":       {`ALTER TABLE t DROP big; UPDATE t SET v = 0 WHERE id > 400`, ""},
		"column added":               {`ALTER TABLE t ADD w int DEFAULT 7; UPDATE t SET w = 8 WHERE id > 400`, ""},
		"column added, quiet":        {`ALTER TABLE t ADD w int DEFAULT 7`, ""},
		"truncate":                   {`TRUNCATE t; INSERT INTO t SELECT n, n, 'new' FROM generate_series(1, 30) n`, ""},
		"vacuumed":                   {`VACUUM FULL t`, ""},
		"another key":                {`ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (v); UPDATE t SET id = 1 WHERE v > 100`, "does not hold the whole table"},
		"rewritten":                  {`ALTER TABLE t ALTER v TYPE bigint USING v * 10; INSERT INTO t VALUES (-1, -1, 'new')`, "does not hold the whole table"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL, big text, more text DEFAULT 'm')`,
				`INSERT INTO t SELECT n, n, 'x' FROM generate_series(1, 500) n`)
			r.chunks(20, func(n int) {
				if n == 3 {
					for statement := range strings.SplitSeq(test.ddl, "; ") {
						r.sql(statement)
					}
				}
			})
			r.run()
			reread := r.reread("t", "more = 'm' AND id % 2 = 0")
			why := r.over(reread)
			if (why == "") != (test.why == "") || !strings.Contains(why, test.why) {
				t.Errorf("ended with %q, want %q", why, test.why)
			}
			r.eventually("the table to be held", func() bool { at, _ := tableNamed(r, "t"); return at.Answerable() })
			r.shapeIsKnown("t")
			r.eventually("the table to be held", func() bool { at, _ := tableNamed(r, "t"); return at.Answerable() })
			r.sql(`INSERT INTO t (id, v) VALUES (9999, 9999)`)
			r.sync()
			r.same("t")
		})
	}
}

func TestTableDroppedDuringItsReread(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE first (id int PRIMARY KEY)`, `CREATE TABLE t (id int PRIMARY KEY)`, `INSERT INTO t SELECT generate_series(1, 500)`)
	r.chunks(50, func(n int) {
		if n == 3 {
			r.sql(`DROP TABLE t`)
		}
	})
	r.run()
	if why := r.over(r.reread("t", "id > 0")); why == "" {
		t.Fatal("the reread came to its end")
	}
	r.sql(`INSERT INTO first VALUES (1)`)
	r.sync()
	r.same("first")
}

// Errors that come with a row, in the middle of the table, and what a predicate may not do.
func TestPredicateThatFailsOnARowEndsTheReread(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, v int)`, `INSERT INTO t SELECT n, 400 - n FROM generate_series(1, 500) n`,
		`CREATE SEQUENCE s`, `CREATE TABLE amounts (m money PRIMARY KEY)`)
	r.chunks(20, nil)
	r.run()
	for predicate, why := range map[string]string{
		"1000 / v > 0": "division by zero", "nextval('public.s') > 0": "read-only transaction", "id = $1": "'$'",
		"id = 1) ORDER BY id LIMIT 1 --": "has not opened", "count(*) > 1": "aggregate",
	} {
		if got := r.over(r.reread("t", predicate)); !strings.Contains(got, why) {
			t.Errorf("%s: ended with %q, want %q", predicate, got, why)
		}
	}
	if got := r.over(r.reread("amounts", "true")); !strings.Contains(got, "order of its key") {
		t.Errorf("a key without an order: %q", got)
	}
	r.sql(`UPDATE t SET v = 1`)
	r.sync()
	r.same("t")
}

// A reread that waits when the whole table is copied is done with it; it keeps to the rate of copies.
func TestRereadBehindAWholeCopy(t *testing.T) {
	t.Parallel()
	const rate, rows = 400, 600
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, fmt.Sprintf(`INSERT INTO t SELECT generate_series(1, %d)`, rows))
	r.o.CopyRowsPerSecond = rate
	r.run()
	begun := time.Now()
	first := r.reread("t", "id > 0")
	second := r.reread("t", "id > 1")
	r.recopy("t")
	if why := r.over(first) + r.over(second); why != "" {
		t.Fatal(why)
	}
	if took := time.Since(begun); took < (rows-rate/2)*time.Second/rate {
		t.Fatalf("%d rows came within %s at %d rows a second", rows, took, rate)
	}
	r.sync()
	r.same("t")
}
