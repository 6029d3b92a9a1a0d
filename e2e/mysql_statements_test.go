//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/e2e/testservers"
	"cdc/e2e/workload"
)

// streamed has a source captured, runs statements of the application while
// nobody reads, and asserts that afterwards all is equal.
func streamed(t *testing.T, c *mysqlRig, statements string) {
	t.Helper()
	c.catchUp()
	c.appSQL(statements)
	c.catchUp()
}

// A session that writes statements into the binlog in the place of rows: which
// rows they changed, nobody knows.
func TestG2StatementFormatOfASessionIsANamedStop(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := smallMySQLRig(t, testservers.SharedMySQL(t, f))
		c.catchUp()
		c.sql("SET SESSION binlog_format = 'STATEMENT'; UPDATE orders SET note = 'by a statement'")
		c.stopsWith(c.start(), "SCHEMA", "UPDATE orders", "binlog_format")
		c.recopies()
	})
}

// Rows of which the server sends only what has changed, and JSON of which it
// sends only the difference, are completed from the log.
func TestMinimalRowImageIsCompleted(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := smallMySQLRig(t, testservers.SharedMySQL(t, f))
		c.appSQL("CREATE TABLE doc (id int PRIMARY KEY, n int, note longtext, body longblob, j json); INSERT INTO doc VALUES (1, 1, repeat('a', 5000), repeat('b', 5000), '{\"a\": 1, \"list\": [1, 2]}'), (2, 2, 'x', 'y', '{}')")
		c.catchUp()
		for i, image := range []string{"MINIMAL", "NOBLOB", "FULL"} {
			c.sql(fmt.Sprintf(`SET SESSION binlog_row_image = '%s'; UPDATE doc SET n = n + 10 WHERE id = 1; INSERT INTO doc VALUES (%d, 3, 'new', 'body', '{}');
UPDATE doc SET note = 'short' WHERE id = 2; UPDATE doc SET id = id + 100 WHERE id = %[2]d; DELETE FROM orders WHERE id = %d`, image, 10+i, 1+i))
		}
		tables := []string{"doc", "orders"}
		if f == testservers.FlavourMySQL {
			c.sql(`SET SESSION binlog_row_value_options = 'PARTIAL_JSON'; UPDATE doc SET j = JSON_SET(j, '$.a', 'longer than it was'), n = 5 WHERE id = 1;
UPDATE doc SET j = JSON_REMOVE(j, '$.list[0]') WHERE id = 1; SET SESSION binlog_row_image = 'MINIMAL'; UPDATE doc SET j = JSON_SET(j, '$.b', 7) WHERE id IN (1, 2)`)
		}
		p := c.run()
		c.awaitCurrent()
		c.verify()
		c.equalNow(tables)
		p.stop()
	})
}

// What an insert leaves out has its default, which is not sent either.
func TestMinimalRowImageOfAnInsertHasTheDefaults(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := smallMySQLRig(t, testservers.SharedMySQL(t, f))
		c.appSQL("CREATE TABLE doc (id int AUTO_INCREMENT PRIMARY KEY, n int DEFAULT 7, note varchar(20) NOT NULL DEFAULT 'none', body longblob)")
		c.catchUp()
		for _, image := range []string{"MINIMAL", "NOBLOB"} {
			c.sql("SET SESSION binlog_row_image = '" + image + "'; INSERT INTO doc (note) VALUES ('new'); INSERT INTO doc (body) VALUES ('x'); INSERT INTO doc VALUES ()")
		}
		c.catchUp()
	})
}

