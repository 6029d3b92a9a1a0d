package main

import "time"

// meterWindow is how far back the rate of a copy looks, at least.
const meterWindow = 10 * time.Second

// copyMeter measures how fast rows are copied, by what has been copied in the last while. The zero value has seen nothing.
type copyMeter struct{ from, next, last meterSample }

type meterSample struct {
	at   time.Time
	rows int64
}

// note notes how many rows have been copied so far. Fewer than before are another copy's.
func (m *copyMeter) note(now time.Time, rows int64) {
	s := meterSample{now, rows}
	switch {
	case m.from.at.IsZero() || rows < m.last.rows:
		m.from, m.next = s, s
	case now.Sub(m.next.at) >= meterWindow:
		m.from, m.next = m.next, s
	}
	m.last = s
}

// rate is in rows a second, 0 when it is not known.
func (m *copyMeter) rate() float64 {
	span := m.last.at.Sub(m.from.at)
	if span < time.Second {
		return 0
	}
	return float64(m.last.rows-m.from.rows) / span.Seconds()
}

// left is how long the rest takes at the rate, in seconds, -1 when that is not known.
func (m *copyMeter) left(estimated int64) float64 {
	rate := m.rate()
	if rate <= 0 || estimated <= 0 {
		return -1
	}
	return float64(max(0, estimated-m.last.rows)) / rate
}
