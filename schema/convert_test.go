package schema

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestConvertRenamesDropsReordersAndAddsColumns(t *testing.T) {
	from := shopTable(t)
	to := shopTable(t)
	to.Version = 2
	to.Columns = append([]Column{
		{ID: 9, Name: "since", Kind: Int32, HasMissing: true, Missing: []byte{7, 0, 0, 0}},
		{ID: 10, Name: "note", Kind: Text},
		{ID: 11, Name: "price", Kind: Decimal, HasMissing: true, Missing: mustDecimal(t, "9.90")},
	}, to.Columns[3], to.Columns[1], to.Columns[0])
	to.Columns[4].Name = "title"
	if err := to.Prepare(); err != nil {
		t.Fatal(err)
	}
	c, err := NewConverter(from, to)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Convert([]byte("before"), view(t, from, shopRow(t, from)))
	if err != nil || !bytes.HasPrefix(got, []byte("before")) {
		t.Fatal(err)
	}
	r := view(t, to, got[len("before"):])
	var line []string
	for i := range to.Columns {
		line = append(line, to.Columns[i].Name+"="+string(AppendJSON(nil, &to.Columns[i], r, i)))
	}
	if got, want := strings.Join(line, " "), `since=7 note=null price=9.90 amount=1234.50 title="bolt" id=42`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestConvertKeepsEveryState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := drawTable(t)
		to := &Table{Columns: rapid.Permutation(from.Columns).Draw(t, "columns")}
		if err := to.Prepare(); err != nil {
			t.Fatal(err)
		}
		r := view(t, from, pack(t, from, nil, drawCells(t, from, Present, Null, Absent)))
		there, err := NewConverter(from, to)
		if err != nil {
			t.Fatal(err)
		}
		back, err := NewConverter(to, from)
		if err != nil {
			t.Fatal(err)
		}
		moved, err := there.Convert(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := back.Convert(nil, view(t, to, moved))
		if err != nil || !bytes.Equal(again, r.Raw()) {
			t.Fatalf("%x comes back as %x (%v)", r.Raw(), again, err)
		}
	})
}

func TestConvertRefusesARewrittenColumn(t *testing.T) {
	from, to := shopTable(t), shopTable(t)
	to.Columns[2].Kind = Int64
	if err := to.Prepare(); err != nil {
		t.Fatal(err)
	}
	if _, err := NewConverter(from, to); !errors.Is(err, ErrRewritten) || !strings.Contains(err.Error(), `"qty"`) {
		t.Errorf("got %v", err)
	}
}

func TestConvertRefusesACalendarColumnOfAnotherKind(t *testing.T) {
	alike := []Kind{Date, Timestamp, TimestampTZ, CalendarDate, CalendarTimestamp, CalendarTimestampTZ}
	for _, from := range alike {
		for _, to := range alike {
			_, err := NewConverter(oneColumn(t, Column{Kind: from}), oneColumn(t, Column{Kind: to}))
			if errors.Is(err, ErrRewritten) != (from != to) {
				t.Errorf("%s to %s: %v", from, to, err)
			}
		}
	}
}

func TestConvertRefusesARowOfAnotherTable(t *testing.T) {
	table, other := shopTable(t), oneColumn(t, Column{Kind: Int32})
	c, err := NewConverter(table, table)
	if err != nil {
		t.Fatal(err)
	}
	r := oneRow(t, other, func(b *Builder) error { b.Int(0, 1); return nil })
	if _, err := c.Convert(nil, r); !errors.Is(err, ErrRow) {
		t.Errorf("got %v", err)
	}
	if got, err := c.Convert(nil, view(t, shopTable(t), shopRow(t, table))); err != nil || !bytes.Equal(got, shopRow(t, table)) {
		t.Errorf("a row of an equal layout: %x, %v", got, err)
	}
}

func TestProjectPicksColumns(t *testing.T) {
	table := shopTable(t)
	r := view(t, table, shopRow(t, table))
	to, err := NewLayout([]Column{table.Columns[3], table.Columns[1], table.Columns[1]})
	if err != nil {
		t.Fatal(err)
	}
	packed, err := Project([]byte("x"), r, []int{3, 1, 1}, to)
	if err != nil {
		t.Fatal(err)
	}
	got, err := to.Row(packed[1:])
	if err != nil || string(got.Bytes(1)) != "bolt" || string(got.Bytes(2)) != "bolt" || !bytes.Equal(got.Bytes(0), r.Bytes(3)) {
		t.Errorf("got %x, %v", packed, err)
	}
	for _, columns := range [][]int{{3, 1}, {1, 3, 1}, {-1, 1, 1}, {3, 1, 7}} {
		if dst, err := Project([]byte("x"), r, columns, to); err == nil || string(dst) != "x" {
			t.Errorf("%v: %q, %v", columns, dst, err)
		}
	}
}

func TestConvertRefusesColumnsOfOneID(t *testing.T) {
	table, other := shopTable(t), shopTable(t)
	other.Columns[3].ID = 1
	for _, pair := range [][2]*Table{{table, other}, {other, table}} {
		if _, err := NewConverter(pair[0], pair[1]); err == nil || !strings.Contains(err.Error(), `"id" and "amount"`) {
			t.Errorf("got %v", err)
		}
	}
}
