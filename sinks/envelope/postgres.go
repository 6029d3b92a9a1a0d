package envelope

import (
	"fmt"
	"strconv"
	"strings"

	"cdc/schema"
	"cdc/sinks/connect"
)

// postgresColumn is the typer of PostgreSQL.
//
// Source: "Data type mappings" of Debezium's documentation of the connector for PostgreSQL.
func postgresColumn(o *Options, _ *schema.Table, c *schema.Column) (column, error) {
	typ := parsePostgresType(c.SQLType)
	if c.Kind == schema.Raw && typ.array {
		return postgresArray(o, typ, c)
	}
	return postgresScalar(o, typ, c)
}

// postgresType is a type as format_type prints it, taken apart.
type postgresType struct {
	// name is without the schema, the modifiers and the brackets: "timestamp without time zone".
	name string
	// mods are the modifiers: precision, or precision and scale, or length.
	mods  []int32
	array bool
	// own is set for types that stand in a schema of the database.
	own bool
}

func parsePostgresType(text string) (t postgresType) {
	if rest, ok := strings.CutSuffix(text, "[]"); ok {
		text, t.array = rest, true
	}
	after := strings.LastIndexByte(text, '"') + 1 // what stands in quotes is all name
	open, end := strings.IndexByte(text[after:], '('), strings.IndexByte(text[after:], ')')
	if open >= 0 && end > open {
		for mod := range strings.SplitSeq(text[after+open+1:after+end], ",") {
			if v, err := strconv.ParseInt(strings.TrimSpace(mod), 10, 32); err == nil {
				t.mods = append(t.mods, int32(v))
			}
		}
		text = text[:after+open] + text[after+end+1:]
	}
	if dot := strings.LastIndexByte(text, '.'); dot >= 0 {
		text, t.own = text[dot+1:], true
	}
	t.name = text
	return t
}

// precision is the first modifier, or otherwise.
func (t *postgresType) precision(otherwise int32) int32 {
	if len(t.mods) == 0 {
		return otherwise
	}
	return t.mods[0]
}

// named makes a schema with Debezium's name of its meaning.
func named(c *schema.Column, t connect.Type, name string) *connect.Schema {
	s := &connect.Schema{Type: t, Optional: !c.NotNull, Name: name}
	if name != "" {
		s.Version = 1
	}
	return s
}

// postgresScalar compiles a column that is no array. The zero column is of a type that Debezium does not publish.
func postgresScalar(o *Options, t postgresType, c *schema.Column) (column, error) {
	switch c.Kind {
	case schema.Bool:
		return column{schema: named(c, connect.Boolean, ""), write: writeBool}, nil
	case schema.Int16:
		return column{schema: named(c, connect.Int16, ""), write: writeInt}, nil
	case schema.Int32:
		return column{schema: named(c, connect.Int32, ""), write: writeInt}, nil
	case schema.Int64:
		return column{schema: named(c, connect.Int64, ""), write: writeInt}, nil
	case schema.Uint32:
		if o.Strict && t.name != "oid" {
			return column{}, nil
		}
		return column{schema: named(c, connect.Int64, ""), write: writeInt}, nil
	case schema.Float32:
		return column{schema: named(c, connect.Float32, ""), write: writeFloat32}, nil
	case schema.Float64:
		return column{schema: named(c, connect.Float64, ""), write: writeFloat64}, nil
	case schema.Decimal:
		return postgresDecimal(o, t, c), nil
	case schema.Bytes:
		return binaryColumn(o, c), nil
	case schema.Date, schema.Time, schema.TimeTZ, schema.Timestamp, schema.TimestampTZ, schema.Interval:
		return postgresTime(o, t, c), nil
	case schema.UUID:
		return uuidColumn(c), nil
	case schema.JSON:
		return column{schema: named(c, connect.String, nameJSON), write: writeText}, nil
	case schema.Enum:
		return column{schema: postgresEnum(c), write: writeText}, nil
	case schema.Bit:
		return bitColumn(c), nil
	case schema.Text:
		return postgresText(o, t, c), nil
	case schema.Uint64, schema.Raw:
		return postgresOther(o, t, c), nil
	}
	return column{}, fmt.Errorf("type %s, kept as %s, is not one of PostgreSQL's", c.SQLType, c.Kind)
}

// postgresText compiles a column that is stored as text of its own.
func postgresText(o *Options, t postgresType, c *schema.Column) column {
	switch {
	case t.name == "xml":
		return column{schema: named(c, connect.String, nameXML), write: writeText}
	case t.name == "pg_lsn" && o.Strict:
		return column{}
	}
	return column{schema: named(c, connect.String, ""), write: writeText}
}

// postgresEnum is the schema of an enum. Its parameter with the labels is empty, as the log does not keep them.
func postgresEnum(c *schema.Column) *connect.Schema {
	s := named(c, connect.String, "io.debezium.data.Enum")
	s.Parameters = []connect.Parameter{{Name: "allowed"}}
	return s
}

// Names of schemas.
const (
	nameJSON            = "io.debezium.data.Json"
	nameXML             = "io.debezium.data.Xml"
	nameLtree           = "io.debezium.data.Ltree"
	nameTsvector        = "io.debezium.data.Tsvector"
	nameDecimal         = "org.apache.kafka.connect.data.Decimal"
	nameVariableDecimal = "io.debezium.data.VariableScaleDecimal"
	nameZonedTime       = "io.debezium.time.ZonedTime"
	nameZonedTimestamp  = "io.debezium.time.ZonedTimestamp"
)

// postgresOther compiles a column of a type that is stored as the server prints it.
func postgresOther(o *Options, t postgresType, c *schema.Column) column {
	switch t.name {
	case "ltree":
		return column{schema: named(c, connect.String, nameLtree), write: writeText}
	case "tsvector":
		return column{schema: named(c, connect.String, nameTsvector), write: writeText}
	case "hstore":
		return hstoreColumn(c)
	case "point":
		return pointColumn(c)
	case "geometry":
		return postgisColumn(c, "io.debezium.data.geometry.Geometry")
	case "geography":
		return postgisColumn(c, "io.debezium.data.geometry.Geography")
	case "int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange":
		return column{schema: named(c, connect.String, ""), write: writeText}
	}
	if o.Strict {
		return column{}
	}
	if c.Kind == schema.Uint64 {
		return column{schema: named(c, connect.String, ""), write: textWriter(c)}
	}
	return column{schema: named(c, connect.String, ""), write: writeText}
}

func writeBool(out connect.Output, s *connect.Schema, r schema.Row, i int) { out.Bool(s, r.Bool(i)) }
func writeInt(out connect.Output, s *connect.Schema, r schema.Row, i int)  { out.Int(s, r.Int(i)) }
func writeText(out connect.Output, s *connect.Schema, r schema.Row, i int) { out.Text(s, r.Bytes(i)) }

func writeFloat32(out connect.Output, s *connect.Schema, r schema.Row, i int) {
	out.Float(s, float64(r.Float32(i)))
}

func writeFloat64(out connect.Output, s *connect.Schema, r schema.Row, i int) {
	out.Float(s, r.Float64(i))
}

// textWriter writes the value's text.
func textWriter(c *schema.Column) func(connect.Output, *connect.Schema, schema.Row, int) {
	var scratch []byte
	return func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		scratch = schema.AppendText(scratch[:0], c, r, i)
		out.Text(s, scratch)
	}
}

func uuidColumn(c *schema.Column) column {
	return column{schema: named(c, connect.String, "io.debezium.data.Uuid"), write: textWriter(c)}
}
