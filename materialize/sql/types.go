//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"cdc/schema"
)

// maxDecimalDigits is the widest decimal that DuckDB holds.
const maxDecimalDigits = 38

// µs and days between 2000-01-01, from which we count, and 1970-01-01, from which DuckDB does.
const (
	epochMicros = schema.UnixEpoch2000
	epochDays   = int32(epochMicros / microsPerDay)

	microsPerDay = 24 * 3600 * 1000000
)

// duckInfinity stands for infinity in a DuckDB timestamp; its negative for minus infinity. Dates use the 32-bit one.
const (
	duckInfinity     = math.MaxInt64
	duckDateInfinity = math.MaxInt32
)

// column is how a column travels into DuckDB and is held there.
type column struct {
	schema *schema.Column
	index  int    // in the rows
	name   string // in DuckDB
	// duck is the type of DuckDB's column, arrow that of the values handed over, which DuckDB casts.
	duck  string
	arrow arrow.DataType
	// text says that the exact text stands in for a value that DuckDB has no type for, and why.
	text string
	// measured is set for decimals whose type depends on the values.
	measured *decimalMeasure
	scale    int32 // of an Arrow decimal
}

// decimalMeasure is what the values of an unbounded decimal have in common.
type decimalMeasure struct {
	scaleMin, scaleMax int
	whole              int  // digits before the point
	special            bool // NaN or an infinity
	any                bool
}

// forceText says why a column must be text in spite of its type; the key is its index.
type forceText map[int]string

// columnOf chooses the types of a column.
func columnOf(c *schema.Column, index int, forced forceText) column {
	k := column{schema: c, index: index, name: c.Name}
	if why, ok := forced[index]; ok {
		return k.asText(why)
	}
	switch c.Kind {
	case schema.Decimal:
		return k.decimal()
	case schema.Text, schema.Enum, schema.Set:
		k.duck, k.arrow = "VARCHAR", arrow.BinaryTypes.String
	case schema.JSON:
		k.duck, k.arrow = "JSON", arrow.BinaryTypes.String
	case schema.UUID:
		k.duck, k.arrow = "UUID", arrow.BinaryTypes.String
	case schema.Bytes, schema.Geometry:
		k.duck, k.arrow = "BLOB", arrow.BinaryTypes.Binary
	case schema.TimeTZ:
		return k.asText("DuckDB orders times with a zone in another way")
	case schema.Bit:
		return k.asText("bit strings are kept as they print")
	default:
		fixed, ok := fixedTypes[c.Kind]
		if !ok {
			return k.asText("its type is kept as its database prints it")
		}
		k.duck, k.arrow = fixed.duck, fixed.arrow
	}
	return k
}

type typePair struct {
	duck  string
	arrow arrow.DataType
}

var fixedTypes = map[schema.Kind]typePair{
	schema.Bool: {"BOOLEAN", arrow.FixedWidthTypes.Boolean},
	schema.Int8: {"TINYINT", arrow.PrimitiveTypes.Int8}, schema.Int16: {"SMALLINT", arrow.PrimitiveTypes.Int16},
	schema.Int32: {"INTEGER", arrow.PrimitiveTypes.Int32}, schema.Int64: {"BIGINT", arrow.PrimitiveTypes.Int64},
	schema.Uint8: {"UTINYINT", arrow.PrimitiveTypes.Uint8}, schema.Uint16: {"USMALLINT", arrow.PrimitiveTypes.Uint16},
	schema.Uint32: {"UINTEGER", arrow.PrimitiveTypes.Uint32}, schema.Uint64: {"UBIGINT", arrow.PrimitiveTypes.Uint64},
	schema.Float32: {"FLOAT", arrow.PrimitiveTypes.Float32}, schema.Float64: {"DOUBLE", arrow.PrimitiveTypes.Float64},
	schema.Date: {"DATE", arrow.FixedWidthTypes.Date32}, schema.Time: {"TIME", arrow.FixedWidthTypes.Time64us},
	schema.Timestamp:   {"TIMESTAMP", &arrow.TimestampType{Unit: arrow.Microsecond}},
	schema.TimestampTZ: {"TIMESTAMPTZ", &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}},
	schema.Interval:    {"INTERVAL", arrow.FixedWidthTypes.MonthDayNanoInterval},

	schema.CalendarDate:        {"DATE", arrow.FixedWidthTypes.Date32},
	schema.CalendarTimestamp:   {"TIMESTAMP", &arrow.TimestampType{Unit: arrow.Microsecond}},
	schema.CalendarTimestampTZ: {"TIMESTAMPTZ", &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}},
}

