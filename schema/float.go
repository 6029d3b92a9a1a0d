package schema

import (
	"math"
	"math/bits"
	"strconv"
)

// Postgres writes a float without an exponent from 1e-4 up to these powers of ten, as printf does.
const (
	fixedFloatFrom = -4
	fixedFloat64To = 15
	fixedFloat32To = 6
)

// Digits that always suffice to read a float back.
const (
	fullFloat64Digits = 17
	fullFloat32Digits = 9
)

// appendFloat writes the float of that many bits as Postgres does.
func appendFloat(dst []byte, v float64, size int) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, nanText...)
	case math.IsInf(v, 1):
		return append(dst, infinityText...)
	case math.IsInf(v, -1):
		return append(dst, minusInfinityText...)
	case v == 0 && !math.Signbit(v):
		return append(dst, '0')
	case v == 0:
		return append(dst, "-0"...)
	}
	fixedTo := fixedFloat64To
	if size == 32 {
		fixedTo = fixedFloat32To
	}
	var buf [32]byte
	text := strconv.AppendFloat(buf[:0], v, 'e', -1, size)
	exponent := floatExponent(text)
	switch {
	case exponent < fixedFloatFrom:
		return append(dst, text...)
	case exponent < fixedTo:
		return strconv.AppendFloat(dst, v, 'f', -1, size)
	case betweenFloats(text, v, size):
		return appendInnerFloat(dst, v, size)
	}
	return append(dst, text...)
}

// floatExponent is the exponent of a float in scientific notation.
func floatExponent(text []byte) int {
	exponent, _ := scanExponent(text[floatMark(text)+1:])
	return exponent
}

// floatMark is where the e stands.
func floatMark(text []byte) int {
	at := len(text) - 1
	for at > 0 && text[at] != 'e' {
		at--
	}
	return at
}

// betweenFloats reports whether the shortest text of v lies exactly halfway to the next float. It reads back as v, as ties go to
// the even float, but Postgres does not make use of that and writes more digits: 1e23 as 9.999999999999999e+22. With a halfway point
// below 2^53, an integer or finer, v itself is shorter, so that only those count that are an odd number times a power of two.
func betweenFloats(text []byte, v float64, size int) bool {
	digits, tens := floatDigits(text)
	mantissa, twos := splitFloat(v, size)
	if digits == 0 || tens < 0 {
		return false
	}
	even := bits.TrailingZeros64(digits)
	odd := digits >> even
	for range tens {
		hi, lo := bits.Mul64(odd, 5)
		if hi != 0 {
			return false
		}
		odd = lo
	}
	if even+tens == twos-1 {
		return odd == 2*mantissa-1 || odd == 2*mantissa+1
	}
	// Below a power of two the floats are twice as dense.
	return even+tens == twos-2 && odd == 4*mantissa-1 && mantissa&(mantissa-1) == 0
}

// splitFloat returns v as mantissa × 2^twos, with all bits of the mantissa of a normal float of that size.
func splitFloat(v float64, size int) (mantissa uint64, twos int) {
	width := 53
	if size == 32 {
		width = 24
	}
	fraction, exponent := math.Frexp(math.Abs(v))
	return uint64(math.Ldexp(fraction, width)), exponent - width
}

// floatDigits returns the text of a float as digits × 10^tens.
func floatDigits(text []byte) (digits uint64, tens int) {
	mark := floatMark(text)
	point := -1
	for i, c := range text[:mark] {
		switch {
		case c == '.':
			point = i
		case c != '-':
			digits = digits*10 + uint64(c-'0')
		}
	}
	tens = floatExponent(text)
	if point >= 0 {
		tens -= mark - point - 1
	}
	return digits, tens
}

// appendInnerFloat writes the shortest digits that lie closer to v than halfway to the next float.
func appendInnerFloat(dst []byte, v float64, size int) []byte {
	most := fullFloat64Digits
	if size == 32 {
		most = fullFloat32Digits
	}
	var buf [32]byte
	for n := 1; n < most; n++ {
		text := strconv.AppendFloat(buf[:0], v, 'e', n-1, size)
		read, err := strconv.ParseFloat(string(text), size)
		if err == nil && read == v && !betweenFloats(text, v, size) {
			return append(dst, text...)
		}
	}
	return strconv.AppendFloat(dst, v, 'e', most-1, size)
}