// MariaDB writes the rows that a savepoint undoes, and then that it did, where
// a table without transactions was changed in between.
func TestSavepointAroundATableWithoutTransactions(t *testing.T) {
	t.Parallel()
	c := smallMySQLRig(t, testservers.SharedMySQL(t, testservers.FlavourMariaDB))
	c.appSQL("CREATE TABLE plain (id int PRIMARY KEY, v int) ENGINE = MyISAM")
	c.catchUp()
	c.appSQL("START TRANSACTION; INSERT INTO orders VALUES (31, 'kept'); SAVEPOINT s; INSERT INTO plain VALUES (31, 31); INSERT INTO orders VALUES (32, 'no'); ROLLBACK TO s; COMMIT")
	c.catchUp()
	if rows := c.answer("orders", "kept"); strings.Contains(rows, "32,no") {
		t.Errorf("orders holds what was rolled back:\n%s", rows)
	}
}

// XA transactions: prepared and committed later by another connection, with
// others in between; rolled back; committed in one phase; with nothing in them.
// The program is killed while one is prepared.
func TestXAIsInTheLogWhenItIsCommitted(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := ownServer(t, testservers.MySQLOptions{Flavour: f})
		p := c.run()
		x := func(name string) string { return "'" + c.database + "-" + name + "'" }
		c.sql("XA START " + x("a") + "; INSERT INTO orders VALUES (10, 'a'); UPDATE orders SET note = 'a' WHERE id = 1; XA END " + x("a") + "; XA PREPARE " + x("a"))
		c.sql("XA START " + x("b") + "; INSERT INTO orders VALUES (11, 'b'); XA END " + x("b") + "; XA PREPARE " + x("b"))
		c.sql("XA START " + x("c") + "; INSERT INTO orders VALUES (12, 'c'); XA END " + x("c") + "; XA COMMIT " + x("c") + " ONE PHASE")
		c.sql("XA START " + x("e") + "; XA END " + x("e") + "; XA PREPARE " + x("e") + "; XA COMMIT " + x("e"))
		c.appSQL("INSERT INTO orders VALUES (13, 'between')")
		if rows := c.answer("orders", "between"); strings.Contains(rows, "10,a") || strings.Contains(rows, "11,b") {
			t.Errorf("what is only prepared is visible:\n%s", rows)
		}
		p.kill()
		p = c.run()
		c.sql("XA COMMIT " + x("a"))
		c.sql("XA ROLLBACK " + x("b"))
		c.appSQL("INSERT INTO orders VALUES (14, 'after')")
		rows := c.answer("orders", "after")
		if !strings.Contains(rows, "10,a") || !strings.Contains(rows, "1,a") || strings.Contains(rows, "11,b") || !strings.Contains(rows, "12,c") {
			t.Errorf("orders holds:\n%s", rows)
		}
		if p.ended() {
			t.Fatalf("cdc run ended with code %d:\n%s", p.code(), tail(p.text(), logLinesShown))
		}
		c.awaitCurrent()
		c.verify()
	})
}

// answer is a table now, as soon as it holds a text.
func (c *capture) answer(table, text string) (rows string) {
	c.t.Helper()
	until(c.t, table+" to hold "+text, func() bool {
		r := c.cdc("at", "now", table, "--format", "csv")
		rows = r.out
		return r.code == 0 && strings.Contains(rows, text)
	})
	return rows
}

// What was prepared before there was a log comes with the copy or after it.
func TestG2XAPreparedBeforeTheFirstCopy(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := ownServer(t, testservers.MySQLOptions{Flavour: f})
		x := "'" + c.database + "-early'"
		c.sql("XA START " + x + "; INSERT INTO orders VALUES (10, 'early'); XA END " + x + "; XA PREPARE " + x)
		p := c.run()
		c.appSQL("INSERT INTO orders VALUES (11, 'between')")
		c.answer("orders", "between")
		c.sql("XA COMMIT " + x)
		c.answer("orders", "early")
		c.awaitCurrent()
		c.verify()
		p.stop()
	})
}