func (k column) asText(why string) column {
	k.duck, k.arrow, k.text, k.measured = "VARCHAR", arrow.BinaryTypes.String, why, nil
	return k
}

// decimal chooses DECIMAL(p,s) where the declaration fits it, else text that is measured.
func (k column) decimal() column {
	p, s := k.schema.Precision, k.schema.Scale
	if s < 0 {
		p, s = p-s, 0
	}
	p = max(p, s)
	if k.schema.Precision == 0 || p > maxDecimalDigits {
		k.duck, k.arrow, k.measured = "VARCHAR", arrow.BinaryTypes.String, &decimalMeasure{}
		return k
	}
	k.duck, k.scale = fmt.Sprintf("DECIMAL(%d,%d)", p, s), s
	k.arrow = &arrow.Decimal128Type{Precision: p, Scale: s}
	return k
}

// misfit is a value that DuckDB's column cannot hold.
type misfit struct{ why string }

func (m *misfit) Error() string { return m.why }

// appendValue adds the row's value to the builder of the column.
func (k *column) appendValue(b array.Builder, r schema.Row, scratch []byte) ([]byte, error) {
	i := k.index
	if r.State(i) != schema.Present {
		b.AppendNull()
		return scratch, nil
	}
	switch b := b.(type) {
	case *array.StringBuilder:
		return k.appendText(b, r, scratch), nil
	case *array.BooleanBuilder:
		b.Append(r.Bool(i))
	case *array.Int8Builder:
		b.Append(int8(r.Int(i)))
	case *array.Int16Builder:
		b.Append(int16(r.Int(i)))
	case *array.Int32Builder:
		b.Append(int32(r.Int(i)))
	case *array.Int64Builder:
		b.Append(r.Int(i))
	case *array.Uint8Builder:
		b.Append(uint8(r.Int(i)))
	case *array.Uint16Builder:
		b.Append(uint16(r.Int(i)))
	case *array.Uint32Builder:
		b.Append(uint32(r.Int(i)))
	case *array.Uint64Builder:
		b.Append(r.Uint64(i))
	case *array.Float32Builder:
		b.Append(r.Float32(i))
	case *array.Float64Builder:
		b.Append(r.Float64(i))
	case *array.BinaryBuilder:
		b.Append(r.Bytes(i))
	default:
		return scratch, k.appendExtended(b, r)
	}
	return scratch, nil
}

func (k *column) appendText(b *array.StringBuilder, r schema.Row, scratch []byte) []byte {
	if k.schema.Kind.Textual() {
		b.BinaryBuilder.Append(r.Bytes(k.index))
		return scratch
	}
	scratch = schema.AppendText(scratch[:0], k.schema, r, k.index)
	b.BinaryBuilder.Append(scratch)
	if k.measured != nil {
		k.measured.add(scratch)
	}
	return scratch
}

