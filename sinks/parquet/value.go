package parquet

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"cdc/schema"
)

const (
	microsPerDay = 24 * 60 * 60 * 1000000
	// daysTo1970 and schema.UnixEpoch2000 lead from our epoch to Parquet's.
	daysTo1970 = int32(schema.UnixEpoch2000 / microsPerDay)
)

// value is the value of column i, which is present; false when the column's type in the file cannot hold it. Bytes are appended to
// text, or shared with the row.
func value(text []byte, c *schema.Column, r schema.Row, i int) (v parquet.Value, grown []byte, ok bool) {
	ok = true
	switch c.Kind {
	case schema.Bool:
		v = parquet.BooleanValue(r.Bool(i))
	case schema.Int8, schema.Int16, schema.Int32, schema.Uint8, schema.Uint16, schema.Uint32:
		v = parquet.Int32Value(int32(r.Int(i)))
	case schema.Int64:
		v = parquet.Int64Value(r.Int(i))
	case schema.Uint64:
		v = parquet.Int64Value(int64(r.Uint64(i)))
	case schema.Float32:
		v = parquet.FloatValue(r.Float32(i))
	case schema.Float64:
		v = parquet.DoubleValue(r.Float64(i))
	case schema.Bytes, schema.Geometry:
		v = parquet.ByteArrayValue(r.Bytes(i))
	case schema.UUID:
		v = parquet.FixedLenByteArrayValue(r.Slot(i))
	case schema.Date, schema.Time, schema.Timestamp, schema.TimestampTZ:
		v, ok = timeValue(c.Kind, r.Int(i))
	case schema.CalendarDate, schema.CalendarTimestamp, schema.CalendarTimestampTZ:
		v, ok = calendarValue(c.Kind, r.Int(i))
	case schema.Decimal:
		if fixedDecimal(c) {
			return decimalValue(text, c, r.Bytes(i))
		}
		return textValue(text, c, r, i)
	default:
		return textValue(text, c, r, i)
	}
	return v, text, ok
}

func textValue(text []byte, c *schema.Column, r schema.Row, i int) (v parquet.Value, grown []byte, ok bool) {
	if c.Kind.Textual() {
		return parquet.ByteArrayValue(r.Bytes(i)), text, utf8.Valid(r.Bytes(i))
	}
	start := len(text)
	text = schema.AppendText(text, c, r, i)
	return parquet.ByteArrayValue(text[start:]), text, true
}

func decimalValue(text []byte, c *schema.Column, packed []byte) (v parquet.Value, grown []byte, ok bool) {
	if c.Precision <= digits64 {
		n, exact := schema.DecimalInt64(packed, int(c.Scale))
		if c.Precision <= digits32 {
			return parquet.Int32Value(int32(n)), text, exact && int64(int32(n)) == n
		}
		return parquet.Int64Value(n), text, exact
	}
	hi, lo, exact := schema.DecimalInt128(packed, int(c.Scale))
	start := len(text)
	text = binary.BigEndian.AppendUint64(text, uint64(hi))
	text = binary.BigEndian.AppendUint64(text, lo)
	return parquet.FixedLenByteArrayValue(text[start:]), text, exact
}

func timeValue(k schema.Kind, v int64) (parquet.Value, bool) {
	switch k {
	case schema.Date:
		days := int32(v)
		fits := days != schema.DateInfinity && days != schema.DateMinusInfinity && days <= schema.DateInfinity-daysTo1970
		return parquet.Int32Value(days + daysTo1970), fits
	case schema.Time:
		return parquet.Int64Value(v), v >= 0 && v < microsPerDay
	}
	fits := v != schema.TimeInfinity && v != schema.TimeMinusInfinity && v <= schema.TimeInfinity-schema.UnixEpoch2000
	return parquet.Int64Value(v + schema.UnixEpoch2000), fits
}

// calendarValue is the day that the fields name.
func calendarValue(k schema.Kind, v int64) (parquet.Value, bool) {
	if k == schema.CalendarDate {
		days, ok := schema.RegularDate(v)
		return parquet.Int32Value(days + daysTo1970), ok
	}
	micros, ok := schema.RegularTimestamp(v)
	return parquet.Int64Value(micros + schema.UnixEpoch2000), ok
}
