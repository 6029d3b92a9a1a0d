package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

// copyJob is a table to be copied; reread, when set, is the decision that asked for some of its rows only.
type copyJob struct {
	table  schema.TableID
	reread changelog.Offset
}

// copyQueue holds the tables that wait to be copied.
type copyQueue struct {
	mu      sync.Mutex // guards waiting
	waiting []copyJob
	woken   chan struct{}
	// copying is set with the first table that waits, and cleared when a next one is asked for and there is none. A table is added
	// before the log has come to the place from which on it must be copied, so that nobody takes the log for current in between.
	copying *atomic.Bool
}

func newCopyQueue(copying *atomic.Bool) *copyQueue {
	return &copyQueue{woken: make(chan struct{}, 1), copying: copying}
}

func (q *copyQueue) add(j copyJob) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if slices.Contains(q.waiting, j) {
		return
	}
	q.waiting = append(q.waiting, j)
	q.copying.Store(true)
	select {
	case q.woken <- struct{}{}:
	default:
	}
}

func (q *copyQueue) take() (j copyJob, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.copying.Store(false)
		return j, false
	}
	j = q.waiting[0]
	q.waiting = q.waiting[1:]
	return j, true
}

func (q *copyQueue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// copyAll copies the tables of the queue, one after the other, until the context is done.
func (s *Source) copyAll(ctx context.Context, w *sources.Writer, q *copyQueue, c *sources.Copier) error {
	for {
		job, ok := q.take()
		if !ok {
			s.report(func(p *sources.Progress) { p.Phase, p.Copy = sources.PhaseStreaming, nil })
			select {
			case <-q.woken:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		var err error
		if job.reread != 0 {
			err = w.RunReread(ctx, job.reread, func(ctx context.Context, r changelog.RereadRecord) error { return s.reread(ctx, w, c, r) })
		} else {
			err = s.copyOne(ctx, w, q, c, job)
		}
		if err != nil {
			return err
		}
	}
}

// staleAgain is how long a table waits that could not be copied as it was changed too much.
const staleAgain = time.Second

func (s *Source) copyOne(ctx context.Context, w *sources.Writer, q *copyQueue, c *sources.Copier, job copyJob) error {
	// The transaction that asks for the copy may still be open, and the table not known before it.
	t, ok, err := w.TableAt(ctx, job.table)
	if err != nil {
		return err
	}
	if !ok || !captured(t.State.State) {
		return nil
	}
	s.report(func(p *sources.Progress) {
		if p.Copy == nil {
			p.Copy = &sources.CopyProgress{}
		}
		p.Phase = sources.PhaseCopying
		p.Copy.RowsEstimated += s.estimates[nameOf(t.Table)]
		p.Copy.Tables = p.Copy.TablesDone + q.len() + 1
		p.Copy.Current = t.Table.FullName()
	})
	err = c.Copy(ctx, t.Table, "")
	switch {
	case err == nil:
		s.report(func(p *sources.Progress) {
			if p.Copy != nil {
				p.Copy.TablesDone++
			}
		})
		return nil
	case errors.Is(err, sources.ErrStale):
		q.add(job)
		return sources.Pause(ctx, staleAgain)
	case codeOf(err) == errNoSuchTable || codeOf(err) == errBadField || codeOf(err) == errTableChanged:
		// The stream will tell in a moment what became of it.
		s.log.Info("table changed while it was copied", "table", t.Table.FullName(), "err", err)
		q.add(job)
		return sources.Pause(ctx, staleAgain)
	}
	return fmt.Errorf("copy: %w", err)
}

// Errors of the server that a changed table makes.
const (
	errNoSuchTable  = 1146
	errBadField     = 1054
	errTableChanged = 1412 // the definition is newer than the snapshot
)
