//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/e2e/testservers"
)

// transactionsOf counts the transactions of the log that change a table.
func (c *capture) transactionsOf(table string) (n int) {
	c.t.Helper()
	log := openLog(c.t, c.data())
	defer log.Close()
	err := units(log, func(u *changelog.Unit) error {
		if u.Meta.Kind != changelog.UnitTx {
			return nil
		}
		found := false
		for {
			var change changelog.Change
			ok, err := u.Next(&change)
			if err != nil || !ok {
				if found {
					n++
				}
				return err
			}
			found = found || change.Op != changelog.OpMessage && change.Table.Name == table
		}
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// ownServer is a small rig on a server of the test's own.
func ownServer(t *testing.T, o testservers.MySQLOptions) *mysqlRig {
	t.Helper()
	o.Name = strings.ToLower(t.Name())
	return smallMySQLRig(t, testservers.StartMySQLFor(t, o))
}

func TestG2PurgedBinlogIsAGap(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := ownServer(t, testservers.MySQLOptions{Flavour: f})
		c.catchUp()
		c.appSQL("INSERT INTO orders VALUES (4, 'lost')")
		if err := c.server.PurgeBinlog(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.appSQL("INSERT INTO orders VALUES (5, 'after')")
		c.stopsWith(c.start(), "GAP", "binlog")
		if rows := c.must("at", "now", "orders", "--format", "csv"); strings.Contains(rows, "after") {
			t.Errorf("the log went on past the gap:\n%s", rows)
		}
		c.recopies()
	})
}

// A purged binlog that the log has all of is nothing to worry about.
func TestPurgedBinlogThatWasReadIsNoGap(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := ownServer(t, testservers.MySQLOptions{Flavour: f})
		c.catchUp()
		if err := c.server.PurgeBinlog(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.appSQL("INSERT INTO orders VALUES (4, 'd')")
		c.thenWorks()
	})
}

// After a reset the same names of files, positions and numbers stand for other
// transactions.
func TestG2ResetBinlogIsDiverged(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := ownServer(t, testservers.MySQLOptions{Flavour: f})
		c.catchUp()
		if err := c.server.ResetBinlog(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.appSQL("INSERT INTO orders VALUES (4, 'of another history')")
		c.stopsWith(c.start(), "DIVERGED")
		c.recopies()
	})
}

// A reset after which the server has written more than before: all numbers that
// the log knows exist again.
func TestG2ResetBinlogThatGrewAgainIsDiverged(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := ownServer(t, testservers.MySQLOptions{Flavour: f})
		c.catchUp()
		if err := c.server.ResetBinlog(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 60 {
			c.appSQL(fmt.Sprintf("INSERT INTO orders VALUES (%d, 'of another history')", 100+i))
		}
		c.stopsWith(c.start(), "DIVERGED")
		c.recopies()
	})
}

// Without GTIDs a place in the files is all there is.
func TestG2MySQLWithoutGTIDs(t *testing.T) {
	t.Parallel()
	c := ownServer(t, testservers.MySQLOptions{Settings: map[string]string{"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"}})
	c.catchUp()
	c.appSQL("INSERT INTO orders VALUES (4, 'd')")
	c.thenWorks()
	if err := c.server.PurgeBinlog(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.stopsWith(c.start(), "GAP", "binlog")
	c.recopies()
	if err := c.server.ResetBinlog(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := c.start()
	p.wantExit(exitStopped)
}

// Two readers with one number: MariaDB has the later one take the place of the
// other, which says so and does not fight for it; MySQL tells them apart by
// their uuids.
func TestG9SameServerIDIsFenced(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := ownServer(t, testservers.MySQLOptions{Flavour: f})
		c.flags = []string{"--server-id", "4711"}
		first := c.run()
		other := &capture{t: t, origin: c.origin, database: c.database, source: c.source, flags: c.flags}
		other.makeFolder()
		second := other.start()
		if f == testservers.FlavourMySQL {
			c.appSQL("INSERT INTO orders VALUES (4, 'for both')")
			c.answer("orders", "for both")
			other.answer("orders", "for both")
			first.stop()
			second.stop()
			return
		}
		until(t, "one of the two to be stopped", func() bool { return first.ended() || second.ended() })
		loser := first
		if second.ended() {
			loser = second
		}
		loser.wantExit(exitStopped)
		result{args: []string{"run"}, code: loser.code(), err: lastError(loser.text())}.refuses(t, exitStopped, "FENCED", "4711", "server_id")
	})
}

// The binlog holds a byte that was not written: it is named, and not believed.
func TestG7FlippedBitInTheBinlogIsCorrupt(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := ownServer(t, testservers.MySQLOptions{Flavour: f})
		c.catchUp()
		c.appSQL("INSERT INTO orders VALUES (4, 'marker-of-the-row')")
		end, err := c.server.BinlogEnd(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(c.sql("SELECT @@datadir"), end.File)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := strings.LastIndex(string(text), "marker-of-the-row")
		if at < 0 {
			t.Fatalf("%s does not hold the row", path)
		}
		text[at] ^= 1
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c.stopsWith(c.start(), "CORRUPT", "checksum")
		if rows := c.must("at", "now", "orders", "--format", "csv"); strings.Contains(rows, "of-the-row") {
			t.Errorf("the damaged row was believed:\n%s", rows)
		}
	})
}

