package postgres

import (
	"context"
	"sync"
	"time"

	"cdc/sources"
)

const (
	// askEvery is the pause between two status updates. Each asks for an answer, which tells how far an idle server has come and
	// that it is still there.
	askEvery = time.Second
	// ackDelay is how long a durable position waits for the next before it is told.
	ackDelay = 20 * time.Millisecond
)

// ackBox holds the newest durable LSN.
type ackBox struct {
	woken chan struct{}

	mu sync.Mutex // guards at
	at LSN
}

// set moves the LSN on; it never goes back.
func (a *ackBox) set(l LSN) {
	a.mu.Lock()
	moved := l > a.at
	a.at = max(a.at, l)
	a.mu.Unlock()
	if !moved {
		return
	}
	select {
	case a.woken <- struct{}{}:
	default:
	}
}

func (a *ackBox) end() LSN {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at
}

// reset forgets what another epoch's slot was told.
func (a *ackBox) reset(l LSN) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = l
}

// answer tells the server what is durable until the context is done: soon after a new position, at once when the server
// asks, and every second.
func (s *Source) answer(ctx context.Context, st *stream, flushed func() LSN) error {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for ask := true; ; {
		if err := st.feed.status(LSN(st.received.Load()), flushed(), ask); err != nil {
			return err
		}
		ask = false
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
			ask = true
		case <-st.asked:
		case <-st.wanted():
			ask = true
		case <-s.acked.woken:
			if err := sources.Pause(ctx, ackDelay); err != nil {
				return err
			}
		}
	}
}

// wanted is when somebody here wants to know how far the server is.
func (st *stream) wanted() <-chan struct{} {
	if st.passed == nil {
		return nil
	}
	return st.passed.asked
}
