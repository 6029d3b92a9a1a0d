package mysql

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/e2e/testservers"
)

// rowsOf are the streamed changes of rows, as text.
func (r *rig) rowsOf() []string {
	r.Helper()
	var all []string
	for _, c := range r.Changes() {
		if c.Op != changelog.OpRead && c.Op != changelog.OpMessage {
			all = append(all, c.String())
		}
	}
	return all
}

func (r *rig) wantRows(want ...string) {
	r.Helper()
	if got := r.rowsOf(); !slices.Equal(got, want) {
		r.Fatalf("changes:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Tests of XA have a server of their own: a transaction that was prepared before a log begins may concern any database.

// XA transactions count when they are committed, also when the source was started again between the two.
func TestXATransactionsCountWhenTheyAreCommitted(t *testing.T) {
	eachAlone(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY)")
		r.Run()
		xa := func(name string, id string) {
			r.sql("XA START '"+r.db+name+"'", "INSERT INTO t VALUES ("+id+")", "XA END '"+r.db+name+"'")
		}
		decide := func(sql, name string) { r.session().Do(sql + " '" + r.db + name + "'") }
		xa("one", "1")
		r.sql("XA PREPARE '" + r.db + "one'")
		r.session().Do("INSERT INTO t VALUES (2)")
		r.Sync()
		r.wantRows("c t  2")
		r.Restart()
		r.Sync() // with nothing to read but what is prepared
		r.again()
		decide("XA COMMIT", "one")
		r.Sync()
		r.wantRows("c t  2", "c t  1")
		xa("two", "3")
		r.sql("XA PREPARE '" + r.db + "two'")
		r.again()
		decide("XA ROLLBACK", "two")
		xa("three", "4")
		r.sql("XA COMMIT '" + r.db + "three' ONE PHASE")
		xa("four", "5")
		r.sql("XA ROLLBACK '"+r.db+"four'", "INSERT INTO t VALUES (6)")
		r.Sync()
		r.wantRows("c t  2", "c t  1", "c t  4", "c t  6")
		r.Restart()
		r.Sync()
		r.wantRows("c t  2", "c t  1", "c t  4", "c t  6")
		r.same("t")
	})
}

// Two XA transactions are prepared at once and decided the other way round, with restarts anywhere.
func TestXATransactionsOverlap(t *testing.T) {
	eachAlone(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 0), (2, 0)")
		r.Run()
		for i, name := range []string{"a", "b"} {
			s := r.open
			s.Do("XA START '"+r.db+name+"'", "UPDATE t SET v = 1 WHERE id = "+string(rune('1'+i)), "XA END '"+r.db+name+"'", "XA PREPARE '"+r.db+name+"'")
			r.session().Do("INSERT INTO t VALUES (1" + string(rune('0'+i)) + ", 0)")
			r.Sync()
			r.Restart()
			r.again()
		}
		r.sql("XA COMMIT '"+r.db+"b'", "INSERT INTO t VALUES (20, 0)")
		r.Sync()
		r.Restart()
		r.sql("XA COMMIT '" + r.db + "a'")
		r.Sync()
		r.wantRows("c t  10|0", "c t  11|0", "u t 2|0 2|1", "c t  20|0", "u t 1|0 1|1")
		r.same("t")
	})
}

// What was prepared before the log begins is in no stream: its tables are copied again when it is committed.
func TestG2XATransactionPreparedBeforeTheLogIsCopied(t *testing.T) {
	eachAlone(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE other (id int PRIMARY KEY)",
			"XA START '"+r.db+"x'", "INSERT INTO t VALUES (1)", "XA END '"+r.db+"x'", "XA PREPARE '"+r.db+"x'")
		r.again()
		r.Run()
		r.sql("INSERT INTO other VALUES (1)")
		r.Sync()
		r.sql("XA COMMIT '" + r.db + "x'")
		r.Sync()
		r.same("t", "other")
	})
}