// appendExtended adds values that may not fit.
func (k *column) appendExtended(b array.Builder, r schema.Row) error {
	i := k.index
	switch b := b.(type) {
	case *array.Decimal128Builder:
		hi, lo, exact := schema.DecimalInt128(r.Bytes(i), int(k.scale))
		if !exact {
			return &misfit{"it holds " + string(schema.AppendDecimalText(nil, r.Bytes(i)))}
		}
		b.Append(decimal128.New(hi, lo))
	case *array.Date32Builder:
		v, err := k.days(r)
		if err != nil {
			return err
		}
		b.Append(arrow.Date32(duckDate(v)))
	case *array.Time64Builder:
		v := r.Int(i)
		if v < 0 || v > microsPerDay {
			return &misfit{"it holds a time outside of a day"}
		}
		b.Append(arrow.Time64(v))
	case *array.TimestampBuilder:
		v, err := k.micros(r)
		if err != nil {
			return err
		}
		v, ok := duckTimestamp(v)
		if !ok {
			return &misfit{"it holds a time later than DuckDB's last"}
		}
		b.Append(arrow.Timestamp(v))
	case *array.MonthDayNanoIntervalBuilder:
		micros, days, months := r.Interval(i)
		if micros > math.MaxInt64/1000 || micros < math.MinInt64/1000 {
			return &misfit{"it holds an interval of more than 292 years in hours"}
		}
		b.Append(arrow.MonthDayNanoInterval{Months: months, Days: days, Nanoseconds: micros * 1000})
	default:
		return fmt.Errorf("load column %q: no way to hand over a %s", k.schema.Name, k.schema.Kind)
	}
	return nil
}

// days is the row's date in days since 2000.
func (k *column) days(r schema.Row) (int32, error) {
	v := r.Int(k.index)
	if k.schema.Kind == schema.Date {
		return int32(v), nil
	}
	days, ok := schema.RegularDate(v)
	if !ok {
		return 0, k.noDay(r)
	}
	return days, nil
}

// micros is the row's timestamp in µs since 2000.
func (k *column) micros(r schema.Row) (int64, error) {
	v := r.Int(k.index)
	if k.schema.Kind == schema.Timestamp || k.schema.Kind == schema.TimestampTZ {
		return v, nil
	}
	micros, ok := schema.RegularTimestamp(v)
	if !ok {
		return 0, k.noDay(r)
	}
	return micros, nil
}

func (k *column) noDay(r schema.Row) error {
	return &misfit{fmt.Sprintf("it holds %s, which is no day to DuckDB", schema.AppendText(nil, k.schema, r, k.index))}
}

func duckDate(days int32) int32 {
	switch days {
	case schema.DateInfinity:
		return duckDateInfinity
	case schema.DateMinusInfinity:
		return -duckDateInfinity
	}
	return days + epochDays
}

func duckTimestamp(micros int64) (v int64, ok bool) {
	switch {
	case micros == schema.TimeInfinity:
		return duckInfinity, true
	case micros == schema.TimeMinusInfinity:
		return -duckInfinity, true
	case micros >= duckInfinity-epochMicros:
		return 0, false
	}
	return micros + epochMicros, true
}

// add measures the text of a decimal.
func (m *decimalMeasure) add(text []byte) {
	whole, scale, dot := 0, 0, false
	for _, c := range text {
		switch {
		case c == '-':
		case c == '.':
			dot = true
		case c < '0' || c > '9':
			m.special = true
			return
		case dot:
			scale++
		default:
			whole++
		}
	}
	if !m.any {
		m.scaleMin, m.any = scale, true
	}
	m.scaleMin, m.scaleMax, m.whole = min(m.scaleMin, scale), max(m.scaleMax, scale), max(m.whole, whole)
}

// chosen is the type that holds all values exactly, or why there is none.
func (m *decimalMeasure) chosen() (duck, why string) {
	switch {
	case m.special:
		return "", "it holds NaN or an infinity"
	case m.whole+m.scaleMax > maxDecimalDigits:
		return "", fmt.Sprintf("its values need %d digits, and DuckDB's decimals have %d", m.whole+m.scaleMax, maxDecimalDigits)
	}
	return fmt.Sprintf("DECIMAL(%d,%d)", maxDecimalDigits, m.scaleMax), ""
}
