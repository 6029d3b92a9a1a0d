package value

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"cdc/schema"
)

var errLength = fmt.Errorf("%w: a value of the wrong length", ErrImage)

// setText sets a text column to text in its character set.
func setText(b *schema.Builder, i int, cs *charset, text []byte) error {
	var err error
	b.Variable(i, func(dst []byte) []byte {
		dst, err = cs.appendUTF8(dst, text)
		return dst
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, cs.name)
	}
	return nil
}

// setPadded sets a BINARY(n), whose trailing zeros are cut off in the binlog.
func setPadded(b *schema.Builder, i, n int, v []byte) error {
	if len(v) > n {
		return errLength
	}
	b.Variable(i, func(dst []byte) []byte { return appendPadded(dst, v, n) })
	return nil
}

func appendPadded(dst, v []byte, n int) []byte {
	dst = append(dst, v...)
	for range n - len(v) {
		dst = append(dst, 0)
	}
	return dst
}

// setUUID sets a uuid of MariaDB. In the binlog its bytes stand as it is printed; the order in which its tables keep them, with the
// time last, does not show.
func setUUID(b *schema.Builder, i int, v []byte) error {
	var full [16]byte
	if len(v) > len(full) {
		return errLength
	}
	copy(full[:], v)
	b.Fixed(i, full[:])
	return nil
}

// setINET sets an inet4 or inet6 of MariaDB to its text.
func setINET(b *schema.Builder, i, n int, v []byte) error {
	var full [16]byte
	if len(v) > n || n > len(full) {
		return errLength
	}
	copy(full[:], v)
	b.Variable(i, func(dst []byte) []byte {
		if n == 4 {
			return netip.AddrFrom4([4]byte(full[:4])).AppendTo(dst)
		}
		return appendINET6(dst, full)
	})
	return nil
}

// appendINET6 prints as MariaDB does (plugin/type_inet/sql_type_inet.cc): the longest run of zero groups, be it a single one and the
// first of equals, becomes "::", and addresses that map or hold an IPv4 address end in dotted digits.
func appendINET6(dst []byte, raw [16]byte) []byte {
	high, middle, low := binary.BigEndian.Uint64(raw[:]), binary.BigEndian.Uint32(raw[8:]), binary.BigEndian.Uint32(raw[12:])
	ipv4 := netip.AddrFrom4([4]byte(raw[12:]))
	switch {
	case high == 0 && middle == 0xffff:
		return ipv4.AppendTo(append(dst, "::ffff:"...))
	case high == 0 && middle == 0 && low > 0xffff:
		return ipv4.AppendTo(append(dst, "::"...))
	}
	from, to := zeroGroups(raw)
	for i := 0; i < len(raw); i += 2 {
		if i == from {
			dst = append(dst, "::"...)
			i = to - 2
			continue
		}
		if i > 0 && i != to {
			dst = append(dst, ':')
		}
		dst = strconv.AppendUint(dst, uint64(binary.BigEndian.Uint16(raw[i:])), 16)
	}
	return dst
}

// zeroGroups is the longest run of zero groups, the first of equals; from is -1 when there is none.
func zeroGroups(raw [16]byte) (from, to int) {
	from, to = -1, -1
	for i := 0; i < len(raw); i += 2 {
		end := i
		for end < len(raw) && raw[end] == 0 && raw[end+1] == 0 {
			end += 2
		}
		if end-i > to-from {
			from, to = i, end
		}
	}
	return from, to
}
