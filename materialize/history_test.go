package materialize

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"cdc/changelog"
	"cdc/schema"
)

func historyTexts(t testing.TB, log changelog.Log, id schema.TableID, where *Predicate, o HistoryOptions) (all []string) {
	t.Helper()
	last := changelog.Offset(0)
	err := History(ctxb, log, id, where, o, func(v *Version) error {
		if v.To != 0 && v.To < last {
			t.Errorf("the version that ended at %d comes after one that ended at %d", v.To, last)
		}
		last = v.To
		all = append(all, fmt.Sprintf("%s [%d,%d) %c%c tx %d-%d", show(v.Table, v.Row), v.From, v.To, v.Op, v.EndOp|' ', v.First.XID, v.Last.XID))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func TestHistoryRefusesBoundsInTheWrongOrder(t *testing.T) {
	log, _, orders, commits := smallLog(t)
	err := History(ctxb, log, orders.ID, nil, HistoryOptions{From: commits[2], To: commits[1]}, func(*Version) error { return nil })
	if !errors.Is(err, ErrMoment) {
		t.Fatal(err)
	}
}

func TestHistoryBoundsHoldTheVersionsOfTheirInstants(t *testing.T) {
	log, _, orders, commits := smallLog(t)
	got := historyTexts(t, log, orders.ID, nil, HistoryOptions{From: commits[1], To: commits[2] - 1}) // To is inside of a transaction
	want := []string{
		fmt.Sprintf("id=1 note=a amount=10 [%d,0) u  tx 2-0", commits[1]), // the one that ended there held no longer
		fmt.Sprintf("id=2 note=b amount=2 [%d,0) c  tx 1-0", commits[0]),
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
}

func TestHistoryGivesVersionsThatEndTogetherInTheOrderOfTheirBeginnings(t *testing.T) {
	log, w, orders, commits := smallLog(t)
	w.state(orders, changelog.TableCopied) // in another order, and both go on
	w.unit.RowChange(changelog.OpRead, orders, changelog.ImageNone, nil, pack(t, orders, "3", "c", "3"), nil)
	w.unit.RowChange(changelog.OpRead, orders, changelog.ImageNone, nil, pack(t, orders, "1", "aa", "10"), nil)
	held := w.commitAs(changelog.UnitCopy, w.clock)
	w.unit.Truncate(orders, changelog.TruncateOptions{})
	for _, to := range []changelog.Offset{held, w.commit()} { // they still hold, and they end with the table
		var from []changelog.Offset
		err := History(ctxb, log, orders.ID, nil, HistoryOptions{From: held, To: to}, func(v *Version) error {
			from = append(from, v.From)
			return nil
		})
		if want := commits[2:4]; err != nil || !slices.Equal(from, want) {
			t.Errorf("to %d: versions from %d (%v), want %d", to, from, err, want)
		}
	}
}

func TestHistoryFindsARowAcrossAChangeOfItsType(t *testing.T) {
	log, old, now, before, after := retypedLog(t)
	for _, made := range []*schema.Table{old, now} {
		var where Predicate
		if err := where.And(made, "id", Equal, "3"); err != nil {
			t.Fatal(err)
		}
		got := historyTexts(t, log, old.ID, &where, HistoryOptions{})
		want := []string{
			fmt.Sprintf("id=3 note=7 amount=30 [%d,%d) rr tx 0-0", before, after),
			fmt.Sprintf("id=3 note=70 amount=30 [%d,0) r  tx 0-0", after),
		}
		if !slices.Equal(got, want) {
			t.Errorf("by version %d: %q, want %q", made.Version, got, want)
		}
	}
}

// TestHistoryNamesWhatEndedVersionsWithoutAChange has an empty copy and a table that is no longer captured: neither unit holds a change of it.
func TestHistoryNamesWhatEndedVersionsWithoutAChange(t *testing.T) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	def := ordersTable("orders", 1)
	def.Identity, def.Columns[0].Key = schema.IdentityFull, 0 // equal rows are counted
	orders := w.register(def)
	w.state(orders, changelog.TableEmpty)
	insert := func() {
		w.unit.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, pack(t, orders, "1", "a", "1"), nil)
	}
	insert()
	first := w.commit()
	w.state(orders, changelog.TableCopied)
	w.xid = 50
	copied := w.commit()
	insert()
	second := w.commit()
	w.unit.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, pack(t, orders, "2", "b", "2"), nil)
	other := w.commit()
	w.unit.RowChange(changelog.OpDelete, orders, changelog.ImageFull, pack(t, orders, "2", "b", "2"), nil, nil)
	deleted := w.commit()
	w.state(orders, changelog.TableUntracked)
	lost := w.commit()
	w.state(orders, changelog.TableCopied)
	w.unit.RowChange(changelog.OpRead, orders, changelog.ImageNone, nil, pack(t, orders, "1", "a", "1"), nil)
	found := w.commit()
	w.state(orders, changelog.TableCopied)
	w.unit.RowChange(changelog.OpRead, orders, changelog.ImageNone, nil, pack(t, orders, "1", "a", "1"), nil)
	w.commit() // finds the same row, so that its version goes on
	want := []string{
		fmt.Sprintf("id=1 note=a amount=1 [%d,%d) cr tx 1-51", first, copied),
		fmt.Sprintf("id=1 note=a amount=1 [%d,%d) c  tx 52-55", second, lost),
		fmt.Sprintf("id=2 note=b amount=2 [%d,%d) cd tx 53-54", other, deleted),
		fmt.Sprintf("id=1 note=a amount=1 [%d,0) r  tx 56-0", found),
	}
	slices.Sort(want)
	if got := historyTexts(t, log, orders.ID, nil, HistoryOptions{}); !slices.Equal(got, want) {
		t.Fatalf("%q\nwant %q", got, want)
	}
}

// A row that a transaction inserts and changes on is new with it, whatever it did last.
func TestHistoryBeginsARowWithItsInsertThoughItsTransactionChangedItOn(t *testing.T) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	orders := w.register(ordersTable("orders", 1))
	w.state(orders, changelog.TableEmpty)
	w.unit.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, pack(t, orders, "1", "a", "1"), nil)
	w.unit.RowChange(changelog.OpUpdate, orders, changelog.ImageNone, nil, pack(t, orders, "1", "b", "1"), nil)
	w.unit.RowChange(changelog.OpUpdate, orders, changelog.ImageKey, pack(t, orders, "1", "-", "-"), pack(t, orders, "2", "b", "1"), nil)
	first := w.commit()
	w.unit.RowChange(changelog.OpUpdate, orders, changelog.ImageNone, nil, pack(t, orders, "2", "c", "1"), nil)
	w.unit.RowChange(changelog.OpUpdate, orders, changelog.ImageNone, nil, pack(t, orders, "2", "d", "1"), nil)
	second := w.commit()
	want := []string{
		fmt.Sprintf("id=2 note=b amount=1 [%d,%d) cu tx 1-2", first, second),
		fmt.Sprintf("id=2 note=d amount=1 [%d,0) u  tx 2-0", second),
	}
	if got := historyTexts(t, log, orders.ID, nil, HistoryOptions{}); !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
}

