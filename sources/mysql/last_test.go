package mysql

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sources/mysql/binlog"
)

// The last transaction is written with the position, and positions without it are read, too.
func TestPositionsWithTheLastTransaction(t *testing.T) {
	uuid := binlog.UUID{1, 2, '#', '|'}
	tag, err := binlog.ParseTag("blue")
	if err != nil {
		t.Fatal(err)
	}
	set := &binlog.GTIDSet{}
	set.Add(binlog.GTID{UUID: uuid, GNO: 7})
	maria, err := binlog.ParseMariaPos("0-1-7,5-2-8")
	if err != nil {
		t.Fatal(err)
	}
	from, err := binlog.ParseMariaPos("0-1-6")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Position{
		{Flavour: FlavourMySQL, GTIDs: set, last: last{stamp: 1 << 50, mysql: binlog.GTID{UUID: uuid, GNO: 7}}},
		{Flavour: FlavourMySQL, GTIDs: set, File: "b.000001", Offset: 9, last: last{stamp: '#', mysql: binlog.GTID{UUID: uuid, Tag: tag, GNO: 1 << 40}}},
		{Flavour: FlavourMariaDB, Maria: maria, last: last{stamp: '|', before: binlog.MariaGTID{Domain: 5}}},
		{Flavour: FlavourMariaDB, Maria: maria, From: from, last: last{stamp: 1 << 31, before: binlog.MariaGTID{Domain: 5, Server: 1 << 31, Seq: 1 << 63}}},
		{Flavour: FlavourFile, File: "b.000002", Offset: 9, last: last{stamp: 5, begins: place{"b.000001", 5 << 32}}},
	} {
		text := FormatPosition(&p)
		got, err := ParsePosition(text)
		if err != nil || got.last != p.last || got.String() != p.String() || got.place() != p.place() {
			t.Errorf("%+v comes back as %+v, %v", p, got, err)
		}
		for n := range len(text) {
			_, _ = ParsePosition(text[:n]) // it must not panic
		}
		p.last = last{}
		short := FormatPosition(&p)
		if got, err := ParsePosition(short); err != nil || got.last != p.last || got.String() != p.String() || !strings.HasPrefix(string(text), string(short)) {
			t.Errorf("without its last transaction %+v comes back as %+v, %v", p, got, err)
		}
		if got, err := ParsePosition(short + changelog.Position(lastMark)); err == nil {
			t.Errorf("a mark with nothing behind it is read as %+v", got)
		}
	}
}

// aside asks a server where the last transaction of a position is to be read from, and its own end.
func (r *rig) aside(m *testservers.MySQL, at *Position) (s *Source, srv server, from, end *Position) {
	r.Helper()
	o := r.o
	o.DSN = m.DSN(m.Superuser(), r.db)
	copy(o.LogID[:], strings.TrimPrefix(r.db, "test_")) // it must not take the place of another reader
	s, err := New(o)
	if err != nil {
		r.Fatal(err)
	}
	c, err := s.connect(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	defer c.close()
	if srv, err = c.server(); err == nil {
		end, err = s.current(c, srv)
	}
	if err == nil {
		from, err = s.beforeLast(c, at, end)
	}
	if err != nil {
		r.Fatal(err)
	}
	return s, srv, from, end
}

// stampAt is the stamp that a server has for the last transaction of a position.
func (r *rig) stampAt(m *testservers.MySQL, at *Position) uint64 {
	r.Helper()
	s, srv, from, end := r.aside(m, at)
	stamp, err := s.readStamp(r.Context(), srv, at, from, end.place())
	if err != nil {
		r.Fatal(err)
	}
	return stamp
}

// position is how far the log has the source.
func (r *rig) position() *Position {
	r.Helper()
	at, err := ParsePosition(r.Progress().Position)
	if err != nil {
		r.Fatal(err)
	}
	return at
}

// Transactions of every kind have the same stamp on the server that executed them and on its replicas.
func TestLastTransactionIsTheSameOnReplicas(t *testing.T) {
	ownRigs(t, testservers.MySQLOptions{}, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY, v int, w text)", "CREATE TABLE m (id int PRIMARY KEY) ENGINE = MyISAM", "INSERT INTO t VALUES (1, 1, 'a')")
		r.Run()
		settings := map[string]string{"binlog_row_image": "MINIMAL", "binlog_transaction_compression": "ON", "replica_parallel_workers": "4"}
		kinds := lastKinds[testservers.FlavourMySQL]
		if r.maria() {
			settings = map[string]string{"binlog_row_image": "MINIMAL", "log_bin_compress": "ON", "log_bin_compress_min_len": "10", "slave_parallel_threads": "4", "binlog_annotate_row_events": "OFF"}
			kinds = lastKinds[testservers.FlavourMariaDB]
		}
		replica, err := r.m.Replica(context.Background(), testservers.ReplicaOptions{Settings: settings})
		if err != nil {
			t.Fatal(err)
		}
		replica.StopAfter(t)
		for _, kind := range append(lastKinds[""], kinds...) {
			r.again()
			before := r.Progress().Position
			r.sql(strings.Split(kind, "; ")...)
			r.Sync()
			r.Eventually("its position", func() bool { return After(before, r.Progress().Position) })
			r.checkReplica(replica, kind)
		}
	})
}

