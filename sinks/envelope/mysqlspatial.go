package envelope

import (
	"encoding/binary"
	"math"

	"cdc/schema"
	"cdc/sinks/connect"
)

// Fields of the two structs that geometries are.
const (
	geometryWKB = iota
	geometrySRID
)

const (
	pointX = iota
	pointY
	pointWKB
	pointSRID
)

// geometry compiles a GEOMETRY of any class; a POINT also shows its coordinates.
func (b *binlogColumn) geometry() column {
	if b.base() == "point" {
		return b.point()
	}
	s := named(b.c, connect.Struct, "io.debezium.data.geometry.Geometry")
	s.Doc = "Geometry"
	s.Fields = []connect.Field{
		geometryWKB:  {Name: "wkb", Schema: &connect.Schema{Type: connect.Bytes}},
		geometrySRID: {Name: "srid", Schema: &connect.Schema{Type: connect.Int32, Optional: true}},
	}
	return column{schema: s, write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		srid, wkb := cutSRID(r.Bytes(i))
		out.BeginStruct(s)
		out.Bytes(s.Fields[geometryWKB].Schema, wkb)
		writeSRID(out, s.Fields[geometrySRID].Schema, srid)
		out.EndStruct(s)
	}}
}

func (b *binlogColumn) point() column {
	s := pointSchema(b.c)
	u := b.unheld()
	return column{schema: s, problem: u.problem, write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		srid, wkb := cutSRID(r.Bytes(i))
		x, y, ok := coordinates(wkb)
		switch {
		case ok:
		case s.Optional:
			out.Null(s)
			return
		default:
			u.note(s, r, i)
		}
		out.BeginStruct(s)
		out.Float(s.Fields[pointX].Schema, x)
		out.Float(s.Fields[pointY].Schema, y)
		out.Bytes(s.Fields[pointWKB].Schema, wkb)
		writeSRID(out, s.Fields[pointSRID].Schema, srid)
		out.EndStruct(s)
	}}
}

// cutSRID splits the number of the reference system off. The servers let no value be shorter.
func cutSRID(v []byte) (srid uint32, wkb []byte) {
	if len(v) < 4 {
		return 0, v
	}
	return binary.LittleEndian.Uint32(v), v[4:]
}

// writeSRID writes no reference system as null.
func writeSRID(out connect.Output, s *connect.Schema, srid uint32) {
	if srid == 0 {
		out.Null(s)
		return
	}
	out.Int(s, int64(int32(srid)))
}

// coordinates reads a point.
func coordinates(wkb []byte) (x, y float64, ok bool) {
	const size, point = 1 + 4 + 8 + 8, 1
	if len(wkb) != size {
		return 0, 0, false
	}
	var order binary.ByteOrder = binary.LittleEndian
	if wkb[0] == 0 {
		order = binary.BigEndian
	}
	return math.Float64frombits(order.Uint64(wkb[5:])), math.Float64frombits(order.Uint64(wkb[13:])), order.Uint32(wkb[1:]) == point
}

// vector compiles VECTOR of MySQL: floats of 32 bits, the lowest byte first.
func (b *binlogColumn) vector() column {
	s := named(b.c, connect.Array, "io.debezium.data.FloatVector")
	s.Items = &connect.Schema{Type: connect.Float32}
	return column{schema: s, write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		v := r.Bytes(i)
		out.BeginArray(s, len(v)/4)
		for ; len(v) >= 4; v = v[4:] {
			out.Float(s.Items, float64(math.Float32frombits(binary.LittleEndian.Uint32(v))))
		}
		out.EndArray(s)
	}}
}
