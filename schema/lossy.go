package schema

// Projection is a form other than the packed row in which values leave the system.
type Projection uint8

// Projections.
const (
	ProjectDuckDB Projection = iota
	ProjectJSON
	ProjectAvro
)

// String is the projection's name as docs and `cdc types` print it.
func (p Projection) String() string {
	switch p {
	case ProjectDuckDB:
		return "DuckDB"
	case ProjectJSON:
		return "JSON"
	case ProjectAvro:
		return "Avro"
	}
	return "unknown"
}

// Projected says what becomes of the values of a kind in a projection.
type Projected struct {
	// As is the type there.
	As string
	// Loss is what does not survive, empty when everything does.
	Loss string
}

// Projected is how values of kind k appear in projection p; the zero value for a kind that cannot be stored. This is the one place
// that declares losses: code that projects values and docs that describe it follow it.
func (k Kind) Projected(p Projection) Projected {
	if !k.Valid() || p > ProjectAvro {
		return Projected{}
	}
	return projected[k][p]
}

const (
	lossUTF8     = `bytes that are not UTF-8 become U+FFFD`
	lossDuckUTF8 = "bytes that are not UTF-8 are refused"
	lossNaN      = "the bits of a NaN; only that it is one is kept"
	lossRange    = "infinities and instants after 294247-01-10 do not fit and are refused"
)

// Columns of each row: DuckDB, JSON, Avro.
var projected = [...][3]Projected{
	Bool:    {{As: "BOOLEAN"}, {As: "true, false"}, {As: "boolean"}},
	Int8:    {{As: "TINYINT"}, {As: "number"}, {As: "int"}},
	Int16:   {{As: "SMALLINT"}, {As: "number"}, {As: "int"}},
	Int32:   {{As: "INTEGER"}, {As: "number"}, {As: "int"}},
	Int64:   {{As: "BIGINT"}, {As: "number, exact"}, {As: "long"}},
	Uint8:   {{As: "UTINYINT"}, {As: "number"}, {As: "int"}},
	Uint16:  {{As: "USMALLINT"}, {As: "number"}, {As: "int"}},
	Uint32:  {{As: "UINTEGER"}, {As: "number"}, {As: "long"}},
	Uint64:  {{As: "UBIGINT"}, {As: "number, exact"}, {As: "bytes, decimal(20,0)"}},
	Float32: {{As: "FLOAT"}, {"shortest number; NaN and infinities as strings", lossNaN}, {As: "float"}},
	Float64: {{As: "DOUBLE"}, {"shortest number; NaN and infinities as strings", lossNaN}, {As: "double"}},
	Decimal: {
		{"DECIMAL(p,s) up to 38 digits; wider, NaN and infinities as VARCHAR", "the scale of each value where the column has none"},
		{As: "number, exact; NaN and infinities as strings"},
		{"bytes, decimal(p,s); string without a declared precision", "NaN and infinities do not fit decimal(p,s) and are refused"},
	},
	Text:  {{"VARCHAR", lossDuckUTF8}, {"string", lossUTF8}, {"string", lossUTF8}},
	Bytes: {{As: "BLOB"}, {As: `string of \x and hexadecimal digits`}, {As: "bytes"}},
	Date:  {{As: "DATE"}, {As: "string"}, {"int, date", "infinities are refused"}},
	Time: {
		{As: "TIME; VARCHAR when a value is negative or past 24:00:00"}, {As: "string"}, {As: "long, time-micros"},
	},
	TimeTZ:      {{As: "TIMETZ"}, {As: "string"}, {As: "string"}},
	Timestamp:   {{"TIMESTAMP", "instants after 294247-01-10 do not fit and are refused"}, {As: "string"}, {"long, local-timestamp-micros", lossRange}},
	TimestampTZ: {{"TIMESTAMPTZ", "instants after 294247-01-10 do not fit and are refused"}, {As: "string, UTC"}, {"long, timestamp-micros", lossRange}},
	Interval:    {{As: "INTERVAL"}, {As: "string"}, {As: "string"}},
	UUID:        {{As: "UUID"}, {As: "string"}, {As: "string, uuid"}},
	JSON:        {{As: "JSON, the exact text"}, {As: "embedded; line breaks between tokens as spaces; a string when invalid"}, {"string", lossUTF8}},
	Enum:        {{"VARCHAR", "the order of the labels"}, {"string", lossUTF8}, {"string", "the order of the labels"}},
	Set:         {{"VARCHAR", "the order of the labels"}, {"string", lossUTF8}, {"string", "the order of the labels"}},
	Bit:         {{As: "VARCHAR of 0 and 1"}, {As: "string of 0 and 1"}, {As: "string of 0 and 1"}},
	Array:       textProjected,
	Composite:   textProjected,
	Range:       textProjected,
	Geometry:    {{As: "BLOB of SRID and WKB"}, {As: `string of \x and hexadecimal digits`}, {As: "bytes"}},
	Raw:         textProjected,

	CalendarDate:        {{As: "DATE; VARCHAR when a value names no day"}, {As: "string"}, {As: "string"}},
	CalendarTimestamp:   {{As: "TIMESTAMP; VARCHAR when a value names no day"}, {As: "string"}, {As: "string"}},
	CalendarTimestampTZ: {{As: "TIMESTAMPTZ; VARCHAR when a value names no day"}, {As: "string, UTC"}, {As: "string"}},
}

var textProjected = [3]Projected{{"VARCHAR, the source's text", lossDuckUTF8}, {"string, the source's text", lossUTF8}, {"string, the source's text", lossUTF8}}
