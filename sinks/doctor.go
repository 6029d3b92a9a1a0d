package sinks

import "context"

// Doctor is a Sink that can look at its destination before it publishes.
type Doctor interface {
	// Doctor looks at everything that the sink needs and says what is missing. It changes nothing at the destination, and keeps
	// nobody out who publishes. topics are those that the sink is about to write; saved is its newest checkpoint.
	Doctor(ctx context.Context, topics []Topic, saved Checkpoint) []Finding
}

// Topic is a topic that a sink is about to write.
type Topic struct {
	Name string
	// Keyless says that it takes messages without a key.
	Keyless bool
}

// Severity says how much a finding matters.
type Severity string

// Severities.
const (
	SeverityOK      Severity = "ok"
	SeverityWarning Severity = "warning" // the sink works, and something may go wrong later
	SeverityProblem Severity = "problem" // the sink does not work
)

// Finding is the result of one check.
type Finding struct {
	// Check is what was looked at, Detail what was found, Remedy the command or step that mends it.
	Check          string
	Severity       Severity
	Detail, Remedy string
}
