package schema

import "encoding/binary"

// bitHeader is the uint32 number of bits before the bits of a packed Bit.
const bitHeader = 4

// AppendBits packs a Bit of n bits, the first bit highest; missing bits are zero and excess ones cut off.
func AppendBits(dst []byte, n uint32, bits []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, n)
	size := int((uint64(n) + 7) / 8)
	bits = bits[:min(size, len(bits))]
	dst = append(dst, bits...)
	for range size - len(bits) {
		dst = append(dst, 0)
	}
	if rest := n % 8; rest != 0 {
		dst[len(dst)-1] &^= 0xff >> rest
	}
	return dst
}

// ReadBits returns the number of bits of a packed Bit and the bits, shared, the first one highest; none for bytes that are no Bit.
func ReadBits(packed []byte) (n int, bits []byte) {
	if !validBits(packed) {
		return 0, nil
	}
	return int(binary.LittleEndian.Uint32(packed)), packed[bitHeader:]
}

// validBits reports whether the bytes are a packed Bit, with zeros behind the last bit.
func validBits(packed []byte) bool {
	if len(packed) < bitHeader {
		return false
	}
	n, bits := int64(binary.LittleEndian.Uint32(packed)), packed[bitHeader:]
	if (n+7)/8 != int64(len(bits)) {
		return false
	}
	return n%8 == 0 || bits[len(bits)-1]&(0xff>>(n%8)) == 0
}

// appendBits writes a packed Bit as zeros and ones.
func appendBits(dst, packed []byte) []byte {
	n, bits := ReadBits(packed)
	for i := range n {
		dst = append(dst, '0'+bits[i>>3]>>(7-i&7)&1)
	}
	return dst
}
