package mysql

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/schema"
	"cdc/sources/sourcetest"
)

// alteration is a change of a table, which is (id, v, n, e) with some rows.
type alteration struct {
	name string
	ddl  string
	// again says that the table must be copied again: the server has changed stored rows without sending them.
	again bool
	// only is the flavour that has the statement, if one only.
	only testservers.Flavour
}

var alterations = []alteration{
	{name: "add_nullable", ddl: "ADD x int"},
	{name: "add_default", ddl: "ADD x int DEFAULT 7, ADD y varchar(20) NOT NULL DEFAULT 'it''s \"x\"', ADD z decimal(8,3) DEFAULT 1.5"},
	{name: "add_first", ddl: "ADD x int DEFAULT 7 FIRST, ADD y int AFTER id"},
	{name: "add_not_null", ddl: "ADD x int NOT NULL, ADD y varchar(9) NOT NULL, ADD z bigint unsigned NOT NULL"},
	{name: "add_temporal", ddl: "ADD x date DEFAULT '2024-02-29', ADD y datetime(3) DEFAULT '2024-01-02 03:04:05.678', ADD z time DEFAULT '-12:30:00'"},
	{name: "add_double", ddl: "ADD x double DEFAULT 2.5, ADD y tinyint unsigned DEFAULT 255"},
	{name: "add_expression", ddl: "ADD x varchar(40) DEFAULT (concat('u', 1 + 1))", again: true},
	{name: "add_now", ddl: "ADD x datetime NOT NULL DEFAULT CURRENT_TIMESTAMP", again: true},
	{name: "add_generated", ddl: "ADD x int GENERATED ALWAYS AS (n * 2) STORED", again: true},
	{name: "drop_column", ddl: "DROP v"},
	{name: "drop_and_add", ddl: "DROP v, ADD w varchar(20) DEFAULT 'new' AFTER id"},
	{name: "drop_and_add_again", ddl: "DROP v, ADD v varchar(20) DEFAULT 'new' AFTER id", again: true},
	{name: "rename_column", ddl: "RENAME COLUMN v TO w"},
	{name: "change_column", ddl: "CHANGE v w varchar(20)"},
	{name: "swap_columns", ddl: "RENAME COLUMN v TO w, RENAME COLUMN n TO v"},
	{name: "exchange_columns", ddl: "RENAME COLUMN v TO n, RENAME COLUMN n TO v"},
	{name: "move_column", ddl: "MODIFY v varchar(20) AFTER e"},
	{name: "widen_text", ddl: "MODIFY v varchar(60)"},
	{name: "widen_enum", ddl: "MODIFY e enum('a', 'b', 'c')"},
	{name: "reorder_enum", ddl: "MODIFY e enum('b', 'a')", again: true},
	{name: "narrow_text", ddl: "MODIFY v varchar(3)", again: true},
	{name: "other_type", ddl: "MODIFY n varchar(20)", again: true},
	{name: "other_charset", ddl: "CONVERT TO CHARACTER SET latin1", again: true},
	{name: "not_null", ddl: "MODIFY v varchar(20) NOT NULL", again: true},
	{name: "nullable", ddl: "MODIFY n int NULL DEFAULT 3"},
	{name: "add_index", ddl: "ADD INDEX (n)"},
	{name: "comment_on", ddl: "COMMENT = 'what it is'"},
	{name: "same_engine", ddl: "ENGINE = InnoDB"},
	{name: "if_exists", ddl: "ADD COLUMN IF NOT EXISTS x int, DROP COLUMN IF EXISTS nothing", only: testservers.FlavourMariaDB},
	{name: "instant", ddl: "ADD x int DEFAULT 5, ALGORITHM = INSTANT"},
}

const alteredTable = " (id int PRIMARY KEY, v varchar(20), n int NOT NULL, e enum('a', 'b')) CHARACTER SET utf8mb4"

