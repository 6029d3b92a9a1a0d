package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"

	"cdc/schema"
)

// decoder sets column i of the row in b to a value as it came from the wire.
type decoder func(b *schema.Builder, i int, data []byte) error

var (
	errSize  = errors.New("value of the wrong size")
	errValue = errors.New("value that its type does not have")
)

// binaryDecoder is the decoder of a type's binary form, nil when we have none; then the value must travel as text.
func (c *typeCache) binaryDecoder(oid uint32) decoder {
	t, ok := c.resolve(oid, -1)
	if !ok {
		return nil
	}
	switch {
	case t.info.kind == 'e', isCitext(t.info):
		return decodeVariable
	case t.info.oid == oidMoney:
		digits := int(c.moneyDigits)
		return func(b *schema.Builder, i int, data []byte) error { return decodeMoney(b, i, data, digits) }
	case t.info.elem != 0 && t.info.oid != oidInt2Vector && t.info.oid != oidOIDVector:
		return c.arrayDecoder(t.info)
	}
	return binaryDecoders[t.info.oid]
}

// binaryDecoders are the decoders of the built-in scalars' binary forms.
var binaryDecoders = map[uint32]decoder{
	oidBool: decodeBool, oidInt2: decodeInt2, oidInt4: decodeInt4, oidInt8: decodeInt8, oidOID: decodeInt4, oidXID: decodeInt4,
	oidCID: decodeInt4, oidXID8: decodeInt8, oidFloat4: decodeFloat4, oidFloat8: decodeFloat8, oidNumeric: decodeNumeric,
	oidDate: decodeInt4, oidTime: decodeInt8, oidTimestamp: decodeInt8, oidTimestampTZ: decodeInt8, oidTimeTZ: decodeTimeTZ,
	oidInterval: decodeInterval, oidUUID: decodeUUID, oidJSON: decodeVariable, oidJSONB: decodeJSONB, oidBit: decodeBits,
	oidVarbit: decodeBits, oidBytea: decodeVariable, oidText: decodeVariable, oidVarchar: decodeVariable, oidBPChar: decodeVariable,
	oidName: decodeVariable, oidChar: decodeChar, oidXML: decodeVariable, oidInet: decodeInet, oidCIDR: decodeInet,
	oidMacaddr: decodeMacaddr, oidMacaddr8: decodeMacaddr, oidLSN: decodeLSN,
}

func decodeVariable(b *schema.Builder, i int, data []byte) error {
	b.Bytes(i, data)
	return nil
}

func decodeBool(b *schema.Builder, i int, data []byte) error {
	if len(data) != 1 {
		return errSize
	}
	b.Bool(i, data[0] != 0)
	return nil
}

func decodeInt2(b *schema.Builder, i int, data []byte) error {
	if len(data) != 2 {
		return errSize
	}
	b.Int(i, int64(int16(binary.BigEndian.Uint16(data))))
	return nil
}

func decodeInt4(b *schema.Builder, i int, data []byte) error {
	if len(data) != 4 {
		return errSize
	}
	b.Int(i, int64(int32(binary.BigEndian.Uint32(data))))
	return nil
}

func decodeInt8(b *schema.Builder, i int, data []byte) error {
	if len(data) != 8 {
		return errSize
	}
	b.Int(i, int64(binary.BigEndian.Uint64(data)))
	return nil
}

func decodeFloat4(b *schema.Builder, i int, data []byte) error {
	if len(data) != 4 {
		return errSize
	}
	b.Float32(i, math.Float32frombits(binary.BigEndian.Uint32(data)))
	return nil
}

func decodeFloat8(b *schema.Builder, i int, data []byte) error {
	if len(data) != 8 {
		return errSize
	}
	b.Float64(i, math.Float64frombits(binary.BigEndian.Uint64(data)))
	return nil
}

func decodeNumeric(b *schema.Builder, i int, data []byte) error {
	var err error
	b.Variable(i, func(dst []byte) []byte {
		dst, err = schema.AppendDecimalPG(dst, data)
		return dst
	})
	return err
}

func decodeMoney(b *schema.Builder, i int, data []byte, digits int) error {
	if len(data) != 8 {
		return errSize
	}
	v := int64(binary.BigEndian.Uint64(data))
	b.Variable(i, func(dst []byte) []byte { return schema.AppendDecimalInt64(dst, v, digits) })
	return nil
}

func decodeTimeTZ(b *schema.Builder, i int, data []byte) error {
	if len(data) != 12 {
		return errSize
	}
	b.TimeTZ(i, int64(binary.BigEndian.Uint64(data)), int32(binary.BigEndian.Uint32(data[8:])))
	return nil
}

func decodeInterval(b *schema.Builder, i int, data []byte) error {
	if len(data) != 16 {
		return errSize
	}
	b.Interval(i, int64(binary.BigEndian.Uint64(data)), int32(binary.BigEndian.Uint32(data[8:])),
		int32(binary.BigEndian.Uint32(data[12:])))
	return nil
}

func decodeUUID(b *schema.Builder, i int, data []byte) error {
	if len(data) != 16 {
		return errSize
	}
	b.Fixed(i, data)
	return nil
}

// jsonbVersion is the one version of jsonb's binary form: the text behind a byte.
const jsonbVersion = 1

func decodeJSONB(b *schema.Builder, i int, data []byte) error {
	if len(data) < 1 || data[0] != jsonbVersion {
		return errValue
	}
	b.Bytes(i, data[1:])
	return nil
}

