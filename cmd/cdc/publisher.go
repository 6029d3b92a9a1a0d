package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"cdc/changelog"
	"cdc/changelog/rowstate"
	"cdc/changelog/vfs"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/schema"
	"cdc/sinks"
	"cdc/sources"
)

// publisher is one sink of a run.
type publisher struct {
	spec  config.Sink
	sink  sinks.Sink
	store *sinks.Store
	wants func(*schema.Table) bool
	rows  *rowstate.Rows // nil unless old rows are completed
	fresh bool           // the sink has never had a folder here: it cannot have published anything

	running sync.Mutex    // held while the sink is used
	again   chan struct{} // an operator has acted upon a stop

	mu      sync.Mutex // guards sink, store and all below
	cancel  context.CancelCauseFunc
	phase   sinks.Phase
	since   time.Time
	failure error
	worked  bool // it has published in this run or in an earlier one
}

// sinksDir is where the folder keeps what it knows of sinks.
func sinksDir(data string) string { return filepath.Join(data, "sinks") }

// newPublisher makes the sink of a run. It does not connect.
func (c *capture) newPublisher(spec config.Sink) (*publisher, error) {
	dir := filepath.Join(sinksDir(c.app.Data), spec.Name)
	_, err := os.Stat(dir)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of sink %s: %w", spec.Name, err)
	}
	p := &publisher{spec: spec, store: sinks.NewStore(vfs.OS{}, dir), fresh: fresh, again: make(chan struct{}, 1), phase: sinks.PhaseOpening, since: time.Now()}
	saved, err := p.store.Load()
	if err != nil {
		return nil, err
	}
	p.worked = saved.Offset > 0
	if p.wants, err = wantedTables(spec.Tables); err != nil {
		return nil, err
	}
	if p.rows, err = c.rowsOf(p, filepath.Join(dir, "rows")); err != nil {
		return nil, err
	}
	p.sink, err = openSink(&spec, c.log, p.begun, c.logger)
	return p, err
}

// begun is the offset up to which the sink has never published anything, nor ever will.
func (p *publisher) begun() changelog.Offset {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.store.Start()
}

// rowsOf are the newest rows of the sink's tables, by which it completes old rows. Those of a sink that does not are removed.
func (c *capture) rowsOf(p *publisher, dir string) (*rowstate.Rows, error) {
	if !p.spec.WholeBefore {
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("remove rows of sink %s: %w", p.spec.Name, err)
		}
		return nil, nil
	}
	return rowstate.NewRows(rowstate.RowsOptions{
		Dir: dir, Log: c.log, Wanted: p.wants, Scope: strings.Join(p.spec.Tables, "\n"),
		Reading: func(from, to changelog.Offset) {
			c.logger.Info("reading the log for old rows", "sink", p.spec.Name, "from", uint64(from), "to", uint64(to))
		},
	}), nil
}

// wantedTables tells the tables that a sink publishes.
func wantedTables(texts []string) (func(*schema.Table) bool, error) {
	var include, exclude []sources.Pattern
	for _, text := range texts {
		p, err := sources.ParsePattern(text)
		switch {
		case err != nil:
			return nil, err
		case p.Excludes():
			exclude = append(exclude, p)
		default:
			include = append(include, p)
		}
	}
	return func(t *schema.Table) bool {
		matches := func(p sources.Pattern) bool { return p.Matches(t.Source, t.Schema, t.Name) }
		return (len(include) == 0 || slices.ContainsFunc(include, matches)) && !slices.ContainsFunc(exclude, matches)
	}, nil
}

// errDrain is the cause for which the publishing ends that goes on for ever: what there is to the end is about to be published.
var errDrain = errors.New("the end is published")

// publish runs the sink. A sink that stops leaves the capture running: what it lacks waits in the log until an operator has it tried
// again. Its error ends the run only when it has never worked: then what is wrong is how it was named.
func (c *capture) publish(ctx context.Context, p *publisher) error {
	for {
		drained, err := c.publishUntilStop(ctx, p)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case drained:
			<-ctx.Done()
			return context.Cause(ctx)
		case !p.hasWorked():
			return unusable(p.spec.Name, err)
		case !ofSink(err):
			return err
		}
		if err := c.awaitRetry(ctx, p); err != nil {
			return err
		}
	}
}

