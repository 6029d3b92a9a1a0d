package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cdc/changelog"
	"cdc/schema"
)

// LSN is a place in the write-ahead log.
type LSN uint64

// ParseLSN reads the form 16/B374D848.
func ParseLSN(text string) (LSN, error) {
	high, low, ok := strings.Cut(text, "/")
	if !ok || len(high) > 8 || len(low) > 8 {
		return 0, fmt.Errorf("parse LSN %q: want two hexadecimal numbers with a slash between", text)
	}
	h, err := strconv.ParseUint(high, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("parse LSN %q: %w", text, err)
	}
	l, err := strconv.ParseUint(low, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("parse LSN %q: %w", text, err)
	}
	return LSN(h<<32 | l), nil
}

// String is the form that Postgres prints, 16/B374D848.
func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l)) }

// Position is a place in the stream: the commit record of a transaction, or the end of what has been read when nothing was in
// flight (then Commit = End).
type Position struct {
	Timeline uint32
	// Commit is where the commit record begins, End where it ends.
	Commit, End LSN
}

const positionBytes = 4 + 8 + 8

// ErrPosition is the cause of every error about bytes that are not a position of this package.
var ErrPosition = errors.New("bytes are not a Postgres position")

// FormatPosition encodes p so that positions compare as bytes in stream order.
func FormatPosition(p Position) changelog.Position {
	var b [positionBytes]byte
	binary.BigEndian.PutUint32(b[:], p.Timeline)
	binary.BigEndian.PutUint64(b[4:], uint64(p.Commit))
	binary.BigEndian.PutUint64(b[12:], uint64(p.End))
	return changelog.Position(b[:])
}

// ParsePosition decodes what FormatPosition encoded.
func ParsePosition(p changelog.Position) (Position, error) {
	if len(p) != positionBytes {
		return Position{}, fmt.Errorf("parse position of %d bytes: %w", len(p), ErrPosition)
	}
	b := []byte(p)
	return Position{
		Timeline: binary.BigEndian.Uint32(b), Commit: LSN(binary.BigEndian.Uint64(b[4:])), End: LSN(binary.BigEndian.Uint64(b[12:])),
	}, nil
}

// PositionText is the position for people: the LSN of its end, or a note that it is none.
func PositionText(p changelog.Position) string {
	if p == "" {
		return "none"
	}
	at, err := ParsePosition(p)
	if err != nil {
		return "unreadable"
	}
	return at.End.String()
}

// ParseMoment reads what a person writes after LSN: the position that includes every transaction whose commit record ends at or
// before it. Other programs, and messages, write an LSN as a decimal number.
func ParseMoment(text string) (changelog.Position, error) {
	at, err := ParseLSN(text)
	if n, numberErr := strconv.ParseUint(text, 10, 64); numberErr == nil {
		at, err = LSN(n), nil
	}
	if err != nil {
		return "", err
	}
	return FormatPosition(Position{Commit: at, End: at}), nil
}

// After reports whether the transaction whose unit stands at the position unit is not included in p.
func After(p, unit changelog.Position) bool { return endOf(unit) > endOf(p) }

// Reached reports whether a stream that stands at the position unit has passed p.
func Reached(p, unit changelog.Position) bool { return endOf(unit) >= endOf(p) }

// endOf is the end of a position; one that cannot be read is before everything.
func endOf(p changelog.Position) LSN {
	at, err := ParsePosition(p)
	if err != nil {
		return 0
	}
	return at.End
}

// microsOf turns the server's µs since 2000 into µs since 1970.
func microsOf(sinceY2K int64) changelog.Micros {
	return changelog.Micros(sinceY2K + schema.UnixEpoch2000)
}
