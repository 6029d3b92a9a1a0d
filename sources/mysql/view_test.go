package mysql

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cdc/e2e/testservers"
	"cdc/schema"
	"cdc/sources/mysql/binlog"
	"cdc/sources/sourcetest"
)

// counting writes numbered rows of two tables, one of them without a key, each pair in a transaction of its own. It pauses: the place
// of a view is known only when nobody commits while it is opened, for which a busy machine takes its time.
func (r *readRig) counting(done <-chan struct{}, next *atomic.Int64) {
	session, err := r.m.Open(context.Background(), r.m.Superuser(), r.db)
	if err != nil {
		r.Errorf("%v", err)
		return
	}
	defer session.Close()
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(rand.IntN(5)) * time.Millisecond):
		}
		n := next.Add(1)
		if _, err := session.SQL(context.Background(), fmt.Sprintf("BEGIN; INSERT INTO a VALUES (%d); INSERT INTO b VALUES (%d); COMMIT", n, n)); err != nil {
			r.Errorf("%v", err)
			return
		}
	}
}

// TestExactViewsHoldWhatTheBinlogHoldsUpToThem opens views while sessions commit, and counts the transactions of the binlog before
// each: the view must have as many rows, in both tables.
func TestExactViewsHoldWhatTheBinlogHoldsUpToThem(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		r.sql("CREATE TABLE a (n BIGINT)", "CREATE TABLE b (n BIGINT PRIMARY KEY)")
		a, b := r.version("a"), r.version("b")
		done := make(chan struct{})
		var writers sync.WaitGroup
		var next atomic.Int64
		for range 4 {
			writers.Add(1)
			go func() {
				defer writers.Done()
				r.counting(done, &next)
			}()
		}
		defer writers.Wait()
		defer sync.OnceFunc(func() { close(done) })()
		var last *Position
		for range 8 {
			view, err := r.s.openExact(t.Context(), last)
			if err != nil {
				t.Fatal(err)
			}
			counts := [2]int{}
			for i, version := range []*schema.Table{a, b} {
				if err := view.rows(t.Context(), version, func([]byte) error { counts[i]++; return nil }); err != nil {
					t.Fatal(err)
				}
			}
			// The server tells how many it has committed by then.
			if want := r.committed(view.at); counts[0] != want || counts[1] != want {
				t.Errorf("%v rows in the tables at %s, want %d", counts, view.at, want)
			}
			if last != nil && !view.at.holds(last) {
				t.Errorf("a view at %s, before %s", view.at, last)
			}
			last = view.at
			view.close()
		}
	})
}

// committed counts the inserts into b before a place of the binlog.
func (r *readRig) committed(at *Position) int {
	r.Helper()
	if at.Flavour == FlavourMySQL && at.GTIDs.Empty() || at.Flavour == FlavourMariaDB && at.Maria.Empty() {
		r.Fatalf("no GTIDs at %s", at.place())
	}
	session, err := r.m.Open(context.Background(), r.m.Superuser(), r.db)
	if err != nil {
		r.Fatal(err)
	}
	defer session.Close()
	count, from := 0, 4
	for {
		events, err := session.SQL(context.Background(), fmt.Sprintf("SHOW BINLOG EVENTS IN '%s' FROM %d LIMIT 5000", at.File, from))
		if err != nil {
			r.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(events), "\n")
		for _, line := range lines {
			f := strings.Split(line, "|") // file, position, type, server, end, info
			if f[0] != at.File || len(f) < 6 {
				continue // a statement of several lines
			}
			end, err := strconv.Atoi(f[4])
			if err != nil {
				r.Fatal(line)
			}
			if uint64(end) > at.Offset {
				return count
			}
			if f[2] == "Table_map" && strings.Contains(f[5], "("+r.db+".b)") {
				count++
			}
			from = end
		}
		if len(lines) < 5000 {
			return count
		}
	}
}

// TestVerificationReadsTablesAtOneMoment changes and drops tables behind its back.
func TestVerificationReadsTablesAtOneMoment(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		r.sql("CREATE TABLE a (k INT PRIMARY KEY, v TEXT, w INT)", "INSERT INTO a VALUES (1, 'one', 1), (2, NULL, 2)", "CREATE TABLE b (v VARCHAR(9))", "INSERT INTO b VALUES ('x'), ('x')")
		a, b := r.version("a"), r.version("b")
		end := r.end()
		ver := r.verification()
		if p, err := ParsePosition(ver.Position()); err != nil || p.String() != end.String() || p.place() != end.place() {
			t.Errorf("position %s, want %s", PositionText(ver.Position()), end)
		}
		if age := time.Since(time.UnixMicro(int64(ver.Time()))); age < -time.Minute || age > time.Minute {
			t.Errorf("taken %s ago", age)
		}
		r.sql("UPDATE a SET v = 'later'", "INSERT INTO a VALUES (3, 'three', 3)", "DELETE FROM b")
		r.wantRows("a", r.verified(ver, a), []string{"1|one|1", `2|\N|2`})
		r.wantRows("b", r.verified(ver, b), []string{"x", "x"})

		// Columns are found by their names.
		turned := &schema.Table{Source: "shop", Schema: r.db, Name: "a", Columns: slices.Clone(a.Columns[:2])}
		slices.Reverse(turned.Columns)
		if err := turned.Prepare(); err != nil {
			t.Fatal(err)
		}
		r.wantRows("columns of a", r.verified(ver, turned), []string{`\N|2`, "one|1"})

		ver.Close()
		ver = r.verification()
		r.sql("ALTER TABLE a DROP COLUMN w, ALGORITHM = COPY")
		if err := ver.Read(t.Context(), a, func([]byte) error { return nil }); err == nil {
			t.Error("a table was read in a version that it no longer has")
		}
	})
}

