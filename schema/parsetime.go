package schema

import "math"

// maxClockHours is the most hours that 64 bits of µs hold.
const maxClockHours = math.MaxInt64 / microsPerHour

// Digits of a year; more cannot be stored as a date.
const (
	minYearDigits = 4
	maxYearDigits = 7
)

func parseTimeKind(b *Builder, i int, k Kind, text []byte) error {
	s := scanner{text: text}
	switch k {
	case Date:
		return parseDate(b, i, &s)
	case Timestamp, TimestampTZ:
		v, err := s.timestamp(k == TimestampTZ)
		if err == nil {
			b.Int(i, v)
		}
		return err
	case Time:
		v, err := s.clock()
		if err = s.finish(err); err == nil {
			b.Int(i, v)
		}
		return err
	case TimeTZ:
		return parseTimeTZ(b, i, &s)
	}
	v, err := s.interval()
	if err == nil {
		b.Interval(i, v.micros, v.days, v.months)
	}
	return err
}

func parseDate(b *Builder, i int, s *scanner) error {
	switch string(s.text) {
	case lowerInfinity:
		b.Int(i, int64(DateInfinity))
		return nil
	case lowerMinusInfinity:
		b.Int(i, int64(DateMinusInfinity))
		return nil
	}
	c, err := s.civil()
	if err != nil {
		return err
	}
	if err := s.era(&c); err != nil {
		return err
	}
	days := daysFromCivil(c)
	if days <= int64(DateMinusInfinity) || days >= int64(DateInfinity) {
		return errRange
	}
	b.Int(i, days)
	return nil
}

func parseTimeTZ(b *Builder, i int, s *scanner) error {
	micros, err := s.clock()
	if err != nil {
		return err
	}
	west, err := s.zone()
	if err = s.finish(err); err == nil {
		b.TimeTZ(i, micros, west)
	}
	return err
}

// scanner reads a text from left to right.
type scanner struct {
	text []byte
	at   int
}

// take moves past c when it is next.
func (s *scanner) take(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) done() bool { return s.at == len(s.text) }

// finish says that the text should have ended here.
func (s *scanner) finish(err error) error {
	if err == nil && !s.done() {
		return errSyntax
	}
	return err
}

// digits reads between least and most decimal digits; most is at most 18.
func (s *scanner) digits(least, most int) (int64, error) {
	start, v := s.at, int64(0)
	for ; s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9'; s.at++ {
		if s.at-start == most {
			return 0, errRange
		}
		v = v*10 + int64(s.text[s.at]-'0')
	}
	if s.at-start < least {
		if s.done() {
			return 0, errEmpty
		}
		return 0, errSyntax
	}
	return v, nil
}

// sixtieth reads minutes or seconds.
func (s *scanner) sixtieth() (int64, error) {
	v, err := s.digits(2, 2)
	if err == nil && v >= 60 {
		return 0, errRange
	}
	return v, err
}

// civil reads a date without its era, which is checked when the era is known.
func (s *scanner) civil() (civil, error) {
	year, err := s.digits(minYearDigits, maxYearDigits)
	if err != nil {
		return civil{}, err
	}
	parts := [2]int64{}
	for i := range parts {
		if !s.take('-') {
			return civil{}, errSyntax
		}
		if parts[i], err = s.digits(2, 2); err != nil {
			return civil{}, err
		}
	}
	return civil{year: year, month: int(parts[0]), day: int(parts[1])}, nil
}

// era reads what may stand at the end of a date or timestamp and checks the day.
func (s *scanner) era(c *civil) error {
	if c.year == 0 {
		return errCalendar
	}
	if string(s.text[s.at:]) == suffixBC {
		c.year = 1 - c.year
		s.at = len(s.text)
	}
	if !s.done() {
		return errSyntax
	}
	if !c.valid() {
		return errCalendar
	}
	return nil
}

func (s *scanner) timestamp(zoned bool) (int64, error) {
	switch string(s.text) {
	case lowerInfinity:
		return TimeInfinity, nil
	case lowerMinusInfinity:
		return TimeMinusInfinity, nil
	}
	c, err := s.civil()
	if err != nil {
		return 0, err
	}
	micros, err := s.timeOfDay()
	if err != nil {
		return 0, err
	}
	west, err := s.zoneIf(zoned)
	if err != nil {
		return 0, err
	}
	if err := s.era(&c); err != nil {
		return 0, err
	}
	return joinTime(daysFromCivil(c), micros+int64(west)*microsPerSecond)
}

