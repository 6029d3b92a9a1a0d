package mysql

import (
	"context"
	"errors"
	"testing"
	"time"

	"cdc/e2e/testservers"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
	"cdc/sources/sourcetest"
)

// TestViewsDoNotTakeWhatIsOnItsWayForVisible holds a commit where it is in the binlog, and may be in our log, and nobody sees it yet:
// semi-synchronous replication waits there for a replica, of which there is none.
func TestViewsDoNotTakeWhatIsOnItsWayForVisible(t *testing.T) {
	for name, o := range map[string]testservers.MySQLOptions{
		"mysql":               {Flavour: testservers.FlavourMySQL},
		"mysql-without-gtids": {Flavour: testservers.FlavourMySQL, Settings: map[string]string{"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"}},
		"mariadb":             {Flavour: testservers.FlavourMariaDB},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReadRig(t, testservers.StartMySQLFor(t, o))
			r.sql("CREATE TABLE a (k INT PRIMARY KEY)", "INSERT INTO a VALUES (1)")
			held := r.holdCommit("INSERT INTO a VALUES (2)")
			checkHeld(t, r, held)
			r.letCommit()
			v, err := r.s.openViewer(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer v.close()
			if _, err := v.open(t.Context(), held); err != nil {
				t.Fatal(err)
			}
			rows, err := v.query("SELECT k FROM " + quoteName(r.db) + ".a")
			if err != nil || len(rows) != 2 {
				t.Errorf("%d rows in a view that holds both: %v", len(rows), err)
			}
		})
	}
}

// checkHeld asks for views while the commit is held.
func checkHeld(t *testing.T, r *readRig, held *Position) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*settleTime)
	defer cancel()
	v, err := r.s.openViewer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	if _, err := v.open(ctx, held); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a view that holds what nobody sees: %v", err)
	}
	if !r.maria() {
		ctx, cancel = context.WithTimeout(t.Context(), 2*settleTime)
		defer cancel()
		if _, err := r.s.openExact(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an exact view of what nobody sees: %v", err)
		}
		return
	}
	e, err := r.s.openExact(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	if !held.place().after(e.at.place()) {
		t.Errorf("an exact view at %s, where nobody sees what is before %s", e.at.place(), held.place())
	}
}

// holdCommit runs a statement whose commit stays in the binlog, and gives the position behind it.
func (r *readRig) holdCommit(sql string) *Position {
	r.Helper()
	if r.maria() {
		r.sql("SET GLOBAL rpl_semi_sync_master_wait_point = 'AFTER_SYNC'", "SET GLOBAL rpl_semi_sync_master_timeout = 3600000", "SET GLOBAL rpl_semi_sync_master_enabled = ON")
	} else {
		r.sql("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'", "SET GLOBAL rpl_semi_sync_source_timeout = 3600000", "SET GLOBAL rpl_semi_sync_source_enabled = ON")
	}
	before := r.end()
	session, err := r.m.Open(context.Background(), r.m.Superuser(), r.db)
	if err != nil {
		r.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := session.SQL(context.Background(), sql); err != nil {
			r.Errorf("%s: %v", sql, err)
		}
	}()
	r.Cleanup(func() {
		<-done
		session.Close()
	})
	for deadline := time.Now().Add(sourcetest.Patience); ; {
		held := r.end()
		if held.place().after(before.place()) {
			r.name(held)
			return held
		}
		if time.Now().After(deadline) {
			r.letCommit()
			r.Fatal("the commit does not come to the binlog")
		}
		if err := sources.Pause(r.Context(), viewPause); err != nil {
			r.Fatal(err)
		}
	}
}

// name adds the GTID of the transaction that is on its way, as the stream would tell it.
func (r *readRig) name(p *Position) {
	if p.Flavour != FlavourMySQL {
		return
	}
	uuid, err := binlog.ParseUUID(r.sql("SELECT @@GLOBAL.server_uuid"))
	if err != nil {
		r.Fatal(err)
	}
	gno := uint64(1)
	for p.GTIDs.Contains(binlog.GTID{UUID: uuid, GNO: gno}) {
		gno++
	}
	p.GTIDs.Add(binlog.GTID{UUID: uuid, GNO: gno})
}

// letCommit lets commits pass again.
func (r *readRig) letCommit() {
	if r.maria() {
		r.sql("SET GLOBAL rpl_semi_sync_master_enabled = OFF")
		return
	}
	r.sql("SET GLOBAL rpl_semi_sync_source_enabled = OFF")
}
