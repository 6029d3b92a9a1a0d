package connect

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"cdc/schema"
)

// Names of Connect's logical types, whose Avro schemas say the same in Avro's terms.
const (
	DecimalName   = "org.apache.kafka.connect.data.Decimal"
	DateName      = "org.apache.kafka.connect.data.Date"
	TimeName      = "org.apache.kafka.connect.data.Time"
	TimestampName = "org.apache.kafka.connect.data.Timestamp"
)

// AvroSchema is the Avro schema of s as Confluent's AvroData makes it, as JSON with its members in the same order: an optional value
// is a union with null, null first unless there is a default; what Avro has no words for is a property connect.…; a named type is
// written out once and named afterwards. Names are adjusted.
//
// Two fields of a struct that get one name, and two structs of one name that differ, are errors: Avro cannot tell them apart.
//
// Source: AvroData.fromConnectSchema (Confluent schema registry, avro-data).
func AvroSchema(s *Schema, names AvroNames) ([]byte, error) {
	w := avroSchema{names: names, records: map[string]*Schema{}}
	if err := w.value(s, ""); err != nil {
		return nil, err
	}
	return w.b, nil
}

// avroSchema writes one schema.
type avroSchema struct {
	b       []byte
	names   AvroNames
	records map[string]*Schema // written so far, by full name
}

// value writes the schema of a value within a type of the namespace.
func (w *avroSchema) value(s *Schema, namespace string) error {
	if !s.Optional {
		return w.plain(s, namespace)
	}
	before, after := `["null",`, `]`
	if avroNullIndex(s) == 1 {
		before, after = `[`, `,"null"]`
	}
	w.b = append(w.b, before...)
	err := w.plain(s, namespace)
	w.b = append(w.b, after...)
	return err
}

// plain writes the schema of a value that is not null.
func (w *avroSchema) plain(s *Schema, namespace string) error {
	switch s.Type {
	case Struct:
		return w.record(s, namespace)
	case Array:
		w.b = append(w.b, `{"type":"array","items":`...)
		return w.container(s, namespace)
	case Map:
		w.b = append(w.b, `{"type":"map","values":`...)
		return w.container(s, namespace)
	}
	typ := avroType(s.Type)
	start := len(w.b)
	w.b = append(append(append(w.b, `{"type":"`...), typ...), '"')
	bare := len(w.b)
	if err := w.properties(s); err != nil {
		return err
	}
	if len(w.b) == bare {
		w.b = append(append(append(w.b[:start], '"'), typ...), '"')
		return nil
	}
	w.b = append(w.b, '}')
	return nil
}

func (w *avroSchema) container(s *Schema, namespace string) error {
	if err := w.value(s.Items, namespace); err != nil {
		return err
	}
	err := w.properties(s)
	w.b = append(w.b, '}')
	return err
}

// avroType is the Avro type of a Connect type that is neither a struct nor a container.
func avroType(t Type) string {
	switch t {
	case Int8, Int16, Int32:
		return "int"
	case Int64:
		return "long"
	}
	return string(t) // float, double, boolean, string and bytes have the same names
}

// defaultRecord is the full name of a struct without one.
const defaultRecord = "io.confluent.connect.avro.ConnectDefault"

// recordName is the full name of a struct in Avro.
func (n AvroNames) recordName(s *Schema) string {
	if s.Name == "" {
		return defaultRecord
	}
	return n.typeName(s.Name)
}

// AvroName is the full name of the record that AvroSchema makes of a struct.
func AvroName(s *Schema, names AvroNames) string { return names.recordName(s) }

func (w *avroSchema) record(s *Schema, enclosing string) error {
	full := w.names.recordName(s)
	namespace, name := "", full
	if i := strings.LastIndexByte(full, '.'); i >= 0 {
		namespace, name = full[:i], full[i+1:]
	}
	if earlier := w.records[full]; earlier != nil {
		if earlier != s && !reflect.DeepEqual(earlier.Fields, s.Fields) {
			return fmt.Errorf("type %s has two shapes in one message, which Avro cannot have", full)
		}
		if namespace != enclosing {
			name = full
		}
		w.b = appendJSONText(w.b, name)
		return nil
	}
	w.records[full] = s
	w.b = appendJSONText(append(w.b, `{"type":"record","name":`...), name)
	if namespace != enclosing {
		w.b = appendJSONText(append(w.b, `,"namespace":`...), namespace)
	}
	w.b = append(w.b, `,"fields":[`...)
	if err := w.fields(s, full, namespace); err != nil {
		return err
	}
	w.b = append(w.b, ']')
	err := w.properties(s)
	w.b = append(w.b, '}')
	return err
}

