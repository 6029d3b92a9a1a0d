package envelope

import (
	"math"
	"math/bits"
	"time"

	"cdc/schema"
	"cdc/sinks/connect"
)

// Precisions in decimal places of seconds.
const (
	millisPrecision = 3
	microsPrecision = 6
)

// Microseconds of units of time. A month of MicroDuration has 365.25/12 days.
const (
	microsPerMilli = 1000
	microsPerDay   = 86400 * 1000 * 1000
	microsPerMonth = 2629800 * 1000 * 1000
)

// Timestamps without end, as Debezium's documentation has them, in milliseconds.
const (
	infinityMillis      = 9223372036825200
	minusInfinityMillis = -9223372036832400
)

// Dates without end: the widest numbers of the type. Debezium's stream has days of the past or the future by an overflow.
const (
	strictDateInfinity      = -2147472692
	strictDateMinusInfinity = -2147472691
)

// postgresTime compiles dates and times.
func postgresTime(o *Options, t postgresType, c *schema.Column) column {
	precision := t.precision(microsPrecision)
	switch c.Kind {
	case schema.Date:
		return dateColumn(o, c)
	case schema.Time:
		return timeColumn(o, precision, c)
	case schema.TimeTZ:
		return column{schema: named(c, connect.String, nameZonedTime), write: zonedTimeWriter()}
	case schema.Timestamp:
		return timestampColumn(o, precision, c)
	case schema.TimestampTZ:
		return column{schema: named(c, connect.String, nameZonedTimestamp), write: timestampTextWriter(int(precision))}
	}
	return column{schema: named(c, connect.Int64, "io.debezium.time.MicroDuration"), write: writeDuration}
}

func dateColumn(o *Options, c *schema.Column) column {
	if o.Times == TimeISO {
		return column{schema: named(c, connect.String, "io.debezium.time.IsoDate"), write: isoDateWriter()}
	}
	name := "io.debezium.time.Date"
	if o.Times == TimeConnect {
		name = "org.apache.kafka.connect.data.Date"
	}
	after, before := int64(math.MaxInt32), int64(math.MinInt32)
	if o.Strict {
		after, before = strictDateInfinity, strictDateMinusInfinity
	}
	return column{schema: named(c, connect.Int32, name), write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		days := r.Int(i)
		switch days {
		case int64(schema.DateInfinity):
			out.Int(s, after)
		case int64(schema.DateMinusInfinity):
			out.Int(s, before)
		default:
			out.Int(s, days+int64(schema.UnixDays2000))
		}
	}}
}

func timeColumn(o *Options, precision int32, c *schema.Column) column {
	switch {
	case o.Times == TimeISO:
		return column{schema: named(c, connect.String, "io.debezium.time.IsoTime"), write: isoTimeWriter()}
	case o.Times == TimeConnect:
		return column{schema: named(c, connect.Int32, "org.apache.kafka.connect.data.Time"), write: writeTimeMillis}
	case precision <= millisPrecision && o.Times != TimeAdaptiveTime:
		return column{schema: named(c, connect.Int32, "io.debezium.time.Time"), write: writeTimeMillis}
	}
	return column{schema: named(c, connect.Int64, "io.debezium.time.MicroTime"), write: writeInt}
}

func writeTimeMillis(out connect.Output, s *connect.Schema, r schema.Row, i int) {
	out.Int(s, r.Int(i)/microsPerMilli)
}

func timestampColumn(o *Options, precision int32, c *schema.Column) column {
	switch {
	case o.Times == TimeISO:
		return column{schema: named(c, connect.String, "io.debezium.time.IsoTimestamp"), write: timestampTextWriter(shortFraction)}
	case o.Times == TimeConnect:
		return column{schema: named(c, connect.Int64, "org.apache.kafka.connect.data.Timestamp"), write: writeTimestampMillis}
	case precision <= millisPrecision:
		return column{schema: named(c, connect.Int64, "io.debezium.time.Timestamp"), write: writeTimestampMillis}
	case o.Strict:
		return column{schema: named(c, connect.Int64, "io.debezium.time.MicroTimestamp"), write: writeTimestampMicrosStrict}
	}
	return column{schema: named(c, connect.Int64, "io.debezium.time.MicroTimestamp"), write: writeTimestampMicros}
}

func writeTimestampMillis(out connect.Output, s *connect.Schema, r schema.Row, i int) {
	switch v := r.Int(i); v {
	case schema.TimeInfinity:
		out.Int(s, infinityMillis)
	case schema.TimeMinusInfinity:
		out.Int(s, minusInfinityMillis)
	default:
		out.Int(s, floorDiv(v, microsPerMilli)+schema.UnixEpoch2000/microsPerMilli)
	}
}

// writeTimestampMicros writes µs since 1970. The last decades that Postgres knows are past 64 bits: they are the greatest number.
func writeTimestampMicros(out connect.Output, s *connect.Schema, r schema.Row, i int) {
	out.Int(s, timestampMicros(r.Int(i), func(int64) int64 { return math.MaxInt64 }))
}

// writeTimestampMicrosStrict adds the part of the second to the greatest number, as Debezium does: the sum is negative.
func writeTimestampMicrosStrict(out connect.Output, s *connect.Schema, r schema.Row, i int) {
	out.Int(s, timestampMicros(r.Int(i), func(v int64) int64 {
		return math.MinInt64 + v%1000000 - 1
	}))
}