// Deletes and updates that the engine makes for a foreign key are changes like
// others. MariaDB does not write them into its binlog: such tables are left out
// and reported, as nothing would tell what they lack.
func TestG2ForeignKeyCascadesAreCaptured(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := smallMySQLRig(t, testservers.SharedMySQL(t, f))
		c.appSQL(`CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE gone (id int PRIMARY KEY, parent_id int, FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE);
CREATE TABLE freed (id int PRIMARY KEY, parent_id int, FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE SET NULL ON UPDATE CASCADE);
INSERT INTO parent VALUES (1), (2), (3); INSERT INTO gone VALUES (1, 1), (2, 2); INSERT INTO freed VALUES (1, 1), (3, 3)`)
		if f == testservers.FlavourMariaDB {
			c.run()
			until(t, "the tables to be reported", func() bool {
				status := c.must("status", "--json")
				return strings.Contains(status, "gone: the rows that its foreign key") && strings.Contains(status, "freed: the rows that its foreign key")
			})
			return
		}
		streamed(t, c, "DELETE FROM parent WHERE id = 1; UPDATE parent SET id = 30 WHERE id = 3")
	})
}

// Statements that change many rows or none, load files, or are taken back in
// part.
func TestStatementsOfEveryKind(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := smallMySQLRig(t, testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f, Name: "statements"}))
		c.appSQL("CREATE TABLE pair (id int PRIMARY KEY, other int NOT NULL, v int, UNIQUE KEY (other)); CREATE TABLE plain (id int PRIMARY KEY, v int) ENGINE = MyISAM; CREATE TABLE nokey (a int, b text)")
		c.catchUp()
		c.appSQL(`INSERT INTO pair VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3); REPLACE INTO pair VALUES (1, 2, 10); REPLACE INTO pair VALUES (9, 3, 11);
INSERT INTO pair VALUES (1, 50, 1) ON DUPLICATE KEY UPDATE v = v + 100, other = 60; INSERT IGNORE INTO pair VALUES (1, 1, 1), (70, 70, 70);
UPDATE pair SET id = id + 1000 ORDER BY id DESC; UPDATE orders SET note = note; DELETE FROM orders WHERE false;
START TRANSACTION; INSERT INTO orders VALUES (20, 'kept'); SAVEPOINT a; INSERT INTO orders VALUES (21, 'taken back'); SAVEPOINT b; DELETE FROM orders;
ROLLBACK TO SAVEPOINT a; INSERT INTO orders VALUES (22, 'kept'); COMMIT; START TRANSACTION; DELETE FROM orders; ROLLBACK;
INSERT INTO plain VALUES (1, 1), (2, 2), (3, 3); UPDATE plain SET v = v * 2; DELETE FROM plain WHERE id = 2;
INSERT INTO nokey VALUES (1, 'a'), (1, 'a'), (2, 'b'), (NULL, NULL); DELETE FROM nokey WHERE a = 1 LIMIT 1; UPDATE nokey SET b = 'c' WHERE a = 2;
CREATE TEMPORARY TABLE tmp SELECT * FROM orders; INSERT INTO tmp SELECT * FROM orders; DROP TEMPORARY TABLE tmp`)
		if f == testservers.FlavourMariaDB {
			// MySQL with GTIDs refuses to mix them.
			c.appSQL("START TRANSACTION; INSERT INTO orders VALUES (30, 'rolled back'); INSERT INTO plain VALUES (30, 30); ROLLBACK")
			c.appSQL("CREATE OR REPLACE TABLE made AS SELECT * FROM orders; ALTER TABLE made ADD PRIMARY KEY (id)")
		}
		c.loadData("orders", "100\tloaded\n101\tloaded too\n102\t\\N\n")
		c.catchUp()
	})
}

