package connect

import (
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Java writes floats without an exponent from 10^-3 up to 10^7.
const (
	javaFixedFrom = 1e-3
	javaFixedTo   = 1e7
)

// appendJavaFloat writes a float as Float.toString and Double.toString of Java 19 do (Javadoc of Double.toString), quoted where JSON
// has no such number, as Jackson does.
func appendJavaFloat(dst []byte, v float64, bits int) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(dst, `"-Infinity"`...)
	}
	magnitude := math.Abs(v)
	if magnitude == 0 || magnitude >= javaFixedFrom && magnitude < javaFixedTo {
		start := len(dst)
		dst = strconv.AppendFloat(dst, v, 'f', -1, bits)
		for _, c := range dst[start:] {
			if c == '.' {
				return dst
			}
		}
		return append(dst, ".0"...)
	}
	return appendJavaExponent(dst, v, bits)
}

// appendJavaExponent writes d.dddE±n. Java takes the nearest of the texts with two digits even where one digit would do.
func appendJavaExponent(dst []byte, v float64, bits int) []byte {
	var buf [32]byte
	text := strconv.AppendFloat(buf[:0], v, 'e', -1, bits)
	mark := 0
	for text[mark] != 'e' {
		mark++
	}
	if digits := mark; digits == 1 || digits == 2 && text[0] == '-' {
		text = strconv.AppendFloat(buf[:0], v, 'e', 1, bits)
		mark += len(".0")
	}
	dst = append(append(dst, text[:mark]...), 'E')
	exponent := text[mark+1:]
	if exponent[0] == '-' {
		dst = append(dst, '-')
	}
	for exponent = exponent[1:]; len(exponent) > 1 && exponent[0] == '0'; {
		exponent = exponent[1:]
	}
	return append(dst, exponent...)
}

const upperHex = "0123456789ABCDEF"

// appendJavaString writes a string as Jackson does when it writes bytes: characters outside the basic plane are two escapes. Bytes
// that are not UTF-8 become the replacement character, as no Java string can hold them.
func appendJavaString(dst, text []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		size := 1
		r := rune(c)
		if c >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(text[i:])
			if r < 0x10000 && (r != utf8.RuneError || size > 1) {
				i += size
				continue
			}
		}
		dst = appendJavaRune(append(dst, text[start:i]...), r)
		i += size
		start = i
	}
	return append(append(dst, text[start:]...), '"')
}

// appendJavaRune writes a character that does not stand for itself.
func appendJavaRune(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	case utf8.RuneError:
		return utf8.AppendRune(dst, r)
	}
	if r < 0x10000 {
		return appendEscape(dst, r)
	}
	high, low := utf16.EncodeRune(r)
	return appendEscape(appendEscape(dst, high), low)
}

func appendEscape(dst []byte, unit rune) []byte {
	return append(dst, '\\', 'u', upperHex[unit>>12&15], upperHex[unit>>8&15], upperHex[unit>>4&15], upperHex[unit&15])
}
