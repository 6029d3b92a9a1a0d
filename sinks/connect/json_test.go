package connect

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestFloatsAreThoseOfJava(t *testing.T) {
	for _, c := range []struct {
		v    float64
		bits int
		want string
	}{
		{0, 64, "0.0"},
		{math.Copysign(0, -1), 64, "-0.0"},
		{100, 64, "100.0"},
		{-2, 64, "-2.0"},
		{0.001, 64, "0.001"},
		{0.00099, 64, "9.9E-4"},
		{1e-7, 64, "1.0E-7"},
		{9999999, 64, "9999999.0"},
		{1e7, 64, "1.0E7"},
		{123456.7, 64, "123456.7"},
		{1e10, 64, "1.0E10"},
		{1e21, 64, "1.0E21"},
		{1e308, 64, "1.0E308"},
		{9007199254740993, 64, "9.007199254740992E15"},
		{math.MaxFloat64, 64, "1.7976931348623157E308"},
		{math.SmallestNonzeroFloat64, 64, "4.9E-324"},
		{-math.SmallestNonzeroFloat64, 64, "-4.9E-324"},
		{2e-323, 64, "2.0E-323"},
		{float64(float32(0.1)), 32, "0.1"},
		{16777216, 32, "1.6777216E7"},
		{math.MaxFloat32, 32, "3.4028235E38"},
		{math.SmallestNonzeroFloat32, 32, "1.4E-45"},
		{math.NaN(), 64, `"NaN"`},
		{math.Inf(1), 64, `"Infinity"`},
		{math.Inf(-1), 32, `"-Infinity"`},
	} {
		if got := string(appendJavaFloat(nil, c.v, c.bits)); got != c.want {
			t.Errorf("%v of %d bits is %s, want %s", c.v, c.bits, got, c.want)
		}
	}
}

func TestFloatsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64().Draw(t, "v")
		got, err := strconv.ParseFloat(string(appendJavaFloat(nil, v, 64)), 64)
		if err != nil || math.Float64bits(got) != math.Float64bits(v) {
			t.Fatalf("%v becomes %v, %v", v, got, err)
		}
		single := rapid.Float32().Draw(t, "single")
		got, err = strconv.ParseFloat(string(appendJavaFloat(nil, float64(single), 32)), 32)
		if err != nil || math.Float32bits(float32(got)) != math.Float32bits(single) {
			t.Fatalf("%v becomes %v, %v", single, got, err)
		}
	})
}

func TestStringsAreThoseOfJackson(t *testing.T) {
	for text, want := range map[string]string{
		"plain é \u2028 /":      "\"plain é \u2028 /\"",
		"\"\\ \b\f\n\r\t\x1f":   `"\"\\ \b\f\n\r\t\u001F"`,
		"a\U0001F600b":          `"a\uD83D\uDE00b"`,
		"bad \xff end":          "\"bad \ufffd end\"",
		"\ufffd is a character": "\"\ufffd is a character\"",
		"":                      `""`,
	} {
		if got := string(appendJavaString(nil, []byte(text))); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func TestStringsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		var got string
		if err := json.Unmarshal(appendJavaString(nil, []byte(text)), &got); err != nil || got != text {
			t.Fatalf("%q becomes %q, %v", text, got, err)
		}
	})
}

func TestJSONWritesStructsArraysAndMaps(t *testing.T) {
	items := &Schema{Type: Array, Optional: true, Items: &Schema{Type: Int32}}
	counts := &Schema{Type: Map, Items: &Schema{Type: Int64, Optional: true}}
	inner := &Schema{Type: Struct, Name: "n", Version: 1, Doc: "d", Fields: []Field{{"b", &Schema{Type: Bytes}}}}
	s := &Schema{Type: Struct, Fields: []Field{
		{`odd "name"`, &Schema{Type: Boolean, Default: []byte("true")}},
		{"items", items},
		{"inner", inner},
		{"counts", counts},
		{"f", &Schema{Type: Float32, Parameters: []Parameter{{"a", "1"}, {"b", "2"}}}},
	}}
	write := func(j *JSON) string {
		if err := j.Begin(context.Background(), []byte("before "), "topic", Value, s); err != nil {
			t.Fatal(err)
		}
		j.BeginStruct(s)
		j.Bool(s.Fields[0].Schema, true)
		j.BeginArray(items, 2)
		j.Int(items.Items, 1)
		j.Int(items.Items, -2)
		j.EndArray(items)
		j.BeginStruct(inner)
		j.Bytes(inner.Fields[0].Schema, []byte{0, 255})
		j.EndStruct(inner)
		j.BeginMap(counts, 2)
		j.Text(counts, []byte("x"))
		j.Int(counts.Items, 5)
		j.Text(counts, []byte("y"))
		j.Null(counts.Items)
		j.EndMap(counts)
		j.Float(s.Fields[4].Schema, 1.5)
		j.EndStruct(s)
		b, err := j.End()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	payload := `{"odd \"name\"":true,"items":[1,-2],"inner":{"b":"AP8="},"counts":{"x":5,"y":null},"f":1.5}`
	if got := write(&JSON{}); got != "before "+payload {
		t.Errorf("without schemas:\n%s", got)
	}
	want := `before {"schema":{"type":"struct","fields":[{"type":"boolean","optional":false,"default":true,"field":"odd \"name\""},` +
		`{"type":"array","items":{"type":"int32","optional":false},"optional":true,"field":"items"},` +
		`{"type":"struct","fields":[{"type":"bytes","optional":false,"field":"b"}],"optional":false,"name":"n","version":1,"doc":"d","field":"inner"},` +
		`{"type":"map","keys":{"type":"string","optional":false},"values":{"type":"int64","optional":true},"optional":false,"field":"counts"},` +
		`{"type":"float","optional":false,"parameters":{"a":"1","b":"2"},"field":"f"}],"optional":false},"payload":` + payload + `}`
	if got := write(&JSON{Schemas: true}); got != want {
		t.Errorf("with schemas:\n%s\nwant\n%s", got, want)
	}
}

func TestJSONRefusesAnOpenValue(t *testing.T) {
	s := &Schema{Type: Struct}
	var j JSON
	if err := j.Begin(context.Background(), nil, "topic", Key, s); err != nil {
		t.Fatal(err)
	}
	j.BeginStruct(s)
	if _, err := j.End(); err == nil {
		t.Error("a struct that has not ended is no error")
	}
}
