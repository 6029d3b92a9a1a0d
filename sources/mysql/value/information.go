package value

import (
	"fmt"
	"strings"

	"cdc/schema"
)

// Facts are what information_schema.columns says of a column, whose field names are upper-cased here. The connection that asks must
// have a sql_mode without NO_BACKSLASH_ESCAPES and ANSI_QUOTES and get its results in utf8mb4, as ColumnType holds labels.
type Facts struct {
	Name       string // COLUMN_NAME
	DataType   string // DATA_TYPE
	ColumnType string // COLUMN_TYPE
	// OctetLength is CHARACTER_OCTET_LENGTH; zero when it is null.
	OctetLength uint64
	// Collation is the number of COLLATION_NAME, zero when that is null. It is the ID of information_schema.COLLATIONS in MySQL; in
	// MariaDB that of COLLATION_CHARACTER_SET_APPLICABILITY where FULL_COLLATION_NAME is that name.
	Collation uint16
	// Precision, Scale and Fraction are NUMERIC_PRECISION, NUMERIC_SCALE and DATETIME_PRECISION; zero when they are null.
	Precision, Scale, Fraction uint16
	Nullable                   bool // IS_NULLABLE
	// Key is SEQ_IN_INDEX of the column in the index PRIMARY of information_schema.STATISTICS, 0 when it is not there.
	Key uint16
	// JSON says that a text column is declared as JSON in MariaDB: a CHECK constraint has json_valid of it.
	JSON bool
}

// dataTypes are the types that DATA_TYPE names, with their metadata where they have but one.
var dataTypes = map[string]struct {
	t    Type
	meta uint16
}{
	"tinyint": {TypeTiny, 0}, "smallint": {TypeShort, 0}, "mediumint": {TypeInt24, 0}, "int": {TypeLong, 0},
	"bigint": {TypeLongLong, 0}, "float": {TypeFloat, 4}, "double": {TypeDouble, 8}, "decimal": {TypeNewDecimal, 0},
	"bit": {TypeBit, 0}, "year": {TypeYear, 0}, "date": {TypeDate, 0}, "time": {TypeTime2, 0}, "datetime": {TypeDateTime2, 0},
	"timestamp": {TypeTimestamp2, 0}, "char": {TypeString, 0}, "binary": {TypeString, 0}, "varchar": {TypeVarchar, 0},
	"varbinary": {TypeVarchar, 0}, "tinytext": {TypeBlob, 1}, "text": {TypeBlob, 2}, "mediumtext": {TypeBlob, 3},
	"longtext": {TypeBlob, 4}, "tinyblob": {TypeBlob, 1}, "blob": {TypeBlob, 2}, "mediumblob": {TypeBlob, 3},
	"longblob": {TypeBlob, 4}, "enum": {TypeEnum, 0}, "set": {TypeSet, 0}, "json": {TypeJSON, 4}, "vector": {TypeVector, 4},
	"uuid": {TypeString, 16}, "inet4": {TypeString, 4}, "inet6": {TypeString, 16},
	"geometry": {TypeGeometry, 4}, "point": {TypeGeometry, 4}, "linestring": {TypeGeometry, 4}, "polygon": {TypeGeometry, 4},
	"multipoint": {TypeGeometry, 4}, "multilinestring": {TypeGeometry, 4}, "multipolygon": {TypeGeometry, 4},
	"geometrycollection": {TypeGeometry, 4}, "geomcollection": {TypeGeometry, 4},
}

// FromInformationSchema describes a column from its facts. It equals what TABLE_MAP with full metadata gives for the column, where a
// column has a known sign if it is a number (a YEAR has none), a known collation if it holds text, bytes or labels (a geometry and a
// vector have none), known labels if it is an enum or set, and always a known name and key; but for Native. It cannot tell the temporal types
// that older servers have made (TypeTimestamp, TypeTime, TypeDateTime); such a table is described by TABLE_MAP alone.
func FromInformationSchema(f Facts) (Column, error) {
	dataType := strings.ToLower(f.DataType)
	d, ok := dataTypes[dataType]
	if !ok {
		return Column{}, fmt.Errorf("column %q of type %s: %w", f.Name, f.ColumnType, ErrUnsupported)
	}
	c := Column{Name: f.Name, Type: d.t, Meta: d.meta, Known: KnownName | KnownKey, Nullable: f.Nullable, Key: f.Key}
	switch d.t {
	case TypeTiny, TypeShort, TypeInt24, TypeLong, TypeLongLong, TypeFloat, TypeDouble, TypeNewDecimal:
		c.Known |= KnownSign
		c.Unsigned = strings.Contains(f.ColumnType, " unsigned")
	}
	switch d.t {
	case TypeNewDecimal:
		c.Meta = f.Precision<<8 | f.Scale
	case TypeBit:
		c.Meta = f.Precision
	case TypeTime2, TypeDateTime2, TypeTimestamp2:
		c.Meta = f.Fraction
	case TypeEnum, TypeSet:
		return labelled(c, f)
	case TypeGeometry:
		c.describeGeometry(dataType)
	case TypeVarchar, TypeString, TypeBlob:
		describeString(&c, f, dataType)
	}
	return c, nil
}

// describeGeometry takes the two names of a collection for one.
func (c *Column) describeGeometry(dataType string) {
	switch dataType {
	case "geometry":
	case "geomcollection":
		c.Class = "geometrycollection"
	default:
		c.Class = dataType
	}
}

func labelled(c Column, f Facts) (Column, error) {
	labels, ok := schema.Labels(f.ColumnType)
	if !ok {
		return Column{}, fmt.Errorf("column %q of type %s: %w: its labels cannot be read", f.Name, f.ColumnType, ErrUnsupported)
	}
	c.Labels = labels
	c.Known |= KnownLabels
	c.setCollation(f)
	c.Meta = 1
	switch n := len(labels); {
	case c.Type == TypeEnum && n > 255:
		c.Meta = 2
	case c.Type == TypeSet && n > 32:
		c.Meta = 8 // sets of more than four bytes take eight
	case c.Type == TypeSet && n > 0:
		c.Meta = uint16(n+7) / 8
	}
	return c, nil
}

// setCollation takes the lack of a collation for bytes, as information_schema has none for them.
func (c *Column) setCollation(f Facts) {
	c.Known |= KnownCollation
	c.Collation = f.Collation
	if c.Collation == 0 {
		c.Collation = CollationBinary
	}
}

func describeString(c *Column, f Facts, dataType string) {
	c.setCollation(f)
	switch dataType {
	case nativeUUID, nativeINET4, nativeINET6:
		c.Native, c.Collation = dataType, CollationBinary
		return
	}
	if c.Type != TypeBlob {
		c.Meta = uint16(min(f.OctetLength, 1<<16-1))
	}
	if f.JSON && c.Type == TypeBlob && c.Collation != CollationBinary {
		c.Native = nativeJSON
	}
	if !strings.Contains(f.ColumnType, " COMPRESSED") {
		return
	}
	if c.Type == TypeBlob {
		c.Type = TypeBlobZip
		return
	}
	c.Type = TypeVarcharZip
	c.Meta++ // the byte that says how the value is compressed
}
