package value

// Type is a column's type as TABLE_MAP numbers it, with the true type of those that are sent as STRING (enum, set) in its place.
// The numbers are MySQL's enum_field_types.
type Type byte

// Types.
const (
	TypeDecimal    Type = 0 // before MySQL 5.0; not read
	TypeTiny       Type = 1
	TypeShort      Type = 2
	TypeLong       Type = 3
	TypeFloat      Type = 4
	TypeDouble     Type = 5
	TypeNull       Type = 6
	TypeTimestamp  Type = 7 // before MySQL 5.6
	TypeLongLong   Type = 8
	TypeInt24      Type = 9
	TypeDate       Type = 10
	TypeTime       Type = 11 // before MySQL 5.6
	TypeDateTime   Type = 12 // before MySQL 5.6
	TypeYear       Type = 13
	TypeNewDate    Type = 14
	TypeVarchar    Type = 15
	TypeBit        Type = 16
	TypeTimestamp2 Type = 17
	TypeDateTime2  Type = 18
	TypeTime2      Type = 19
	TypeBlobZip    Type = 140 // MariaDB, COMPRESSED columns
	TypeVarcharZip Type = 141
	TypeVector     Type = 242
	TypeJSON       Type = 245
	TypeNewDecimal Type = 246
	TypeEnum       Type = 247
	TypeSet        Type = 248
	TypeBlob       Type = 252 // every TEXT and BLOB
	TypeVarString  Type = 253
	TypeString     Type = 254 // CHAR and BINARY
	TypeGeometry   Type = 255
)

// Known is how much is known of a column beyond its type and meta.
type Known uint8

// What may be known.
const (
	KnownName      Known = 1 << iota // Name, from optional metadata or information_schema
	KnownSign                        // Unsigned
	KnownCollation                   // Collation of a text type
	KnownLabels                      // Labels of an enum or set
	KnownKey                         // Key
)

// Column describes one column. The same column gives equal Columns whether it was read from TABLE_MAP with full metadata or from
// information_schema, but for Native, which only the latter tells.
type Column struct {
	Name string
	Type Type
	// Meta is the type's metadata as TABLE_MAP has it, in one number: for Varchar, VarString and String the length in bytes; for
	// Enum and Set the bytes of the number (1 to 8); for Bit the number of bits; for NewDecimal precision<<8 | scale; for Blob,
	// JSON, Geometry and Vector the bytes of the length word; for Float and Double their size; for the temporal types the digits
	// of the fraction; 0 for others.
	Meta     uint16
	Known    Known
	Unsigned bool
	Nullable bool
	// Collation is the server's number of the collation; CollationBinary for bytes, 0 when not known.
	Collation uint16
	// Labels are those of an enum or set in the order of their definition, as UTF-8.
	Labels []string
	// Key is the 1-based place in the primary key, 0 when it is not part of it. A column that is only a prefix of itself in the
	// primary key counts as part of it.
	Key uint16
	// Native is the declared type where type and meta do not tell it: "uuid", "inet4" and "inet6" of MariaDB, which are sent as
	// STRING; "json" where it is text. Empty otherwise.
	Native string
	// Class is that of a geometry column: "point" and so on; empty for columns that take them all, and for others.
	Class string
}

// classes of geometries, as the servers number them (MySQL, Field::geometry_type).
var classes = []string{"", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection"}

// GeometryClass is the class with the number, empty for any.
func GeometryClass(number uint64) (class string, ok bool) {
	if number >= uint64(len(classes)) {
		return "", false
	}
	return classes[number], true
}

// CollationBinary is the number of the collation of bytes.
const CollationBinary = 63
