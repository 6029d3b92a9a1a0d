package envelope

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf16"

	"cdc/schema"
	"cdc/sinks/connect"
)

// table is a compiled table version.
type table struct {
	version *schema.Table
	topic   string
	// schemaName and tableName are for source blocks.
	schemaName, tableName []byte
	columns               []field
	key                   []field
	// keySchema is nil for a table without a key; value is that of a row that may be null.
	keySchema, value, envelope *connect.Schema
	// flat is the row alone, nil unless the format is flat.
	flat *connect.Schema
	// collection counts the changes of a transaction.
	collection *collection
	head       sourceHead
	// problems are those of columns that have one.
	problems []func() error
}

// field is a column with its place in rows.
type field struct {
	column
	at int
}

// collection is a data collection: all that is published under one name of a table.
type collection struct {
	name []byte
	// events of the unit with the number.
	unit   uint64
	events int64
}

// compile prepares a table version.
func (o *Options) compile(k *kind, prefix string, t *schema.Table) (*table, error) {
	c := &table{version: t, topic: topicName(prefix, t.Schema, t.Name), schemaName: []byte(t.Schema), tableName: []byte(t.Name)}
	row := &connect.Schema{Type: connect.Struct, Optional: true, Name: c.topic + ".Value"}
	byPlace := make([]field, len(t.Columns))
	for i := range t.Columns {
		compiled, err := k.column(o, t, &t.Columns[i])
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", t.Columns[i].Name, err)
		}
		f := field{column: compiled, at: i}
		byPlace[i] = f
		if f.schema == nil {
			continue
		}
		c.columns = append(c.columns, f)
		row.Fields = append(row.Fields, connect.Field{Name: t.Columns[i].Name, Schema: f.schema})
		if f.problem != nil {
			c.problems = append(c.problems, f.problem)
		}
	}
	c.value = row
	c.compileKey(byPlace)
	if o.flat() {
		var err error
		if c.flat, err = flatSchema(row); err != nil {
			return nil, err
		}
	}
	c.envelope = &connect.Schema{
		Type: connect.Struct, Name: c.topic + ".Envelope", Version: 2,
		Fields: []connect.Field{
			{Name: "before", Schema: row},
			{Name: "after", Schema: row},
			{Name: "source", Schema: k.source},
			{Name: "transaction", Schema: transactionSchema},
			{Name: "op", Schema: plain(connect.String)},
			{Name: "ts_ms", Schema: optional(connect.Int64)},
			{Name: "ts_us", Schema: optional(connect.Int64)},
			{Name: "ts_ns", Schema: optional(connect.Int64)},
		},
	}
	return c, nil
}

func (c *table) compileKey(byPlace []field) {
	places := c.version.KeyColumns()
	if len(places) == 0 {
		return
	}
	c.keySchema = &connect.Schema{Type: connect.Struct, Name: c.topic + ".Key"}
	for _, i := range places {
		if byPlace[i].schema == nil {
			continue
		}
		c.key = append(c.key, byPlace[i])
		c.keySchema.Fields = append(c.keySchema.Fields, connect.Field{Name: c.version.Columns[i].Name, Schema: byPlace[i].schema})
	}
	if len(c.key) == 0 {
		c.keySchema = nil
	}
}

// hole says what stands for a value that the source has not sent.
type hole uint8

const (
	// blankHole: an old row that is known by its key.
	blankHole hole = iota
	// unavailableHole: a new row of which a large value has not been sent again, and that the log does not hold from before.
	unavailableHole
)

// writeRow writes a row of the table.
func (c *table) writeRow(out connect.Output, s *connect.Schema, r schema.Row, h hole) {
	if r.IsZero() {
		out.Null(s)
		return
	}
	out.BeginStruct(s)
	writeFields(out, c.columns, r, h)
	out.EndStruct(s)
}

// writeKey writes the key of a row.
func (c *table) writeKey(out connect.Output, r schema.Row) {
	out.BeginStruct(c.keySchema)
	writeFields(out, c.key, r, blankHole)
	out.EndStruct(c.keySchema)
}

