package sinks

import (
	"context"

	"cdc/changelog"
)

// Sink is a destination of changes. Its methods are for one goroutine, but for Arrived and Progress. sinktest.Run is the suite that
// every sink passes.
type Sink interface {
	// Open connects, makes sure that this process is the destination's one writer, and finds out how far the destination stands.
	// It returns the offset after which units are wanted; of those, the sink itself leaves out what has arrived already. saved is
	// the newest checkpoint that Run could keep, the zero value at first: it may be older than what has arrived, and it may be
	// lost. Open may be called again after an error of any method, and begins anew.
	Open(ctx context.Context, saved Checkpoint) (after changelog.Offset, err error)
	// Write takes the changes of a unit, in the log's order, and copies what it keeps: the unit is valid during the call. It blocks
	// while too much is on its way. An error, also that of the context, may concern an earlier unit; after one, only Open, Close,
	// Arrived and Progress may be called.
	Write(ctx context.Context, u *changelog.Unit) error
	// Flush waits until all that was written has arrived.
	Flush(ctx context.Context) error
	// Arrived is a checkpoint of what has arrived for good, the zero value before the first Open. It never goes back, does not
	// block, and may be asked at any time.
	Arrived() Checkpoint
	// Progress describes what the sink is doing, for status and metrics. It does not block.
	Progress() Progress
	// Close lets go of everything without waiting for what is on its way.
	Close() error
}

// Checkpoint is a sink's saved place.
type Checkpoint struct {
	// Offset is the last unit of which, as of all before it, everything has arrived.
	Offset changelog.Offset
	// State is JSON that the sink wants back in Open, empty when there is nothing. It is not changed once it is part of a checkpoint.
	State []byte
}

// Progress is what a sink reports of itself. Counts are those of this process.
type Progress struct {
	Messages, Bytes uint64
	// Waiting is how many bytes have been taken and have not arrived.
	Waiting int64
	// Retries is how many times something was sent again.
	Retries uint64
	// Err is what the next Write will return, of a sink that has failed on its own while nothing was written.
	Err error
}

// Encoder turns units into messages. It is for one goroutine.
type Encoder interface {
	// Encode calls emit with the messages of the unit, in order and always the same ones for the same unit. The context is for
	// questions to a schema registry.
	Encode(ctx context.Context, u *changelog.Unit, emit func(*Message) error) error
}

// Message is one message to be published. Its memory is the encoder's, and valid during the call that hands it over.
type Message struct {
	Topic string
	// Key is nil when there is none; Value is nil in a tombstone.
	Key, Value []byte
	Headers    []Header
	// Identity is unique among all messages of a log, and grows.
	Identity Identity
}

// Header is one header of a message.
type Header struct {
	Name  string
	Value []byte
}

// Identity names a message: the change or commit that it comes from, and which of its messages it is.
type Identity struct {
	Offset changelog.Offset
	Part   uint8
}

// After reports whether the message comes after the other one.
func (i Identity) After(o Identity) bool {
	return i.Offset > o.Offset || i.Offset == o.Offset && i.Part > o.Part
}
