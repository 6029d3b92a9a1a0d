package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/server"
	"cdc/schema"
	"cdc/sources"
)

// Goal: sources share nothing but the log. One that is stopped, unfit, or lost leaves the others going, and what is said of each is
// said under its own name.
//
// Method: a capture of fakes in one log, each of which does what its test says once it has been introduced.

// fakeSource is a source that is introduced and then does as then says.
type fakeSource struct {
	kind string
	then func(ctx context.Context, w *sources.Writer) error

	mu    sync.Mutex // guards phase
	phase sources.Phase
}

func (f *fakeSource) Stream(ctx context.Context, w *sources.Writer) error {
	if w.Source().Epoch == 0 {
		if err := w.Introduce(ctx, f.kind, nil); err != nil {
			return err
		}
	}
	f.mu.Lock()
	f.phase = sources.PhaseStreaming
	f.mu.Unlock()
	return f.then(ctx, w)
}

func (*fakeSource) Ack(changelog.Position) {}

func (f *fakeSource) Progress() sources.Progress {
	f.mu.Lock()
	defer f.mu.Unlock()
	return sources.Progress{Phase: f.phase, SourceTime: changelog.MicrosOf(time.Now()), LagBytes: 7, HeldBytes: -1}
}

func (*fakeSource) Current(context.Context) (func(changelog.Position) bool, error) {
	return nil, errors.New("unknown")
}

// ticks streams ticks, each a second of the source's clock after the last.
func ticks(ctx context.Context, w *sources.Writer) error {
	for now := changelog.MicrosOf(time.Now()); ; now += 1e6 {
		if _, err := w.Tick(ctx, "place", now); err != nil {
			return err
		}
		if err := sources.Pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// startCapture captures the sources into a log until the test ends.
func startCapture(t *testing.T, all map[string]*fakeSource) *capture {
	t.Helper()
	app := &App{Data: t.TempDir(), Stderr: t.Output(), Logger: slog.New(slog.DiscardHandler)}
	log, err := disklog.Open(app.Data, disklog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCapture(app, &config.Config{}, log)
	if err != nil {
		t.Fatal(err)
	}
	for name, fake := range all {
		s := &captured{
			spec: config.Source{Name: name, DSN: config.DSN(fake.kind + "://u@h/" + name)}, wake: make(chan struct{}, 1),
			phase: sources.PhaseConnecting, since: time.Now(), idle: make(chan struct{}),
		}
		close(s.idle)
		s.source = &observedSource{Source: fake, began: func() { s.enter("", nil) }}
		c.sources = append(c.sources, s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.run(ctx, false) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the run ended with %v", err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// awaitStatus waits for a status of the source.
func awaitStatus(t *testing.T, c *capture, name string, good func(*client.Source) bool) *client.Source {
	t.Helper()
	for deadline := time.Now().Add(untilMax); time.Now().Before(deadline); {
		status := c.Status()
		if s := sourceStatusOf(&status, name); s != nil && good(s) {
			return s
		}
		if err := sources.Pause(t.Context(), 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	status := c.Status()
	t.Fatalf("%s never came to it: %+v", name, status.Sources)
	return nil
}

func TestSourceThatStopsLeavesTheOthersGoing(t *testing.T) {
	c := startCapture(t, map[string]*fakeSource{
		"works": {kind: "mysql", then: ticks},
		"gap": {kind: "postgres", then: func(context.Context, *sources.Writer) error {
			return &sources.Stop{Stop: changelog.Stop{Kind: changelog.StopGap, Detail: "the slot is gone", Remedy: "decide"}}
		}},
		"unfit": {kind: "postgres", then: func(context.Context, *sources.Writer) error { return &sources.Unfit{Detail: "wal_level is replica"} }},
		"lost":  {kind: "mysql", then: func(context.Context, *sources.Writer) error { return errors.New("connection reset") }},
	})
	gap := awaitStatus(t, c, "gap", func(s *client.Source) bool { return s.Phase == "stopped" })
	if len(gap.Stops) != 1 || gap.Stops[0].Kind != "GAP" || gap.Kind != "postgres" {
		t.Errorf("the stopped source says %+v", gap)
	}
	awaitStatus(t, c, "unfit", func(s *client.Source) bool { return s.Phase == "stopped" && strings.Contains(s.Error, "wal_level") })
	awaitStatus(t, c, "lost", func(s *client.Source) bool {
		return s.Phase == "waiting" && strings.Contains(s.Error, "connection reset")
	})

	works := awaitStatus(t, c, "works", func(s *client.Source) bool { return s.Phase == "streaming" && s.Offset > 0 })
	later := awaitStatus(t, c, "works", func(s *client.Source) bool { return s.Offset > works.Offset+3 })
	if later.Kind != "mysql" || later.LagSeconds < 0 || later.LagBytes != 7 || len(later.Stops) != 0 || later.Error != "" {
		t.Errorf("the source that works says %+v", later)
	}
	var reasons string
	awaitStatus(t, c, "works", func(*client.Source) bool { // a source that is being tried again is in nobody's way for a moment
		reasons = strings.Join(server.NotReady(c.Status(), time.Hour), "\n")
		return strings.Contains(reasons, "source gap is stopped: GAP") && strings.Contains(reasons, "source unfit is stopped: wal_level") &&
			strings.Contains(reasons, "source lost is ")
	})
	if strings.Contains(reasons, "works") {
		t.Errorf("the source that works is said to be in the way:\n%s", reasons)
	}
}

// A decision about a table reaches a source that streams without ending its stream; one about the whole source begins it anew.
func TestDecisionAboutATableDoesNotEndTheStream(t *testing.T) {
	var mu sync.Mutex
	began := 0 // streams that have registered the table
	c := startCapture(t, map[string]*fakeSource{"shop": {kind: "postgres", then: func(ctx context.Context, w *sources.Writer) error {
		_, err := w.Control(ctx, func(u *changelog.UnitBuilder) {
			table := productsTable(t, w)
			u.AddTable(table)
			u.AddTableState(changelog.TableState{Table: table.ID, State: changelog.TableUntracked})
		})
		if err != nil {
			return err
		}
		mu.Lock()
		began++
		mu.Unlock()
		return ticks(ctx, w)
	}}})
	streams := func() int {
		mu.Lock()
		defer mu.Unlock()
		return began
	}
	at := awaitStatus(t, c, "shop", func(*client.Source) bool {
		_, err := tableNamed(c.log, "shop", "public.products") // not before it is durable
		return err == nil
	})
	if err := c.Resolve(t.Context(), client.ResolveRequest{Source: "shop", Action: actionRecopy, Table: "public.products"}); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, c, "shop", func(s *client.Source) bool { return s.Offset > at.Offset+5 })
	if n := streams(); n != 1 {
		t.Errorf("the stream began %d times", n)
	}
	if err := c.Resolve(t.Context(), client.ResolveRequest{Source: "shop", Action: actionRecopy}); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, c, "shop", func(*client.Source) bool { return streams() == 2 })
}

func productsTable(t *testing.T, w *sources.Writer) *schema.Table {
	t.Helper()
	return w.Register(&schema.Table{
		Source: "shop", Schema: "public", Name: "products", SourceTable: 1, Identity: schema.IdentityKey,
		Columns: []schema.Column{{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", NotNull: true, Key: 1}},
	})
}
