package avro

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParseTellsWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		`{"type":"record","name":"a b","fields":[]}`:                                "invalid name",
		`{"type":"record","name":"A","fields":[{"name":"x","type":"B"}]}`:           "unknown type",
		`{"type":"record","name":"A","fields":[{"name":"x","type":"int","d`:         "parse Avro schema",
		`{"type":"record","name":"A","fields":[{"name":"x","type":["int","int"]}]}`: "must be unique",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want something with %q", text, err, want)
		}
	}
}

// A type of one schema is none of another: what is parsed alone must be whole.
func TestSchemasShareNoTypes(t *testing.T) {
	if _, err := Parse([]byte(`{"type":"record","name":"pkg.Shared","fields":[]}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := Parse([]byte(`{"type":"array","items":"pkg.Shared"}`)); err == nil {
		t.Error("a type of another schema is known")
	}
}

// What readers do not need does not change a fingerprint, what they need does.
func TestFingerprintIsOfTheCanonicalForm(t *testing.T) {
	base := parse(t, `{"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}`)
	same := parse(t, `{"connect.name":"A","fields":[{"type":{"type":"int","connect.type":"int8"},"name":"x","doc":"d"}],"name":"A","type":"record"}`)
	other := parse(t, `{"type":"record","name":"A","fields":[{"name":"y","type":"int"}]}`)
	if base.Fingerprint() != same.Fingerprint() || base.Canonical() != same.Canonical() {
		t.Errorf("%s is not %s", base.Canonical(), same.Canonical())
	}
	if base.Fingerprint() == other.Fingerprint() {
		t.Error("two schemas have one fingerprint")
	}
}

func TestChangesNameTheColumns(t *testing.T) {
	row := func(fields string) string {
		return `{"type":"record","name":"Envelope","namespace":"shop.t","fields":[
			{"name":"before","type":["null",{"type":"record","name":"Value","fields":[` + fields + `]}],"default":null},
			{"name":"after","type":["null","Value"],"default":null},{"name":"op","type":"string"}]}`
	}
	const (
		id     = `{"name":"id","type":"int"}`
		qty    = `{"name":"qty","type":["null","int"],"default":null}`
		long   = `{"name":"qty","type":["null",{"type":"long","connect.name":"io.debezium.time.MicroTime"}],"default":null}`
		price  = `{"name":"price","type":{"type":"bytes","scale":2,"precision":10,"logicalType":"decimal"}}`
		price3 = `{"name":"price","type":{"type":"bytes","scale":3,"precision":10,"logicalType":"decimal"}}`
		point  = `{"name":"p","type":{"type":"record","name":"P","fields":[{"name":"x","type":"double"}]}}`
		point2 = `{"name":"p","type":{"type":"record","name":"P","fields":[{"name":"x","type":"float"},{"name":"l","type":{"type":"array","items":"int"}}]}}`
	)
	tests := []struct {
		old, updated string
		want         []string
	}{
		{row(id), row(id), nil},
		{row(id + "," + qty), row(id), []string{`column "qty" is gone`}},
		{row(id), row(id + "," + qty + "," + price), []string{`column "qty" (int or null) is new`, `column "price" (decimal(10,2)) is new and has no default`}},
		{row(qty), row(long), []string{`column "qty" was int or null, is long (io.debezium.time.MicroTime) or null`}},
		{row(price), row(price3), []string{`column "price" was decimal(10,2), is decimal(10,3)`}},
		{row(point), row(point2), []string{`column "p.x" was double, is float`, `column "p.l" (array of int) is new and has no default`}},
		{row(id), strings.Replace(row(id), `"op","type":"string"`, `"op","type":"int"`, 1), []string{`field "op" was string, is int`}},
		{`{"type":"record","name":"K","fields":[` + id + `]}`, `{"type":"record","name":"K","fields":[` + qty + `]}`, []string{`column "id" is gone`, `column "qty" (int or null) is new`}},
		{`"int"`, `"long"`, nil},
	}
	for i, test := range tests {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if got := Changes(parse(t, test.old), parse(t, test.updated)); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A type that holds itself is not followed for ever.
func TestChangesEndInTypesThatHoldThemselves(t *testing.T) {
	list := `{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]},{"name":"v","type":"int"}]}`
	if got := Changes(parse(t, list), parse(t, strings.Replace(list, `"int"`, `"long"`, 1))); len(got) == 0 || got[len(got)-1] != `column "v" was int, is long` {
		t.Errorf("got %q", got)
	}
}

func parse(t *testing.T, text string) *Schema {
	t.Helper()
	s, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return s
}
