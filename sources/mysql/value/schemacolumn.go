package value

import (
	"errors"
	"fmt"

	"cdc/schema"
)

// ErrUnsupported is the cause of every error about a column that we cannot decode, or of which too little is known to do it.
var ErrUnsupported = errors.New("column type that cannot be decoded")

// Native types of MariaDB, as Column.Native names them.
const (
	nativeUUID  = "uuid"
	nativeINET4 = "inet4"
	nativeINET6 = "inet6"
	nativeJSON  = "json"
)

// kindsOf are the kinds of the types that have one whatever else is known of the column.
var kindsOf = map[Type]schema.Kind{
	TypeFloat: schema.Float32, TypeDouble: schema.Float64, TypeNewDecimal: schema.Decimal, TypeYear: schema.Int16,
	TypeDate: schema.CalendarDate, TypeDateTime: schema.CalendarTimestamp, TypeDateTime2: schema.CalendarTimestamp,
	TypeTimestamp: schema.CalendarTimestampTZ, TypeTimestamp2: schema.CalendarTimestampTZ, TypeTime: schema.Time,
	TypeTime2: schema.Time, TypeBit: schema.Bit, TypeEnum: schema.Enum, TypeSet: schema.Set, TypeJSON: schema.JSON,
	TypeGeometry: schema.Geometry, TypeVector: schema.Bytes,
}

// Schema is the column as it is stored, under the given id. An error wraps ErrUnsupported and names the column and its type.
func (c *Column) Schema(id uint32) (schema.Column, error) {
	sc := schema.Column{ID: id, Name: c.Name, SourceType: uint32(c.Type), NotNull: !c.Nullable, Key: c.Key}
	err := c.check()
	if err == nil {
		sc.Kind, err = c.kind()
	}
	if err != nil {
		return schema.Column{}, fmt.Errorf("column %q of type %d: %w", c.Name, c.Type, err)
	}
	sc.SQLType = c.SQLType()
	switch c.Type {
	case TypeNewDecimal:
		sc.Precision, sc.Scale = int32(c.Meta>>8), int32(c.Meta&0xff)
	case TypeBit:
		sc.Precision = int32(c.Meta)
	}
	return sc, nil
}

func (c *Column) kind() (schema.Kind, error) {
	if k, ok := kindsOf[c.Type]; ok {
		return k, nil
	}
	if k, ok := c.integerKind(); ok {
		return k, nil
	}
	if !c.isString() {
		return schema.Invalid, ErrUnsupported
	}
	switch {
	case c.Native == nativeUUID:
		return schema.UUID, nil
	case c.Native == nativeINET4, c.Native == nativeINET6:
		return schema.Text, nil
	case c.Collation == CollationBinary:
		return schema.Bytes, nil
	case c.Native == nativeJSON:
		return schema.JSON, nil
	}
	return schema.Text, nil
}

// integerKind is the kind of an integer column. MEDIUMINT takes the next larger one.
func (c *Column) integerKind() (schema.Kind, bool) {
	kinds := map[Type][2]schema.Kind{
		TypeTiny: {schema.Int8, schema.Uint8}, TypeShort: {schema.Int16, schema.Uint16}, TypeInt24: {schema.Int32, schema.Uint32},
		TypeLong: {schema.Int32, schema.Uint32}, TypeLongLong: {schema.Int64, schema.Uint64},
	}
	k, ok := kinds[c.Type]
	if ok && c.Unsigned {
		return k[1], true
	}
	return k[0], ok
}

// isString reports whether the column holds text or bytes, which only its collation tells.
func (c *Column) isString() bool {
	switch c.Type {
	case TypeVarchar, TypeVarString, TypeString, TypeBlob, TypeBlobZip, TypeVarcharZip:
		return true
	}
	return false
}

// check proves that all is known that decoding needs, and that it is within the limits of the type.
func (c *Column) check() error {
	switch c.Type {
	case TypeTiny, TypeShort, TypeInt24, TypeLong, TypeLongLong:
		if c.Known&KnownSign == 0 {
			return fmt.Errorf("%w: it is not known whether it is unsigned", ErrUnsupported)
		}
	case TypeNewDecimal, TypeBit, TypeTime2, TypeDateTime2, TypeTimestamp2:
		return c.checkMeta()
	case TypeFloat, TypeDouble:
		if want := map[Type]uint16{TypeFloat: 4, TypeDouble: 8}[c.Type]; c.Meta != want {
			return fmt.Errorf("%w: a float of %d bytes", ErrUnsupported, c.Meta)
		}
	case TypeJSON, TypeGeometry, TypeVector:
		return c.checkLengthWord()
	case TypeEnum, TypeSet:
		return c.checkLabels()
	case TypeBlob, TypeBlobZip:
		if err := c.checkLengthWord(); err != nil {
			return err
		}
		return c.checkCollation()
	case TypeVarchar, TypeVarString, TypeString, TypeVarcharZip:
		return c.checkCollation()
	}
	return nil
}

// Limits of the types' metadata (MySQL manual, Data Types).
const (
	maxDecimalPrecision = 65
	maxDecimalScale     = 30
	maxBits             = 64
	maxFractionDigits   = 6
	maxSetLabels        = 64
)

func (c *Column) checkMeta() error {
	ok := c.Meta <= maxFractionDigits
	switch c.Type {
	case TypeNewDecimal:
		precision, scale := c.Meta>>8, c.Meta&0xff
		ok = precision > 0 && precision <= maxDecimalPrecision && scale <= min(precision, maxDecimalScale)
	case TypeBit:
		ok = c.Meta > 0 && c.Meta <= maxBits
	}
	if !ok {
		return fmt.Errorf("%w: metadata %#x", ErrUnsupported, c.Meta)
	}
	return nil
}

func (c *Column) checkLengthWord() error {
	if c.Meta < 1 || c.Meta > 4 {
		return fmt.Errorf("%w: a length of %d bytes", ErrUnsupported, c.Meta)
	}
	return nil
}

func (c *Column) checkCollation() error {
	if c.Known&KnownCollation == 0 {
		return fmt.Errorf("%w: its collation is not known", ErrUnsupported)
	}
	if charsetOf(c.Collation) == nil {
		return fmt.Errorf("%w: collation %d", ErrUnsupported, c.Collation)
	}
	return nil
}

func (c *Column) checkLabels() error {
	bytes := c.Meta
	switch {
	case c.Known&KnownLabels == 0:
		return fmt.Errorf("%w: its labels are not known", ErrUnsupported)
	case c.Type == TypeEnum && (bytes < 1 || bytes > 2), c.Type == TypeSet && (bytes < 1 || bytes > 8),
		c.Type == TypeSet && len(c.Labels) > maxSetLabels:
		return fmt.Errorf("%w: %d labels in %d bytes", ErrUnsupported, len(c.Labels), bytes)
	}
	return c.checkCollation()
}