// lastKinds are kinds of transactions, of both servers and of each: statements with a pause within, so that the times of its parts
// differ.
var lastKinds = map[testservers.Flavour][]string{
	"": {
		"INSERT INTO t VALUES (2, 2, 'b')",
		"BEGIN; INSERT INTO t VALUES (3, 3, 'c'); DO SLEEP(1.1); UPDATE t SET v = 4; DELETE FROM t WHERE id = 3; DO SLEEP(1.1); COMMIT",
		"INSERT INTO t SELECT 4, SLEEP(1.1), repeat('x', 1000)",
		"ALTER TABLE t ADD x int DEFAULT 3",
		"CREATE TABLE u (id int PRIMARY KEY AUTO_INCREMENT, v double)",
		"INSERT INTO u (v) VALUES (RAND()), (@a)",
		"INSERT INTO m VALUES (1), (2)",
		"UPDATE t, u SET t.v = 7, u.v = 8",
		"TRUNCATE TABLE u",
		"CREATE TRIGGER tr AFTER UPDATE ON t FOR EACH ROW INSERT INTO u (v) VALUES (1)",
		"UPDATE t SET v = v + 1",
		"CREATE USER someone_else",
		"SET timestamp = 1000000000; INSERT INTO t (id) VALUES (100)",
		"XA START 'a'; INSERT INTO t (id) VALUES (200); XA END 'a'; DO SLEEP(1.1); XA COMMIT 'a' ONE PHASE",
		"XA START 'b'; INSERT INTO t (id) VALUES (201); XA END 'b'; XA PREPARE 'b'; DO SLEEP(1.1); XA COMMIT 'b'",
		"XA START 'c'; INSERT INTO t (id) VALUES (202); XA END 'c'; XA PREPARE 'c'; DO SLEEP(1.1); XA ROLLBACK 'c'",
		"CREATE TABLE s AS SELECT * FROM t",
		"DROP TABLE s, u",
	},
	testservers.FlavourMySQL: {
		"SET gtid_next = 'AUTOMATIC:cdc_test'; INSERT INTO t (id) VALUES (300)",
		"SET gtid_next = '00000000-1111-2222-3333-444444444444:5'; INSERT INTO t (id) VALUES (301); SET gtid_next = 'AUTOMATIC'",
		"SET gtid_next = '00000000-1111-2222-3333-444444444444:6'; BEGIN; COMMIT; SET gtid_next = 'AUTOMATIC'",
		"SET binlog_transaction_compression = ON; INSERT INTO t (id, w) VALUES (302, repeat('x', 1000))",
	},
	testservers.FlavourMariaDB: {
		"SET gtid_domain_id = 5; INSERT INTO t (id) VALUES (300)",
		"SET gtid_domain_id = 5; SET gtid_seq_no = 1000; INSERT INTO t (id) VALUES (301)",
		"SET gtid_domain_id = 5; SET server_id = 99; INSERT INTO t (id) VALUES (302)",
		"SET gtid_domain_id = 5; XA START 'd'; INSERT INTO t (id) VALUES (303); XA END 'd'; XA PREPARE 'd'; XA COMMIT 'd'",
		"INSERT INTO t (id) VALUES (304)",
		"BEGIN; INSERT INTO m VALUES (5); DO SLEEP(1.1); INSERT INTO t (id) VALUES (305); ROLLBACK",
		"CREATE OR REPLACE SEQUENCE q; SELECT NEXTVAL(q)",
	},
}

