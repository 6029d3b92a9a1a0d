package schema

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRowReadsWhatWasBuilt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawTable(t)
		cells := drawCells(t, table, Present, Present, Null, Absent)
		prefix := rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "prefix")
		packed := pack(t, table, bytes.Clone(prefix), cells)
		if !bytes.HasPrefix(packed, prefix) {
			t.Fatalf("the bytes before the row changed")
		}
		r := view(t, table, packed[len(prefix):])
		absent := false
		for i, c := range cells {
			absent = absent || c.state == Absent
			if r.State(i) != c.state {
				t.Fatalf("column %d is %d, want %d", i, r.State(i), c.state)
			}
			if c.state == Present && !bytes.Equal(r.Value(i), c.packed) {
				t.Fatalf("column %d holds %x, want %x", i, r.Value(i), c.packed)
			}
		}
		if r.HasAbsent() != absent {
			t.Fatalf("HasAbsent is %t", r.HasAbsent())
		}
	})
}

func TestRowAccessorsReadWhatTypedSettersSet(t *testing.T) {
	columns := make([]Column, 0, len(scalarKinds))
	for i, k := range []Kind{Bool, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Float32, Float64, TimeTZ, Interval, UUID, Date, Text} {
		columns = append(columns, Column{ID: uint32(i), Kind: k})
	}
	table := &Table{Columns: columns}
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	var b Builder
	b.Reset(table.Layout(), nil)
	b.Bool(0, true)
	b.Int(1, -128)
	b.Int(2, -32768)
	b.Int(3, -1<<31)
	b.Int(4, -1<<63)
	b.Int(5, 255)
	b.Int(6, 65535)
	b.Int(7, 1<<32-1)
	b.Uint64(8, 1<<64-1)
	b.Float32(9, 1.5)
	b.Float64(10, -2.25)
	b.TimeTZ(11, 5, -3600)
	b.Interval(12, -1, 2, -3)
	b.Fixed(13, []byte("0123456789abcdef"))
	b.Int(14, int64(DateMinusInfinity))
	b.Variable(15, func(dst []byte) []byte { return append(dst, "text"...) })
	packed, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	r := view(t, table, packed)
	for i, want := range map[int]int64{1: -128, 2: -32768, 3: -1 << 31, 4: -1 << 63, 5: 255, 6: 65535, 7: 1<<32 - 1, 14: int64(DateMinusInfinity)} {
		if got := r.Int(i); got != want {
			t.Errorf("column %d is %d, want %d", i, got, want)
		}
	}
	micros, west := r.TimeTZ(11)
	length, days, months := r.Interval(12)
	if !r.Bool(0) || r.Uint64(8) != 1<<64-1 || r.Float32(9) != 1.5 || r.Float64(10) != -2.25 || micros != 5 || west != -3600 ||
		length != -1 || days != 2 || months != -3 || string(r.Slot(13)) != "0123456789abcdef" || string(r.Bytes(15)) != "text" {
		t.Errorf("row reads back wrong: %x", packed)
	}
}

func TestBuilderRefusesWrongUse(t *testing.T) {
	table := &Table{Columns: []Column{{Name: "a", Kind: Int32}, {Name: "b", Kind: Text}, {Name: "c", Kind: UUID}, {Name: "d", Kind: Decimal}, {Name: "e", Kind: Bit}}}
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	for name, use := range map[string]func(b *Builder){
		"out of order":        func(b *Builder) { b.String(1, "x"); b.Int(0, 1) },
		"twice":               func(b *Builder) { b.Int(0, 1); b.Int(0, 1) },
		"no such column":      func(b *Builder) { b.Null(5) },
		"integer into text":   func(b *Builder) { b.Int(1, 1) },
		"float into integer":  func(b *Builder) { b.Float32(0, 1) },
		"text into integer":   func(b *Builder) { b.String(0, "1234") },
		"interval into uuid":  func(b *Builder) { b.Interval(2, 1, 1, 1) },
		"slot of another one": func(b *Builder) { b.Fixed(2, make([]byte, 8)) },
		"no decimal":          func(b *Builder) { b.Bytes(3, []byte{9}) },
		"no bits":             func(b *Builder) { b.Bytes(4, []byte{9, 0, 0, 0}) },
		"slot into text":      func(b *Builder) { b.Fixed(1, make([]byte, 4)) },
	} {
		t.Run(name, func(t *testing.T) {
			var b Builder
			b.Reset(table.Layout(), []byte("before"))
			use(&b)
			if dst, err := b.Finish(); err == nil || string(dst) != "before" {
				t.Errorf("Finish returns %q, %v", dst, err)
			}
			b.Reset(table.Layout(), nil)
			if _, err := b.Finish(); err != nil {
				t.Errorf("the builder cannot be used again: %v", err)
			}
		})
	}
}

func TestRowRefusesBytesThatNoBuilderMakes(t *testing.T) {
	table := shopTable(t)
	good := shopRow(t, table)
	fixed := table.layout.fixed
	for name, damage := range map[string]func(b []byte) []byte{
		"nothing":                  func(b []byte) []byte { return nil },
		"cut in the fixed part":    func(b []byte) []byte { return b[:fixed-1] },
		"cut in the variable part": func(b []byte) []byte { return b[:len(b)-1] },
		"a byte too many":          func(b []byte) []byte { return append(b, 0) },
		"null and present":         func(b []byte) []byte { b[1] |= 1; return b },
		"a bit of no column":       func(b []byte) []byte { b[0] |= 0x80; return b },
		"a value that is null":     func(b []byte) []byte { b[0], b[1] = b[0]&^1, b[1]|1; return b },
		"text that is absent":      func(b []byte) []byte { b[0] &^= 2; return b },
		"variable ends descend":    func(b []byte) []byte { b[table.layout.slots[1]] = 0xff; return b },
		"no decimal":               func(b []byte) []byte { b[fixed+len("bolt")] = 0x7f; return b },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := table.Layout().Row(damage(bytes.Clone(good))); !errors.Is(err, ErrRow) {
				t.Errorf("accepted, or another error: %v", err)
			}
		})
	}
}

// shopRow is a full row of shopTable.
func shopRow(tb testing.TB, table *Table) []byte {
	tb.Helper()
	var b Builder
	b.Reset(table.Layout(), nil)
	for i, text := range []string{"42", "bolt", "7", "1234.50", "true", "2026-01-02 03:04:05.678+00", `{"color": "red", "size": 12}`} {
		if err := ParseText(&b, i, &table.Columns[i], []byte(text)); err != nil {
			tb.Fatal(err)
		}
	}
	packed, err := b.Finish()
	if err != nil {
		tb.Fatal(err)
	}
	return packed
}

func TestLayoutRefusesTooManyColumnsAndUnknownKinds(t *testing.T) {
	if _, err := NewLayout(make([]Column, MaxColumns+1)); err == nil {
		t.Error("too many columns are accepted")
	}
	for _, k := range []Kind{Invalid, Kind(len(kinds)), 255} {
		if _, err := NewLayout([]Column{{Name: "odd", Kind: k}}); err == nil || !strings.Contains(err.Error(), "odd") {
			t.Errorf("kind %d: %v", k, err)
		}
	}
}
