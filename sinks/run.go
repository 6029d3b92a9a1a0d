package sinks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"cdc/changelog"
)

// RunOptions are what Run needs. Log, Sink, Store and Logger are required.
type RunOptions struct {
	Log  changelog.Log
	Sink Sink
	// Name is the sink's name in messages.
	Name  string
	Store *Store
	// Tables are the tables that are published; nil for all.
	Tables *changelog.TableSet
	Logger *slog.Logger
	// Phase, when set, is told what the sink is doing, with the error that made it wait or stop.
	Phase func(Phase, error)
}

// Phase says what a sink is doing.
type Phase string

// Phases.
const (
	PhaseOpening    Phase = "opening"
	PhasePublishing Phase = "publishing"
	PhaseWaiting    Phase = "waiting" // between two tries
	PhaseStopped    Phase = "stopped" // a named stop
)

// checkpointInterval is how often a checkpoint is saved while a sink publishes: what may have to be looked through again after a
// kill.
const checkpointInterval = time.Second

// Run publishes the log to the sink until the context is done or the sink comes to a named stop, which it returns. Whatever else
// fails is tried again, for ever, with growing pauses. When the context is done, what was taken is given flushTime to arrive.
func Run(ctx context.Context, o RunOptions) error {
	for pause := (backoff{}); ; {
		before := o.Sink.Arrived().Offset
		err := errors.Join(publish(ctx, o), o.Sink.Close())
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case final(err):
			o.report(PhaseStopped, err)
			o.Logger.ErrorContext(ctx, "sink stopped", "sink", o.Name, "err", err)
			return err
		case o.Sink.Arrived().Offset > before:
			pause.reset()
		}
		o.report(PhaseWaiting, err)
		d := pause.next(err)
		o.Logger.WarnContext(ctx, "sink lost, trying again", "sink", o.Name, "err", err, "pause", d.Round(time.Millisecond).String())
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// publish opens the sink and writes units until something fails.
func publish(ctx context.Context, o RunOptions) error {
	o.report(PhaseOpening, nil)
	saved, err := o.Store.Load()
	if err != nil {
		return err
	}
	after, err := o.Sink.Open(ctx, saved)
	if err != nil {
		return fmt.Errorf("open sink %s: %w", o.Name, err)
	}
	cursor, err := o.Log.Cursor(changelog.CursorOptions{From: after + 1, Tables: o.Tables, Follow: true})
	if err != nil {
		return err
	}
	o.report(PhasePublishing, nil)
	group, publishing := errgroup.WithContext(ctx)
	group.Go(func() error { return keepCheckpoints(publishing, o) })
	group.Go(func() error {
		for {
			u, err := cursor.Next(publishing)
			if err != nil {
				return fmt.Errorf("read log for sink %s: %w", o.Name, err)
			}
			if err := o.Sink.Write(publishing, u); err != nil {
				return fmt.Errorf("publish to sink %s: %w", o.Name, err)
			}
		}
	})
	err = group.Wait()
	if ctx.Err() != nil {
		err = errors.Join(err, finish(ctx, o))
	}
	return errors.Join(err, cursor.Close())
}

// flushTime bounds the wait for what is on its way when the program ends.
const flushTime = 5 * time.Second

// finish lets what was taken arrive and saves the last checkpoint.
func finish(ctx context.Context, o RunOptions) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	err := o.Sink.Flush(ctx)
	return errors.Join(err, o.Store.Save(o.Sink.Arrived()))
}

// keepCheckpoints saves what has arrived from time to time.
func keepCheckpoints(ctx context.Context, o RunOptions) error {
	ticker := time.NewTicker(checkpointInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := o.Store.Save(o.Sink.Arrived()); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (o *RunOptions) report(p Phase, err error) {
	if o.Phase != nil {
		o.Phase(p, err)
	}
}
