package connect

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"cdc/schema/avro"
)

// Goal: our Avro schemas are those of Confluent's AvroData.
//
// Method: testdata/avrodata.jsonl has schemas that Debezium 3.5 emitted, and one that has what those lack, each with what AvroData made
// of it (as in apicurio-registry-utils-converter 2.6.13, after Debezium's own adjustment of names). They must be equal byte for byte,
// as a registry tells schemas apart by their text.

func TestAvroSchemaIsThatOfAvroData(t *testing.T) {
	file, err := os.Open("testdata/avrodata.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var pair struct {
			Connect jsonSchema
			Avro    json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &pair); err != nil {
			t.Fatal(err)
		}
		got, err := AvroSchema(pair.Connect.schema(), AvroUnderscore)
		if err != nil {
			t.Errorf("line %d: %v", n+1, err)
		} else if !bytes.Equal(got, pair.Avro) {
			t.Errorf("line %d:\n got %s\nwant %s", n+1, got, pair.Avro)
		} else if _, err := avro.Parse(got); err != nil {
			t.Errorf("line %d: %v", n+1, err)
		}
	}
	if err := lines.Err(); err != nil || n < 30 {
		t.Fatalf("%d lines: %v", n, err)
	}
}

// jsonSchema is a schema as JsonConverter writes it.
type jsonSchema struct {
	Type       string
	Optional   bool
	Name       string
	Version    int
	Doc        string
	Parameters orderedText
	Default    json.RawMessage
	Fields     []struct {
		jsonSchema
		Field string
	}
	Items, Values *jsonSchema
}

func (j *jsonSchema) schema() *Schema {
	s := &Schema{Type: Type(j.Type), Optional: j.Optional, Name: j.Name, Version: j.Version, Doc: j.Doc, Parameters: j.Parameters, Default: j.Default}
	for i := range j.Fields {
		s.Fields = append(s.Fields, Field{Name: j.Fields[i].Field, Schema: j.Fields[i].schema()})
	}
	switch {
	case j.Items != nil:
		s.Items = j.Items.schema()
	case j.Values != nil:
		s.Items = j.Values.schema()
	}
	return s
}

// orderedText is a JSON object of texts, in its order.
type orderedText []Parameter

func (o *orderedText) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	var tokens []string
	for {
		token, err := d.Token()
		if err != nil {
			break
		}
		if text, ok := token.(string); ok {
			tokens = append(tokens, text)
		}
	}
	for i := 0; i+1 < len(tokens); i += 2 {
		*o = append(*o, Parameter{Name: tokens[i], Value: tokens[i+1]})
	}
	return nil
}

func TestAvroNamesAreAdjusted(t *testing.T) {
	tests := []struct{ name, underscore, unicode string }{
		{"shop.public.orders.Value", "shop.public.orders.Value", "shop.public.orders.Value"},
		{"my-shop.Order Items.Key", "my_shop.Order_Items.Key", "my_u002dshop.Order_u0020Items.Key"},
		{"größe", "gr__e", "gr_u00f6_u00dfe"},
		{"a_b", "a_b", "a_u005fb"},
		{"α😀", "___", "_u3b1_ud83d_ude00"},
		{"2024", "_2024", "_u0032024"},
		{"shop.2024.a..b", "shop._2024.a._.b", "shop._u0032024.a._.b"},
		{"", "_", "_"},
	}
	for _, test := range tests {
		if got := AvroUnderscore.typeName(test.name); got != test.underscore {
			t.Errorf("%q is %q, want %q", test.name, got, test.underscore)
		}
		if got := AvroUnicode.typeName(test.name); got != test.unicode {
			t.Errorf("%q is %q in Unicode, want %q", test.name, got, test.unicode)
		}
	}
	if got := AvroUnderscore.fieldName("x.y-z"); got != "x_y_z" {
		t.Errorf("a field with a point is %q", got)
	}
}

// A schema that Avro cannot have is an error that names the place, not a schema that a registry refuses later.
func TestAvroSchemaRefusesWhatAvroCannotHave(t *testing.T) {
	number := &Schema{Type: Int32}
	one := &Schema{Type: Struct, Name: "a.P", Fields: []Field{{"x", number}}}
	two := &Schema{Type: Struct, Name: "a.P", Fields: []Field{{"y", number}}}
	tests := []struct {
		schema *Schema
		want   string
	}{
		{&Schema{Type: Struct, Name: "a.T", Fields: []Field{{"a b", number}, {"a-b", number}}}, `fields "a b" and "a-b" of a.T are both "a_b" in Avro`},
		{&Schema{Type: Struct, Name: "a.T", Fields: []Field{{"p", one}, {"q", two}}}, `field "q": type a.P has two shapes in one message, which Avro cannot have`},
		{&Schema{Type: Bytes, Default: []byte(`"!"`)}, `default "!" of bytes: illegal base64 data at input byte 0`},
	}
	for _, test := range tests {
		if _, err := AvroSchema(test.schema, AvroUnderscore); err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
	if _, err := AvroSchema(tests[0].schema, AvroUnicode); err != nil {
		t.Errorf("in Unicode the two fields are told apart: %v", err)
	}
}
