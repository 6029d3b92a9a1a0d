package connect

import "context"

// Output takes values, depth first: a struct's fields follow BeginStruct, one for each field of its schema and in their order; an
// array's items follow BeginArray; the keys (as Text, with the map's schema) and values of a map follow BeginMap, in turns. Each value
// comes with the schema that it has, so that a form that tells null from a value apart by a mark can write the mark. What is handed
// over is copied.
//
// A value of another type than its schema's is a bug of the caller and panics.
type Output interface {
	Null(s *Schema)
	Bool(s *Schema, v bool)
	// Int is of all integer types.
	Int(s *Schema, v int64)
	// Float is of both float types.
	Float(s *Schema, v float64)
	Text(s *Schema, v []byte)
	Bytes(s *Schema, v []byte)
	BeginStruct(s *Schema)
	EndStruct(s *Schema)
	BeginArray(s *Schema, items int)
	EndArray(s *Schema)
	BeginMap(s *Schema, entries int)
	EndMap(s *Schema)
}

// Part says whether a message's key or its value is meant.
type Part uint8

// Parts.
const (
	Key Part = iota
	Value
)

// Serializer makes bytes of keys and values, one after another: Begin, the value as an Output takes it, End. It is for one goroutine.
type Serializer interface {
	Output
	// Begin starts a key or a value of the topic, whose schema it is. The bytes are appended to dst. An error may be one of a schema
	// registry; then the value is not written, and Begin may be called again.
	Begin(ctx context.Context, dst []byte, topic string, part Part, s *Schema) error
	// End returns dst with what has been appended.
	End() ([]byte, error)

	// Mark is the place of the next byte, for Since: what has been written from a mark on. It is shared until the next call.
	Mark() int
	Since(mark int) []byte
	// ResumeStruct begins a struct whose first fields have been written before: the bytes are what Since returned for as many first
	// fields of a struct of the schema, marked right behind its BeginStruct.
	ResumeStruct(s *Schema, fields int, b []byte)
}
