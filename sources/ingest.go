package sources

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"cdc/changelog"
	"cdc/changelog/rowstate"
)

// IngestOptions are what Ingest needs. Log, State and Source are required.
type IngestOptions struct {
	Log    changelog.Log
	State  *rowstate.Store
	Source Source
	// Name is the source's name in the log.
	Name   string
	Logger *slog.Logger
	// MaxClockSkew is DefaultMaxClockSkew when zero.
	MaxClockSkew time.Duration
	// FirstPause is how long the first pause before another try may be; DefaultFirstPause when zero.
	FirstPause time.Duration
	// Phase, when set, is told when Ingest itself waits or has stopped, with the error that made it.
	Phase func(Phase, error)
	// Unlogged is given a stop that may not be written into the log, and keeps it beside the log.
	Unlogged func(*Stop) error
}

// Ingest brings one source into the log until the context is done or the source comes to a named stop. It is the main path:
//
//  1. Stream begins after the last position that the log holds;
//  2. the Writer completes partial rows;
//  3. the log appends whole transactions and makes them durable;
//  4. only then is their position acknowledged to the source.
//
// A failed connection is tried again, for ever, with growing pauses. A *Stop, *Unfit or *Refused is returned.
func Ingest(ctx context.Context, o IngestOptions) error {
	if stop, ok := openStop(o); ok {
		o.report(PhaseStopped, stop)
		return stop
	}
	acks := newAcker(o)
	w := NewWriter(WriterOptions{
		Log: o.Log, State: o.State, Source: changelog.SourceInfo{Name: o.Name}, MaxClockSkew: o.MaxClockSkew, Appended: acks.appended,
	})
	group, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, w.interrupt)()
	group.Go(func() error { return acks.run(ctx) })
	group.Go(func() error { return stream(ctx, o, w) })
	return group.Wait()
}

// stream keeps the source streaming.
func stream(ctx context.Context, o IngestOptions, w *Writer) error {
	for pause := newBackoff(o.FirstPause); ; {
		before := w.Progress().Commit
		err := o.Source.Stream(ctx, w)
		if abortErr := w.Abort(); abortErr != nil {
			err = errors.Join(err, abortErr)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			err = errors.New("the stream ended without a reason")
		}
		if !retryable(err) {
			return end(ctx, o, w, err)
		}
		if w.Progress().Commit > before {
			pause.reset()
		}
		o.report(PhaseWaiting, err)
		d := pause.next()
		o.Logger.WarnContext(ctx, "source lost, trying again", "source", o.Name, "err", err, "pause", d.Round(time.Millisecond).String())
		if err := Pause(ctx, d); err != nil {
			return err
		}
	}
}

// end records a named stop and returns the error.
func end(ctx context.Context, o IngestOptions, w *Writer, err error) error {
	o.report(PhaseStopped, err)
	var stop *Stop
	if !errors.As(err, &stop) {
		return err
	}
	o.Logger.ErrorContext(ctx, "source stopped", "source", o.Name, "stop", string(stop.Kind), "detail", stop.Detail, "remedy", stop.Remedy)
	if stop.At == 0 {
		stop.At = changelog.MicrosOf(time.Now())
	}
	if stop.Unrecorded || w.Source().Epoch == 0 {
		if o.Unlogged == nil {
			return err
		}
		return errors.Join(err, o.Unlogged(stop))
	}
	n, recordErr := w.Control(ctx, func(b *changelog.UnitBuilder) { b.AddStop(stop.Stop) })
	if recordErr == nil {
		recordErr = o.Log.WaitDurable(ctx, n)
	}
	if recordErr != nil {
		return errors.Join(err, fmt.Errorf("record stop: %w", recordErr))
	}
	return err
}

// openStop is the stop that an earlier run recorded and nobody has decided about.
func openStop(o IngestOptions) (*Stop, bool) {
	info, ok := o.Log.Catalog().Source(o.Name)
	if !ok {
		return nil, false
	}
	record, ok := o.Log.Catalog().OpenStop(info.ID)
	if !ok {
		return nil, false
	}
	return &Stop{Stop: record.Stop}, true
}

// retryable decides what is tried again: everything but what is known not to mend by itself.
func retryable(err error) bool {
	var stop *Stop
	var unfit *Unfit
	var refused *Refused
	var corrupt *changelog.CorruptError
	switch {
	case errors.As(err, &stop), errors.As(err, &unfit), errors.As(err, &refused), errors.As(err, &corrupt):
		return false
	case errors.Is(err, changelog.ErrPoisoned), errors.Is(err, changelog.ErrClosed), errors.Is(err, changelog.ErrReadOnly),
		errors.Is(err, changelog.ErrUnit), errors.Is(err, changelog.ErrTooLarge):
		return false
	}
	return true
}

func (o *IngestOptions) report(p Phase, err error) {
	if o.Phase != nil {
		o.Phase(p, err)
	}
}