func timestampMicros(v int64, tooLarge func(int64) int64) int64 {
	switch {
	case v == schema.TimeInfinity:
		return infinityMillis * microsPerMilli
	case v == schema.TimeMinusInfinity:
		return minusInfinityMillis * microsPerMilli
	case v > math.MaxInt64-schema.UnixEpoch2000:
		return tooLarge(v)
	}
	return v + schema.UnixEpoch2000
}

// writeDuration writes an interval as µs, the months and days in average lengths, cut to 64 bits.
func writeDuration(out connect.Output, s *connect.Schema, r schema.Row, i int) {
	micros, days, months := r.Interval(i)
	v := addClamped(mulClamped(int64(months), microsPerMonth), mulClamped(int64(days), microsPerDay))
	out.Int(s, addClamped(v, micros))
}

func addClamped(a, b int64) int64 {
	switch c := a + b; {
	case a > 0 && b > 0 && c < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && c >= 0:
		return math.MinInt64
	default:
		return c
	}
}

func mulClamped(a int64, unit uint64) int64 {
	magnitude := uint64(a)
	if a < 0 {
		magnitude = -magnitude
	}
	hi, lo := bits.Mul64(magnitude, unit)
	switch {
	case (hi != 0 || lo > math.MaxInt64) && a < 0:
		return math.MinInt64
	case hi != 0 || lo > math.MaxInt64:
		return math.MaxInt64
	case a < 0:
		return -int64(lo)
	}
	return int64(lo)
}

// zonedTimeWriter writes a time with a zone as that of UTC.
func zonedTimeWriter() func(connect.Output, *connect.Schema, schema.Row, int) {
	var scratch []byte
	return func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		micros, west := r.TimeTZ(i)
		ofDay := (micros + int64(west)*1000000) % microsPerDay
		if ofDay < 0 {
			ofDay += microsPerDay
		}
		scratch = append(appendISOClock(scratch[:0], ofDay, shortFraction), 'Z')
		out.Text(s, scratch)
	}
}

// timestampTextWriter writes a time of UTC with so many digits of the fraction.
func timestampTextWriter(digits int) func(connect.Output, *connect.Schema, schema.Row, int) {
	var scratch []byte
	return func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		scratch = appendISOTimestamp(scratch[:0], r.Int(i), digits)
		out.Text(s, scratch)
	}
}

func isoDateWriter() func(connect.Output, *connect.Schema, schema.Row, int) {
	var scratch []byte
	return func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		switch days := r.Int(i); days {
		case int64(schema.DateInfinity):
			scratch = append(scratch[:0], "infinity"...)
		case int64(schema.DateMinusInfinity):
			scratch = append(scratch[:0], "-infinity"...)
		default:
			scratch = append(appendISODate(scratch[:0], days), 'Z')
		}
		out.Text(s, scratch)
	}
}

func isoTimeWriter() func(connect.Output, *connect.Schema, schema.Row, int) {
	var scratch []byte
	return func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		scratch = append(appendISOClock(scratch[:0], r.Int(i), shortFraction), 'Z')
		out.Text(s, scratch)
	}
}

// shortFraction leaves out the zeros at the end of a fraction, and the point of an empty one.
const shortFraction = -1

// appendISOTimestamp writes µs since 2000 as java.time's ISO formatters write a time of UTC.
func appendISOTimestamp(dst []byte, micros int64, digits int) []byte {
	switch micros {
	case schema.TimeInfinity:
		return append(dst, "infinity"...)
	case schema.TimeMinusInfinity:
		return append(dst, "-infinity"...)
	}
	days := floorDiv(micros, microsPerDay)
	dst = append(appendISODate(dst, days), 'T')
	return append(appendISOClock(dst, micros-days*microsPerDay, digits), 'Z')
}

// appendISODate writes a day since 2000. Years have four digits and count from 0; longer ones have a sign.
func appendISODate(dst []byte, days int64) []byte {
	year, month, day := time.Unix((days+int64(schema.UnixDays2000))*86400, 0).UTC().Date()
	switch {
	case year < 0:
		dst, year = append(dst, '-'), -year
	case year > 9999:
		dst = append(dst, '+')
	}
	dst = appendDigits(dst, int64(year), 4)
	dst = appendDigits(append(dst, '-'), int64(month), 2)
	return appendDigits(append(dst, '-'), int64(day), 2)
}

// appendISOClock writes µs of the day.
func appendISOClock(dst []byte, micros int64, digits int) []byte {
	seconds := micros / 1000000
	dst = appendDigits(dst, seconds/3600, 2)
	dst = appendDigits(append(dst, ':'), seconds/60%60, 2)
	dst = appendDigits(append(dst, ':'), seconds%60, 2)
	fraction := micros % 1000000
	if digits == 0 || digits == shortFraction && fraction == 0 {
		return dst
	}
	dst = appendDigits(append(dst, '.'), fraction, microsPrecision)
	if digits != shortFraction {
		return dst[:len(dst)-microsPrecision+digits]
	}
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// appendDigits writes a number that is not negative with at least so many digits.
func appendDigits(dst []byte, v int64, width int) []byte {
	var buf [20]byte
	at := len(buf)
	for ; v > 0 || width > 0; width-- {
		at--
		buf[at], v = byte('0'+v%10), v/10
	}
	return append(dst, buf[at:]...)
}
