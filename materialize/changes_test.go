package materialize

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"cdc/changelog"
	"cdc/schema"
)

// smallLog holds four transactions: two inserts, an update, an update and a delete, an insert.
func smallLog(t testing.TB) (*memLog, *world, *schema.Table, []changelog.Offset) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	orders := w.register(ordersTable("orders", 1))
	w.state(orders, changelog.TableEmpty)
	var commits []changelog.Offset
	w.unit.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, pack(t, orders, "1", "a", "1"), nil)
	w.unit.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, pack(t, orders, "2", "b", "2"), nil)
	commits = append(commits, w.commit())
	w.unit.RowChange(changelog.OpUpdate, orders, changelog.ImageNone, nil, pack(t, orders, "1", "a", "10"), nil)
	commits = append(commits, w.commit())
	w.unit.RowChange(changelog.OpUpdate, orders, changelog.ImageNone, nil, pack(t, orders, "1", "aa", "10"), nil)
	w.unit.RowChange(changelog.OpDelete, orders, changelog.ImageKey, pack(t, orders, "2", "-", "-"), nil, nil)
	commits = append(commits, w.commit())
	w.unit.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, pack(t, orders, "3", "c", "3"), nil)
	commits = append(commits, w.commit())
	return log, w, orders, commits
}

func showChange(c *ChangeRow) string {
	text := fmt.Sprintf("tx %d %c", c.Unit.XID, c.Op)
	if !c.Before.IsZero() {
		text += " before " + show(c.Table, c.Before)
	}
	if !c.After.IsZero() {
		text += " after " + show(c.Table, c.After)
	}
	return text
}

func TestChangesKeepsTheLast(t *testing.T) {
	log, _, orders, commits := smallLog(t)
	all := []string{
		"tx 1 c after id=1 note=a amount=1", "tx 1 c after id=2 note=b amount=2", "tx 2 u after id=1 note=a amount=10",
		"tx 3 u after id=1 note=aa amount=10", "tx 3 d before id=2 note=absent amount=absent", "tx 4 c after id=3 note=c amount=3",
	}
	var one Predicate
	if err := one.And(orders, "id", Equal, "1"); err != nil {
		t.Fatal(err)
	}
	ids := []schema.TableID{orders.ID}
	for _, x := range []struct {
		o    ChangesOptions
		want []string
	}{
		{ChangesOptions{}, all},
		{ChangesOptions{Limit: 3}, all[3:]},
		{ChangesOptions{Limit: 100}, all},
		{ChangesOptions{Limit: 2, To: commits[1]}, all[1:3]},
		{ChangesOptions{From: commits[0] + 1}, all[2:]},
		{ChangesOptions{Tables: ids, Where: &one}, []string{all[0], all[2], all[3]}},
		{ChangesOptions{Tables: ids, Where: &one, Limit: 1}, all[3:4]},
		{ChangesOptions{Tables: []schema.TableID{99}}, nil},
	} {
		var got []string
		err := Changes(ctxb, log, x.o, func(c *ChangeRow) error { got = append(got, showChange(c)); return nil })
		if err != nil || !slices.Equal(got, x.want) {
			t.Errorf("%+v: %q (%v), want %q", x.o, got, err, x.want)
		}
	}
	if err := Changes(ctxb, log, ChangesOptions{Where: &one}, nil); err == nil {
		t.Error("a condition without a table is taken")
	}
}

func TestTransactionShowsTheUnitThatHoldsTheOffset(t *testing.T) {
	log, _, _, commits := smallLog(t)
	for _, at := range []changelog.Offset{commits[2], commits[2] - 1, commits[2] - 2} {
		n := 0
		m, err := Transaction(ctxb, log, at, func(*ChangeRow) error { n++; return nil })
		if err != nil || m.XID != 3 || n != 2 || m.Position == "" {
			t.Errorf("at %d: tx %d with %d changes, %v", at, m.XID, n, err)
		}
	}
	var e *UnanswerableError
	if _, err := Transaction(ctxb, log, 999, nil); !errors.As(err, &e) {
		t.Errorf("outside of the log: %v", err)
	}
	if m, err := FindTx(ctxb, log, "shop", 3); err != nil || m.Commit() != commits[2] {
		t.Errorf("tx 3: %v, %v", m, err)
	}
	var name *NameError
	if _, err := FindTx(ctxb, log, "", 77); !errors.As(err, &name) {
		t.Errorf("tx 77: %v", err)
	}
}

