package schema

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// DecimalClass tells numbers from the special values of a Decimal.
type DecimalClass uint8

// Classes of a Decimal. The numbers are stored; do not change them.
const (
	DecimalFinite   DecimalClass = 0
	DecimalNaN      DecimalClass = 1
	DecimalInfinite DecimalClass = 2
)

// Limits of a Decimal, which are those of Postgres; MySQL's are smaller.
const (
	// MaxDecimalScale is the most digits after the point.
	MaxDecimalScale = 16383
	// MaxDecimalWeight is the highest power of 10,000.
	MaxDecimalWeight = 1<<15 - 1
)

// A packed Decimal begins with a byte of sign and class. A finite one goes on with its scale, its weight and its digits.
const (
	decimalNegative   = 0x80
	decimalClassMask  = 0x03
	decimalHeader     = 5 // sign and class, scale uint16, weight int16
	decimalGroup      = 10000
	decimalGroupWidth = 4 // decimal digits of a group
	minDecimalWeight  = -1 << 15
)

// ErrDecimal is the cause of every error about a decimal that cannot be packed.
var ErrDecimal = errors.New("not a decimal")

// DecimalParts is a Decimal taken apart, the way Postgres does: the value is the sum of Digits[i] × 10000^(Weight-i).
type DecimalParts struct {
	Class    DecimalClass
	Negative bool
	// Weight is the power of 10,000 of the first digit.
	Weight int
	// Scale is how many decimal digits are shown after the point.
	Scale int
	// Digits are base-10,000 digits, highest first.
	Digits []uint16
}

// AppendDecimal packs d: without leading and trailing zero digits, without a negative zero or NaN, and with a scale that hides no
// digit, so that equal values of equal scale have equal bytes. The parts must be within the limits above.
func AppendDecimal(dst []byte, d DecimalParts) []byte {
	switch d.Class {
	case DecimalNaN:
		return append(dst, byte(DecimalNaN))
	case DecimalInfinite:
		return append(dst, signByte(d.Negative)|byte(DecimalInfinite))
	case DecimalFinite:
	}
	digits, weight := d.Digits, d.Weight
	for len(digits) > 0 && digits[0] == 0 {
		digits, weight = digits[1:], weight-1
	}
	for len(digits) > 0 && digits[len(digits)-1] == 0 {
		digits = digits[:len(digits)-1]
	}
	if len(digits) == 0 {
		return appendDecimalHeader(dst, false, d.Scale, 0)
	}
	scale := max(d.Scale, shownScale(len(digits), weight, digits[len(digits)-1]))
	dst = appendDecimalHeader(dst, d.Negative, scale, weight)
	for _, digit := range digits {
		dst = binary.LittleEndian.AppendUint16(dst, digit)
	}
	return dst
}

// AppendDecimalPG packs a Postgres numeric as it travels in binary.
func AppendDecimalPG(dst, wire []byte) ([]byte, error) {
	const header = 8
	if len(wire) < header {
		return dst, fmt.Errorf("%w: numeric of %d bytes", ErrDecimal, len(wire))
	}
	n := int(binary.BigEndian.Uint16(wire))
	weight := int(int16(binary.BigEndian.Uint16(wire[2:])))
	sign := binary.BigEndian.Uint16(wire[4:])
	scale := int(binary.BigEndian.Uint16(wire[6:]))
	digits := wire[header:]
	switch {
	case len(digits) != 2*n:
		return dst, fmt.Errorf("%w: numeric of %d digits in %d bytes", ErrDecimal, n, len(wire))
	case sign == 0xC000:
		return append(dst, byte(DecimalNaN)), nil
	case sign == 0xD000 || sign == 0xF000:
		return append(dst, signByte(sign == 0xF000)|byte(DecimalInfinite)), nil
	case sign != 0 && sign != 0x4000:
		return dst, fmt.Errorf("%w: numeric with sign %#x", ErrDecimal, sign)
	case scale > MaxDecimalScale:
		return dst, fmt.Errorf("%w: numeric with scale %d", ErrDecimal, scale)
	}
	for len(digits) > 0 && binary.BigEndian.Uint16(digits) == 0 {
		digits, weight = digits[2:], weight-1
	}
	for len(digits) > 0 && binary.BigEndian.Uint16(digits[len(digits)-2:]) == 0 {
		digits = digits[:len(digits)-2]
	}
	return appendWireDigits(dst, digits, sign != 0, scale, weight)
}

