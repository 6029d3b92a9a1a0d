package schema

// Largest fields of a calendar value. MySQL refuses larger ones in every SQL mode.
const (
	maxCalendarYear   = 9999
	maxCalendarMonth  = 12
	maxCalendarDay    = 31
	maxCalendarHour   = 23
	maxCalendarMinute = 59
	maxCalendarSecond = 59
)

// Places of the fields in a packed calendar value. They are stored; do not change them.
const (
	calendarDayBits    = 5
	calendarMonthBits  = 4 // of a CalendarDate
	calendarMonths     = maxCalendarMonth + 1
	calendarSecondBits = 6
	calendarMinuteBits = 6
	calendarTimeBits   = 17
	calendarMicroBits  = 24
)

// CalendarFields are the parts of a calendar value as the source prints them. They need not name a day: month and day may be zero,
// and a month may have a 31st that it lacks.
type CalendarFields struct {
	Year, Month, Day     int
	Hour, Minute, Second int
	Micro                int
}

// PackCalendarDate is the value of a CalendarDate column; not ok when a field is out of its range.
func PackCalendarDate(year, month, day int) (v int64, ok bool) {
	if !(CalendarFields{Year: year, Month: month, Day: day}).inRange() {
		return 0, false
	}
	return int64((year<<calendarMonthBits|month)<<calendarDayBits | day), true
}

// PackCalendarTimestamp is the value of a CalendarTimestamp or CalendarTimestampTZ column; not ok when a field is out of its range.
func PackCalendarTimestamp(f CalendarFields) (v int64, ok bool) {
	if !f.inRange() {
		return 0, false
	}
	date := int64((f.Year*calendarMonths+f.Month)<<calendarDayBits | f.Day)
	clock := int64((f.Hour<<calendarMinuteBits|f.Minute)<<calendarSecondBits | f.Second)
	return (date<<calendarTimeBits|clock)<<calendarMicroBits | int64(f.Micro), true
}

// ReadCalendarDate returns the fields of a CalendarDate. A number that is none has fields out of range.
func ReadCalendarDate(v int64) CalendarFields {
	return CalendarFields{
		Year:  int(v >> (calendarMonthBits + calendarDayBits)),
		Month: int(v >> calendarDayBits & (1<<calendarMonthBits - 1)),
		Day:   int(v & (1<<calendarDayBits - 1)),
	}
}

// ReadCalendarTimestamp returns the fields of a CalendarTimestamp or CalendarTimestampTZ. A number that is none has fields out of
// range.
func ReadCalendarTimestamp(v int64) CalendarFields {
	clock := v >> calendarMicroBits & (1<<calendarTimeBits - 1)
	date := v >> (calendarMicroBits + calendarTimeBits)
	months := date >> calendarDayBits
	return CalendarFields{
		Year:   int(months / calendarMonths),
		Month:  int(months % calendarMonths),
		Day:    int(date & (1<<calendarDayBits - 1)),
		Hour:   int(clock >> (calendarMinuteBits + calendarSecondBits)),
		Minute: int(clock >> calendarSecondBits & (1<<calendarMinuteBits - 1)),
		Second: int(clock & (1<<calendarSecondBits - 1)),
		Micro:  int(v & (1<<calendarMicroBits - 1)),
	}
}

// RegularDate converts a CalendarDate to days since 2000-01-01. It is not ok for a value that names no day, and in the year 0, which
// MySQL counts as the last before the year 1 and yet gives no leap day.
func RegularDate(v int64) (days int32, ok bool) {
	f := ReadCalendarDate(v)
	if !f.regular() {
		return 0, false
	}
	return int32(daysFromCivil(f.civil())), true
}

// RegularTimestamp converts a CalendarTimestamp or CalendarTimestampTZ to µs since 2000-01-01. It is not ok where RegularDate is not.
func RegularTimestamp(v int64) (micros int64, ok bool) {
	f := ReadCalendarTimestamp(v)
	if !f.regular() {
		return 0, false
	}
	return daysFromCivil(f.civil())*microsPerDay + f.micros(), true
}

// CalendarTimestampAt is the inverse of RegularTimestamp; not ok outside the years 1 to 9999.
func CalendarTimestampAt(micros int64) (v int64, ok bool) {
	days, ofDay := splitTime(micros)
	c := civilFromDays(days)
	if c.year < 1 || c.year > maxCalendarYear {
		return 0, false
	}
	f := CalendarFields{Year: int(c.year), Month: c.month, Day: c.day}
	f.setClock(ofDay)
	return PackCalendarTimestamp(f)
}

// inRange reports whether the fields can be packed.
func (f CalendarFields) inRange() bool {
	return within(f.Year, maxCalendarYear) && within(f.Month, maxCalendarMonth) && within(f.Day, maxCalendarDay) &&
		within(f.Hour, maxCalendarHour) && within(f.Minute, maxCalendarMinute) && within(f.Second, maxCalendarSecond) &&
		within(f.Micro, int(microsPerSecond)-1)
}

func within(v, most int) bool { return v >= 0 && v <= most }

// regular reports whether the fields name a day of the calendar that other types count in.
func (f CalendarFields) regular() bool { return f.Year > 0 && f.inRange() && f.civil().valid() }

func (f CalendarFields) civil() civil { return civil{year: int64(f.Year), month: f.Month, day: f.Day} }

// micros is the time of the day.
func (f CalendarFields) micros() int64 {
	return int64(f.Hour)*microsPerHour + int64(f.Minute)*microsPerMinute + int64(f.Second)*microsPerSecond + int64(f.Micro)
}

func (f *CalendarFields) setClock(micros int64) {
	f.Hour = int(micros / microsPerHour)
	f.Minute = int(micros / microsPerMinute % 60)
	f.Second = int(micros / microsPerSecond % 60)
	f.Micro = int(micros % microsPerSecond)
}

// validCalendar reports whether the number is a value of the kind, which is one of the calendar kinds.
func validCalendar(k Kind, v int64) bool {
	if k == CalendarDate {
		return ReadCalendarDate(v).inRange()
	}
	return ReadCalendarTimestamp(v).inRange()
}

// appendDate writes the year 0 as 0000, as these kinds have no era.
func (f CalendarFields) appendDate(dst []byte) []byte {
	dst = appendUint(dst, uint64(f.Year), 4)
	dst = appendUint(append(dst, '-'), uint64(f.Month), 2)
	return appendUint(append(dst, '-'), uint64(f.Day), 2)
}

func (f CalendarFields) appendTimestamp(dst []byte) []byte {
	return appendClock(append(f.appendDate(dst), ' '), f.micros())
}
