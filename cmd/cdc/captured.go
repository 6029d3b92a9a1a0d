package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"cdc/cmd/cdc/internal/config"
	"cdc/sources"
)

// captured is one source of a run.
type captured struct {
	spec   config.Source
	source sources.Source
	wake   chan struct{} // a decision to try again at once

	mu      sync.Mutex // guards all below
	phase   sources.Phase
	since   time.Time
	failure error
	going   bool // it has copied or streamed in this run
	final   bool // it does nothing until somebody acts
	meter   copyMeter
	reached bool // it has come to where --until-current wanted it
	dropped bool
	cancel  context.CancelCauseFunc
	idle    chan struct{} // closed when no Ingest runs
}

// begin notes that an Ingest runs; end must be called when it has ended. It is refused once the source was dropped.
func (s *captured) begin(parent context.Context) (ctx context.Context, end func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped {
		return parent, nil, false
	}
	ctx, cancel := context.WithCancelCause(parent)
	idle := make(chan struct{})
	s.cancel, s.idle = cancel, idle
	s.final, s.failure = false, nil
	select {
	case <-s.wake: // what it asked for is happening
	default:
	}
	return ctx, func() {
		cancel(nil)
		close(idle)
	}, true
}

// interrupt ends the running Ingest, or wakes the source, and waits until nothing runs when it is dropped.
func (s *captured) interrupt(ctx context.Context, cause error) error {
	s.mu.Lock()
	s.dropped = s.dropped || errors.Is(cause, errDropped)
	cancel, idle := s.cancel, s.idle
	s.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	if !errors.Is(cause, errDropped) {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// revive lets a source go on that could not be dropped.
func (s *captured) revive() {
	s.mu.Lock()
	s.dropped = false
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// enter notes a phase as Ingest reports it; an empty phase leaves the word to the source.
func (s *captured) enter(p sources.Phase, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase, s.failure, s.since = p, err, time.Now()
}

// finish notes that the source does nothing until somebody acts.
func (s *captured) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var stop *sources.Stop
	s.phase, s.failure, s.since = sources.PhaseStopped, err, time.Now()
	s.final = err == nil || errors.As(err, &stop) || !s.going
}

// outcome reports whether the source does nothing until somebody acts, and why.
func (s *captured) outcome() (final bool, failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reached {
		return true, nil
	}
	return s.final, s.failure
}

// activity is what a source is doing: since when, why it waits or has stopped, and its own account of it.
type activity struct {
	phase    sources.Phase
	since    time.Time
	failure  error
	progress sources.Progress
	meter    copyMeter
}

// state is what the source is doing.
func (s *captured) state() activity {
	progress := s.source.Progress()
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.phase
	if p == "" || p == sources.PhaseConnecting {
		p = progress.Phase
	}
	if progress.Copy != nil {
		s.meter.note(time.Now(), progress.Copy.RowsDone)
	} else {
		s.meter = copyMeter{}
	}
	s.going = s.going || p == sources.PhaseCopying || p == sources.PhaseStreaming
	return activity{phase: p, since: s.since, failure: s.failure, progress: progress, meter: s.meter}
}

// worked reports whether the source has copied or streamed in this run.
func (s *captured) worked() bool {
	s.state()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.going
}

// observedSource tells when a try begins, which Ingest does not, and gives up on a server that was never reached: what is wrong
// then is the DSN rather than the server.
type observedSource struct {
	sources.Source
	began func()
}

// Stream implements sources.Source.
func (o *observedSource) Stream(ctx context.Context, w *sources.Writer) error {
	o.began()
	err := o.Source.Stream(ctx, w)
	if err == nil || ctx.Err() != nil || ofSource(err) || w.Source().Epoch != 0 || o.Progress().Phase != sources.PhaseConnecting {
		return err
	}
	return &sources.Refused{Detail: "the server cannot be reached: " + err.Error(), Remedy: "check the host and the port of the DSN, and that the server runs"}
}