func appendWireDigits(dst, digits []byte, negative bool, scale, weight int) ([]byte, error) {
	if len(digits) == 0 {
		return appendDecimalHeader(dst, false, scale, 0), nil
	}
	if weight < minDecimalWeight {
		return dst, fmt.Errorf("%w: numeric with weight %d", ErrDecimal, weight)
	}
	if last := binary.BigEndian.Uint16(digits[len(digits)-2:]); hidesDigits(len(digits)/2, weight, last, scale) {
		return dst, fmt.Errorf("%w: numeric has digits beyond its scale %d", ErrDecimal, scale)
	}
	start := len(dst)
	dst = appendDecimalHeader(dst, negative, scale, weight)
	for i := 0; i < len(digits); i += 2 {
		digit := binary.BigEndian.Uint16(digits[i:])
		if digit >= decimalGroup {
			return dst[:start], fmt.Errorf("%w: numeric with digit %d", ErrDecimal, digit)
		}
		dst = binary.LittleEndian.AppendUint16(dst, digit)
	}
	return dst, nil
}

// AppendDecimalInt64 packs unscaled × 10^-scale. The scale is at most MaxDecimalScale; a negative one appends zeros.
func AppendDecimalInt64(dst []byte, unscaled int64, scale int) []byte {
	var text [20]byte
	u := uint64(unscaled)
	if unscaled < 0 {
		u = -u
	}
	at := len(text)
	for u > 0 {
		at--
		text[at], u = byte('0'+u%10), u/10
	}
	d := decimalText{digits: text[at:], dot: -1, point: len(text) - at - scale, scale: max(scale, 0), negative: unscaled < 0}
	dst, _ = d.appendPacked(dst) // the limits hold for 64 bits and any allowed scale
	return dst
}

// ValidDecimal reports whether packed is a Decimal as the functions here pack it.
func ValidDecimal(packed []byte) bool {
	d, ok := viewDecimal(packed)
	if !ok {
		return false
	}
	if len(d.digits) == 0 {
		return d.weight == 0 && (d.class != DecimalFinite || !d.negative)
	}
	for i := range d.len() {
		if d.digit(i) >= decimalGroup {
			return false
		}
	}
	last := d.digit(d.len() - 1)
	return d.digit(0) != 0 && last != 0 && !hidesDigits(d.len(), d.weight, last, d.scale)
}

// ReadDecimal takes a packed decimal apart; the digits are appended to digits. It reports false for bytes that are no decimal.
func ReadDecimal(packed []byte, digits []uint16) (DecimalParts, bool) {
	if !ValidDecimal(packed) {
		return DecimalParts{Class: DecimalNaN}, false
	}
	d, _ := viewDecimal(packed)
	for i := range d.len() {
		digits = append(digits, d.digit(i))
	}
	return DecimalParts{Class: d.class, Negative: d.negative, Weight: d.weight, Scale: d.scale, Digits: digits}, true
}

// DecimalInt64 returns value × 10^scale when that is an integer of 64 bits.
func DecimalInt64(packed []byte, scale int) (v int64, exact bool) {
	hi, lo, exact := DecimalInt128(packed, scale)
	if !exact || hi != int64(lo)>>63 {
		return 0, false
	}
	return int64(lo), true
}

// DecimalInt128 returns value × 10^scale in two's complement when that is an integer of 128 bits.
func DecimalInt128(packed []byte, scale int) (hi int64, lo uint64, exact bool) {
	d, ok := viewDecimal(packed)
	if !ok || d.class != DecimalFinite {
		return 0, 0, false
	}
	n := d.len()
	if n == 0 {
		return 0, 0, true
	}
	var m magnitude
	for i := range n - 1 {
		m.mulAdd(decimalGroup, uint64(d.digit(i)))
	}
	last := uint64(d.digit(n - 1))
	tens := decimalGroupWidth*(d.weight-n+1) + scale
	switch {
	case tens <= -decimalGroupWidth: // the last digit is not zero, so something remains after the point
		return 0, 0, false
	case tens < 0:
		cut := pow10[-tens]
		if last%cut != 0 {
			return 0, 0, false
		}
		m.mulAdd(decimalGroup/cut, last/cut)
	default:
		m.mulAdd(decimalGroup, last)
		m.shift(tens)
	}
	return m.signed(d.negative)
}

