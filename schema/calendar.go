package schema

// Units of time in µs.
const (
	microsPerSecond int64 = 1_000_000
	microsPerMinute       = 60 * microsPerSecond
	microsPerHour         = 60 * microsPerMinute
	microsPerDay          = 24 * microsPerHour
)

// The proleptic Gregorian calendar repeats every 400 years. Counting years from March puts the leap day last.
const (
	daysPer400Years = 146097
	// daysToEpoch is the number of days from 0000-03-01 (astronomical year) to 2000-01-01.
	daysToEpoch = 730425
)

// civil is a calendar date; year 0 is 1 BC.
type civil struct {
	year       int64
	month, day int
}

// civilFromDays converts days since 2000-01-01.
func civilFromDays(days int64) civil {
	days += daysToEpoch
	era := days / daysPer400Years
	if days%daysPer400Years < 0 {
		era--
	}
	ofEra := days - era*daysPer400Years
	yearOfEra := (ofEra - ofEra/1460 + ofEra/36524 - ofEra/146096) / 365
	ofYear := ofEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	month := (5*ofYear + 2) / 153 // from March
	c := civil{year: yearOfEra + era*400, day: int(ofYear - (153*month+2)/5 + 1)}
	if month < 10 {
		c.month = int(month) + 3
	} else {
		c.month = int(month) - 9
		c.year++
	}
	return c
}

// daysFromCivil is the inverse of civilFromDays.
func daysFromCivil(c civil) int64 {
	year, month := c.year, int64(c.month)-3
	if month < 0 {
		year--
		month += 12
	}
	era := year / 400
	if year%400 < 0 {
		era--
	}
	yearOfEra := year - era*400
	ofYear := (153*month+2)/5 + int64(c.day) - 1
	ofEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + ofYear
	return era*daysPer400Years + ofEra - daysToEpoch
}

// valid reports whether the month has such a day.
func (c civil) valid() bool {
	if c.month < 1 || c.month > 12 || c.day < 1 {
		return false
	}
	return c.day <= daysInMonth(c.year, c.month)
}

func daysInMonth(year int64, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// splitTime splits µs since 2000-01-01 into days and µs of the day.
func splitTime(micros int64) (days, ofDay int64) {
	days, ofDay = micros/microsPerDay, micros%microsPerDay
	if ofDay < 0 {
		days, ofDay = days-1, ofDay+microsPerDay
	}
	return days, ofDay
}
