package postgres

import (
	"slices"
	"strings"
	"testing"

	"cdc/changelog"
)

func TestAddedColumnWithAConstantDefaultReadsItInOlderRows(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TYPE mood AS ENUM ('sad', 'ok')`, `CREATE DOMAIN dm AS numeric(6,2)`, `CREATE TABLE t (id int PRIMARY KEY)`, `INSERT INTO t SELECT generate_series(1, 3)`)
	r.run()
	r.sql(`ALTER TABLE t ADD a text DEFAULT 'x,"y"', ADD b int NOT NULL DEFAULT 7, ADD c timestamptz DEFAULT '2024-01-02 03:04:05+00',
ADD d numeric, ADD e mood DEFAULT 'ok', ADD f int[] DEFAULT '{1,NULL}', ADD g money DEFAULT '-1.5', ADD h dm DEFAULT 1.5`, `INSERT INTO t (id) VALUES (4)`)
	r.sync()
	r.same("t")
	if got := r.copies(); got != 1 {
		t.Fatalf("%d copies, want only the first", got)
	}
	r.restart()
	r.sql(`UPDATE t SET a = 'z' WHERE id = 1`)
	r.sync()
	r.same("t")
}

// copies counts the units with which a copy was whole.
func (r *rig) copies() int {
	n := 0
	r.units(func(u *changelog.Unit) {
		if slices.ContainsFunc(r.log.Catalog().TablesAt(u.Meta.Commit()), func(t changelog.TableAt) bool {
			return t.StateSince == u.Meta.Commit() && t.State.State.Known()
		}) {
			n++
		}
	})
	return n
}

func TestDroppedRenamedAndReaddedColumnsAreNotConfused(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, a text, b text)`, `INSERT INTO t VALUES (1, 'a1', 'b1')`)
	r.run()
	r.sql(`ALTER TABLE t RENAME a TO z`, `INSERT INTO t VALUES (2, 'a2', 'b2')`)
	r.sync()
	r.same("t")
	r.sql(`ALTER TABLE t DROP b`)
	r.shapeIsKnown("t")
	r.sql(`INSERT INTO t VALUES (3, 'a3')`)
	r.sync()
	r.sql(`ALTER TABLE t ADD b text`, `INSERT INTO t VALUES (4, 'a4', 'b4')`)
	r.sync()
	if got := r.table("t"); !slices.Equal(got, []string{`1|a1|\N`, `2|a2|\N`, `3|a3|\N`, `4|a4|b4`}) {
		t.Fatalf("table t: %q", got)
	}
	if got := r.copies(); got != 1 {
		t.Fatalf("%d copies, want only the first", got)
	}
	// A change in between would have looked the same: which column it meant cannot be known.
	r.sql(`ALTER TABLE t DROP b`, `ALTER TABLE t ADD b text`, `INSERT INTO t VALUES (5, 'a5', 'b5')`)
	r.copiedAgain("t")
}

// A change that rewrites stored rows sends none of them: the table cannot be answered for from that commit until it was copied again.
func TestG2RewrittenTableIsCopiedAgain(t *testing.T) {
	t.Parallel()
	for name, ddl := range map[string]string{
		"type with USING":  `ALTER TABLE t ALTER v TYPE bigint USING v * 10`,
		"volatile default": `ALTER TABLE t ADD w text DEFAULT gen_random_uuid()::text`,
		"identity column":  `ALTER TABLE t ADD w int GENERATED ALWAYS AS IDENTITY`,
		"narrower numeric": `ALTER TABLE t ALTER n TYPE numeric(6,1)`,
		"same type, USING": `ALTER TABLE t ALTER v TYPE int USING v * 10`,
		"another key":      `ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (v)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, v int, n numeric(8,3))`, `INSERT INTO t SELECT i, i, i/3.0 FROM generate_series(1, 100) i`,
				`CREATE TABLE other (id int PRIMARY KEY)`)
			r.run()
			r.sql(ddl, `INSERT INTO t (id, v, n) VALUES (1000, 1000, 1)`, `INSERT INTO other VALUES (1)`)
			r.eventually("the table to be copied again", func() bool { return r.copies() == 2 })
			r.sql(`UPDATE t SET n = n + 1 WHERE id > 90`)
			r.sync()
			r.same("t", "other")
			at, _ := tableNamed(r, "t")
			if !at.Answerable() {
				t.Fatalf("state %+v", at.State)
			}
			r.wasRewritten(at)
		})
	}
}