func TestTablesWithoutTransactions(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		engines := []string{"MyISAM"}
		if r.maria() {
			engines = append(engines, "Aria")
		}
		r.sql("CREATE TABLE t (id int PRIMARY KEY)")
		for _, engine := range engines {
			r.sql("CREATE TABLE "+engine+" (id int PRIMARY KEY, v int) ENGINE = "+engine, "INSERT INTO "+engine+" VALUES (1, 1), (2, 2)")
		}
		r.Run()
		for _, engine := range engines {
			r.same(engine)
			if !r.maria() {
				r.sql("SET GLOBAL enforce_gtid_consistency = ON")
			}
			r.sql("INSERT INTO "+engine+" VALUES (3, 3), (4, 4)", "UPDATE "+engine+" SET v = 0 WHERE id < 3", "DELETE FROM "+engine+" WHERE id = 4")
			r.Sync()
			r.same(engine)
		}
		r.Restart()
		r.Sync()
		r.same(engines...)
	})
}

// What was written to a table without transactions stays when the transaction around it is rolled back.
func TestTransactionOfTwoEnginesRolledBack(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		if !r.maria() {
			return // MySQL with GTIDs refuses a transaction of two engines
		}
		r.sql("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE m (id int PRIMARY KEY) ENGINE = MyISAM")
		r.Run()
		r.sql("BEGIN", "INSERT INTO t VALUES (1)", "INSERT INTO m VALUES (1)", "INSERT INTO t VALUES (2)", "ROLLBACK",
			"BEGIN", "INSERT INTO m VALUES (2)", "INSERT INTO t VALUES (3)", "ROLLBACK",
			"BEGIN", "INSERT INTO t VALUES (6)", "SAVEPOINT s", "INSERT INTO t VALUES (7)", "ROLLBACK TO s", "RELEASE SAVEPOINT s", "COMMIT",
			"BEGIN", "INSERT INTO t VALUES (8)", "INSERT INTO m SELECT id + 100 FROM t", "ROLLBACK")
		r.Sync()
		r.same("t", "m")
	})
}

// MariaDB then writes rows and that they were undone.
func TestSavepointAmongTwoEngines(t *testing.T) {
	eachAlone(t, func(t *testing.T, r *rig) {
		if !r.maria() {
			return // MySQL with GTIDs refuses a transaction of two engines
		}
		r.sql("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE m (id int PRIMARY KEY) ENGINE = MyISAM")
		other := newRig(t, r.m, "CREATE TABLE t (id int PRIMARY KEY)")
		other.Run()
		r.Run()
		r.sql("BEGIN", "INSERT INTO t VALUES (4)", "SAVEPOINT s", "INSERT INTO m VALUES (3)", "INSERT INTO t VALUES (5)", "ROLLBACK TO s",
			"INSERT INTO t VALUES (6)", "SAVEPOINT s", "INSERT INTO t VALUES (7)", "SAVEPOINT u", "INSERT INTO t VALUES (8)", "ROLLBACK TO s",
			"UPDATE t SET id = 9 WHERE id = 6", "COMMIT", "INSERT INTO t VALUES (10)",
			"XA START '"+r.db+"'", "INSERT INTO t VALUES (11)", "SAVEPOINT s", "INSERT INTO m VALUES (4)", "INSERT INTO t VALUES (12)", "ROLLBACK TO s",
			"XA END '"+r.db+"'", "XA PREPARE '"+r.db+"'")
		r.again()
		r.sql("XA COMMIT '" + r.db + "'")
		other.sql("INSERT INTO t VALUES (1)")
		other.Sync()
		other.same("t")
		r.Sync()
		r.wantRows("c m  3", "c t  4", "c t  6", "u t 6 9", "c t  10", "c m  4", "c t  11")
		r.same("t", "m")
	})
}

