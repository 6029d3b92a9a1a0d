package binlog

import "bytes"

// tokenKind is what a token is.
type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenWord             // a keyword, or a name without quotes
	tokenQuoted           // a name within quotes
	tokenString           // within single quotes, or double ones unless they quote names
	tokenNumber
	tokenSign // one byte of anything else
)

// token is a piece of a statement. Its text is without quotes, but as it stands between them.
type token struct {
	kind  tokenKind
	quote byte
	text  []byte
	at    int // where it begins, its quote included
	end   int // where it ends
}

// is tells whether a token is a keyword, which is to be in upper case.
func (t *token) is(keyword string) bool {
	return t.kind == tokenWord && equalFold(t.text, keyword)
}

func (t *token) isAny(keywords ...string) bool {
	for _, k := range keywords {
		if t.is(k) {
			return true
		}
	}
	return false
}

func (t *token) isSign(c byte) bool { return t.kind == tokenSign && t.text[0] == c }

// equalFold compares ASCII only: keywords have no other letters, and the text may be in any character set.
func equalFold(text []byte, upper string) bool {
	if len(text) != len(upper) {
		return false
	}
	for i, c := range text {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}

// lexer cuts a statement into tokens, as the servers' lexers do (mysql-server, sql/sql_lex.cc). Comments are left out, but those
// that a server executes are read as part of the statement.
type lexer struct {
	text []byte
	pos  int
	dialect
	// inside is set within a comment that is executed.
	inside bool
	// bad is set when a quote or a comment has no end.
	bad bool
	// unsure is set when it cannot be told whether a comment is executed.
	unsure bool
}

// next is the next token.
func (l *lexer) next() token {
	l.skipSpace()
	t := token{at: l.pos, end: l.pos}
	if l.pos >= len(l.text) {
		return t
	}
	switch c := l.text[l.pos]; {
	case c == '`' || c == '"' && l.ansiQuotes:
		t.kind, t.quote, t.text = tokenQuoted, c, l.quoted(c, false)
	case c == '\'' || c == '"':
		t.kind, t.quote, t.text = tokenString, c, l.quoted(c, !l.noBackslash)
	case isWordByte(c):
		t.text = l.word()
		t.kind = tokenWord
		if isDigits(t.text) {
			t.kind = tokenNumber
		}
	default:
		t.kind, t.text = tokenSign, l.text[l.pos:l.pos+1]
		l.pos++
	}
	t.end = l.pos
	return t
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

func isDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func (l *lexer) word() []byte {
	start := l.pos
	for l.pos < len(l.text) && isWordByte(l.text[l.pos]) {
		l.pos++
	}
	return l.text[start:l.pos]
}

// quoted reads up to the closing quote. A quote that is doubled is part of the text, and so is one after a backslash.
func (l *lexer) quoted(quote byte, escapes bool) []byte {
	start := l.pos + 1
	for i := start; i < len(l.text); i++ {
		switch c := l.text[i]; {
		case c == '\\' && escapes:
			i++
		case c == quote && i+1 < len(l.text) && l.text[i+1] == quote:
			i++
		case c == quote:
			l.pos = i + 1
			return l.text[start:i]
		}
	}
	l.bad, l.pos = true, len(l.text)
	return nil
}

// skipSpace goes past white space and comments.
func (l *lexer) skipSpace() {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch {
		case isSpace(rest[0]):
			l.pos++
		case rest[0] == '#', l.isDashComment(rest):
			l.skipTo("\n")
		case l.inside && bytes.HasPrefix(rest, []byte("*/")):
			l.inside = false
			l.pos += 2
		case bytes.HasPrefix(rest, []byte("/*")):
			l.comment(rest)
		default:
			return
		}
	}
	l.bad = l.bad || l.inside
}

// isDashComment tells two dashes before white space or the end from two minus signs.
func (l *lexer) isDashComment(rest []byte) bool {
	return bytes.HasPrefix(rest, []byte("--")) && (len(rest) == 2 || rest[2] <= ' ')
}

func (l *lexer) skipTo(end string) bool {
	i := bytes.Index(l.text[l.pos:], []byte(end))
	if i < 0 {
		l.pos = len(l.text)
		return false
	}
	l.pos += i + len(end)
	return true
}

// comment goes past a comment, or into one that is executed.
func (l *lexer) comment(rest []byte) {
	if inner, executed := l.executed(rest); executed && !l.inside {
		l.inside = true
		l.pos += len(rest) - len(inner)
		return
	}
	l.pos += 2
	if !l.skipTo("*/") {
		l.bad = true
	}
}

// executed tells whether a comment is executed, and what is after its mark: /*! is, from a version that may follow it on, on both
// servers but for versions of MySQL whose features MariaDB has not; /*M! is on MariaDB.
func (l *lexer) executed(rest []byte) (inner []byte, executed bool) {
	inner, executed = bytes.CutPrefix(rest, []byte("/*!"))
	if !executed {
		if inner, executed = bytes.CutPrefix(rest, []byte("/*M!")); !executed || !l.mariaDB {
			return inner, false
		}
	}
	maria := rest[2] == 'M'
	digits, version := 0, uint32(0)
	for digits < len(inner) && digits < 6 && inner[digits] >= '0' && inner[digits] <= '9' {
		version = version*10 + uint32(inner[digits]-'0')
		digits++
	}
	if digits < 5 {
		return inner, true // no version; the digits are part of the statement
	}
	inner = inner[digits:]
	if l.version == 0 {
		l.unsure = true
		return inner, true
	}
	if l.mariaDB && !maria && version >= 50700 && version <= 99999 {
		return inner, false
	}
	return inner, version <= l.version
}

// unquote is the text of a name: doubled quotes stand for one.
func (t *token) unquote() string {
	if t.kind == tokenQuoted && bytes.IndexByte(t.text, t.quote) >= 0 {
		return string(bytes.ReplaceAll(t.text, []byte{t.quote, t.quote}, []byte{t.quote}))
	}
	return string(t.text)
}
