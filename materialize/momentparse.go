package materialize

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"cdc/changelog"
)

// ErrMoment is the cause of every error about a text that is no moment.
var ErrMoment = errors.New("not a moment")

// momentForms ends the message of a text that is no moment.
const momentForms = "write now, a time with its zone (2026-06-10T12:00:00Z, 2026-06-10 12:00:00+02), a date (2026-06-10 is its midnight UTC), " +
	"'20 seconds ago', 'OFFSET n', 'TAG name', 'TX n', 'LSN 0/16B3748' or 'GTID …', the last three also as 'source:LSN …'"

// Limits of a moment's text.
const (
	// maxMomentBytes bounds a moment: a GTID set can be long.
	maxMomentBytes = 64 << 10
	dayDuration    = 24 * time.Hour
)

// agoUnit is a unit of "20 seconds ago".
type agoUnit struct {
	name string
	size time.Duration
}

var agoUnits = [...]agoUnit{{"second", time.Second}, {"minute", time.Minute}, {"hour", time.Hour}, {"day", dayDuration}}

// ParseMoment reads a moment: `now`, a time with its zone, a date (midnight UTC), `20 seconds ago`, `OFFSET n`, `TAG name`, `TX n`,
// `LSN x` or `GTID x`, the last three also with their source before them, as in `shop:LSN 0/16B`.
func ParseMoment(text string) (Moment, error) {
	if len(text) > maxMomentBytes {
		return Moment{}, fmt.Errorf("%w: %d bytes are more than %d", ErrMoment, len(text), maxMomentBytes)
	}
	trimmed := strings.TrimSpace(text)
	if strings.EqualFold(trimmed, "now") {
		return Moment{}, nil
	}
	if m, ok, err := parseKeyword(trimmed); ok || err != nil {
		return m, err
	}
	if m, ok, err := parseAgo(trimmed); ok || err != nil {
		return m, err
	}
	return parseTime(trimmed)
}

// parseKeyword reads the forms that begin with a keyword, or with a source and a keyword.
func parseKeyword(text string) (m Moment, ok bool, err error) {
	source, rest, named, err := cutSource(text)
	if err != nil {
		return m, false, err
	}
	word, value, _ := strings.Cut(rest, " ")
	value = strings.TrimSpace(value)
	m.Source = source
	switch strings.ToUpper(word) {
	case "OFFSET":
		m.Kind = MomentOffset
		n, err := parseNumber(text, value)
		m.Offset = changelog.Offset(n)
		return m, true, errors.Join(err, noSource(named, word))
	case "TAG":
		m.Kind, m.Text = MomentTag, value
		return m, true, errors.Join(needValue(text, value), noSource(named, word))
	case "TX":
		m.Kind = MomentTx
		m.XID, err = parseNumber(text, value)
		return m, true, err
	case "LSN":
		m.Kind, m.Text = MomentLSN, value
		return m, true, needValue(text, value)
	case "GTID":
		m.Kind, m.Text = MomentGTID, value
		return m, true, needValue(text, value)
	}
	return Moment{}, false, nil
}

// cutSource splits `source:` off the text; a source whose name is not a plain word is in double quotes. A time, which has colons
// too, has no keyword after its first one and is left alone.
func cutSource(text string) (source, rest string, named bool, err error) {
	if strings.HasPrefix(text, `"`) {
		name, rest, ok := cutQuoted(text)
		if !ok || !strings.HasPrefix(rest, ":") || name == "" {
			return "", "", false, notMoment(text)
		}
		return name, strings.TrimSpace(rest[1:]), true, nil
	}
	name, rest, found := strings.Cut(text, ":")
	if !found || name == "" || strings.ContainsAny(name, " \t\r\n") {
		return "", text, false, nil
	}
	rest = strings.TrimSpace(rest)
	switch word, _, _ := strings.Cut(rest, " "); strings.ToUpper(word) {
	case "OFFSET", "TAG", "TX", "LSN", "GTID":
		return name, rest, true, nil
	}
	return "", text, false, nil
}

