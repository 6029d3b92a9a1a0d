package connect

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/avro"
	"pgregory.net/rapid"
)

// Goal: a reader of Avro gets back the values that were written.
//
// Method: random schemas, and random values under them, are written by the Output and read by another implementation of Avro with
// the schema that AvroSchema made.

func TestAvroIsReadBackByAnotherImplementation(t *testing.T) { rapid.Check(t, avroRoundTrip) }

func FuzzAvroRoundTrip(f *testing.F) { f.Fuzz(rapid.MakeFuzz(avroRoundTrip)) }

func avroRoundTrip(t *rapid.T) {
	g := &generator{}
	s := g.schema(t, 3, false)
	text, err := AvroSchema(s, AvroUnderscore)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := avro.Parse(string(text))
	if err != nil {
		t.Fatalf("parse %s: %v", text, err)
	}
	var out Avro
	out.Reset([]byte("kept"))
	want := []any{g.value(t, &out, s), g.value(t, &out, s)}
	encoded, kept := bytes.CutPrefix(out.Encoded(), []byte("kept"))
	if !kept {
		t.Fatal("what was there is gone")
	}
	for i := range want {
		var got any
		if encoded, err = reader.Decode(encoded, &got); err != nil {
			t.Fatalf("decode value %d of %s: %v", i, text, err)
		}
		if !same(got, want[i]) {
			t.Fatalf("%s\n got %#v\nwant %#v", text, got, want[i])
		}
	}
	if len(encoded) != 0 {
		t.Fatalf("%d bytes too many", len(encoded))
	}
}

// same compares values, NaN with NaN.
func same(a, b any) bool { return fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b) }

// generator makes schemas whose structs have distinct names.
type generator struct{ structs int }

func (g *generator) schema(t *rapid.T, depth int, optional bool) *Schema {
	types := []Type{Int8, Int16, Int32, Int64, Float32, Float64, Boolean, String, Bytes}
	if depth > 0 {
		types = append(types, Array, Map, Struct, Struct, Struct)
	}
	s := &Schema{Type: rapid.SampledFrom(types).Draw(t, "type"), Optional: optional}
	switch s.Type {
	case Array, Map:
		s.Items = g.schema(t, depth-1, rapid.Bool().Draw(t, "optional items"))
	case Struct:
		g.structs++
		s.Name = fmt.Sprintf("pkg%d.Struct-%d", g.structs%3, g.structs)
		for i := range rapid.IntRange(0, 5).Draw(t, "fields") {
			s.Fields = append(s.Fields, Field{Name: fmt.Sprintf("f %d", i), Schema: g.schema(t, depth-1, rapid.Bool().Draw(t, "optional"))})
		}
		if n := len(s.Fields); n > 0 && rapid.Bool().Draw(t, "repeat") {
			again := *s.Fields[n-1].Schema // as before and after, which share their type
			again.Optional, again.Default = true, nil
			s.Fields = append(s.Fields, Field{Name: "again", Schema: &again})
		}
	case Int8, Int16, Int32, Int64:
		s.Default = rapid.SampledFrom([][]byte{nil, []byte("7")}).Draw(t, "default")
	case Bytes:
		s.Default = rapid.SampledFrom([][]byte{nil, []byte(`"/wD+"`)}).Draw(t, "default")
	case Float64:
		s.Default = rapid.SampledFrom([][]byte{nil, []byte(`1.5`), []byte(`"NaN"`)}).Draw(t, "default")
	}
	return s
}

// value writes a random value and returns what the reader must find.
func (g *generator) value(t *rapid.T, out Output, s *Schema) any {
	if s.Optional && rapid.Bool().Draw(t, "null") {
		out.Null(s)
		return nil
	}
	switch s.Type {
	case Int8, Int16, Int32, Int64:
		return g.int(t, out, s)
	case Float32:
		v := rapid.Float32().Draw(t, "float")
		out.Float(s, float64(v))
		return v
	case Float64:
		v := rapid.OneOf(rapid.Float64(), rapid.Just(math.NaN()), rapid.Just(math.Inf(-1))).Draw(t, "double")
		out.Float(s, v)
		return v
	case Boolean:
		v := rapid.Bool().Draw(t, "boolean")
		out.Bool(s, v)
		return v
	case String:
		v := rapid.String().Draw(t, "string")
		out.Text(s, []byte(v))
		return v
	case Bytes:
		v := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "bytes")
		out.Bytes(s, v)
		return append([]byte{}, v...)
	}
	return g.container(t, out, s)
}

