package materialize

import (
	"strconv"
	"time"

	"cdc/changelog"
)

// MomentKind says how a moment was given.
type MomentKind uint8

// Kinds of moments.
const (
	MomentNow    MomentKind = iota // the end of the durable log
	MomentTime                     // a time, by each source's own clock
	MomentAgo                      // so long before each source's own clock
	MomentOffset                   // an offset of the log
	MomentTag                      // a named offset
	MomentTx                       // a source's transaction
	MomentLSN                      // a place in a Postgres source
	MomentGTID                     // a place in a MySQL or MariaDB source
)

// Moment is a moment as a person writes it. The zero Moment is now.
type Moment struct {
	Kind MomentKind
	// Source is the name of the source of an LSN, a GTID or a transaction; empty when it was not given.
	Source string
	// Text is the position of an LSN or GTID, or the name of a tag.
	Text string
	// Position is that position where it is known already: then Text is only shown.
	Position changelog.Position
	Offset   changelog.Offset
	XID      uint64
	Time     changelog.Micros
	Ago      time.Duration
}

// AtOffset is the moment of an offset.
func AtOffset(n changelog.Offset) Moment { return Moment{Kind: MomentOffset, Offset: n} }

// AtTime is the moment of a time.
func AtTime(t changelog.Micros) Moment { return Moment{Kind: MomentTime, Time: t} }

// String is the moment in its canonical form, which ParseMoment reads back as the same moment.
func (m Moment) String() string {
	switch m.Kind {
	case MomentTime:
		return formatTime(m.Time)
	case MomentAgo:
		return formatAgo(m.Ago)
	case MomentOffset:
		return "OFFSET " + strconv.FormatUint(uint64(m.Offset), 10)
	case MomentTag:
		return "TAG " + m.Text
	case MomentTx:
		return m.prefix() + "TX " + strconv.FormatUint(m.XID, 10)
	case MomentLSN:
		return m.prefix() + "LSN " + m.Text
	case MomentGTID:
		return m.prefix() + "GTID " + m.Text
	case MomentNow:
	}
	return "now"
}

func (m Moment) prefix() string {
	if m.Source == "" {
		return ""
	}
	return quoteName(m.Source) + ":"
}

// formatTime is RFC 3339 with as many decimals as there are.
func formatTime(t changelog.Micros) string {
	return t.Time().Format("2006-01-02T15:04:05.999999Z07:00")
}

// formatAgo writes the duration in the largest unit that holds it as a whole number; parsed ones are whole seconds.
func formatAgo(d time.Duration) string {
	unit := agoUnits[0]
	for _, u := range agoUnits {
		if d%u.size == 0 && d != 0 {
			unit = u
		}
	}
	text := strconv.FormatInt(int64(d/unit.size), 10) + " " + unit.name
	if d != unit.size {
		text += "s"
	}
	return text + " ago"
}
