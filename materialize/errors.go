package materialize

import (
	"errors"
	"fmt"
	"strings"

	"cdc/changelog"
)

// Instant is a place in the log with the clock of its source there.
type Instant struct {
	Offset changelog.Offset
	// Clock is zero when it is not known.
	Clock changelog.Micros
}

// IsZero reports whether there is no instant.
func (i Instant) IsZero() bool { return i == Instant{} }

// String is for messages.
func (i Instant) String() string {
	if i.Clock == 0 {
		return fmt.Sprintf("OFFSET %d", i.Offset)
	}
	return fmt.Sprintf("%s (OFFSET %d)", formatTime(i.Clock), i.Offset)
}

// UnanswerableError says that the log cannot answer for a moment, and which moments it can answer for. It is exit code 3.
type UnanswerableError struct {
	// Table is the full name of the table, empty when the moment is the problem whatever the table.
	Table string
	// Moment is the moment asked about.
	Moment string
	// Earliest and Latest are the first and last moment that can be answered; either may be zero when there is none.
	Earliest, Latest Instant
	// Why says what is in the way.
	Why string
}

// Asked is err, with the moment as it was asked for in the place of the offset that it came to.
func (m Moment) Asked(err error) error {
	var e *UnanswerableError
	if errors.As(err, &e) && m.Kind != MomentNow {
		e.Moment = m.String()
	}
	return err
}

func (e *UnanswerableError) Error() string {
	var b strings.Builder
	b.WriteString("cannot answer")
	if e.Table != "" {
		b.WriteString(" for " + e.Table)
	}
	if e.Moment != "" {
		b.WriteString(" at " + e.Moment)
	}
	b.WriteString(": " + e.Why)
	if !e.Earliest.IsZero() {
		fmt.Fprintf(&b, "; earliest answerable moment: %s", e.Earliest)
	}
	if !e.Latest.IsZero() {
		fmt.Fprintf(&b, "; latest: %s", e.Latest)
	}
	return b.String()
}

// NameError says that a name means no table, source, tag or column, or more than one.
type NameError struct {
	// Kind is "table", "source", "tag", "column" or "transaction".
	Kind, Name string
	// Matches are what the name could mean, when it could mean several.
	Matches []string
	// Nearest are names that look like it, when there is no match.
	Nearest []string
	// Why says why the name cannot be read at all, when it cannot.
	Why string
}

// mostMatches bounds the names that a message lists.
const mostMatches = 6

func (e *NameError) Error() string {
	switch {
	case e.Why != "":
		return fmt.Sprintf("there is no %s %s: %s", e.Kind, e.Name, e.Why)
	case len(e.Matches) > mostMatches:
		shown := strings.Join(e.Matches[:mostMatches], " or ")
		return fmt.Sprintf("%s %s could mean %s or one of %d more; name one of them", e.Kind, e.Name, shown, len(e.Matches)-mostMatches)
	case len(e.Matches) > 0:
		return fmt.Sprintf("%s %s could mean %s; name one of them", e.Kind, e.Name, strings.Join(e.Matches, " or "))
	case len(e.Nearest) > 0:
		return fmt.Sprintf("there is no %s %s; did you mean %s?", e.Kind, e.Name, strings.Join(e.Nearest, " or "))
	default:
		return fmt.Sprintf("there is no %s %s", e.Kind, e.Name)
	}
}
