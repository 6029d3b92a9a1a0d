package schema

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestJSONOfEdgeValues(t *testing.T) {
	for _, c := range []struct {
		kind       Kind
		text, want string
	}{
		{Bool, "t", `true`},
		{Bool, "f", `false`},
		{Int64, "-9223372036854775808", `-9223372036854775808`},
		{Uint64, "18446744073709551615", `18446744073709551615`},
		{Float64, "-0", `-0`},
		{Float64, "5e-324", `5e-324`},
		{Float64, "NaN", `"NaN"`},
		{Float32, "-Infinity", `"-Infinity"`},
		{Float32, "3.4028235e+38", `3.4028235e+38`},
		{Decimal, "1234567890123456789012345678.0123456789", `1234567890123456789012345678.0123456789`},
		{Decimal, "1.50", `1.50`},
		{Decimal, "-0.5", `-0.5`},
		{Decimal, "NaN", `"NaN"`},
		{Decimal, "-Infinity", `"-Infinity"`},
		{Text, "a\"b\\c\nd\te\r\x01\x7f é 😀", `"a\"b\\c\nd\te\r\u0001` + "\x7f" + ` é 😀"`},
		{Bytes, `\x00ff41`, `"\\x00ff41"`},
		{Date, "4713-01-01 BC", `"4713-01-01 BC"`},
		{Date, "infinity", `"infinity"`},
		{Time, "24:00:00", `"24:00:00"`},
		{Time, "-838:59:59.999999", `"-838:59:59.999999"`},
		{CalendarDate, "0000-00-00", `"0000-00-00"`},
		{CalendarTimestamp, "2024-02-31 00:00:00.5", `"2024-02-31 00:00:00.5"`},
		{CalendarTimestampTZ, "0000-00-00 00:00:00+00", `"0000-00-00 00:00:00+00"`},
		{Geometry, `\x000000000101`, `"\\x000000000101"`},
		{TimeTZ, "04:05:06-08", `"04:05:06-08"`},
		{Timestamp, "2010-01-01 14:30:00", `"2010-01-01 14:30:00"`},
		{TimestampTZ, "294276-12-31 23:59:59.999999+00", `"294276-12-31 23:59:59.999999+00"`},
		{Interval, "-1 years -2 mons +3 days -04:05:06.789", `"-1 years -2 mons +3 days -04:05:06.789"`},
		{UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", `"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"`},
		{JSON, `{"a": 1.0, "a": 2, "b":1e400}`, `{"a": 1.0, "a": 2, "b":1e400}`},
		{JSON, "{\r\n\t\"a\\n\": 1\n}", "{  \t\"a\\n\": 1 }"},
		{JSON, `{"a": `, `"{\"a\": "`},
		{JSON, ``, `""`},
		{JSON, `null`, `null`},
		{Enum, `happy, "q"`, `"happy, \"q\""`},
		{Set, `a,b`, `"a,b"`},
		{Bit, `101`, `"101"`},
		{Raw, `{1,NULL,3}`, `"{1,NULL,3}"`},
	} {
		table := oneColumn(t, Column{Kind: c.kind})
		r := oneRow(t, table, func(b *Builder) error { return ParseText(b, 0, &table.Columns[0], []byte(c.text)) })
		if got := string(AppendJSON(nil, &table.Columns[0], r, 0)); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.kind, c.text, got, c.want)
		}
	}
	table := oneColumn(t, Column{Kind: Int32})
	r := oneRow(t, table, func(b *Builder) error { b.Null(0); return nil })
	if got := string(AppendJSON([]byte("x"), &table.Columns[0], r, 0)); got != "xnull" {
		t.Errorf("null is %s", got)
	}
}

func TestJSONIsValidAndOnOneLine(t *testing.T) {
	for _, k := range scalarKinds {
		table := oneColumn(t, Column{Kind: k})
		rapid.Check(t, func(t *rapid.T) {
			r := view(t, table, pack(t, table, nil, []cell{drawCell(t, k, Present, Null)}))
			out := AppendJSON(nil, &table.Columns[0], r, 0)
			if !json.Valid(out) || !utf8.Valid(out) || bytes.IndexByte(out, '\n') >= 0 {
				t.Fatalf("%s: %s", k, out)
			}
		})
	}
}

func TestJSONStringReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("\"\\\n\x00\xc3\xa9\xe2"))), 0, 12).Draw(t, "text")
		var got string
		if err := json.Unmarshal(AppendJSONString(nil, text), &got); err != nil {
			t.Fatal(err)
		}
		if want := string([]rune(string(text))); got != want { // the conversion replaces bytes that are not UTF-8
			t.Fatalf("%q reads back as %q", text, got)
		}
	})
}
