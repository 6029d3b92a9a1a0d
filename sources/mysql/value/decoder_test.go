package value

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cdc/e2e/testservers"
	"cdc/schema"
)

func TestDecodingAllocatesNothing(t *testing.T) {
	columns := append(narrow(), Column{Name: "j", Type: TypeJSON, Meta: 4, Known: KnownName, Nullable: true},
		Column{Name: "e", Type: TypeEnum, Meta: 1, Known: KnownLabels | KnownCollation, Collation: 45, Labels: []string{"a", "b"}},
		Column{Name: "g", Type: TypeVarchar, Meta: 20, Known: KnownCollation, Collation: 28},
		Column{Name: "d", Type: TypeNewDecimal, Meta: 65<<8 | 30, Known: KnownSign})
	st := table(t, columns)
	d, err := Compile(columns, st)
	if err != nil {
		t.Fatal(err)
	}
	image := append([]byte{0}, narrowImages(1)...)
	doc := []byte{jsonSmallArray, 2, 0, 10, 0, jsonInt16, 1, 0, jsonLiteral, 0, 0}
	image = append(append(image, byte(len(doc)), 0, 0, 0), doc...)
	image = append(image, 2, 3, 0x81, 0x40, 'x')
	image = append(append(image, 0x80), make([]byte, decimalBytes(65, 30)-1)...)
	present := []byte{0xff, 0x03}
	var dst []byte
	if n := testing.AllocsPerRun(100, func() {
		var rest []byte
		if dst, rest, err = d.Image(dst[:0], present, image); err != nil || len(rest) != 0 {
			t.Fatal(err, rest)
		}
	}); n != 0 {
		t.Errorf("%v allocations per image", n)
	}
	texts, err := CompileText(columns, st)
	if err != nil {
		t.Fatal(err)
	}
	fields := append(narrowText(), []byte("[1, null]"), []byte("2"), []byte("\x81\x40x"), []byte("-1.5"))
	if n := testing.AllocsPerRun(100, func() {
		if dst, err = texts.Row(dst[:0], fields); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per text row", n)
	}
}

// TestImagesOfSomeColumns has bits for nulls of the columns that are there, and no others.
func TestImagesOfSomeColumns(t *testing.T) {
	columns := narrow()
	st := table(t, columns)
	d, err := Compile(columns, st)
	if err != nil {
		t.Fatal(err)
	}
	// id, qty (null) and active, of an image with spare bits set as MySQL does.
	image := []byte{0xfa, 1, 0, 0, 0, 0, 0, 0, 0, 1, 'r', 'e', 's', 't'}
	row, rest, err := d.Image([]byte("x"), []byte{0xd5}, image)
	if err != nil || string(rest) != "rest" || row[0] != 'x' {
		t.Fatalf("%x, %q, %v", row, rest, err)
	}
	r, err := st.Layout().Row(row[1:])
	if err != nil {
		t.Fatal(err)
	}
	want := []schema.State{schema.Present, schema.Absent, schema.Null, schema.Absent, schema.Present, schema.Absent}
	for i, state := range want {
		if r.State(i) != state {
			t.Errorf("column %d is %v, want %v", i, r.State(i), state)
		}
	}
}

func TestDamagedImagesAreNamed(t *testing.T) {
	columns := narrow()
	d, err := Compile(columns, table(t, columns))
	if err != nil {
		t.Fatal(err)
	}
	whole := narrowImages(1)
	for n := range whole {
		row, rest, err := d.Image([]byte("x"), []byte{0x3f}, whole[:n])
		if !errors.Is(err, ErrImage) || string(row) != "x" || !bytes.Equal(rest, whole[:n]) {
			t.Errorf("%d of %d bytes: %q, %x, %v", n, len(whole), row, rest, err)
		}
	}
	secret := append(bytes.Clone(whole[:10]), "\xffsecret"...)
	secret[9] = 7
	_, _, err = d.Image(nil, []byte{0x3f}, secret)
	if !errors.Is(err, ErrCharset) || !strings.Contains(err.Error(), `"name"`) || strings.Contains(err.Error(), "secret") {
		t.Errorf("error is %v", err)
	}
	for _, present := range [][]byte{nil, {}, {0x3f, 0}} {
		if _, _, err := d.Image(nil, present, whole); !errors.Is(err, ErrImage) {
			t.Errorf("bitmap %x: %v", present, err)
		}
	}
}

func TestColumnsThatCannotBeDecodedAreNamed(t *testing.T) {
	text := KnownCollation
	for name, c := range map[string]Column{
		"unknown type":      {Type: 99},
		"old decimal":       {Type: TypeDecimal},
		"new date":          {Type: TypeNewDate},
		"null":              {Type: TypeNull},
		"sign not known":    {Type: TypeLong},
		"no such collation": {Type: TypeVarchar, Meta: 10, Known: text, Collation: 65535},
		"no collation":      {Type: TypeBlob, Meta: 2},
		"no labels":         {Type: TypeEnum, Meta: 1, Known: text, Collation: 8},
		"labels not UTF-8":  {Type: TypeEnum, Meta: 1, Known: text | KnownLabels, Collation: 63, Labels: []string{"\xff"}},
		"enum of 3 bytes":   {Type: TypeEnum, Meta: 3, Known: text | KnownLabels, Collation: 8},
		"65 labels":         {Type: TypeSet, Meta: 8, Known: text | KnownLabels, Collation: 8, Labels: make([]string, 65)},
		"decimal(66,0)":     {Type: TypeNewDecimal, Meta: 66 << 8, Known: KnownSign},
		"decimal(5,6)":      {Type: TypeNewDecimal, Meta: 5<<8 | 6, Known: KnownSign},
		"time(7)":           {Type: TypeTime2, Meta: 7},
		"bit(65)":           {Type: TypeBit, Meta: 65},
		"bit(0)":            {Type: TypeBit},
		"length of 5 bytes": {Type: TypeJSON, Meta: 5},
		"float of 8 bytes":  {Type: TypeFloat, Meta: 8},
	} {
		c.Name = "the column"
		_, err := c.compile()
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), `"the column"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := FromInformationSchema(Facts{Name: "c", DataType: "hologram", ColumnType: "hologram(3)"}); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}

// TestLabelsSurviveTheirQuotes reads labels as information_schema quotes them.
func TestLabelsSurviveTheirQuotes(t *testing.T) {
	labels := []string{"a", "b,c", "it's", "", `\x`, "q\"q", "(", ")", "'),('", "line\nfeed\r", "\x00", "日本"}
	got, ok := schema.Labels("enum(" + quoteLabels(labels) + ")")
	if !ok || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", labels) {
		t.Errorf("%q, %t", got, ok)
	}
	for _, text := range []string{"", "enum", "enum(", "enum('a", "enum('a'", "enum('a',", "enum('a'x)", "enum(a)", `enum('a\`, "enum()"} {
		if labels, ok := schema.Labels(text); ok {
			t.Errorf("%s gave %q", text, labels)
		}
	}
}

// TestTheNumberZeroOfLabels stays different from an empty label.
func TestTheNumberZeroOfLabels(t *testing.T) {
	for _, test := range []struct {
		names  []string
		set    bool
		number uint64
		want   string
	}{
		{[]string{"a"}, false, 0, ""},
		{[]string{"a", ""}, false, 0, "\x00"},
		{[]string{"a", ""}, false, 2, ""},
		{[]string{"a", "b"}, true, 0, ""},
		{[]string{"a", ""}, true, 0, "\x00"},
		{[]string{"a", ""}, true, 2, ""},
		{[]string{"a", "", "c"}, true, 7, "a,,c"},
	} {
		columns := []Column{{Name: "e", Type: TypeEnum, Meta: 1, Known: KnownLabels | KnownCollation, Collation: 45, Labels: test.names}}
		if test.set {
			columns[0].Type = TypeSet
		}
		st := table(t, columns)
		d, err := Compile(columns, st)
		if err != nil {
			t.Fatal(err)
		}
		row, _, err := d.Image(nil, []byte{1}, []byte{0, byte(test.number)})
		if err != nil {
			t.Fatal(err)
		}
		r, err := st.Layout().Row(row)
		if err != nil || string(r.Bytes(0)) != test.want {
			t.Errorf("number %d of %q is %q, want %q (%v)", test.number, test.names, r.Bytes(0), test.want, err)
		}
		if _, _, err := d.Image(nil, []byte{1}, []byte{0, 200}); !errors.Is(err, ErrImage) {
			t.Errorf("number 200 of %q: %v", test.names, err)
		}
	}
}

// TestTemporalTypesOfOlderServers lets MariaDB make the types that tables from before MySQL 5.6 have.
func TestTemporalTypesOfOlderServers(t *testing.T) {
	m := testservers.StartMySQLFor(t, testservers.MySQLOptions{
		Flavour: testservers.FlavourMariaDB, Settings: map[string]string{"mysql56_temporal_format": "OFF"},
	})
	s := serverOf(m)
	c, database := s.database(t)
	c.exec("CREATE TABLE old (id INT PRIMARY KEY, t TIME, d DATETIME, s TIMESTAMP NULL)")
	from := s.position(c)
	for i := range 6 {
		at := func(values []string) string { return values[i%len(values)] }
		c.exec(fmt.Sprintf("INSERT INTO old VALUES (%d, %s, %s, %s)", i, at(times[:5]), at(datetimes), at(stamps[:4])))
	}
	want := c.rows("SELECT id, t, d, s FROM old ORDER BY id")
	n := 0
	s.binlog(t, from, database, func(e rowsEvent) {
		for i, typ := range []Type{TypeTime, TypeDateTime, TypeTimestamp} {
			if got := e.columns[i+1].Type; got != typ {
				t.Fatalf("type %d, want %d", got, typ)
			}
		}
		for _, row := range (&capture{events: []rowsEvent{e}}).rows(t, e.columns) {
			st := table(t, e.columns)
			r, err := st.Layout().Row(row)
			if err != nil {
				t.Fatal(err)
			}
			for i := range st.Columns {
				text := strings.TrimSuffix(string(schema.AppendText(nil, &st.Columns[i], r, i)), "+00")
				if text != string(want[n][i]) {
					t.Errorf("row %d: %s is %s, the server has %s", n, st.Columns[i].SQLType, text, want[n][i])
				}
			}
			n++
		}
	})
	if n != len(want) {
		t.Errorf("%d rows, want %d", n, len(want))
	}
}