// Each kind of ALTER TABLE: the log holds the table as the server does, and copies it again only where it must.
func TestG2AlteredTables(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.sql("SET sql_mode = ''") // values that do not fit are cut
		var mine []alteration
		for _, a := range alterations {
			if a.only == "" || a.only == r.m.Flavour() {
				mine = append(mine, a)
				r.sql("CREATE TABLE "+a.name+alteredTable, "INSERT INTO "+a.name+" VALUES (1, 'one', 1, 'a'), (2, 'two two', 2, 'b'), (3, NULL, 3, NULL)")
			}
		}
		r.Run()
		for _, a := range mine {
			r.sql("ALTER TABLE "+a.name+" "+a.ddl, "INSERT INTO "+a.name+" (id, e) VALUES (10, 'a')")
		}
		r.Sync()
		for _, a := range mine {
			r.same(a.name)
			if got := r.Copies(a.name); got > 1 != a.again {
				at, _ := r.Table(a.name)
				t.Errorf("ALTER TABLE %s: %d copies; %+v", a.ddl, got, at.State)
			}
		}
		for _, a := range mine {
			r.sql("UPDATE " + a.name + " SET e = 'b' WHERE id < 3")
		}
		r.Restart()
		r.Sync()
		for _, a := range mine {
			r.same(a.name)
		}
	})
}

// The stream is behind by many changes of a table: what the catalogue says is no longer so when a row is read, and no value may come
// under another name.
func TestG2ChangesOfATableWhileTheStreamIsBehind(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY, a varchar(9), b varchar(9))", "CREATE TABLE u (id int PRIMARY KEY, a int)", "CREATE TABLE w (id int PRIMARY KEY, a int, b int)")
		r.Run()
		r.proxy.Hold()
		r.sql("INSERT INTO t VALUES (1, 'a1', 'b1')",
			"ALTER TABLE t RENAME COLUMN a TO c", "INSERT INTO t VALUES (2, 'c2', 'b2')",
			"ALTER TABLE t DROP b, ADD a varchar(9) AFTER id", "INSERT INTO t VALUES (3, 'a3', 'c3')",
			"ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN c TO a", "INSERT INTO t VALUES (4, 'b4', 'a4')",
			"ALTER TABLE t MODIFY a varchar(9) AFTER id", "INSERT INTO t VALUES (5, 'a5', 'b5')",
			"INSERT INTO u VALUES (1, 1)", "DROP TABLE u", "CREATE TABLE u (id int PRIMARY KEY, b varchar(9))", "INSERT INTO u VALUES (1, 'one')",
			"INSERT INTO w VALUES (1, 10, 20)", "RENAME TABLE w TO x", "INSERT INTO x VALUES (2, 11, 21)", "ALTER TABLE x DROP a", "INSERT INTO x VALUES (3, 22)",
			"DROP TABLE x")
		r.proxy.Release()
		r.Sync()
		want := []string{
			"t id=1 a=a1 b=b1", "t id=2 c=c2 b=b2", "t id=3 a=a3 c=c3", "t id=4 b=b4 a=a4", "t id=5 a=a5 b=b5",
			"u id=1 a=1", "u id=1 b=one", "w id=1 a=10 b=20", "x id=2 a=11 b=21", "x id=3 b=22",
		}
		var got []string
		for _, c := range r.Changes() {
			if c.Op == changelog.OpCreate {
				got = append(got, c.Table+" "+named(c))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("rows:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		r.same("t", "u")
		if at, _ := r.Table("x"); at.State.State != changelog.TableDropped {
			t.Errorf("table x: %+v", at.State)
		}
	})
}

// named is a change's new row with the names of its columns.
func named(c sourcetest.Change) string {
	values := strings.Split(c.After, "|")
	for i := range values {
		values[i] = c.Version.Columns[i].Name + "=" + values[i]
	}
	return strings.Join(values, " ")
}

func columnIDs(t *schema.Table) string {
	var ids []string
	for i := range t.Columns {
		ids = append(ids, fmt.Sprintf("%s=%d", t.Columns[i].Name, t.Columns[i].ID))
	}
	return strings.Join(ids, " ")
}

