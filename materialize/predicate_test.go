package materialize

import (
	"testing"

	"cdc/schema"
)

func TestPredicateReadsValuesOfAnotherTypeAsItsOwn(t *testing.T) {
	_, old, now, _, _ := retypedLog(t)
	number, word, null := pack(t, old, "1", "5", "1"), pack(t, old, "1", "six", "1"), pack(t, old, "1", "", "1")
	for _, x := range []struct {
		op   Compare
		text string
		want [3]bool // of 5, "six" and null
	}{
		{Equal, "5", [3]bool{true, false, false}},
		{Less, "10", [3]bool{true, false, false}}, // as numbers: as text, 5 comes after 10
		{GreaterEqual, "10", [3]bool{false, false, false}},
		{NotEqual, "5", [3]bool{false, true, false}},
		{IsNull, "", [3]bool{false, false, true}},
		{IsNotNull, "", [3]bool{true, true, false}},
	} {
		var p Predicate
		if err := p.And(now, "note", x.op, x.text); err != nil {
			t.Fatal(err)
		}
		for i, raw := range [][]byte{number, word, null} {
			if got := p.Match(old, view(old, raw)); got != x.want[i] {
				t.Errorf("op %d %q on row %d: %t, want %t", x.op, x.text, i, got, x.want[i])
			}
		}
	}
}

// TestPredicateComparesCalendarFields compares dates that are none by year, month and day, as MySQL does.
func TestPredicateComparesCalendarFields(t *testing.T) {
	columns := []schema.Column{
		{ID: 1, Name: "d", Kind: schema.CalendarDate},
		{ID: 2, Name: "ts", Kind: schema.CalendarTimestamp},
		{ID: 3, Name: "tz", Kind: schema.CalendarTimestampTZ},
		{ID: 4, Name: "t", Kind: schema.Time},
	}
	table := &schema.Table{Columns: columns}
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	row := view(table, pack(t, table, "2024-00-15", "2024-02-31 00:00:00.5", "0000-00-00 00:00:00+00", "-838:59:59"))
	for _, x := range []struct {
		column string
		op     Compare
		text   string
		want   bool
	}{
		{"d", Equal, "2024-00-15", true},
		{"d", Less, "2024-01-01", true},
		{"d", Greater, "2023-12-31", true},
		{"d", Greater, "0000-00-00", true},
		{"ts", Less, "2024-03-01T00:00:00", true},
		{"ts", Greater, "2024-02-31 00:00:00.499999", true},
		{"ts", LessEqual, "2024-02-31 00:00:00", false},
		{"tz", Equal, "0000-00-00 00:00:00+00", true},
		{"tz", Less, "1970-01-01 01:00:00+01", true},
		{"tz", IsNull, "", false},
		{"t", Less, "-100:00:00", true},
		{"t", Greater, "-838:59:59.000001", true},
	} {
		var p Predicate
		if err := p.And(table, x.column, x.op, x.text); err != nil {
			t.Fatal(err)
		}
		if got := p.Match(table, row); got != x.want {
			t.Errorf("%s op %d %q: %t, want %t", x.column, x.op, x.text, got, x.want)
		}
	}
	var p Predicate
	if err := p.And(table, "d", Equal, "2024-13-01"); err == nil {
		t.Error("a 13th month is compared with")
	}
}
