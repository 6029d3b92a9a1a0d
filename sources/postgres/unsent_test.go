package postgres

import (
	"testing"

	"cdc/changelog"
)

// Goal: the server changes stored rows without sending them, or names them in another way than the catalogue does by the time we read
// it, and the log does not show rows that the source does not have.
//
// Method: each statement is met in the worst way: nothing is written to the table afterwards, or nobody follows the stream, so that
// the catalogue is later than what is read. In the end log and source are compared.

// copiedAgain waits until the table has been copied again, and compares.
func (r *rig) copiedAgain(table string) {
	r.Helper()
	r.eventually("the table to be copied again", func() bool { return r.copies() == 2 })
	r.sync()
	r.same(table)
	at, _ := tableNamed(r, table)
	if !at.Answerable() {
		r.Fatalf("state %+v", at.State)
	}
	r.wasRewritten(at)
}

// away runs statements that nobody follows.
func (r *rig) away(statements ...string) {
	r.Helper()
	r.halt()
	r.sql(statements...)
	r.err = nil
	r.start()
	r.sync()
}

func TestG2RowsThatComeAndGoWithPartitionsAreCopied(t *testing.T) {
	t.Parallel()
	for name, ddl := range map[string]string{
		"drop":     `DROP TABLE p1`,
		"detach":   `ALTER TABLE p DETACH PARTITION p1`,
		"truncate": `TRUNCATE p1`,
		"attach": `CREATE TABLE p3 (id int, day int, v text, PRIMARY KEY (id, day)); INSERT INTO p3 VALUES (7, 25, 'x');
ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, `CREATE TABLE p (id int, day int, v text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)`,
				`CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (10)`, `CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)`,
				`INSERT INTO p SELECT i, i % 19 + 1, 'v' FROM generate_series(1, 100) i`)
			r.run()
			r.sql(ddl, `INSERT INTO p VALUES (1000, 12, 'new')`)
			r.copiedAgain("p")
		})
	}
}

// New partitions are made every day; they bring no rows of their own.
func TestNewPartitionIsNotCopied(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE p (id int, day int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)`,
		`CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (10)`, `INSERT INTO p SELECT i, 5 FROM generate_series(1, 100) i`)
	r.run()
	r.sql(`CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)`, `ALTER TABLE p2 OWNER TO CURRENT_USER`, `ALTER TABLE p2 RENAME TO p_two`,
		`BEGIN; CREATE TABLE p3 (LIKE p INCLUDING ALL); ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30); COMMIT`,
		`INSERT INTO p VALUES (1000, 15), (1001, 25)`)
	r.shapeIsKnown("p")
	r.same("p")
	if got := r.copies(); got != 1 {
		t.Fatalf("%d copies, want only the first", got)
	}
}

// shapeIsKnown waits until the log has the table's shape as it is.
func (r *rig) shapeIsKnown(table string) {
	r.Helper()
	r.sync()
	c, err := r.src.openCatalog(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	defer c.close()
	r.eventually("the log to know how the table is stored", func() bool {
		at, _ := tableNamed(r, table)
		shapes, err := c.readShapes(r.Context(), []uint32{at.Table.SourceTable}, r.src.publications())
		return err == nil && shapes[at.Table.SourceTable].String() == at.Shape
	})
}

func TestG2RewriteWithoutALaterChangeIsCopied(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, v int)`, `INSERT INTO t SELECT i, i FROM generate_series(1, 100) i`)
	r.run()
	r.sql(`ALTER TABLE t ALTER v TYPE bigint USING v * 10`)
	r.copiedAgain("t")
}

func TestG2RewriteThatKeepsTheTypeIsCopiedAfterARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, v int)`, `INSERT INTO t SELECT i, i FROM generate_series(1, 100) i`)
	r.run()
	r.away(`ALTER TABLE t ALTER v TYPE int USING v * 10`, `INSERT INTO t VALUES (1000, 1)`)
	r.copiedAgain("t")
	r.restart()
	r.sync()
	r.shapeIsKnown("t")
	if got := r.copies(); got != 2 {
		t.Fatalf("%d copies, want 2", got)
	}
}

// Migrations add a column with a default for the rows there are, and drop the default.
func TestG2ColumnWhoseVolatileDefaultIsGoneIsCopied(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `INSERT INTO t SELECT generate_series(1, 100)`)
	r.run()
	r.sql(`ALTER TABLE t ADD w text DEFAULT gen_random_uuid()::text`, `ALTER TABLE t ALTER w DROP DEFAULT`, `INSERT INTO t VALUES (1000)`)
	r.copiedAgain("t")
}

