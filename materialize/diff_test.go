package materialize

import (
	"fmt"
	"slices"
	"testing"

	"cdc/changelog"
	"cdc/schema"
)

func diffTexts(t testing.TB, log changelog.Log, id schema.TableID, from, to changelog.Offset, o DiffOptions) (rows []string, last []Touch) {
	t.Helper()
	err := Diff(ctxb, log, id, from, to, o, func(d *DiffRow) error {
		rows, last = append(rows, showDiff(d)), append(last, d.Last)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows, last
}

// widened is the table with a key of two columns, as the source has it from the next commit on.
func (w *world) widened(name string, number uint32) *schema.Table {
	def := ordersTable(name, number)
	def.Columns[2].Key = 2
	return w.register(def)
}

func TestG6DiffFindsOldRowsWrittenUnderANarrowerKey(t *testing.T) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	orders := w.register(ordersTable("orders", 1))
	w.state(orders, changelog.TableEmpty)
	w.unit.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, pack(t, orders, "1", "a", "10"), nil)
	w.unit.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, pack(t, orders, "2", "b", "20"), nil)
	w.commit()
	wide := w.widened("orders", 1)
	from := w.commit()
	w.unit.RowChange(changelog.OpUpdate, wide, changelog.ImageNone, nil, pack(t, wide, "1", "a", "10"), nil) // changes nothing
	w.unit.RowChange(changelog.OpUpdate, wide, changelog.ImageNone, nil, pack(t, wide, "2", "bb", "20"), nil)
	to := w.commit()
	for _, memory := range []int64{0, 1} {
		got, _ := diffTexts(t, log, orders.ID, from, to, DiffOptions{Options: Options{MemoryBytes: memory}})
		if want := []string{"~ id=2 note=b amount=20 -> id=2 note=bb amount=20"}; !slices.Equal(got, want) {
			t.Errorf("memory %d: %q, want %q", memory, got, want)
		}
	}
}

func TestDiffNamesNoTransactionOlderThanTheLast(t *testing.T) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	orders := w.register(ordersTable("orders", 1))
	w.state(orders, changelog.TableEmpty)
	w.unit.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, pack(t, orders, "7", "gone", "7"), nil)
	from := w.commit()
	w.unit.Truncate(orders, changelog.TruncateOptions{})
	w.commit()
	for i := range 300 {
		w.unit.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, pack(t, orders, fmt.Sprint(100+i), "a", "1"), nil)
	}
	inserted := w.commit()
	wide := w.widened("orders", 1)
	w.unit.RowChange(changelog.OpUpdate, wide, changelog.ImageNone, nil, pack(t, wide, "100", "b", "1"), nil)
	updated := w.commit()
	back := w.register(ordersTable("orders", 1))
	w.unit.RowChange(changelog.OpCreate, back, changelog.ImageNone, nil, pack(t, back, "9", "new", "9"), nil)
	to := w.commit()
	for _, x := range []struct {
		to     changelog.Offset
		memory int64
	}{{inserted, 0}, {inserted, 1}, {inserted, 8 << 10}, {to, 0}, {to, 1}, {to, 8 << 10}} {
		_, last := diffTexts(t, log, orders.ID, from, x.to, DiffOptions{Options: Options{MemoryBytes: x.memory}})
		for i, touch := range last[1:] { // the first is the row that the table lost when it was emptied
			if touch.Offset != 0 && touch.Offset < inserted {
				t.Fatalf("to %d with memory %d: row %d was last touched at %d, before it was inserted", x.to, x.memory, i, touch.Offset)
			}
			if x.to == to && i == 1 && touch.Offset != 0 && touch.Offset != updated {
				t.Fatalf("to %d with memory %d: row 100 was last touched at %d, not at %d", x.to, x.memory, touch.Offset, updated)
			}
		}
	}
}

// retypedLog holds a table whose text column became an integer: the source stored its rows anew, and they were copied again.
func retypedLog(t testing.TB) (log *memLog, old, now *schema.Table, before, after changelog.Offset) {
	log = newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	old = w.register(ordersTable("orders", 1))
	w.state(old, changelog.TableCopied)
	for _, row := range [][]string{{"1", "5", "10"}, {"2", "six", "20"}, {"3", "7", "30"}, {"4", "", "40"}} {
		w.unit.RowChange(changelog.OpRead, old, changelog.ImageNone, nil, pack(t, old, row...), nil)
	}
	before = w.commitAs(changelog.UnitCopy, w.clock)
	def := ordersTable("orders", 1)
	def.Columns[0].Kind, def.Columns[0].SQLType = schema.Int32, "integer" // the key too
	def.Columns[1].Kind, def.Columns[1].SQLType = schema.Int64, "bigint"
	now = w.register(def)
	w.state(now, changelog.TableCopied)
	for _, row := range [][]string{{"1", "5", "10"}, {"2", "6", "20"}, {"3", "70", "30"}, {"4", "", "40"}} {
		w.unit.RowChange(changelog.OpRead, now, changelog.ImageNone, nil, pack(t, now, row...), nil)
	}
	after = w.commitAs(changelog.UnitCopy, w.clock+1000)
	return log, old, now, before, after
}

func TestG6DiffReadsOldValuesInTheTypeThatTheColumnHasLater(t *testing.T) {
	log, old, _, before, after := retypedLog(t)
	for _, memory := range []int64{0, 1} {
		got, _ := diffTexts(t, log, old.ID, before, after, DiffOptions{Options: Options{MemoryBytes: memory}})
		want := []string{
			"~ id=2 note=absent amount=20 -> id=2 note=6 amount=20", // "six" is no number
			"~ id=3 note=7 amount=30 -> id=3 note=70 amount=30",
		}
		if !slices.Equal(got, want) {
			t.Errorf("memory %d: %q, want %q", memory, got, want)
		}
	}
}
