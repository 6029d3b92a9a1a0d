package materialize

import (
	"testing"
)

func TestPredicateReadsValuesOfAnotherTypeAsItsOwn(t *testing.T) {
	_, old, now, _, _ := retypedLog(t)
	number, word, null := pack(t, old, "1", "5", "1"), pack(t, old, "1", "six", "1"), pack(t, old, "1", "", "1")
	for _, x := range []struct {
		op   Compare
		text string
		want [3]bool // of 5, "six" and null
	}{
		{Equal, "5", [3]bool{true, false, false}},
		{Less, "10", [3]bool{true, false, false}}, // as numbers: as text, 5 comes after 10
		{GreaterEqual, "10", [3]bool{false, false, false}},
		{NotEqual, "5", [3]bool{false, true, false}},
		{IsNull, "", [3]bool{false, false, true}},
		{IsNotNull, "", [3]bool{true, true, false}},
	} {
		var p Predicate
		if err := p.And(now, "note", x.op, x.text); err != nil {
			t.Fatal(err)
		}
		for i, raw := range [][]byte{number, word, null} {
			if got := p.Match(old, view(old, raw)); got != x.want[i] {
				t.Errorf("op %d %q on row %d: %t, want %t", x.op, x.text, i, got, x.want[i])
			}
		}
	}
}
