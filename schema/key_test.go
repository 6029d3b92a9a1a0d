package schema

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// orderOf compares two packed values of the column the way SQL does, written as simply as can be and without the code under test.
func orderOf(c *Column, a, b Row) int {
	switch c.Kind {
	case Bool:
		return cmp.Compare(a.Slot(0)[0], b.Slot(0)[0])
	case Uint64:
		return cmp.Compare(a.Uint64(0), b.Uint64(0))
	case Float32:
		return orderOfFloats(float64(a.Float32(0)), float64(b.Float32(0)))
	case Float64:
		return orderOfFloats(a.Float64(0), b.Float64(0))
	case Decimal:
		return orderOfDecimals(string(AppendText(nil, c, a, 0)), string(AppendText(nil, c, b, 0)))
	case TimeTZ:
		x, xWest := a.TimeTZ(0)
		y, yWest := b.TimeTZ(0)
		return cmp.Or(cmp.Compare(x+int64(xWest)*microsPerSecond, y+int64(yWest)*microsPerSecond), cmp.Compare(xWest, yWest))
	case Interval:
		return lengthOf(a).Cmp(lengthOf(b))
	case UUID:
		return bytes.Compare(a.Slot(0), b.Slot(0))
	case Bit, CalendarDate, CalendarTimestamp, CalendarTimestampTZ: // their digits stand in the order of their weight
		return strings.Compare(string(AppendText(nil, c, a, 0)), string(AppendText(nil, c, b, 0)))
	case Text:
		x, y := string(a.Bytes(0)), string(b.Bytes(0))
		if strings.HasPrefix(c.SQLType, "character(") {
			x, y = strings.TrimRight(x, " "), strings.TrimRight(y, " ")
		}
		if c.Fold {
			x, y = strings.ToLower(x), strings.ToLower(y)
		}
		return strings.Compare(x, y)
	}
	if c.Kind.Variable() {
		return bytes.Compare(a.Bytes(0), b.Bytes(0))
	}
	return cmp.Compare(a.Int(0), b.Int(0))
}

func orderOfFloats(a, b float64) int {
	if math.IsNaN(a) || math.IsNaN(b) {
		return compareBool(math.IsNaN(a), math.IsNaN(b))
	}
	return cmp.Compare(a, b)
}

func compareBool(a, b bool) int {
	return cmp.Compare(map[bool]int{true: 1}[a], map[bool]int{true: 1}[b])
}

func orderOfDecimals(a, b string) int {
	rank := map[string]int{minusInfinityText: -1, infinityText: 1, nanText: 2}
	if rank[a] != 0 || rank[b] != 0 {
		return cmp.Compare(rank[a], rank[b])
	}
	x, _ := new(big.Rat).SetString(a)
	y, _ := new(big.Rat).SetString(b)
	return x.Cmp(y)
}

func lengthOf(r Row) *big.Int {
	micros, days, months := r.Interval(0)
	n := new(big.Int).Mul(big.NewInt(int64(months)), big.NewInt(30))
	n.Add(n, big.NewInt(int64(days)))
	n.Mul(n, big.NewInt(microsPerDay))
	return n.Add(n, big.NewInt(micros))
}

func TestKeyOrderIsSQLOrder(t *testing.T) {
	columns := map[string]Column{"bpchar": {Kind: Text, SQLType: "character(4)"}, "citext": {Kind: Text, SQLType: "citext", Fold: true}}
	for _, k := range scalarKinds {
		columns[k.String()] = Column{Kind: k}
	}
	for name, column := range columns {
		t.Run(name, func(t *testing.T) {
			table := oneColumn(t, column)
			rapid.Check(t, func(t *rapid.T) {
				a := view(t, table, pack(t, table, nil, []cell{drawCell(t, column.Kind, Present)}))
				b := view(t, table, pack(t, table, nil, []cell{drawCell(t, column.Kind, Present)}))
				x, y := keyOf(t, table, a), keyOf(t, table, b)
				if got, want := bytes.Compare(x, y), orderOf(&table.Columns[0], a, b); got != want {
					t.Fatalf("%s and %s compare as %d, want %d (%x, %x)", AppendText(nil, &table.Columns[0], a, 0),
						AppendText(nil, &table.Columns[0], b, 0), got, want, x, y)
				}
			})
		})
	}
}

func keyOf(tb rapid.TB, table *Table, r Row) []byte {
	key, err := AppendKey(nil, table, r)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// A key of several columns orders by the first that differs, in key order, however long the values before are.
func TestKeyOfSeveralColumnsOrdersByTheFirstDifference(t *testing.T) {
	table := &Table{Columns: []Column{
		{ID: 1, Name: "c", Kind: Int32, Key: 3},
		{ID: 2, Name: "a", Kind: Text, Key: 1},
		{ID: 3, Name: "x", Kind: Text},
		{ID: 4, Name: "b", Kind: Decimal, Key: 2},
		{ID: 5, Name: "d", Kind: Bit, Key: 4},
	}}
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := func() []cell {
			cells := drawCells(t, table, Present, Present, Present, Null)
			cells[2] = drawCell(t, Text, Present, Null, Absent)
			return cells
		}
		p, q := draw(), draw()
		want := 0
		for _, i := range table.KeyColumns() {
			want = cmp.Or(want, orderOfCells(t, table.Columns[i], p[i], q[i]))
		}
		x := keyOf(t, table, view(t, table, pack(t, table, nil, p)))
		y := keyOf(t, table, view(t, table, pack(t, table, nil, q)))
		if got := bytes.Compare(x, y); got != want {
			t.Fatalf("compare as %d, want %d", got, want)
		}
	})
}