func noSource(named bool, word string) error {
	if !named {
		return nil
	}
	return fmt.Errorf("%w: %s means the same for all sources and takes none", ErrMoment, strings.ToUpper(word))
}

func needValue(text, value string) error {
	if value == "" {
		return notMoment(text)
	}
	return nil
}

func parseNumber(text, value string) (uint64, error) {
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %q needs a whole number", ErrMoment, text)
	}
	return n, nil
}

var agoText = regexp.MustCompile(`^(?i)([0-9]+)\s*(seconds?|minutes?|hours?|days?)\s+ago$`)

func parseAgo(text string) (Moment, bool, error) {
	parts := agoText.FindStringSubmatch(text)
	if parts == nil {
		return Moment{}, false, nil
	}
	for _, u := range agoUnits {
		if !strings.HasPrefix(strings.ToLower(parts[2]), u.name) {
			continue
		}
		n, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil || n > math.MaxInt64/int64(u.size) {
			return Moment{}, true, fmt.Errorf("%w: %q is longer ago than can be counted", ErrMoment, text)
		}
		return Moment{Kind: MomentAgo, Ago: time.Duration(n) * u.size}, true, nil
	}
	return Moment{}, false, nil
}

var (
	timeText = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[ Tt]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)\s*(.*))?$`)
	zoneText = regexp.MustCompile(`^([+-])([0-9]{2})(?::?([0-9]{2}))?(?::?([0-9]{2}))?$`)
)

// parseTime reads RFC 3339 and what Postgres prints in its ISO style.
func parseTime(text string) (Moment, error) {
	parts := timeText.FindStringSubmatch(text)
	if parts == nil {
		return Moment{}, notMoment(text)
	}
	date, clock, zone := parts[1], parts[2], parts[3]
	if clock == "" {
		clock, zone = "00:00:00", "Z"
	}
	if zone == "" {
		return Moment{}, fmt.Errorf("%w: the time %q does not say its zone; write %q for UTC, or its offset, as in %q",
			ErrMoment, text, text+"Z", text+"+02")
	}
	west, err := parseZone(text, zone)
	if err != nil {
		return Moment{}, err
	}
	layout := "2006-01-02 15:04:05"
	if len(clock) == len("15:04") {
		layout = "2006-01-02 15:04"
	}
	t, err := time.Parse(layout, date+" "+clock) // takes a fraction after the seconds by itself
	if err != nil {
		return Moment{}, fmt.Errorf("%w: there is no such time as %q", ErrMoment, text)
	}
	return AtTime(changelog.MicrosOf(t.Add(west))), nil
}

// parseZone is how far the zone lies west of UTC.
func parseZone(text, zone string) (time.Duration, error) {
	switch strings.ToUpper(zone) {
	case "Z", "UTC", "GMT":
		return 0, nil
	}
	parts := zoneText.FindStringSubmatch(zone)
	if parts == nil {
		return 0, fmt.Errorf("%w: the zone of %q is not Z, UTC or an offset like +02 or +05:30", ErrMoment, text)
	}
	var west time.Duration
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		if parts[2+i] == "" {
			continue
		}
		n, _ := strconv.Atoi(parts[2+i]) // two digits
		if i > 0 && n > 59 || i == 0 && n > maxZoneHours {
			return 0, fmt.Errorf("%w: there is no such zone as that of %q", ErrMoment, text)
		}
		west += time.Duration(n) * unit
	}
	if parts[1] == "+" {
		west = -west
	}
	return west, nil
}

// maxZoneHours is how far from UTC Postgres lets a zone be.
const maxZoneHours = 15

func notMoment(text string) error { return fmt.Errorf("%w: %q; %s", ErrMoment, text, momentForms) }

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$-]*$`)

// quoteName writes a name so that it is read back as it is.
func quoteName(s string) string {
	if plainName.MatchString(s) {
		return s
	}
	return quoted(s)
}

// quoted is a name in double quotes.
func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// cutQuoted splits a name in double quotes off the text; a quote within is doubled.
func cutQuoted(text string) (name, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != '"' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		return b.String(), text[i+1:], true
	}
	return "", "", false
}
