package connect

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
)

// JSON writes keys and values as JsonConverter does, with the schema in each when Schemas is set. The zero value is ready. It is for
// one goroutine, and keeps a little for every schema that it has seen.
type JSON struct {
	// Schemas is JsonConverter's schemas.enable.
	Schemas bool

	buf     []byte
	stack   []jsonLevel
	structs map[*Schema]*jsonStruct
	schemas map[*Schema][]byte
}

var _ Serializer = (*JSON)(nil)

// jsonLevel is a struct, an array or a map that has begun.
type jsonLevel struct {
	fields *jsonStruct // nil for arrays and maps
	isMap  bool
	count  int // of the values in it so far
}

// jsonStruct has what stands before each field: the comma, the name and the colon.
type jsonStruct struct{ prefixes [][]byte }

// Begin implements Serializer. It never fails.
func (j *JSON) Begin(_ context.Context, dst []byte, _ string, _ Part, s *Schema) error {
	j.buf, j.stack = dst, j.stack[:0]
	if j.Schemas {
		j.buf = append(j.buf, `{"schema":`...)
		j.buf = append(append(j.buf, j.schema(s)...), `,"payload":`...)
	}
	return nil
}

// End implements Serializer.
func (j *JSON) End() ([]byte, error) {
	if len(j.stack) != 0 {
		return nil, fmt.Errorf("end a value of JSON: %d structs or arrays are open", len(j.stack))
	}
	if j.Schemas {
		j.buf = append(j.buf, '}')
	}
	return j.buf, nil
}

// Mark implements Serializer.
func (j *JSON) Mark() int { return len(j.buf) }

// Since implements Serializer.
func (j *JSON) Since(mark int) []byte { return j.buf[mark:] }

// ResumeStruct implements Serializer.
func (j *JSON) ResumeStruct(s *Schema, fields int, b []byte) {
	j.BeginStruct(s)
	j.buf = append(j.buf, b...)
	j.stack[len(j.stack)-1].count = fields
}

// schema is the schema as JSON.
func (j *JSON) schema(s *Schema) []byte {
	text, ok := j.schemas[s]
	if !ok {
		if j.schemas == nil {
			j.schemas = map[*Schema][]byte{}
		}
		text = AppendSchemaJSON(nil, s)
		j.schemas[s] = text
	}
	return text
}

// place writes what stands before a value.
func (j *JSON) place() {
	if len(j.stack) == 0 {
		return
	}
	l := &j.stack[len(j.stack)-1]
	switch {
	case l.fields != nil:
		j.buf = append(j.buf, l.fields.prefixes[l.count]...)
	case l.isMap && l.count%2 == 1:
		j.buf = append(j.buf, ':')
	case l.count > 0:
		j.buf = append(j.buf, ',')
	}
	l.count++
}

// Null implements Output.
func (j *JSON) Null(*Schema) {
	j.place()
	j.buf = append(j.buf, "null"...)
}

// Bool implements Output.
func (j *JSON) Bool(_ *Schema, v bool) {
	j.place()
	j.buf = strconv.AppendBool(j.buf, v)
}

// Int implements Output.
func (j *JSON) Int(_ *Schema, v int64) {
	j.place()
	j.buf = strconv.AppendInt(j.buf, v, 10)
}

// Float implements Output.
func (j *JSON) Float(s *Schema, v float64) {
	j.place()
	bits := 64
	if s.Type == Float32 {
		bits = 32
	}
	j.buf = appendJavaFloat(j.buf, v, bits)
}

// Text implements Output.
func (j *JSON) Text(_ *Schema, v []byte) {
	j.place()
	j.buf = appendJavaString(j.buf, v)
}

// Bytes implements Output.
func (j *JSON) Bytes(_ *Schema, v []byte) {
	j.place()
	j.buf = append(j.buf, '"')
	j.buf = base64.StdEncoding.AppendEncode(j.buf, v)
	j.buf = append(j.buf, '"')
}

// BeginStruct implements Output.
func (j *JSON) BeginStruct(s *Schema) {
	j.place()
	fields := j.structs[s]
	if fields == nil {
		fields = j.learn(s)
	}
	j.stack = append(j.stack, jsonLevel{fields: fields})
	j.buf = append(j.buf, '{')
}

func (j *JSON) learn(s *Schema) *jsonStruct {
	fields := &jsonStruct{}
	for i := range s.Fields {
		var prefix []byte
		if i > 0 {
			prefix = append(prefix, ',')
		}
		fields.prefixes = append(fields.prefixes, append(appendJavaString(prefix, []byte(s.Fields[i].Name)), ':'))
	}
	if j.structs == nil {
		j.structs = map[*Schema]*jsonStruct{}
	}
	j.structs[s] = fields
	return fields
}

// EndStruct implements Output.
func (j *JSON) EndStruct(*Schema) { j.end('}') }

// BeginArray implements Output.
func (j *JSON) BeginArray(*Schema, int) { j.begin('[', jsonLevel{}) }

// EndArray implements Output.
func (j *JSON) EndArray(*Schema) { j.end(']') }

// BeginMap implements Output.
func (j *JSON) BeginMap(*Schema, int) { j.begin('{', jsonLevel{isMap: true}) }

// EndMap implements Output.
func (j *JSON) EndMap(*Schema) { j.end('}') }

func (j *JSON) begin(mark byte, l jsonLevel) {
	j.place()
	j.stack = append(j.stack, l)
	j.buf = append(j.buf, mark)
}

func (j *JSON) end(mark byte) {
	j.stack = j.stack[:len(j.stack)-1]
	j.buf = append(j.buf, mark)
}

// AppendSchemaJSON appends the schema as JsonConverter writes it.
func AppendSchemaJSON(dst []byte, s *Schema) []byte {
	return append(appendSchemaMembers(dst, s), '}')
}

// appendSchemaMembers leaves the object open, for the name of the field.
func appendSchemaMembers(dst []byte, s *Schema) []byte {
	dst = append(append(append(dst, `{"type":"`...), s.Type...), '"')
	switch s.Type {
	case Struct:
		dst = append(dst, `,"fields":[`...)
		for i, f := range s.Fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendSchemaMembers(dst, f.Schema), `,"field":`...)
			dst = append(appendJavaString(dst, []byte(f.Name)), '}')
		}
		dst = append(dst, ']')
	case Array:
		dst = AppendSchemaJSON(append(dst, `,"items":`...), s.Items)
	case Map:
		dst = append(dst, `,"keys":{"type":"string","optional":false},"values":`...)
		dst = AppendSchemaJSON(dst, s.Items)
	}
	dst = strconv.AppendBool(append(dst, `,"optional":`...), s.Optional)
	if s.Name != "" {
		dst = appendJavaString(append(dst, `,"name":`...), []byte(s.Name))
	}
	if s.Version != 0 {
		dst = strconv.AppendInt(append(dst, `,"version":`...), int64(s.Version), 10)
	}
	if s.Doc != "" {
		dst = appendJavaString(append(dst, `,"doc":`...), []byte(s.Doc))
	}
	for i, p := range s.Parameters {
		if i == 0 {
			dst = append(dst, `,"parameters":{`...)
		} else {
			dst = append(dst, ',')
		}
		dst = append(appendJavaString(dst, []byte(p.Name)), ':')
		dst = appendJavaString(dst, []byte(p.Value))
	}
	if len(s.Parameters) > 0 {
		dst = append(dst, '}')
	}
	if s.Default != nil {
		dst = append(append(dst, `,"default":`...), s.Default...)
	}
	return dst
}
