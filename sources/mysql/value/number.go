package value

import (
	"encoding/binary"
	"fmt"

	"cdc/schema"
)

var errDigits = fmt.Errorf("%w: a number that the type does not have", ErrImage)

// A DECIMAL is stored in groups of nine decimal digits, four bytes each, from the point outwards; the group at either end takes only
// the bytes that its digits need. The bytes are inverted when it is negative, and the highest bit is inverted always (MySQL,
// strings/decimal.cc, decimal2bin).
const digitsPerGroup = 9

var (
	groupBytes = [digitsPerGroup + 1]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}
	groupLimit = [digitsPerGroup + 1]uint32{1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000}
)

// decimalBytes is the size of a DECIMAL(precision,scale).
func decimalBytes(precision, scale int) int {
	whole := precision - scale
	return whole/digitsPerGroup*4 + groupBytes[whole%digitsPerGroup] + scale/digitsPerGroup*4 + groupBytes[scale%digitsPerGroup]
}

// maxShortDecimal is the precision up to which an unscaled DECIMAL fits 64 bits.
const maxShortDecimal = 18

func (d *Decoder) decimal(f *field, i int, v []byte) error {
	var err error
	precision, scale := f.meta>>8, f.meta&0xff
	if precision <= maxShortDecimal {
		unscaled, ok := shortDecimal(precision, scale, v)
		if !ok {
			return errDigits
		}
		d.builder.Variable(i, func(dst []byte) []byte { return schema.AppendDecimalInt64(dst, unscaled, scale) })
		return nil
	}
	d.scratch.digits, err = appendDecimalText(d.scratch.digits[:0], precision, scale, v)
	if err != nil {
		return err
	}
	return setDecimal(&d.builder, i, d.scratch.digits)
}

// setDecimal sets a DECIMAL to the number that text spells, with all digits of its scale.
func setDecimal(b *schema.Builder, i int, text []byte) error {
	var err error
	b.Variable(i, func(dst []byte) []byte {
		dst, err = schema.ParseDecimal(dst, text)
		return dst
	})
	return err
}

// decimalReader takes a stored DECIMAL apart, group by group.
type decimalReader struct {
	data []byte
	mask byte
	at   int
}

// group reads the next group of so many digits; not ok when it holds more.
func (r *decimalReader) group(digits int) (u uint32, ok bool) {
	for range groupBytes[digits] {
		c := r.data[r.at] ^ r.mask
		if r.at == 0 {
			c ^= 0x80
		}
		u = u<<8 | uint32(c)
		r.at++
	}
	return u, u < groupLimit[digits]
}

func newDecimalReader(v []byte) (r decimalReader, negative bool) {
	r = decimalReader{data: v}
	if v[0]&0x80 == 0 {
		r.mask, negative = 0xff, true
	}
	return r, negative
}

// shortDecimal reads a DECIMAL of at most 18 digits without its point.
func shortDecimal(precision, scale int, v []byte) (unscaled int64, ok bool) {
	r, negative := newDecimalReader(v)
	ok = eachGroup(precision, scale, func(digits int, _ bool) bool {
		u, ok := r.group(digits)
		unscaled = unscaled*int64(groupLimit[digits]) + int64(u)
		return ok
	})
	if negative {
		unscaled = -unscaled
	}
	return unscaled, ok
}

// eachGroup calls f with the digits of each group, highest first, until it returns false.
func eachGroup(precision, scale int, f func(digits int, afterPoint bool) bool) bool {
	whole := precision - scale
	if n := whole % digitsPerGroup; n > 0 && !f(n, false) {
		return false
	}
	for range whole / digitsPerGroup {
		if !f(digitsPerGroup, false) {
			return false
		}
	}
	for range scale / digitsPerGroup {
		if !f(digitsPerGroup, true) {
			return false
		}
	}
	if n := scale % digitsPerGroup; n > 0 {
		return f(n, true)
	}
	return true
}

// appendDecimalText writes a stored DECIMAL as the server prints it.
func appendDecimalText(dst []byte, precision, scale int, v []byte) ([]byte, error) {
	r, negative := newDecimalReader(v)
	if negative {
		dst = append(dst, '-')
	}
	start, point := len(dst), false
	ok := eachGroup(precision, scale, func(digits int, afterPoint bool) bool {
		if afterPoint && !point {
			dst, point = append(trimZeros(dst, start), '.'), true
		}
		u, ok := r.group(digits)
		dst = appendDigits(dst, u, digits)
		return ok
	})
	if !ok {
		return dst, errDigits
	}
	if !point {
		dst = trimZeros(dst, start)
	}
	return dst, nil
}

// trimZeros removes leading zeros of the digits from start on, all but the last digit before the point.
func trimZeros(dst []byte, start int) []byte {
	from := start
	for from < len(dst)-1 && dst[from] == '0' {
		from++
	}
	if start == len(dst) {
		return append(dst, '0')
	}
	return append(dst[:start], dst[from:]...)
}

// appendDigits writes u with so many digits.
func appendDigits(dst []byte, u uint32, digits int) []byte {
	for n := digits - 1; n >= 0; n-- {
		dst = append(dst, byte('0'+u/groupLimit[n]%10))
	}
	return dst
}

// setBits sets a BIT(n) to the lowest n bits of v.
func setBits(b *schema.Builder, i, n int, v uint64) {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], v<<(64-n))
	b.Variable(i, func(dst []byte) []byte { return schema.AppendBits(dst, uint32(n), raw[:]) })
}

// unsignedDigitsMax bounds the number of digits that parseUnsigned reads, so that it cannot overflow unnoticed.
const unsignedDigitsMax = 20

// parseUnsigned reads a whole number; leading zeros of ZEROFILL are fine.
func parseUnsigned(text []byte) (uint64, bool) {
	for len(text) > 1 && text[0] == '0' {
		text = text[1:]
	}
	if len(text) == 0 || len(text) > unsignedDigitsMax {
		return 0, false
	}
	v := uint64(0)
	for _, c := range text {
		digit := uint64(c - '0')
		if digit > 9 || v > (1<<64-1-digit)/10 {
			return 0, false
		}
		v = v*10 + digit
	}
	return v, true
}

// parseSigned reads a whole number with an optional sign.
func parseSigned(text []byte) (int64, bool) {
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	u, ok := parseUnsigned(text)
	switch {
	case negative && u <= 1<<63:
		return int64(-u), ok
	case u >= 1<<63:
		return 0, false
	}
	return int64(u), ok
}