// awaitRetry waits until an operator has the sink tried again. What its settings name may be missing by then, such as a certificate: the
// sink stays in its stop, and its sources go on.
func (c *capture) awaitRetry(ctx context.Context, p *publisher) error {
	for {
		select {
		case <-p.again:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		err := c.renew(p)
		if err == nil {
			return nil
		}
		c.logger.ErrorContext(ctx, "sink stopped", "sink", p.spec.Name, "err", err)
		p.enter(sinks.PhaseStopped, err)
	}
}

// publishUntilStop publishes until the sink stops, or what there is to the end is about to be published by drain.
func (c *capture) publishUntilStop(ctx context.Context, p *publisher) (drained bool, err error) {
	publishing, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.running.Lock()
	defer p.running.Unlock()
	p.mu.Lock()
	p.cancel = cancel
	p.mu.Unlock()
	if err = c.start(publishing, p, startForever); err == nil {
		err = sinks.Run(publishing, c.runOptions(p))
	}
	return errors.Is(context.Cause(publishing), errDrain), err
}

// renew forgets what the sink knows of its destination: only what is in its folder counts, where an operator may have changed it.
func (c *capture) renew(p *publisher) error {
	sink, err := openSink(&p.spec, c.log, p.begun, c.logger)
	if err != nil {
		return err
	}
	p.running.Lock()
	defer p.running.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sink, p.store = sink, sinks.NewStore(vfs.OS{}, filepath.Join(sinksDir(c.app.Data), p.spec.Name))
	return nil
}

// retry has a sink tried again that has come to a named stop.
func (c *capture) retry(name string) error {
	var names []string
	for _, p := range c.publishers {
		names = append(names, p.spec.Name)
		if p.spec.Name != name {
			continue
		}
		if !p.stopped() {
			return &exit.Error{Code: exit.Usage, What: "sink " + name + " is in no named stop", Remedy: "'cdc status' shows what it is doing"}
		}
		select {
		case p.again <- struct{}{}:
		default: // it is about to be tried
		}
		return nil
	}
	remedy := "this run has no sinks"
	if len(names) > 0 {
		remedy = "this run has " + strings.Join(names, ", ")
	}
	return &exit.Error{Code: exit.Usage, What: fmt.Sprintf("there is no sink %q", name), Remedy: remedy}
}

func (p *publisher) stopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.phase == sinks.PhaseStopped
}

func (c *capture) runOptions(p *publisher) sinks.RunOptions {
	return sinks.RunOptions{
		Log: c.log, Sink: p.sink, Name: p.spec.Name, Store: p.store, Wanted: p.wants, Rows: p.rows, First: !p.hasWorked(), Logger: c.logger, Phase: p.enter,
	}
}

// drain publishes everything up to the offset, in the place of the publishing that goes on for ever.
func (c *capture) drain(ctx context.Context, p *publisher, to changelog.Offset) error {
	p.mu.Lock()
	if p.cancel != nil {
		p.cancel(errDrain)
	}
	p.mu.Unlock()
	p.running.Lock()
	defer p.running.Unlock()
	err := c.start(ctx, p, startNow)
	if err == nil {
		o := c.runOptions(p)
		o.To = to
		err = sinks.Run(ctx, o)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && !p.hasWorked():
		return unusable(p.spec.Name, err)
	}
	return err
}

// ofSink reports whether an error concerns its sink only.
func ofSink(err error) bool {
	var stop *sinks.Stop
	return errors.As(err, &stop)
}

// unusable is the error of a sink that ends a run: one without a better reason means that it cannot be reached.
func unusable(name string, err error) error {
	var refused *sinks.Refused
	var known *exit.Error
	switch {
	case errors.As(err, &known):
		known.Where = "sink " + name
		return err
	case ofSink(err), errors.As(err, &refused):
		return fmt.Errorf("sink %s: %w", name, err)
	}
	return &sinks.Refused{Detail: fmt.Sprintf("sink %s cannot be reached: %v", name, err), Remedy: "check its URL, and that it runs"}
}

// enter notes a phase as Run reports it.
func (p *publisher) enter(phase sinks.Phase, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase, p.failure, p.since = phase, err, time.Now()
	p.worked = p.worked || phase == sinks.PhasePublishing
}

func (p *publisher) hasWorked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.worked
}

// status is what the sink is doing.
func (p *publisher) status(durable changelog.Offset) client.Sink {
	p.mu.Lock()
	sink := p.sink
	p.mu.Unlock()
	progress, arrived := sink.Progress(), sink.Arrived()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := client.Sink{
		Name: p.spec.Name, Kind: p.spec.URL.Kind(), URL: p.spec.URL.String(), Phase: string(p.phase), Since: p.since.UTC(), Offset: arrived.Offset,
		LagOffsets: durable - min(durable, arrived.Offset), Messages: progress.Messages, Bytes: progress.Bytes, Waiting: progress.Waiting, Retries: progress.Retries,
	}
	if p.failure != nil {
		s.Error = p.failure.Error()
	}
	var stop *sinks.Stop
	if p.phase == sinks.PhaseStopped && errors.As(p.failure, &stop) {
		s.Stop = string(stop.Kind)
	}
	return s
}
