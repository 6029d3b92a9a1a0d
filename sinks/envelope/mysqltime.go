package envelope

import (
	"fmt"

	"cdc/schema"
	"cdc/sinks/connect"
)

// temporal compiles dates and times. What the published type cannot hold is null: a date with zeros in it or with a day that its
// month lacks, and in the modes connect and isostring a time that is none of a day's. Where null cannot stand, because the column is
// NOT NULL, the value is refused, or is 0 as with Debezium when the options are strict.
func (b *binlogColumn) temporal() (column, error) {
	mode := b.o.Times
	if mode == TimeAdaptive {
		return column{}, b.stop(fmt.Sprintf("leave times out, or set it to %s", TimeAdaptiveTime),
			"times cannot be %s: Debezium has that mode no longer for %s", mode, b.server())
	}
	switch b.c.Kind {
	case schema.CalendarDate:
		return b.date(mode), nil
	case schema.CalendarTimestamp:
		return b.datetime(mode), nil
	case schema.CalendarTimestampTZ:
		return b.timestamp(), nil
	}
	return b.time(mode), nil
}

func (b *binlogColumn) date(mode TimeMode) column {
	switch mode {
	case TimeConnect:
		return b.counted(named(b.c, connect.Int32, "org.apache.kafka.connect.data.Date"), b.days)
	case TimeISO:
		return b.spelled(named(b.c, connect.String, "io.debezium.time.IsoDate"), func(dst []byte, v int64) ([]byte, bool) {
			days, ok := b.days(v)
			return append(appendISODate(dst, days-int64(schema.UnixDays2000)), 'Z'), ok
		}, "1970-01-01Z")
	}
	return b.counted(named(b.c, connect.Int32, "io.debezium.time.Date"), b.days)
}

func (b *binlogColumn) datetime(mode TimeMode) column {
	switch {
	case mode == TimeConnect:
		return b.counted(named(b.c, connect.Int64, "org.apache.kafka.connect.data.Timestamp"), b.millis)
	case mode == TimeISO:
		return b.spelled(named(b.c, connect.String, "io.debezium.time.IsoTimestamp"), func(dst []byte, v int64) ([]byte, bool) {
			return b.appendTimestamp(dst, v, shortFraction)
		}, "1970-01-01T00:00:00Z")
	case b.precision() <= millisPrecision:
		return b.counted(named(b.c, connect.Int64, "io.debezium.time.Timestamp"), b.millis)
	}
	return b.counted(named(b.c, connect.Int64, "io.debezium.time.MicroTimestamp"), b.micros)
}

// timestamp compiles TIMESTAMP, which is text in all modes. Debezium makes the zero timestamp 1970 even where null could stand.
func (b *binlogColumn) timestamp() column {
	precision := b.precision()
	s := named(b.c, connect.String, "io.debezium.time.ZonedTimestamp")
	epoch := appendISOTimestamp(nil, -schema.UnixEpoch2000, precision)
	return b.spelled(s, func(dst []byte, v int64) ([]byte, bool) {
		text, ok := b.appendTimestamp(dst, v, precision)
		if !ok && b.o.Strict {
			return append(dst, epoch...), true
		}
		return text, ok
	}, string(epoch))
}

func (b *binlogColumn) time(mode TimeMode) column {
	switch mode {
	case TimeConnect:
		return b.counted(named(b.c, connect.Int32, "org.apache.kafka.connect.data.Time"), func(v int64) (int64, bool) {
			return v / microsPerMilli, ofDay(v)
		})
	case TimeISO:
		return b.spelled(named(b.c, connect.String, "io.debezium.time.IsoTime"), func(dst []byte, v int64) ([]byte, bool) {
			if v == microsPerDay && b.o.Strict {
				v = 0
			}
			if !ofDay(v) {
				return dst, false
			}
			return append(appendISOClock(dst, v, shortFraction), 'Z'), true
		}, "00:00:00Z")
	}
	return b.counted(named(b.c, connect.Int64, "io.debezium.time.MicroTime"), func(v int64) (int64, bool) { return v, true })
}

// ofDay reports whether a TIME is one of a day, whose end is one as well.
func ofDay(micros int64) bool { return micros >= 0 && micros <= microsPerDay }

// counted compiles a column whose values are published as numbers.
func (b *binlogColumn) counted(s *connect.Schema, count func(v int64) (int64, bool)) column {
	u := b.unheld()
	return column{schema: s, problem: u.problem, write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		v, ok := count(r.Int(i))
		switch {
		case ok:
			out.Int(s, v)
		case s.Optional:
			out.Null(s)
		default:
			u.note(s, r, i)
			out.Int(s, 0)
		}
	}}
}

// spelled compiles a column whose values are published as text; zero is what Debezium has where it has no value.
func (b *binlogColumn) spelled(s *connect.Schema, spell func(dst []byte, v int64) ([]byte, bool), zero string) column {
	u := b.unheld()
	var scratch []byte
	return column{schema: s, problem: u.problem, write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		text, ok := spell(scratch[:0], r.Int(i))
		switch {
		case ok:
		case s.Optional:
			out.Null(s)
			return
		default:
			u.note(s, r, i)
			text = append(text[:0], zero...)
		}
		scratch = text
		out.Text(s, text)
	}}
}

// days counts from 1970.
func (b *binlogColumn) days(v int64) (int64, bool) {
	if b.o.Strict {
		f := b.adjusted(schema.ReadCalendarDate(v))
		v, _ = schema.PackCalendarDate(f.Year, f.Month, f.Day)
	}
	days, ok := schema.RegularDate(v)
	return int64(days) + int64(schema.UnixDays2000), ok
}

// micros counts from 1970.
func (b *binlogColumn) micros(v int64) (int64, bool) {
	if b.o.Strict {
		v, _ = schema.PackCalendarTimestamp(b.adjusted(schema.ReadCalendarTimestamp(v)))
	}
	micros, ok := schema.RegularTimestamp(v)
	return micros + schema.UnixEpoch2000, ok
}

// millis counts from 1970 and rounds down, into the past.
func (b *binlogColumn) millis(v int64) (int64, bool) {
	micros, ok := b.micros(v)
	return floorDiv(micros, microsPerMilli), ok
}

// adjusted is the year as Debezium takes it, which thinks that the years 1 to 99 were written with two digits.
func (b *binlogColumn) adjusted(f schema.CalendarFields) schema.CalendarFields {
	switch {
	case !b.o.Strict, f.Year < 1, f.Year > 99:
	case f.Year < 70:
		f.Year += 2000
	default:
		f.Year += 1900
	}
	return f
}

func (b *binlogColumn) appendTimestamp(dst []byte, v int64, precision int) ([]byte, bool) {
	micros, ok := b.micros(v)
	if !ok {
		return dst, false
	}
	return appendISOTimestamp(dst, micros-schema.UnixEpoch2000, precision), true
}
