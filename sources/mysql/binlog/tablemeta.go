package binlog

import (
	"fmt"

	"cdc/sources/mysql/value"
)

// Optional metadata of a table map (mysql-server, rows_event.h: Optional_metadata_field_type). Each is a list for the columns it
// concerns, in their order.
const (
	metaSign               = 1
	metaDefaultCharset     = 2
	metaCharsets           = 3
	metaNames              = 4
	metaSetLabels          = 5
	metaEnumLabels         = 6
	metaGeometry           = 7
	metaKey                = 8
	metaPrefixKey          = 9
	metaEnumDefaultCharset = 10
	metaEnumCharsets       = 11
	metaVisibility         = 12
	metaDimensions         = 13
)

// labelsMax bounds the labels of all enums and sets of a table: each costs more memory than the byte it may take on the wire.
const labelsMax = 1 << 20

// columnsReader fills columns from optional metadata.
type columnsReader struct {
	columns []value.Column
	extra   []Extra
	maria   bool
	labels  int
}

// read reads all fields. Those of unknown kinds are left out: the format is made for that.
func (c *columnsReader) read(r *reader) error {
	for len(r.b) > 0 {
		kind := r.u8()
		field := reader{b: r.packedBytes(), bad: r.bad}
		c.field(kind, &field)
		if field.bad {
			return fmt.Errorf("%w: optional metadata %d", ErrMalformed, kind)
		}
	}
	c.decodeLabels()
	return nil
}

func (c *columnsReader) field(kind byte, r *reader) {
	switch kind {
	case metaSign:
		c.signs(r)
	case metaDefaultCharset:
		c.defaultCharset(r, c.hasCharset)
	case metaCharsets:
		c.charsets(r, c.hasCharset)
	case metaNames:
		c.names(r)
	case metaSetLabels:
		c.readLabels(r, value.TypeSet)
	case metaEnumLabels:
		c.readLabels(r, value.TypeEnum)
	case metaGeometry:
		c.each(r, isGeometry, func(i int) { c.setClass(r, i) })
	case metaKey:
		c.key(r, false)
	case metaPrefixKey:
		c.key(r, true)
	case metaEnumDefaultCharset:
		c.defaultCharset(r, isEnumOrSet)
	case metaEnumCharsets:
		c.charsets(r, isEnumOrSet)
	case metaVisibility:
		c.visibility(r)
	case metaDimensions:
		c.each(r, isVector, func(i int) { c.extra[i].Dimension = uint32(r.packed()) })
	}
}

// each calls f for the columns that a list concerns, for which the list must have an element each.
func (c *columnsReader) each(r *reader, concerns func(value.Type) bool, f func(i int)) {
	for i := range c.columns {
		if concerns(c.columns[i].Type) {
			f(i)
		}
	}
	if len(r.b) != 0 {
		r.fail()
	}
}

// setClass sets the class of a geometry column.
func (c *columnsReader) setClass(r *reader, i int) {
	class, ok := value.GeometryClass(r.packed())
	if !ok {
		r.fail()
	}
	c.columns[i].Class = class
}

// signs reads a bit for each number, the first one highest. Servers count YEAR among the numbers; it has no sign to speak of.
func (c *columnsReader) signs(r *reader) {
	n := 0
	for i := range c.columns {
		if !isNumber(c.columns[i].Type) {
			continue
		}
		if n/8 >= len(r.b) {
			r.fail()
			return
		}
		unsigned := r.b[n/8]&(0x80>>(n%8)) != 0
		n++
		if c.columns[i].Type != value.TypeYear {
			c.columns[i].Unsigned = unsigned
			c.columns[i].Known |= value.KnownSign
		}
	}
	// MySQL allots the bits by the number of columns.
	r.rest()
}

// defaultCharset reads the collation that most columns have, and place and collation of the others.
func (c *columnsReader) defaultCharset(r *reader, concerns func(value.Type) bool) {
	common := r.packed()
	var concerned [columnsMax]int16
	n := 0
	for i := range c.columns {
		if concerns(c.columns[i].Type) {
			c.setCharset(r, i, common)
			concerned[n] = int16(i)
			n++
		}
	}
	for len(r.b) > 0 {
		place, collation := r.packed(), r.packed()
		if place >= uint64(n) {
			r.fail()
			return
		}
		c.setCharset(r, int(concerned[place]), collation)
	}
}

