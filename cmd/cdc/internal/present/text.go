package present

import (
	"unicode"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// Clean is text without anything that would move a terminal's cursor or change the order in which it is read.
func Clean(text string) string {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f {
			return string(appendClean(nil, []byte(text)))
		}
	}
	return text
}

// appendClean appends text with control characters, marks of direction and bytes that are not UTF-8 written as escapes.
func appendClean(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		if c := text[i]; c >= ' ' && c < 0x7f {
			dst = append(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == utf8.RuneError && size == 1, r < 0xa0:
			dst = append(dst, '\\', 'x', hexDigits[text[i]>>4], hexDigits[text[i]&15])
			size = 1
		case steers(r):
			dst = append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		default:
			dst = append(dst, text[i:i+size]...)
		}
		i += size
	}
	return dst
}

// steers reports whether the rune changes how the text around it is laid out.
func steers(r rune) bool {
	return r >= 0x200e && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff || r == 0x061c
}

// wide are the runes that take two columns: East Asian wide and fullwidth ones, and emoji.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x1100, 0x115f, 1},
		{0x231a, 0x231b, 1},
		{0x23e9, 0x23ec, 1},
		{0x25fd, 0x25fe, 1},
		{0x2614, 0x2615, 1},
		{0x2648, 0x2653, 1},
		{0x26a1, 0x26a1, 1},
		{0x26bd, 0x26be, 1},
		{0x2705, 0x2705, 1},
		{0x270a, 0x270b, 1},
		{0x2728, 0x2728, 1},
		{0x274c, 0x274c, 1},
		{0x2753, 0x2755, 1},
		{0x2757, 0x2757, 1},
		{0x2e80, 0x303e, 1},
		{0x3041, 0x33ff, 1},
		{0x3400, 0x4dbf, 1},
		{0x4e00, 0x9fff, 1},
		{0xa000, 0xa4cf, 1},
		{0xa960, 0xa97f, 1},
		{0xac00, 0xd7a3, 1},
		{0xf900, 0xfaff, 1},
		{0xfe30, 0xfe6f, 1},
		{0xff00, 0xff60, 1},
		{0xffe0, 0xffe6, 1},
	},
	R32: []unicode.Range32{
		{0x16fe0, 0x18aff, 1},
		{0x1b000, 0x1b2ff, 1},
		{0x1f004, 0x1f004, 1},
		{0x1f0cf, 0x1f0cf, 1},
		{0x1f18e, 0x1f19a, 1},
		{0x1f200, 0x1f320, 1},
		{0x1f32d, 0x1f335, 1},
		{0x1f337, 0x1f37c, 1},
		{0x1f37e, 0x1f393, 1},
		{0x1f3a0, 0x1f3f0, 1},
		{0x1f3f4, 0x1f4fd, 1},
		{0x1f4ff, 0x1f64f, 1},
		{0x1f680, 0x1f6fc, 1},
		{0x1f7e0, 0x1f7eb, 1},
		{0x1f900, 0x1f9ff, 1},
		{0x1fa70, 0x1faff, 1},
		{0x20000, 0x3fffd, 1},
	},
}

// runeWidth is the number of columns that a rune takes on a terminal.
func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// textWidth is the number of columns that text takes.
func textWidth(text []byte) int {
	n := 0
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			n++
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		n += runeWidth(r)
		i += size
	}
	return n
}

// ellipsis stands for what was cut off.
const ellipsis = "…"

// cut is text shortened to so many columns, and the columns that it takes.
func cut(dst, text []byte, columns int) ([]byte, int) {
	width := textWidth(text)
	if width <= columns {
		return append(dst, text...), width
	}
	n := 0
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		w := runeWidth(r)
		if n+w > columns-1 {
			break
		}
		dst = append(dst, text[:size]...)
		text, n = text[size:], n+w
	}
	return append(dst, ellipsis...), n + 1
}

// Shorten is text without control characters, cut to so many columns.
func Shorten(text string, columns int) string {
	out, _ := cut(nil, appendClean(nil, []byte(text)), max(columns, 1))
	return string(out)
}
