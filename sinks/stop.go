package sinks

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"cdc/changelog"
)

// Stop is an error that ends a sink until an operator has decided: going on would lose changes, repeat them, or write where another
// writes. Its kinds are those of sources. It is not recorded in the log, as it does not concern what the log holds; a sink that is
// opened again comes to it again.
type Stop struct {
	Kind changelog.StopKind
	// Detail says what and where, Remedy what to do.
	Detail, Remedy string
}

func (s *Stop) Error() string {
	return withRemedy(fmt.Sprintf("%s: %s", s.Kind, s.Detail), s.Remedy)
}

// Refused is an error that lasts until somebody changes something at the destination: a privilege, a password, a limit. The sink
// tries again from time to time.
type Refused struct{ Detail, Remedy string }

func (r *Refused) Error() string { return withRemedy(r.Detail, r.Remedy) }

func withRemedy(text, remedy string) string {
	if remedy == "" {
		return text
	}
	return text + "; " + remedy
}

// Pauses between tries: short enough that a sink is back within 30 s of its fault's end (G8).
const (
	firstPause   = 100 * time.Millisecond
	maxPause     = 10 * time.Second
	refusedPause = 10 * time.Second
)

// backoff gives growing pauses with full jitter.
type backoff struct{ ceiling time.Duration }

func (b *backoff) reset() { b.ceiling = 0 }

func (b *backoff) next(err error) time.Duration {
	var refused *Refused
	if errors.As(err, &refused) {
		return refusedPause
	}
	b.ceiling = min(max(2*b.ceiling, firstPause), maxPause)
	return firstPause/2 + rand.N(b.ceiling)
}

// final reports whether trying again cannot help: a named stop, or a log that cannot be read.
func final(err error) bool {
	var stop *Stop
	var corrupt *changelog.CorruptError
	return errors.As(err, &stop) || errors.As(err, &corrupt) || errors.Is(err, changelog.ErrTrimmed) ||
		errors.Is(err, changelog.ErrClosed) || errors.Is(err, changelog.ErrUnit)
}
