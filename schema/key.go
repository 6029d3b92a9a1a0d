package schema

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrAbsent says that a row does not hold a column that its key needs.
var ErrAbsent = errors.New("key column is absent")

// Markers that begin each value of a key; null sorts last.
const (
	keyValue = 0x01
	keyNull  = 0x02
)

// Text in a key ends with a terminator that sorts before any byte that could follow; a zero byte within is escaped.
const (
	keyEnd        = 0x01 // after 0x00
	keyEscapeZero = 0xff // after 0x00
)

// Ranks of decimals in a key.
const (
	keyDecimalMinusInfinity = 0x10
	keyDecimalNegative      = 0x20
	keyDecimalZero          = 0x30
	keyDecimalPositive      = 0x40
	keyDecimalInfinity      = 0x50
	keyDecimalNaN           = 0x60
)

// AppendKey appends the key of a row of t: its key columns in key order, or all its columns when the table has no key. Comparing
// keys as bytes is comparing the rows in SQL's ascending order with nulls last, and values that SQL holds equal have equal bytes.
func AppendKey(dst []byte, t *Table, r Row) ([]byte, error) {
	start := len(dst)
	if len(t.key) == 0 {
		for i := range t.Columns {
			if r.State(i) == Absent {
				return dst[:start], fmt.Errorf("key of %s: %w: %q", t.FullName(), ErrAbsent, t.Columns[i].Name)
			}
			dst = AppendKeyValue(dst, &t.Columns[i], r, i)
		}
		return dst, nil
	}
	for _, i := range t.key {
		if r.State(i) == Absent {
			return dst[:start], fmt.Errorf("key of %s: %w: %q", t.FullName(), ErrAbsent, t.Columns[i].Name)
		}
		dst = AppendKeyValue(dst, &t.Columns[i], r, i)
	}
	return dst, nil
}

// SameKey reports whether both versions name their rows by the same columns, so that the keys of a row have the same bytes in both.
func SameKey(a, b *Table) bool {
	return slices.EqualFunc(a.key, b.key, func(i, j int) bool {
		x, y := &a.Columns[i], &b.Columns[j]
		return x.ID == y.ID && x.Kind == y.Kind && x.Fold == y.Fold && x.SQLType == y.SQLType
	})
}

// AppendKeyValue appends the key of column i of the row, whose column is c. Anything but a value encodes as null. Text is ordered by
// its bytes (collation C), an Enum or Set by its labels.
func AppendKeyValue(dst []byte, c *Column, r Row, i int) []byte {
	if r.State(i) != Present {
		return append(dst, keyNull)
	}
	dst = append(dst, keyValue)
	switch c.Kind {
	case Bool:
		if r.Bool(i) {
			return append(dst, 1)
		}
		return append(dst, 0)
	case Int8, Uint8, Int16, Uint16, Int32, Uint32, Int64, Uint64, Date, Time, Timestamp, TimestampTZ,
		CalendarDate, CalendarTimestamp, CalendarTimestampTZ:
		return appendKeyInt(dst, c.Kind, r, i)
	case Float32:
		return binary.BigEndian.AppendUint32(dst, orderedFloat32(r.Float32(i)))
	case Float64:
		return binary.BigEndian.AppendUint64(dst, orderedFloat64(r.Float64(i)))
	case Decimal:
		return appendKeyDecimal(dst, r.Bytes(i))
	case UUID:
		return append(dst, r.Slot(i)...)
	case TimeTZ:
		micros, west := r.TimeTZ(i)
		dst = appendKeyInt64(dst, micros+int64(west)*microsPerSecond)
		return binary.BigEndian.AppendUint32(dst, uint32(west)^1<<31)
	case Interval:
		micros, days, months := r.Interval(i)
		return appendKeyInterval(dst, interval{micros: micros, days: days, months: months})
	case Bit:
		n, bits := ReadBits(r.Bytes(i))
		return binary.BigEndian.AppendUint32(appendKeyBytes(dst, bits), uint32(n))
	case Text:
		return appendKeyText(dst, c, r.Bytes(i))
	}
	return appendKeyBytes(dst, r.Bytes(i))
}