func TestG2RenamedLabelOfAnEnumIsCopied(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TYPE mood AS ENUM ('sad', 'ok')`, `CREATE DOMAIN dm AS mood`, `CREATE TABLE t (id int PRIMARY KEY, m dm[])`, `INSERT INTO t VALUES (1, '{ok}')`)
	r.run()
	r.sql(`ALTER TYPE mood ADD VALUE 'great'`, `INSERT INTO t VALUES (2, '{great}')`)
	r.shapeIsKnown("t")
	if got := r.copies(); got != 1 {
		t.Fatalf("%d copies, want only the first", got)
	}
	r.sql(`ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'`)
	r.copiedAgain("t")
}

func TestG2NewFieldOfACompositeIsCopied(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TYPE pair AS (a int, b text)`, `CREATE TABLE t (id int PRIMARY KEY, p pair)`, `INSERT INTO t VALUES (1, '(1,x)')`)
	r.run()
	r.sql(`ALTER TYPE pair ADD ATTRIBUTE c int`)
	r.copiedAgain("t")
}

func TestG2ColumnMadeAgainWhileTheLogIsBehindIsCopied(t *testing.T) {
	t.Parallel()
	for name, statements := range map[string][]string{
		"dropped and made again": {`ALTER TABLE t DROP b`, `ALTER TABLE t ADD b text`},
		"made twice": {
			`ALTER TABLE t ADD c text`, `INSERT INTO t VALUES (4, 'a4', 'b4', 'c4')`, `ALTER TABLE t DROP c`,
			`ALTER TABLE t ADD c text`,
		},
		"name taken over": {`ALTER TABLE t RENAME b TO z`, `ALTER TABLE t ADD b text`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, a text, b text)`, `INSERT INTO t VALUES (1, 'a1', 'b1')`)
			r.run()
			r.away(append(append([]string{`INSERT INTO t VALUES (2, 'a2', 'b2')`}, statements...), `INSERT INTO t VALUES (3, 'a3', 'b3')`)...)
			r.copiedAgain("t")
		})
	}
}

// Names that have only moved among the columns there are leave no doubt, however late the catalogue is.
func TestNamesThatMovedWhileTheLogWasBehindAreFollowed(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY, a text, b text)`, `INSERT INTO t VALUES (1, 'a1', 'b1')`)
	r.run()
	r.away(`INSERT INTO t VALUES (2, 'a2', 'b2')`, `ALTER TABLE t RENAME a TO c`, `ALTER TABLE t RENAME b TO a`, `ALTER TABLE t RENAME c TO b`,
		`INSERT INTO t VALUES (3, 'b3', 'a3')`)
	r.same("t")
	if got := r.copies(); got != 1 {
		t.Fatalf("%d copies, want only the first", got)
	}
}

// What is committed while a table is out of the publication is never sent, and nothing in the stream says so.
func TestG2TableThatWasOutOfThePublicationIsCopied(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE TABLE u (id int PRIMARY KEY)`)
	r.run()
	publication := r.slotName()
	r.away(`ALTER PUBLICATION `+publication+` DROP TABLE t`, `INSERT INTO t VALUES (1)`, `ALTER PUBLICATION `+publication+` ADD TABLE t`)
	r.copiedAgain("t")
	r.away(`ALTER PUBLICATION `+publication+` SET (publish = 'delete')`, `INSERT INTO u VALUES (1)`,
		`ALTER PUBLICATION `+publication+` SET (publish = 'insert, update, delete, truncate')`)
	r.eventually("the table to be copied again", func() bool { return r.copies() >= 3 })
	r.eventually("both tables to be whole", func() bool {
		t, _ := tableNamed(r, "t")
		u, _ := tableNamed(r, "u")
		return t.Answerable() && u.Answerable()
	})
	r.sync()
	r.same("t", "u")
}

// A publication that was made after the slot is not there in the past that the slot reads.
func TestG2PublicationMadeAfterTheSlotIsANamedStop(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	r.halt()
	r.sql(`DROP PUBLICATION `+r.slotName(), `INSERT INTO t VALUES (1)`, `CREATE PUBLICATION `+r.slotName()+` FOR TABLE t`, `INSERT INTO t VALUES (2)`)
	r.err = nil
	r.start()
	r.wantStop(changelog.StopSchema, "publication")
}
