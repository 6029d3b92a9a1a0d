package value

import (
	"bytes"
	"encoding/json"
	"testing"

	"cdc/schema"
)

// everyType is a table with a column of each type that we decode.
func everyType() []Column {
	base := KnownName | KnownKey | KnownSign | KnownCollation | KnownLabels
	column := func(t Type, meta, collation uint16) Column {
		return Column{Name: "c", Type: t, Meta: meta, Known: base, Collation: collation, Nullable: true}
	}
	columns := []Column{
		column(TypeTiny, 0, 0), column(TypeShort, 0, 0), column(TypeInt24, 0, 0), column(TypeLong, 0, 0), column(TypeLongLong, 0, 0),
		column(TypeFloat, 4, 0), column(TypeDouble, 8, 0), column(TypeYear, 0, 0), column(TypeDate, 0, 0), column(TypeTime, 0, 0),
		column(TypeDateTime, 0, 0), column(TypeTimestamp, 0, 0), column(TypeTime2, 0, 0), column(TypeTime2, 6, 0), column(TypeTime2, 3, 0),
		column(TypeDateTime2, 0, 0), column(TypeDateTime2, 6, 0), column(TypeTimestamp2, 0, 0), column(TypeTimestamp2, 5, 0),
		column(TypeNewDecimal, 10<<8|2, 0), column(TypeNewDecimal, 65<<8|30, 0), column(TypeNewDecimal, 30<<8|30, 0), column(TypeBit, 1, 0),
		column(TypeBit, 64, 0), column(TypeVarchar, 20, 45), column(TypeVarchar, 300, 8), column(TypeVarchar, 20, 35), column(TypeVarchar, 20, 54),
		column(TypeVarchar, 20, 60), column(TypeVarchar, 20, 28), column(TypeVarchar, 20, 12), column(TypeVarchar, 20, 248),
		column(TypeVarchar, 20, 13), column(TypeVarchar, 20, CollationBinary), column(TypeString, 4, CollationBinary), column(TypeString, 20, 45),
		column(TypeBlob, 1, CollationBinary), column(TypeBlob, 2, 45), column(TypeBlob, 4, 8), column(TypeBlobZip, 2, 45),
		column(TypeVarcharZip, 101, CollationBinary), column(TypeJSON, 4, 0), column(TypeGeometry, 4, 0), column(TypeVector, 4, 0),
		column(TypeEnum, 1, 45), column(TypeSet, 1, 45), column(TypeEnum, 2, 45), column(TypeSet, 8, 45),
	}
	for i := range columns {
		if t := columns[i].Type; t == TypeEnum || t == TypeSet {
			columns[i].Labels = []string{"a", "", "c"}
		}
	}
	for _, native := range []string{nativeUUID, nativeINET4, nativeINET6} {
		c := column(TypeString, 16, CollationBinary)
		if c.Native = native; native == nativeINET4 {
			c.Meta = 4
		}
		columns = append(columns, c)
	}
	return columns
}

// FuzzRowImage decodes any bytes as an image of a table of every type: what comes out is a row, or an error and nothing.
func FuzzRowImage(f *testing.F) {
	columns := everyType()
	st := table(f, columns)
	d, err := Compile(columns, st)
	if err != nil {
		f.Fatal(err)
	}
	size := (len(columns) + 7) / 8
	for i := range columns {
		present := make([]byte, size)
		present[i/8] = 1 << (i % 8)
		f.Add(present, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, []byte(nil))
		f.Add(present, make([]byte, 40), []byte{0})
		f.Add(present, []byte{1}, []byte{1})
	}
	f.Add(bytes.Repeat([]byte{0xff}, size), make([]byte, 400), []byte{0})
	f.Fuzz(func(t *testing.T, present, image, partial []byte) {
		prefix := []byte("prefix")
		row, rest, err := d.Image(bytes.Clone(prefix), present, image)
		if len(partial) > 0 {
			row, rest, _, err = d.PartialImage(bytes.Clone(prefix), present, partial, image, nil)
		}
		if !bytes.HasPrefix(row, prefix) || !bytes.HasSuffix(image, rest) {
			t.Fatalf("row %x, rest %x", row, rest)
		}
		if err != nil {
			if len(row) != len(prefix) {
				t.Fatalf("an error and a row: %v, %x", err, row)
			}
			return
		}
		r, err := st.Layout().Row(row[len(prefix):])
		if err != nil {
			t.Fatal(err)
		}
		// Only compression, padding, labels, base64 and escapes make a row larger than its image.
		for i := range st.Columns {
			if r.State(i) == schema.Present {
				schema.AppendText(nil, &st.Columns[i], r, i)
			}
		}
	})
}

