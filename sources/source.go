package sources

import (
	"context"

	"cdc/changelog"
)

// Source is one database that is tailed. Implementations live in the packages below this one; sourcetest.Run is the suite that
// all of them pass.
type Source interface {
	// Stream connects, makes sure that the server is still what w.Source says and still holds everything after w.Progress, and
	// gives w every transaction after that position, whole and in commit order; ticks in between. A source that the log does not
	// know yet, or whose next epoch an operator has asked for, is introduced and copied first; a decision to copy one table again
	// (changelog.Decision with a Table, later than the table's state), or some of its rows (Writer.Rereads), is looked for in the log's
	// catalog while it runs. It returns when the context is done or the connection fails; a *Stop says that it must not be tried again.
	Stream(ctx context.Context, w *Writer) error
	// Ack tells the source that everything up to the position is durable here. It does not block, and may be called while Stream
	// runs or between two calls of it; a later position replaces an earlier one.
	Ack(p changelog.Position)
	// Progress describes what the source is doing at the moment, for status and metrics. It does not block.
	Progress() Progress
	// Current asks the server where its end is now, and returns a function that reports whether a position of the log has
	// reached it.
	Current(ctx context.Context) (reached func(changelog.Position) bool, err error)
}

// Phase says what a source is doing.
type Phase string

// Phases.
const (
	PhaseConnecting Phase = "connecting"
	PhaseCopying    Phase = "copying"
	PhaseStreaming  Phase = "streaming"
	PhaseWaiting    Phase = "waiting" // between two tries
	PhaseStopped    Phase = "stopped" // a named stop
)

// Progress is what a source reports of itself.
type Progress struct {
	Phase Phase
	// Received is the source's newest position seen on the wire and SourceTime the source's own clock at that moment; their
	// distance from what the log holds is the lag.
	Received   changelog.Position
	SourceTime changelog.Micros
	// LagBytes is how far the durable log is behind the source's end in bytes of its WAL or binlog; -1 when not known.
	LagBytes int64
	// HeldBytes is what the source holds back for us (Postgres: WAL retained by the slot); -1 when not known.
	HeldBytes int64
	// Copy is set while tables are being copied.
	Copy *CopyProgress
	// Untracked are tables that match the patterns and are not captured, each with its reason.
	Untracked []string
}

// CopyProgress is how far a copy is. Estimates come from the source's statistics and may be off.
type CopyProgress struct {
	TablesDone, Tables      int
	RowsDone, RowsEstimated int64
	BytesDone               int64
	// Current is the full name of a table that is being copied, which may be followed by ", " and what its copy waits for.
	Current string
}

// Stop is an error that ends a source until an operator decides. Where it may be, it is recorded in the log.
type Stop struct {
	changelog.Stop
	// Table is the name of the table that it concerns, empty for the whole source.
	TableName string
	// Unrecorded stops were caused by a second writer or by a server that is not ours: the log may not be written.
	Unrecorded bool
}

func (s *Stop) Error() string {
	text := string(s.Kind) + ": " + s.Detail
	if s.Remedy != "" {
		text += "; " + s.Remedy
	}
	return text
}

// Unfit is an error that trying again does not mend and that is no named stop: the source cannot be captured as it is
// configured (privilege, wal_level, no free slot, identity). Nothing has been captured.
type Unfit struct {
	Detail string
	// Remedy is what to do, with the statement to run where there is one.
	Remedy string
}

func (u *Unfit) Error() string {
	if u.Remedy == "" {
		return u.Detail
	}
	return u.Detail + "; " + u.Remedy
}

// Refused is an error of connecting that trying again does not mend: wrong password, TLS refused, unknown host name.
type Refused struct {
	Detail, Remedy string
	// Password says that a password was given, which may be the wrong one.
	Password bool
}

func (r *Refused) Error() string {
	if r.Remedy == "" {
		return r.Detail
	}
	return r.Detail + "; " + r.Remedy
}