func (c *columnsReader) charsets(r *reader, concerns func(value.Type) bool) {
	c.each(r, concerns, func(i int) { c.setCharset(r, i, r.packed()) })
}

// setCharset sets a column's collation. Servers send one for types that have none to speak of, too.
func (c *columnsReader) setCharset(r *reader, i int, collation uint64) {
	if collation == 0 || collation > 0xffff {
		r.fail()
		return
	}
	if t := c.columns[i].Type; t != value.TypeGeometry && t != value.TypeVector {
		c.columns[i].Collation = uint16(collation)
		c.columns[i].Known |= value.KnownCollation
	}
}

// names reads the columns' names. A server that sends them also sends the primary key, if there is one.
func (c *columnsReader) names(r *reader) {
	for i := range c.columns {
		c.columns[i].Name = string(r.packedBytes())
		c.columns[i].Known |= value.KnownName | value.KnownKey
	}
	if len(r.b) != 0 {
		r.fail()
	}
}

func (c *columnsReader) readLabels(r *reader, t value.Type) {
	c.each(r, func(of value.Type) bool { return of == t }, func(i int) {
		n := r.packed()
		if n > uint64(len(r.b)) || c.labels+int(n) > labelsMax {
			r.fail()
			return
		}
		c.labels += int(n)
		labels := make([]string, n)
		for j := range labels {
			labels[j] = string(r.packedBytes())
		}
		c.columns[i].Labels = labels
		c.columns[i].Known |= value.KnownLabels
	})
}

// key reads the places of the primary key's columns, with prefixes how many bytes of each are in it.
func (c *columnsReader) key(r *reader, prefixes bool) {
	for n := uint16(1); len(r.b) > 0; n++ {
		place := r.packed()
		prefix := uint64(0)
		if prefixes {
			prefix = r.packed()
		}
		if place >= uint64(len(c.columns)) || c.columns[place].Key != 0 || prefix > 1<<31 {
			r.fail()
			return
		}
		c.columns[place].Key = n
		c.extra[place].KeyPrefix = uint32(prefix)
	}
}

func (c *columnsReader) visibility(r *reader) {
	bits := r.take((len(c.columns) + 7) / 8)
	for i := range c.columns {
		c.extra[i].Invisible = bits != nil && bits[i/8]&(0x80>>(i%8)) == 0
	}
}

// isNumber tells the types that have a bit among the signs (mysql-server, sql/log_event.cc: is_numeric_type; MariaDB server,
// sql/field.h: binlog_type_info).
func isNumber(t value.Type) bool {
	switch t {
	case value.TypeTiny, value.TypeShort, value.TypeInt24, value.TypeLong, value.TypeLongLong, value.TypeDecimal, value.TypeNewDecimal,
		value.TypeFloat, value.TypeDouble, value.TypeYear:
		return true
	}
	return false
}

// hasCharset tells the types that have a place among the character sets (mysql-server, sql/log_event.cc: is_character_type). That
// includes MySQL's vectors and MariaDB's geometry.
func (c *columnsReader) hasCharset(t value.Type) bool {
	switch t {
	case value.TypeString, value.TypeVarString, value.TypeVarchar, value.TypeBlob, value.TypeVarcharZip, value.TypeBlobZip:
		return true
	case value.TypeVector:
		return !c.maria
	case value.TypeGeometry:
		return c.maria
	}
	return false
}

func isEnumOrSet(t value.Type) bool { return t == value.TypeEnum || t == value.TypeSet }
func isGeometry(t value.Type) bool  { return t == value.TypeGeometry }
func isVector(t value.Type) bool    { return t == value.TypeVector }

// decodeLabels turns labels into UTF-8. Those that cannot be turned are not known: information_schema may tell them.
func (c *columnsReader) decodeLabels() {
	for i := range c.columns {
		if c.columns[i].Known&value.KnownLabels != 0 && !decodeLabels(&c.columns[i]) {
			c.columns[i].Labels = nil
			c.columns[i].Known &^= value.KnownLabels
		}
	}
}

func decodeLabels(c *value.Column) bool {
	var buf []byte
	for i, label := range c.Labels {
		var err error
		if buf, err = value.AppendUTF8(buf[:0], c.Collation, []byte(label)); err != nil {
			return false
		}
		if string(buf) != label {
			c.Labels[i] = string(buf)
		}
	}
	return true
}