// A session that writes statements in the place of rows ends the capture, with the statement in the stop.
func TestG2StatementsInThePlaceOfRowsAreANamedStop(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE orders_here (id int PRIMARY KEY, v int)", "INSERT INTO orders_here VALUES (1, 1)")
		r.Run()
		elsewhere := r.session()
		elsewhere.Do("CREATE DATABASE "+r.db+"_e", "USE "+r.db+"_e", "CREATE TABLE t (id int PRIMARY KEY)", "SET binlog_format = STATEMENT", "INSERT INTO t VALUES (1)",
			"DROP DATABASE "+r.db+"_e")
		r.sql("INSERT INTO orders_here VALUES (2, 2)")
		r.Sync() // statements about others do no harm
		r.sql("SET binlog_format = STATEMENT", "UPDATE orders_here SET v = v + 1")
		stop := r.WantStop(changelog.StopSchema, "UPDATE orders_here SET v = v + 1")
		if stop.Position == "" {
			t.Error("the stop has no position")
		}
	})
}

func TestTaggedGTIDs(t *testing.T) {
	t.Parallel()
	r := newRig(t, testservers.SharedMySQL(t, testservers.FlavourMySQL), "CREATE TABLE t (id int PRIMARY KEY)")
	r.Run()
	r.sql("SET gtid_next = 'AUTOMATIC:cdc_test'", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)", "SET gtid_next = 'AUTOMATIC'", "INSERT INTO t VALUES (3)",
		"SET gtid_next = '00000000-1111-2222-3333-"+uuidTail(r.db)+":5'", "INSERT INTO t VALUES (4)", "SET gtid_next = 'AUTOMATIC'")
	r.Sync()
	r.Restart()
	r.sql("SET gtid_next = 'AUTOMATIC:cdc_test'", "INSERT INTO t VALUES (5)", "SET gtid_next = 'AUTOMATIC'",
		"SET gtid_next = '00000000-1111-2222-3333-"+uuidTail(r.db)+":3'", "INSERT INTO t VALUES (6)", "SET gtid_next = 'AUTOMATIC'")
	r.Sync()
	r.wantRows("c t  1", "c t  2", "c t  3", "c t  4", "c t  5", "c t  6")
	if got := PositionText(r.Progress().Position); !strings.Contains(got, ":cdc_test:") || !strings.Contains(got, ":3:5") {
		t.Errorf("position %s", got)
	}
}

// uuidTail makes twelve digits of a name.
func uuidTail(name string) string {
	var b strings.Builder
	for _, c := range name[len(name)-6:] {
		b.WriteString("0123456789abcdef"[c>>4&15 : c>>4&15+1])
		b.WriteString("0123456789abcdef"[c&15 : c&15+1])
	}
	return b.String()
}

// Domains of MariaDB have orders of their own, in one binlog.
func TestDomains(t *testing.T) {
	t.Parallel()
	r := newRig(t, testservers.SharedMySQL(t, testservers.FlavourMariaDB), "CREATE TABLE t (id int PRIMARY KEY)")
	r.Run()
	r.sql("SET gtid_domain_id = 5", "INSERT INTO t VALUES (1)", "SET gtid_domain_id = 0", "INSERT INTO t VALUES (2)",
		"SET gtid_domain_id = 6", "SET server_id = 99", "INSERT INTO t VALUES (3)", "SET gtid_domain_id = 5", "INSERT INTO t VALUES (4)")
	r.Sync()
	r.Restart()
	r.sql("INSERT INTO t VALUES (5)", "SET gtid_domain_id = 0", "INSERT INTO t VALUES (6)")
	r.Sync()
	r.wantRows("c t  1", "c t  2", "c t  3", "c t  4", "c t  5", "c t  6")
	if got := PositionText(r.Progress().Position); !strings.Contains(got, ",5-99-") || !strings.Contains(got, ",6-99-") {
		t.Errorf("position %s", got)
	}
	r.Restart()
	r.Sync()
	r.same("t")
}