// FuzzTextRow decodes any bytes as the values of a row.
func FuzzTextRow(f *testing.F) {
	columns := everyType()
	st := table(f, columns)
	d, err := CompileText(columns, st)
	if err != nil {
		f.Fatal(err)
	}
	for i := range columns {
		for _, text := range []string{"1", "-1.5", "2024-02-29 12:34:56.789", "-838:59:59", "x", "", "123e4567-e89b-12d3-a456-426614174000"} {
			f.Add(i, []byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, i int, text []byte) {
		fields := make([][]byte, len(columns))
		fields[uint(i)%uint(len(fields))] = text
		row, err := d.Row(nil, fields)
		if err != nil {
			if len(row) != 0 {
				t.Fatalf("an error and a row: %v, %x", err, row)
			}
			return
		}
		if _, err := st.Layout().Row(row); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzJSON prints any bytes as binary JSON: what comes out is JSON, not much larger than the document.
func FuzzJSON(f *testing.F) {
	f.Add([]byte{jsonSmallArray, 2, 0, 10, 0, jsonInt16, 1, 0, jsonLiteral, 0, 0})
	f.Add([]byte{jsonSmallObject, 1, 0, 13, 0, 11, 0, 1, 0, jsonInt16, 7, 0, 'a', 'b'})
	f.Add([]byte{jsonDouble, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f})
	f.Add([]byte{jsonString, 3, 'a', '"', 1})
	f.Add([]byte{jsonOpaque, byte(TypeNewDecimal), 4, 3, 2, 0x81, 50})
	f.Add([]byte{jsonOpaque, byte(TypeDateTime), 8, 0, 0, 0, 0, 0, 0, 0x99, 0x19})
	f.Add([]byte{jsonOpaque, 16, 2, 0, 255})
	f.Add([]byte{jsonSmallArray, 2, 0, 10, 0, jsonSmallArray, 0, 0, jsonSmallArray, 0, 0})
	f.Fuzz(func(t *testing.T, doc []byte) {
		text, err := appendJSONB(nil, doc)
		if err != nil {
			return
		}
		if !json.Valid(text) {
			t.Fatalf("not JSON: %q", text)
		}
		if len(text) > 64*len(doc)+64 {
			t.Fatalf("%d bytes of text from %d", len(text), len(doc))
		}
	})
}

// FuzzJSONDiffs applies any differences to any document.
func FuzzJSONDiffs(f *testing.F) {
	value := []byte{3, jsonInt16, 7, 0}
	diff := func(op byte, path string) []byte {
		d := append([]byte{op, byte(len(path))}, path...)
		if op != diffRemove {
			d = append(d, value...)
		}
		return d
	}
	doc := []byte(`{"a": 1, "bb": [1, {"c": "]"}, []], "q\"": {}}`)
	for _, path := range []string{"$", "$.a", "$.bb[1].c", "$.bb[last]", "$.bb[last-2]", `$."q\""`, `$."q\"".new`, "$.bb[7]", "$.b", "$[0]"} {
		for op := byte(diffReplace); op <= diffRemove; op++ {
			f.Add(doc, diff(op, path))
		}
	}
	for _, doc := range []string{"", "[", "[1, ", "{", `{"a`, `{"a": `, "[,", "]", "[1", "{]"} {
		f.Add([]byte(doc), append(diff(diffInsert, "$[1]"), diff(diffRemove, "$.a")...))
		f.Add([]byte(doc), append(diff(diffReplace, "$[last]"), diff(diffRemove, "$.a")...))
	}
	f.Fuzz(func(t *testing.T, doc, diffs []byte) {
		out, err := ApplyJSONDiffs([]byte("prefix"), doc, diffs)
		if !bytes.HasPrefix(out, []byte("prefix")) || err != nil && len(out) != len("prefix") {
			t.Fatalf("%q, %v", out, err)
		}
		printed := bytes.Equal(doc, compactForm(doc))
		if err == nil && printed && len(diffs) > 0 && !json.Valid(out[len("prefix"):]) {
			t.Fatalf("%q became %q", doc, out)
		}
	})
}

// compactForm is nil unless the text is JSON with the server's spaces.
func compactForm(doc []byte) []byte {
	var compact bytes.Buffer
	if json.Compact(&compact, doc) != nil {
		return nil
	}
	var out []byte
	quoted := false
	for i, c := range compact.Bytes() {
		out = append(out, c)
		if c == '"' && (i == 0 || compact.Bytes()[i-1] != '\\') {
			quoted = !quoted
		}
		if !quoted && (c == ',' || c == ':') {
			out = append(out, ' ')
		}
	}
	return out
}
