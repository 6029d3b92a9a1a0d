package envelope

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"cdc/schema"
	"cdc/sinks/connect"
)

// binaryColumn compiles a column of bytes.
func binaryColumn(o *Options, c *schema.Column) column {
	var appendTo func(dst, v []byte) []byte
	switch o.Binary {
	case BinaryBase64:
		appendTo = base64.StdEncoding.AppendEncode
	case BinaryURL:
		appendTo = base64.URLEncoding.AppendEncode
	case BinaryHex:
		appendTo = hex.AppendEncode
	default:
		return column{schema: named(c, connect.Bytes, ""), write: writeBytes}
	}
	var scratch []byte
	return column{schema: named(c, connect.String, ""), write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		scratch = appendTo(scratch[:0], r.Bytes(i))
		out.Text(s, scratch)
	}}
}

func writeBytes(out connect.Output, s *connect.Schema, r schema.Row, i int) { out.Bytes(s, r.Bytes(i)) }

// unboundedBits is the length that Debezium gives to bit varying.
const unboundedBits = 1<<31 - 1

// bitColumn compiles bit strings: one bit is a boolean, more are bytes with the last bit lowest, as java.util.BitSet gives them, which
// leaves out zero bytes at the end.
func bitColumn(c *schema.Column) column {
	if c.Precision == 1 {
		return column{schema: named(c, connect.Boolean, ""), write: writeOneBit}
	}
	length := int64(c.Precision)
	if length == 0 {
		length = unboundedBits
	}
	s := named(c, connect.Bytes, "io.debezium.data.Bits")
	s.Parameters = []connect.Parameter{{Name: "length", Value: strconv.FormatInt(length, 10)}}
	var scratch []byte
	return column{schema: s, write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		scratch = appendBitSet(scratch[:0], r.Bytes(i))
		out.Bytes(s, scratch)
	}}
}

func writeOneBit(out connect.Output, s *connect.Schema, r schema.Row, i int) {
	n, bits := schema.ReadBits(r.Bytes(i))
	out.Bool(s, n > 0 && bits[0]&0x80 != 0)
}

func appendBitSet(dst, packed []byte) []byte {
	n, bits := schema.ReadBits(packed)
	start := len(dst)
	for at := range n {
		bit := n - 1 - at // counted from the first, which is highest
		if at%8 == 0 {
			dst = append(dst, 0)
		}
		if bits[bit/8]&(0x80>>(bit%8)) != 0 {
			dst[start+int(at/8)] |= 1 << (at % 8)
		}
	}
	for len(dst) > start && dst[len(dst)-1] == 0 {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// pointSchema is Debezium's of a point.
func pointSchema(c *schema.Column) *connect.Schema {
	s := named(c, connect.Struct, "io.debezium.data.geometry.Point")
	s.Doc = "Geometry (POINT)"
	s.Fields = []connect.Field{
		{Name: "x", Schema: plain(connect.Float64)},
		{Name: "y", Schema: plain(connect.Float64)},
		{Name: "wkb", Schema: optional(connect.Bytes)},
		{Name: "srid", Schema: optional(connect.Int32)},
	}
	return s
}

// wkbPoint is the beginning of a point as well-known binary, little-endian.
var wkbPoint = []byte{1, 1, 0, 0, 0}

// appendWKBPoint appends a point. Numbers that are none have one form only, as in Java.
func appendWKBPoint(dst []byte, x, y float64) []byte {
	dst = append(dst, wkbPoint...)
	dst = binary.LittleEndian.AppendUint64(dst, javaFloatBits(x))
	return binary.LittleEndian.AppendUint64(dst, javaFloatBits(y))
}
