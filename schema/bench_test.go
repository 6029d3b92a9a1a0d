package schema

import (
	"fmt"
	"testing"
)

// wideTable has 60 columns of the mix that wide tables have.
func wideTable(tb testing.TB) *Table {
	tb.Helper()
	t := &Table{Source: "shop", Schema: "public", Name: "wide"}
	cycle := []Column{
		{Kind: Int64, SQLType: "bigint"},
		{Kind: Text, SQLType: "text"},
		{Kind: Decimal, SQLType: "numeric(12,2)"},
		{Kind: TimestampTZ, SQLType: "timestamptz"},
		{Kind: Bool, SQLType: "boolean"},
		{Kind: Int32, SQLType: "integer"},
		{Kind: Float64, SQLType: "double precision"},
		{Kind: Date, SQLType: "date"},
		{Kind: UUID, SQLType: "uuid"},
		{Kind: Text, SQLType: "text"},
	}
	for i := range 60 {
		c := cycle[i%len(cycle)]
		c.ID, c.Name = uint32(i+1), fmt.Sprintf("c%02d", i)
		if i == 0 {
			c.Key = 1
		}
		t.Columns = append(t.Columns, c)
	}
	if err := t.Prepare(); err != nil {
		tb.Fatal(err)
	}
	return t
}

var benchText = map[Kind]string{
	Int64: "123456789012", Text: "a dozen byte", Decimal: "12345.67", TimestampTZ: "2026-01-02 03:04:05.678901+00", Bool: "t", Int32: "42",
	Float64: "3.25", Date: "2026-01-02", UUID: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", JSON: `{"color": "red", "size": 12}`,
}

func parseRow(tb testing.TB, b *Builder, table *Table, text [][]byte, dst []byte) []byte {
	b.Reset(table.Layout(), dst)
	for i := range table.Columns {
		if err := ParseText(b, i, &table.Columns[i], text[i]); err != nil {
			tb.Fatal(err)
		}
	}
	packed, err := b.Finish()
	if err != nil {
		tb.Fatal(err)
	}
	return packed
}

func rowText(table *Table) [][]byte {
	text := make([][]byte, len(table.Columns))
	for i := range table.Columns {
		text[i] = []byte(benchText[table.Columns[i].Kind])
	}
	return text
}

// buildRow packs a row from decoded values, as a source does.
func buildRow(b *Builder, table *Table, dst []byte, text [][]byte, wire []byte) []byte {
	b.Reset(table.Layout(), dst)
	for i := range table.Columns {
		switch table.Columns[i].Kind {
		case Bool:
			b.Bool(i, true)
		case Float64:
			b.Float64(i, 3.25)
		case UUID:
			b.Fixed(i, text[i][:16])
		case Decimal:
			b.Variable(i, func(dst []byte) []byte {
				dst, _ = AppendDecimalPG(dst, wire)
				return dst
			})
		case Text, JSON:
			b.Bytes(i, text[i])
		default:
			b.Int(i, 42)
		}
	}
	packed, _ := b.Finish()
	return packed
}

// readRow reads every column.
func readRow(r Row, table *Table) (sum int64) {
	for i := range table.Columns {
		switch table.Columns[i].Kind {
		case Float64:
			sum += int64(r.Float64(i))
		case Text, JSON, Decimal:
			sum += int64(len(r.Bytes(i)))
		case UUID:
			sum += int64(r.Slot(i)[0])
		default:
			sum += r.Int(i)
		}
	}
	return sum
}

const wireDecimal = "\x00\x03\x00\x01\x00\x00\x00\x02\x00\x01\x09\x29\x1a\x2c" // 12345.67

// work is what is measured and what may not allocate.
type work struct {
	name string
	run  func()
}

func rowWork(tb testing.TB, table *Table) (size int, works []work) {
	tb.Helper()
	var b Builder
	text, wire := rowText(table), []byte(wireDecimal)
	packed := parseRow(tb, &b, table, text, nil)
	to := *table
	to.Columns = append(append([]Column{}, table.Columns[1:]...), table.Columns[0])
	if err := to.Prepare(); err != nil {
		tb.Fatal(err)
	}
	converter, err := NewConverter(table, &to)
	if err != nil {
		tb.Fatal(err)
	}
	r := view(tb, table, packed)
	dst := make([]byte, 0, 1<<16)
	return len(packed), []work{
		{"build", func() { buildRow(&b, table, dst, text, wire) }},
		{"parse", func() { parseRow(tb, &b, table, text, dst) }},
		{"check", func() { _, _ = table.Layout().Row(packed) }},
		{"read", func() { readRow(r, table) }},
		{"text", func() {
			for i := range table.Columns {
				AppendText(dst, &table.Columns[i], r, i)
			}
		}},
		{"json", func() {
			for i := range table.Columns {
				if table.Columns[i].Kind != JSON { // validating a document borrows from a pool
					AppendJSON(dst, &table.Columns[i], r, i)
				}
			}
		}},
		{"key", func() { _, _ = AppendKey(dst, table, r) }},
		{"convert", func() { _, _ = converter.Convert(dst, r) }},
	}
}

func TestRowsCostNoAllocation(t *testing.T) {
	for name, table := range map[string]*Table{"narrow": shopTable(t), "wide": wideTable(t)} {
		_, works := rowWork(t, table)
		for _, w := range works {
			if n := testing.AllocsPerRun(50, w.run); n != 0 {
				t.Errorf("%s of a %s row allocates %.1f times", w.name, name, n)
			}
		}
	}
}

func TestValuesCostNoAllocation(t *testing.T) {
	dst := make([]byte, 0, 1<<12)
	for name, column := range oracleColumns {
		table := oneColumn(t, column)
		c := &table.Columns[0]
		for _, v := range readOracle(t, name) {
			if len(v.text) > 100 {
				continue
			}
			r := oneRow(t, table, func(b *Builder) error { return setWire(b, 0, column.Kind, v.wire) })
			text := []byte(v.text)
			var b Builder
			if n := testing.AllocsPerRun(5, func() {
				b.Reset(table.Layout(), dst)
				_ = ParseText(&b, 0, c, text)
				_, _ = b.Finish()
				AppendText(dst, c, r, 0)
				AppendJSON(dst, c, r, 0)
				AppendKeyValue(dst, c, r, 0)
			}); n != 0 {
				t.Errorf("%s %s allocates %.1f times", name, v.text, n)
			}
		}
	}
}

func BenchmarkRow(b *testing.B) {
	for _, shape := range []struct {
		name  string
		table *Table
	}{{"narrow", shopTable(b)}, {"wide", wideTable(b)}} {
		size, works := rowWork(b, shape.table)
		for _, w := range works {
			b.Run(fmt.Sprintf("op=%s/table=%s", w.name, shape.name), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					w.run()
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

func BenchmarkDecimal(b *testing.B) {
	wire, text := []byte(wireDecimal), []byte("12345.67")
	dst := make([]byte, 0, 256)
	packed := mustDecimal(b, "12345.67")
	for _, w := range []work{
		{"wire", func() { _, _ = AppendDecimalPG(dst, wire) }},
		{"parse", func() { _, _ = ParseDecimal(dst, text) }},
		{"text", func() { AppendDecimalText(dst, packed) }},
		{"int64", func() { DecimalInt64(packed, 2) }},
	} {
		b.Run("op="+w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.run()
			}
		})
	}
}
