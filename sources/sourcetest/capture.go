package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/rowstate"
	"cdc/changelog/vfs"
	"cdc/sources"
)

// Name is that of the source in the log.
const Name = "shop"

// Patience bounds every wait for a condition: some copy twenty tables, on a machine that does other things under the race detector.
const Patience = 2 * time.Minute

// Capture keeps a source in a log of its own. It is for the goroutine of its test.
type Capture struct {
	testing.TB
	// New makes the source for the log. It is called at each start.
	New func(log changelog.Log, logger *slog.Logger) (sources.Source, error)
	// AnyColumn is rowstate.Options.AnyColumn.
	AnyColumn bool

	Log    *disklog.Log
	Source sources.Source

	files *vfs.Mem
	dir   string // of the row state
	state *rowstate.Store
	stop  context.CancelFunc
	ended chan error
	acks  *acks
}

// NewCapture makes a Capture, which halts at the end of the test. Nothing is captured yet.
func NewCapture(t testing.TB, source func(changelog.Log, *slog.Logger) (sources.Source, error)) *Capture {
	c := &Capture{TB: t, New: source, files: vfs.NewMem(), dir: t.TempDir()}
	t.Cleanup(c.Halt)
	return c
}

// Open opens the log and makes the source.
func (c *Capture) Open() {
	c.Helper()
	var err error
	if c.Log, err = disklog.Open("log", disklog.Options{FS: c.files}); err != nil {
		c.Fatal(err)
	}
	c.state, err = rowstate.Open(context.Background(), rowstate.Options{
		Dir: c.dir, Log: c.Log, Source: c.Log.Catalog().NextSource(Name), AnyColumn: c.AnyColumn,
	})
	if err != nil {
		c.Fatal(err)
	}
	if c.Source, err = c.New(c.Log, c.logger()); err != nil {
		c.Fatal(err)
	}
}

func (c *Capture) logger() *slog.Logger {
	out := io.Discard
	if testing.Verbose() {
		out = testWriter{c.TB}
	}
	return slog.New(slog.NewTextHandler(out, nil))
}

type testWriter struct{ testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

// Start captures until Halt.
func (c *Capture) Start() {
	c.Helper()
	c.Open()
	ctx, cancel := context.WithCancel(context.Background())
	c.acks = &acks{Source: c.Source, log: c.Log}
	c.stop, c.ended = cancel, make(chan error, 1)
	options := sources.IngestOptions{
		Log: c.Log, State: c.state, Source: c.acks, Name: Name, Logger: c.logger(), FirstPause: time.Millisecond,
		Unlogged: func(*sources.Stop) error { return nil },
	}
	ended := c.ended
	go func() { ended <- sources.Ingest(ctx, options) }()
}

// Halt ends the capture and closes the log. Positions that were acknowledged before they were durable fail the test.
func (c *Capture) Halt() {
	if c.stop != nil {
		c.stop()
		<-c.ended
		c.stop = nil
		c.acks.check(c)
	}
	if c.state != nil {
		if err := errors.Join(c.state.Close(), c.Log.Close()); err != nil {
			c.Errorf("close log: %v", err)
		}
		c.state = nil
	}
}

// Restart halts and starts again.
func (c *Capture) Restart() {
	c.Helper()
	c.Halt()
	c.Start()
}

// Run starts, and waits until the log has what is there.
func (c *Capture) Run() {
	c.Helper()
	c.Start()
	c.Sync()
}

// Eventually waits for a condition, which must come while the source is captured.
func (c *Capture) Eventually(what string, ok func() bool) {
	c.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	poll := time.NewTicker(3 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-poll.C:
		case err := <-c.ended:
			c.ended <- err
			c.Fatalf("the capture ended while waiting for %s: %v", what, err)
		case <-deadline.C:
			c.Fatalf("timed out waiting for %s; progress %+v", what, c.Source.Progress())
		}
	}
}

// Sync waits until everything that has been committed is durable in the log.
func (c *Capture) Sync() {
	c.Helper()
	c.Reach(c.Current())
}

// Current is Source.Current.
func (c *Capture) Current() func(changelog.Position) bool {
	c.Helper()
	reached, err := c.Source.Current(context.Background())
	if err != nil {
		c.Fatal(err)
	}
	return reached
}

// Reach waits until the log is durable up to a place that Current has returned.
func (c *Capture) Reach(reached func(changelog.Position) bool) {
	c.Helper()
	c.Eventually("the log to come to the source's end", func() bool {
		p := c.Progress()
		return p.Position != "" && reached(p.Position) && c.Log.Bounds().Next > p.Commit
	})
}

// Progress is how far the log holds the source.
func (c *Capture) Progress() changelog.SourceProgress {
	return c.Log.Catalog().Progress(c.Log.Catalog().NextSource(Name))
}

// End waits for the capture to end by itself, and returns its error. The log stays open.
func (c *Capture) End() error {
	c.Helper()
	select {
	case err := <-c.ended:
		c.ended <- err
		return err
	case <-time.After(Patience):
		c.Fatalf("the capture goes on; progress %+v", c.Source.Progress())
		return nil
	}
}

// WantStop waits for a named stop of the kind, whose detail has the text.
func (c *Capture) WantStop(kind changelog.StopKind, text string) *sources.Stop {
	c.Helper()
	err := c.End()
	var stop *sources.Stop
	if !errors.As(err, &stop) || stop.Kind != kind || !bytes.Contains([]byte(stop.Detail), []byte(text)) {
		c.Fatalf("ended with %v, want %s with %q", err, kind, text)
	}
	if stop.Remedy == "" {
		c.Errorf("%v has no remedy", stop)
	}
	return stop
}

// Decide appends an operator's decision to the log, about a table when it is not zero.
func (c *Capture) Decide(d changelog.Decision) {
	c.Helper()
	info, ok := c.Log.Catalog().Source(Name)
	if !ok {
		c.Fatal("a decision about a source that the log does not know")
	}
	var u changelog.UnitBuilder
	u.Reset(changelog.UnitControl)
	u.Meta.Source, u.Meta.Epoch = info.ID, info.Epoch
	u.AddDecision(d)
	n, err := c.Log.Append(context.Background(), &u)
	if err == nil {
		err = c.Log.WaitDurable(context.Background(), n)
	}
	if err != nil {
		c.Fatal(err)
	}
}

// acks stands before a source and looks at what it is told.
type acks struct {
	sources.Source
	log changelog.Log

	mu  sync.Mutex // guards all
	all map[changelog.Position]changelog.Offset
	one changelog.Position
}

// Ack implements sources.Source.
func (a *acks) Ack(p changelog.Position) {
	a.mu.Lock()
	if a.all == nil {
		a.all = map[changelog.Position]changelog.Offset{}
	}
	if _, known := a.all[p]; !known {
		a.all[p] = a.log.Bounds().Next
	}
	a.one = p
	a.mu.Unlock()
	a.Source.Ack(p)
}

// last is the newest position that was acknowledged.
func (a *acks) last() changelog.Position {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.one
}

// check expects that each position belonged to a unit that was durable at the moment.
func (a *acks) check(c *Capture) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.all) == 0 {
		return
	}
	durable := map[changelog.Position]changelog.Offset{}
	c.Units(func(u *changelog.Unit) {
		if _, ok := durable[u.Meta.Position]; !ok {
			durable[u.Meta.Position] = u.Meta.Commit()
		}
	})
	for p, next := range a.all {
		if commit, ok := durable[p]; !ok || commit >= next {
			c.Errorf("position %q was acknowledged when the log was durable before %d; the log has it at %d (%t)", p, next, commit, ok)
		}
	}
}
