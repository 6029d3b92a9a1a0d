package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/prometheus/client_golang/prometheus"

	"cdc/changelog/disklog"
	"cdc/changelog/rowstate"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/sources"
)

// retryPause is how long a source waits that was refused or unfit while others go on, or after it has worked in this run.
const retryPause = 10 * time.Second

// Causes for which one source's Ingest is ended while the run goes on.
var (
	errRestart = errors.New("restart of the source")
	errDropped = errors.New("source was dropped")
)

// capture brings several sources into one log, each in a goroutine of its own: one that stops leaves the others running.
type capture struct {
	app     *App
	cfg     *config.Config
	log     *disklog.Log
	logger  *slog.Logger
	metrics *prometheus.Registry
	changes *prometheus.CounterVec
	units   *prometheus.CounterVec
	started time.Time
	http    string
	// publishers are the sinks, all of which there are from the beginning.
	publishers []*publisher

	introduction sync.Mutex // held while a source that is new to the log is given its number
	stopsFile    sync.Mutex // held while stops.jsonl is being written
	deciding     sync.Mutex // held while an operator's request is carried out

	mu      sync.Mutex // guards all below
	sources []*captured
	known   []config.Known
	verdict error // what the run ends with, once it ends by itself
	ended   bool
	end     context.CancelCauseFunc
}

func newCapture(app *App, cfg *config.Config, log *disklog.Log) (*capture, error) {
	c := &capture{app: app, cfg: cfg, log: log, logger: app.Logger, metrics: newMetrics(), started: time.Now()}
	c.changes = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cdc_changes_total", Help: "Changes appended to the log by this run."}, []string{"source"})
	c.units = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cdc_transactions_total", Help: "Transactions appended to the log by this run."}, []string{"source"})
	c.metrics.MustRegister(c.changes, c.units)
	known, err := config.ReadKnown(app.Data)
	if err != nil {
		return nil, err
	}
	for _, spec := range cfg.Sources {
		source, err := openDatabase(spec, nil, log.ID(), c.logger)
		if err != nil {
			return nil, err
		}
		s := &captured{spec: spec, wake: make(chan struct{}, 1), phase: sources.PhaseConnecting, since: time.Now(), idle: make(chan struct{})}
		close(s.idle)
		s.source = &observedSource{Source: source, began: func() { s.enter("", nil) }}
		c.sources = append(c.sources, s)
	}
	c.known = known
	for _, spec := range cfg.Sinks {
		p, err := c.newPublisher(spec)
		if err != nil {
			return nil, err
		}
		c.publishers = append(c.publishers, p)
	}
	return c, nil
}

// remember keeps a source that works in the folder, so that a later run needs no DSN.
func (c *capture) remember(s *captured) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := config.Remember(c.known, s.spec.Known())
	if err := config.WriteKnown(c.app.Data, known); err != nil {
		return err
	}
	c.known = known
	return nil
}

// run captures until the context is done, the log fails, or no source is left that could go on.
func (c *capture) run(ctx context.Context, untilCurrent bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.mu.Lock()
	c.end = cancel
	all := append([]*captured(nil), c.sources...)
	c.mu.Unlock()
	for _, s := range all {
		if err := c.readopt(ctx, s.spec.Name); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.watch(ctx) })
	for _, s := range all {
		group.Go(func() error { return c.keep(ctx, s) })
		if untilCurrent {
			group.Go(func() error { return c.awaitCurrent(ctx, s) })
		}
	}
	for _, p := range c.publishers {
		group.Go(func() error { return c.publish(ctx, p) })
	}
	err := group.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return c.verdict
	}
	return err
}

// readopt lets a source that was dropped begin a new epoch: to name it again is to decide so.
func (c *capture) readopt(ctx context.Context, name string) error {
	info, ok := c.log.Catalog().Source(name)
	if !ok || !isDropped(c.log.Catalog(), info) {
		return nil
	}
	return appendDecision(ctx, c.log, client.ResolveRequest{Source: name, Action: actionRecopy})
}

