package schema

import (
	"math"
	"strconv"
)

// interval keeps its three parts apart, as they do not convert into each other.
type interval struct {
	micros       int64
	days, months int32
}

// Postgres 17 gave the largest and the smallest interval the meaning of infinity.
var (
	intervalInfinity      = interval{math.MaxInt64, math.MaxInt32, math.MaxInt32}
	intervalMinusInfinity = interval{math.MinInt64, math.MinInt32, math.MinInt32}
)

const monthsPerYear = 12

// appendInterval prints in the style "postgres": 1 year 2 mons -3 days +04:05:06.7.
func appendInterval(dst []byte, v interval) []byte {
	switch v {
	case intervalInfinity:
		return append(dst, lowerInfinity...)
	case intervalMinusInfinity:
		return append(dst, lowerMinusInfinity...)
	}
	start, afterNegative := len(dst), false
	for _, part := range [...]struct {
		value int32
		unit  string
	}{{v.months / monthsPerYear, " year"}, {v.months % monthsPerYear, " mon"}, {v.days, " day"}} {
		if part.value == 0 {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		if afterNegative && part.value > 0 {
			dst = append(dst, '+')
		}
		dst = append(strconv.AppendInt(dst, int64(part.value), 10), part.unit...)
		if part.value != 1 {
			dst = append(dst, 's')
		}
		afterNegative = part.value < 0
	}
	if v.micros == 0 && len(dst) > start {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	if afterNegative && v.micros >= 0 {
		dst = append(dst, '+')
	}
	return appendClock(dst, v.micros)
}

// interval reads [n year[s]] [n mon[s]] [n day[s]] [±hh:mm:ss[.ffffff]], at least one of them, in that order.
func (s *scanner) interval() (interval, error) {
	switch string(s.text) {
	case lowerInfinity:
		return intervalInfinity, nil
	case lowerMinusInfinity:
		return intervalMinusInfinity, nil
	}
	var v interval
	months := int64(0)
	rank := 0
	for {
		start := s.at
		n, err := s.signed()
		if err != nil {
			return interval{}, err
		}
		if s.at < len(s.text) && s.text[s.at] == ':' {
			s.at = start
			s.take('+')
			v.micros, err = s.clock()
			return v, s.finish(err)
		}
		if !s.take(' ') {
			return interval{}, errSyntax
		}
		unit := s.unit()
		if unit <= rank {
			return interval{}, errSyntax
		}
		switch rank = unit; unit {
		case unitYear:
			months = n * monthsPerYear
		case unitMonth:
			months += n
		case unitDay:
			if v.days = int32(n); int64(v.days) != n {
				return interval{}, errRange
			}
		}
		if v.months = int32(months); int64(v.months) != months {
			return interval{}, errRange
		}
		if s.done() {
			return v, nil
		}
		if !s.take(' ') {
			return interval{}, errSyntax
		}
	}
}

// Units of an interval in the order in which they stand.
const (
	unitYear = iota + 1
	unitMonth
	unitDay
)

// unit reads the name of a unit, 0 when it is none.
func (s *scanner) unit() int {
	start := s.at
	for s.at < len(s.text) && s.text[s.at] >= 'a' && s.text[s.at] <= 'z' {
		s.at++
	}
	switch string(s.text[start:s.at]) {
	case "year", "years":
		return unitYear
	case "mon", "mons", "month", "months":
		return unitMonth
	case "day", "days":
		return unitDay
	}
	return 0
}

// signed reads an integer of at most ten digits.
func (s *scanner) signed() (int64, error) {
	negative := s.take('-')
	if !negative {
		s.take('+')
	}
	v, err := s.digits(1, 10)
	if negative {
		v = -v
	}
	return v, err
}