// timeOfDay reads what follows a date, up to 24:00:00.
func (s *scanner) timeOfDay() (int64, error) {
	if !s.take(' ') && !s.take('T') || s.at < len(s.text) && s.text[s.at] == '-' {
		return 0, errSyntax
	}
	micros, err := s.clock()
	if err == nil && micros > microsPerDay {
		return 0, errRange
	}
	return micros, err
}

// joinTime is the inverse of splitTime, for any µs that are small beside the range of a timestamp.
func joinTime(days, micros int64) (int64, error) {
	const most = math.MaxInt64 / microsPerDay
	if days < 0 { // so that the first instants, whose day begins before the range does, do not overflow
		days, micros = days+1, micros-microsPerDay
	}
	if days < -most || days > most {
		return 0, errRange
	}
	start := days * microsPerDay
	v := start + micros
	if (v < start) != (micros < 0) || v == TimeInfinity || v == TimeMinusInfinity {
		return 0, errRange
	}
	return v, nil
}

// clock reads [-]hh:mm:ss[.ffffff], of any number of hours.
func (s *scanner) clock() (int64, error) {
	negative := s.take('-')
	hours, err := s.digits(2, 10)
	if err != nil {
		return 0, err
	}
	if hours > maxClockHours {
		return 0, errRange
	}
	u := uint64(hours) * uint64(microsPerHour)
	for _, unit := range [...]int64{microsPerMinute, microsPerSecond} {
		if !s.take(':') {
			return 0, errSyntax
		}
		v, err := s.sixtieth()
		if err != nil {
			return 0, err
		}
		u += uint64(v * unit)
	}
	fraction, err := s.fraction()
	if err != nil {
		return 0, err
	}
	u += uint64(fraction)
	limit := uint64(math.MaxInt64)
	if negative {
		u, limit = -u, limit+1
		if -u > limit {
			return 0, errRange
		}
		return int64(u), nil
	}
	if u > limit {
		return 0, errRange
	}
	return int64(u), nil
}

// fraction reads the µs after the seconds; digits beyond them may only be zeros.
func (s *scanner) fraction() (int64, error) {
	const width = 6
	if !s.take('.') {
		return 0, nil
	}
	start, v := s.at, int64(0)
	for ; s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9'; s.at++ {
		digit := int64(s.text[s.at] - '0')
		if s.at-start < width {
			v = v*10 + digit
		} else if digit != 0 {
			return 0, errPrecision
		}
	}
	n := s.at - start
	if n == 0 {
		return 0, errSyntax
	}
	for ; n < width; n++ {
		v *= 10
	}
	return v, nil
}

func (s *scanner) zoneNext() bool {
	if s.done() {
		return false
	}
	switch s.text[s.at] {
	case '+', '-', 'Z':
		return true
	}
	return false
}

// zoneIf reads the zone that a text must have when it is zoned and may not have otherwise.
func (s *scanner) zoneIf(zoned bool) (west int32, err error) {
	switch next := s.zoneNext(); {
	case zoned && !next:
		return 0, errNoZone
	case !zoned && next:
		return 0, errZone
	case zoned:
		return s.zone()
	}
	return 0, nil
}

// zone reads Z or ±hh[:mm[:ss]] as seconds west of UTC.
func (s *scanner) zone() (int32, error) {
	if s.take('Z') {
		return 0, nil
	}
	sign := int64(-1)
	if s.take('-') {
		sign = 1
	} else if !s.take('+') {
		return 0, errNoZone
	}
	seconds, err := s.digits(2, 6)
	if err != nil {
		return 0, err
	}
	seconds *= 3600
	for unit := int64(60); unit > 0 && s.take(':'); unit /= 60 {
		v, err := s.sixtieth()
		if err != nil {
			return 0, err
		}
		seconds += v * unit
	}
	if seconds *= sign; seconds != int64(int32(seconds)) {
		return 0, errRange
	}
	return int32(seconds), nil
}
