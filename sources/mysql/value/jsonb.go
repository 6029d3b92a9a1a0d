package value

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"cdc/schema"
)

var errJSON = fmt.Errorf("%w: a damaged JSON document", ErrImage)

// Types of MySQL's binary JSON (mysql-server, sql-common/json_binary.h, where the format is described). Small objects and arrays have
// offsets of two bytes, large ones of four.
const (
	jsonSmallObject = 0x00
	jsonLargeObject = 0x01
	jsonSmallArray  = 0x02
	jsonLargeArray  = 0x03
	jsonLiteral     = 0x04
	jsonInt16       = 0x05
	jsonUint16      = 0x06
	jsonInt32       = 0x07
	jsonUint32      = 0x08
	jsonInt64       = 0x09
	jsonUint64      = 0x0a
	jsonDouble      = 0x0b
	jsonString      = 0x0c
	jsonOpaque      = 0x0f
)

// Literals.
const (
	jsonNull  = 0
	jsonTrue  = 1
	jsonFalse = 2
)

// jsonDepthMax is the deepest nesting that the server allows (JSON_DOCUMENT_MAX_DEPTH).
const jsonDepthMax = 100

// jsonPrinter prints MySQL's binary JSON as the server does (mysql-server, sql-common/json_dom.cc, wrapper_to_string): a space behind
// commas and colons, members in their stored order, escapes only where JSON needs them.
type jsonPrinter struct {
	dst []byte
	// budget is how many more bytes of entries, keys and strings there can be: those of a sound document do not overlap, so that
	// there are no more of them than of the document. Without it a small document could refer to itself without end.
	budget int
	bad    bool
}

// jsonValue sets column i to the text of a JSON document.
func (d *Decoder) jsonValue(i int, v []byte) error {
	var err error
	d.builder.Variable(i, func(dst []byte) []byte {
		dst, err = appendJSONB(dst, v)
		return dst
	})
	return err
}

// appendJSONB appends the text of a binary document. An empty one, which INSERT IGNORE can store, counts as null, as for the server.
func appendJSONB(dst, doc []byte) ([]byte, error) {
	if len(doc) == 0 {
		return append(dst, "null"...), nil
	}
	p := jsonPrinter{dst: dst, budget: len(doc)}
	p.value(doc[0], doc[1:], 0)
	if p.bad {
		return p.dst[:len(dst)], errJSON
	}
	return p.dst, nil
}

// spend takes n bytes from the budget and from data and reports whether there are as many.
func (p *jsonPrinter) spend(data []byte, n int) bool {
	p.budget -= n
	if n < 0 || n > len(data) || p.budget < 0 {
		p.bad = true
	}
	return !p.bad
}

func (p *jsonPrinter) value(kind byte, data []byte, depth int) {
	switch kind {
	case jsonSmallObject, jsonSmallArray:
		p.container(data, kind == jsonSmallObject, 2, depth)
	case jsonLargeObject, jsonLargeArray:
		p.container(data, kind == jsonLargeObject, 4, depth)
	case jsonString:
		if text, ok := p.sized(data); ok {
			p.text(text)
		}
	case jsonOpaque:
		if len(data) == 0 {
			p.bad = true
			return
		}
		if v, ok := p.sized(data[1:]); ok {
			p.opaque(Type(data[0]), v)
		}
	default:
		p.scalar(kind, data)
	}
}

