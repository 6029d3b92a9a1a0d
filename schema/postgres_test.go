package schema

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The files in testdata/postgres hold values as a PostgreSQL server orders them, sends them in binary and prints them. They are the
// oracle for text in both directions and for the order of keys.

// oracleColumns are the columns that the files are values of.
var oracleColumns = map[string]Column{
	"bool":        {Kind: Bool, SQLType: "boolean"},
	"int16":       {Kind: Int16, SQLType: "smallint"},
	"int32":       {Kind: Int32, SQLType: "integer"},
	"int64":       {Kind: Int64, SQLType: "bigint"},
	"float32":     {Kind: Float32, SQLType: "real"},
	"float64":     {Kind: Float64, SQLType: "double precision"},
	"decimal":     {Kind: Decimal, SQLType: "numeric"},
	"date":        {Kind: Date, SQLType: "date"},
	"time":        {Kind: Time, SQLType: "time without time zone"},
	"timetz":      {Kind: TimeTZ, SQLType: "time with time zone"},
	"timestamp":   {Kind: Timestamp, SQLType: "timestamp without time zone"},
	"timestamptz": {Kind: TimestampTZ, SQLType: "timestamp with time zone"},
	"interval":    {Kind: Interval, SQLType: "interval"},
	"bit":         {Kind: Bit, SQLType: "bit varying"},
	"bytes":       {Kind: Bytes, SQLType: "bytea"},
	"uuid":        {Kind: UUID, SQLType: "uuid"},
	"text":        {Kind: Text, SQLType: "text"},
	"bpchar":      {Kind: Text, SQLType: "character(5)"},
	"citext":      {Kind: Text, SQLType: "citext", Fold: true},
}

type oracleValue struct {
	rank int // equal values have the same rank
	wire []byte
	text string
}

func readOracle(t *testing.T, name string) []oracleValue {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "postgres", name+".tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var values []oracleValue
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 3 {
			t.Fatalf("%s: line %q", name, line)
		}
		rank, err := strconv.Atoi(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		wire, err := hex.DecodeString(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, oracleValue{rank, wire, fields[2]})
	}
	if len(values) < 2 {
		t.Fatalf("%s holds %d values", name, len(values))
	}
	return values
}

// setWire sets column i to a value as Postgres sends it.
func setWire(b *Builder, i int, k Kind, wire []byte) error {
	reversed := bytes.Clone(wire)
	for l, r := 0, len(reversed)-1; l < r; l, r = l+1, r-1 {
		reversed[l], reversed[r] = reversed[r], reversed[l]
	}
	var err error
	switch k {
	case Decimal:
		var packed []byte
		packed, err = AppendDecimalPG(nil, wire)
		b.Bytes(i, packed)
	case TimeTZ:
		b.TimeTZ(i, int64(binary.BigEndian.Uint64(wire)), int32(binary.BigEndian.Uint32(wire[8:])))
	case Interval:
		b.Interval(i, int64(binary.BigEndian.Uint64(wire)), int32(binary.BigEndian.Uint32(wire[8:])), int32(binary.BigEndian.Uint32(wire[12:])))
	case Bit:
		b.Bytes(i, AppendBits(nil, binary.BigEndian.Uint32(wire), wire[4:]))
	case Text, Bytes, UUID:
		b.Value(i, wire)
	default:
		b.Fixed(i, reversed)
	}
	return err
}

// oneColumn is a table of that column, which is its key.
func oneColumn(tb testing.TB, c Column) *Table {
	tb.Helper()
	c.ID, c.Name, c.Key = 1, "v", 1
	t := &Table{ID: 1, Source: "shop", Schema: "public", Name: "t", Columns: []Column{c}}
	if err := t.Prepare(); err != nil {
		tb.Fatal(err)
	}
	return t
}

// oneRow packs a row of one column.
func oneRow(tb testing.TB, table *Table, set func(b *Builder) error) Row {
	tb.Helper()
	var b Builder
	b.Reset(table.Layout(), nil)
	if err := set(&b); err != nil {
		tb.Fatal(err)
	}
	packed, err := b.Finish()
	if err != nil {
		tb.Fatal(err)
	}
	r, err := table.Layout().Row(packed)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestTextIsWhatPostgresPrints(t *testing.T) {
	for name, column := range oracleColumns {
		t.Run(name, func(t *testing.T) {
			table := oneColumn(t, column)
			for _, v := range readOracle(t, name) {
				r := oneRow(t, table, func(b *Builder) error { return setWire(b, 0, column.Kind, v.wire) })
				if got := string(AppendText(nil, &table.Columns[0], r, 0)); got != v.text {
					t.Errorf("%x prints %q, want %q", v.wire, got, v.text)
				}
				parsed := oneRow(t, table, func(b *Builder) error { return ParseText(b, 0, &table.Columns[0], []byte(v.text)) })
				if !bytes.Equal(parsed.Raw(), r.Raw()) {
					t.Errorf("%q parses to %x, want %x", v.text, parsed.Raw(), r.Raw())
				}
			}
		})
	}
}

func TestKeysOrderAsPostgresDoes(t *testing.T) {
	for name, column := range oracleColumns {
		t.Run(name, func(t *testing.T) {
			table := oneColumn(t, column)
			var last oracleValue
			var lastKey []byte
			for i, v := range readOracle(t, name) {
				r := oneRow(t, table, func(b *Builder) error { return setWire(b, 0, column.Kind, v.wire) })
				key, err := AppendKey(nil, table, r)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := bytes.Compare(lastKey, key), compare(last.rank, v.rank); i > 0 && got != want {
					t.Errorf("%s and %s compare as %d, want %d (%x, %x)", last.text, v.text, got, want, lastKey, key)
				}
				last, lastKey = v, key
			}
			null := oneRow(t, table, func(b *Builder) error { b.Null(0); return nil })
			if key, err := AppendKey(nil, table, null); err != nil || bytes.Compare(lastKey, key) >= 0 {
				t.Errorf("null does not sort after %s: %v", last.text, err)
			}
		})
	}
}
