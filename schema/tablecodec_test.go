package schema

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawFullTable draws a table with every field set to something.
func drawFullTable(t *rapid.T) *Table {
	table := drawTable(t)
	table.ID, table.Version = TableID(rapid.Uint32().Draw(t, "id")), VersionID(rapid.Uint32().Draw(t, "version"))
	table.SourceTable = rapid.Uint32().Draw(t, "source table")
	table.Identity = Identity(rapid.IntRange(0, 3).Draw(t, "identity"))
	table.AppendOnly = rapid.Bool().Draw(t, "append only")
	place := uint16(0)
	for i := range table.Columns {
		c := &table.Columns[i]
		c.ID, c.SourceType = rapid.Uint32().Draw(t, "id"), rapid.Uint32().Draw(t, "type")
		c.Name, c.SQLType = rapid.String().Draw(t, "name"), rapid.String().Draw(t, "sql type")
		c.Precision, c.Scale = rapid.Int32().Draw(t, "precision"), rapid.Int32().Draw(t, "scale")
		c.NotNull, c.Fold = rapid.Bool().Draw(t, "not null"), rapid.Bool().Draw(t, "fold")
		if c.HasMissing = rapid.Bool().Draw(t, "missing"); c.HasMissing {
			c.Missing = append([]byte{}, drawPacked(t, c.Kind)...)
		}
		if rapid.Bool().Draw(t, "key") {
			place++
			c.Key = place
		}
	}
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	return table
}

func TestTableDecodesToWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawFullTable(t)
		b := AppendTable(nil, table)
		got, err := DecodeTable(b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Columns, table.Columns) && len(table.Columns) > 0 || !got.SameShape(table) || got.Version != table.Version {
			t.Fatalf("got %+v, want %+v", got, table)
		}
		if got.Layout() == nil || len(got.KeyColumns()) != len(table.KeyColumns()) {
			t.Fatal("the table is not prepared")
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, err := DecodeTable(b[:cut]); !errors.Is(err, ErrTable) {
			t.Fatalf("cut to %d of %d bytes: %v", cut, len(b), err)
		}
	})
}

func TestDecodeTableRefuses(t *testing.T) {
	good := AppendTable(nil, shopTable(t))
	for name, damage := range map[string]func(t *Table, b []byte) []byte{
		"another format":   func(_ *Table, b []byte) []byte { b[0]++; return b },
		"a byte too many":  func(_ *Table, b []byte) []byte { return append(b, 0) },
		"an unknown kind":  func(t *Table, _ []byte) []byte { t.Columns[0].Kind = 99; return AppendTable(nil, t) },
		"no kind":          func(t *Table, _ []byte) []byte { t.Columns[0].Kind = Invalid; return AppendTable(nil, t) },
		"a gap in the key": func(t *Table, _ []byte) []byte { t.Columns[0].Key = 2; return AppendTable(nil, t) },
		"a place twice":    func(t *Table, _ []byte) []byte { t.Columns[1].Key = 1; return AppendTable(nil, t) },
		"unknown identity": func(t *Table, _ []byte) []byte { t.Identity = 4; return AppendTable(nil, t) },
		"a huge name": func(t *Table, _ []byte) []byte {
			t.Name = strings.Repeat("x", MaxNameBytes+1)
			return AppendTable(nil, t)
		},
		"a bad older value": func(t *Table, _ []byte) []byte { t.Columns[2].HasMissing = true; return AppendTable(nil, t) },
		"an older value that is no decimal": func(t *Table, _ []byte) []byte {
			t.Columns[3].HasMissing, t.Columns[3].Missing = true, []byte{9}
			return AppendTable(nil, t)
		},
		"too many columns": func(t *Table, _ []byte) []byte {
			for i := range MaxColumns {
				t.Columns = append(t.Columns, Column{Name: fmt.Sprint(i), Kind: Int8})
			}
			return AppendTable(nil, t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := DecodeTable(damage(shopTable(t), append([]byte{}, good...))); !errors.Is(err, ErrTable) {
				t.Errorf("accepted, or another error: %v", err)
			}
		})
	}
}

func TestSameShapeIgnoresTheVersionOnly(t *testing.T) {
	for name, change := range map[string]func(t *Table){
		"id":           func(t *Table) { t.ID++ },
		"source":       func(t *Table) { t.Source = "x" },
		"schema":       func(t *Table) { t.Schema = "x" },
		"name":         func(t *Table) { t.Name = "x" },
		"source table": func(t *Table) { t.SourceTable++ },
		"identity":     func(t *Table) { t.Identity = IdentityFull },
		"append only":  func(t *Table) { t.AppendOnly = true },
		"columns":      func(t *Table) { t.Columns = t.Columns[1:] },
		"column id":    func(t *Table) { t.Columns[0].ID = 9 },
		"column name":  func(t *Table) { t.Columns[0].Name = "x" },
		"kind":         func(t *Table) { t.Columns[0].Kind = Int32 },
		"precision":    func(t *Table) { t.Columns[3].Precision = 14 },
		"scale":        func(t *Table) { t.Columns[3].Scale = 3 },
		"sql type":     func(t *Table) { t.Columns[0].SQLType = "x" },
		"source type":  func(t *Table) { t.Columns[0].SourceType++ },
		"not null":     func(t *Table) { t.Columns[0].NotNull = false },
		"key":          func(t *Table) { t.Columns[0].Key = 0 },
		"fold":         func(t *Table) { t.Columns[1].Fold = true },
		"missing":      func(t *Table) { t.Columns[1].HasMissing = true },
	} {
		other := shopTable(t)
		change(other)
		if shopTable(t).SameShape(other) {
			t.Errorf("another %s is the same shape", name)
		}
	}
	other := shopTable(t)
	other.Version = 99
	if !shopTable(t).SameShape(other) {
		t.Error("another version is another shape")
	}
}

// Encoded tables are stored: the bytes may not change.
func TestTableBytesStayAsDocumented(t *testing.T) {
	table := &Table{ID: 5, Version: 300, Source: "s", Schema: "p", Name: "t", SourceTable: 16384, Identity: IdentityKey, AppendOnly: true, Columns: []Column{
		{ID: 1, Name: "k", Kind: Int32, SQLType: "integer", SourceType: 23, NotNull: true, Key: 1},
		{ID: 2, Name: "n", Kind: Decimal, Precision: 5, Scale: -2, SQLType: "numeric(5,-2)", SourceType: 1700, HasMissing: true, Missing: []byte{1}},
	}}
	const want = "\x01\x05\xac\x02\x01s\x01p\x01t\x80\x80\x01\x01\x01\x02" +
		"\x01\x01k\x04\x00\x00\x07integer\x17\x01\x01" +
		"\x02\x01n\x0c\x0a\x03\x0dnumeric(5,-2)\xa4\x0d\x04\x00\x01\x01"
	if got := AppendTable(nil, table); string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