// scalar prints a literal or a number.
func (p *jsonPrinter) scalar(kind byte, data []byte) {
	size := [...]int{jsonLiteral: 1, jsonInt16: 2, jsonUint16: 2, jsonInt32: 4, jsonUint32: 4, jsonInt64: 8, jsonUint64: 8, jsonDouble: 8}
	if int(kind) >= len(size) || size[kind] == 0 || len(data) < size[kind] {
		p.bad = true
		return
	}
	switch kind {
	case jsonLiteral:
		p.literal(data[0])
	case jsonInt16:
		p.dst = strconv.AppendInt(p.dst, int64(int16(binary.LittleEndian.Uint16(data))), 10)
	case jsonUint16:
		p.dst = strconv.AppendUint(p.dst, uint64(binary.LittleEndian.Uint16(data)), 10)
	case jsonInt32:
		p.dst = strconv.AppendInt(p.dst, int64(int32(binary.LittleEndian.Uint32(data))), 10)
	case jsonUint32:
		p.dst = strconv.AppendUint(p.dst, uint64(binary.LittleEndian.Uint32(data)), 10)
	case jsonInt64:
		p.dst = strconv.AppendInt(p.dst, int64(binary.LittleEndian.Uint64(data)), 10)
	case jsonUint64:
		p.dst = strconv.AppendUint(p.dst, binary.LittleEndian.Uint64(data), 10)
	case jsonDouble:
		p.double(math.Float64frombits(binary.LittleEndian.Uint64(data)))
	}
}

func (p *jsonPrinter) literal(c byte) {
	switch c {
	case jsonNull:
		p.dst = append(p.dst, "null"...)
	case jsonTrue:
		p.dst = append(p.dst, "true"...)
	case jsonFalse:
		p.dst = append(p.dst, "false"...)
	default:
		p.bad = true
	}
}

// sized reads the bytes that follow their length, which takes seven bits a byte, lowest first.
func (p *jsonPrinter) sized(data []byte) ([]byte, bool) {
	length := uint64(0)
	for i := 0; i < len(data) && i < 5; i++ {
		length |= uint64(data[i]&0x7f) << (7 * i)
		if data[i]&0x80 != 0 {
			continue
		}
		data = data[i+1:]
		if length > uint64(len(data)) || !p.spend(data, int(length)) {
			break
		}
		return data[:length], true
	}
	p.bad = true
	return nil, false
}

// container prints an object or an array: the number of its elements, its size, an entry with offset and length for each key, one
// with type and offset for each value, the keys and the values. Offsets count from its beginning; small values stand in place of the
// offset.
func (p *jsonPrinter) container(data []byte, object bool, word, depth int) {
	if depth++; depth > jsonDepthMax || !p.spend(data, 2*word) {
		p.bad = true
		return
	}
	count, size := littleUint(data[:word]), littleUint(data[word:2*word])
	if size > uint64(len(data)) {
		p.bad = true
		return
	}
	data = data[:size]
	keyEntry, valueEntry := word+2, word+1
	entries := valueEntry
	if object {
		entries += keyEntry
	}
	if count > size/uint64(entries) || 2*word+int(count)*entries > len(data) || !p.spend(data, int(count)*entries) {
		p.bad = true
		return
	}
	keys, values := data[2*word:], data[2*word+int(count)*(entries-valueEntry):]
	open, end := byte('['), byte(']')
	if object {
		open, end = '{', '}'
	}
	p.dst = append(p.dst, open)
	for i := 0; i < int(count) && !p.bad; i++ {
		if i > 0 {
			p.dst = append(p.dst, ", "...)
		}
		if object {
			p.key(data, keys[i*keyEntry:], word)
		}
		p.element(data, values[i*valueEntry:], word, depth)
	}
	p.dst = append(p.dst, end)
}

func (p *jsonPrinter) key(data, entry []byte, word int) {
	at, length := littleUint(entry[:word]), int(binary.LittleEndian.Uint16(entry[word:]))
	if at > uint64(len(data)) || !p.spend(data[at:], length) {
		p.bad = true
		return
	}
	p.text(data[at : int(at)+length])
	p.dst = append(p.dst, ": "...)
}

func (p *jsonPrinter) text(v []byte) {
	p.bad = p.bad || !utf8.Valid(v)
	p.dst = appendJSONString(p.dst, v)
}

func (p *jsonPrinter) element(data, entry []byte, word, depth int) {
	if p.bad {
		return
	}
	kind := entry[0]
	switch {
	case kind == jsonLiteral, kind == jsonInt16, kind == jsonUint16, word == 4 && (kind == jsonInt32 || kind == jsonUint32):
		p.scalar(kind, entry[1:1+word])
		return
	}
	at := littleUint(entry[1 : 1+word])
	if at > uint64(len(data)) {
		p.bad = true
		return
	}
	p.value(kind, data[at:], depth)
}

