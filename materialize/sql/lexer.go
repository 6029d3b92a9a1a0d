package sql

import "strings"

// tokenKind is what a token is.
type tokenKind uint8

const (
	tokenSpace  tokenKind = iota // white space and comments
	tokenWord                    // keyword or identifier without quotes
	tokenQuoted                  // "identifier"
	tokenString                  // '…', E'…', $tag$…$tag$
	tokenNumber                  //
	tokenParam                   // $1, $name
	tokenPunct                   // one byte of anything else
	tokenEnd                     // stands behind the last token
)

// token is a stretch of the text. Tokens follow each other without gaps.
type token struct {
	kind       tokenKind
	start, end int
}

// MaxTextBytes bounds a query's text.
const MaxTextBytes = 8 << 20

// lex splits a text into tokens. It knows what DuckDB's own lexer knows about where strings, names and comments end, and nothing
// of grammar.
func lex(text string) ([]token, error) {
	if len(text) > MaxTextBytes {
		return nil, errorOf(CodeSQL, "the query is %d bytes long, more than %d", len(text), MaxTextBytes)
	}
	tokens := make([]token, 0, len(text)/4+1)
	for at := 0; at < len(text); {
		kind, end, missing := nextToken(text, at)
		if missing != "" {
			return nil, errorAt(text, at, "this has no end: expected %s", missing)
		}
		tokens = append(tokens, token{kind: kind, start: at, end: end})
		at = end
	}
	return tokens, nil
}

// CutStatement cuts a text at the semicolon that ends its first statement; whole is false when there is none, so that more of the
// text may have to come.
func CutStatement(text string) (statement, rest string, whole bool) {
	for at := 0; at < len(text); {
		kind, end, missing := nextToken(text, at)
		switch {
		case missing != "":
			return text, "", false
		case kind == tokenPunct && text[at] == ';':
			return text[:at], text[end:], true
		}
		at = end
	}
	return text, "", false
}

// Blank reports whether a text holds nothing but white space and comments.
func Blank(text string) bool {
	for at := 0; at < len(text); {
		kind, end, missing := nextToken(text, at)
		if kind != tokenSpace {
			return false
		}
		if missing != "" { // a comment that goes on
			return true
		}
		at = end
	}
	return true
}

// nextToken is the kind and the end of the token at a place; missing is what should have ended it.
func nextToken(text string, at int) (kind tokenKind, end int, missing string) {
	c, rest := text[at], text[at:]
	switch {
	case isSpace(c):
		return tokenSpace, scanWhile(text, at, isSpace), ""
	case strings.HasPrefix(rest, "--"):
		if i := strings.IndexByte(rest, '\n'); i >= 0 {
			return tokenSpace, at + i + 1, ""
		}
		return tokenSpace, len(text), ""
	case strings.HasPrefix(rest, "/*"):
		end, missing = scanComment(text, at)
		return tokenSpace, end, missing
	case c == '\'':
		end, missing = scanQuoted(text, at+1, '\'', false)
		return tokenString, end, missing
	case c == '"':
		end, missing = scanQuoted(text, at+1, '"', false)
		return tokenQuoted, end, missing
	case (c == 'e' || c == 'E') && strings.HasPrefix(rest[1:], "'"):
		end, missing = scanQuoted(text, at+2, '\'', true)
		return tokenString, end, missing
	case c == '$':
		return scanDollar(text, at)
	case isDigit(c) || c == '.' && len(rest) > 1 && isDigit(rest[1]):
		return tokenNumber, scanNumber(text, at), ""
	case isNameStart(c):
		return tokenWord, scanWhile(text, at, isName), ""
	}
	return tokenPunct, at + 1, ""
}

// scanQuoted finds the end of what a quote opened. A doubled quote stands for itself; so does, where escapes are on, whatever
// follows a backslash.
func scanQuoted(text string, at int, quote byte, escapes bool) (end int, missing string) {
	for at < len(text) {
		switch {
		case escapes && text[at] == '\\':
			at += 2
		case text[at] != quote:
			at++
		case at+1 < len(text) && text[at+1] == quote:
			at += 2
		default:
			return at + 1, ""
		}
	}
	return 0, string(quote)
}

// scanComment finds the end of a comment, in which comments nest.
func scanComment(text string, at int) (end int, missing string) {
	depth := 0
	for at+1 < len(text) {
		switch text[at : at+2] {
		case "/*":
			depth, at = depth+1, at+2
		case "*/":
			if depth, at = depth-1, at+2; depth == 0 {
				return at, ""
			}
		default:
			at++
		}
	}
	return 0, "*/"
}

// scanDollar reads $tag$…$tag$, a parameter, or a lone dollar.
func scanDollar(text string, at int) (kind tokenKind, end int, missing string) {
	after := at + 1
	if after < len(text) && isDigit(text[after]) {
		return tokenParam, scanWhile(text, after, isDigit), ""
	}
	tagEnd := after
	if after < len(text) && isNameStart(text[after]) {
		tagEnd = scanWhile(text, after, isTag)
	}
	if tagEnd < len(text) && text[tagEnd] == '$' {
		tag := text[at : tagEnd+1]
		if i := strings.Index(text[tagEnd+1:], tag); i >= 0 {
			return tokenString, tagEnd + 1 + i + len(tag), ""
		}
		return tokenString, 0, tag
	}
	if tagEnd > after {
		return tokenParam, tagEnd, ""
	}
	return tokenPunct, after, ""
}

// scanNumber is generous: what it takes for one number DuckDB may refuse, but it never takes part of another token.
func scanNumber(text string, at int) int {
	for at < len(text) {
		c := text[at]
		exponent := (c == '+' || c == '-') && (text[at-1] == 'e' || text[at-1] == 'E')
		if !isDigit(c) && c != '.' && c != '_' && !isLetter(c) && !exponent {
			break
		}
		at++
	}
	return at
}

func scanWhile(text string, at int, is func(byte) bool) int {
	for at < len(text) && is(text[at]) {
		at++
	}
	return at
}

func isSpace(c byte) bool     { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool     { return c >= '0' && c <= '9' }
func isLetter(c byte) bool    { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isNameStart(c byte) bool { return isLetter(c) || c == '_' || c >= 0x80 }
func isTag(c byte) bool       { return isNameStart(c) || isDigit(c) }
func isName(c byte) bool      { return isTag(c) || c == '$' }