// CompareDecimal orders two packed decimals by value: -Infinity, numbers, Infinity, NaN. The scale does not count.
func CompareDecimal(a, b []byte) int {
	x, _ := viewDecimal(a)
	y, _ := viewDecimal(b)
	if rx, ry := x.rank(), y.rank(); rx != ry || x.class != DecimalFinite {
		return compare(rx, ry)
	}
	c := compareMagnitude(x, y)
	if x.negative {
		return -c
	}
	return c
}

// decimalView reads a packed decimal in place.
type decimalView struct {
	class    DecimalClass
	negative bool
	scale    int
	weight   int
	digits   []byte // pairs, little-endian
}

// viewDecimal reports false, and a NaN, when the bytes cannot be read.
func viewDecimal(packed []byte) (decimalView, bool) {
	nan := decimalView{class: DecimalNaN}
	if len(packed) == 0 {
		return nan, false
	}
	class, negative := DecimalClass(packed[0]&decimalClassMask), packed[0]&decimalNegative != 0
	switch {
	case packed[0]&^(decimalNegative|decimalClassMask) != 0:
		return nan, false
	case class == DecimalNaN:
		return nan, len(packed) == 1 && !negative
	case class == DecimalInfinite && len(packed) == 1:
		return decimalView{class: class, negative: negative}, true
	case class != DecimalFinite || len(packed) < decimalHeader || (len(packed)-decimalHeader)%2 != 0:
		return nan, false
	}
	d := decimalView{
		negative: negative,
		scale:    int(binary.LittleEndian.Uint16(packed[1:])),
		weight:   int(int16(binary.LittleEndian.Uint16(packed[3:]))),
		digits:   packed[decimalHeader:],
	}
	return d, d.scale <= MaxDecimalScale
}

func (d *decimalView) len() int           { return len(d.digits) / 2 }
func (d *decimalView) digit(i int) uint16 { return binary.LittleEndian.Uint16(d.digits[2*i:]) }

// group is the base-10,000 digit of the power w, zero where there is none.
func (d *decimalView) group(w int) uint16 {
	if i := d.weight - w; i >= 0 && i < d.len() {
		return d.digit(i)
	}
	return 0
}

// rank orders the classes and signs.
func (d *decimalView) rank() int {
	sign := 1
	if d.negative {
		sign = -1
	}
	switch {
	case d.class == DecimalNaN:
		return 3
	case d.class == DecimalInfinite:
		return 2 * sign
	case len(d.digits) == 0:
		return 0
	}
	return sign
}

func compareMagnitude(x, y decimalView) int {
	if x.weight != y.weight {
		return compare(x.weight, y.weight)
	}
	for i := range min(x.len(), y.len()) {
		if p, q := x.digit(i), y.digit(i); p != q {
			return compare(int(p), int(q))
		}
	}
	return compare(x.len(), y.len())
}

func compare(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// shownScale is how many digits after the point are needed to show n groups down to the last one.
func shownScale(n, weight int, last uint16) int {
	after := decimalGroupWidth * (n - 1 - weight)
	if after <= 0 {
		return 0
	}
	for ; last != 0 && last%10 == 0; last /= 10 {
		after--
	}
	return after
}

// hidesDigits reports whether n groups down to the last one, which is not zero, need more digits after the point than scale.
func hidesDigits(n, weight int, last uint16, scale int) bool {
	over := decimalGroupWidth*(n-1-weight) - scale
	return over >= decimalGroupWidth || over > 0 && uint64(last)%pow10[over] != 0
}

func signByte(negative bool) byte {
	if negative {
		return decimalNegative
	}
	return 0
}

func appendDecimalHeader(dst []byte, negative bool, scale, weight int) []byte {
	dst = append(dst, signByte(negative)|byte(DecimalFinite))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(scale))
	return binary.LittleEndian.AppendUint16(dst, uint16(int16(weight)))
}