// opaque prints a value of an SQL type that JSON has no type for.
func (p *jsonPrinter) opaque(t Type, v []byte) {
	switch t {
	case TypeNewDecimal:
		p.decimal(v)
	case TypeDate, TypeTime, TypeDateTime, TypeTimestamp:
		if len(v) != 8 {
			p.bad = true
			return
		}
		p.dst = append(p.dst, '"')
		p.temporal(t, int64(binary.LittleEndian.Uint64(v)))
		p.dst = append(p.dst, '"')
	default:
		p.dst = strconv.AppendUint(append(p.dst, `"base64:type`...), uint64(t), 10)
		p.dst = append(p.dst, ':')
		p.base64(v)
		p.dst = append(p.dst, '"')
	}
}

// base64Line is how many bytes a line of the server's base64 takes (mysql-server, mysys/base64: 76 characters).
const base64Line = 57

// base64 prints bytes in lines, whose breaks are escaped in the string that they stand in.
func (p *jsonPrinter) base64(v []byte) {
	for len(v) > base64Line {
		p.dst = append(base64.StdEncoding.AppendEncode(p.dst, v[:base64Line]), `\n`...)
		v = v[base64Line:]
	}
	p.dst = base64.StdEncoding.AppendEncode(p.dst, v)
}

// decimal prints a DECIMAL, which has its precision and scale before it. The server makes the precision of a column's value one more
// than the column's, so that it can pass the limit of the type.
func (p *jsonPrinter) decimal(v []byte) {
	if len(v) < 2 {
		p.bad = true
		return
	}
	precision, scale := int(v[0]), int(v[1])
	if precision < 1 || scale > precision || len(v) != 2+decimalBytes(precision, scale) {
		p.bad = true
		return
	}
	var err error
	p.dst, err = appendDecimalText(p.dst, precision, scale, v[2:])
	p.bad = p.bad || err != nil
}

// temporal prints a date or time, which is packed in the server's own integer form: fields above 24 bits of fraction.
func (p *jsonPrinter) temporal(t Type, packed int64) {
	if t == TypeTime {
		if packed < 0 {
			p.dst, packed = append(p.dst, '-'), -packed
		}
		clock := packed >> 24
		p.clock(clock>>12&(1<<10-1), clock>>6&63, clock&63, packed&(1<<24-1))
		return
	}
	f := schema.ReadCalendarTimestamp(packed)
	if packed < 0 || f.Year > 9999 {
		p.bad = true
		return
	}
	p.number(int64(f.Year), 4)
	p.dst = append(p.dst, '-')
	p.number(int64(f.Month), 2)
	p.dst = append(p.dst, '-')
	p.number(int64(f.Day), 2)
	if t != TypeDate {
		p.dst = append(p.dst, ' ')
		p.clock(int64(f.Hour), int64(f.Minute), int64(f.Second), int64(f.Micro))
	}
}

func (p *jsonPrinter) clock(hours, minutes, seconds, micros int64) {
	p.number(hours, 2)
	p.dst = append(p.dst, ':')
	p.number(minutes, 2)
	p.dst = append(p.dst, ':')
	p.number(seconds, 2)
	p.dst = append(p.dst, '.')
	p.number(micros, maxFractionDigits)
}

// number writes v with at least so many digits.
func (p *jsonPrinter) number(v int64, digits int) {
	var buf [20]byte
	text := strconv.AppendInt(buf[:0], v, 10)
	for range digits - len(text) {
		p.dst = append(p.dst, '0')
	}
	p.dst = append(p.dst, text...)
}

// double prints a number that is a double even when it is whole.
func (p *jsonPrinter) double(v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		p.bad = true
		return
	}
	start := len(p.dst)
	p.dst = appendDouble(p.dst, v)
	for _, c := range p.dst[start:] {
		if c == '.' || c == 'e' {
			return
		}
	}
	p.dst = append(p.dst, ".0"...)
}

// appendJSONString quotes text as the server does (double_quote): all from the space on stands for itself but quote and backslash.
func appendJSONString(dst, text []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	return append(append(dst, text[start:]...), '"')
}
