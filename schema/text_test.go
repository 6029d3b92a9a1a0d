package schema

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTextParsesBackToTheValue(t *testing.T) {
	for _, k := range scalarKinds {
		t.Run(k.String(), func(t *testing.T) {
			table := oneColumn(t, Column{Kind: k})
			column := &table.Columns[0]
			rapid.Check(t, func(t *rapid.T) {
				r := view(t, table, pack(t, table, nil, []cell{drawCell(t, k, Present)}))
				text := AppendText(nil, column, r, 0)
				var b Builder
				b.Reset(table.Layout(), nil)
				if err := ParseText(&b, 0, column, text); err != nil {
					t.Fatalf("%q: %v", text, err)
				}
				packed, err := b.Finish()
				if err != nil || !bytes.Equal(packed, r.Raw()) {
					t.Fatalf("%q parses to %x, want %x (%v)", text, packed, r.Raw(), err)
				}
			})
		})
	}
}

func TestTextualKindsPrintTheirBytes(t *testing.T) {
	for k := Bool; k.Valid(); k++ {
		if !k.Textual() {
			continue
		}
		table := oneColumn(t, Column{Kind: k})
		r := oneRow(t, table, func(b *Builder) error { b.String(0, `{"é":"\\x00"} `); return nil })
		if got := AppendText(nil, &table.Columns[0], r, 0); !bytes.Equal(got, r.Bytes(0)) {
			t.Errorf("%s prints %q for %q", k, got, r.Bytes(0))
		}
	}
}

// parseAndPrint parses a text and prints the value again.
func parseAndPrint(t *testing.T, k Kind, text string) (string, error) {
	t.Helper()
	table := oneColumn(t, Column{Kind: k})
	var b Builder
	b.Reset(table.Layout(), nil)
	if err := ParseText(&b, 0, &table.Columns[0], []byte(text)); err != nil {
		packed, finish := b.Finish()
		if finish != nil {
			t.Fatalf("the builder is unusable after a bad text: %v", finish)
		}
		if r := view(t, table, packed); r.State(0) != Absent {
			t.Fatalf("a bad text set the column")
		}
		return "", err
	}
	packed, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return string(AppendText(nil, &table.Columns[0], view(t, table, packed), 0)), nil
}