// TestTablesWithoutSnapshotsAreReadWhileNothingIsWritten has an engine that shows every change at once.
func TestTablesWithoutSnapshotsAreReadWhileNothingIsWritten(t *testing.T) {
	for _, f := range []testservers.Flavour{testservers.FlavourMySQL, testservers.FlavourMariaDB} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			m := testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f}) // other tests would write
			r := newReadRig(t, m)
			r.sql("CREATE TABLE a (v INT) ENGINE = MyISAM", "INSERT INTO a VALUES (1), (2)")
			a := r.version("a")
			ver := r.verification()
			r.wantRows("a", r.verified(ver, a), []string{"1", "2"})
			r.sql("INSERT INTO a VALUES (3)")
			err := ver.Read(t.Context(), a, func([]byte) error { return nil })
			if err == nil || !strings.Contains(err.Error(), "MyISAM") {
				t.Errorf("read after a change: %v", err)
			}
		})
	}
}

// TestViewsWithoutGTIDsWaitUntilTheServerHasSettled runs MySQL as it is by default.
func TestViewsWithoutGTIDsWaitUntilTheServerHasSettled(t *testing.T) {
	m := testservers.StartMySQLFor(t, testservers.MySQLOptions{
		Flavour: testservers.FlavourMySQL, Settings: map[string]string{"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"},
	})
	r := newReadRig(t, m)
	r.sql("CREATE TABLE a (k INT PRIMARY KEY)", "INSERT INTO a VALUES (1), (2)")
	a := r.version("a")
	end := r.end()
	if end.Flavour != FlavourFile {
		t.Fatalf("positions are of flavour %d", end.Flavour)
	}
	v, err := r.s.openViewer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	// The first view waits. Those after it have nothing to wait for, so that one of them takes less, however busy the machine is.
	start, quick := time.Now(), false
	for n := 0; !quick; n++ {
		began := time.Now()
		high, err := v.open(t.Context(), end)
		if err != nil {
			t.Fatal(err)
		}
		if high.after(end.place()) || end.place().after(high) {
			t.Errorf("view up to %s, want %s", high, end.place())
		}
		took := time.Since(began)
		if n == 0 && took < settleTime {
			t.Errorf("settled within %s", took)
		}
		if quick = n > 0 && took < settleTime; time.Since(start) > sourcetest.Patience {
			t.Fatal("every view waits")
		}
		if err := v.exec("COMMIT"); err != nil {
			t.Fatal(err)
		}
	}
	ver := r.verification()
	if p, err := ParsePosition(ver.Position()); err != nil || p.place() != end.place() {
		t.Errorf("position %s, want %s", PositionText(ver.Position()), end)
	}
	r.wantRows("a", r.verified(ver, a), []string{"1", "2"})
}

// TestViewsWaitForTransactionsThatAreNotShownYet asks for a view past the server's end.
func TestViewsWaitForTransactionsThatAreNotShownYet(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		r.sql("CREATE TABLE a (k INT PRIMARY KEY)")
		v, err := r.s.openViewer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer v.close()
		before := r.end()
		r.sql("INSERT INTO a VALUES (1)")
		after := r.end()
		if after.String() == before.String() {
			t.Fatalf("the server stands at %s", after)
		}
		if _, err := v.open(t.Context(), after); err != nil {
			t.Fatal(err)
		}
		if err := v.exec("COMMIT"); err != nil {
			t.Fatal(err)
		}
		future := after.clone()
		future.Offset += 1 << 20
		if future.GTIDs != nil {
			gone := after.clone().GTIDs
			gone.Union(mustGTIDs(t, "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee:1"))
			future.GTIDs = gone
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if _, err := v.open(ctx, future); err == nil {
			t.Error("a view of what the server has not shown")
		}
	})
}

func mustGTIDs(t *testing.T, text string) *binlog.GTIDSet {
	t.Helper()
	set, err := binlog.ParseGTIDSet(text)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