// Transactions and events come compressed.
func TestCompressedBinlog(t *testing.T) {
	eachAlone(t, func(t *testing.T, r *rig) {
		variable := "binlog_transaction_compression"
		if r.maria() {
			variable = "log_bin_compress"
			r.global("log_bin_compress_min_len", "10")
		}
		r.global(variable, "1")
		r.again()
		r.sql("CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, repeat('a', 1000))")
		r.Run()
		r.sql("INSERT INTO t VALUES (2, repeat('b', 60000)), (3, repeat('c', 5000))", "BEGIN", "UPDATE t SET v = repeat('d', 2000) WHERE id = 1", "DELETE FROM t WHERE id = 3",
			"INSERT INTO t VALUES (4, repeat('e', 100))", "COMMIT", "ALTER TABLE t ADD COLUMN w varchar(100) DEFAULT 'a long default that is worth compressing, compressing, compressing'",
			"CREATE TABLE u (id int PRIMARY KEY)", "INSERT INTO u VALUES (1)", "BEGIN", "INSERT INTO t VALUES (5, 'v', 'w')", "SAVEPOINT s", "INSERT INTO t VALUES (6, 'v', 'w')", "ROLLBACK TO s", "COMMIT")
		r.sql("INSERT INTO t SELECT id + 100, repeat(v, 20), w FROM t WHERE id = 4")
		r.Sync()
		r.same("t", "u")
		r.Restart()
		r.sql("UPDATE t SET v = 'x'")
		r.Sync()
		r.same("t", "u")
	})
}

// A row is larger than what one packet of the protocol carries.
func TestRowsOfManyMegabytes(t *testing.T) {
	eachAlone(t, func(t *testing.T, r *rig) {
		r.global("max_allowed_packet", "134217728")
		r.open = r.session()
		r.sql("CREATE TABLE t (id int PRIMARY KEY, v longtext, n int)", "INSERT INTO t VALUES (1, repeat('first', 1000), 0)")
		r.Run()
		r.sql("INSERT INTO t VALUES (2, repeat('abcdefgh', 5000000), 1)", "INSERT INTO t VALUES (3, repeat('x', 16777215), 1), (4, repeat('x', 16777216 - 50), 1)",
			"UPDATE t SET n = 2 WHERE id = 4", "DELETE FROM t WHERE id = 3")
		r.Sync()
		r.sameLengths()
	})
}

// MariaDB does not tell the GTIDs at a place behind an event that is larger than its packets: both images of one large row.
func TestEventsLargerThanPackets(t *testing.T) {
	eachAlone(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY, v longtext, n int)", "INSERT INTO t VALUES (1, repeat('x', 10000000), 0)", "UPDATE t SET n = 1")
		r.Run()
		r.sameLengths()
		r.sql("UPDATE t SET n = 2")
		r.Sync()
		r.Restart()
		r.sql("INSERT INTO t VALUES (2, 'y', 0)")
		r.Sync()
		r.sameLengths()
		r.Restart()
		v, err := r.source.Verification(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		v.Close()
		r.Sync()
		if err := r.m.RotateBinlog(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

func (r *rig) sameLengths() {
	r.Helper()
	got := r.Rows("t")
	for i, row := range got {
		parts := strings.Split(row, "|")
		got[i] = parts[0] + "|" + strconv.Itoa(len(parts[1])) + "|" + parts[2]
	}
	want := strings.Split(r.open.ask("SELECT id, length(v), n FROM t ORDER BY id"), "\n")
	if !slices.Equal(got, want) {
		r.Fatalf("rows %q, want %q", got, want)
	}
}

// Keys that their collation takes for equal are one key.
func TestKeysOfCaseInsensitiveCollations(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (k varchar(20) PRIMARY KEY, v int) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "INSERT INTO t VALUES ('a', 1), ('b', 2), ('Straße', 3)",
			"CREATE TABLE l (k varchar(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci, n int, v text CHARACTER SET utf8mb4, PRIMARY KEY (k, n))", "INSERT INTO l VALUES ('é', 1, '€'), ('ÿ', 2, '😀')",
			"CREATE TABLE b (k varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, v char(5) CHARACTER SET ucs2, w text CHARACTER SET latin1)", "INSERT INTO b VALUES ('a', 'é', 'ü'), ('A', 'x', 'y')")
		r.Run()
		r.sql("UPDATE t SET k = 'A', v = 10 WHERE k = 'a'", "UPDATE t SET v = 20 WHERE k = 'B'", "REPLACE INTO t VALUES ('STRASSE', 4), ('c ', 5)", "DELETE FROM t WHERE k = 'C'", "INSERT INTO t VALUES ('C', 6)",
			"UPDATE l SET v = 'ä', k = 'É' WHERE n = 1", "DELETE FROM l WHERE k = 'Ÿ'", "UPDATE b SET v = 'ö' WHERE k = 'A'", "DELETE FROM b WHERE k = 'a'", "INSERT INTO b VALUES ('a ', 'ß', 'ß')")
		r.Sync()
		r.same("t", "l", "b")
		r.Restart()
		r.sql("SET binlog_row_image = MINIMAL", "UPDATE t SET k = lower(k)", "UPDATE t SET v = v + 1", "UPDATE l SET v = concat(v, 'x')", "UPDATE b SET w = 'ÿ'")
		r.Sync()
		r.same("t", "l", "b")
	})
}