func TestParseTextAcceptsOtherSpellings(t *testing.T) {
	for _, c := range []struct {
		kind       Kind
		text, want string
	}{
		{Bool, "true", "t"},
		{Bool, "false", "f"},
		{Timestamp, "2026-01-02T03:04:05", "2026-01-02 03:04:05"},
		{TimestampTZ, "2026-01-02T03:04:05Z", "2026-01-02 03:04:05+00"},
		{TimestampTZ, "2026-01-02T03:04:05.123456789+00:00", ""},
		{TimestampTZ, "2026-01-02T03:04:05.123456000+05:30", "2026-01-01 21:34:05.123456+00"},
		{TimestampTZ, "2026-12-31 23:00:00-02", "2027-01-01 01:00:00+00"},
		{Timestamp, "2026-01-02 24:00:00", "2026-01-03 00:00:00"},
		{UUID, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{UUID, "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{Decimal, "+1.50", "1.50"},
		{Decimal, "1.5e3", "1500"},
		{Decimal, "1.5e-3", "0.0015"},
		{Decimal, ".5", "0.5"},
		{Decimal, "5.", "5"},
		{Decimal, "-0.00", "0.00"},
		{Decimal, "0012.30", "12.30"},
		{Float64, "1e23", "9.999999999999999e+22"},
		{Float32, "16777217", "1.6777216e+07"},
		{Interval, "2 months 1 day", "2 mons 1 day"},
		{Interval, "+04:05:06", "04:05:06"},
		{Time, "-838:59:59", "-838:59:59"},
		{CalendarTimestamp, "2024-00-15T01:02:03.400", "2024-00-15 01:02:03.4"},
		{CalendarTimestampTZ, "2026-01-02T03:04:05Z", "2026-01-02 03:04:05+00"},
		{CalendarTimestampTZ, "2026-01-02 03:04:05+05:30", "2026-01-01 21:34:05+00"},
		{Bytes, `\x00FF`, `\x00ff`},
		{Geometry, `\x00FF`, `\x00ff`},
		{Int64, "007", "7"},
		{Int64, "-0", "0"},
	} {
		got, err := parseAndPrint(t, c.kind, c.text)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s %q: %q, %v, want %q", c.kind, c.text, got, err, c.want)
		}
	}
}

func TestParseTextRefuses(t *testing.T) {
	for k, texts := range map[Kind][]string{
		Bool:        {"", "T", "1", "yes", "truee"},
		Int8:        {"", "-", "128", "-129", "+1", " 1", "1 ", "0x1", "1.0", "1e1"},
		Int16:       {"32768", "-32769"},
		Int32:       {"2147483648", "-2147483649", "99999999999999999999"},
		Int64:       {"9223372036854775808", "-9223372036854775809", "٣"},
		Uint8:       {"256", "-1"},
		Uint64:      {"18446744073709551616", "-1"},
		Float32:     {"", "1e39", "1e-60", "nan", "inf", "0x1p3", "1_000", "e5", "1e", "--1"},
		Float64:     {"1e309", "1e-400", "Inf", "infinity", "1,5"},
		Decimal:     {"", ".", "-", "+", "e1", "1e", "1e+", "1.2.3", "1e1000000", "1e200000", "1e-16384", "nan", "inf", "0x1", "1 ", strings.Repeat("9", 200000)},
		Bytes:       {"", "00", `\x0`, `\xzz`, `\x 00`, `x00`},
		UUID:        {"", "a0eebc99", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g", "a0eebc999-c0b-4ef8-bb6d-6bb9bd380a11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"},
		Date:        {"", "2026", "2026-1-2", "2026-13-01", "2026-00-01", "2026-02-29", "1900-02-29", "0000-01-01", "0000-01-01 BC", "2026-01-01 AD", "2026-01-01 BC ", "26-01-01", "9999999-01-01", "12345678-01-01", "-2026-01-01"},
		Time:        {"", "1:00:00", "00:60:00", "00:00:60", "00:00", "00:00:00.", "00:00:00.1234567", "99999999999:00:00", "2562047789:00:00", "00:00:00 "},
		TimeTZ:      {"00:00:00", "00:00:00+", "00:00:00+1", "00:00:00+01:60", "00:00:00+999999", "00:00:00 UTC"},
		Timestamp:   {"", "2026-01-02", "2026-01-02 03:04", "2026-01-02 03:04:05Z", "2026-01-02 03:04:05+00", "2026-01-02  03:04:05", "2026-01-02 24:00:01", "2026-01-02 -01:00:00", "300000-01-01 00:00:00", "300000-01-01 00:00:00 BC"},
		TimestampTZ: {"2026-01-02 03:04:05", "2026-01-02T03:04:05", "2026-01-02 03:04:05+00 ", "2026-01-02 03:04:05+00BC"},
		Interval:    {"", "1", "1 ", "1 fortnight", "1 day 1 year", "1 day 1 day", "1 day ", "1  day", "178956971 years", "2147483648 days", "1 day-", "+-01:00:00", "P1D"},
		Bit:         {"2", "01 ", "b'1'"},
		Text:        {"\xff", "a\xc3"},
		JSON:        {"\"\xff\""},
		Geometry:    {"", "(1,2)", "POINT(1 2)", `\x0`},
		CalendarDate: {
			"", "0", "infinity", "2024-13-01", "2024-01-32", "10000-01-01", "2024-1-01", "2024-01-01 BC", "2024-01-01 ", "-2024-01-01",
			"2024-01-01 00:00:00",
		},
		CalendarTimestamp: {
			"", "infinity", "2024-01-01", "2024-13-01 00:00:00", "2024-01-01 24:00:00", "2024-01-01 -00:00:00", "2024-01-01 00:60:00",
			"2024-01-01 00:00:00.1234567", "2024-01-01 00:00:00+00", "2024-01-01 00:00:00 BC", "2024-01-01  00:00:00", "10000-01-01 00:00:00",
		},
		CalendarTimestampTZ: {
			"", "0000-00-00 00:00:00", "0000-00-00 00:00:00+01", "0001-01-01 00:00:00+01", "9999-12-31 23:59:59-01", "2024-01-01 00:00:00+00 ",
		},
	} {
		for _, text := range texts {
			if got, err := parseAndPrint(t, k, text); !errors.Is(err, ErrText) {
				t.Errorf("%s accepts %.40q as %.40q (%v)", k, text, got, err)
			}
		}
	}
}

func TestParseTextErrorSaysWhatAndWhy(t *testing.T) {
	table := oneColumn(t, Column{Kind: Date})
	var b Builder
	b.Reset(table.Layout(), nil)
	err := ParseText(&b, 0, &table.Columns[0], []byte("2026-02-30"))
	const want = `parse date of column "v": not a value of the column "2026-02-30": no such day`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestTextOfUnusualTimes(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		want string
		set  func(b *Builder)
	}{
		{TimeTZ, "00:00:00+00", func(b *Builder) { b.TimeTZ(0, 0, 0) }},
		{TimeTZ, "24:00:00-15:59:59", func(b *Builder) { b.TimeTZ(0, microsPerDay, 15*3600+59*60+59) }},
		{TimeTZ, "00:00:00+596523:14:08", func(b *Builder) { b.TimeTZ(0, 0, -1<<31) }},
		{Timestamp, "294277-01-09 04:00:54.775806", func(b *Builder) { b.Int(0, TimeInfinity-1) }},
		{Timestamp, "290279-12-22 19:59:05.224193 BC", func(b *Builder) { b.Int(0, TimeMinusInfinity+1) }},
		{Date, "5881610-07-10", func(b *Builder) { b.Int(0, int64(DateInfinity)-1) }},
		{Interval, "infinity", func(b *Builder) { b.Interval(0, 1<<63-1, 1<<31-1, 1<<31-1) }},
		{Interval, "-infinity", func(b *Builder) { b.Interval(0, -1<<63, -1<<31, -1<<31) }},
		{Time, "-2562047788:00:54.775808", func(b *Builder) { b.Int(0, -1<<63) }},
	} {
		table := oneColumn(t, Column{Kind: c.kind})
		r := oneRow(t, table, func(b *Builder) error { c.set(b); return nil })
		if got := string(AppendText(nil, &table.Columns[0], r, 0)); got != c.want {
			t.Errorf("%s: %s, want %s", c.kind, got, c.want)
		}
		if got, err := parseAndPrint(t, c.kind, c.want); got != c.want {
			t.Errorf("%s does not parse: %s, %v", c.want, got, err)
		}
	}
}

func TestTextOfKindsThatPostgresLacks(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		text string
	}{
		{Int8, "-128"},
		{Uint8, "255"},
		{Uint16, "65535"},
		{Uint32, "4294967295"},
		{Uint64, "18446744073709551615"},
		{Time, "838:59:59.000001"},
		{Time, "-838:59:59.000001"},
		{CalendarDate, "0000-00-00"},
		{CalendarTimestamp, "2024-00-15 00:00:00"},
		{CalendarTimestampTZ, "0000-00-00 00:00:00+00"},
		{JSON, `{"a": 1.0, "a": 2, "b":1e400}`},
		{Enum, `happy, "q"`},
		{Set, "a,b"},
		{Raw, "-$1,234.56"},
		{Array, `{"a,b","NULL",NULL,"","q\"x","back\\s"}`},
		{Range, "[1,10)"},
		{Composite, `(1,"x,y ""z""","{1.5,NULL}")`},
		{Geometry, `\xe61000000101000000000000000000f03f0000000000000040`}, // POINT(1 2) with SRID 4326
		{Geometry, `\x`},
	} {
		if got, err := parseAndPrint(t, c.kind, c.text); got != c.text || err != nil {
			t.Errorf("%s: %s, %v, want %s", c.kind, got, err, c.text)
		}
	}
}
