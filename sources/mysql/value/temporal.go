package value

import (
	"fmt"

	"cdc/schema"
)

var errFields = fmt.Errorf("%w: a date or time that the type does not have", ErrImage)

// The temporal types have been packed in this way since MySQL 5.6 (my_time.cc, my_datetime_packed_to_binary and its like): the whole
// part high byte first, offset so that it sorts as bytes, then the fraction in units of its digits, rounded up to pairs.
const (
	dateTimeOffset = 1 << 39
	secondsPerHour = 3600
)

// yearOf reads a YEAR, which counts from 1900 but for the year 0000.
func yearOf(v byte) int64 {
	if v == 0 {
		return 0
	}
	return 1900 + int64(v)
}

func (d *Decoder) temporal(f *field, i int, v []byte) error {
	switch f.op {
	case opDate:
		u := little24(v)
		return d.setDate(i, int(u>>9), int(u>>5&15), int(u&31))
	case opTime:
		return d.setPackedTime(f, i, v)
	case opDateTime:
		packed := int64(bigUint(v[:5])) - dateTimeOffset
		if packed < 0 {
			return errFields
		}
		return d.setDateTime(i, schema.ReadCalendarTimestamp(packed<<24|fraction(v[5:])))
	case opTimestamp:
		return d.setUnixTime(i, int64(bigUint(v[:4])), fraction(v[4:]))
	case opOldTimestamp:
		return d.setUnixTime(i, int64(littleUint(v)), 0)
	case opOldTime: // three bytes with a sign: hhhmmss in decimal
		t := int64(int32(little24(v)<<8) >> 8)
		negative := t < 0
		if negative {
			t = -t
		}
		return d.setTime(i, negative, t/10000, t/100%100, t%100, 0)
	}
	// opOldDateTime: YYYYMMDDhhmmss in decimal
	u := littleUint(v)
	if u > 1e14 {
		return errFields
	}
	date, clock := int(u/1e6), int(u%1e6)
	return d.setDateTime(i, schema.CalendarFields{
		Year: date / 10000, Month: date / 100 % 100, Day: date % 100, Hour: clock / 10000, Minute: clock / 100 % 100, Second: clock % 100,
	})
}

// fraction reads the fraction of a second in µs.
func fraction(v []byte) int64 {
	u := int64(bigUint(v))
	switch len(v) {
	case 1:
		return u * 10000
	case 2:
		return u * 100
	}
	return u
}

func (d *Decoder) setDate(i, year, month, day int) error {
	v, ok := schema.PackCalendarDate(year, month, day)
	if !ok {
		return errFields
	}
	d.builder.Int(i, v)
	return nil
}

func (d *Decoder) setDateTime(i int, f schema.CalendarFields) error {
	v, ok := schema.PackCalendarTimestamp(f)
	if !ok {
		return errFields
	}
	d.builder.Int(i, v)
	return nil
}

// setUnixTime sets a TIMESTAMP. Its zero is 0000-00-00 00:00:00, as the epoch itself is out of the type's range.
func (d *Decoder) setUnixTime(i int, seconds, micros int64) error {
	if micros >= 1e6 {
		return errFields
	}
	if seconds == 0 && micros == 0 {
		d.builder.Int(i, 0)
		return nil
	}
	v, ok := schema.CalendarTimestampAt(seconds*1e6 + micros - schema.UnixEpoch2000)
	if !ok {
		return errFields
	}
	d.builder.Int(i, v)
	return nil
}

// setPackedTime sets a TIME: a signed number of fields, whose magnitude is hours, minutes, seconds and the fraction.
func (d *Decoder) setPackedTime(f *field, i int, v []byte) error {
	packed := int64(bigUint(v)) - 1<<(8*len(v)-1)
	negative := packed < 0
	if negative {
		packed = -packed
	}
	fractionBits := 8 * (len(v) - 3)
	clock := packed >> fractionBits
	micros := packed & (1<<fractionBits - 1)
	switch len(v) - 3 {
	case 1:
		micros *= 10000
	case 2:
		micros *= 100
	}
	return d.setTime(i, negative, clock>>12, clock>>6&63, clock&63, micros)
}

// maxHours is the most hours of a TIME.
const maxHours = 838

func (d *Decoder) setTime(i int, negative bool, hours, minutes, seconds, micros int64) error {
	if hours > maxHours || minutes > 59 || seconds > 59 || micros > 999999 {
		return errFields
	}
	t := (hours*secondsPerHour+minutes*60+seconds)*1e6 + micros
	if negative {
		t = -t
	}
	d.builder.Int(i, t)
	return nil
}
