package sql

import (
	"fmt"
	"strings"
)

// TableRef is a table that a text reads as of a moment that stands beside it.
type TableRef struct {
	// Name is the table's name as it is written, with its quotes, and Moment the moment as materialize.ParseMoment reads it.
	Name, Moment string
	// Generated is the name that stands in its place. It needs quotes.
	Generated string
	// At and MomentAt are the places of both in the original text.
	At, MomentAt int
}

// Rewritten is a text without AS OF clauses.
type Rewritten struct {
	Text string
	Refs []TableRef

	original string
	edits    []edit
}

// edit says that the bytes [from, to) of the original became [start, end) of the text.
type edit struct{ from, to, start, end int }

// generatedPrefix begins the names put in place of tables. A source's table may not be called so.
const generatedPrefix = "cdc@"

// Rewrite finds the AS OF clauses of tables and puts a generated name in place of each table with its clause. A text without one
// comes back byte for byte. Errors are an *Error with their place.
func Rewrite(text string) (Rewritten, error) {
	tokens, err := lex(text)
	if err != nil {
		return Rewritten{}, err
	}
	return rewrite(text, tokens)
}

// Original is the place in the original text of a place in the rewritten one.
func (r *Rewritten) Original(at int) int {
	shift := 0
	for _, e := range r.edits {
		if at < e.start {
			break
		}
		if at < e.end {
			return e.from
		}
		shift = e.to - e.end
	}
	return min(max(at+shift, 0), len(r.original))
}

// rewrite works on the tokens of a part of the text; everything outside them is left out.
func rewrite(text string, tokens []token) (Rewritten, error) {
	w := rewriter{text: text, depth: []clause{{}}}
	for _, t := range tokens {
		if t.kind != tokenSpace {
			w.tokens = append(w.tokens, t)
		}
	}
	r := Rewritten{original: text}
	if len(tokens) == 0 {
		return r, nil
	}
	start, end := tokens[0].start, tokens[len(tokens)-1].end
	w.tokens = append(w.tokens, token{kind: tokenEnd, start: end, end: end})
	w.out, w.copied = &strings.Builder{}, start
	if err := w.run(); err != nil {
		return Rewritten{}, err
	}
	w.out.WriteString(text[w.copied:end])
	r.Text, r.Refs, r.edits = w.out.String(), w.refs, w.edits
	if start > 0 { // places before the first edit must shift too
		r.edits = append([]edit{{from: start, to: start}}, r.edits...)
	}
	return r, nil
}

// rewriter walks over the tokens and keeps as much of the grammar in mind as tells a table's name from other names.
type rewriter struct {
	text   string
	tokens []token // without spaces, with a tokenEnd behind them
	at     int
	depth  []clause // one for each open parenthesis, and the outermost

	out    *strings.Builder
	copied int
	refs   []TableRef
	edits  []edit
}

// clause is what is known inside a parenthesis.
type clause struct {
	from  bool // inside FROM: a comma is followed by a table
	table bool // the next thing is a table
	bare  bool // that table cannot take an alias
}

func (w *rewriter) run() error {
	for w.peek(0).kind != tokenEnd {
		c := &w.depth[len(w.depth)-1]
		if c.table && w.isName(0) && !w.isAnyWord(0, tableWords) {
			bare := c.bare
			c.table, c.bare = false, false
			if err := w.table(bare); err != nil {
				return err
			}
			continue
		}
		if err := w.refuseStray(); err != nil {
			return err
		}
		w.step(c)
		w.at++
	}
	return nil
}

// tableWords may stand between FROM and a table's name.
var tableWords = []string{"LATERAL", "SELECT", "VALUES", "WITH", "PIVOT", "UNPIVOT", "FROM", "DESCRIBE", "SUMMARIZE", "TABLE"}

// step moves the clause over one token.
func (w *rewriter) step(c *clause) {
	t := w.peek(0)
	switch {
	case t.kind == tokenPunct && w.text[t.start] == '(':
		w.depth = append(w.depth, clause{from: c.table, table: c.table})
		c.table = false
	case t.kind == tokenPunct && w.text[t.start] == ')':
		if len(w.depth) > 1 {
			w.depth = w.depth[:len(w.depth)-1]
		}
	case t.kind == tokenPunct && w.text[t.start] == ',':
		c.table = c.from
	case w.isAnyWord(0, []string{"FROM", "JOIN"}):
		c.from, c.table, c.bare = true, true, false
	case w.isAnyWord(0, []string{"DESCRIBE", "DESC", "SUMMARIZE", "SHOW", "TABLE"}):
		c.from, c.table, c.bare = false, true, true
	case w.isAnyWord(0, []string{"PIVOT", "UNPIVOT"}):
		c.from, c.table, c.bare = false, true, false
	case w.isAnyWord(0, clauseWords):
		c.from, c.table = false, false
	case w.isWord(0, "LATERAL"):
	default:
		c.table = false
	}
}

