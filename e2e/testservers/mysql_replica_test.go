package testservers

import (
	"errors"
	"strings"
	"testing"
)

func TestMySQLReplicaFollowsAndTakesOver(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := StartMySQLFor(t, MySQLOptions{Flavour: f})
		ask(t, m, "", "CREATE DATABASE d; CREATE TABLE d.t (a int PRIMARY KEY); INSERT INTO d.t VALUES (1)")
		if err := m.CreateOwner(t.Context(), "owner", "secret", "d"); err != nil {
			t.Fatal(err)
		}
		r, err := m.Replica(t.Context(), ReplicaOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r.StopAfter(t)
		want(t, r, "", "SELECT @@server_id, @@read_only", "2|1")
		ask(t, m, "d", "INSERT INTO t VALUES (2)")
		if err := r.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, r, "d", "SELECT sum(a) FROM t", "3")
		if err := r.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		ask(t, m, "d", "INSERT INTO t VALUES (3)")
		if err := r.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		// The superuser of MariaDB may write even here.
		if _, err := r.SQLAs(t.Context(), "owner", "d", "INSERT INTO t VALUES (9)"); err == nil || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("write to a replica: %v", err)
		}
		samePlace(t, m, r)
		if err := m.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := r.Promote(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.SQLAs(t.Context(), "owner", "d", "INSERT INTO t VALUES (4)"); err != nil {
			t.Fatal(err)
		}
		want(t, r, "d", "SELECT sum(a) FROM t", "10")
		if err := r.Promote(t.Context()); err == nil {
			t.Error("a primary was promoted")
		}
	})
}

// samePlace expects two servers to hold the same transactions in different files.
func samePlace(t *testing.T, m, r *MySQL) {
	t.Helper()
	primary, err := m.BinlogEnd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	replica, err := r.BinlogEnd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Both began as copies of one template.
	for _, of := range []string{"server_uuid", "server_uid"} {
		if id := ask(t, m, "", "SHOW VARIABLES LIKE '"+of+"'"); id != "" && id == ask(t, r, "", "SHOW VARIABLES LIKE '"+of+"'") {
			t.Errorf("two servers are %s", id)
		}
	}
	if primary.GTIDs == "" || primary.GTIDs != replica.GTIDs || primary.File == replica.File {
		t.Errorf("primary at %+v, replica at %+v", primary, replica)
	}
}

func TestReplicaOfTLSMySQLFollows(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := StartMySQLFor(t, MySQLOptions{Flavour: f, TLS: true})
		r, err := m.Replica(t.Context(), ReplicaOptions{Name: "second", ServerID: 12, Settings: map[string]string{"log_bin": "other"}})
		if err != nil {
			t.Fatal(err)
		}
		r.StopAfter(t)
		want(t, r, "", "SELECT @@server_id", "12")
		waitFor(t, "the replica to read the binlog", func() bool { // it lacks nothing, and need not have begun
			return ask(t, m, "", "SELECT count(DISTINCT host) FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'") == "1"
		})
		end, err := r.BinlogEnd(t.Context())
		if err != nil || !strings.HasPrefix(end.File, "other.") {
			t.Errorf("binlog ends at %+v, %v", end, err)
		}
	})
}

func TestExternalMySQLHasNoReplica(t *testing.T) {
	m, err := ExternalMySQL(FlavourMySQL, "mysql://root@127.0.0.1:1/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Replica(t.Context(), ReplicaOptions{}); !errors.Is(err, ErrExternal) {
		t.Errorf("replica: %v, want ErrExternal", err)
	}
}
