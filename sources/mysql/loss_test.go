package mysql

import (
	"context"
	"strconv"
	"testing"

	"cdc/changelog"
	"cdc/e2e/testservers"
)

// ownRigs runs a test on a server of its own, of each flavour.
func ownRigs(t *testing.T, o testservers.MySQLOptions, test func(t *testing.T, r *rig)) {
	t.Helper()
	t.Parallel()
	for _, f := range testservers.Flavours {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			o := o
			o.Flavour = f
			test(t, newRig(t, testservers.StartMySQLFor(t, o)))
		})
	}
}

// A binlog that was reset has the same GTIDs and files for other transactions, and then has passed where the log was.
func TestG2ResetBinlogIsDiverged(t *testing.T) {
	ownRigs(t, testservers.MySQLOptions{}, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
		r.Run()
		r.sql("INSERT INTO t VALUES (2)")
		r.Sync()
		r.Halt()
		if err := r.m.ResetBinlog(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.Start()
		r.WantStop(changelog.StopDiverged, "")
		r.Decide(changelog.Decision{Action: actionRecopy})
		r.Restart()
		r.Sync()
		r.same("t")
		// The numbers are used again, past those that the log has.
		r.sql("INSERT INTO t VALUES (3)")
		r.Sync()
		r.Halt()
		if err := r.m.ResetBinlog(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			r.sql("INSERT INTO t VALUES (" + strconv.Itoa(100+i) + "), (" + strconv.Itoa(200+i) + ")")
		}
		r.Start()
		r.WantStop(changelog.StopDiverged, "")
	})
}

// A replica takes the server's place: other files, the same GTIDs. One that lacks what the log has does not.
func TestReplicaTakesTheServersPlace(t *testing.T) { testReplica(t, false) }

func TestG2ReplicaThatIsBehindIsDiverged(t *testing.T) { testReplica(t, true) }

func testReplica(t *testing.T, ahead bool) {
	ownRigs(t, testservers.MySQLOptions{}, func(t *testing.T, r *rig) {
		ctx := context.Background()
		r.sql("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
		r.Run()
		replica := r.replica(nil)
		r.sql("INSERT INTO t VALUES (2)")
		r.Sync()
		if err := replica.CatchUp(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := replica.SQL(ctx, "", "STOP REPLICA"); err != nil {
			t.Fatal(err)
		}
		if ahead {
			r.sql("INSERT INTO t VALUES (3)") // the replica never gets it
			r.Sync()
		} else {
			r.Halt()
		}
		r.failTo(replica)
		if ahead {
			if stop := r.WantStop(changelog.StopDiverged, "a replica that is behind"); !stop.Unrecorded {
				t.Error("the log was written about another server")
			}
			return
		}
		r.Start()
		r.sql("INSERT INTO t VALUES (4)")
		r.Sync()
		r.wantRows("c t  2", "c t  4")
		r.same("t")
	})
}

// The replica's files have lower numbers than the primary's: that the log has come further in those says nothing about this server.
func TestPlaceOnTheServerBeforeSaysNothingAboutThisOne(t *testing.T) {
	ownRigs(t, testservers.MySQLOptions{}, func(t *testing.T, r *rig) {
		r.o.Tables = []string{r.db + ".k_*"}
		r.sql("CREATE TABLE k_t (id int PRIMARY KEY)", "INSERT INTO k_t VALUES (0)", "CREATE TABLE other (id int PRIMARY KEY)")
		for range 5 {
			r.sql("FLUSH BINARY LOGS")
		}
		r.Run()
		replica := r.replica(map[string]string{"log_bin": "binlog"})
		if err := replica.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.Halt()
		r.failTo(replica)
		for have := 1; have < 1<<15; have *= 2 {
			r.sql("INSERT INTO k_t SELECT id + " + strconv.Itoa(have) + " FROM k_t")
		}
		r.sql("CREATE TABLE k_made (id int PRIMARY KEY)", "INSERT INTO k_made VALUES (1)", "RENAME TABLE other TO k_other")
		r.Run()
		r.same("k_t", "k_made", "k_other")
		r.onlyOneOfEachName("k_t", "k_made", "k_other")
	})
}

// replica is a replica of the server.
func (r *rig) replica(settings map[string]string) *testservers.MySQL {
	r.Helper()
	replica, err := r.m.Replica(context.Background(), testservers.ReplicaOptions{Settings: settings})
	if err != nil {
		r.Fatal(err)
	}
	replica.StopAfter(r.TB)
	return replica
}

// failTo has the replica take the place of the server, which dies.
func (r *rig) failTo(replica *testservers.MySQL) {
	r.Helper()
	primary := r.m
	if err := primary.Kill(); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = primary.Restart(context.Background()) }) // to be tidied
	if err := replica.Promote(context.Background()); err != nil {
		r.Fatal(err)
	}
	r.proxy.Retarget(replica.Addr())
	r.m = replica
	r.again()
}

// A server that was killed goes on; and so does one whose files of the binlog get another name, if it still has its GTIDs. MySQL keeps
// them beside the files, MariaDB under their name, so that it begins anew.
func TestServerStartedAgain(t *testing.T) {
	ownRigs(t, testservers.MySQLOptions{}, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY)")
		r.Run()
		if err := r.m.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := r.m.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.open = r.session()
		r.sql("INSERT INTO t VALUES (1)")
		r.Sync()
		r.Halt()
		if err := r.m.RestartWith(t.Context(), map[string]string{"log_bin": "another"}); err != nil {
			t.Fatal(err)
		}
		r.open = r.session()
		r.Start()
		if r.maria() {
			r.WantStop(changelog.StopDiverged, "its binlog was reset")
			return
		}
		r.sql("INSERT INTO t VALUES (2)")
		r.Sync()
		r.wantRows("c t  1", "c t  2")
	})
}

// Without GTIDs, file and position say where the log is.
func TestServerWithoutGTIDs(t *testing.T) {
	t.Parallel()
	m := testservers.StartMySQLFor(t, testservers.MySQLOptions{Settings: map[string]string{"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"}})
	r := newRig(t, m, "CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 1)", "CREATE TABLE m (id int PRIMARY KEY) ENGINE = MyISAM")
	r.Run()
	r.sql("INSERT INTO t VALUES (2, 2)", "BEGIN", "INSERT INTO t VALUES (3, 3)", "INSERT INTO m VALUES (1)", "UPDATE t SET v = 4 WHERE id = 3", "COMMIT",
		"ALTER TABLE t ADD w int DEFAULT 8", "INSERT INTO t VALUES (4, 4, 4)",
		"XA START 'x'", "INSERT INTO t VALUES (5, 5, 5)", "XA END 'x'", "XA PREPARE 'x'")
	r.Sync()
	r.open = r.session()
	r.sql("XA COMMIT 'x'", "BEGIN", "INSERT INTO t VALUES (6, 6, 6)", "INSERT INTO m VALUES (2)", "ROLLBACK")
	r.Sync()
	r.same("t", "m")
	r.Restart()
	if err := m.RotateBinlog(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.sql("DELETE FROM t WHERE id = 1")
	r.Sync()
	r.same("t", "m")
	r.Halt()
	r.sql("DELETE FROM t WHERE id = 2")
	if err := m.PurgeBinlog(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Start()
	r.WantStop(changelog.StopGap, "")
}
