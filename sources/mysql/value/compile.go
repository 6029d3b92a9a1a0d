package value

import (
	"fmt"

	"cdc/schema"
)

// fixedOperations are the types whose values have one size.
var fixedOperations = map[Type]struct {
	op   operation
	size int
}{
	TypeTiny: {opTiny, 1}, TypeShort: {opShort, 2}, TypeInt24: {opMedium, 3}, TypeLong: {opLong, 4}, TypeLongLong: {opLongLong, 8},
	TypeFloat: {opFloat, 4}, TypeDouble: {opDouble, 8}, TypeYear: {opYear, 1}, TypeDate: {opDate, 3}, TypeTime: {opOldTime, 3},
	TypeDateTime: {opOldDateTime, 8}, TypeTimestamp: {opOldTimestamp, 4},
}

// unsignedOperations replace those of the numbers whose sign shows when they are widened.
var unsignedOperations = map[operation]operation{opTiny: opUTiny, opShort: opUShort, opMedium: opUMedium, opLong: opULong}

// compile readies the column for decoding.
func (c *Column) compile() (field, error) {
	sc, err := c.Schema(0)
	if err != nil {
		return field{}, err
	}
	f := field{kind: sc.Kind, meta: int(c.Meta), name: c.Name, sql: sc.SQLType}
	if fixed, ok := fixedOperations[c.Type]; ok {
		f.op, f.size = fixed.op, fixed.size
		if unsigned, ok := unsignedOperations[f.op]; ok && c.Unsigned {
			f.op = unsigned
		}
		return f, nil
	}
	switch c.Type {
	case TypeTime2:
		f.op, f.size = opTime, 3+fractionBytes(f.meta)
	case TypeDateTime2:
		f.op, f.size = opDateTime, 5+fractionBytes(f.meta)
	case TypeTimestamp2:
		f.op, f.size = opTimestamp, 4+fractionBytes(f.meta)
	case TypeNewDecimal:
		f.op, f.size = opDecimal, decimalBytes(f.meta>>8, f.meta&0xff)
	case TypeBit:
		f.op, f.size = opBit, (f.meta+7)/8
	case TypeEnum, TypeSet:
		f.op, f.size, f.labels = opEnum, f.meta, newLabels(c.Labels, c.Type == TypeSet)
		if !f.labels.valid() {
			return field{}, fmt.Errorf("column %q: %w: a label is not UTF-8", c.Name, ErrUnsupported)
		}
	default:
		c.compileVariable(&f)
	}
	return f, nil
}

// fractionBytes is the size of a temporal value's fraction of so many digits (MySQL, my_time.cc).
func fractionBytes(digits int) int { return (digits + 1) / 2 }

// compileVariable readies a column whose values begin with their length.
func (c *Column) compileVariable(f *field) {
	switch c.Type {
	case TypeBlob, TypeBlobZip, TypeJSON, TypeGeometry, TypeVector:
		f.size = int(c.Meta)
	default: // VARCHAR and CHAR: one byte while every value fits it
		f.size = 1
		if c.Meta > 255 {
			f.size = 2
		}
	}
	f.op = opBytes
	if f.kind == schema.Text || c.Native == nativeJSON {
		f.op, f.cs = opText, charsetOf(c.Collation)
	}
	switch {
	case c.Type == TypeJSON:
		f.op = opJSON
	case c.Type == TypeBlobZip, c.Type == TypeVarcharZip:
		f.op = opZip
	case c.Native == nativeUUID:
		f.op = opUUID
	case c.Native == nativeINET4, c.Native == nativeINET6:
		f.op = opINET
	case c.Type == TypeString && f.kind == schema.Bytes:
		f.op = opPadded
	}
}
