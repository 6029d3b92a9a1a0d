package envelope

import (
	"context"
	"testing"

	"cdc/schema"
	"cdc/sinks/connect"
)

// TestMySQLValuesCostNoAllocation writes a row of every kind of column again and again.
func TestMySQLValuesCostNoAllocation(t *testing.T) {
	columns := []struct {
		kind          schema.Kind
		sqlType, text string
	}{
		{schema.Int32, "int", "7"},
		{schema.Uint64, "bigint unsigned", "18446744073709551615"},
		{schema.Float32, "float", "1.5"},
		{schema.Decimal, "decimal(12,2)", "12345.67"},
		{schema.Bit, "bit(14)", "11010101101111"},
		{schema.Int16, "year", "2026"},
		{schema.CalendarDate, "date", "2026-02-28"},
		{schema.CalendarTimestamp, "datetime(6)", "2026-02-28 23:59:59.123456"},
		{schema.CalendarTimestampTZ, "timestamp(3)", "2026-02-28 23:59:59.123+00"},
		{schema.Time, "time(6)", "-838:59:58.999999"},
		{schema.Text, "varchar(20)", "text"},
		{schema.Enum, "enum('a','b,c')", "b,c"},
		{schema.Set, "set('x','y')", "x,y"},
		{schema.JSON, "json", `{"a": 1}`},
		{schema.UUID, "uuid", "123e4567-e89b-12d3-a456-426614174000"},
	}
	table := &schema.Table{Source: "my", Schema: "shop", Name: "types"}
	for i, c := range columns {
		table.Columns = append(table.Columns, schema.Column{ID: uint32(i + 1), Name: c.sqlType, Kind: c.kind, SQLType: c.sqlType, Precision: 14, Scale: 2})
	}
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	for _, o := range []*Options{{}, {Unsigned: UnsignedPrecise, Decimals: DecimalString, Times: TimeISO}} {
		row, compiled := rowOf(t, table, func(i int) string { return columns[i].text }), make([]column, len(columns))
		for i := range table.Columns {
			var err error
			if compiled[i], err = mysqlColumn(o, table, &table.Columns[i]); err != nil {
				t.Fatal(err)
			}
		}
		var out connect.JSON
		var buf []byte
		write := func() {
			for i := range compiled {
				_ = out.Begin(context.Background(), buf[:0], "t", connect.Value, compiled[i].schema) // of JSON, it never fails
				compiled[i].write(&out, compiled[i].schema, row, i)
				buf, _ = out.End() // nothing is open
			}
		}
		if n := testing.AllocsPerRun(100, write); n != 0 {
			t.Errorf("%v allocations a row under %+v", n, o)
		}
	}
}

// rowOf packs a row of texts.
func rowOf(t *testing.T, table *schema.Table, text func(i int) string) schema.Row {
	t.Helper()
	var b schema.Builder
	b.Reset(table.Layout(), nil)
	for i := range table.Columns {
		if err := schema.ParseText(&b, i, &table.Columns[i], []byte(text(i))); err != nil {
			t.Fatal(err)
		}
	}
	packed, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	row, err := table.Layout().Row(packed)
	if err != nil {
		t.Fatal(err)
	}
	return row
}