func writeFields(out connect.Output, fields []field, r schema.Row, h hole) {
	for i := range fields {
		f := &fields[i]
		state := r.State(f.at)
		switch {
		case state == schema.Present:
			f.write(out, f.schema, r, f.at)
		case state == schema.Absent && h == unavailableHole:
			writeUnavailable(out, f.schema)
		case f.schema.Optional:
			out.Null(f.schema)
		default:
			writeBlank(out, f.schema)
		}
	}
}

// problem is the first of the columns' problems.
func (c *table) problem() error {
	for _, problem := range c.problems {
		if err := problem(); err != nil {
			return err
		}
	}
	return nil
}

// keyMoved reports whether an update has given the row another key.
func (c *table) keyMoved(before, after schema.Row) bool {
	if before.IsZero() {
		return false
	}
	for i := range c.key {
		at := c.key[i].at
		if before.State(at) == schema.Present && !bytes.Equal(before.Value(at), after.Value(at)) {
			return true
		}
	}
	return false
}

// unavailable is what Debezium puts in the place of a value that it does not know (unavailable.value.placeholder).
var unavailable = []byte("__debezium_unavailable_value")

// The mark stands for values of types that are long enough to be stored apart, and that can hold it.
func writeUnavailable(out connect.Output, s *connect.Schema) {
	switch {
	case isLongText(s):
		out.Text(s, unavailable)
	case s.Type == connect.Bytes && s.Name == "":
		out.Bytes(s, unavailable)
	case s.Type == connect.Array && isLongText(s.Items):
		out.BeginArray(s, 1)
		out.Text(s.Items, unavailable)
		out.EndArray(s)
	case s.Optional:
		out.Null(s)
	default:
		writeBlank(out, s)
	}
}

// isLongText reports whether values of the schema are text of any length.
func isLongText(s *connect.Schema) bool {
	switch s.Name {
	case "", nameJSON, nameXML, nameTsvector, nameLtree:
		return s.Type == connect.String
	}
	return false
}

// writeBlank writes what Debezium puts in the place of null where the schema allows none.
func writeBlank(out connect.Output, s *connect.Schema) {
	switch s.Type {
	case connect.Boolean:
		out.Bool(s, false)
	case connect.Float32, connect.Float64:
		out.Float(s, 0)
	case connect.String:
		out.Text(s, blankText(s))
	case connect.Bytes:
		out.Bytes(s, blankBytes(s))
	case connect.Array:
		out.BeginArray(s, 0)
		out.EndArray(s)
	case connect.Map:
		out.BeginMap(s, 0)
		out.EndMap(s)
	case connect.Struct:
		writeBlankStruct(out, s)
	default:
		out.Int(s, 0)
	}
}

func writeBlankStruct(out connect.Output, s *connect.Schema) {
	out.BeginStruct(s)
	for i := range s.Fields {
		switch f := s.Fields[i].Schema; {
		case f.Optional:
			out.Null(f)
		case s.Name == nameVariableDecimal && f.Type == connect.Bytes:
			out.Bytes(f, blankDecimal)
		default:
			writeBlank(out, f)
		}
	}
	out.EndStruct(s)
}

// blankDecimal is 0: a decimal of no bytes cannot be read.
var blankDecimal = []byte{0}

func blankText(s *connect.Schema) []byte {
	switch s.Name {
	case nameJSON:
		return []byte("{}")
	case nameZonedTimestamp:
		return []byte("1970-01-01T00:00:00Z")
	case nameZonedTime:
		return []byte("00:00:00Z")
	}
	return nil
}

func blankBytes(s *connect.Schema) []byte {
	if s.Name == nameDecimal {
		return blankDecimal
	}
	return nil
}

// topicName joins the parts as Debezium's topic naming strategy does, with what a topic's name may not have replaced.
func topicName(parts ...string) string {
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteByte('.')
		}
		for _, r := range part {
			switch {
			case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
				b.WriteRune(r)
			case utf16.RuneLen(r) == 2: // Java counts it as two characters
				b.WriteString("__")
			default:
				b.WriteByte('_')
			}
		}
	}
	return b.String()
}
