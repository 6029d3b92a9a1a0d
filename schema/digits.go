package schema

import "strconv"

// appendUint appends v in decimal, padded with zeros to the width.
func appendUint(dst []byte, v uint64, width int) []byte {
	var buf [20]byte
	at := len(buf)
	for v > 0 || width > 0 {
		at--
		buf[at], v = byte('0'+v%10), v/10
		width--
	}
	return append(dst, buf[at:]...)
}

// quoteShort quotes a value for an error message and cuts it where it would fill the screen.
func quoteShort(text []byte) string {
	const most = 64
	if len(text) > most {
		return strconv.Quote(string(text[:most])) + "…"
	}
	return strconv.Quote(string(text))
}