// keep keeps one source going. Its error ends the run: a source that stops is no error.
func (c *capture) keep(ctx context.Context, s *captured) error {
	for {
		err := c.ingest(ctx, s)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errDropped):
			s.finish(nil)
			if err := c.pause(ctx, s, nil); err != nil {
				return err
			}
			continue
		case errors.Is(err, errRestart):
			continue
		case !ofSource(err):
			return err
		}
		s.state() // notes whether it has worked
		s.finish(err)
		c.judge()
		if err := c.pause(ctx, s, err); err != nil {
			return err
		}
	}
}

// ofSource reports whether an error concerns its source only.
func ofSource(err error) bool {
	var stop *sources.Stop
	var unfit *sources.Unfit
	var refused *sources.Refused
	return errors.As(err, &stop) || errors.As(err, &unfit) || errors.As(err, &refused)
}

// pause waits until the source may be tried again: after a named stop, when an operator has decided; after a drop (err is nil), when
// the drop has failed.
func (c *capture) pause(ctx context.Context, s *captured, err error) error {
	var stop *sources.Stop
	var again <-chan time.Time
	if err != nil && !errors.As(err, &stop) {
		if ctx.Err() == nil { // otherwise it was the last one, and the end of the run says why
			c.logger.Warn("source cannot be captured, trying again", "source", s.spec.Name, "err", err, "pause", retryPause.String())
		}
		timer := time.NewTimer(retryPause)
		defer timer.Stop()
		again = timer.C
	}
	select {
	case <-again:
	case <-s.wake:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// ingest runs one Ingest of the source until it ends.
func (c *capture) ingest(ctx context.Context, s *captured) (err error) {
	ctx, end, ok := s.begin(ctx)
	if !ok {
		return errDropped
	}
	defer end()
	kind, _ := kindOf(s.spec.DSN.Kind())
	state, err := rowstate.Open(ctx, rowstate.Options{
		Dir: c.stateDir(s.spec.Name), Log: c.log, Source: c.log.Catalog().NextSource(s.spec.Name), AnyColumn: kind.anyColumn,
	})
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	defer func() {
		if closeErr := state.Close(); closeErr != nil {
			err = errors.Join(err, fmt.Errorf("close row state: %w", closeErr))
		}
	}()
	err = sources.Ingest(ctx, sources.IngestOptions{
		Log:   &sourceLog{Log: c.log, name: s.spec.Name, c: c, changes: c.changes.WithLabelValues(s.spec.Name), units: c.units.WithLabelValues(s.spec.Name)},
		State: state, Source: s.source, Name: s.spec.Name, Logger: c.logger, MaxClockSkew: s.spec.MaxClockSkew,
		Phase: s.enter, Unlogged: func(stop *sources.Stop) error { return c.keepStop(s.spec.Name, s.spec.DSN.Kind(), stop) },
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return withOrigin(&s.spec, err)
}

// stateDir is the folder of the source's row state. It is named by the source's name, which is known before the log has given the
// source its number.
func (c *capture) stateDir(name string) string {
	return filepath.Join(c.app.Data, "rowstate", name)
}

// judge ends the run when no source is left that could go on by itself.
func (c *capture) judge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var failures []error
	for _, s := range c.sources {
		final, failure := s.outcome()
		if !final {
			return
		}
		if failure != nil {
			failures = append(failures, nameSource(s.spec.Name, failure))
		}
	}
	if !c.ended {
		c.ended, c.verdict = true, verdict(failures)
		c.end(errEnded)
	}
}

// errEnded is the cause of a run that ended by itself.
var errEnded = errors.New("nothing is left to do")

// verdict is what a run ends with: an error that is not a named stop goes first, as its code says more.
func verdict(failures []error) error {
	var stops []error
	for _, err := range failures {
		var stop *sources.Stop
		if !errors.As(err, &stop) {
			return err
		}
		stops = append(stops, err)
	}
	if len(stops) < 2 {
		return errors.Join(stops...)
	}
	lines := []string{"every source is in a named stop:"}
	for _, err := range stops {
		lines = append(lines, err.Error())
	}
	return &exit.Error{Code: exit.Stopped, What: strings.Join(lines, "\n"), Err: errors.Join(stops...)}
}