// appendKeyInt writes big-endian, with the sign flipped where there is one.
func appendKeyInt(dst []byte, k Kind, r Row, i int) []byte {
	v := r.Int(i)
	flip := uint64(0)
	size := kinds[k].size
	if k < Uint8 || k > Uint64 {
		flip = 1 << (8*size - 1)
	}
	u := uint64(v) ^ flip
	switch size {
	case 1:
		return append(dst, byte(u))
	case 2:
		return binary.BigEndian.AppendUint16(dst, uint16(u))
	case 4:
		return binary.BigEndian.AppendUint32(dst, uint32(u))
	}
	return binary.BigEndian.AppendUint64(dst, u)
}

func appendKeyInt64(dst []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(v)^1<<63)
}

// orderedFloat32 makes zeros equal, NaNs equal and last, and turns the order of the bits into the order of the numbers.
func orderedFloat32(v float32) uint32 {
	b := math.Float32bits(v)
	switch {
	case v != v:
		b = math.Float32bits(float32(math.NaN()))
	case v == 0:
		b = 0
	}
	if b>>31 != 0 {
		return ^b
	}
	return b | 1<<31
}

func orderedFloat64(v float64) uint64 {
	b := math.Float64bits(v)
	switch {
	case v != v:
		b = math.Float64bits(math.NaN())
	case v == 0:
		b = 0
	}
	if b>>63 != 0 {
		return ^b
	}
	return b | 1<<63
}

// appendKeyDecimal leaves the scale out: rank, weight, digits plus one, and a zero that ends them; inverted below zero.
func appendKeyDecimal(dst, packed []byte) []byte {
	d, _ := viewDecimal(packed)
	switch {
	case d.class == DecimalNaN:
		return append(dst, keyDecimalNaN)
	case d.class == DecimalInfinite && d.negative:
		return append(dst, keyDecimalMinusInfinity)
	case d.class == DecimalInfinite:
		return append(dst, keyDecimalInfinity)
	case len(d.digits) == 0:
		return append(dst, keyDecimalZero)
	}
	rank, invert := byte(keyDecimalPositive), uint16(0)
	if d.negative {
		rank, invert = keyDecimalNegative, 0xffff
	}
	dst = append(dst, rank)
	dst = binary.BigEndian.AppendUint16(dst, (uint16(int16(d.weight))^1<<15)^invert)
	for i := range d.len() {
		dst = binary.BigEndian.AppendUint16(dst, (d.digit(i)+1)^invert)
	}
	return binary.BigEndian.AppendUint16(dst, invert)
}

// appendKeyInterval writes the interval's length as Postgres compares it, with months of 30 days and days of 24 hours: an integer
// of 80 bits, which holds every interval.
func appendKeyInterval(dst []byte, v interval) []byte {
	days := int64(v.days) + int64(v.months)*30
	hi, lo := mulSigned(days, microsPerDay)
	lo, carry := bits.Add64(lo, uint64(v.micros), 0)
	hi += v.micros>>63 + int64(carry)
	dst = binary.BigEndian.AppendUint16(dst, uint16(hi)^1<<15)
	return binary.BigEndian.AppendUint64(dst, lo)
}

// mulSigned is a × b in 128 bits, b not negative.
func mulSigned(a, b int64) (hi int64, lo uint64) {
	h, l := bits.Mul64(uint64(a), uint64(b))
	if a < 0 {
		h -= uint64(b)
	}
	return int64(h), l
}

func appendKeyBytes(dst, v []byte) []byte {
	for {
		i := bytes.IndexByte(v, 0)
		if i < 0 {
			break
		}
		dst = append(append(dst, v[:i]...), 0, keyEscapeZero)
		v = v[i+1:]
	}
	return append(append(dst, v...), 0, keyEnd)
}

func appendKeyText(dst []byte, c *Column, v []byte) []byte {
	if padded(c.SQLType) {
		v = bytes.TrimRight(v, " ")
	}
	if !c.Fold {
		return appendKeyBytes(dst, v)
	}
	for len(v) > 0 {
		r, size := utf8.DecodeRune(v)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, v[0])
		case r == 0:
			dst = append(dst, 0, keyEscapeZero)
		default:
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
		v = v[size:]
	}
	return append(dst, 0, keyEnd)
}

// padded reports whether values of the declared type are equal when they differ in trailing spaces only.
func padded(sqlType string) bool {
	return strings.HasPrefix(sqlType, "character(") || strings.HasPrefix(sqlType, "char(") || strings.HasPrefix(sqlType, "bpchar")
}