// wasRewritten makes sure that the log did not answer for the table between the rewrite and the end of its copy.
func (r *rig) wasRewritten(at changelog.TableAt) {
	r.Helper()
	if before, ok := r.log.Catalog().TableAt(at.Table.ID, at.From-1); !ok || before.State.State != changelog.TableRewritten {
		r.Fatalf("state before the copy: %+v", before.State)
	}
	if during, ok := r.log.Catalog().TableAt(at.Table.ID, at.StateSince-1); !ok || during.Answerable() {
		r.Fatalf("state during the copy: %+v", during.State)
	}
}

func TestVacuumFullAndTruncateAreNoRewrites(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, v int)`, `INSERT INTO t VALUES (1, 1)`)
	r.run()
	r.sql(`VACUUM FULL t`, `INSERT INTO t VALUES (2, 2)`, `TRUNCATE t`, `INSERT INTO t VALUES (3, 3)`)
	r.sync()
	r.same("t")
	if got := r.copies(); got != 1 {
		t.Fatalf("%d copies, want only the first", got)
	}
}

func TestPublicationOfFewerOperationsUntracksItsTables(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	r.sql(`ALTER PUBLICATION ` + r.slotName() + ` SET (publish = 'insert, update, truncate')`)
	r.eventually("the log to say so", func() bool {
		at, _ := tableNamed(r, "t")
		return at.State.State == changelog.TableUntracked
	})
}

func TestWidenedTypesAreNotCopiedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, v varchar(5), n numeric(8,3))`, `INSERT INTO t VALUES (1, 'a', 1.5)`)
	r.run()
	r.sql(`ALTER TABLE t ALTER v TYPE text, ALTER n TYPE numeric(12,3)`, `INSERT INTO t VALUES (2, 'longer than five', 123456789.125)`)
	r.sync()
	r.same("t")
	if got := r.copies(); got != 1 {
		t.Fatalf("%d copies, want only the first", got)
	}
}

func TestRewriteThatNobodyFollowedIsCopiedAgainAfterARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, v int)`, `INSERT INTO t SELECT i, i FROM generate_series(1, 100) i`)
	r.run()
	r.halt()
	r.sql(`ALTER TABLE t ALTER v TYPE text USING 'v' || v`, `INSERT INTO t VALUES (1000, 'x')`, `ALTER TABLE t ALTER v TYPE varchar(9)`, `ALTER TABLE t RENAME v TO w`)
	r.err = nil
	r.start()
	r.eventually("the table to be copied again", func() bool { return r.copies() == 2 })
	r.sync()
	r.same("t")
}

func TestColumnOfATypeWithoutABinaryFormTurnsTheStreamToText(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, f float8)`, `INSERT INTO t VALUES (1, 0.1)`)
	r.run()
	r.sql(`ALTER TABLE t ADD p int4range`, `INSERT INTO t VALUES (2, 0.2, '[1,5)')`)
	r.sync()
	r.same("t")
	if !r.src.textOnly.Load() {
		t.Fatal("the stream is still binary")
	}
}

func TestRenamedTableGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `INSERT INTO t VALUES (1)`)
	r.run()
	before, _ := tableNamed(r, "t")
	r.sql(`ALTER TABLE t RENAME TO t2`, `INSERT INTO t2 VALUES (2)`)
	r.sync()
	after, ok := tableNamed(r, "t2")
	if !ok || after.Table.ID != before.Table.ID || !after.Answerable() {
		t.Fatalf("t2 is %+v", after)
	}
}

