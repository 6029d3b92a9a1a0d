package schema

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Generators of columns and packed values. A value is drawn from few edge values about half of the time, so that equal values and
// neighbours meet.

// scalarKinds are the kinds whose text and order are their own; the others are text.
var scalarKinds = []Kind{
	Bool, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Float32, Float64, Decimal, Text, Bytes,
	Date, Time, TimeTZ, Timestamp, TimestampTZ, Interval, UUID, JSON, Enum, Set, Bit, Raw,
	Geometry, CalendarDate, CalendarTimestamp, CalendarTimestampTZ,
}

func drawInt(t *rapid.T, bits int) uint64 {
	edges := []uint64{0, 1, 2, 9, 10, 255, 256, 9999, 10000, 1<<(bits-1) - 1, 1 << (bits - 1), math.MaxUint64, uint64(microsPerDay)}
	if rapid.Bool().Draw(t, "edge") {
		return rapid.SampledFrom(edges).Draw(t, "int")
	}
	return rapid.Uint64().Draw(t, "int")
}

func drawDecimal(t *rapid.T) []byte {
	d := DecimalParts{
		Class:    rapid.SampledFrom([]DecimalClass{DecimalFinite, DecimalFinite, DecimalFinite, DecimalFinite, DecimalNaN, DecimalInfinite}).Draw(t, "class"),
		Negative: rapid.Bool().Draw(t, "negative"),
		Weight:   rapid.IntRange(-4, 10).Draw(t, "weight"),
		Scale:    rapid.IntRange(0, 20).Draw(t, "scale"),
		Digits: rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom([]uint16{0, 1, 10, 100, 1000, 9999}), rapid.Uint16Range(0, 9999)), 0, 6).
			Draw(t, "digits"),
	}
	return AppendDecimal(nil, d)
}

func drawFloat(t *rapid.T) float64 {
	edges := []float64{0, math.Copysign(0, -1), 1, -1, 1e23, math.Inf(1), math.Inf(-1), math.Float64frombits(quietNaN), 1e15, 1e-5, 5e-324}
	if rapid.Bool().Draw(t, "edge") {
		return rapid.SampledFrom(edges).Draw(t, "float")
	}
	return rapid.Float64().Draw(t, "float")
}

// drawPacked draws the packed value of the kind.
func drawPacked(t *rapid.T, k Kind) []byte {
	little := binary.LittleEndian
	switch k {
	case Bool:
		return []byte{byte(drawInt(t, 8) & 1)}
	case Float32:
		return little.AppendUint32(nil, math.Float32bits(float32(drawFloat(t))))
	case Float64:
		return little.AppendUint64(nil, math.Float64bits(drawFloat(t)))
	case Decimal:
		return drawDecimal(t)
	case CalendarDate:
		f := drawFields(t)
		v, _ := PackCalendarDate(f.Year, f.Month, f.Day)
		return little.AppendUint32(nil, uint32(v))
	case CalendarTimestamp, CalendarTimestampTZ:
		v, _ := PackCalendarTimestamp(drawFields(t))
		return little.AppendUint64(nil, uint64(v))
	case Bytes, Geometry:
		return rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xff}), 0, 4).Draw(t, "bytes")
	case Bit:
		n := rapid.Uint32Range(0, 20).Draw(t, "length")
		return AppendBits(nil, n, rapid.SliceOfN(rapid.Byte(), 3, 3).Draw(t, "bits"))
	case UUID:
		return rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0xff}), 16, 16).Draw(t, "uuid")
	case TimeTZ:
		out := little.AppendUint64(nil, drawInt(t, 64))
		return little.AppendUint32(out, uint32(drawInt(t, 32)))
	case Interval:
		out := little.AppendUint64(nil, drawInt(t, 64))
		out = little.AppendUint32(out, uint32(drawInt(t, 32)))
		return little.AppendUint32(out, uint32(drawInt(t, 32)))
	}
	if kinds[k].integer {
		return little.AppendUint64(nil, drawInt(t, 8*kinds[k].size))[:kinds[k].size]
	}
	return []byte(rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, ' ', 'a', 'A', 'b', 'é', 'É', '"', '\\', '\n', '😀'}), 0, 5, -1).Draw(t, "text"))
}

// cell is what a row holds for a column.
type cell struct {
	state  State
	packed []byte
}

func drawCell(t *rapid.T, k Kind, states ...State) cell {
	c := cell{state: rapid.SampledFrom(states).Draw(t, "state")}
	if c.state == Present {
		c.packed = drawPacked(t, k)
	}
	return c
}

// drawTable draws a table of up to 20 columns, without a key.
func drawTable(t *rapid.T) *Table {
	table := &Table{ID: 7, Version: 3, Source: "shop", Schema: "public", Name: "orders"}
	for i, k := range rapid.SliceOfN(rapid.SampledFrom(scalarKinds), 0, 20).Draw(t, "kinds") {
		table.Columns = append(table.Columns, Column{ID: uint32(i + 1), Name: fmt.Sprintf("c%d", i), Kind: k})
	}
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	return table
}

func drawCells(t *rapid.T, table *Table, states ...State) []cell {
	cells := make([]cell, len(table.Columns))
	for i := range cells {
		cells[i] = drawCell(t, table.Columns[i].Kind, states...)
	}
	return cells
}

// pack builds a row of the cells after what dst holds.
func pack(tb rapid.TB, table *Table, dst []byte, cells []cell) []byte {
	var b Builder
	b.Reset(table.Layout(), dst)
	for i, c := range cells {
		switch c.state {
		case Present:
			b.Value(i, c.packed)
		case Null:
			b.Null(i)
		case Absent:
		}
	}
	packed, err := b.Finish()
	if err != nil {
		tb.Fatal(err)
	}
	return packed
}

func view(tb rapid.TB, table *Table, packed []byte) Row {
	r, err := table.Layout().Row(packed)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// shopTable is a table as they are met: a key, text, a decimal and a time.
func shopTable(tb testing.TB) *Table {
	tb.Helper()
	t := &Table{ID: 1, Version: 1, Source: "shop", Schema: "public", Name: "orders", SourceTable: 16384, Identity: IdentityKey, Columns: []Column{
		{ID: 1, Name: "id", Kind: Int64, SQLType: "bigint", SourceType: 20, NotNull: true, Key: 1},
		{ID: 2, Name: "name", Kind: Text, SQLType: "text", SourceType: 25},
		{ID: 3, Name: "qty", Kind: Int32, SQLType: "integer", SourceType: 23},
		{ID: 4, Name: "amount", Kind: Decimal, SQLType: "numeric(12,2)", SourceType: 1700, Precision: 12, Scale: 2},
		{ID: 5, Name: "active", Kind: Bool, SQLType: "boolean", SourceType: 16},
		{ID: 6, Name: "ts", Kind: TimestampTZ, SQLType: "timestamp with time zone", SourceType: 1184},
		{ID: 7, Name: "payload", Kind: JSON, SQLType: "jsonb", SourceType: 3802},
	}}
	if err := t.Prepare(); err != nil {
		tb.Fatal(err)
	}
	return t
}
