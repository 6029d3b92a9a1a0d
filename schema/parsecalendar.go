package schema

// parseCalendar reads a value of a calendar kind.
func parseCalendar(k Kind, text []byte) (int64, error) {
	s := scanner{text: text}
	c, err := s.civil()
	if err != nil {
		return 0, err
	}
	f := CalendarFields{Year: int(c.year), Month: c.month, Day: c.day}
	if k == CalendarDate {
		v, ok := PackCalendarDate(f.Year, f.Month, f.Day)
		return calendarValue(v, ok, s.finish(nil))
	}
	ofDay, err := s.timeOfDay()
	if err != nil {
		return 0, err
	}
	f.setClock(ofDay)
	west, err := s.zoneIf(k == CalendarTimestampTZ)
	v, ok := PackCalendarTimestamp(f)
	if v, err = calendarValue(v, ok, s.finish(err)); err != nil || west == 0 {
		return v, err
	}
	micros, ok := RegularTimestamp(v)
	if !ok {
		return 0, errCalendar // only a day has another name elsewhere
	}
	v, ok = CalendarTimestampAt(micros + int64(west)*microsPerSecond)
	return calendarValue(v, ok, nil)
}

func calendarValue(v int64, ok bool, err error) (int64, error) {
	if err == nil && !ok {
		return 0, errRange
	}
	return v, err
}
