package sources

import (
	"strings"
	"testing"
)

// What could end the parentheses that a predicate stands in is refused, whichever way a server reads it.
func TestPredicatesStayWithinTheirParentheses(t *testing.T) {
	one := PredicateRules{Quotes: `'"`, Refused: "`$"}
	other := PredicateRules{Quotes: "'\"`", Refused: "#$"}
	for text, why := range map[string]string{
		`id > 5`: "", `region IN ('eu', 'us') AND (a OR (b))`: "", `note = 'it''s; -- ) /* fine */'`: "", `"odd) name" = 1`: "", `a - -1 > 0`: "",
		`path = 'C:\\'`: "", `n = 1 / 2 * 3`: "", `s = '\\\\'''`: "", `x = '(' || ')'`: "",
		``: "empty", " \n": "empty", `id = 1) OR (1 = 1`: "has not opened", `(id = 1`: "1 parentheses open", `id = 1; DROP TABLE t`: `';'`,
		`id = 1 -- `: "comment", `id = 1--`: "comment", `id /* x */ = 1`: "comment", `note = 'open`: "open", `note = 'it\'s) OR (1=1'`: "backslash",
		`note = '\\\''`: "backslash", `note = "a\") OR ("`: "backslash", `note = $$)$$`: `'$'`, "id = 1\x00": "UTF-8", "note = '\xff'": "UTF-8",
		strings.Repeat("1", maxPredicateBytes+1): "more than", `note = '''`: "open", `a = ')' )`: "has not opened",
	} {
		for _, rules := range []PredicateRules{one, other} {
			err := rules.Check(text)
			if (err == nil) != (why == "") || err != nil && !strings.Contains(err.Error(), why) {
				t.Errorf("%.60q: %v, want %q", text, err, why)
			}
		}
	}
	for text, taken := range map[string][2]bool{"`a)` = 1": {false, true}, "tags #> '{a}' = '1'": {true, false}, "id = 1 # x": {true, false}} {
		if got := [2]bool{one.Check(text) == nil, other.Check(text) == nil}; got != taken {
			t.Errorf("%q is taken: %v, want %v", text, got, taken)
		}
	}
}