// The last file of the binlog changes all the time, within a transaction's life.
func TestRotationStorm(t *testing.T) {
	eachAlone(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY)")
		r.Run()
		long := r.session()
		long.Do("BEGIN", "INSERT INTO t VALUES (-1)")
		for i := range 60 {
			if i%3 == 0 {
				if err := r.m.RotateBinlog(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if i%20 == 10 {
				r.Restart()
			}
			r.sql("INSERT INTO t VALUES (" + strconv.Itoa(i) + ")")
		}
		long.Do("COMMIT")
		r.Sync()
		if got := len(r.rowsOf()); got != 61 {
			t.Errorf("%d changes, want 61", got)
		}
		r.same("t")
		at, err := ParsePosition(r.Progress().Position)
		end, err2 := r.m.BinlogEnd(context.Background())
		if err != nil || err2 != nil || at.File != end.File {
			t.Errorf("the log is at %v, %v, the server at %v, %v", at, err, end, err2)
		}
	})
}

// A source that nothing is written to is started again and again.
func TestIdleRestartsAreNoStops(t *testing.T) {
	eachAlone(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
		r.Run()
		for _, rotated := range []bool{false, true} {
			if rotated {
				if err := r.m.RotateBinlog(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			before := r.Progress().Commit
			r.Eventually("a tick", func() bool { return r.Progress().Commit > before })
			r.Restart()
		}
		r.sql("INSERT INTO t VALUES (2)")
		r.Sync()
		r.wantRows("c t  2")
	})
}

// A transaction that has made a table for itself is in the binlog of MariaDB though it was rolled back. Nothing of it is in the log, but
// what it told of its tables stays true: that one has other columns, or must be copied again.
func TestG2TableDescribedByATransactionThatIsRolledBack(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 1)", "CREATE TABLE n (id int, v int)", "INSERT INTO n VALUES (1, 1)",
			"CREATE TABLE w (id int PRIMARY KEY, v int)", "INSERT INTO w VALUES (1, 1)", "CREATE TABLE made (id int PRIMARY KEY)")
		r.Run()
		// The stream has no quiet moment in which the catalogue could tell.
		r.Halt()
		r.sql("ALTER TABLE t MODIFY v varchar(9)", "ALTER TABLE n MODIFY v varchar(9)", "ALTER TABLE w ADD x int NOT NULL DEFAULT 7", "RENAME TABLE made TO made2",
			"BEGIN", "INSERT INTO t VALUES (2, 'b')", "INSERT INTO n VALUES (2, 'b')", "INSERT INTO w VALUES (2, 2, 2)", "CREATE TEMPORARY TABLE own (id int)",
			"INSERT INTO made2 VALUES (8)", "UPDATE t SET v = 'c'", "ROLLBACK",
			"INSERT INTO t VALUES (3, 'c')", "INSERT INTO n VALUES (3, 'c')", "INSERT INTO w VALUES (3, 3, 3)", "UPDATE w SET v = 4 WHERE id = 1")
		r.Run()
		r.same("t", "n", "w", "made2")
		r.Restart()
		r.sql("INSERT INTO t VALUES (4, 'd')", "INSERT INTO n VALUES (4, 'd')", "INSERT INTO w VALUES (4, 4, 4)", "INSERT INTO made2 VALUES (4)")
		r.Sync()
		r.same("t", "n", "w", "made2")
	})
}
