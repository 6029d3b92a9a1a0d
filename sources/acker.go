package sources

import (
	"context"
	"sync"

	"cdc/changelog"
)

// maxPendingAcks bounds the positions that wait for the disk. When there are more, the newest replaces the last: fewer places to
// acknowledge at, and still each of them durable before it is.
const maxPendingAcks = 4096

// acker acknowledges positions to the source once they are durable: step 4 of Ingest, and the whole of G1.
type acker struct {
	o     IngestOptions
	woken chan struct{}

	mu      sync.Mutex // guards pending
	pending []placed
}

// placed is a position and the offset at which the log holds it.
type placed struct {
	offset   changelog.Offset
	position changelog.Position
}

func newAcker(o IngestOptions) *acker { return &acker{o: o, woken: make(chan struct{}, 1)} }

// appended notes a position that will be acknowledged when the offset is durable.
func (a *acker) appended(n changelog.Offset, p changelog.Position) {
	if p == "" {
		return
	}
	a.mu.Lock()
	if len(a.pending) >= maxPendingAcks {
		a.pending[len(a.pending)-1] = placed{n, p}
	} else {
		a.pending = append(a.pending, placed{n, p})
	}
	a.mu.Unlock()
	select {
	case a.woken <- struct{}{}:
	default:
	}
}

// run acknowledges until the context is done.
func (a *acker) run(ctx context.Context) error {
	for {
		first, ok := a.first()
		if !ok {
			select {
			case <-a.woken:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err := a.o.Log.WaitDurable(ctx, first); err != nil {
			return err
		}
		durable := a.o.Log.Bounds().Next - 1
		if err := a.o.State.Durable(durable); err != nil {
			return err
		}
		if p, ok := a.take(durable); ok {
			a.o.Source.Ack(p)
		}
	}
}

func (a *acker) first() (changelog.Offset, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.pending) == 0 {
		return 0, false
	}
	return a.pending[0].offset, true
}

// take removes what is durable and returns its newest position.
func (a *acker) take(durable changelog.Offset) (newest changelog.Position, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	done := 0
	for done < len(a.pending) && a.pending[done].offset <= durable {
		newest, ok = a.pending[done].position, true
		done++
	}
	a.pending = append(a.pending[:0], a.pending[done:]...)
	return newest, ok
}
