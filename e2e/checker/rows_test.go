package checker

import (
	"strings"
	"testing"
)

func digest(t *testing.T, text string) Digest {
	t.Helper()
	d, err := DigestCSV(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return d
}

func TestDigestIgnoresOrderAndNeedlessQuotes(t *testing.T) {
	a := digest(t, "id,v\n1,x\n2,\"a,\"\"b\"\"\nc\"\n2,\n")
	b := digest(t, "\"id\",v\n2,\n2,\"a,\"\"b\"\"\nc\"\n\"1\",\"x\"\n")
	if a != b {
		t.Fatalf("%v and %v", a, b)
	}
	if a.Rows != 3 {
		t.Fatalf("%d rows", a.Rows)
	}
}

func TestDigestTellsApart(t *testing.T) {
	texts := []string{
		"id,v\n1,\n", "id,v\n1,\"\"\n", "id,v\n1,\"\"\"\"\n", "id,v\n1,null\n", "id,v\n,1\n", "id,w\n1,\n", "id,v\n", "id\n1\n",
		"id,v\n1,\n1,\n", "id,v\n1,a\n2,b\n", "id,v\n1,b\n2,a\n", "id,v\n1,\"a\nb\"\n", "id,v\n1, a\n",
	}
	seen := map[Digest]string{}
	for _, text := range texts {
		d := digest(t, text)
		if other, ok := seen[d]; ok {
			t.Errorf("%q and %q have one digest", text, other)
		}
		seen[d] = text
	}
}

func TestDigestWantsWholeRecords(t *testing.T) {
	for _, text := range []string{"id,v\n1,\"a\n", "id,v\n1", "id,v\n1,\"\""} {
		if _, err := DigestCSV(strings.NewReader(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestDiffNamesWhatDiffers(t *testing.T) {
	want := "id,v\n1,a\n2,\n2,\n3,c\n"
	got := "id,v\n1,a\n2,\n3,d\n"
	lines, err := DiffCSV(strings.NewReader(want), strings.NewReader(got), 10)
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(lines, "\n"); text != "- \"2\" null\n- \"3\" \"c\"\n+ \"3\" \"d\"" {
		t.Fatal(text)
	}
}