// clauseWords end a FROM clause.
var clauseWords = []string{
	"SELECT", "WHERE", "GROUP", "HAVING", "QUALIFY", "ORDER", "LIMIT", "WINDOW", "UNION", "INTERSECT", "EXCEPT", "VALUES", "WITH",
	"OFFSET", "FETCH", "SET",
}

// afterTable may follow a table's name and its moment; anything else that looks like a name is its alias.
var afterTable = append([]string{
	"AS", "ON", "USING", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "OUTER", "CROSS", "NATURAL", "ASOF", "POSITIONAL", "SEMI", "ANTI",
	"FOR", "TABLESAMPLE", "PIVOT", "UNPIVOT", "FROM", "LOGIC",
}, clauseWords...)

// table reads a table's name and, if there is one, its AS OF clause.
func (w *rewriter) table(bare bool) error {
	first, last := w.at, w.at
	name := w.slice(first)
	for w.at++; w.isPunct(0, '.') && w.isName(1); w.at += 2 {
		last = w.at + 1
		name += "." + w.slice(last)
	}
	m, found, err := w.clauseOfMoment()
	if err != nil || !found {
		return err
	}
	if err := w.checkAfter(); err != nil {
		return err
	}
	generated := fmt.Sprintf("%s%d", generatedPrefix, len(w.refs)+1)
	w.refs = append(w.refs, TableRef{
		Name: name, Moment: m.text, Generated: generated, At: w.tokens[first].start, MomentAt: m.at,
	})
	put := quoteIdent(generated)
	if !bare && !w.hasAlias() {
		put += " AS " + quoteIdent(unquoteIdent(w.slice(last)))
	}
	w.replace(w.tokens[first].start, w.tokens[w.at-1].end, put)
	return nil
}

// hasAlias reports whether an alias stands here.
func (w *rewriter) hasAlias() bool {
	if w.isWord(0, "AS") {
		return true
	}
	return w.isName(0) && !w.isAnyWord(0, afterTable)
}

// checkAfter refuses what people may write after a moment and this build does not know.
func (w *rewriter) checkAfter() error {
	at := w.peek(0).start
	switch {
	case w.isWord(0, "LOGIC") && w.isWord(1, "AS") && w.isWord(2, "OF"):
		return errorAt(w.text, at, "LOGIC AS OF is for views, and this is a table; leave it out")
	case w.isWord(0, "AS") && w.isWord(1, "OF") && w.startsMoment(2), w.isWord(0, "FOR") && w.isWord(1, "SYSTEM_TIME"):
		return errorAt(w.text, at, "a table is read as of one moment; this is a second one")
	}
	return nil
}

// asOfPlace is what to do about an AS OF somewhere else.
const asOfPlace = "AS OF stands after the name of a table in FROM or JOIN, before its alias"

// refuseStray reports an AS OF that does not stand after a table's name, as no SQL means anything by it.
func (w *rewriter) refuseStray() error {
	if w.isWord(0, "AS") && w.isWord(1, "OF") && w.peek(2).kind == tokenString {
		return errorAt(w.text, w.peek(0).start, asOfPlace)
	}
	return nil
}

// replace writes what has not been copied yet and then put, in place of the bytes [from, to).
func (w *rewriter) replace(from, to int, put string) {
	w.out.WriteString(w.text[w.copied:from])
	start := w.out.Len()
	w.out.WriteString(put)
	w.copied = to
	w.edits = append(w.edits, edit{from: from, to: to, start: start, end: w.out.Len()})
}

// peek is the token i places ahead; behind the end there are only ends.
func (w *rewriter) peek(i int) token { return w.tokens[min(w.at+i, len(w.tokens)-1)] }

func (w *rewriter) slice(i int) string { return w.text[w.tokens[i].start:w.tokens[i].end] }

func (w *rewriter) textOf(t token) string { return w.text[t.start:t.end] }

func (w *rewriter) isName(i int) bool {
	k := w.peek(i).kind
	return k == tokenWord || k == tokenQuoted
}

func (w *rewriter) isPunct(i int, c byte) bool {
	t := w.peek(i)
	return t.kind == tokenPunct && w.text[t.start] == c
}

func (w *rewriter) isWord(i int, word string) bool {
	t := w.peek(i)
	return t.kind == tokenWord && strings.EqualFold(w.textOf(t), word)
}

func (w *rewriter) isAnyWord(i int, words []string) bool {
	for _, word := range words {
		if w.isWord(i, word) {
			return true
		}
	}
	return false
}

// quoteIdent writes a name so that it is taken exactly.
func quoteIdent(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// unquoteIdent is the name that a word or a quoted name stands for.
func unquoteIdent(written string) string {
	if !strings.HasPrefix(written, `"`) {
		return written
	}
	return strings.ReplaceAll(written[1:len(written)-1], `""`, `"`)
}