// checkReplica makes sure that primary and replica have the stamp of the log.
func (r *rig) checkReplica(replica *testservers.MySQL, kind string) {
	r.Helper()
	if err := replica.CatchUp(r.Context()); err != nil {
		r.Fatal(err)
	}
	at := r.position()
	if here, there := r.stampAt(r.m, at), r.stampAt(replica, at); at.last.stamp == 0 || here != at.last.stamp || there != at.last.stamp {
		r.Errorf("%s:\nthe log has stamp %d, the server %d, its replica %d", kind, at.last.stamp, here, there)
	}
}

// history resets the binlog and begins it with statements of which each has as many bytes, whatever the digit is. Another second
// than that of all before begins first.
func (r *rig) history(digit string) {
	r.Helper()
	r.anotherSecond()
	if err := r.m.ResetBinlog(r.Context()); err != nil {
		r.Fatal(err)
	}
	r.sql("DROP TABLE t", "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1"+digit+")")
}

// anotherSecond waits until the server's clock shows another second: MariaDB's stamps have no finer one.
func (r *rig) anotherSecond() {
	r.Helper()
	since := r.open.ask("SELECT UNIX_TIMESTAMP()")
	r.Eventually("another second", func() bool { return r.open.ask("SELECT UNIX_TIMESTAMP()") != since })
}

// After a reset, the same names stand at the same places for other transactions.
func TestG2AnotherTransactionOfTheSameNameIsDiverged(t *testing.T) {
	ownRigs(t, testservers.MySQLOptions{}, testSameAgain)
}

// Without GTIDs, the place is the name.
func TestG2AnotherTransactionAtTheSamePlaceIsDiverged(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"}
	testSameAgain(t, newRig(t, testservers.StartMySQLFor(t, testservers.MySQLOptions{Settings: settings})))
}

func testSameAgain(t *testing.T, r *rig) {
	r.sql("CREATE TABLE t (id int PRIMARY KEY)")
	r.history("1")
	r.Run()
	r.sql("INSERT INTO t VALUES (21)")
	r.Sync()
	r.Restart()
	r.Sync()
	r.Halt()
	before, err := r.m.BinlogEnd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.history("2")
	r.sql("INSERT INTO t VALUES (22)")
	if after, err := r.m.BinlogEnd(t.Context()); err != nil || after != before {
		t.Fatalf("the binlog ends at %v, %v, and not at %v again", after, err, before)
	}
	r.sql("INSERT INTO t VALUES (23)")
	r.Start()
	if stop := r.WantStop(changelog.StopDiverged, "is another one at the server"); stop.Unrecorded || stop.Position == "" {
		t.Errorf("the stop is %+v", stop)
	}
	r.Decide(changelog.Decision{Action: actionRecopy})
	r.Restart()
	r.Sync()
	r.same("t")
}