func TestTableMadeLaterAndDroppedOneAreReported(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `INSERT INTO t VALUES (1)`, `CREATE TABLE keep (id int PRIMARY KEY)`)
	r.run()
	old, _ := tableNamed(r, "t")
	r.sql(`DROP TABLE t`, `CREATE TABLE t (id int PRIMARY KEY)`, `INSERT INTO t VALUES (2)`)
	r.eventually("the new table to be recorded as untracked", func() bool {
		at, _ := tableNamed(r, "t")
		return at.Table.ID != old.Table.ID && at.State.State == changelog.TableUntracked
	})
	r.sql(`CREATE TABLE later (id int PRIMARY KEY)`) // when this one is known, the first has been looked at again
	r.eventually("a later table to be recorded", func() bool {
		_, ok := tableNamed(r, "later")
		return ok
	})
	at, _ := tableNamed(r, "t")
	for n := range r.log.Bounds().Next {
		if at, ok := r.log.Catalog().TableAt(at.Table.ID, n); ok && at.State.State != changelog.TableUntracked {
			t.Fatalf("at %d the new table is %+v", n, at.State)
		}
	}
	r.eventually("the old table to be recorded as dropped", func() bool {
		at, _ := r.log.Catalog().TableAt(old.Table.ID, newest)
		return at.State.State == changelog.TableDropped
	})
	if got := strings.Join(r.src.Progress().Untracked, "; "); !strings.Contains(got, `"public"."t" was made after the copy`) {
		t.Fatalf("untracked: %q", got)
	}
	r.sync()
	events := r.log.Bounds().Next
	r.restart()
	r.sync()
	r.eventually("the table to be reported after the restart", func() bool {
		return strings.Contains(strings.Join(r.src.Progress().Untracked, "; "), `"public"."t"`)
	})
	controls := 0
	r.units(func(u *changelog.Unit) {
		if u.Meta.Kind == changelog.UnitControl && u.Meta.First >= events {
			controls++
		}
	})
	if controls != 0 {
		t.Fatalf("%d control records after the restart, want none", controls)
	}
}

func TestTableMadeLaterIsCopiedWhenAnOperatorAsksForIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	r.sql(`CREATE TABLE late (id int PRIMARY KEY, v text)`, `INSERT INTO late SELECT i, 'v' FROM generate_series(1, 100) i`)
	r.eventually("the table to be seen", func() bool {
		_, ok := tableNamed(r, "late")
		return ok
	})
	at, _ := tableNamed(r, "late")
	var u changelog.UnitBuilder
	u.Reset(changelog.UnitControl)
	u.Meta.Source, u.Meta.Epoch = 1, 1
	u.AddDecision(changelog.Decision{Action: actionRecopy, Table: at.Table.ID})
	if _, err := r.log.Append(t.Context(), &u); err != nil {
		t.Fatal(err)
	}
	r.eventually("the table to be copied", func() bool {
		at, _ := tableNamed(r, "late")
		return at.Answerable()
	})
	r.sql(`UPDATE late SET v = 'w' WHERE id > 50`)
	r.sync()
	r.same("late", "t")
}

func TestTableTakenOutOfThePublicationIsUntracked(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE TABLE u (id int PRIMARY KEY)`)
	r.run()
	r.sql(`ALTER PUBLICATION ` + r.slotName() + ` DROP TABLE t`)
	r.eventually("the log to say so", func() bool {
		at, _ := tableNamed(r, "t")
		return at.State.State == changelog.TableUntracked
	})
}

func TestG2DroppedPublicationIsANamedStop(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.o.WatchEvery = patience
	r.run()
	r.sql(`DROP PUBLICATION `+r.slotName(), `INSERT INTO t VALUES (1)`)
	r.wantStop(changelog.StopSchema, "publication")
}
