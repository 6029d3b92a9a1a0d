package schema

import (
	"encoding/hex"
	"strconv"
)

// The text of every kind is what Postgres prints under DateStyle ISO, TimeZone UTC, IntervalStyle postgres, bytea_output hex and
// extra_float_digits 3. Kinds that hold text (Text, JSON, Enum, Set, Raw and the reserved ones) are that text. The calendar kinds are
// what MySQL prints, with the fraction's trailing zeros cut and +00 behind those in UTC.

const (
	lowerInfinity      = "infinity"
	lowerMinusInfinity = "-infinity"
	suffixBC           = " BC"
	utcZone            = "+00"
)

// AppendText appends the text of column i of the row, whose column it is. The column must be present.
func AppendText(dst []byte, c *Column, r Row, i int) []byte {
	switch c.Kind {
	case Bool:
		if r.Bool(i) {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32:
		return strconv.AppendInt(dst, r.Int(i), 10)
	case Uint64:
		return strconv.AppendUint(dst, r.Uint64(i), 10)
	case Float32:
		return appendFloat(dst, float64(r.Float32(i)), 32)
	case Float64:
		return appendFloat(dst, r.Float64(i), 64)
	case Decimal:
		return AppendDecimalText(dst, r.Bytes(i))
	case Bytes, Geometry:
		return hex.AppendEncode(append(dst, `\x`...), r.Bytes(i))
	case UUID:
		return appendUUID(dst, r.Slot(i))
	case Bit:
		return appendBits(dst, r.Bytes(i))
	case Date, Time, TimeTZ, Timestamp, TimestampTZ, Interval:
		return appendTimeText(dst, c.Kind, r, i)
	case CalendarDate:
		return ReadCalendarDate(r.Int(i)).appendDate(dst)
	case CalendarTimestamp:
		return ReadCalendarTimestamp(r.Int(i)).appendTimestamp(dst)
	case CalendarTimestampTZ:
		return append(ReadCalendarTimestamp(r.Int(i)).appendTimestamp(dst), utcZone...)
	}
	return append(dst, r.Bytes(i)...)
}

func appendTimeText(dst []byte, k Kind, r Row, i int) []byte {
	switch k {
	case Date:
		return appendDate(dst, int32(r.Int(i)))
	case Time:
		return appendClock(dst, r.Int(i))
	case TimeTZ:
		micros, west := r.TimeTZ(i)
		return appendZone(appendClock(dst, micros), west)
	case Timestamp:
		return appendTimestamp(dst, r.Int(i), "")
	case TimestampTZ:
		return appendTimestamp(dst, r.Int(i), utcZone)
	}
	micros, days, months := r.Interval(i)
	return appendInterval(dst, interval{micros: micros, days: days, months: months})
}

func appendUUID(dst, v []byte) []byte {
	for i, part := range [...][]byte{v[0:4], v[4:6], v[6:8], v[8:10], v[10:16]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

func appendDate(dst []byte, days int32) []byte {
	switch days {
	case DateInfinity:
		return append(dst, lowerInfinity...)
	case DateMinusInfinity:
		return append(dst, lowerMinusInfinity...)
	}
	c := civilFromDays(int64(days))
	return appendEra(appendCivil(dst, c), c)
}

// appendCivil leaves the era out, as it stands after the time.
func appendCivil(dst []byte, c civil) []byte {
	year := c.year
	if year <= 0 {
		year = 1 - year
	}
	dst = appendUint(dst, uint64(year), 4)
	dst = appendUint(append(dst, '-'), uint64(c.month), 2)
	return appendUint(append(dst, '-'), uint64(c.day), 2)
}

func appendEra(dst []byte, c civil) []byte {
	if c.year <= 0 {
		return append(dst, suffixBC...)
	}
	return dst
}

func appendTimestamp(dst []byte, micros int64, zone string) []byte {
	switch micros {
	case TimeInfinity:
		return append(dst, lowerInfinity...)
	case TimeMinusInfinity:
		return append(dst, lowerMinusInfinity...)
	}
	days, ofDay := splitTime(micros)
	c := civilFromDays(days)
	dst = append(appendCivil(dst, c), ' ')
	dst = append(appendClock(dst, ofDay), zone...)
	return appendEra(dst, c)
}

// appendClock writes hours, minutes and seconds, with the fraction's trailing zeros cut.
func appendClock(dst []byte, micros int64) []byte {
	u := uint64(micros)
	if micros < 0 {
		dst, u = append(dst, '-'), -u
	}
	dst = appendUint(dst, u/uint64(microsPerHour), 2)
	dst = appendUint(append(dst, ':'), u/uint64(microsPerMinute)%60, 2)
	dst = appendUint(append(dst, ':'), u/uint64(microsPerSecond)%60, 2)
	fraction := u % uint64(microsPerSecond)
	if fraction == 0 {
		return dst
	}
	width := 6
	for ; fraction%10 == 0; fraction /= 10 {
		width--
	}
	return appendUint(append(dst, '.'), fraction, width)
}

// appendZone writes an offset from UTC that is stored as seconds west of it.
func appendZone(dst []byte, west int32) []byte {
	sign, u := byte('+'), uint64(-int64(west))
	if west > 0 {
		sign, u = '-', uint64(west)
	}
	dst = appendUint(append(dst, sign), u/3600, 2)
	if u%3600 == 0 {
		return dst
	}
	dst = appendUint(append(dst, ':'), u/60%60, 2)
	if u%60 == 0 {
		return dst
	}
	return appendUint(append(dst, ':'), u%60, 2)
}