// A replica that has everything takes the primary's place: its files have other
// names, its GTIDs are the same.
func TestG2FailoverToAReplicaGoesOn(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c, replica := withReplica(t, f)
		p := c.run()
		c.appSQL("INSERT INTO orders VALUES (4, 'on the old primary')")
		c.awaitCurrent()
		p.stop()
		if err := replica.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.failover(replica)
		c.appSQL("INSERT INTO orders VALUES (5, 'on the new primary'); UPDATE orders SET note = 'changed there' WHERE id = 4")
		c.thenWorks()
		if status := c.must("status", "--json"); !strings.Contains(status, `"epoch":1`) {
			t.Errorf("the failover began another epoch:\n%s", status)
		}
	})
}

// One that lacks what the log holds is another history.
func TestG2ReplicaBehindUsIsDiverged(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c, replica := withReplica(t, f)
		p := c.run()
		if _, err := replica.SQL(t.Context(), "", "STOP REPLICA"); err != nil {
			t.Fatal(err)
		}
		c.appSQL("INSERT INTO orders VALUES (4, 'never replicated')")
		c.awaitCurrent()
		p.stop()
		c.failover(replica)
		c.appSQL("INSERT INTO orders VALUES (5, 'on the new primary')")
		p = c.start()
		p.wantExit(exitStopped)
		result{args: []string{"run"}, code: p.code(), err: lastError(p.text())}.refuses(t, exitStopped, "DIVERGED")
		if rows := c.must("at", "now", "orders", "--format", "csv"); strings.Contains(rows, "new primary") {
			t.Errorf("the log went on with another history:\n%s", rows)
		}
	})
}

func withReplica(t *testing.T, f testservers.Flavour) (*mysqlRig, *testservers.MySQL) {
	t.Helper()
	c := ownServer(t, testservers.MySQLOptions{Flavour: f})
	c.catchUp()
	replica, err := c.server.Replica(t.Context(), testservers.ReplicaOptions{Name: "replica " + string(f)})
	if err != nil {
		t.Fatal(err)
	}
	replica.StopAfter(t)
	return c, replica
}

// failover has the replica take the place of a primary that dies.
func (c *mysqlRig) failover(replica *testservers.MySQL) {
	c.t.Helper()
	primary := c.server
	if err := primary.Kill(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { // its databases and users are dropped next
		if err := primary.Restart(context.Background()); err != nil {
			c.t.Error(err)
		}
	})
	if err := replica.Promote(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.server, c.addr = replica, replica.Addr()
	c.forgetAdmin()
}

func TestG2AnotherMySQLBehindTheAddressIsDiverged(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := smallMySQLRig(t, testservers.SharedMySQL(t, f))
		c.catchUp()
		other := ownServer(t, testservers.MySQLOptions{Flavour: f, ServerID: 77})
		c.runWith(other.dsn(), "--name", c.database).refuses(t, exitStopped, "DIVERGED")
		c.appSQL("INSERT INTO orders VALUES (4, 'd')")
		c.thenWorks()
	})
}

// Tagged GTIDs, numbers with gaps, numbers of other servers and empty
// transactions are a set, whose largest number says nothing.
func TestG2GTIDsOfEveryKind(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := ownServer(t, testservers.MySQLOptions{Flavour: f})
		p := c.run()
		row := 10
		write := func(before, after string) {
			row++
			c.sql(fmt.Sprintf("%s; INSERT INTO orders VALUES (%d, 'g'); %s", before, row, after))
		}
		odd := func() {
			if f == testservers.FlavourMariaDB {
				write("SET SESSION gtid_domain_id = 7", "SELECT 1")
				write("SET SESSION gtid_domain_id = 7, gtid_seq_no = 1000", "SELECT 1")
				write("SET SESSION server_id = 99", "SELECT 1")
				write("SET SESSION gtid_domain_id = 3, server_id = 12, gtid_seq_no = 40", "SELECT 1")
				return
			}
			other := "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
			for _, gtid := range []string{other + ":%[1]d00", other + ":%[1]d05", other + ":%[1]d02", other + ":tag:%[1]d00", "AUTOMATIC:other"} {
				if strings.Contains(gtid, "%") {
					gtid = fmt.Sprintf(gtid, row)
				}
				write("SET gtid_next = '"+gtid+"'", "SET gtid_next = 'AUTOMATIC'")
			}
			c.sql(fmt.Sprintf("SET gtid_next = '%s:%d01'; BEGIN; COMMIT; SET gtid_next = 'AUTOMATIC'", other, row))
		}
		odd()
		c.awaitCurrent()
		p.kill()
		if f == testservers.FlavourMySQL {
			odd()
		} else {
			write("SET SESSION gtid_domain_id = 7", "SELECT 1")
		}
		p = c.run()
		c.awaitCurrent()
		c.verify()
		c.equalNow([]string{"orders"})
		p.stop()
	})
}
