package schema

import (
	"encoding/binary"
	"fmt"
)

const (
	nanText           = "NaN"
	infinityText      = "Infinity"
	minusInfinityText = "-Infinity"
)

// maxDecimalText bounds the text of a decimal: a sign, the digits of the highest weight, a point and the digits of the highest
// scale, with room for leading zeros.
const maxDecimalText = 4*(MaxDecimalWeight+1) + MaxDecimalScale + 1024

// AppendDecimalText appends the exact text of a packed decimal as Postgres prints it: all digits of its scale, no exponent.
func AppendDecimalText(dst, packed []byte) []byte {
	d, _ := viewDecimal(packed)
	switch {
	case d.class == DecimalNaN:
		return append(dst, nanText...)
	case d.class == DecimalInfinite && d.negative:
		return append(dst, minusInfinityText...)
	case d.class == DecimalInfinite:
		return append(dst, infinityText...)
	}
	if d.negative {
		dst = append(dst, '-')
	}
	if d.weight < 0 || len(d.digits) == 0 {
		dst = append(dst, '0')
	} else {
		dst = appendUint(dst, uint64(d.group(d.weight)), 1)
		for w := d.weight - 1; w >= 0; w-- {
			dst = appendUint(dst, uint64(d.group(w)), decimalGroupWidth)
		}
	}
	if d.scale == 0 {
		return dst
	}
	dst = append(dst, '.')
	end := len(dst) + d.scale
	for w := -1; len(dst) < end; w-- {
		dst = appendUint(dst, uint64(d.group(w)), decimalGroupWidth)
	}
	return dst[:end]
}

// ParseDecimal packs the decimal that text spells: digits with an optional sign, point and exponent, NaN, Infinity, -Infinity.
// The scale is the number of digits after the point, as Postgres counts it.
func ParseDecimal(dst, text []byte) ([]byte, error) {
	switch string(text) {
	case nanText:
		return append(dst, byte(DecimalNaN)), nil
	case infinityText:
		return append(dst, byte(DecimalInfinite)), nil
	case minusInfinityText:
		return append(dst, decimalNegative|byte(DecimalInfinite)), nil
	}
	d, err := scanDecimal(text)
	if err != nil {
		return dst, err
	}
	return d.appendPacked(dst)
}

// decimalText is a decimal as a run of decimal digits, in which a point may stand.
type decimalText struct {
	digits   []byte
	dot      int // index of the point in digits, -1 without one
	point    int // digits before the value's point; may be negative, or past the last digit
	scale    int
	negative bool
}

func scanDecimal(text []byte) (decimalText, error) {
	bad := func() (decimalText, error) { return decimalText{}, fmt.Errorf("%w: %s", ErrDecimal, quoteShort(text)) }
	if len(text) > maxDecimalText {
		return decimalText{}, fmt.Errorf("%w: text of %d bytes", ErrDecimal, len(text))
	}
	d := decimalText{digits: text, dot: -1}
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		d.negative = text[0] == '-'
		d.digits = text[1:]
	}
	exponent, end := 0, len(d.digits)
	for i, c := range d.digits {
		if c == '.' && d.dot < 0 {
			d.dot = i
			continue
		}
		if c == 'e' || c == 'E' {
			var ok bool
			if exponent, ok = scanExponent(d.digits[i+1:]); !ok {
				return bad()
			}
			end = i
			break
		}
		if c < '0' || c > '9' {
			return bad()
		}
	}
	d.digits = d.digits[:end]
	n := d.count()
	if n == 0 {
		return bad()
	}
	d.point = n + exponent
	if d.dot >= 0 {
		d.point = d.dot + exponent
	}
	d.scale = max(n-d.point, 0)
	if d.scale > MaxDecimalScale {
		return decimalText{}, fmt.Errorf("%w: scale %d is more than %d", ErrDecimal, d.scale, MaxDecimalScale)
	}
	return d, nil
}

// scanExponent reads a signed exponent of at most six digits, beyond which nothing fits.
func scanExponent(text []byte) (int, bool) {
	sign := 1
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		if text[0] == '-' {
			sign = -1
		}
		text = text[1:]
	}
	if len(text) == 0 || len(text) > 6 {
		return 0, false
	}
	v := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return sign * v, true
}

// count is the number of decimal digits.
func (d *decimalText) count() int {
	if d.dot >= 0 {
		return len(d.digits) - 1
	}
	return len(d.digits)
}

// at is the i-th decimal digit, zero outside the run.
func (d *decimalText) at(i int) uint16 {
	if d.dot >= 0 && i >= d.dot {
		i++
	}
	if i < 0 || i >= len(d.digits) {
		return 0
	}
	return uint16(d.digits[i] - '0')
}

func (d *decimalText) appendPacked(dst []byte) ([]byte, error) {
	first, last := 0, d.count()-1
	for first <= last && d.at(first) == 0 {
		first++
	}
	for last > first && d.at(last) == 0 {
		last--
	}
	if first > last {
		return appendDecimalHeader(dst, false, d.scale, 0), nil
	}
	// The digit i stands for 10^(point-1-i).
	high, low := floorDiv(d.point-1-first, decimalGroupWidth), floorDiv(d.point-1-last, decimalGroupWidth)
	if high > MaxDecimalWeight || high < minDecimalWeight {
		return dst, fmt.Errorf("%w: out of range", ErrDecimal)
	}
	dst = appendDecimalHeader(dst, d.negative, d.scale, high)
	for w := high; w >= low; w-- {
		i := d.point - decimalGroupWidth*(w+1)
		group := d.at(i)*1000 + d.at(i+1)*100 + d.at(i+2)*10 + d.at(i+3)
		dst = binary.LittleEndian.AppendUint16(dst, group)
	}
	return dst, nil
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
