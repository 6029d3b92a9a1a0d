package sql

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestRewrite shows what becomes of texts: the text for DuckDB, and the tables with their moments.
func TestRewrite(t *testing.T) {
	datadriven.RunTest(t, "testdata/rewrite", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "rewrite":
			r, err := Rewrite(d.Input)
			if err != nil {
				return describeError(err)
			}
			if len(r.Refs) == 0 && r.Text == d.Input {
				return "unchanged\n"
			}
			var b strings.Builder
			b.WriteString(r.Text + "\n")
			for _, ref := range r.Refs {
				fmt.Fprintf(&b, "%s: %s at %q\n", ref.Generated, ref.Name, ref.Moment)
			}
			return b.String()
		case "statements":
			statements, err := parseStatements(d.Input)
			if err != nil {
				return describeError(err)
			}
			var b strings.Builder
			for _, s := range statements {
				names := []string{"query", "set", "show", "tables"}
				fmt.Fprintf(&b, "%s moment=%q explain=%q text=%q\n", names[s.kind], s.moment.text, s.explain, s.query.Text)
			}
			return b.String()
		}
		d.Fatalf(t, "unknown command %s", d.Cmd)
		return ""
	})
}

func describeError(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return fmt.Sprintf("not an *Error: %v\n", err)
	}
	return fmt.Sprintf("error %s: %s\n", e.Code, e)
}

// TestRewriteFindsPlacesAgain follows places of the rewritten text back into the original.
func TestRewriteFindsPlacesAgain(t *testing.T) {
	text := "SELECT a FROM t AS OF '2026-01-01' x JOIN u AS OF TX 7 ON x.id = u.id WHERE z"
	r, err := Rewrite(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"SELECT", "FROM", "JOIN", "ON x.id", "WHERE", "z"} {
		if got, want := r.Original(strings.Index(r.Text, word)), strings.Index(text, word); got != want {
			t.Errorf("%s: found at %d, want %d", word, got, want)
		}
	}
	if got, want := r.Original(strings.Index(r.Text, r.Refs[1].Generated)), strings.Index(text, "u AS OF"); got != want {
		t.Errorf("generated name: found at %d, want %d", got, want)
	}
}

// TestLexCoversTheText checks that tokens follow each other without gaps.
func TestLexCoversTheText(t *testing.T) {
	text := `SELECT 'it''s', E'\'', $a$ ' $a$, $1, "q""q", 1.5e-3, .5, x->>'y' /* a /* b */ c */ -- end`
	tokens, err := lex(text)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, token := range tokens {
		if token.start != at {
			t.Fatalf("a token begins at %d, the one before it ends at %d", token.start, at)
		}
		at = token.end
	}
	if at != len(text) {
		t.Errorf("tokens end at %d of %d", at, len(text))
	}
}

// FuzzRewrite checks that no text makes the rewriter panic, that a text without AS OF passes byte for byte, that a rewritten text
// is not rewritten again, and that everything outside of the tables with a moment is still there, in order.
func FuzzRewrite(f *testing.F) {
	for _, seed := range []string{
		"SELECT * FROM t", "SELECT * FROM t AS OF '2026-01-01' x, (u AS OF TX 7 JOIN v ON true)", `FROM "a""b"."c" FOR SYSTEM_TIME AS OF LSN '0/1'`,
		"SELECT a AS of FROM t AS of, u", "SELECT $$ AS OF 'x' $$, E'\\' FROM t AS OF 1' -- t AS OF 'x'", "SELECT /* /* */ FROM t AS OF 'x' */ 1",
		"SELECT * FROM a ASOF JOIN b ON a.x >= b.x", "SELECT * FROM t AT (VERSION => 3)", "SET cdc.as_of = 'now'; EXPLAIN SELECT 1", "é AS OF 'x'",
		"(((", ")))", "FROM t AS OF OFFSET 5 AS OF OFFSET 6", "$1 $a $a$", "FROM t FOR SYSTEM_VERSION AS OF 1_000",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := parseStatements(text); err != nil {
			checkPlace(t, text, err)
		}
		r, err := Rewrite(text)
		if err != nil {
			checkPlace(t, text, err)
			return
		}
		if len(r.Refs) == 0 {
			if r.Text != text {
				t.Fatalf("text changed without a moment: %q", r.Text)
			}
			return
		}
		if !strings.Contains(strings.ToUpper(text), "OF") && !strings.Contains(strings.ToUpper(text), "AT") {
			t.Fatalf("found a moment in %q", text)
		}
		checkKept(t, text, &r)
		again, err := Rewrite(r.Text)
		if err == nil && again.Text != r.Text {
			t.Fatalf("rewritten twice: %q then %q", r.Text, again.Text)
		}
	})
}

// checkKept checks that what lies between the edits is the same in both texts.
func checkKept(t *testing.T, text string, r *Rewritten) {
	t.Helper()
	from, start := 0, 0
	for _, e := range r.edits {
		if text[from:e.from] != r.Text[start:e.start] {
			t.Fatalf("%q became %q", text[from:e.from], r.Text[start:e.start])
		}
		from, start = e.to, e.end
	}
	if text[from:] != r.Text[start:] {
		t.Fatalf("%q became %q", text[from:], r.Text[start:])
	}
}

func checkPlace(t *testing.T, text string, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%q: not an *Error: %v", text, err)
	}
	if e.Line > strings.Count(text, "\n")+1 {
		t.Fatalf("%q: error in line %d", text, e.Line)
	}
}
