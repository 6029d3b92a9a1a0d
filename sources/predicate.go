package sources

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxPredicateBytes bounds a predicate: it is kept in the log, and shown.
const maxPredicateBytes = 8 << 10

// PredicateRules are how a server reads the text of a predicate, as far as it matters for where the predicate ends.
type PredicateRules struct {
	// Quotes begin a text or a name that ends with the same character; twice, it stands for itself.
	Quotes string
	// Refused are characters that may not stand outside quotes, as they could begin a comment or another kind of text.
	Refused string
}

// Check makes sure that a predicate which stands in parentheses ends with them. What the server and this may read in two ways is
// refused. Whether it means anything, the server says.
func (r PredicateRules) Check(predicate string) error {
	switch {
	case strings.TrimSpace(predicate) == "":
		return errors.New("the predicate is empty; write what stands behind WHERE, for instance \"id > 1000\"")
	case len(predicate) > maxPredicateBytes:
		return fmt.Errorf("the predicate has %d bytes, which is more than %d; name fewer rows at once", len(predicate), maxPredicateBytes)
	case !utf8.ValidString(predicate) || strings.ContainsRune(predicate, 0):
		return errors.New("the predicate is not text in UTF-8; write other bytes as the server's own literals")
	}
	depth := 0
	for i := 0; i < len(predicate); i++ {
		switch c := predicate[i]; {
		case strings.IndexByte(r.Quotes, c) >= 0:
			length, err := quoted(predicate[i:])
			if err != nil {
				return err
			}
			i += length - 1
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth < 0 {
				return fmt.Errorf("the predicate closes a parenthesis that it has not opened, at byte %d; it must be one condition", i+1)
			}
		case c == ';' || strings.IndexByte(r.Refused, c) >= 0:
			return fmt.Errorf("the predicate has %q outside quotes, at byte %d; it must be one condition without a comment, names with such a character in quotes", c, i+1)
		case strings.HasPrefix(predicate[i:], "--") || strings.HasPrefix(predicate[i:], "/*"):
			return fmt.Errorf("the predicate has a comment, at byte %d; leave it out (a minus before a minus needs a space between)", i+1)
		}
	}
	if depth > 0 {
		return fmt.Errorf("the predicate leaves %d parentheses open; close them", depth)
	}
	return nil
}

// quoted is the length of the quoted text that s begins with. A backslash before the quote ends the text on some servers and not on
// others, by their settings and the kind of the text.
func quoted(s string) (int, error) {
	backslashes := 0
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			backslashes++
			continue
		case s[i] != s[0]:
		case backslashes%2 == 1:
			return 0, errors.New("the predicate has a backslash before a quote; write a quote within quotes twice instead")
		case i+1 < len(s) && s[i+1] == s[0]:
			i++
		default:
			return i + 1, nil
		}
		backslashes = 0
	}
	return 0, fmt.Errorf("the predicate leaves a quote %c open; close it", s[0])
}
