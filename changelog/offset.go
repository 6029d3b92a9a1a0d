package changelog

import (
	"fmt"
	"time"
)

// Offset is a place in the log: dense, growing by one a record, starting at 1. Zero is before everything.
type Offset uint64

// Epoch is a source's generation. It grows when the source's history breaks: a new slot, a failover that lost commits, an
// accepted gap.
type Epoch uint32

// SourceID numbers a source within one log, in the order in which they were first seen, from 1. Zero is the log itself, for
// control units that belong to no source.
type SourceID uint16

// Position is a place in a source's stream, opaque outside that source's package (Postgres: timeline, commit LSN, end LSN).
// Positions of one source and epoch compare as bytes in stream order where the source says so.
type Position string

// Micros is a time in microseconds since 1970-01-01 00:00:00 UTC.
type Micros int64

// MicrosOf is t in microseconds.
func MicrosOf(t time.Time) Micros { return Micros(t.UnixMicro()) }

// Time is m as a time in UTC.
func (m Micros) Time() time.Time { return time.UnixMicro(int64(m)).UTC() }

// String is m in RFC 3339 with six decimals.
func (m Micros) String() string { return m.Time().Format("2006-01-02 15:04:05.000000Z") }

// Bounds says what a log holds.
type Bounds struct {
	// First is the offset of the first record kept, Next the first offset that is not durable yet: a reader may read
	// [First, Next).
	First, Next Offset
}

// String is for messages.
func (b Bounds) String() string { return fmt.Sprintf("offsets %d to %d", b.First, b.Next-1) }
