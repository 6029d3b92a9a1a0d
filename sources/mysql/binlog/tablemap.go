package binlog

import (
	"fmt"

	"cdc/sources/mysql/value"
)

// TableMap names and describes a table. It stands before the row events of each statement.
type TableMap struct {
	// Table is the number by which row events name the table until the statement ends. The same table may get another one later.
	Table uint64
	Flags uint16
	// Schema and Name are in UTF-8.
	Schema, Name []byte
	// Description is what Columns reads. Equal descriptions of one server describe the same columns, so that whoever keeps the last
	// one of a table need not read it again.
	Description []byte
}

// ParseTableMap reads a TABLE_MAP up to its columns (mysql-server, libs/mysql/binlog/event/rows_event.h: Table_map_event).
func ParseTableMap(e Event) (TableMap, error) {
	r := reader{b: e.Body}
	m := TableMap{Table: r.u48(), Flags: r.u16()}
	m.Schema = r.packedBytes()
	end := r.u8()
	m.Name = r.packedBytes()
	end |= r.u8()
	m.Description = r.rest()
	if end != 0 || len(m.Description) == 0 {
		r.fail()
	}
	return m, r.err(e.Type)
}

// Extra is what a table map tells of a column beyond value.Column.
type Extra struct {
	// Invisible says that SELECT * does not show the column.
	Invisible bool
	// KeyPrefix is how many bytes of the column are in the primary key, when it is not all of it.
	KeyPrefix uint32
	// Dimension is how many numbers the vectors of a column have.
	Dimension uint32
}

// Columns reads what the table map tells of its columns, by their place. How much that is depends on binlog_row_metadata: types
// and signs always, with FULL also names, labels and the primary key. Labels are in UTF-8, and not
// known when their character set is not.
func (m *TableMap) Columns(f *Format) ([]value.Column, []Extra, error) {
	r := reader{b: m.Description}
	n := r.packed()
	if n == 0 || n > columnsMax {
		r.fail()
	}
	types := r.sized(n)
	metas := reader{b: r.packedBytes()}
	nullable := r.sized((n + 7) / 8)
	if r.bad {
		return nil, nil, r.err(TypeTableMap)
	}
	c := columnsReader{columns: make([]value.Column, n), extra: make([]Extra, n), maria: f.MariaDB}
	for i := range c.columns {
		column := &c.columns[i]
		column.Type = value.Type(types[i])
		column.Nullable = nullable[i/8]&(1<<(i%8)) != 0
		if err := readMeta(&metas, column); err != nil {
			return nil, nil, fmt.Errorf("read %s event: column %d: %w", TypeTableMap, i+1, err)
		}
	}
	if metas.bad || len(metas.b) != 0 {
		r.fail()
		return nil, nil, r.err(TypeTableMap)
	}
	if err := c.read(&r); err != nil {
		return nil, nil, fmt.Errorf("read %s event: %w", TypeTableMap, err)
	}
	return c.columns, c.extra, nil
}

// readMeta reads a type's metadata and brings it into the form that value.Column has it in (mysql-server,
// libs/mysql/binlog/event/rows_event.h: "Table_map_event column types"; sql/rpl_utility.cc: table_def).
func readMeta(r *reader, c *value.Column) error {
	switch c.Type {
	case value.TypeDecimal, value.TypeTiny, value.TypeShort, value.TypeLong, value.TypeNull, value.TypeTimestamp, value.TypeLongLong,
		value.TypeInt24, value.TypeDate, value.TypeTime, value.TypeDateTime, value.TypeYear, value.TypeNewDate:
	case value.TypeFloat, value.TypeDouble, value.TypeBlob, value.TypeBlobZip, value.TypeGeometry, value.TypeVector, value.TypeJSON,
		value.TypeTimestamp2, value.TypeDateTime2, value.TypeTime2:
		c.Meta = uint16(r.u8())
	case value.TypeVarchar, value.TypeVarcharZip, value.TypeVarString:
		c.Meta = r.u16()
	case value.TypeBit:
		odd, whole := r.u8(), r.u8()
		c.Meta = uint16(whole)*8 + uint16(odd)
	case value.TypeNewDecimal:
		precision, scale := r.u8(), r.u8()
		c.Meta = uint16(precision)<<8 | uint16(scale)
	case value.TypeString:
		return readStringMeta(r, c)
	default:
		return fmt.Errorf("type %d: %w", c.Type, ErrUnsupported)
	}
	return checkMeta(r, c)
}

// readStringMeta reads the metadata of STRING, which stands for enums and sets, too: the true type and a size. Two bits of a length
// over 255 are hidden in the type, where all true types have ones, upside down.
func readStringMeta(r *reader, c *value.Column) error {
	const hidden = 0x30
	real, size := r.u8(), uint16(r.u8())
	if real&hidden != hidden {
		size |= uint16(real&hidden^hidden) << 4
		real |= hidden
	}
	switch value.Type(real) {
	case value.TypeEnum, value.TypeSet, value.TypeString:
		c.Type = value.Type(real)
	default:
		if !r.bad {
			return fmt.Errorf("type %d: %w", real, ErrUnsupported)
		}
	}
	c.Meta = size
	return checkMeta(r, c)
}

// checkMeta refuses metadata that no server writes and that no decoder should have to think of.
func checkMeta(r *reader, c *value.Column) error {
	good := true
	switch c.Type {
	case value.TypeFloat:
		good = c.Meta == 4
	case value.TypeDouble:
		good = c.Meta == 8
	case value.TypeBlob, value.TypeBlobZip, value.TypeGeometry, value.TypeVector, value.TypeJSON:
		good = c.Meta >= 1 && c.Meta <= 4
	case value.TypeTimestamp2, value.TypeDateTime2, value.TypeTime2:
		good = c.Meta <= 6
	case value.TypeBit:
		good = c.Meta >= 1 && c.Meta <= 64
	case value.TypeNewDecimal:
		precision, scale := c.Meta>>8, c.Meta&0xff
		good = precision >= 1 && precision <= 65 && scale <= precision && scale <= 38
	case value.TypeEnum:
		good = c.Meta >= 1 && c.Meta <= 2
	case value.TypeSet:
		good = c.Meta >= 1 && c.Meta <= 8
	}
	if !good || r.bad {
		return fmt.Errorf("%w: metadata %d of type %d", ErrMalformed, c.Meta, c.Type)
	}
	return nil
}