func (w *avroSchema) fields(s *Schema, full, namespace string) error {
	taken := make(map[string]string, len(s.Fields))
	for i := range s.Fields {
		f := &s.Fields[i]
		name := w.names.fieldName(f.Name)
		if other, twice := taken[name]; twice {
			return fmt.Errorf("fields %q and %q of %s are both %q in Avro", other, f.Name, full, name)
		}
		taken[name] = f.Name
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = append(appendJSONText(append(w.b, `{"name":`...), name), `,"type":`...)
		if err := w.value(f.Schema, namespace); err != nil {
			return fmt.Errorf("field %q: %w", f.Name, err)
		}
		if err := w.fieldDefault(f.Schema); err != nil {
			return fmt.Errorf("field %q: %w", f.Name, err)
		}
		w.b = append(w.b, '}')
	}
	return nil
}

func (w *avroSchema) fieldDefault(s *Schema) (err error) {
	switch {
	case avroHasDefault(s):
		w.b, err = appendAvroDefault(append(w.b, `,"default":`...), s)
	case s.Optional:
		w.b = append(w.b, `,"default":null`...)
	}
	return err
}

// properties writes what AvroData adds to a type, each with its leading comma.
func (w *avroSchema) properties(s *Schema) (err error) {
	logical := ""
	switch s.Name {
	case DecimalName:
		if logical, err = w.decimal(s); err != nil {
			return err
		}
	case DateName:
		logical = "date"
	case TimeName:
		logical = "time-millis"
	case TimestampName:
		logical = "timestamp-millis"
	}
	w.text("connect.doc", s.Doc)
	if s.Version != 0 {
		w.b = strconv.AppendInt(append(w.b, `,"connect.version":`...), int64(s.Version), 10)
	}
	w.parameters(s.Parameters)
	if avroHasDefault(s) {
		if w.b, err = appendAvroDefault(append(w.b, `,"connect.default":`...), s); err != nil {
			return err
		}
	}
	if s.Name != "" {
		w.text("connect.name", w.names.typeName(s.Name))
	}
	if s.Type == Int8 || s.Type == Int16 {
		w.text("connect.type", string(s.Type))
	}
	w.text("logicalType", logical)
	return nil
}

func (w *avroSchema) text(name, value string) {
	if value != "" {
		w.b = append(append(append(w.b, `,"`...), name...), `":`...)
		w.b = appendJSONText(w.b, value)
	}
}

func (w *avroSchema) parameters(list []Parameter) {
	for i, p := range list {
		if i == 0 {
			w.b = append(w.b, `,"connect.parameters":{`...)
		} else {
			w.b = append(w.b, ',')
		}
		w.b = append(appendJSONText(w.b, p.Name), ':')
		w.b = appendJSONText(w.b, p.Value)
	}
	if len(list) > 0 {
		w.b = append(w.b, '}')
	}
}

// decimalPrecision is what AvroData writes for a decimal that does not say its own.
const decimalPrecision = 64

// decimal writes scale and precision. AvroData calls every decimal that, although Avro then ignores the logical type of one whose
// scale is negative or larger than its precision.
func (w *avroSchema) decimal(s *Schema) (logical string, err error) {
	scale, precision := 0, decimalPrecision
	for _, p := range s.Parameters {
		switch p.Name {
		case "scale":
			scale, err = strconv.Atoi(p.Value)
		case "connect.decimal.precision":
			precision, err = strconv.Atoi(p.Value)
		}
		if err != nil {
			return "", fmt.Errorf("parameter %s of a decimal: %w", p.Name, err)
		}
	}
	w.b = strconv.AppendInt(append(w.b, `,"scale":`...), int64(scale), 10)
	w.b = strconv.AppendInt(append(w.b, `,"precision":`...), int64(precision), 10)
	return "decimal", nil
}

// avroHasDefault reports whether Avro can have the default. It has no numbers for NaN and the infinities, and within a container no
// default can name the branch of a union.
func avroHasDefault(s *Schema) bool {
	switch s.Type {
	case Struct, Array, Map:
		return false
	case Float32, Float64:
		return len(s.Default) > 0 && s.Default[0] != '"'
	}
	return len(s.Default) > 0
}

// avroNullIndex is the place of null in the union of an optional value: the type of a default must come first.
func avroNullIndex(s *Schema) int {
	if avroHasDefault(s) {
		return 1
	}
	return 0
}

// appendAvroDefault appends the default as Avro has it in JSON: bytes are text there, a byte a character.
func appendAvroDefault(dst []byte, s *Schema) ([]byte, error) {
	if s.Type != Bytes {
		return append(dst, s.Default...), nil
	}
	var encoded string
	if err := json.Unmarshal(s.Default, &encoded); err != nil {
		return nil, fmt.Errorf("default %s of bytes: %w", s.Default, err)
	}
	value, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("default %s of bytes: %w", s.Default, err)
	}
	text := make([]byte, 0, 2*len(value))
	for _, b := range value {
		text = utf8.AppendRune(text, rune(b))
	}
	return schema.AppendJSONString(dst, text), nil
}

func appendJSONText(dst []byte, text string) []byte {
	return schema.AppendJSONString(dst, []byte(text))
}