// A source that is idle writes ticks: the place of its last transaction is theirs too.
func TestLastTransactionIsFoundBehindTicks(t *testing.T) {
	log, w, _, commits := smallLog(t)
	for range 3 * firstStretch {
		w.tick(w.clock + 1)
	}
	crm := newWorld(t, log, "crm", "postgres")
	crm.unit.Message([]byte("app"), []byte("deployed"))
	later := crm.commit()
	for _, x := range []struct {
		cut    changelog.Cut
		source changelog.SourceID
		want   changelog.Offset
	}{
		{changelog.Cut{Default: durableEnd(log)}, 0, later},
		{changelog.Cut{Default: durableEnd(log)}, w.source, commits[3]},
		{changelog.Cut{Default: commits[1]}, 0, commits[1]},
		{changelog.Cut{Default: later, Sources: []changelog.SourceCut{{Source: crm.source, Offset: commits[0]}}}, 0, commits[3]},
		{changelog.Cut{Default: commits[0] - 1}, 0, 0},
	} {
		got, err := LastTransaction(ctxb, log, x.cut, x.source)
		if err != nil || got != x.want {
			t.Errorf("%+v of source %d: %d (%v), want %d", x.cut, x.source, got, err, x.want)
		}
	}
}

func TestHistoryTellsEveryVersionOfARow(t *testing.T) {
	log, _, orders, commits := smallLog(t)
	var one Predicate
	if err := one.And(orders, "id", LessEqual, "2"); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := History(ctxb, log, orders.ID, &one, HistoryOptions{}, func(v *Version) error {
		got = append(got, fmt.Sprintf("%s [%d,%d) %c%c tx %d", show(v.Table, v.Row), v.From, v.To, v.Op, v.EndOp|' ', v.First.XID))
		return nil
	})
	want := []string{
		fmt.Sprintf("id=1 note=a amount=1 [%d,%d) cu tx 1", commits[0], commits[1]),
		fmt.Sprintf("id=1 note=a amount=10 [%d,%d) uu tx 2", commits[1], commits[2]),
		fmt.Sprintf("id=2 note=b amount=2 [%d,%d) cd tx 1", commits[0], commits[2]),
		fmt.Sprintf("id=1 note=aa amount=10 [%d,0) u  tx 3", commits[2]),
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q (%v)\nwant %q", got, err, want)
	}
}

func TestDiffNamesColumnsAndTheLastTransaction(t *testing.T) {
	log, _, orders, commits := smallLog(t)
	for _, memory := range []int64{0, 1} { // from the changes in between, and from two whole tables
		var got []string
		err := Diff(ctxb, log, orders.ID, commits[0], commits[3], DiffOptions{Options: Options{MemoryBytes: memory}}, func(d *DiffRow) error {
			tx := d.Last.XID
			if memory == 1 {
				tx = 0 // not remembered when it does not fit
			}
			got = append(got, fmt.Sprint(showDiff(d), d.Columns, tx))
			return nil
		})
		want := []string{
			"~ id=1 note=a amount=1 -> id=1 note=aa amount=10[1 2] 3",
			"- id=2 note=b amount=2[] 3",
			"+ id=3 note=c amount=3[] 4",
		}
		if memory == 1 {
			for i := range want {
				want[i] = want[i][:len(want[i])-1] + "0"
			}
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("memory %d: %q (%v)\nwant %q", memory, got, err, want)
		}
	}
}