func TestAppendOnlyTableKeepsInsertsWhateverElseIsSent(t *testing.T) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	def := ordersTable("events", 1)
	def.AppendOnly = true
	events := w.register(def)
	w.state(events, changelog.TableEmpty)
	w.unit.RowChange(changelog.OpCreate, events, changelog.ImageNone, nil, pack(t, events, "1", "a", "1"), nil)
	w.unit.RowChange(changelog.OpCreate, events, changelog.ImageNone, nil, pack(t, events, "1", "a", "1"), nil)
	w.commit()
	w.unit.RowChange(changelog.OpUpdate, events, changelog.ImageNone, nil, pack(t, events, "1", "b", "1"), nil)
	w.unit.RowChange(changelog.OpDelete, events, changelog.ImageKey, pack(t, events, "1", "-", "-"), nil, nil)
	at := w.commit()
	if got := rebuild(t, log, Request{Table: events.ID, At: at}, Options{}); len(got) != 2 {
		t.Errorf("the table holds %q", got)
	}
	if got := historyTexts(t, log, events.ID, nil, HistoryOptions{}); len(got) != 2 {
		t.Errorf("the history holds %q", got)
	}
}

// A row that is read again takes the place of the one under its key; one that is the same as before goes on.
func TestG6RowsReadAgainReplaceThoseOfTheirKeys(t *testing.T) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	orders := w.register(ordersTable("orders", 1))
	w.state(orders, changelog.TableEmpty)
	for _, id := range []string{"1", "2", "3"} {
		w.unit.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, pack(t, orders, id, "a", "1"), nil)
	}
	first := w.commit()
	for _, row := range [][]string{{"1", "a", "1"}, {"2", "b", "1"}, {"4", "b", "1"}} {
		w.unit.RowChange(changelog.OpRead, orders, changelog.ImageNone, nil, pack(t, orders, row...), nil)
	}
	read := w.commitAs(changelog.UnitCopy, w.clock)
	want := []string{
		fmt.Sprintf("id=1 note=a amount=1 [%d,0) c  tx 1-0", first),
		fmt.Sprintf("id=2 note=a amount=1 [%d,%d) cr tx 1-1", first, read),
		fmt.Sprintf("id=2 note=b amount=1 [%d,0) r  tx 1-0", read),
		fmt.Sprintf("id=3 note=a amount=1 [%d,0) c  tx 1-0", first),
		fmt.Sprintf("id=4 note=b amount=1 [%d,0) r  tx 1-0", read),
	}
	if got := historyTexts(t, log, orders.ID, nil, HistoryOptions{}); !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	for _, memory := range []int64{0, 1} {
		got, _ := diffTexts(t, log, orders.ID, first, read, DiffOptions{Options: Options{MemoryBytes: memory}})
		if want := []string{"~ id=2 note=a amount=1 -> id=2 note=b amount=1", "+ id=4 note=b amount=1"}; !slices.Equal(got, want) {
			t.Errorf("memory %d: difference %q, want %q", memory, got, want)
		}
	}
}
