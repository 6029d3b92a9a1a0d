package sources

import (
	"context"
	"math/rand/v2"
	"time"
)

// Pauses between tries: short enough that a source is back within 30 s of its fault's end (G8).
const (
	DefaultFirstPause = 100 * time.Millisecond
	maxPause          = 10 * time.Second
)

// backoff gives growing pauses with full jitter, so that many readers of one server do not come back at once.
type backoff struct{ first, ceiling time.Duration }

func newBackoff(first time.Duration) *backoff {
	if first == 0 {
		first = DefaultFirstPause
	}
	return &backoff{first: first, ceiling: first}
}

func (b *backoff) reset() { b.ceiling = b.first }

func (b *backoff) next() time.Duration {
	d := b.first/2 + rand.N(b.ceiling)
	b.ceiling = min(2*b.ceiling, maxPause)
	return d
}

// Pause waits for the time, or until the context is done, and then returns its cause.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
