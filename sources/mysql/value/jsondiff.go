package value

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

var (
	errDiff = fmt.Errorf("%w: a damaged JSON difference", ErrImage)
	// errPath is a difference that does not fit its document, which is then not the one that the server had.
	errPath = fmt.Errorf("%w: a JSON difference at a place that its document does not have", ErrImage)
)

// Operations of a difference (mysql-server, sql/json_diff.h).
const (
	diffReplace = 0
	diffInsert  = 1
	diffRemove  = 2
)

// ApplyJSONDiffs appends the document that differences make of another. The differences are those of a JSONUpdate, each with a path
// in the document as the one before has left it. The document is text as the server prints it, and so is the result: since the
// server's text has one form, the differences are applied to it as they are, a value's text taking the place of another, and what
// they do not touch keeps its bytes. An error means that the document is not the one that the server had.
func ApplyJSONDiffs(dst, doc, diffs []byte) ([]byte, error) {
	start := len(dst)
	for len(diffs) > 0 {
		d, rest, err := readDiff(diffs)
		if err != nil {
			return dst[:start], err
		}
		next, err := d.apply(nil, doc)
		if err != nil {
			return dst[:start], err
		}
		doc, diffs = next, rest
	}
	return append(dst, doc...), nil
}

// jsonDiff is one difference.
type jsonDiff struct {
	op   byte
	path []byte
	// value is binary JSON; none for a removal.
	value []byte
}

// readDiff reads the first of differences: the operation, the path and the value, the last two behind their lengths (mysql-server,
// sql/json_diff.cc).
func readDiff(b []byte) (d jsonDiff, rest []byte, err error) {
	d.op = b[0]
	path, b, ok := packedBytes(b[1:])
	d.path = path
	if ok && d.op != diffRemove {
		d.value, b, ok = packedBytes(b)
	}
	if !ok || d.op > diffRemove {
		return d, nil, errDiff
	}
	return d, b, nil
}

// packedBytes reads bytes behind their length, an integer of the protocol's variable form.
func packedBytes(b []byte) (v, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	length, head := uint64(b[0]), 1
	if length > 250 {
		size, known := map[uint64]int{252: 2, 253: 3, 254: 8}[length]
		if !known || len(b) < 1+size {
			return nil, nil, false
		}
		length, head = littleUint(b[1:1+size]), 1+size
	}
	if length > uint64(len(b)-head) {
		return nil, nil, false
	}
	end := head + int(length)
	return b[head:end], b[end:], true
}

// apply appends the document with the difference.
func (d *jsonDiff) apply(dst, doc []byte) ([]byte, error) {
	steps, err := parsePath(d.path)
	if err != nil {
		return nil, err
	}
	at := span{0, len(doc)}
	if len(steps) == 0 {
		if d.op != diffReplace {
			return nil, errDiff
		}
		return appendJSONB(dst, d.value)
	}
	last := steps[len(steps)-1]
	for _, s := range steps[:len(steps)-1] {
		place, err := s.find(doc, at)
		if err != nil {
			return nil, err
		}
		if !place.found {
			return nil, errPath
		}
		at = place.value
	}
	place, err := last.find(doc, at)
	if err != nil {
		return nil, err
	}
	switch {
	case d.op == diffInsert:
		return d.insert(dst, doc, place, last)
	case !place.found:
		return nil, errPath
	case d.op == diffReplace:
		dst, err = appendJSONB(append(dst, doc[:place.value.from]...), d.value)
		return append(dst, doc[place.value.to:]...), err
	}
	cut := place.whole
	switch { // with it goes the comma before it, or the one behind the first
	case !place.first:
		cut.from -= len(", ")
	case bytes.HasPrefix(doc[cut.to:], []byte(", ")):
		cut.to += len(", ")
	}
	return append(append(dst, doc[:cut.from]...), doc[cut.to:]...), nil
}

// insert puts a new element before the place, where an array may already have one, or a new member.
func (d *jsonDiff) insert(dst, doc []byte, at place, last step) ([]byte, error) {
	if at.found && last.member {
		return nil, errPath
	}
	dst = append(dst, doc[:at.whole.from]...)
	if !at.found && !at.first && at.end {
		dst = append(dst, ", "...)
	}
	if last.member {
		dst = append(appendJSONString(dst, last.key), ": "...)
	}
	dst, err := appendJSONB(dst, d.value)
	if err != nil {
		return nil, err
	}
	if !at.end {
		dst = append(dst, ", "...)
	}
	return append(dst, doc[at.whole.from:]...), nil
}

// step is one step of a path: a member's key or an element's number.
type step struct {
	member bool
	key    []byte
	index  uint64
	// fromEnd counts the index from the last element.
	fromEnd bool
}

// pathStepsMax bounds a path by the depth of a document.
const pathStepsMax = jsonDepthMax

// parsePath reads a path as the server writes it (mysql-server, sql-common/json_path.cc): $, then .key, ."key", [n], [last] and
// [last-n].
func parsePath(path []byte) (steps []step, err error) {
	if len(path) == 0 || path[0] != '$' {
		return nil, errDiff
	}
	for path = path[1:]; len(path) > 0 && len(steps) < pathStepsMax; {
		var s step
		var ok bool
		switch path[0] {
		case '.':
			s, path, ok = parseMember(path[1:])
		case '[':
			s, path, ok = parseIndex(path[1:])
		}
		if !ok {
			return nil, errDiff
		}
		steps = append(steps, s)
	}
	if len(path) > 0 {
		return nil, errDiff
	}
	return steps, nil
}