func decodeBits(b *schema.Builder, i int, data []byte) error {
	if len(data) < 4 {
		return errSize
	}
	n := binary.BigEndian.Uint32(data)
	if uint64(len(data)-4) != (uint64(n)+7)/8 {
		return errSize
	}
	b.Variable(i, func(dst []byte) []byte { return schema.AppendBits(dst, n, data[4:]) })
	return nil
}

// decodeChar writes the one byte of a "char"; a byte that is no text is written in octal, as newer servers print it.
func decodeChar(b *schema.Builder, i int, data []byte) error {
	switch {
	case len(data) > 1:
		return errSize
	case len(data) == 0 || data[0] == 0:
		b.Bytes(i, nil)
	case data[0] >= 0x80:
		c := data[0]
		b.Bytes(i, []byte{'\\', '0' + c>>6, '0' + c>>3&7, '0' + c&7})
	default:
		b.Bytes(i, data)
	}
	return nil
}

// Address families of inet and cidr on the wire.
const (
	familyIPv4 = 2
	familyIPv6 = 3
)

// decodeInet writes an address as the server prints it: an inet without its mask when that is the whole address, a cidr always
// with it.
func decodeInet(b *schema.Builder, i int, data []byte) error {
	if len(data) < 4 || int(data[3]) != len(data)-4 {
		return errSize
	}
	var addr netip.Addr
	switch {
	case data[0] == familyIPv4 && len(data) == 8:
		addr = netip.AddrFrom4([4]byte(data[4:]))
	case data[0] == familyIPv6 && len(data) == 20:
		addr = netip.AddrFrom16([16]byte(data[4:]))
	default:
		return errValue
	}
	cidr := data[2] != 0
	bits := data[1]
	b.Variable(i, func(dst []byte) []byte {
		dst = appendAddress(dst, addr)
		if cidr || int(bits) != addr.BitLen() {
			dst = strconv.AppendUint(append(dst, '/'), uint64(bits), 10)
		}
		return dst
	})
	return nil
}

// appendAddress prints as Postgres does: IPv6 addresses whose first 96 bits are zero end in dotted digits, unless they are short.
func appendAddress(dst []byte, addr netip.Addr) []byte {
	if addr.Is4() {
		return addr.AppendTo(dst)
	}
	raw := addr.As16()
	for _, c := range raw[:10] {
		if c != 0 {
			return addr.AppendTo(dst)
		}
	}
	mapped := raw[10] == 0xff && raw[11] == 0xff
	compatible := raw[10] == 0 && raw[11] == 0 && (raw[12] != 0 || raw[13] != 0)
	if !mapped && !compatible {
		return addr.AppendTo(dst)
	}
	if mapped {
		dst = append(dst, "::ffff:"...)
	} else {
		dst = append(dst, "::"...)
	}
	return netip.AddrFrom4([4]byte(raw[12:])).AppendTo(dst)
}

func decodeMacaddr(b *schema.Builder, i int, data []byte) error {
	if len(data) != 6 && len(data) != 8 {
		return errSize
	}
	const digits = "0123456789abcdef"
	b.Variable(i, func(dst []byte) []byte {
		for j, c := range data {
			if j > 0 {
				dst = append(dst, ':')
			}
			dst = append(dst, digits[c>>4], digits[c&15])
		}
		return dst
	})
	return nil
}

func decodeLSN(b *schema.Builder, i int, data []byte) error {
	if len(data) != 8 {
		return errSize
	}
	l := binary.BigEndian.Uint64(data)
	b.Variable(i, func(dst []byte) []byte { return appendLSN(dst, l) })
	return nil
}

// appendLSN prints as LSN.String does, without its allocations.
func appendLSN(dst []byte, l uint64) []byte {
	at := len(dst)
	dst = strconv.AppendUint(dst, l>>32, 16)
	dst = append(dst, '/')
	dst = strconv.AppendUint(dst, l&0xffffffff, 16)
	for k := at; k < len(dst); k++ {
		if dst[k] >= 'a' {
			dst[k] -= 'a' - 'A'
		}
	}
	return dst
}

// textDecoder is the decoder of a column's text form, under the pinned settings.
func (c *typeCache) textDecoder(column *schema.Column) decoder {
	t, ok := c.resolve(column.SourceType, -1)
	switch {
	case ok && t.info.oid == oidMoney:
		digits := int(c.moneyDigits)
		return func(b *schema.Builder, i int, data []byte) error { return parseMoney(b, i, data, digits) }
	case ok && t.info.oid == oidChar:
		return func(b *schema.Builder, i int, data []byte) error {
			if len(data) > 1 {
				return decodeVariable(b, i, data) // a newer server has written it in octal
			}
			return decodeChar(b, i, data)
		}
	}
	return func(b *schema.Builder, i int, data []byte) error { return schema.ParseText(b, i, column, data) }
}

// parseMoney reads money as locale C prints it, -$1,234.56: always two digits after the point, whatever the digits mean.
func parseMoney(b *schema.Builder, i int, data []byte, digits int) error {
	negative := false
	var v uint64
	for _, c := range data {
		switch {
		case c == '-':
			negative = true
		case c >= '0' && c <= '9':
			if v > (1<<63)/10 {
				return errValue
			}
			v = v*10 + uint64(c-'0')
		case c != '$' && c != ',' && c != '.':
			return fmt.Errorf("money %q: %w", data, errValue)
		}
	}
	if negative && v <= 1<<63 {
		v = -v
	} else if v > math.MaxInt64 {
		return errValue
	}
	b.Variable(i, func(dst []byte) []byte { return schema.AppendDecimalInt64(dst, int64(v), digits) })
	return nil
}