// loadData loads a file as clients do.
func (c *mysqlRig) loadData(table, rows string) {
	c.t.Helper()
	path := filepath.Join(c.dir, "rows.txt")
	if err := os.WriteFile(path, []byte(rows), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.sql("SET GLOBAL local_infile = ON")
	program := "mysql"
	if c.server.Flavour() == testservers.FlavourMariaDB {
		program = "mariadb"
	}
	load := c.server.Command(c.t.Context(), c.app, program, "--local-infile=1", c.database, "-e", "LOAD DATA LOCAL INFILE '"+path+"' INTO TABLE "+table)
	if out, err := load.CombinedOutput(); err != nil {
		c.t.Fatalf("load data: %v\n%s", err, out)
	}
}

// DDL that was read long after it happened: each change is read by the columns
// of its own time, also where names have changed places.
func TestDDLWithinTheLagIsUnderstood(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := smallMySQLRig(t, testservers.SharedMySQL(t, f))
		c.appSQL("CREATE TABLE drift (id int PRIMARY KEY, a int, b int)")
		c.catchUp()
		steps := []string{
			"INSERT INTO drift VALUES (1, 10, 20)",
			"ALTER TABLE drift RENAME COLUMN a TO c, RENAME COLUMN b TO a; ALTER TABLE drift RENAME COLUMN c TO b; INSERT INTO drift VALUES (2, 20, 10)",
			"ALTER TABLE drift ADD COLUMN d varchar(20) DEFAULT 'old' AFTER id; INSERT INTO drift (id, a, b) VALUES (3, 1, 2)",
			"ALTER TABLE drift DROP COLUMN a, ADD COLUMN a int DEFAULT 5; UPDATE drift SET b = 7 WHERE id = 2",
			"ALTER TABLE drift MODIFY COLUMN b bigint NOT NULL FIRST; INSERT INTO drift (id, b) VALUES (4, 9999999999)",
			"CREATE TABLE late (id int PRIMARY KEY, v int); INSERT INTO late VALUES (1, 1); RENAME TABLE late TO later; INSERT INTO later VALUES (2, 2)",
			"TRUNCATE orders; INSERT INTO orders VALUES (7, 'after'); ALTER TABLE drift COMMENT 'x', ALGORITHM = INPLACE",
			"DROP TABLE later; CREATE TABLE later (id varchar(10) PRIMARY KEY); INSERT INTO later VALUES ('x')",
		}
		var moments []*moment
		for _, step := range steps {
			c.appSQL(step)
			c.moments++
			m, err := c.takeMoment(t.Context(), c.moments, []string{"drift", "orders"})
			if err != nil {
				t.Fatal(err)
			}
			moments = append(moments, m)
		}
		c.catchUp()
		c.equalNow([]string{"drift", "orders", "later"})
		for _, m := range moments {
			m.check(t, c.capture, []string{"drift", "orders"})
		}
	})
}

// Statements that no parser of columns must stumble over.
func TestStatementsThatAreNoChangesOfTables(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := smallMySQLRig(t, testservers.SharedMySQL(t, f))
		c.catchUp()
		statements := []string{
			"CREATE VIEW v AS SELECT * FROM orders",
			"CREATE PROCEDURE p() BEGIN INSERT INTO orders VALUES (50, 'DROP TABLE orders'); END",
			"CALL p()",
			"CREATE TRIGGER tr BEFORE INSERT ON orders FOR EACH ROW SET NEW.note = concat(NEW.note, '; ALTER TABLE orders')",
			"INSERT INTO orders VALUES (51, 'with')",
			"/*!40000 ALTER TABLE orders DISABLE KEYS */",
			"/* DROP TABLE orders */ ANALYZE TABLE orders",
			"ALTER TABLE orders ADD INDEX by_note (note(10)), ADD COLUMN `we``ird, name` int DEFAULT '3' COMMENT 'it''s; DROP'",
			"CREATE TABLE `select` (`from` int PRIMARY KEY /* DROP */, `a.b` text)",
			"INSERT INTO `select` VALUES (1, 'x')",
			"ALTER TABLE `select` CHANGE `a.b` `c\"d` text, ADD COLUMN e int -- trailing",
			"INSERT INTO `select` VALUES (2, 'y', 3)",
			"CREATE EVENT ev ON SCHEDULE EVERY 1 YEAR DO DELETE FROM orders",
			"DROP VIEW v",
			"OPTIMIZE TABLE orders",
		}
		for _, statement := range statements {
			c.appSQLOne(statement)
		}
		c.catchUp()
	})
}

