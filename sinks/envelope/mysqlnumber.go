package envelope

import (
	"encoding/binary"
	"strconv"

	"cdc/schema"
	"cdc/sinks/connect"
)

// bigUnsignedDigits is the precision that Debezium gives a BIGINT UNSIGNED in the mode precise.
const bigUnsignedDigits = 20

// number compiles integers, floats, decimals and bits. An unsigned integer gets the next larger type, as Connect has none.
func (b *binlogColumn) number() column {
	switch b.c.Kind {
	case schema.Int8, schema.Uint8:
		return column{schema: named(b.c, connect.Int16, ""), write: writeInt}
	case schema.Int16:
		if b.base() == "year" {
			return b.year()
		}
		return column{schema: named(b.c, connect.Int16, ""), write: writeInt}
	case schema.Int32, schema.Uint16:
		return column{schema: named(b.c, connect.Int32, ""), write: writeInt}
	case schema.Uint32:
		if b.base() == "mediumint" {
			return column{schema: named(b.c, connect.Int32, ""), write: writeInt}
		}
		return column{schema: named(b.c, connect.Int64, ""), write: writeInt}
	case schema.Int64:
		return column{schema: named(b.c, connect.Int64, ""), write: writeInt}
	case schema.Uint64:
		return b.bigUnsigned()
	case schema.Float32:
		return column{schema: named(b.c, connect.Float32, ""), write: writeFloat32}
	case schema.Float64:
		return column{schema: named(b.c, connect.Float64, ""), write: writeFloat64}
	case schema.Decimal:
		return b.decimal()
	}
	return b.bits()
}

// year compiles YEAR, whose 0000 Debezium takes for a year that somebody wrote with two digits.
func (b *binlogColumn) year() column {
	c := column{schema: named(b.c, connect.Int32, "io.debezium.time.Year"), write: writeInt}
	if b.o.Strict {
		c.write = func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
			v := r.Int(i)
			if v == 0 {
				v = 1900
			}
			out.Int(s, v)
		}
	}
	return c
}

// bigUnsigned compiles BIGINT UNSIGNED. In the mode long, the numbers from 2^63 on have the 64 bits that they have in the server, and
// are negative, as with Debezium: they stay different ones, and a reader gets the number back by reading it as unsigned.
func (b *binlogColumn) bigUnsigned() column {
	if b.o.Unsigned != UnsignedPrecise {
		return column{schema: named(b.c, connect.Int64, ""), write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
			out.Int(s, int64(r.Uint64(i)))
		}}
	}
	scratch := make([]byte, 9)
	s := decimalSchema(b.c, bigUnsignedDigits, 0)
	return column{schema: s, write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		binary.BigEndian.PutUint64(scratch[1:], r.Uint64(i))
		out.Bytes(s, shortest(scratch))
	}}
}

func (b *binlogColumn) decimal() column {
	switch b.o.Decimals {
	case DecimalString:
		return column{schema: named(b.c, connect.String, ""), write: decimalText(b.o, b.c)}
	case DecimalDouble:
		return column{schema: named(b.c, connect.Float64, ""), write: writeDecimalDouble}
	}
	return decimalColumn(decimalSchema(b.c, b.c.Precision, b.c.Scale), int(b.c.Scale))
}

// bits compiles BIT: one bit is a boolean, more are as many bytes as the column has, the lowest first.
func (b *binlogColumn) bits() column {
	if b.c.Precision == 1 {
		return column{schema: named(b.c, connect.Boolean, ""), write: writeOneBit}
	}
	s := named(b.c, connect.Bytes, "io.debezium.data.Bits")
	s.Parameters = []connect.Parameter{{Name: "length", Value: strconv.Itoa(int(b.c.Precision))}}
	scratch := make([]byte, 8)
	size := min(int(b.c.Precision+7)/8, len(scratch))
	return column{schema: s, write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		binary.LittleEndian.PutUint64(scratch, bitNumber(r.Bytes(i)))
		out.Bytes(s, scratch[:size])
	}}
}

// bitNumber is the number that the bits are; MySQL's are at most 64.
func bitNumber(packed []byte) uint64 {
	n, bits := schema.ReadBits(packed)
	v := uint64(0)
	for _, b := range bits {
		v = v<<8 | uint64(b)
	}
	return v >> (8*len(bits) - n)
}
