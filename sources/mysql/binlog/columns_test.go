package binlog

import (
	"fmt"
	"strings"
	"testing"

	"cdc/sources/mysql/value"
)

// lastColumns are the columns of the last table map of each table in a recording, by name, and how many table maps had no names.
func lastColumns(t *testing.T, raws [][]byte) (columns map[string][]value.Column, unnamed map[string][]value.Column) {
	t.Helper()
	columns, unnamed = map[string][]value.Column{}, map[string][]value.Column{}
	s := stream{}
	s.each = func(e Event, _ []byte) {
		if e.Type != TypeTableMap {
			return
		}
		m, err := ParseTableMap(e)
		if err != nil {
			t.Fatal(err)
		}
		of, _, err := m.Columns(&s.format)
		if err != nil {
			t.Fatal(err)
		}
		if of[0].Known&value.KnownName == 0 {
			unnamed[string(m.Name)] = of
			return
		}
		columns[string(m.Name)] = of
	}
	s.read(t, raws)
	return columns, unnamed
}

// describeColumn prints what is known of a column.
func describeColumn(c value.Column) string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s %d(%d)", c.Name, c.Type, c.Meta)
	if c.Known&value.KnownSign != 0 {
		fmt.Fprintf(b, " unsigned=%t", c.Unsigned)
	}
	if c.Known&value.KnownCollation != 0 {
		fmt.Fprintf(b, " collation=%d", c.Collation)
	}
	if c.Known&value.KnownLabels != 0 {
		fmt.Fprintf(b, " labels=%q", c.Labels)
	}
	if c.Known&value.KnownKey != 0 && c.Key > 0 {
		fmt.Fprintf(b, " key=%d", c.Key)
	}
	return b.String()
}

func TestColumnsAreThoseOfTheTables(t *testing.T) {
	want := map[string]string{
		"numbers id":      "3(0) unsigned=true key=1",
		"numbers y":       "13(0)",
		"numbers bu":      "8(0) unsigned=true",
		"numbers n":       "246(16670) unsigned=false",
		"numbers bits":    "16(13)",
		"numbers bit64":   "16(64)",
		"texts b":         "15(300) collation=8 key=1",
		"texts e":         `247(1) collation=8 labels=["x" "ÿ" ""]`,
		"texts long_char": "254(1020) collation=UTF8MB4",
		"texts bin":       "254(4) collation=63",
		"texts s":         `248(1) collation=UTF8MB4 labels=["r" "g" "b"]`,
		"texts e2":        `247(1) collation=UTF8MB4 labels=["p" "q"]`,
		"texts tx":        "252(2) collation=28",
		"texts lb":        "252(4) collation=63",
		"times dt6":       "18(6)",
		"shapes g":        "255(4)",
		"shapes v":        "15(5) collation=8",
		"special i4":      "254(4) collation=63",
		"special ev":      `247(1) collation=8 labels=["a"]`,
		"zipped zv":       "141(201) collation=8",
		"zipped z":        "252(2) collation=8",
		"docs v":          "242(4)",
		"docs l":          "15(3) collation=8",
	}
	seen := map[string]bool{}
	for name, raws := range recordings(t) {
		utf8mb4 := map[bool]string{true: "45", false: "255"}[name == "mariadb.events"]
		columns, _ := lastColumns(t, raws)
		for table, of := range columns {
			for _, c := range of {
				key := table + " " + c.Name
				if w, listed := want[key]; listed {
					seen[key] = true
					if got := describeColumn(c); got != c.Name+" "+strings.ReplaceAll(w, "UTF8MB4", utf8mb4) {
						t.Errorf("%s: %s is %s, want %s", name, table, got, w)
					}
				}
			}
		}
	}
	for key := range want {
		if !seen[key] {
			t.Errorf("no %s", key)
		}
	}
}

// Without full metadata less is known, and nothing is made up.
func TestColumnsOfLessMetadataSayWhatIsNotKnown(t *testing.T) {
	for name, raws := range recordings(t) {
		columns, unnamed := lastColumns(t, raws)
		for table, of := range unnamed {
			for i, c := range of {
				full := columns[table][i]
				if c.Known&(value.KnownName|value.KnownLabels|value.KnownKey) != 0 || c.Name != "" || c.Labels != nil || c.Key != 0 {
					t.Errorf("%s: %s: %s", name, table, describeColumn(c))
				}
				if c.Type != full.Type || c.Meta != full.Meta || c.Known&value.KnownSign != 0 && c.Unsigned != full.Unsigned ||
					c.Known&value.KnownCollation != 0 && c.Collation != full.Collation {
					t.Errorf("%s: %s: %s, with more metadata %s", name, table, describeColumn(c), describeColumn(full))
				}
			}
		}
		if len(unnamed) != 2 {
			t.Errorf("%s: %d tables without names", name, len(unnamed))
		}
	}
}

func TestJSONDifferencesAreThoseOfTheUpdates(t *testing.T) {
	var got []string
	s := stream{}
	tables := map[uint64][]value.Column{}
	s.each = func(e Event, _ []byte) {
		if e.Type == TypeTableMap {
			m, err := ParseTableMap(e)
			if err != nil {
				t.Fatal(err)
			}
			if tables[m.Table], _, err = m.Columns(&s.format); err != nil {
				t.Fatal(err)
			}
		}
		if e.Type != TypePartialUpdateRows {
			return
		}
		rows, err := ParseRows(e, nil)
		if err != nil {
			t.Fatal(err)
		}
		columns := tables[rows.Table]
		images := rows.Images(2)
		for images.Next() {
			if im := &images.Image; im.Partial != nil && im.Partial[0]&1 != 0 {
				got = append(got, firstDifferences(t, im)...)
			}
			images.Skip(skipImage(&images.Image, columns))
		}
		if err := images.Err(); err != nil {
			t.Error(err)
		}
	}
	s.read(t, recordings(t)["mysql.events"])
	if want := []string{"0 $.a \x05\x02\x00", "2 $.b[1] "}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// firstDifferences reads those of the table's second column, behind an INT.
func firstDifferences(t *testing.T, im *Image) (all []string) {
	t.Helper()
	r := reader{b: im.Data}
	r.take(1 + 4)
	b := r.sized(uint64(r.u32()))
	for len(b) > 0 {
		d, rest, err := ParseJSONDiff(b)
		if err != nil {
			t.Fatal(err)
		}
		all, b = append(all, fmt.Sprintf("%d %s %s", d.Op, d.Path, d.Value)), rest
	}
	return all
}

// A row whose image holds no column is a row.
func TestRowsThatTakeNoBytesAreSeen(t *testing.T) {
	seen := 0
	s := stream{}
	s.each = func(e Event, _ []byte) {
		if !e.Type.IsRows() {
			return
		}
		rows, err := ParseRows(e, &s.z)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows.Data) > 0 {
			return
		}
		images := rows.Images(0)
		for images.Next() {
			if !images.Image.After || len(images.Image.Data) != 0 {
				t.Errorf("%+v", images.Image)
			}
			seen++
			images.Skip(nil)
		}
		if images.Err() != nil {
			t.Error(images.Err())
		}
	}
	s.read(t, recordings(t)["mysql.events"])
	if seen != 1 {
		t.Errorf("%d rows", seen)
	}
	dummy := Rows{Kind: RowsWrite, Table: DummyTable, Width: 1, After: []byte{0}}
	if images := dummy.Images(0); images.Next() || images.Err() != nil {
		t.Error("a row in an event that only ends a statement")
	}
}