func TestRenamedColumnsKeepTheirNumbers(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY, a int, b int)", "INSERT INTO t VALUES (1, 2, 3)")
		r.Run()
		r.sql("ALTER TABLE t RENAME COLUMN a TO c", "ALTER TABLE t RENAME COLUMN b TO a, ADD d int", "UPDATE t SET d = 4")
		r.Sync()
		at, _ := r.Table("t")
		if got := columnIDs(at.Table); got != "id=1 c=2 a=3 d=4" {
			t.Errorf("columns %s", got)
		}
		r.same("t")
		if got := r.Copies("t"); got != 1 {
			t.Errorf("%d copies, want 1", got)
		}
	})
}

// Tools that change a table without a lock fill another one and swap their names.
func TestRenamesInChainsAndSwaps(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		for _, name := range []string{"ghost", "osc", "left1", "right1"} {
			r.sql("CREATE TABLE "+name+" (id int PRIMARY KEY, v varchar(9))", "INSERT INTO "+name+" VALUES (1, '"+name+"'), (2, 'b')")
		}
		r.Run()
		r.sql( // gh-ost
			"CREATE TABLE _ghost_gho LIKE ghost", "ALTER TABLE _ghost_gho ADD w int NOT NULL DEFAULT 5", "CREATE TABLE _ghost_ghc (id int PRIMARY KEY, v varchar(64))",
			"INSERT INTO _ghost_gho (id, v) SELECT id, v FROM ghost", "INSERT INTO ghost VALUES (3, 'late')", "REPLACE INTO _ghost_gho (id, v) VALUES (3, 'late')",
			"RENAME TABLE ghost TO _ghost_del, _ghost_gho TO ghost", "INSERT INTO ghost VALUES (4, 'new', 6)", "DROP TABLE _ghost_del", "DROP TABLE _ghost_ghc",
			// pt-online-schema-change
			"CREATE TABLE _osc_new LIKE osc", "ALTER TABLE _osc_new MODIFY v varchar(50)", "INSERT LOW_PRIORITY IGNORE INTO _osc_new SELECT * FROM osc",
			"RENAME TABLE osc TO _osc_old, _osc_new TO osc", "DROP TABLE IF EXISTS _osc_old", "INSERT INTO osc VALUES (3, 'as long as fifty')",
			// a swap
			"RENAME TABLE left1 TO tmp1, right1 TO left1, tmp1 TO right1", "INSERT INTO left1 VALUES (3, 'in left')", "INSERT INTO right1 VALUES (4, 'in right')")
		r.Sync()
		r.same("ghost", "osc", "left1", "right1")
		r.Restart()
		r.sql("DELETE FROM ghost WHERE id = 1", "UPDATE left1 SET v = 'l'", "UPDATE right1 SET v = 'r' WHERE id = 4")
		r.Sync()
		r.same("ghost", "osc", "left1", "right1")
	})
}

