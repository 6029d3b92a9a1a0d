package schema

import "encoding/binary"

// Kind is the storage class of a column. The numbers are stored; do not change them.
type Kind uint8

// Kinds, with what a packed row holds for each. "µs" counts from 2000-01-01 00:00:00, as Postgres does: counted from 1970 its
// latest timestamps do not fit in 64 bits.
const (
	Invalid     Kind = 0
	Bool        Kind = 1  // 1 byte, 0 or 1
	Int8        Kind = 2  // 1 byte
	Int16       Kind = 3  // 2 bytes
	Int32       Kind = 4  // 4 bytes
	Int64       Kind = 5  // 8 bytes
	Uint8       Kind = 6  // 1 byte
	Uint16      Kind = 7  // 2 bytes
	Uint32      Kind = 8  // 4 bytes
	Uint64      Kind = 9  // 8 bytes
	Float32     Kind = 10 // 4 bytes, IEEE 754
	Float64     Kind = 11 // 8 bytes, IEEE 754
	Decimal     Kind = 12 // variable, see DecimalParts and docs/formats/row.md
	Text        Kind = 13 // variable, UTF-8
	Bytes       Kind = 14 // variable
	Date        Kind = 15 // int32 days since 2000-01-01; DateInfinity, DateMinusInfinity
	Time        Kind = 16 // int64 µs of the day, 24:00:00 included; wider and signed for MySQL
	TimeTZ      Kind = 17 // int64 µs of the day, then int32 seconds west of UTC
	Timestamp   Kind = 18 // int64 µs without a zone; TimeInfinity, TimeMinusInfinity
	TimestampTZ Kind = 19 // int64 µs UTC; TimeInfinity, TimeMinusInfinity
	Interval    Kind = 20 // int64 µs, int32 days, int32 months: kept apart, as they do not convert
	UUID        Kind = 21 // 16 bytes
	JSON        Kind = 22 // variable, the exact text
	Enum        Kind = 23 // variable, the label
	Set         Kind = 24 // variable, labels joined by commas in the order of their definition
	Bit         Kind = 25 // variable: uint32 number of bits, then the bits, first bit highest
	Array       Kind = 26 // reserved
	Composite   Kind = 27 // reserved
	Range       Kind = 28 // reserved
	Geometry    Kind = 29 // variable: uint32 SRID, then WKB, as MySQL keeps it; not looked into
	Raw         Kind = 30 // variable: the value's text as its database prints it

	// The calendar kinds hold what MySQL's dates and times hold: fields that need not name a day, ordered as numbers. See
	// CalendarFields and docs/formats/row.md.
	CalendarDate        Kind = 31 // int32 of year, month, day
	CalendarTimestamp   Kind = 32 // int64 of the same, hour, minute, second and µs
	CalendarTimestampTZ Kind = 33 // the same, in UTC
)

// Special values of dates and timestamps.
const (
	DateInfinity      int32 = 1<<31 - 1
	DateMinusInfinity int32 = -1 << 31
	TimeInfinity      int64 = 1<<63 - 1
	TimeMinusInfinity int64 = -1 << 63
	// UnixEpoch2000 is 2000-01-01 00:00:00 UTC in µs since 1970.
	UnixEpoch2000 int64 = 946684800 * 1000000
	// UnixDays2000 is 2000-01-01 in days since 1970-01-01.
	UnixDays2000 int32 = 10957
)

type kindInfo struct {
	name string
	size int // bytes of the slot in the fixed part
	vary bool
	// integer kinds are read with Row.Int and set with Builder.Int.
	integer bool
	// checked kinds have bytes or numbers that are no value, as validValue tells.
	checked bool
}

// A variable value's slot holds the uint32 end of its bytes in the variable part.
const variableSlot = 4

