package schema

import (
	"bytes"
	"testing"
)

// A row that is accepted can be read in every way, and is byte for byte the row that a Builder makes of what was read.
func FuzzRow(f *testing.F) {
	table := shopTable(f)
	f.Add([]byte{byte(Int64), byte(Text), byte(Int32), byte(Decimal), byte(Bool), byte(TimestampTZ), byte(JSON)}, shopRow(f, table))
	f.Add([]byte{byte(Decimal)}, append([]byte{1, 0, 5, 0, 0, 0}, mustDecimal(f, "0.0")...))
	f.Add([]byte{byte(Bit), byte(Interval), byte(TimeTZ)}, append([]byte{1, 6, 5, 0, 0, 0}, make([]byte, 28+5)...))
	f.Add([]byte{byte(CalendarDate), byte(CalendarTimestamp), byte(Geometry)}, append([]byte{7, 0, 15, 208, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0}, 0, 1))
	f.Add([]byte{byte(CalendarTimestampTZ)}, append([]byte{1, 0}, bytes.Repeat([]byte{0xff}, 8)...))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, kinds, packed []byte) {
		if len(kinds) > 16 {
			return
		}
		table := &Table{}
		for i, k := range kinds {
			table.Columns = append(table.Columns, Column{ID: uint32(i + 1), Name: "c", Kind: Kind(k), Fold: i%2 == 1})
		}
		if table.Prepare() != nil {
			return
		}
		r, err := table.Layout().Row(packed)
		if err != nil {
			return
		}
		var b Builder
		b.Reset(table.Layout(), nil)
		for i := range table.Columns {
			AppendJSON(nil, &table.Columns[i], r, i)
			AppendKeyValue(nil, &table.Columns[i], r, i)
			if r.State(i) == Present {
				AppendText(nil, &table.Columns[i], r, i)
			}
			b.Copy(i, r, i)
		}
		if _, err := AppendKey(nil, table, r); (err != nil) != r.HasAbsent() {
			t.Fatalf("key: %v", err)
		}
		if again, err := b.Finish(); err != nil || !bytes.Equal(again, packed) {
			t.Fatalf("%x is rebuilt as %x (%v)", packed, again, err)
		}
	})
}

// Text that is accepted prints as text that means the same value.
func FuzzParseText(f *testing.F) {
	for _, seed := range []struct {
		kind Kind
		text string
	}{
		{Bool, "true"},
		{Int64, "-9223372036854775808"},
		{Uint64, "18446744073709551615"},
		{Float32, "1e+38"},
		{Float64, "1e23"},
		{Decimal, "-12345.6700e-3"},
		{Decimal, "NaN"},
		{Bytes, `\x00ff`},
		{Date, "4713-01-01 BC"},
		{Date, "infinity"},
		{Time, "24:00:00"},
		{Time, "-838:59:59.999999"},
		{CalendarDate, "0000-00-00"},
		{CalendarTimestamp, "2024-02-31T23:59:59.999999"},
		{CalendarTimestampTZ, "2024-02-29 00:30:00.5+01"},
		{Geometry, `\x000000000101`},
		{TimeTZ, "23:59:59.999999+05:30:15"},
		{Timestamp, "294276-12-31T23:59:59.999999"},
		{TimestampTZ, "0001-12-31 23:59:59.5+00 BC"},
		{Interval, "-1 years -2 mons +3 days -04:05:06.789"},
		{UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{Bit, "1011"},
		{JSON, "{}"},
	} {
		f.Add(byte(seed.kind), []byte(seed.text))
	}
	f.Fuzz(func(t *testing.T, kind byte, text []byte) {
		if !Kind(kind).Valid() {
			return
		}
		table := oneColumn(t, Column{Kind: Kind(kind)})
		column := &table.Columns[0]
		var b Builder
		b.Reset(table.Layout(), nil)
		if ParseText(&b, 0, column, text) != nil {
			return
		}
		packed, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		printed := AppendText(nil, column, view(t, table, packed), 0)
		b.Reset(table.Layout(), nil)
		if err := ParseText(&b, 0, column, printed); err != nil {
			t.Fatalf("%q prints as %q: %v", text, printed, err)
		}
		if again, err := b.Finish(); err != nil || !bytes.Equal(again, packed) {
			t.Fatalf("%q prints as %q: %x and %x (%v)", text, printed, packed, again, err)
		}
	})
}

// Bytes that are accepted as a table are one: it encodes again to a table of the same shape.
func FuzzDecodeTable(f *testing.F) {
	f.Add(AppendTable(nil, shopTable(f)))
	f.Add(AppendTable(nil, &Table{}))
	missing := oneColumn(f, Column{Kind: Decimal, HasMissing: true, Missing: mustDecimal(f, "1.5")})
	f.Add(AppendTable(nil, missing))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := DecodeTable(b)
		if err != nil {
			return
		}
		again, err := DecodeTable(AppendTable(nil, table))
		if err != nil || !again.SameShape(table) || again.Version != table.Version {
			t.Fatalf("%+v becomes %+v (%v)", table, again, err)
		}
	})
}

// A numeric that is accepted from the wire is a valid decimal, and its text says the same.
func FuzzDecimalPG(f *testing.F) {
	for _, seed := range []string{
		"\x00\x02\x00\x00\x00\x00\x00\x02\x00\x01\x13\x88", "\x00\x00\x00\x00\xc0\x00\x00\x00", "\x00\x00\x00\x00\xd0\x00\x00\x20",
		"\x00\x01\xff\xf4\x40\x00\x00\x30\x00\x01", "\x00\x00\x00\x00\x00\x00\x00\x05",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		packed, err := AppendDecimalPG(nil, wire)
		if err != nil {
			return
		}
		if !ValidDecimal(packed) {
			t.Fatalf("%x packs to %x", wire, packed)
		}
		text := AppendDecimalText(nil, packed)
		again, err := ParseDecimal(nil, text)
		if err != nil || !bytes.Equal(again, packed) || CompareDecimal(again, packed) != 0 {
			t.Fatalf("%.100s parses to %x, not %x (%v)", text, again, packed, err)
		}
	})
}
