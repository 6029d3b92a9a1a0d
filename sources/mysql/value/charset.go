package value

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// ErrCharset is the cause of every error about bytes that have no meaning in the character set of their column. The servers print a
// question mark for them; to store that would make different values equal.
var ErrCharset = errors.New("bytes that the character set has no character for")

// charset knows how to read one of the servers' character sets.
type charset struct {
	// name is the servers' name of it.
	name string
	// width is the most bytes of a character, which is what the servers multiply the length of a column with.
	width int
	// appendUTF8 appends text as UTF-8.
	appendUTF8 func(dst, text []byte) ([]byte, error)
}

// collationRange is a run of collations of one character set.
type collationRange struct {
	first, last uint16
	charset     string
}

// charsetOf is the character set of a collation, nil when it is not known.
func charsetOf(collation uint16) *charset {
	i, found := slices.BinarySearchFunc(collations, collation, func(r collationRange, id uint16) int {
		switch {
		case id < r.first:
			return 1
		case id > r.last:
			return -1
		}
		return 0
	})
	if !found {
		return nil
	}
	return charsetNamed(collations[i].charset)
}

// charsetNamed is nil when we cannot read it.
func charsetNamed(name string) *charset {
	i := slices.IndexFunc(charsets, func(c *charset) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return charsets[i]
}

// AppendUTF8 appends text in the character set of the collation as UTF-8; bytes of CollationBinary are appended as they are. It is
// for what TABLE_MAP writes in a column's character set, such as the labels of an enum.
func AppendUTF8(dst []byte, collation uint16, text []byte) ([]byte, error) {
	cs := charsetOf(collation)
	if cs == nil {
		return dst, fmt.Errorf("%w: collation %d", ErrUnsupported, collation)
	}
	return cs.appendUTF8(dst, text)
}

// charsets are those that we read. What is missing is a named stop.
var charsets = func() []*charset {
	all := []*charset{
		{name: "binary", width: 1, appendUTF8: func(dst, text []byte) ([]byte, error) { return append(dst, text...), nil }},
		{name: "utf8mb4", width: 4, appendUTF8: appendUTF8},
		{name: "utf8mb3", width: 3, appendUTF8: appendUTF8},
		{name: "ucs2", width: 2, appendUTF8: appendUCS2},
		{name: "utf16", width: 4, appendUTF8: appendUTF16(binary.BigEndian)},
		{name: "utf16le", width: 4, appendUTF8: appendUTF16(binary.LittleEndian)},
		{name: "utf32", width: 4, appendUTF8: appendUTF32},
	}
	return append(all, tableCharsets()...)
}()

// MariaDB lets halves of surrogate pairs into every Unicode character set; they are no characters, and so no UTF-8.
func appendUTF8(dst, text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return dst, ErrCharset
	}
	return append(dst, text...), nil
}

func appendUCS2(dst, text []byte) ([]byte, error) {
	if len(text)%2 != 0 {
		return dst, ErrCharset
	}
	start := len(dst)
	for ; len(text) > 0; text = text[2:] {
		r := rune(binary.BigEndian.Uint16(text))
		if isSurrogate(r) {
			return dst[:start], ErrCharset
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst, nil
}

func isSurrogate(r rune) bool { return r >= 0xD800 && r <= 0xDFFF }

func appendUTF16(order binary.ByteOrder) func(dst, text []byte) ([]byte, error) {
	return func(dst, text []byte) ([]byte, error) {
		if len(text)%2 != 0 {
			return dst, ErrCharset
		}
		start := len(dst)
		for len(text) > 0 {
			r := rune(order.Uint16(text))
			text = text[2:]
			if isSurrogate(r) {
				if r >= 0xDC00 || len(text) == 0 {
					return dst[:start], ErrCharset
				}
				low := rune(order.Uint16(text))
				text = text[2:]
				if low < 0xDC00 || low > 0xDFFF {
					return dst[:start], ErrCharset
				}
				r = (r-0xD800)<<10 | (low - 0xDC00) + 0x10000
			}
			dst = utf8.AppendRune(dst, r)
		}
		return dst, nil
	}
}

func appendUTF32(dst, text []byte) ([]byte, error) {
	if len(text)%4 != 0 {
		return dst, ErrCharset
	}
	start := len(dst)
	for ; len(text) > 0; text = text[4:] {
		u := binary.BigEndian.Uint32(text)
		if u > utf8.MaxRune || isSurrogate(rune(u)) {
			return dst[:start], ErrCharset
		}
		dst = utf8.AppendRune(dst, rune(u))
	}
	return dst, nil
}