var kinds = [...]kindInfo{
	Invalid:     {name: "invalid"},
	Bool:        {name: "bool", size: 1},
	Int8:        {name: "int8", size: 1, integer: true},
	Int16:       {name: "int16", size: 2, integer: true},
	Int32:       {name: "int32", size: 4, integer: true},
	Int64:       {name: "int64", size: 8, integer: true},
	Uint8:       {name: "uint8", size: 1, integer: true},
	Uint16:      {name: "uint16", size: 2, integer: true},
	Uint32:      {name: "uint32", size: 4, integer: true},
	Uint64:      {name: "uint64", size: 8, integer: true},
	Float32:     {name: "float32", size: 4},
	Float64:     {name: "float64", size: 8},
	Decimal:     {name: "decimal", size: variableSlot, vary: true, checked: true},
	Text:        {name: "text", size: variableSlot, vary: true},
	Bytes:       {name: "bytes", size: variableSlot, vary: true},
	Date:        {name: "date", size: 4, integer: true},
	Time:        {name: "time", size: 8, integer: true},
	TimeTZ:      {name: "timetz", size: 12},
	Timestamp:   {name: "timestamp", size: 8, integer: true},
	TimestampTZ: {name: "timestamptz", size: 8, integer: true},
	Interval:    {name: "interval", size: 16},
	UUID:        {name: "uuid", size: 16},
	JSON:        {name: "json", size: variableSlot, vary: true},
	Enum:        {name: "enum", size: variableSlot, vary: true},
	Set:         {name: "set", size: variableSlot, vary: true},
	Bit:         {name: "bit", size: variableSlot, vary: true, checked: true},
	Array:       {name: "array", size: variableSlot, vary: true},
	Composite:   {name: "composite", size: variableSlot, vary: true},
	Range:       {name: "range", size: variableSlot, vary: true},
	Geometry:    {name: "geometry", size: variableSlot, vary: true},
	Raw:         {name: "raw", size: variableSlot, vary: true},

	CalendarDate:        {name: "calendardate", size: 4, integer: true, checked: true},
	CalendarTimestamp:   {name: "calendartimestamp", size: 8, integer: true, checked: true},
	CalendarTimestampTZ: {name: "calendartimestamptz", size: 8, integer: true, checked: true},
}

// validValue reports whether the packed bytes, which have the slot's size for fixed kinds, are a value of the kind.
func validValue(k Kind, packed []byte) bool {
	switch k {
	case Decimal:
		return ValidDecimal(packed)
	case Bit:
		return validBits(packed)
	case CalendarDate, CalendarTimestamp, CalendarTimestampTZ:
		return validCalendar(k, slotInt(k, packed))
	}
	return true
}

// slotInt reads the slot of an integer kind or of Bool, widened with its sign where it has one.
func slotInt(k Kind, s []byte) int64 {
	switch k {
	case Int8:
		return int64(int8(s[0]))
	case Uint8, Bool:
		return int64(s[0])
	case Int16:
		return int64(int16(binary.LittleEndian.Uint16(s)))
	case Uint16:
		return int64(binary.LittleEndian.Uint16(s))
	case Int32, Date, CalendarDate:
		return int64(int32(binary.LittleEndian.Uint32(s)))
	case Uint32:
		return int64(binary.LittleEndian.Uint32(s))
	default:
		return int64(binary.LittleEndian.Uint64(s))
	}
}

// Valid reports whether k is a kind that this build can store.
func (k Kind) Valid() bool { return k > Invalid && int(k) < len(kinds) }

// Variable reports whether values of the kind lie in the variable part of a row.
func (k Kind) Variable() bool { return int(k) < len(kinds) && kinds[k].vary }

// Textual reports whether values of the kind are text as they are packed, so that AppendText copies them.
func (k Kind) Textual() bool {
	switch k {
	case Text, JSON, Enum, Set, Array, Composite, Range, Raw:
		return true
	}
	return false
}

// String is the kind's name as docs and `cdc types` print it.
func (k Kind) String() string {
	if int(k) >= len(kinds) {
		return "unknown"
	}
	return kinds[k].name
}
