package materialize

import (
	"slices"
	"testing"

	"cdc/changelog"
)

func TestTablesAnswersAtEveryCommit(t *testing.T) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	orders := w.register(ordersTable("orders", 1))
	w.state(orders, changelog.TableEmpty)
	created := w.commit()
	w.unit.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, pack(t, orders, "1", "a", "10"), nil)
	w.unit.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, pack(t, orders, "2", "b", "20"), nil)
	inserted := w.commit()
	w.unit.RowChange(changelog.OpUpdate, orders, changelog.ImageKey, pack(t, orders, "1", "-", "-"), pack(t, orders, "3", "", "11"), nil)
	w.unit.RowChange(changelog.OpDelete, orders, changelog.ImageKey, pack(t, orders, "2", "-", "-"), nil, nil)
	moved := w.commit()
	w.unit.Truncate(orders, changelog.TruncateOptions{})
	emptied := w.commit()
	for _, x := range []struct {
		at   changelog.Offset
		want []string
	}{
		{created, nil},
		{inserted - 1, nil}, // inside of the transaction: nothing of it is seen
		{inserted, []string{"id=1 note=a amount=10", "id=2 note=b amount=20"}},
		{moved - 1, []string{"id=1 note=a amount=10", "id=2 note=b amount=20"}},
		{moved, []string{"id=3 note=null amount=11"}},
		{emptied, nil},
	} {
		if got := rebuild(t, log, Request{Table: orders.ID, At: x.at}, Options{Ordered: true}); !slices.Equal(got, x.want) {
			t.Errorf("at %d: %q, want %q", x.at, got, x.want)
		}
	}
}
