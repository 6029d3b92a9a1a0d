package schema

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// ErrText is the cause of every error about text that does not spell a value of its column.
var ErrText = errors.New("not a value of the column")

// Reasons why a text is no value.
var (
	errSyntax    = errors.New("unexpected character")
	errEmpty     = errors.New("nothing there")
	errRange     = errors.New("out of range")
	errPrecision = errors.New("finer than a microsecond")
	errNoZone    = errors.New("a time zone is missing")
	errZone      = errors.New("a time zone is not expected")
	errCalendar  = errors.New("no such day")
	errBool      = errors.New("want t, f, true or false")
	errHex       = errors.New(`want \x and pairs of hexadecimal digits`)
	errUUID      = errors.New("want 32 hexadecimal digits in groups of 8-4-4-4-12")
	errUTF8      = errors.New("text is not UTF-8")
)

// ParseText sets column i of the row in b, whose column is c, to the value that text spells. It reads what AppendText writes, and
// also true and false, and timestamps with a T and a Z as RFC 3339 has them. After an error the column is unset.
func ParseText(b *Builder, i int, c *Column, text []byte) error {
	err := parseValue(b, i, c.Kind, text)
	if err == nil {
		return nil
	}
	return fmt.Errorf("parse %s of column %q: %w %s: %w", c.Kind, c.Name, ErrText, quoteShort(text), err)
}

func parseValue(b *Builder, i int, k Kind, text []byte) error {
	switch k {
	case Bool:
		return parseBool(b, i, text)
	case Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32:
		return parseIntKind(b, i, k, text)
	case Uint64:
		v, err := parseUint(text, math.MaxUint64)
		if err == nil {
			b.Uint64(i, v)
		}
		return err
	case Float32, Float64:
		return parseFloatKind(b, i, k, text)
	case Date, Time, TimeTZ, Timestamp, TimestampTZ, Interval:
		return parseTimeKind(b, i, k, text)
	case CalendarDate, CalendarTimestamp, CalendarTimestampTZ:
		v, err := parseCalendar(k, text)
		if err == nil {
			b.Int(i, v)
		}
		return err
	case UUID:
		return parseUUID(b, i, text)
	case Decimal, Bytes, Bit, Geometry:
		return parseVariable(b, i, k, text)
	case Text, JSON, Enum, Set:
		if !utf8.Valid(text) {
			return errUTF8
		}
	}
	b.Bytes(i, text)
	return nil
}

// parseVariable packs in place: into the row, without a copy.
func parseVariable(b *Builder, i int, k Kind, text []byte) error {
	if !b.place(i) {
		return nil // Finish reports it
	}
	var err error
	switch k {
	case Decimal:
		b.buf, err = ParseDecimal(b.buf, text)
	case Bytes, Geometry:
		b.buf, err = parseBytes(b.buf, text)
	default:
		b.buf, err = parseBits(b.buf, text)
	}
	if err == nil {
		b.finishVariable(i)
	}
	return err
}

func parseBool(b *Builder, i int, text []byte) error {
	switch string(text) {
	case "t", "true":
		b.Bool(i, true)
	case "f", "false":
		b.Bool(i, false)
	default:
		return errBool
	}
	return nil
}

func parseIntKind(b *Builder, i int, k Kind, text []byte) error {
	bits := 8 * kinds[k].size
	if k >= Uint8 && k <= Uint32 {
		v, err := parseUint(text, 1<<bits-1)
		if err == nil {
			b.Int(i, int64(v))
		}
		return err
	}
	v, err := parseInt(text, bits)
	if err == nil {
		b.Int(i, v)
	}
	return err
}

func parseInt(text []byte, bits int) (int64, error) {
	limit := uint64(1)<<(bits-1) - 1
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text, limit = text[1:], limit+1
	}
	u, err := parseUint(text, limit)
	if negative {
		u = -u
	}
	return int64(u), err
}

func parseUint(text []byte, limit uint64) (uint64, error) {
	if len(text) == 0 {
		return 0, errEmpty
	}
	v := uint64(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, errSyntax
		}
		digit := uint64(c - '0')
		if v > (limit-digit)/10 || digit > limit {
			return 0, errRange
		}
		v = v*10 + digit
	}
	return v, nil
}

func parseFloatKind(b *Builder, i int, k Kind, text []byte) error {
	bits := 8 * kinds[k].size
	v, err := parseFloat(text, bits)
	switch {
	case err != nil:
		return err
	case k == Float32:
		b.Float32(i, float32(v))
	default:
		b.Float64(i, v)
	}
	return nil
}

// quietNaN is the NaN of Postgres, whose last bits are zero when it becomes a float of 32 bits and back.
const quietNaN = 0x7ff8 << 48

func parseFloat(text []byte, bits int) (float64, error) {
	switch string(text) {
	case nanText:
		return math.Float64frombits(quietNaN), nil
	case infinityText:
		return math.Inf(1), nil
	case minusInfinityText:
		return math.Inf(-1), nil
	}
	zero := true
	for _, c := range text {
		if c == 'e' || c == 'E' {
			break
		}
		zero = zero && (c < '1' || c > '9')
	}
	for _, c := range text { // the parser below knows more spellings than SQL does
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, errSyntax
		}
	}
	v, err := strconv.ParseFloat(string(text), bits)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errRange
	case err != nil:
		return 0, errSyntax
	case v == 0 && !zero:
		return 0, errRange
	}
	return v, nil
}

func parseUUID(b *Builder, i int, text []byte) error {
	var value [16]byte
	var digits [32]byte
	switch {
	case len(text) == 32:
		copy(digits[:], text)
	case len(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-':
		copy(digits[:8], text)
		copy(digits[8:12], text[9:])
		copy(digits[12:16], text[14:])
		copy(digits[16:20], text[19:])
		copy(digits[20:], text[24:])
	default:
		return errUUID
	}
	if _, err := hex.Decode(value[:], digits[:]); err != nil {
		return errUUID
	}
	b.Fixed(i, value[:])
	return nil
}

func parseBytes(dst, text []byte) ([]byte, error) {
	if len(text) < 2 || text[0] != '\\' || text[1] != 'x' {
		return dst, errHex
	}
	out, err := hex.AppendDecode(dst, text[2:])
	if err != nil {
		return dst, errHex
	}
	return out, nil
}

func parseBits(dst, text []byte) ([]byte, error) {
	for _, c := range text {
		if c != '0' && c != '1' {
			return dst, errSyntax
		}
	}
	if len(text) > MaxRowBytes {
		return dst, errRange
	}
	dst = AppendBits(dst, uint32(len(text)), nil)
	bits := dst[len(dst)-(len(text)+7)/8:]
	for i, c := range text {
		bits[i>>3] |= (c - '0') << (7 - i&7)
	}
	return dst, nil
}