func orderOfCells(t *rapid.T, c Column, a, b cell) int {
	if a.state == Null || b.state == Null {
		return compareBool(a.state == Null, b.state == Null)
	}
	table := &Table{Columns: []Column{c}}
	table.Columns[0].Key = 0
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	return orderOf(&c, view(t, table, pack(t, table, nil, []cell{a})), view(t, table, pack(t, table, nil, []cell{b})))
}

func TestKeyOfATableWithoutKeyIsTheWholeRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawTable(t)
		p, q := drawCells(t, table, Present, Null), drawCells(t, table, Present, Null)
		if rapid.Bool().Draw(t, "same") {
			q = p
		}
		x := keyOf(t, table, view(t, table, pack(t, table, nil, p)))
		y := keyOf(t, table, view(t, table, pack(t, table, nil, q)))
		equal := true
		for i := range p {
			equal = equal && orderOfCells(t, table.Columns[i], p[i], q[i]) == 0
		}
		if bytes.Equal(x, y) != equal {
			t.Fatalf("keys equal is %t, rows equal is %t", !equal, equal)
		}
	})
}

func TestKeyNeedsItsColumns(t *testing.T) {
	table := shopTable(t)
	r := oneRow(t, table, func(b *Builder) error { b.String(1, "no id"); return nil })
	key, err := AppendKey([]byte("before"), table, r)
	if !errors.Is(err, ErrAbsent) || string(key) != "before" || !strings.Contains(err.Error(), `shop.public.orders`) {
		t.Errorf("got %q, %v", key, err)
	}
	keyless := oneColumn(t, Column{Kind: Int32})
	keyless.Columns[0].Key = 0
	if err := keyless.Prepare(); err != nil {
		t.Fatal(err)
	}
	if _, err := AppendKey(nil, keyless, oneRow(t, keyless, func(*Builder) error { return nil })); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v", err)
	}
}

func TestFloatKeysHoldEveryNaNEqual(t *testing.T) {
	table := oneColumn(t, Column{Kind: Float64})
	var keys [][]byte
	for _, bits := range []uint64{quietNaN, quietNaN | 1<<63, quietNaN | 7, 0x7ff0<<48 | 1} {
		slot := binary.LittleEndian.AppendUint64(nil, bits)
		keys = append(keys, keyOf(t, table, oneRow(t, table, func(b *Builder) error { b.Fixed(0, slot); return nil })))
	}
	for _, key := range keys {
		if !bytes.Equal(key, keys[0]) {
			t.Errorf("%x is not %x", key, keys[0])
		}
	}
}

// The bytes of keys are stored: they may not change.
func TestKeyBytesStayAsDocumented(t *testing.T) {
	for _, c := range []struct {
		column Column
		text   string
		want   string
	}{
		{Column{Kind: Bool}, "t", "\x01\x01"},
		{Column{Kind: Int16}, "-2", "\x01\x7f\xfe"},
		{Column{Kind: Int64}, "42", "\x01\x80\x00\x00\x00\x00\x00\x00\x2a"},
		{Column{Kind: Uint16}, "42", "\x01\x00\x2a"},
		{Column{Kind: Float32}, "-1.5", "\x01\x40\x3f\xff\xff"},
		{Column{Kind: Float64}, "1.5", "\x01\xbf\xf8\x00\x00\x00\x00\x00\x00"},
		{Column{Kind: Decimal}, "0.00", "\x01\x30"},
		{Column{Kind: Decimal}, "12345.60", "\x01\x40\x80\x01\x00\x02\x09\x2a\x17\x71\x00\x00"},
		{Column{Kind: Decimal}, "-0.5", "\x01\x20\x80\x00\xec\x76\xff\xff"},
		{Column{Kind: Decimal}, "NaN", "\x01\x60"},
		{Column{Kind: Text}, "a\x00b", "\x01a\x00\xffb\x00\x01"},
		{Column{Kind: Text, Fold: true}, "ÀB", "\x01\xc3\xa0b\x00\x01"},
		{Column{Kind: Bit}, "101", "\x01\xa0\x00\x01\x00\x00\x00\x03"},
		{Column{Kind: Date}, "2000-01-02", "\x01\x80\x00\x00\x01"},
		{Column{Kind: CalendarDate}, "2024-00-15", "\x01\x80\x0f\xd0\x0f"},
		{Column{Kind: CalendarTimestamp}, "0000-00-00 00:00:00", "\x01\x80\x00\x00\x00\x00\x00\x00\x00"},
		{Column{Kind: CalendarTimestamp}, "2024-00-15 01:02:03.4", "\x01\x99\xb2\x1e\x10\x83\x06\x1a\x80"},
		{Column{Kind: CalendarTimestampTZ}, "1970-01-01 00:00:01.000001+00", "\x01\x99\x02\xc2\x00\x01\x00\x00\x01"},
		{Column{Kind: Time}, "-838:59:59.999999", "\x01\x7f\xff\xfd\x40\xc2\x21\x84\x01"},
		{Column{Kind: Geometry}, `\x00ff`, "\x01\x00\xff\xff\x00\x01"},
		{Column{Kind: TimeTZ}, "00:00:01+00", "\x01\x80\x00\x00\x00\x00\x0f\x42\x40\x80\x00\x00\x00"},
		{Column{Kind: Interval}, "1 day", "\x01\x80\x00\x00\x00\x00\x14\x1d\xd7\x60\x00"},
		{Column{Kind: UUID}, "00000000-0000-0000-0000-0000000000ff", "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff"},
	} {
		table := oneColumn(t, c.column)
		r := oneRow(t, table, func(b *Builder) error { return ParseText(b, 0, &table.Columns[0], []byte(c.text)) })
		if got := keyOf(t, table, r); string(got) != c.want {
			t.Errorf("%s %s: %x, want %x", c.column.Kind, c.text, got, c.want)
		}
	}
}
