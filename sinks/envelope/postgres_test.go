package envelope

import (
	"bytes"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cdc/schema"
)

// printArray prints an array of text as PostgreSQL does, with every element in quotes.
func printArray(items []string, null func(i int) bool) []byte {
	b := []byte{'{'}
	for i, item := range items {
		if i > 0 {
			b = append(b, ',')
		}
		if null(i) {
			b = append(b, "NULL"...)
			continue
		}
		b = append(b, '"')
		for _, c := range []byte(item) {
			if c == '"' || c == '\\' {
				b = append(b, '\\')
			}
			b = append(b, c)
		}
		b = append(b, '"')
	}
	return append(b, '}')
}

func TestArraysAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOf(rapid.String()).Draw(t, "items")
		nulls := rapid.SliceOfN(rapid.Bool(), len(items), len(items)).Draw(t, "nulls")
		text := printArray(items, func(i int) bool { return nulls[i] })
		if rapid.Bool().Draw(t, "bounds") {
			text = append([]byte("[-3:5]="), text...)
		}
		a := arrayReader{delim: ','}
		if n, deep, ok := a.countElements(text); n != len(items) || deep || !ok {
			t.Fatalf("%s has %d elements, deep %t, ok %t", text, n, deep, ok)
		}
		scan := arrayScanner{text: afterBounds(text), delim: ','}
		for i, want := range items {
			item, null, more := scan.next(nil)
			if !more || null != nulls[i] || !null && string(item) != want {
				t.Fatalf("%s: element %d is %q, null %t, more %t", text, i, item, null, more)
			}
		}
	})
}

// A decimal's bytes are its integer at the scale, whatever way they are computed.
func TestUnscaledDecimals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?[1-9][0-9]{0,60}(\.[0-9]{1,30})?`).Draw(t, "text")
		packed, err := schema.ParseDecimal(nil, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		scale := decimalScale(packed) + rapid.IntRange(0, 5).Draw(t, "more")
		want, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatal(text)
		}
		want.Mul(want, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
		got := appendUnscaled(nil, packed, scale)
		if !want.IsInt() || bigOf(got).Cmp(want.Num()) != 0 {
			t.Fatalf("%s at scale %d: % x is %s", text, scale, got, bigOf(got))
		}
		if !bytes.Equal(got, appendBig(nil, want.Num())) {
			t.Fatalf("%s at scale %d: % x is not the shortest", text, scale, got)
		}
	})
}

// bigOf reads two's complement.
func bigOf(b []byte) *big.Int {
	v := new(big.Int).SetBytes(b)
	if b[0]&0x80 != 0 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return v
}

func TestPostgresTypesAreTakenApart(t *testing.T) {
	for text, want := range map[string]postgresType{
		"integer":                        {name: "integer"},
		"numeric(10,2)[]":                {name: "numeric", mods: []int32{10, 2}, array: true},
		"numeric(5,-2)":                  {name: "numeric", mods: []int32{5, -2}},
		"timestamp(3) without time zone": {name: "timestamp without time zone", mods: []int32{3}},
		"public.mood[]":                  {name: "mood", array: true, own: true},
		`public."odd (type)"(4)`:         {name: `"odd (type)"`, mods: []int32{4}, own: true},
		`"char"`:                         {name: `"char"`},
		"interval day to second(3)":      {name: "interval day to second", mods: []int32{3}},
		"":                               {},
	} {
		got := parsePostgresType(text)
		if got.name != want.name || got.array != want.array || got.own != want.own || !slices.Equal(got.mods, want.mods) {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
	}
}

// Whatever the log holds, a value is read or refused.
func FuzzPostgresTexts(f *testing.F) {
	for _, seed := range []string{"{}", "{1,NULL}", `{"a\"b",{c}}`, "[0:1]={a,b}", "{{1},{2}}", "{", `{"a`, "}", `"k"=>"v", "n"=>NULL`, `"k"=>`, "(1,2)", "(NaN,", "0101", "[", "=", `{"a"b}`, "{a}x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		a := arrayReader{delim: ','}
		if n, _, ok := a.countElements(text); ok {
			scan := arrayScanner{text: afterBounds(text), delim: ','}
			for range n {
				if _, _, more := scan.next(nil); !more {
					t.Fatalf("%q has fewer than %d elements", text, n)
				}
			}
			if _, _, more := scan.next(nil); more {
				t.Fatalf("%q has more than %d elements", text, n)
			}
		}
		appendHstoreJSON(nil, text)
		parsePoint(text)
		parsePostgresType(string(text))
	})
}