// A crash in which MySQL loses the last transaction of its binlog, and the next one gets its name.
func TestG2LostTransactionWhoseNameIsGivenAgainIsDiverged(t *testing.T) {
	t.Parallel()
	r := newRig(t, testservers.StartMySQLFor(t, testservers.MySQLOptions{}), "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	r.Run()
	r.sql("INSERT INTO t VALUES (2)")
	kept := r.open.ask("SELECT @@global.gtid_executed")
	r.sql("INSERT INTO t VALUES (3)")
	r.Sync()
	at := r.position()
	r.Halt()
	if err := r.m.ResetBinlog(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.sql("SET GLOBAL gtid_purged = '"+kept+"'", "SET sql_log_bin = OFF", "DELETE FROM t WHERE id = 3", "SET sql_log_bin = ON", "INSERT INTO t VALUES (4)")
	if end, err := r.m.BinlogEnd(t.Context()); err != nil || end.GTIDs != at.String() {
		t.Fatalf("the server has %s, %v, the log %s", end.GTIDs, err, at)
	}
	r.Start()
	r.WantStop(changelog.StopDiverged, at.last.mysql.String())
}

// A MariaDB that has nothing to do with ours, and the same number and higher sequences.
func TestG2StrangerWithTheNumberOfOursIsDiverged(t *testing.T) {
	t.Parallel()
	o := testservers.MySQLOptions{Flavour: testservers.FlavourMariaDB, ServerID: 33}
	r := newRig(t, testservers.StartMySQLFor(t, o), "CREATE TABLE t (id int PRIMARY KEY)")
	r.Run()
	r.sql("INSERT INTO t VALUES (1)")
	r.Sync()
	at := r.position()
	r.Halt()
	r.anotherSecond()
	o.Name = "stranger"
	other := newRig(t, testservers.StartMySQLFor(t, o), "CREATE TABLE t (id int PRIMARY KEY)")
	for i := range 30 {
		other.sql("INSERT INTO t VALUES (" + strconv.Itoa(100+i) + ")")
	}
	if has, err := binlog.ParseMariaPos(other.open.ask("SELECT @@gtid_binlog_pos")); err != nil || !at.Maria.IsSubset(has) {
		t.Fatalf("the stranger has %s, %v, the log %s", has, err, at)
	}
	r.o.DSN = other.o.DSN
	r.Start()
	if stop := r.WantStop(changelog.StopDiverged, "it is another server"); !stop.Unrecorded {
		t.Error("the log was written about another server")
	}
}

// Where the last transaction is gone with its file, it is not compared.
func TestLastTransactionThatIsPurged(t *testing.T) {
	ownRigs(t, testservers.MySQLOptions{}, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY)")
		r.Run()
		r.sql("INSERT INTO t VALUES (1)")
		r.Sync()
		for range 2 {
			r.Halt()
			if err := r.m.PurgeBinlog(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.sql("INSERT INTO t SELECT max(id) + 1 FROM t")
			r.Start()
			r.Sync()
		}
		r.wantRows("c t  1", "c t  2", "c t  3")
	})
}

// A server that has no such transaction, whatever its names say, is not waited for.
func TestLastTransactionThatIsNotThere(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY)")
		r.Run()
		r.sql("INSERT INTO t VALUES (1)")
		r.Sync()
		at := r.position()
		if stamp := r.stampAt(r.m, at); stamp != at.last.stamp {
			t.Errorf("stamp %d, want %d", stamp, at.last.stamp)
		}
		at.last.mysql.GNO, at.last.before.Seq = 1<<40, 1<<40
		if stamp := r.stampAt(r.m, at); stamp != 0 {
			t.Errorf("a transaction that is not there has stamp %d", stamp)
		}
	})
}

// Of a large transaction that was the last, a new connection reads no more than the beginning.
func TestLargeLastTransactionIsNotReadAgain(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY, v longtext)")
		r.Run()
		r.sql("INSERT INTO t VALUES (1, repeat('x', 1000000))", "BEGIN", "INSERT INTO t SELECT 2, v FROM t", "INSERT INTO t SELECT id + 2, v FROM t", "INSERT INTO t SELECT id + 4, v FROM t", "COMMIT")
		r.Sync()
		at := r.position()
		s, srv, from, end := r.aside(r.m, at)
		f, err := s.startFeed(t.Context(), srv, from)
		if err != nil {
			t.Fatal(err)
		}
		defer f.close()
		look := lookup{at: at, end: end.place(), checksum: binlog.ChecksumDetect}
		read := 0
		for !look.done {
			raw, err := f.next()
			if err == nil {
				err = look.event(raw)
			}
			if err != nil {
				t.Fatal(err)
			}
			read += len(raw)
		}
		if look.stamp != at.last.stamp || read > 100_000 {
			t.Errorf("stamp %d after %d bytes, want %d", look.stamp, read, at.last.stamp)
		}
	})
}

// A log that begins on a server which is idle from then on has no transaction of its own to compare.
func TestG2ResetBinlogOfAnIdleServerIsDiverged(t *testing.T) {
	ownRigs(t, testservers.MySQLOptions{}, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY)")
		r.history("1")
		r.Run()
		if r.position().last.stamp == 0 {
			t.Error("the log knows no transaction")
		}
		r.Restart()
		r.Sync()
		r.Halt()
		r.history("2")
		r.sql("INSERT INTO t VALUES (3)")
		r.Start()
		r.WantStop(changelog.StopDiverged, "is another one at the server")
	})
}
