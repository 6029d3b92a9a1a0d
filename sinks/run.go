package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"cdc/changelog"
	"cdc/changelog/rowstate"
	"cdc/schema"
)

// RunOptions are what Run needs. Log, Sink, Store and Logger are required.
type RunOptions struct {
	Log  changelog.Log
	Sink Sink
	// Name is the sink's name in messages.
	Name  string
	Store *Store
	// Wanted reports whether changes of a table version are published; nil for all. Its answers must not change over the life of
	// a sink, or what has been published no longer tells what is missing. Logical messages belong to no table and are published.
	Wanted func(*schema.Table) bool
	// Rows, when set, complete the old rows of changes before the sink sees them. They follow the sink: wherever it goes on, its messages
	// are those that they would have been without a break. Run closes them.
	Rows *rowstate.Rows
	// First says that the sink has never published anything: then the first error of opening it is returned, as what is wrong is more
	// likely how it was named than the destination.
	First bool
	// To makes Run return nil once everything up to the offset, which must be durable, has arrived; 0 for never.
	To     changelog.Offset
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
func Run(ctx context.Context, o RunOptions) (err error) {
	if o.Rows != nil {
		defer func() { err = errors.Join(err, o.Rows.Close()) }()
	}
	for pause := (backoff{}); ; {
		before := o.Sink.Arrived().Offset
		opened, err := publish(ctx, o)
		err = errors.Join(err, o.Sink.Close())
		o.First = o.First && !opened
		switch {
		case err == nil && ctx.Err() == nil:
			return nil
		case ctx.Err() != nil:
			if err != nil {
				o.Logger.WarnContext(ctx, "sink ended before all had arrived", "sink", o.Name, "err", err)
			}
			return context.Cause(ctx)
		case final(err), o.First:
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
func publish(ctx context.Context, o RunOptions) (opened bool, err error) {
	o.report(PhaseOpening, nil)
	saved, err := o.Store.Load()
	if err != nil {
		return false, err
	}
	after, err := o.Sink.Open(ctx, saved)
	if err != nil {
		return false, fmt.Errorf("open sink %s: %w", o.Name, err)
	}
	if o.To != 0 && after >= o.To {
		return true, nil
	}
	if o.Rows != nil {
		if err := o.Rows.Seek(ctx, after); ctx.Err() != nil {
			return true, nil
		} else if err != nil {
			return true, fmt.Errorf("ready old rows for sink %s: %w", o.Name, err)
		}
	}
	cursor, err := o.Log.Cursor(changelog.CursorOptions{From: after + 1, To: o.To, Follow: o.To == 0})
	if err != nil {
		return true, err
	}
	o.report(PhasePublishing, nil)
	sound := true // of the sink: no Write has failed
	group, publishing := errgroup.WithContext(ctx)
	group.Go(func() error { return keepCheckpoints(publishing, o) })
	group.Go(func() error {
		wanted := newFilter(o.Wanted)
		for {
			u, err := cursor.Next(publishing)
			if errors.Is(err, io.EOF) {
				return errEnd
			}
			if err != nil {
				return fmt.Errorf("read log for sink %s: %w", o.Name, err)
			}
			u.Keep(wanted)
			if err := o.write(publishing, u); err != nil {
				sound = false
				return fmt.Errorf("publish to sink %s: %w", o.Name, err)
			}
		}
	})
	err = group.Wait()
	if errors.Is(err, errEnd) {
		err = errors.Join(o.Sink.Flush(ctx), o.save())
	}
	if ctx.Err() != nil {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx)) {
			err = nil
		}
		err = errors.Join(err, finish(ctx, o, sound))
	}
	return true, errors.Join(err, cursor.Close())
}

// errEnd says that all of what was asked for has been written.
var errEnd = errors.New("end of what is to be published")

// flushTime bounds the wait for what is on its way when the program ends.
const flushTime = 5 * time.Second

// finish lets what was taken arrive, unless the sink has failed, and saves the last checkpoint.
func finish(ctx context.Context, o RunOptions, sound bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	var err error
	if sound {
		err = o.Sink.Flush(ctx)
	}
	return errors.Join(err, o.save())
}

// write hands a unit to the sink, with whole old rows if they are asked for.
func (o *RunOptions) write(ctx context.Context, u *changelog.Unit) error {
	if o.Rows == nil {
		return o.Sink.Write(ctx, u)
	}
	if err := o.Rows.Begin(u); err != nil {
		return err
	}
	if err := o.Sink.Write(ctx, u); err != nil {
		return err
	}
	return o.Rows.Finish(ctx)
}

// save keeps what has arrived. Only when that is on the disk can the rows be sure that the sink does not go on from before it.
func (o *RunOptions) save() error {
	arrived := o.Sink.Arrived()
	if err := o.Store.Save(arrived); err != nil || o.Rows == nil {
		return err
	}
	return o.Rows.Arrived(arrived.Offset)
}

// keepCheckpoints saves what has arrived from time to time, and notices when the sink has failed although nothing is written.
func keepCheckpoints(ctx context.Context, o RunOptions) error {
	ticker := time.NewTicker(checkpointInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := o.save(); err != nil {
				return err
			}
			if err := o.Sink.Progress().Err; err != nil {
				return fmt.Errorf("publish to sink %s: %w", o.Name, err)
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
