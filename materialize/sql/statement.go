package sql

import "strings"

// statementKind is what a statement is for.
type statementKind uint8

const (
	statementQuery    statementKind = iota // for DuckDB
	statementSetAsOf                       // SET cdc.as_of = …
	statementShowAsOf                      // SHOW cdc.as_of
	statementTables                        // SHOW [ALL] TABLES
)

// statement is one statement of a text.
type statement struct {
	kind statementKind
	// moment of SET cdc.as_of; its text is empty for RESET.
	moment momentText
	// query is what DuckDB is given, without what stands before it.
	query Rewritten
	// explain is EXPLAIN or EXPLAIN ANALYZE, with a space behind it, when the statement began so.
	explain string
	at      int // where it begins
}

// parseStatements splits a text at its semicolons.
func parseStatements(text string) ([]statement, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	var all []statement
	for len(tokens) > 0 {
		end := 0
		for end < len(tokens) && !(tokens[end].kind == tokenPunct && text[tokens[end].start] == ';') {
			end++
		}
		part := tokens[:end]
		tokens = tokens[min(end+1, len(tokens)):]
		for len(part) > 0 && part[0].kind == tokenSpace {
			part = part[1:]
		}
		if len(part) == 0 {
			continue
		}
		s, err := parseStatement(text, part)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, errorOf(CodeSQL, "there is no statement in the text")
	}
	return all, nil
}

func parseStatement(text string, part []token) (statement, error) {
	s := statement{at: part[0].start}
	w := rewriter{text: text}
	for _, t := range part {
		if t.kind != tokenSpace {
			w.tokens = append(w.tokens, t)
		}
	}
	end := w.tokens[len(w.tokens)-1].end
	w.tokens = append(w.tokens, token{kind: tokenEnd, start: end, end: end})
	switch {
	case w.isAnyWord(0, []string{"SET", "RESET", "SHOW"}) && w.isAsOfSetting():
		return w.setting(s)
	case w.isWord(0, "SHOW") && w.isWord(1, "TABLES") && w.peek(2).kind == tokenEnd,
		w.isWord(0, "SHOW") && w.isWord(1, "ALL") && w.isWord(2, "TABLES") && w.peek(3).kind == tokenEnd:
		s.kind = statementTables
		return s, nil
	case !w.isPunct(0, '(') && !w.isAnyWord(0, readWords):
		return s, errorAt(text, s.at, "%s is not allowed: only statements that read are (%s)",
			strings.ToUpper(w.textOf(w.peek(0))), "SELECT, WITH, FROM, VALUES, TABLE, PIVOT, UNPIVOT, DESCRIBE, SUMMARIZE, EXPLAIN, SHOW TABLES, SET cdc.as_of")
	case w.isWord(0, "EXPLAIN"):
		part = w.cutExplain(&s, part)
	}
	var err error
	s.query, err = rewrite(text, part)
	return s, err
}

// readWords begin the statements that DuckDB may be given.
var readWords = []string{
	"SELECT", "WITH", "FROM", "VALUES", "TABLE", "PIVOT", "UNPIVOT", "DESCRIBE", "DESC", "SUMMARIZE", "EXPLAIN", "SHOW",
}

// cutExplain takes EXPLAIN and ANALYZE off, as DuckDB tells the tables of a plain query only.
func (w *rewriter) cutExplain(s *statement, part []token) []token {
	s.explain, w.at = "EXPLAIN ", 1
	if w.isWord(0, "ANALYZE") {
		s.explain, w.at = "EXPLAIN ANALYZE ", 2
	}
	for i, t := range part {
		if t == w.peek(0) {
			return part[i:]
		}
	}
	return nil
}

// isAsOfSetting reports whether cdc.as_of stands behind the first word, which SESSION or LOCAL may follow.
func (w *rewriter) isAsOfSetting() bool {
	i := 1
	if w.isAnyWord(i, []string{"SESSION", "LOCAL"}) {
		i++
	}
	return w.isWord(i, "cdc") && w.isPunct(i+1, '.') && w.isWord(i+2, "as_of")
}

// setting reads SET, RESET or SHOW of cdc.as_of.
func (w *rewriter) setting(s statement) (statement, error) {
	verb := strings.ToUpper(w.textOf(w.peek(0)))
	w.at += 4
	if w.isWord(0, "as_of") {
		w.at++
	}
	s.kind = statementSetAsOf
	switch verb {
	case "SHOW":
		s.kind = statementShowAsOf
	case "SET":
		if !w.isPunct(0, '=') && !w.isWord(0, "TO") {
			return s, errorAt(w.text, w.peek(0).start, "expected = after SET cdc.as_of")
		}
		w.at++
		if w.isWord(0, "DEFAULT") {
			w.at++
			break
		}
		var err error
		if s.moment, err = w.moment(); err != nil {
			return s, err
		}
	}
	if w.peek(0).kind != tokenEnd {
		return s, errorAt(w.text, w.peek(0).start, "expected the end of the statement")
	}
	return s, nil
}
