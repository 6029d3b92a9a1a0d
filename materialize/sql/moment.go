package sql

import "strings"

// momentText is a moment in the words of materialize.ParseMoment, and where it stands.
type momentText struct {
	text string
	at   int
}

// clauseOfMoment reads the clause that may follow a table's name. It moves on only when there is one.
func (w *rewriter) clauseOfMoment() (m momentText, found bool, err error) {
	switch {
	case w.isWord(0, "FOR") && w.isWord(1, "SYSTEM_TIME"):
		return w.systemTime(2, (*rewriter).moment)
	case w.isWord(0, "FOR") && w.isWord(1, "SYSTEM_VERSION"):
		return w.systemTime(2, (*rewriter).version)
	case w.isWord(0, "VERSION") && w.isWord(1, "AS") && w.isWord(2, "OF") && w.startsMoment(3):
		w.at += 3
		m, err = w.version()
	case w.isWord(0, "TIMESTAMP") && w.isWord(1, "AS") && w.isWord(2, "OF") && w.startsMoment(3):
		w.at += 3
		m, err = w.moment()
	case w.isWord(0, "AS") && w.isWord(1, "OF") && w.startsMoment(2):
		w.at += 2
		m, err = w.moment()
	case w.isWord(0, "AT") && w.isPunct(1, '('):
		return w.atClause()
	default:
		return momentText{}, false, nil
	}
	return m, true, err
}

// systemTime reads AS OF and a moment behind FOR SYSTEM_TIME or FOR SYSTEM_VERSION, which mean nothing else.
func (w *rewriter) systemTime(words int, read func(*rewriter) (momentText, error)) (m momentText, found bool, err error) {
	name := strings.ToUpper(w.textOf(w.peek(words - 1)))
	if !w.isWord(words, "AS") || !w.isWord(words+1, "OF") {
		return m, false, errorAt(w.text, w.peek(words).start, "expected AS OF after FOR %s", name)
	}
	w.at += words + 2
	m, err = read(w)
	return m, true, err
}

// atClause reads AT (TIMESTAMP => x) or AT (VERSION => n).
func (w *rewriter) atClause() (m momentText, found bool, err error) {
	read := (*rewriter).moment
	switch {
	case w.isWord(2, "VERSION"):
		read = (*rewriter).version
	case !w.isWord(2, "TIMESTAMP"):
		return m, false, errorAt(w.text, w.peek(2).start, "expected TIMESTAMP or VERSION after AT (")
	}
	if !w.isPunct(3, '=') || !w.isPunct(4, '>') {
		return m, false, errorAt(w.text, w.peek(3).start, "expected =>")
	}
	w.at += 5
	if m, err = read(w); err != nil {
		return m, false, err
	}
	if !w.isPunct(0, ')') {
		return m, false, errorAt(w.text, w.peek(0).start, "expected ) after the moment")
	}
	w.at++
	return m, true, nil
}

// startsMoment tells AS OF from an alias that is called "of": behind the alias stands something that may follow a table.
func (w *rewriter) startsMoment(i int) bool {
	t := w.peek(i)
	switch t.kind {
	case tokenEnd, tokenPunct:
		return false
	case tokenWord:
		if w.isWord(i, "OFFSET") {
			return w.peek(i+1).kind == tokenNumber
		}
		return !w.isAnyWord(i, afterTable)
	}
	return true
}

const momentForms = "a quoted time such as '2026-06-10 12:00:00Z', TIMESTAMP '…', OFFSET n, LSN '…', GTID '…', TX n, TAG '…' or NOW"

// moment reads a moment.
func (w *rewriter) moment() (momentText, error) {
	t := w.peek(0)
	m := momentText{at: t.start}
	switch {
	case t.kind == tokenString:
		w.at++
		m.text = unquoteString(w.textOf(t))
		return m, nil
	case w.isAnyWord(0, []string{"TIMESTAMP", "TIMESTAMPTZ", "DATE"}):
		return w.word(m, "", tokenString)
	case w.isAnyWord(0, []string{"OFFSET", "TX"}):
		return w.word(m, strings.ToUpper(w.textOf(t))+" ", tokenNumber)
	case w.isAnyWord(0, []string{"LSN", "GTID"}):
		return w.word(m, strings.ToUpper(w.textOf(t))+" ", tokenString)
	case w.isWord(0, "TAG"):
		if w.isName(1) {
			m.text = "TAG " + unquoteIdent(w.textOf(w.peek(1)))
			w.at += 2
			return m, nil
		}
		return w.word(m, "TAG ", tokenString)
	case w.isWord(0, "NOW"):
		w.at++
		if w.isPunct(0, '(') && w.isPunct(1, ')') {
			w.at += 2
		}
		m.text = "now"
		return m, nil
	}
	return m, errorAt(w.text, t.start, "expected a moment after AS OF: %s", momentForms)
}

// word reads the value behind a moment's first word.
func (w *rewriter) word(m momentText, prefix string, kind tokenKind) (momentText, error) {
	word, value := strings.ToUpper(w.textOf(w.peek(0))), w.peek(1)
	if value.kind != kind && !(kind == tokenNumber && value.kind == tokenString) {
		what := "a number"
		if kind == tokenString {
			what = "a quoted text"
		}
		return m, errorAt(w.text, value.start, "expected %s after %s", what, word)
	}
	text := w.textOf(value)
	if value.kind == tokenString {
		text = unquoteString(text)
	}
	m.text = prefix + text
	w.at += 2
	return m, nil
}

// version reads an offset without the word before it.
func (w *rewriter) version() (momentText, error) {
	t := w.peek(0)
	m := momentText{at: t.start}
	switch t.kind {
	case tokenNumber:
		m.text = "OFFSET " + w.textOf(t)
	case tokenString:
		m.text = "OFFSET " + unquoteString(w.textOf(t))
	default:
		return m, errorAt(w.text, t.start, "expected an offset: a version is a place in the log")
	}
	w.at++
	return m, nil
}

// unquoteString is the text that a string token stands for.
func unquoteString(written string) string {
	switch written[0] {
	case '$':
		tag := strings.IndexByte(written[1:], '$') + 2
		return written[tag : len(written)-tag]
	case 'e', 'E':
		return unescape(strings.ReplaceAll(written[2:len(written)-1], "''", "'"))
	}
	return strings.ReplaceAll(written[1:len(written)-1], "''", "'")
}

// unescape resolves the backslashes that a moment or a name can need: those before a quote or another backslash.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
