package sources

import (
	"context"

	"cdc/changelog"
	"cdc/schema"
)

// Database is a Source with what the program asks of its server besides the stream.
type Database interface {
	Source
	// Warnings are what the user should know about the options, one sentence each.
	Warnings() []string
	// Doctor looks at everything that capture needs and says what is missing. It changes nothing at the server. The error says
	// that the server could not be asked.
	Doctor(ctx context.Context) ([]Finding, error)
	// Candidates are the tables that match, in the order of their names. It changes nothing at the server.
	Candidates(ctx context.Context) ([]Candidate, error)
	// Verification takes a snapshot of the source's tables, for comparing them with the log's. Close it.
	Verification(ctx context.Context) (Verification, error)
	// Tail gives out the changes of the tables that match from now on, without a log: nothing is kept, and what happens while
	// nobody listens is not seen.
	Tail(ctx context.Context, out TailOutput) error
	// Drop removes what the source holds for us at its server, and says what that was.
	Drop(ctx context.Context) (dropped []string, err error)
}

// Severity says how much a finding matters.
type Severity string

// Severities.
const (
	SeverityOK      Severity = "ok"
	SeverityWarning Severity = "warning" // capture works, and something may go wrong later
	SeverityProblem Severity = "problem" // capture does not work
)

// Finding is the result of one check.
type Finding struct {
	// Check is what was looked at, Detail what was found, Remedy the statement or step that mends it.
	Check          string
	Severity       Severity
	Detail, Remedy string
}

// Candidate is a table that matches a source's patterns.
type Candidate struct {
	Schema, Name string
	// Rows is the server's estimate, which may be zero for a table that it has not looked at.
	Rows int64
	// Keyed says that a key tells its rows apart.
	Keyed bool
	// Obstacle says why the table cannot be captured, empty when it can; Remedy is the statement or step that mends it, if any.
	Obstacle, Remedy string
}

// Verification is a source's tables as they were at one position. It is for one goroutine.
type Verification interface {
	// Position is the snapshot's place in the stream, Time the server's clock right after it was taken. The snapshot holds every
	// transaction up to the position and no other.
	Position() changelog.Position
	Time() changelog.Micros
	// Read calls f with every row of the table, packed in the version, which must be the one in force at the position. The row is
	// reused after the call.
	Read(ctx context.Context, version *schema.Table, f func(row []byte) error) error
	Close()
}

// TailOutput takes what Tail reads.
type TailOutput interface {
	// Change is called with each change of the open transaction. Columns that the server did not send are absent. The change is
	// valid during the call.
	Change(c *changelog.Change) error
	// Commit ends the transaction, also one without any change that was let through.
	Commit(c Commit) error
}
