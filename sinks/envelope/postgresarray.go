package envelope

import (
	"bytes"
	"fmt"

	"cdc/schema"
	"cdc/sinks/connect"
)

// elementKinds are the kinds of the built-in types that are stored as more than their text, by name.
var elementKinds = map[string]schema.Kind{
	"boolean": schema.Bool, "smallint": schema.Int16, "integer": schema.Int32, "bigint": schema.Int64, "oid": schema.Uint32,
	"real": schema.Float32, "double precision": schema.Float64, "numeric": schema.Decimal, "bytea": schema.Bytes,
	"date": schema.Date, "time without time zone": schema.Time, "time with time zone": schema.TimeTZ,
	"timestamp without time zone": schema.Timestamp, "timestamp with time zone": schema.TimestampTZ, "interval": schema.Interval,
	"uuid": schema.UUID, "json": schema.JSON, "jsonb": schema.JSON, "bit": schema.Bit, "bit varying": schema.Bit,
	"text": schema.Text, "character varying": schema.Text, "character": schema.Text, `"char"`: schema.Text, "name": schema.Text,
	"xml": schema.Text, "inet": schema.Text, "cidr": schema.Text, "macaddr": schema.Text, "macaddr8": schema.Text,
	"citext": schema.Text, "money": schema.Text, "pg_lsn": schema.Text,
}

// arrayReader reads arrays, which are kept as the server prints them, and writes their elements.
type arrayReader struct {
	fault
	element column
	// of is the element as a column of its own, layout that of a row of it alone.
	of      *schema.Column
	layout  *schema.Layout
	strict  bool
	delim   byte
	builder schema.Builder
	packed  []byte
	item    []byte
}

// postgresArray compiles an array. Its elements have the schema that a column of their type would have, and may be null.
func postgresArray(o *Options, t postgresType, c *schema.Column) (column, error) {
	kind, builtin := elementKinds[t.name]
	if !builtin {
		kind = schema.Raw
	}
	a := &arrayReader{strict: o.Strict, of: &schema.Column{Name: c.Name, Kind: kind, SQLType: c.SQLType}}
	if kind == schema.Decimal && len(t.mods) > 0 {
		a.of.Precision = t.mods[0]
		if len(t.mods) > 1 {
			a.of.Scale = t.mods[1]
		}
	}
	if kind == schema.Bit {
		a.of.Precision = t.precision(0)
	}
	a.delim = ','
	if t.name == "box" {
		a.delim = ';'
	}
	var err error
	if a.element, err = postgresScalar(o, t, a.of); err != nil {
		return column{}, err
	}
	switch {
	case a.element.schema == nil && t.own:
		// It may be an enum, which Debezium publishes; the log does not tell enums from composites here.
		a.element = column{schema: named(a.of, connect.String, ""), write: writeText}
	case a.element.schema == nil:
		return column{}, nil
	}
	if a.layout, err = schema.NewLayout([]schema.Column{*a.of}); err != nil {
		return column{}, err
	}
	s := named(c, connect.Array, "")
	s.Items = a.element.schema
	return column{schema: s, write: a.write, problem: a.problem}, nil
}

func (a *arrayReader) problem() error {
	if err := a.take(); err != nil || a.element.problem == nil {
		return err
	}
	return a.element.problem()
}

// write writes the elements one after another. Connect's arrays have one dimension and count from nothing: of an array of several,
// the elements stand in the order in which PostgreSQL stores them, the last index running fastest.
func (a *arrayReader) write(out connect.Output, s *connect.Schema, r schema.Row, i int) {
	text := r.Bytes(i)
	n, deep, ok := a.countElements(text)
	if !ok {
		a.set("array", string(text))
		writeNothing(out, s)
		return
	}
	if deep && a.strict {
		a.writeOuter(out, s, text)
		return
	}
	out.BeginArray(s, n)
	scan := arrayScanner{text: afterBounds(text), delim: a.delim}
	for {
		item, null, more := scan.next(a.item[:0])
		if !more {
			break
		}
		a.item = item
		a.writeElement(out, s.Items, null)
	}
	out.EndArray(s)
}

// writeOuter writes a null for each element of the first dimension, as Debezium does.
func (a *arrayReader) writeOuter(out connect.Output, s *connect.Schema, text []byte) {
	outer, depth, quoted := 0, 0, false
	text = afterBounds(text)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			if depth++; depth == 2 {
				outer++
			}
		case c == '}':
			depth--
		}
	}
	out.BeginArray(s, outer)
	for range outer {
		writeNothing(out, s.Items)
	}
	out.EndArray(s)
}

// writeElement writes the element that a.item holds.
func (a *arrayReader) writeElement(out connect.Output, s *connect.Schema, null bool) {
	if null {
		writeNothing(out, s)
		return
	}
	a.builder.Reset(a.layout, a.packed[:0])
	err := schema.ParseText(&a.builder, 0, a.of, a.item)
	if err == nil {
		a.packed, err = a.builder.Finish()
	}
	var row schema.Row
	if err == nil {
		row, err = a.layout.Row(a.packed)
	}
	if err != nil {
		a.set(fmt.Sprintf("element of an array of %s", a.of.SQLType), string(a.item))
		writeNothing(out, s)
		return
	}
	a.element.write(out, s, row, 0)
}

// afterBounds is the array without the bounds that stand before it when they are not 1: [0:1]={a,b}.
func afterBounds(text []byte) []byte {
	if len(text) > 0 && text[0] == '[' {
		if i := bytes.IndexByte(text, '='); i >= 0 {
			return text[i+1:]
		}
	}
	return text
}

// countElements counts an array's elements of all dimensions, and reports whether it has more than one and whether it can be read.
func (a *arrayReader) countElements(text []byte) (n int, deep, ok bool) {
	scan := arrayScanner{text: afterBounds(text), delim: a.delim}
	for {
		var more bool
		if a.item, _, more = scan.next(a.item[:0]); !more {
			return n, scan.deepest > 1, scan.depth == 0 && scan.deepest > 0 && scan.at == len(scan.text)
		}
		n++
	}
}

// arrayScanner yields the elements of an array's text, whatever its braces.
type arrayScanner struct {
	text           []byte
	delim          byte
	at             int
	depth, deepest int
}

// next appends the next element to dst. It ends at text that it cannot read, short of the text's end.
func (s *arrayScanner) next(dst []byte) (item []byte, null, more bool) {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case '{':
			s.depth++
			s.deepest = max(s.deepest, s.depth)
			s.at++
		case '}':
			s.depth--
			s.at++
			if s.depth <= 0 {
				return dst, false, false
			}
		case s.delim:
			s.at++
		case '"':
			item, rest, ok := cutQuoted(dst, s.text[s.at:])
			if !ok || s.depth == 0 {
				return dst, false, false
			}
			s.at = len(s.text) - len(rest)
			return item, false, true
		default:
			if s.depth == 0 {
				return dst, false, false
			}
			return s.bare(dst)
		}
	}
	return dst, false, false
}

// bare reads an element without quotes.
func (s *arrayScanner) bare(dst []byte) (item []byte, null, more bool) {
	start := s.at
	for s.at < len(s.text) && s.text[s.at] != s.delim && s.text[s.at] != '}' && s.text[s.at] != '{' && s.text[s.at] != '"' {
		s.at++
	}
	item = append(dst, s.text[start:s.at]...)
	return item, string(item) == "NULL", true
}
