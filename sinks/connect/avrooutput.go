package connect

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Avro is an Output that appends values in Avro's binary encoding under the schema that AvroSchema makes of theirs. Text is written
// as it is, also when it is not UTF-8. The zero value is ready. It is for one goroutine.
//
// Source: Avro 1.11 specification, "Binary Encoding".
type Avro struct{ dst []byte }

var _ Output = (*Avro)(nil)

// Reset begins a value that is appended to dst, whose memory it takes over.
func (a *Avro) Reset(dst []byte) { a.dst = dst }

// Encoded is what has been written since Reset, with what dst held; shared until the next call of Reset.
func (a *Avro) Encoded() []byte { return a.dst }

// Mark is as Serializer's.
func (a *Avro) Mark() int { return len(a.dst) }

// Since is as Serializer's.
func (a *Avro) Since(mark int) []byte { return a.dst[mark:] }

// ResumeStruct is as Serializer's.
func (a *Avro) ResumeStruct(s *Schema, _ int, b []byte) {
	a.BeginStruct(s)
	a.dst = append(a.dst, b...)
}

// Null writes the branch of null.
func (a *Avro) Null(s *Schema) {
	if !s.Optional {
		panic(fmt.Sprintf("null of a %s that is not optional", s.Type))
	}
	a.dst = append(a.dst, byte(avroNullIndex(s)<<1)) // zigzag
}

// value writes the branch of a value.
func (a *Avro) value(s *Schema) {
	if s.Optional {
		a.dst = append(a.dst, byte((1-avroNullIndex(s))<<1))
	}
}

// Bool writes a boolean.
func (a *Avro) Bool(s *Schema, v bool) {
	check(s, s.Type == Boolean)
	a.value(s)
	b := byte(0)
	if v {
		b = 1
	}
	a.dst = append(a.dst, b)
}

// Int writes an int or a long, which are encoded alike.
func (a *Avro) Int(s *Schema, v int64) {
	check(s, s.Type == Int64 || s.Type == Int32 && v == int64(int32(v)) || s.Type == Int16 && v == int64(int16(v)) || s.Type == Int8 && v == int64(int8(v)))
	a.value(s)
	a.dst = binary.AppendVarint(a.dst, v)
}

// Float writes a float or a double.
func (a *Avro) Float(s *Schema, v float64) {
	check(s, s.Type == Float32 || s.Type == Float64)
	a.value(s)
	if s.Type == Float32 {
		a.dst = binary.LittleEndian.AppendUint32(a.dst, math.Float32bits(float32(v)))
		return
	}
	a.dst = binary.LittleEndian.AppendUint64(a.dst, math.Float64bits(v))
}

// Text writes a string, or the key of an entry when the schema is the map's.
func (a *Avro) Text(s *Schema, v []byte) {
	if s.Type != Map {
		check(s, s.Type == String)
		a.value(s)
	}
	a.bytes(v)
}

// Bytes writes bytes.
func (a *Avro) Bytes(s *Schema, v []byte) {
	check(s, s.Type == Bytes)
	a.value(s)
	a.bytes(v)
}

func (a *Avro) bytes(v []byte) {
	a.dst = append(binary.AppendVarint(a.dst, int64(len(v))), v...)
}

// BeginStruct writes the branch of a struct, whose fields follow with nothing between them.
func (a *Avro) BeginStruct(s *Schema) {
	check(s, s.Type == Struct)
	a.value(s)
}

// EndStruct writes nothing.
func (a *Avro) EndStruct(*Schema) {}

// BeginArray begins the one block of an array.
func (a *Avro) BeginArray(s *Schema, items int) {
	check(s, s.Type == Array)
	a.value(s)
	a.block(items)
}

// EndArray ends the blocks.
func (a *Avro) EndArray(*Schema) { a.dst = append(a.dst, 0) }

// BeginMap begins the one block of a map.
func (a *Avro) BeginMap(s *Schema, entries int) {
	check(s, s.Type == Map)
	a.value(s)
	a.block(entries)
}

// EndMap ends the blocks.
func (a *Avro) EndMap(*Schema) { a.dst = append(a.dst, 0) }

// block begins a block, of which there is none when it would be empty: a count of 0 ends the blocks.
func (a *Avro) block(items int) {
	if items > 0 {
		a.dst = binary.AppendVarint(a.dst, int64(items))
	}
}

// check panics when a value is not of its schema's type: the bytes after it would be read as something else.
func check(s *Schema, fits bool) {
	if !fits {
		panic(fmt.Sprintf("value does not fit its schema of type %s %s", s.Type, s.Name))
	}
}