func TestTablesMadeAndDropped(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE model (id int PRIMARY KEY, v varchar(9) DEFAULT 'x')", "INSERT INTO model VALUES (1, 'a'), (2, 'b')",
			"CREATE TABLE nokey (a int)", "CREATE TABLE gone (id int PRIMARY KEY)", "INSERT INTO gone VALUES (1)")
		r.Run()
		r.sql("CREATE TABLE liked LIKE model", "INSERT INTO liked VALUES (5, 'five')",
			"CREATE TABLE filled (id int PRIMARY KEY, w varchar(9)) SELECT id, v FROM model",
			"INSERT INTO filled (id, w, v) VALUES (9, 'w', 'v')",
			"CREATE TABLE IF NOT EXISTS model (other int)", "INSERT INTO model VALUES (3, 'c')",
			"CREATE TEMPORARY TABLE passing (id int PRIMARY KEY)", "INSERT INTO passing VALUES (1)", "DROP TEMPORARY TABLE passing",
			"CREATE TABLE nokey2 SELECT * FROM model", "INSERT INTO nokey VALUES (1)",
			"CREATE TABLE short (id int PRIMARY KEY)", "INSERT INTO short VALUES (1)", "DROP TABLE short, gone",
			"CREATE VIEW seen AS SELECT * FROM model", "DROP VIEW seen",
			"CREATE TABLE parted (id int PRIMARY KEY, v int) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
			"INSERT INTO parted VALUES (1, 1), (20, 2)")
		r.Sync()
		r.same("model", "liked", "filled", "parted", "nokey", "nokey2")
		for _, name := range []string{"gone", "short"} {
			if at, _ := r.Table(name); at.State.State != changelog.TableDropped {
				t.Errorf("table %s: %+v", name, at.State)
			}
		}
		for _, name := range []string{"passing", "seen"} {
			if at, ok := r.Table(name); ok {
				t.Errorf("table %s is in the log: %+v", name, at.State)
			}
		}
		// A partition's rows go without being sent.
		r.sql("ALTER TABLE parted TRUNCATE PARTITION p0", "INSERT INTO parted VALUES (2, 2)", "TRUNCATE liked", "INSERT INTO liked VALUES (6, 'six')")
		r.Sync()
		r.same("parted", "liked")
		r.sql("ALTER TABLE parted DROP PARTITION p0", "INSERT INTO parted VALUES (3, 3)")
		r.Sync()
		r.same("parted")
	})
}

func TestReplacedTableIsAnother(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		if !r.maria() {
			return // MySQL has no CREATE OR REPLACE TABLE
		}
		r.sql("CREATE TABLE t (id int PRIMARY KEY, a int)", "INSERT INTO t VALUES (1, 1)", "CREATE TABLE model (id int PRIMARY KEY, v int)", "INSERT INTO model VALUES (7, 7)")
		r.Run()
		before, _ := r.Table("t")
		r.sql("CREATE OR REPLACE TABLE t (id int PRIMARY KEY, b varchar(9))", "INSERT INTO t VALUES (2, 'b')")
		r.Sync()
		r.same("t")
		if at, _ := r.Table("t"); at.Table.ID == before.Table.ID {
			t.Error("the table that replaces another is taken for the same")
		}
		r.sql("CREATE OR REPLACE TABLE t (id int PRIMARY KEY, v int) SELECT * FROM model", "INSERT INTO t VALUES (8, 8)", "CREATE OR REPLACE TABLE t LIKE model", "INSERT INTO t VALUES (9, 9)")
		r.Sync()
		r.same("t")
	})
}

func TestDroppedDatabaseDropsItsTables(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		other := r.m.Database(t)
		r.o.DSN = r.m.DSNVia(r.proxy.Addr(), r.m.Superuser(), "")
		r.o.Tables = []string{r.db + ".*", other + ".*"}
		r.sql("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE "+other+".one (id int PRIMARY KEY)", "CREATE TABLE "+other+".two (id int PRIMARY KEY)", "INSERT INTO "+other+".one VALUES (1)")
		r.Run()
		r.sql("DROP DATABASE "+other, "INSERT INTO t VALUES (1)")
		r.Sync()
		for _, name := range []string{"one", "two"} {
			if at, _ := r.Table(name); at.State.State != changelog.TableDropped {
				t.Errorf("table %s: %+v", name, at.State)
			}
		}
		r.sql("CREATE DATABASE "+other, "CREATE TABLE "+other+".one (id int PRIMARY KEY, v int)", "INSERT INTO "+other+".one VALUES (2, 3)", "INSERT INTO t VALUES (2)")
		r.Sync()
		if got := r.Rows("one"); !slices.Equal(got, []string{"2|3"}) {
			t.Errorf("table one: %q", got)
		}
		r.same("t")
	})
}

