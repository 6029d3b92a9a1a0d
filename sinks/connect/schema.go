package connect

// Type is a type of Connect, by the name that JsonConverter gives it.
type Type string

// Types.
const (
	Int8    Type = "int8"
	Int16   Type = "int16"
	Int32   Type = "int32"
	Int64   Type = "int64"
	Float32 Type = "float"
	Float64 Type = "double"
	Boolean Type = "boolean"
	String  Type = "string"
	Bytes   Type = "bytes"
	Array   Type = "array"
	Map     Type = "map"
	Struct  Type = "struct"
)

// Schema describes a value. It is immutable once something has been written under it.
type Schema struct {
	Type     Type
	Optional bool
	// Name and Version say what the value means, such as io.debezium.time.Date; no name and 0 when it is only its type.
	Name    string
	Version int
	Doc     string
	// Parameters belong to the meaning, in the order in which they are written.
	Parameters []Parameter
	// Default is the default value as JSON, nil when there is none.
	Default []byte
	// Fields of a struct.
	Fields []Field
	// Items of an array, values of a map, whose keys are strings.
	Items *Schema
}

// Parameter is one parameter of a schema.
type Parameter struct{ Name, Value string }

// Field is one field of a struct.
type Field struct {
	Name   string
	Schema *Schema
}
