package postgres

import (
	"context"
	"sync"
	"time"

	"cdc/sources"
)

// pace lets so many rows a second through; zero lets all through at once.
type pace struct {
	perSecond int

	mu   sync.Mutex // guards next
	next time.Time  // when the rows that were let through are used up
}

// wait waits until the rows that were let through before have had their time.
func (p *pace) wait(ctx context.Context, rows int) error {
	if p.perSecond == 0 {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	wait := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(rows) * time.Second / time.Duration(p.perSecond))
	p.mu.Unlock()
	return sources.Pause(ctx, wait)
}
