package schema

import (
	"slices"
	"testing"
)

func TestTableFindsItsColumns(t *testing.T) {
	table := shopTable(t)
	if got := table.FullName(); got != "shop.public.orders" {
		t.Errorf("full name is %s", got)
	}
	if table.Column("qty") != 2 || table.Column("QTY") != -1 || table.ColumnByID(7) != 6 || table.ColumnByID(8) != -1 {
		t.Error("a column is found in the wrong place")
	}
	layout := table.Layout()
	if layout.Columns() != 7 || layout.Kind(3) != Decimal {
		t.Errorf("layout has %d columns, the fourth is %s", layout.Columns(), layout.Kind(3))
	}
}

func TestTableTakesItsKeyInKeyOrder(t *testing.T) {
	table := &Table{Columns: []Column{{Name: "a", Kind: Int32, Key: 2}, {Name: "b", Kind: Int32}, {Name: "c", Kind: Int32, Key: 1}}}
	if err := table.Prepare(); err != nil || !slices.Equal(table.KeyColumns(), []int{2, 0}) {
		t.Errorf("key is %v, %v", table.KeyColumns(), err)
	}
	for name, places := range map[string][3]uint16{"gap": {1, 0, 3}, "twice": {1, 1, 2}, "not from one": {2, 3, 4}} {
		for i, place := range places {
			table.Columns[i].Key = place
		}
		if err := table.Prepare(); err == nil {
			t.Errorf("%s: places %v are accepted", name, places)
		}
	}
}

func TestZeroRowIsNoRow(t *testing.T) {
	table := shopTable(t)
	if r := view(t, table, shopRow(t, table)); r.IsZero() || r.Layout() != table.Layout() || !(Row{}).IsZero() {
		t.Error("IsZero or Layout is wrong")
	}
}
