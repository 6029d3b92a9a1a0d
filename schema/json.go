package schema

import (
	"bytes"
	"encoding/json"
	"math"
	"unicode/utf8"
)

const jsonNull = "null"

// AppendJSON appends column i of the row, whose column is c, as a JSON value that takes one line: integers and decimals as exact
// number literals, finite floats as their shortest number, booleans, and null. A JSON column is embedded with its exact tokens.
// Everything else, NaN and the infinities are the string of AppendText. A column that is absent is null here; it is for the caller
// to leave it out.
func AppendJSON(dst []byte, c *Column, r Row, i int) []byte {
	if r.State(i) != Present {
		return append(dst, jsonNull...)
	}
	switch c.Kind {
	case Bool:
		if r.Bool(i) {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64:
		return AppendText(dst, c, r, i)
	case Float32:
		return appendJSONFloat(dst, float64(r.Float32(i)), 32)
	case Float64:
		return appendJSONFloat(dst, r.Float64(i), 64)
	case Decimal:
		return appendJSONDecimal(dst, r.Bytes(i))
	case JSON:
		return appendJSONText(dst, r.Bytes(i))
	case Bytes, Geometry:
		dst = append(dst, `"\`...) // the backslash of \x… is escaped; the rest needs nothing
		return append(AppendText(dst, c, r, i), '"')
	case Date, Time, TimeTZ, Timestamp, TimestampTZ, Interval, UUID, Bit, CalendarDate, CalendarTimestamp, CalendarTimestampTZ:
		dst = append(dst, '"')
		return append(AppendText(dst, c, r, i), '"')
	}
	return AppendJSONString(dst, r.Bytes(i))
}

func appendJSONFloat(dst []byte, v float64, bits int) []byte {
	if !math.IsNaN(v) && !math.IsInf(v, 0) {
		return appendFloat(dst, v, bits)
	}
	return append(appendFloat(append(dst, '"'), v, bits), '"')
}

func appendJSONDecimal(dst, packed []byte) []byte {
	if d, _ := viewDecimal(packed); d.class == DecimalFinite {
		return AppendDecimalText(dst, packed)
	}
	return append(AppendDecimalText(append(dst, '"'), packed), '"')
}

// appendJSONText embeds valid JSON and quotes any other text. A line break can only stand between tokens, where a space means the
// same and keeps a document on its line.
func appendJSONText(dst, text []byte) []byte {
	if !utf8.Valid(text) || !json.Valid(text) {
		return AppendJSONString(dst, text)
	}
	start := len(dst)
	dst = append(dst, text...)
	if bytes.IndexByte(text, '\n') < 0 && bytes.IndexByte(text, '\r') < 0 {
		return dst
	}
	for i := start; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return dst
}

// AppendJSONString appends text as a JSON string. Bytes that are not UTF-8 become \ufffd.
func AppendJSONString(dst, text []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(text[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			dst = append(append(dst, text[start:i]...), `\ufffd`...)
		} else {
			dst = appendEscape(append(dst, text[start:i]...), c)
		}
		i++
		start = i
	}
	return append(append(dst, text[start:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	const digits = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
}
