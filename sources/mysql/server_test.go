package mysql

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"cdc/e2e/testservers"
	"cdc/sources/mysql/binlog"
)

func TestServerSaysWhatItIs(t *testing.T) {
	bothFlavours(t, func(t *testing.T, m *testservers.MySQL) {
		db := m.Database(t)
		c := sessionAt(t, m.DSN(m.Role(t, testservers.MySQLCaptureRole{Databases: []string{db}}), db))
		is, err := c.server()
		if err != nil {
			t.Fatal(err)
		}
		want := flavourMySQL
		if m.Flavour() == testservers.FlavourMariaDB {
			want = flavourMariaDB
		}
		if is.flavour != want || !strings.HasPrefix(is.text, is.version.String()) || is.identity == "" || is.serverID != 1 {
			t.Errorf("%+v", is)
		}
		if !is.binlog || is.format != "ROW" || is.rowImage != "FULL" || is.rowMetadata != "FULL" || !is.gtid || is.checksum == "" {
			t.Errorf("binlog of %+v", is)
		}
		end, err := m.BinlogEnd(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		file, pos, gtids, err := c.binlogEnd()
		if err != nil || file != end.File || pos < end.Offset || gtids == "" {
			t.Errorf("the end is %s %d %q, %v; want %+v", file, pos, gtids, err, end)
		}
		files, err := c.binlogFiles()
		if err != nil || len(files) == 0 || files[len(files)-1].name < end.File {
			t.Errorf("%v %v", files, err)
		}
		before := time.Now().UnixMicro()
		now, err := c.now()
		const slack = 1e6 // of the two clocks
		if after := time.Now().UnixMicro(); err != nil || int64(now) < before-slack || int64(now) > after+slack {
			t.Errorf("the server's clock is %d between %d and %d: %v", now, before, after, err)
		}
	})
}

// The least-privilege account may ask all that the stream asks, and a place of the binlog has the GTIDs that it had when it was the end.
func TestGTIDsOfAServer(t *testing.T) {
	bothFlavours(t, func(t *testing.T, m *testservers.MySQL) {
		db := m.Database(t)
		c := sessionAt(t, m.DSN(m.Role(t, testservers.MySQLCaptureRole{Databases: []string{db}}), db))
		file, pos, before, err := c.binlogEnd()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.SQL(t.Context(), db, "CREATE TABLE t (id int PRIMARY KEY)"); err != nil {
			t.Fatal(err)
		}
		ask := map[string]func() (string, error){"executed": c.gtidExecuted, "purged": c.gtidPurged}
		if m.Flavour() == testservers.FlavourMariaDB {
			ask = map[string]func() (string, error){"binlog": c.gtidBinlogPos, "current": c.gtidCurrentPos, "state": c.gtidBinlogState}
			at, ok, err := c.gtidAt(file, pos)
			if err != nil || !ok || !parsePos(t, before).IsSubset(parsePos(t, at)) {
				t.Errorf("at %s %d: %q %v %v, want %q or more", file, pos, at, ok, err, before)
			}
			if _, ok, err := c.gtidAt("binlog.999999", 4); ok || err != nil {
				t.Errorf("at a place that there is not: %v %v", ok, err)
			}
		}
		for name, f := range ask {
			got, err := f()
			if err != nil || strings.ContainsAny(got, "\n ") || (got == "" || got == before) != (name == "purged") {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	})
}

func parsePos(t *testing.T, text string) *binlog.MariaPos {
	t.Helper()
	p, err := binlog.ParseMariaPos(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A transaction is in the binlog, and so perhaps in the log, before the server counts it as executed. It is waited for, and is no sign
// of a server that has lost it.
func TestG2TransactionsThatAreBeingCommittedAreWaitedFor(t *testing.T) {
	m := testservers.SharedMySQL(t, testservers.FlavourMySQL)
	db := m.Database(t)
	c := sessionAt(t, m.DSN(m.Role(t, testservers.MySQLCaptureRole{Databases: []string{db}}), db))
	source := "00000000-1111-2222-3333-" + uuidTail(db)
	owners := make([]*testservers.MySQLSession, 2)
	for i, gtid := range []string{source + ":20", source + ":10"} {
		owner, err := m.Open(t.Context(), m.Superuser(), db)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(owner.Close)
		if _, err := owner.SQL(t.Context(), "SET GTID_NEXT = '"+gtid+"'"); err != nil {
			t.Fatal(err)
		}
		owners[i] = owner
	}
	held, err := binlog.ParseGTIDSet(source + ":10:20")
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.gtidOwned()
	if err != nil {
		t.Fatal(err)
	}
	if owned, err := binlog.ParseGTIDSet(text); err != nil || !held.IsSubset(owned) {
		t.Fatalf("owned are %q: %v", text, err)
	}
	var commits sync.WaitGroup
	for i, owner := range owners {
		commits.Go(func() {
			<-time.After(time.Duration(i+1) * 100 * time.Millisecond)
			if _, err := owner.SQL(context.Background(), "COMMIT; SET GTID_NEXT = AUTOMATIC"); err != nil { // an empty transaction
				t.Error(err)
			}
		})
	}
	executed, err := new(Source).executed(t.Context(), c, held)
	commits.Wait()
	if err != nil || !held.IsSubset(executed) {
		t.Errorf("executed are %s: %v", executed, err)
	}
	lost, err := binlog.ParseGTIDSet(source + ":99")
	if err != nil {
		t.Fatal(err)
	}
	if executed, err := new(Source).executed(t.Context(), c, lost); err != nil || lost.IsSubset(executed) {
		t.Errorf("what nobody commits is executed: %s, %v", executed, err)
	}
}
