package materialize

import (
	"fmt"
	"slices"
	"sort"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/schema"
)

// TestG5G6TablesOnALogOnDisk checks the same rows through files, a large transaction in a side segment, a reopened log and a
// reader's own handle.
func TestG5G6TablesOnALogOnDisk(t *testing.T) {
	dir := t.TempDir()
	log, err := disklog.Open(dir, disklog.Options{SegmentBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, log, "shop", "postgres")
	base := w.clock
	orders := w.register(ordersTable("orders", 1))
	w.state(orders, changelog.TableEmpty)
	commits := []changelog.Offset{w.commit()}
	for tx := range 200 {
		for i := range 20 {
			w.unit.RowChange(changelog.OpUpdate, orders, changelog.ImageNone, nil,
				pack(t, orders, fmt.Sprint((tx*7+i*3)%60), fmt.Sprintf("note %d of %d", i, tx), fmt.Sprint(tx)), nil)
		}
		commits = append(commits, w.commit())
	}
	commits = append(commits, w.commitSide(t, orders, 200))
	if err := log.WaitDurable(ctxb, commits[len(commits)-1]); err != nil {
		t.Fatal(err)
	}
	want := map[int][]string{}
	for _, i := range []int{0, 1, 77, 199, len(commits) - 2, len(commits) - 1} {
		want[i] = naive(t, log, orders.ID, commits[i])
	}
	check := func(log changelog.Log) {
		t.Helper()
		for i, want := range want {
			got := rebuild(t, log, Request{Table: orders.ID, At: commits[i]}, Options{MemoryBytes: int64(1 + i%2*DefaultMemoryBytes)})
			sort.Strings(got)
			if !slices.Equal(got, want) {
				t.Errorf("at %d: %d rows, want %d", commits[i], len(got), len(want))
			}
		}
		r := mustResolve(t, log, AtTime(base+1000*78)) // the creation is the first of them
		if r.Cut.At(w.source) != commits[77] || r.Sources[0].Clock != base+1000*78 {
			t.Errorf("the 78th millisecond is offset %d, want %d", r.Cut.At(w.source), commits[77])
		}
	}
	check(log)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for _, o := range []disklog.Options{{}, {ReadOnly: true}} {
		log, err := disklog.Open(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		check(log)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// commitSide commits inserts that lie in a side segment.
func (w *world) commitSide(t *testing.T, table *schema.Table, rows int) changelog.Offset {
	side, err := w.log.NewSide()
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		w.unit.RowChange(changelog.OpCreate, table, changelog.ImageNone, nil, pack(t, table, fmt.Sprint(10_000+i), "side", "1"), nil)
	}
	if err := side.Write(w.unit.TakeChanges(), uint64(rows)); err != nil {
		t.Fatal(err)
	}
	ref, err := side.Seal()
	if err != nil {
		t.Fatal(err)
	}
	w.unit.SetSide(ref)
	return w.commit()
}