// appSQLOne runs one statement, which may hold semicolons.
func (c *mysqlRig) appSQLOne(statement string) {
	c.t.Helper()
	conn, err := c.server.Open(c.t.Context(), c.server.Superuser(), c.database)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Each(c.t.Context(), statement, func([][]byte) {}); err != nil {
		c.t.Fatalf("%s: %v", statement, err)
	}
}

// A tool such as gh-ost makes a copy of a table, lets it follow, and swaps the
// two at one instant: what was captured under the name goes on with all columns.
func TestGhOstSwap(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := smallMySQLRig(t, testservers.SharedMySQL(t, f))
		p := c.run()
		c.appSQL(`CREATE TABLE _orders_gho LIKE orders; ALTER TABLE _orders_gho ADD COLUMN price decimal(8,2) NOT NULL DEFAULT 1.50, MODIFY note varchar(100);
INSERT INTO _orders_gho (id, note) SELECT id, note FROM orders; INSERT INTO orders VALUES (4, 'meanwhile'); INSERT INTO _orders_gho (id, note) VALUES (4, 'meanwhile')`)
		c.appSQL("RENAME TABLE orders TO _orders_del, _orders_gho TO orders")
		c.appSQL("INSERT INTO orders VALUES (5, 'after', 2.50); UPDATE orders SET price = 9 WHERE id = 1; DROP TABLE _orders_del")
		c.awaitCurrent()
		c.verify()
		c.equalNow([]string{"orders"})
		if p.ended() {
			t.Fatalf("cdc run ended with code %d:\n%s", p.code(), tail(p.text(), logLinesShown))
		}
	})
}

// A JSON column of MariaDB is text in its binlog, and JSON in its catalogue: the
// table is copied once.
func TestJSONOfMariaDBIsOneType(t *testing.T) {
	t.Parallel()
	c := smallMySQLRig(t, testservers.SharedMySQL(t, testservers.FlavourMariaDB))
	c.appSQL(`CREATE TABLE doc (id int PRIMARY KEY, j json, u uuid, i inet6); INSERT INTO doc VALUES (1, '{"a": 1}', 'e0000000-0000-0000-0000-000000000001', '::1')`)
	c.catchUp()
	c.appSQL(`INSERT INTO doc VALUES (2, '[1, 2]', NULL, '10::'); UPDATE doc SET j = '{"b" : 2}', u = 'e0000000-0000-0000-0000-000000000002' WHERE id = 1`)
	c.catchUp()
	if copies, _ := c.copiesOf("doc"); copies != 1 {
		t.Errorf("the table was copied %d times", copies)
	}
}

// One transaction of very many rows neither fills the memory nor holds others
// up for good.
func TestGiantTransactionOfMySQLHasBoundedMemory(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		// A table without snapshots can be compared only while nobody writes to the server.
		c := newMySQLRig(t, testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f, Name: "giant " + string(f)}))
		w := c.prepareWorkload(workload.Options{Seed: seed(t), Clients: 1, OnePhase: true})
		p := c.run()
		c.awaitCurrent()
		before := peakRSS(t, p.cmd.Process.Pid)
		if err := w.Bulk(t.Context(), sized(bulkRows, 100_000)); err != nil {
			t.Fatal(err)
		}
		c.awaitCurrent()
		const growthMax = 200 << 20
		if grown := peakRSS(t, p.cmd.Process.Pid) - before; grown > growthMax {
			t.Errorf("memory grew by %.0f MiB", grown/(1<<20))
		}
		c.verify()
		c.judge(w)
	})
}