func parseMember(path []byte) (s step, rest []byte, ok bool) {
	s.member = true
	if len(path) > 0 && path[0] == '"' {
		end := stringEnd(path, 0)
		if end < 0 {
			return s, nil, false
		}
		s.key, ok = unquote(path[1 : end-1])
		return s, path[end:], ok
	}
	end := 0
	for end < len(path) && path[end] != '.' && path[end] != '[' {
		end++
	}
	s.key = path[:end]
	return s, path[end:], end > 0
}

func parseIndex(path []byte) (s step, rest []byte, ok bool) {
	end := bytes.IndexByte(path, ']')
	if end < 0 {
		return s, nil, false
	}
	text, rest := path[:end], path[end+1:]
	if after, found := bytes.CutPrefix(text, []byte("last")); found {
		s.fromEnd = true
		if len(after) == 0 {
			return s, rest, true
		}
		text, ok = bytes.CutPrefix(after, []byte("-"))
		if !ok {
			return s, nil, false
		}
	}
	s.index, ok = parseUnsigned(text)
	return s, rest, ok && s.index <= 1<<32
}

// span is a part of the document.
type span struct{ from, to int }

// place is where a step leads in an object or array.
type place struct {
	found bool
	// first says that nothing stands before it, end that nothing stands at or behind it.
	first, end bool
	// whole is the element, or the member with its key; empty, where it would be inserted, when there is none.
	whole, value span
}

// find looks a step up in the object or array at a span.
func (s *step) find(doc []byte, in span) (place, error) {
	open := byte('[')
	if s.member {
		open = '{'
	}
	if in.from >= in.to || doc[in.from] != open {
		return place{}, errPath
	}
	index := s.index
	if s.fromEnd {
		n, err := countElements(doc, in)
		switch {
		case err != nil:
			return place{}, err
		case n <= index:
			return place{}, errPath
		}
		index = n - 1 - index
	}
	at := in.from + 1
	for n := uint64(0); at < len(doc); n++ {
		if doc[at] == ']' || doc[at] == '}' { // only an empty one ends here: a comma is followed by an element
			return place{first: true, end: true, whole: span{at, at}}, nil
		}
		whole, value, key, err := element(doc, at, s.member)
		if err != nil {
			return place{}, err
		}
		if s.member {
			switch order := compareKeys(s.key, key); {
			case order == 0:
				return place{found: true, first: n == 0, whole: whole, value: value}, nil
			case order < 0:
				return place{first: n == 0, whole: span{at, at}}, nil
			}
		} else if n == index {
			return place{found: true, first: n == 0, whole: whole, value: value}, nil
		}
		if at = whole.to; !bytes.HasPrefix(doc[at:], []byte(", ")) {
			return place{end: true, whole: span{at, at}}, nil
		}
		at += len(", ")
	}
	return place{}, errPath
}

// compareKeys orders members as the server does (mysql-server, sql-common/json_dom.h, Json_key_comparator): short keys first.
func compareKeys(a, b []byte) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}

func countElements(doc []byte, in span) (n uint64, err error) {
	for at := in.from + 1; at < len(doc); n++ {
		if doc[at] == ']' {
			return n, nil
		}
		whole, _, _, err := element(doc, at, false)
		if err != nil {
			return 0, err
		}
		if at = whole.to; bytes.HasPrefix(doc[at:], []byte(", ")) {
			at += len(", ")
		}
	}
	return 0, errPath
}

// element reads the element or member at a place of the document. What follows it is always in the document.
func element(doc []byte, at int, member bool) (whole, value span, key []byte, err error) {
	whole.from = at
	if member {
		end := -1
		if doc[at] == '"' {
			end = stringEnd(doc, at)
		}
		if end < 0 || !bytes.HasPrefix(doc[end:], []byte(": ")) {
			return whole, value, nil, errPath
		}
		var ok bool
		if key, ok = unquote(doc[at+1 : end-1]); !ok {
			return whole, value, nil, errPath
		}
		at = end + len(": ")
	}
	end := valueEnd(doc, at)
	if end < 0 || end >= len(doc) {
		return whole, value, nil, errPath
	}
	whole.to = end
	if end == at { // nothing there
		return whole, value, nil, errPath
	}
	return whole, span{at, end}, key, nil
}

// valueEnd is where the value that begins at a place of the document ends, -1 when it does not.
func valueEnd(doc []byte, at int) int {
	depth := 0
	for at < len(doc) {
		switch doc[at] {
		case '"':
			if at = stringEnd(doc, at); at < 0 {
				return -1
			}
			if depth == 0 {
				return at
			}
			continue
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth <= 0 {
				if depth < 0 { // the end of what the value is in
					return at
				}
				return at + 1
			}
		case ',':
			if depth == 0 {
				return at
			}
		}
		at++
	}
	if depth != 0 {
		return -1
	}
	return at
}

// stringEnd is what follows the string that begins at a place of the text, -1 when it does not end.
func stringEnd(text []byte, at int) int {
	for at++; at < len(text); at++ {
		switch text[at] {
		case '\\':
			at++
		case '"':
			return at + 1
		}
	}
	return -1
}

// unquote undoes the escapes of a string.
func unquote(text []byte) ([]byte, bool) {
	if bytes.IndexByte(text, '\\') < 0 {
		return text, true
	}
	var out []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			out = append(out, text[i])
			continue
		}
		if i++; i == len(text) {
			return nil, false
		}
		if text[i] != 'u' {
			out = append(out, unescapeJSON(text[i]))
			continue
		}
		if i+5 > len(text) {
			return nil, false
		}
		u, err := strconv.ParseUint(string(text[i+1:i+5]), 16, 16)
		if err != nil {
			return nil, false
		}
		out = utf8.AppendRune(out, rune(u))
		i += 4
	}
	return out, true
}

func unescapeJSON(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}
