package materialize

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"cdc/schema"
)

func checksumTable(t testing.TB) *schema.Table {
	table := &schema.Table{Source: "s", Schema: "p", Name: "t", Identity: schema.IdentityKey, Columns: []schema.Column{
		{ID: 1, Name: "id", Kind: schema.Int32, SQLType: "integer", Key: 1},
		{ID: 2, Name: "n", Kind: schema.Decimal, SQLType: "numeric"},
		{ID: 3, Name: "a", Kind: schema.Text, SQLType: "text"},
		{ID: 4, Name: "b", Kind: schema.Text, SQLType: "text"},
	}}
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	return table
}

func sumOf(t testing.TB, table *schema.Table, rows ...[]string) *Checksum {
	var c Checksum
	for _, row := range rows {
		c.Add(table, view(table, pack(t, table, row...)))
	}
	return &c
}

func TestG6ChecksumIsThatOfTheRowsWhateverTheirOrder(t *testing.T) {
	table := checksumTable(t)
	a, b := []string{"1", "1.50", "x", "y"}, []string{"2", "", "xy", ""}
	base := sumOf(t, table, a, b)
	if !base.Equal(sumOf(t, table, b, a)) {
		t.Error("the order counts")
	}
	if !base.Equal(sumOf(t, table, []string{"1", "1.5", "x", "y"}, b)) {
		t.Error("the scale of a decimal counts")
	}
	for what, rows := range map[string][][]string{
		"a row less":            {a},
		"a row twice":           {a, a},
		"another value":         {{"1", "1.51", "x", "y"}, b},
		"a moved boundary":      {{"1", "1.50", "xy", ""}, b},
		"null for a value":      {{"1", "", "x", "y"}, b},
		"absent for null":       {a, {"2", "-", "xy", ""}},
		"columns the other way": {{"1", "1.50", "y", "x"}, b},
	} {
		if base.Equal(sumOf(t, table, rows...)) {
			t.Errorf("%s does not count", what)
		}
	}
	if got, want := base.String(), "(2 rows)"; len(got) != 32+1+len(want) {
		t.Errorf("printed as %q", got)
	}
}

// TestChecksumTellsZeroDatesFromNullAndFromOtherKinds covers values that other tools read as null or as another day.
func TestChecksumTellsZeroDatesFromNullAndFromOtherKinds(t *testing.T) {
	of := func(k schema.Kind, text string) *Checksum {
		table := &schema.Table{Columns: []schema.Column{{ID: 1, Name: "v", Kind: k}}}
		if err := table.Prepare(); err != nil {
			t.Fatal(err)
		}
		return sumOf(t, table, []string{text})
	}
	sums := []*Checksum{
		of(schema.CalendarDate, "0000-00-00"), of(schema.CalendarDate, ""), of(schema.CalendarDate, "2024-02-31"), of(schema.CalendarDate, "2024-03-02"),
		of(schema.Date, "2024-03-02"), of(schema.CalendarTimestamp, "2024-03-02 00:00:00"), of(schema.CalendarTimestampTZ, "2024-03-02 00:00:00+00"),
		of(schema.Geometry, `\x00000000`), of(schema.Bytes, `\x00000000`),
	}
	for i, a := range sums {
		for _, b := range sums[:i] {
			if a.Equal(b) {
				t.Errorf("sum %d is that of another value", i)
			}
		}
	}
	if !sums[5].Equal(of(schema.CalendarTimestamp, "2024-03-02T00:00:00.000")) {
		t.Error("the spelling of a value counts")
	}
}

func streamOf(t testing.TB, table *schema.Table, rows ...[]string) RowStream {
	s := NewSorter(table, Options{})
	for _, row := range rows {
		if err := s.Add(view(table, pack(t, table, row...))); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := s.Rows()
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestCompareRowsCountsAndShowsTheFirstDifferences(t *testing.T) {
	table := checksumTable(t)
	left := streamOf(t, table, []string{"1", "1", "a", "b"}, []string{"2", "2", "a", "b"}, []string{"3", "3", "a", "b"}, []string{"5", "5", "a", "b"})
	right := streamOf(t, table, []string{"1", "1.0", "a", "b"}, []string{"3", "4", "a", "c"}, []string{"4", "4", "a", "b"}, []string{"6", "6", "a", "b"})
	defer left.Close()
	defer right.Close()
	var shown []string
	c, err := CompareRows(table, left, right, 2, func(d *DiffRow) error { shown = append(shown, showDiff(d)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if c.Equal != 1 || c.OnlyLeft != 2 || c.OnlyRight != 2 || c.Different != 1 || c.Same() || c.Left.Count != 4 || c.Left.Equal(&c.Right) {
		t.Errorf("%+v", c)
	}
	if len(shown) != 2 || shown[0] != "- id=2 n=2 a=a b=b" || shown[1] != "~ id=3 n=3 a=a b=b -> id=3 n=4 a=a b=c" {
		t.Errorf("shown %q", shown)
	}
}

func TestOrderedRowsMayBeLeftEarly(t *testing.T) {
	log, _, orders, commits := smallLog(t)
	s := OrderedRows(ctxb, log, Request{Table: orders.ID, At: commits[0]}, Options{BatchRows: 1})
	if _, row, err := s.Next(); err != nil || row.Int(0) != 1 {
		t.Fatalf("first row %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = OrderedRows(ctxb, log, Request{Table: 99, At: commits[0]}, Options{})
	defer s.Close()
	var e *UnanswerableError
	if _, _, err := s.Next(); !errors.As(err, &e) {
		t.Fatalf("unknown table: %v", err)
	}
}

// TestRowsThatDifferInTheBitsOfANaNAreTheSame compares as Postgres does, and as the checksum does.
func TestRowsThatDifferInTheBitsOfANaNAreTheSame(t *testing.T) {
	table := &schema.Table{Columns: []schema.Column{{ID: 1, Name: "a", Kind: schema.Float32}, {ID: 2, Name: "b", Kind: schema.Float64}}}
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	row := func(a uint32, b uint64) schema.Row {
		var build schema.Builder
		build.Reset(table.Layout(), nil)
		build.Value(0, binary.LittleEndian.AppendUint32(nil, a))
		build.Value(1, binary.LittleEndian.AppendUint64(nil, b))
		raw, err := build.Finish()
		if err != nil {
			t.Fatal(err)
		}
		return view(table, raw)
	}
	one, other := row(0x7fc00000, 0x7ff8000000000000), row(0xffc00001, 0xfff8000000000001)
	if columns := differing(nil, table, one, other); len(columns) != 0 {
		t.Errorf("columns %d differ", columns)
	}
	if columns := differing(nil, table, one, row(0x7fc00000, 0)); !slices.Equal(columns, []int{1}) {
		t.Errorf("columns %d differ, want the second", columns)
	}
}
