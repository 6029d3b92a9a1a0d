package value

import "strconv"

// fixedPointMax is how many places the point of a double may be away from its first digit before the server goes over to an exponent
// (mysql-server, strings/dtoa.cc: MAX_DECPT_FOR_F_FORMAT).
const fixedPointMax = 15

// appendDouble writes a double as the servers do (strings/dtoa.cc, my_gcvt): the shortest digits that read back as the same number,
// without an exponent while the point is near, and an exponent without a plus or padding.
func appendDouble(dst []byte, v float64) []byte {
	var buf [32]byte
	text := strconv.AppendFloat(buf[:0], v, 'e', -1, 64)
	if text[0] == '-' {
		dst, text = append(dst, '-'), text[1:]
	}
	digits, exponent := splitExponent(text)
	point := exponent + 1 // digits before the point
	switch {
	case v == 0:
		return append(dst, '0')
	case point > fixedPointMax || point < 1-fixedPointMax:
		dst = append(dst, digits[0])
		if len(digits) > 1 {
			dst = append(append(dst, '.'), digits[1:]...)
		}
		return strconv.AppendInt(append(dst, 'e'), int64(exponent), 10)
	case point <= 0:
		dst = append(dst, "0."...)
		for range -point {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	case point >= len(digits):
		dst = append(dst, digits...)
		for range point - len(digits) {
			dst = append(dst, '0')
		}
		return dst
	}
	dst = append(append(dst, digits[:point]...), '.')
	return append(dst, digits[point:]...)
}

// splitExponent takes d.ddde±xx apart and removes the point from the digits, in place.
func splitExponent(text []byte) (digits []byte, exponent int) {
	mark := len(text) - 1
	for text[mark] != 'e' {
		mark--
	}
	for _, c := range text[mark+2:] {
		exponent = exponent*10 + int(c-'0')
	}
	if text[mark+1] == '-' {
		exponent = -exponent
	}
	digits = text[:mark]
	if len(digits) > 1 { // the point is the second byte
		digits[1] = digits[0]
		digits = digits[1:]
	}
	return digits, exponent
}
