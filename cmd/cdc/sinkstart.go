package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/exit"
	"cdc/materialize"
	"cdc/schema"
	"cdc/sinks"
)

// Waits for the moment behind which a sink starts.
const (
	startForever time.Duration = math.MaxInt64
	startNow     time.Duration = -1
)

// startLater is what to do about a place that the log has nothing of, or not all tables.
const startLater = "when another program stopped before the log's copy, let it go on until it is behind the copy, and name where it stops then; " +
	"or leave start out to publish from the log's beginning"

// start gives a sink that has published nothing yet the place behind its `start`: what lies before has never to be published. It
// waits until the log has passed the moment.
func (c *capture) start(ctx context.Context, p *publisher, wait time.Duration) error {
	if p.spec.Start == "" {
		return nil
	}
	saved, err := p.store.Load()
	if err != nil || saved.Offset > 0 {
		return err
	}
	if wait == startForever {
		if err := c.log.WaitDurable(ctx, 1); err != nil { // of a new log, the first source is about to come
			return err
		}
	}
	at, err := startOffset(ctx, c.log, p.spec.Start, wait)
	if err == nil {
		err = copiedAt(ctx, c.log, at, p.wants)
	}
	if err != nil {
		return err
	}
	c.logger.InfoContext(ctx, "sink starts behind a moment", "sink", p.spec.Name, "start", p.spec.Start, "offset", uint64(at))
	if !p.fresh {
		return p.store.Save(sinks.Checkpoint{Offset: at}) // what it has published before is not known
	}
	p.fresh = false
	return p.store.Begin(at)
}

// startOffset is the last commit at or before the moment in all sources of the log.
func startOffset(ctx context.Context, log changelog.Log, text string, wait time.Duration) (changelog.Offset, error) {
	m, err := materialize.ParseMoment(text)
	if err != nil {
		return 0, err
	}
	r, err := materialize.Resolve(ctx, log, m, materialize.ResolveOptions{Wait: wait, Positions: sourcePositions{}})
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case err != nil:
		return 0, notStarted(err)
	}
	at := r.Cut.Default
	for _, s := range r.Cut.Sources { // of a time: nothing that is later may be left out
		at = min(at, s.Offset)
	}
	return at, nil
}

// copiedAt is an error when the first copy of a table that the sink publishes is under way at the place: the rest of it would be
// published, among the changes, to readers that have these rows.
func copiedAt(ctx context.Context, log changelog.Log, at changelog.Offset, wanted func(*schema.Table) bool) error {
	for _, t := range log.Catalog().TablesAt(at) {
		underWay := t.State.State == changelog.TableCopying || t.State.State == changelog.TableRewritten
		if !underWay || t.KnownFrom != 0 || !wanted(t.Table) {
			continue
		}
		complete, err := copyEnd(ctx, log, t.Table)
		if err != nil {
			return err
		}
		return &exit.Error{
			Code: exit.Moment, What: fmt.Sprintf("it cannot start: table %s was not copied yet at that place; %s", t.Table.FullName(), complete),
			Remedy: startLater,
		}
	}
	return nil
}

// copyEnd says where the copy of a table is complete.
func copyEnd(ctx context.Context, log changelog.Log, table *schema.Table) (string, error) {
	end := log.Bounds().Next - 1
	t, _ := log.Catalog().TableAt(table.ID, end)
	if t.KnownFrom == 0 {
		return "its copy is not complete", nil
	}
	r, err := materialize.Resolve(ctx, log, materialize.AtOffset(t.KnownFrom), materialize.ResolveOptions{Wait: startNow, Positions: sourcePositions{}})
	for _, s := range r.Sources {
		if s.Source.Name == table.Source {
			return "its copy is complete at " + s.Position, err
		}
	}
	return fmt.Sprintf("its copy is complete at offset %d", t.KnownFrom), err
}

// notStarted says that a sink has no place to start from.
func notStarted(err error) error {
	e := &exit.Error{
		Code: exit.Moment, What: "it cannot start: " + err.Error(), Err: err,
		Remedy: "name a moment that the log holds, or leave start out to publish from the log's beginning",
	}
	var unknown *materialize.NameError
	var unanswerable *materialize.UnanswerableError
	switch {
	case errors.Is(err, materialize.ErrMoment):
		e.Code = exit.Usage
	case errors.As(err, &unanswerable):
		e.Remedy = startLater
	case errors.As(err, &unknown):
		e.Remedy = "capture the source first, and add the sink when its copy is in the log"
	}
	return e
}
