package envelope

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"

	"cdc/schema"
	"cdc/sinks/connect"
)

// pointColumn compiles the built-in type point.
func pointColumn(c *schema.Column) column {
	var f fault
	var scratch []byte
	return column{schema: pointSchema(c), problem: f.take, write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		x, y, ok := parsePoint(r.Bytes(i))
		if !ok {
			f.set("point", string(r.Bytes(i)))
			writeNothing(out, s)
			return
		}
		scratch = appendWKBPoint(scratch[:0], x, y)
		out.BeginStruct(s)
		out.Float(s.Fields[0].Schema, x)
		out.Float(s.Fields[1].Schema, y)
		out.Bytes(s.Fields[2].Schema, scratch)
		out.Null(s.Fields[3].Schema)
		out.EndStruct(s)
	}}
}

// parsePoint reads (x,y).
func parsePoint(text []byte) (x, y float64, ok bool) {
	if len(text) < 2 || text[0] != '(' || text[len(text)-1] != ')' {
		return 0, 0, false
	}
	first, second, found := bytes.Cut(text[1:len(text)-1], []byte{','})
	x, errX := strconv.ParseFloat(string(first), 64)
	y, errY := strconv.ParseFloat(string(second), 64)
	return x, y, found && errX == nil && errY == nil
}

// javaFloatBits is Double.doubleToLongBits, which knows one NaN only.
func javaFloatBits(v float64) uint64 {
	if math.IsNaN(v) {
		return 0x7ff8000000000000
	}
	return math.Float64bits(v)
}

// postgisColumn compiles a type of PostGIS, which prints its extended well-known binary in hexadecimal digits.
func postgisColumn(c *schema.Column, name string) column {
	s := named(c, connect.Struct, name)
	s.Fields = []connect.Field{{Name: "wkb", Schema: plain(connect.Bytes)}, {Name: "srid", Schema: optional(connect.Int32)}}
	var f fault
	var scratch []byte
	return column{schema: s, problem: f.take, write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		var err error
		scratch, err = hex.AppendDecode(scratch[:0], r.Bytes(i))
		const header = 1 + 4 // byte order and type
		if err != nil || len(scratch) < header {
			f.set("geometry", string(r.Bytes(i)))
			writeNothing(out, s)
			return
		}
		out.BeginStruct(s)
		out.Bytes(s.Fields[0].Schema, scratch)
		if srid, ok := sridOf(scratch); ok {
			out.Int(s.Fields[1].Schema, int64(srid))
		} else {
			out.Null(s.Fields[1].Schema)
		}
		out.EndStruct(s)
	}}
}

// sridFlag is set in the type of extended well-known binary when the reference system's number follows.
const sridFlag = 0x20000000

func sridOf(ewkb []byte) (srid int32, ok bool) {
	var order binary.ByteOrder = binary.BigEndian
	if ewkb[0] == 1 {
		order = binary.LittleEndian
	}
	if len(ewkb) < 9 || order.Uint32(ewkb[1:])&sridFlag == 0 {
		return 0, false
	}
	return int32(order.Uint32(ewkb[5:])), true
}