func (g *generator) int(t *rapid.T, out Output, s *Schema) any {
	bits := map[Type]int{Int8: 8, Int16: 16, Int32: 32, Int64: 64}[s.Type]
	v := rapid.Int64Range(-1<<(bits-1), 1<<(bits-1)-1).Draw(t, "int")
	out.Int(s, v)
	if s.Type == Int64 {
		return v
	}
	return int32(v)
}

func (g *generator) container(t *rapid.T, out Output, s *Schema) any {
	n := rapid.IntRange(0, 3).Draw(t, "length")
	switch s.Type {
	case Array:
		list := []any{}
		out.BeginArray(s, n)
		for range n {
			list = append(list, g.value(t, out, s.Items))
		}
		out.EndArray(s)
		return list
	case Map:
		entries := map[string]any{}
		out.BeginMap(s, n)
		for i := range n {
			key := fmt.Sprint("key", i)
			out.Text(s, []byte(key))
			entries[key] = g.value(t, out, s.Items)
		}
		out.EndMap(s)
		return entries
	}
	record := map[string]any{}
	out.BeginStruct(s)
	for _, f := range s.Fields {
		record[AvroUnderscore.fieldName(f.Name)] = g.value(t, out, f.Schema)
	}
	out.EndStruct(s)
	return record
}

func TestAvroLogicalTypesAreReadAsSuch(t *testing.T) {
	decimal := []Parameter{{"scale", "2"}, {"connect.decimal.precision", "10"}}
	tests := []struct {
		schema *Schema
		write  func(Output, *Schema)
		want   any
	}{
		{&Schema{Type: Bytes, Name: DecimalName, Parameters: decimal}, func(o Output, s *Schema) { o.Bytes(s, []byte{0xFF, 0x85}) }, big.NewRat(-123, 100)},
		{&Schema{Type: Int32, Name: DateName}, func(o Output, s *Schema) { o.Int(s, 20000) }, time.Date(2024, 10, 4, 0, 0, 0, 0, time.UTC)},
		{&Schema{Type: Int32, Name: TimeName}, func(o Output, s *Schema) { o.Int(s, 1500) }, 1500 * time.Millisecond},
		{&Schema{Type: Int64, Name: TimestampName}, func(o Output, s *Schema) { o.Int(s, -1500) }, time.Date(1969, 12, 31, 23, 59, 58, 5e8, time.UTC)},
	}
	for _, test := range tests {
		text, err := AvroSchema(test.schema, AvroUnderscore)
		if err != nil {
			t.Fatal(err)
		}
		var out Avro
		test.write(&out, test.schema)
		var got any
		if _, err := avro.MustParse(string(text)).Decode(out.Encoded(), &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s is read as %#v, want %#v", text, got, test.want)
		}
	}
}

func TestAvroPanicsOnAValueOfAnotherType(t *testing.T) {
	for name, write := range map[string]func(*Avro){
		"null of what is not optional": func(a *Avro) { a.Null(&Schema{Type: Int32}) },
		"text of an int":               func(a *Avro) { a.Text(&Schema{Type: Int32}, nil) },
		"int that does not fit":        func(a *Avro) { a.Int(&Schema{Type: Int32}, 1<<31) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it was written")
				}
			}()
			write(new(Avro))
		})
	}
}

func TestAvroOutputDoesNotAllocate(t *testing.T) {
	item := &Schema{Type: Int64, Optional: true, Default: []byte("1")}
	list := &Schema{Type: Array, Items: item}
	text := &Schema{Type: String, Optional: true}
	row := &Schema{Type: Struct, Fields: []Field{{"list", list}, {"text", text}}}
	var out Avro
	buffer, word := make([]byte, 0, 1024), []byte("some text")
	if n := testing.AllocsPerRun(100, func() {
		out.Reset(buffer[:0])
		out.BeginStruct(row)
		out.BeginArray(list, 2)
		out.Int(item, 1<<40)
		out.Null(item)
		out.EndArray(list)
		out.Text(text, word)
		out.EndStruct(row)
	}); n != 0 {
		t.Errorf("%v allocations for a message", n)
	}
}