// Tables that come under the patterns by a new name have rows that the stream has not brought.
func TestRenamedIntoAndOutOfThePatterns(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.o.Tables = []string{r.db + ".k_*"}
		r.sql("CREATE TABLE k_a (id int PRIMARY KEY)", "INSERT INTO k_a VALUES (1)", "CREATE TABLE other (id int PRIMARY KEY)", "INSERT INTO other VALUES (5), (6)")
		r.Run()
		r.sql("RENAME TABLE other TO k_b", "INSERT INTO k_b VALUES (7)", "ALTER TABLE k_a RENAME TO gone", "INSERT INTO gone VALUES (2)")
		r.Sync()
		r.same("k_b")
		if at, _ := r.Table("k_a"); at.State.State != changelog.TableUntracked {
			t.Errorf("table k_a: %+v", at.State)
		}
		r.sql("RENAME TABLE gone TO k_a", "INSERT INTO k_a VALUES (3)")
		r.Sync()
		r.same("k_a", "k_b")
	})
}

// A column that is made after the newest one was dropped is another one: rows from before have its default and not the values of the
// one that is gone. So it is after a restart as well.
func TestColumnMadeAfterTheLastWasDroppedIsAnother(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY, a int)", "INSERT INTO t VALUES (1, 1)")
		r.Run()
		r.sql("ALTER TABLE t ADD b int NOT NULL DEFAULT 5", "INSERT INTO t VALUES (2, 2, 5)")
		r.Sync()
		r.sql("ALTER TABLE t DROP b", "INSERT INTO t VALUES (3, 3)")
		r.Sync()
		r.sql("ALTER TABLE t ADD c int DEFAULT 7", "INSERT INTO t VALUES (4, 4, 8)")
		r.Sync()
		r.same("t")
		r.sql("ALTER TABLE t DROP c", "INSERT INTO t VALUES (5, 5)")
		r.Sync()
		r.Restart()
		r.sql("ALTER TABLE t ADD d int DEFAULT 9", "INSERT INTO t VALUES (6, 6, 6)")
		r.Sync()
		r.same("t")
		names := map[uint32]string{}
		for _, version := range r.Log.Catalog().Versions() {
			for _, c := range version.Columns {
				if other := names[c.ID]; other != "" && other != c.Name {
					t.Errorf("columns %s and %s have the number %d", other, c.Name, c.ID)
				}
				names[c.ID] = c.Name
			}
		}
	})
}

// A table that was renamed away while it waited to be copied is not read any more, and one that comes back is.
func TestTableRenamedAwayIsNotWaitedFor(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.o.Tables = []string{r.db + ".k_*"}
		r.sql("CREATE TABLE k_a (id int PRIMARY KEY)", "INSERT INTO k_a VALUES (1)", "CREATE TABLE other (id int PRIMARY KEY)", "INSERT INTO other VALUES (5)")
		r.Run()
		for range 5 {
			r.sql("RENAME TABLE other TO k_b", "RENAME TABLE k_b TO other", "INSERT INTO other SELECT max(id) + 1 FROM other")
		}
		r.sql("INSERT INTO k_a VALUES (2)")
		r.Sync()
		r.same("k_a")
		if at, ok := r.Table("k_b"); ok && at.State.State != changelog.TableUntracked {
			t.Errorf("table k_b: %+v", at.State)
		}
		r.sql("RENAME TABLE other TO k_b", "INSERT INTO k_b VALUES (99)")
		r.Sync()
		r.same("k_a", "k_b")
	})
}

// A table without a key that comes under the patterns at a start is copied when an operator asks for it.
func TestKeylessTableThatWasLeftOutIsCopiedOnRequest(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.o.Tables = []string{r.db + ".k_*"}
		r.sql("CREATE TABLE k_a (id int PRIMARY KEY)", "CREATE TABLE late (v int)", "INSERT INTO late VALUES (5), (6)")
		r.Run()
		r.Halt()
		r.o.Tables = append(r.o.Tables, r.db+".late")
		r.Run()
		at, ok := r.Table("late")
		if !ok || at.State.State != changelog.TableUntracked {
			t.Fatalf("table late: %+v", at.State)
		}
		r.Decide(changelog.Decision{Action: actionRecopy, Table: at.Table.ID})
		r.Eventually("the copy", func() bool { at, _ := r.Table("late"); return at.Answerable() })
		r.sql("INSERT INTO late VALUES (7)")
		r.Sync()
		r.same("late")
	})
}

