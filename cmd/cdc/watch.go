package main

import (
	"context"
	"errors"
	"syscall"
	"time"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/present"
	"cdc/sources"
)

// watchEvery is how often the sources' phases are looked at.
const watchEvery = 250 * time.Millisecond

// watch says on the log, or with a bar on a terminal, what the sources are doing: one line for each change.
func (c *capture) watch(ctx context.Context) error {
	w := &watcher{c: c, phases: map[string]sources.Phase{}, works: map[string]*present.Work{}, unkept: map[string]bool{}}
	w.progress = present.NewProgress(present.ProgressOptions{Out: c.app.Stderr, Terminal: c.app.ErrTerminal, Logger: c.logger})
	defer func() { w.progress.Close() }()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		c.mu.Lock()
		all := append([]*captured(nil), c.sources...)
		c.mu.Unlock()
		for _, s := range all {
			if err := w.look(s); err != nil {
				return err
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), c.rememberAll(all))
		}
	}
}

// rememberAll notes what has worked since the last look, so that a run that is ended at once is resumed without its DSNs.
func (c *capture) rememberAll(all []*captured) error {
	var problems []error
	for _, s := range all {
		info, known := c.log.Catalog().Source(s.spec.Name)
		if known && s.worked() && !isDropped(c.log.Catalog(), info) {
			problems = append(problems, c.remember(s))
		}
	}
	return errors.Join(problems...)
}

// watcher remembers what has been said.
type watcher struct {
	c        *capture
	progress *present.Progress
	phases   map[string]sources.Phase
	works    map[string]*present.Work
	// unkept are sources that a full disk has kept out of the folder's list so far.
	unkept map[string]bool
}

func (w *watcher) look(s *captured) error {
	name := s.spec.Name
	now := s.state()
	phase, failure, progress := now.phase, now.failure, now.progress
	w.copying(name, progress.Copy)
	if w.phases[name] == phase {
		return nil
	}
	w.phases[name] = phase
	info, _ := w.c.log.Catalog().Source(name)
	at := w.c.log.Catalog().Progress(info.ID)
	switch phase {
	case sources.PhaseStreaming:
		if kept, err := w.keep(s); !kept || err != nil {
			return err
		}
		tables, _ := tablesOf(w.c.log, name)
		w.c.logger.Info("source is streaming", "source", name, "position", positionText(info.Kind, at.Position), "offset", uint64(at.Commit), "tables", len(tables), "epoch", uint32(info.Epoch))
	case sources.PhaseStopped:
		w.stopped(name, failure)
	case sources.PhaseWaiting: // Ingest has said why
	default:
		w.c.logger.Info("source is "+string(phase), "source", name)
	}
	return nil
}

// keep notes the source in the folder. A full disk does not end the capture: the source is looked at again, and kept later.
func (w *watcher) keep(s *captured) (kept bool, err error) {
	name := s.spec.Name
	err = w.c.remember(s)
	if !errors.Is(err, syscall.ENOSPC) {
		delete(w.unkept, name)
		return err == nil, err
	}
	if !w.unkept[name] {
		w.c.logger.Error("disk is full, the folder does not know the source yet", "source", name, "err", err)
	}
	w.unkept[name] = true
	delete(w.phases, name)
	return false, nil
}

// stopped says what only the end of an Ingest knows; a stop that Ingest has met it has logged itself.
func (w *watcher) stopped(name string, failure error) {
	var stop *sources.Stop
	if errors.As(failure, &stop) && stop.At != 0 && time.Since(stop.At.Time()) > time.Minute {
		w.c.logger.Error("source is stopped since an earlier run", "source", name, "stop", string(stop.Kind), "detail", stop.Detail, "remedy", stop.Remedy)
	}
}

// copying moves the source's bar, or ends it.
func (w *watcher) copying(name string, p *sources.CopyProgress) {
	work := w.works[name]
	switch {
	case p == nil && work != nil:
		work.Done()
		delete(w.works, name)
		w.progress.Close()
		w.progress = present.NewProgress(present.ProgressOptions{Out: w.c.app.Stderr, Terminal: w.c.app.ErrTerminal, Logger: w.c.logger})
		w.c.logger.Info("copy is done", "source", name)
	case p != nil && work == nil:
		work = w.progress.Start("copying "+name, "rows")
		w.works[name] = work
		fallthrough
	case p != nil:
		work.Set(p.RowsDone, p.RowsEstimated)
	}
}

// awaitCurrent waits until everything that was committed at the source when it was asked is durable here, then counts the source
// as done.
func (c *capture) awaitCurrent(ctx context.Context, s *captured) error {
	reached, err := askCurrent(ctx, s)
	if err != nil {
		return err
	}
	for arrived := false; !arrived; {
		next := c.log.Bounds().Next // whatever is appended next
		at := c.progressOf(s)
		if arrived = at.Position != "" && reached(at.Position); arrived {
			next = at.Commit
		}
		if err := c.log.WaitDurable(ctx, next); err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
	}
	if err := c.awaitPublished(ctx, c.log.Bounds().Next-1); err != nil {
		return err
	}
	s.mu.Lock()
	s.reached = true
	s.mu.Unlock()
	c.judge()
	return nil
}

// awaitPublished waits until everything up to the offset has arrived at the sinks. The error of one that has stopped is what the run
// ends with.
func (c *capture) awaitPublished(ctx context.Context, n changelog.Offset) error {
	for _, p := range c.publishers {
		if err := c.drain(ctx, p, n); err != nil {
			return err
		}
	}
	return nil
}

// progressOf is how far the log holds the source, as far as it counts: until the source streams, a new epoch may yet begin with a
// copy.
func (c *capture) progressOf(s *captured) changelog.SourceProgress {
	info, known := c.log.Catalog().Source(s.spec.Name)
	if !known || s.state().phase != sources.PhaseStreaming {
		return changelog.SourceProgress{}
	}
	return c.log.Catalog().Progress(info.ID)
}

// askPause is the pause between two questions.
const askPause = time.Second

// askCurrent asks the source where its end is, again and again while it cannot be reached: whether that may ever be is for the
// source's own goroutine to find out.
func askCurrent(ctx context.Context, s *captured) (func(changelog.Position) bool, error) {
	for {
		reached, err := s.source.Current(ctx)
		if err == nil {
			return reached, nil
		}
		if err := sources.Pause(ctx, askPause); err != nil {
			return nil, err
		}
	}
}