// What happened while nobody watched is in the binlog: such a table is captured, and is not in the log a second time as one that was
// left out. When a table that was left out is made again, the new one takes its place.
func TestTablesMadeWhileNobodyWatched(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.o.Tables = []string{r.db + ".k_*"}
		r.sql("CREATE TABLE k_a (id int PRIMARY KEY)", "CREATE TABLE k_b (id int PRIMARY KEY)", "INSERT INTO k_b VALUES (1)", "CREATE TABLE other (id int PRIMARY KEY)")
		r.Run()
		r.Halt()
		r.sql("CREATE TABLE k_made (id int PRIMARY KEY)", "INSERT INTO k_made VALUES (1)", "RENAME TABLE k_b TO k_c", "RENAME TABLE other TO k_other",
			"CREATE TABLE k_gone (id int PRIMARY KEY)", "DROP TABLE k_gone", "INSERT INTO k_a VALUES (1)", "CREATE TABLE late (id int PRIMARY KEY, v int)", "INSERT INTO late VALUES (5, 5)")
		r.Run()
		r.same("k_a", "k_made", "k_c", "k_other")
		r.onlyOneOfEachName("k_made", "k_c", "k_other")
		r.Halt()
		r.o.Tables = append(r.o.Tables, r.db+".late*")
		r.Run()
		if got := r.Source.Progress().Untracked; len(got) != 1 {
			t.Errorf("left out: %q", got)
		}
		r.onlyOneOfEachName("late")
		// A table that has been left out, and another one in its place.
		r.sql("DROP TABLE late", "CREATE TABLE late (id int PRIMARY KEY)", "INSERT INTO late VALUES (6)")
		r.Sync()
		r.same("late")
		r.onlyOneOfEachName("late")
		r.sql("RENAME TABLE k_a TO away", "RENAME TABLE away TO k_a", "INSERT INTO k_a VALUES (2)")
		r.Sync()
		r.same("k_a")
		r.onlyOneOfEachName("k_a")
	})
}

// onlyOneOfEachName expects one table of each name that has not been dropped.
func (r *rig) onlyOneOfEachName(names ...string) {
	r.Helper()
	for _, name := range names {
		var found []changelog.TableAt
		for _, t := range r.Log.Catalog().TablesAt(sourcetest.Newest) {
			if t.Table.Name == name && t.State.State != changelog.TableDropped {
				found = append(found, t)
			}
		}
		if len(found) != 1 {
			r.Errorf("the log has %d tables of the name %s: %+v", len(found), name, found)
		}
	}
}

// A table that was altered, or dropped, since it was left out is taken as it is.
func TestTableThatWasLeftOutIsTakenAsItIs(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.o.Tables = []string{r.db + ".k_*"}
		r.sql("CREATE TABLE k_a (id int PRIMARY KEY)", "CREATE TABLE late (id int PRIMARY KEY, v int)", "INSERT INTO late VALUES (5, 5)", "CREATE TABLE late2 (v int)")
		r.Run()
		r.Halt()
		r.o.Tables = append(r.o.Tables, r.db+".late*")
		r.Run()
		late, _ := r.Table("late")
		late2, _ := r.Table("late2")
		r.sql("ALTER TABLE late DROP v, ADD w varchar(9) DEFAULT 'x'", "RENAME TABLE late2 TO away")
		r.Sync()
		r.Decide(changelog.Decision{Action: actionRecopy, Table: late.Table.ID})
		r.Decide(changelog.Decision{Action: actionRecopy, Table: late2.Table.ID})
		r.Eventually("the copy", func() bool { at, _ := r.Table("late"); return at.Answerable() })
		r.sql("INSERT INTO late VALUES (6, 'y')")
		r.Sync()
		r.same("late")
		r.Eventually("the log to say that the other table is gone", func() bool {
			at, _ := r.Log.Catalog().TableAt(late2.Table.ID, sourcetest.Newest)
			return at.State.State == changelog.TableDropped
		})
	})
}
