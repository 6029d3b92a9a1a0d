package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/rowstate"
	"cdc/changelog/vfs"
	"cdc/schema"
)

// fakeSink keeps what it is given, and fails as it is told.
type fakeSink struct {
	mu       sync.Mutex // guards what follows
	opened   []Checkpoint
	errOpen  error
	errWrite error
	errAlone error // of Progress
	block    bool  // Write waits for its context
	lag      bool  // nothing arrives without Flush
	tables   []string
	befores  []string // of updates
	written  changelog.Offset
	arrived  changelog.Offset
	flushes  int
	closes   int
	failed   bool // no Flush may follow
}

func (f *fakeSink) Open(_ context.Context, saved Checkpoint) (changelog.Offset, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened = append(f.opened, saved)
	f.failed = f.errOpen != nil
	f.errAlone = nil
	return f.arrived, f.errOpen
}

func (f *fakeSink) Write(ctx context.Context, u *changelog.Unit) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.block {
		f.mu.Unlock()
		<-ctx.Done()
		f.mu.Lock()
		f.failed = true
		return ctx.Err()
	}
	if f.errWrite != nil {
		f.failed = true
		return f.errWrite
	}
	var c changelog.Change
	for {
		ok, err := u.Next(&c)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		name := string(c.Prefix)
		if c.Table != nil {
			name = fmt.Sprintf("%s %d", c.Table.Name, c.Table.Version)
		}
		f.tables = append(f.tables, name)
		if c.Op == changelog.OpUpdate && !c.Before.IsZero() {
			f.befores = append(f.befores, fmt.Sprintf("%d after %d", c.After.Int(1), c.Before.Int(1)))
		}
	}
	f.written = u.Meta.Commit()
	if !f.lag {
		f.arrived = f.written
	}
	return nil
}

func (f *fakeSink) Flush(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed {
		return errors.New("a sink that has failed is flushed")
	}
	f.flushes++
	f.arrived = f.written
	return nil
}

func (f *fakeSink) Arrived() Checkpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Checkpoint{Offset: f.arrived}
}

func (f *fakeSink) Progress() Progress {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Progress{Err: f.errAlone}
}

func (f *fakeSink) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closes++
	return nil
}

func (f *fakeSink) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// harness runs a fakeSink in a bubble of synthetic time.
type harness struct {
	*testing.T
	log    *disklog.Log
	mem    *vfs.Mem
	disk   *vfs.Faulty // of checkpoints
	sink   *fakeSink
	wanted func(*schema.Table) bool
	rows   *rowstate.Rows
	news   bytes.Buffer
	phases []string
	cancel context.CancelFunc
	ended  chan error
	build  changelog.UnitBuilder
}

// inBubble runs a test on a log in memory.
func inBubble(t *testing.T, f func(h *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log, err := disklog.Open("/log", disklog.Options{FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		h := &harness{T: t, log: log, sink: &fakeSink{}, ended: make(chan error, 1)}
		h.mem, h.disk = stores(t)
		h.build.Reset(changelog.UnitControl)
		h.build.AddSource(changelog.SourceInfo{ID: 1, Epoch: 1, Name: "shop", Kind: "postgres"})
		h.append()
		defer func() {
			h.end()
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(h)
	})
}

func (h *harness) start() {
	ctx, cancel := context.WithCancel(h.Context())
	h.cancel = cancel
	o := RunOptions{
		Log: h.log, Sink: h.sink, Name: "test", Store: NewStore(h.disk, "/sink"), Wanted: h.wanted, Rows: h.rows,
		Logger: slog.New(slog.NewTextHandler(&h.news, nil)),
		Phase:  func(p Phase, err error) { h.phases = append(h.phases, fmt.Sprintf("%s %v", p, err)) },
	}
	go func() { h.ended <- Run(ctx, o) }()
	synctest.Wait()
}

// end cancels the run, if it still runs.
func (h *harness) end() {
	h.Helper()
	if h.cancel == nil {
		return
	}
	h.cancel()
	h.cancel = nil
	if err := <-h.ended; !errors.Is(err, context.Canceled) {
		h.Fatalf("a cancelled run ends with %v", err)
	}
}

// pass lets time pass.
func (h *harness) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (h *harness) append() {
	h.Helper()
	h.build.Meta.Source, h.build.Meta.Epoch = 1, 1
	n, err := h.log.Append(h.Context(), &h.build)
	if err == nil {
		err = h.log.WaitDurable(h.Context(), n)
	}
	if err != nil {
		h.Fatal(err)
	}
	synctest.Wait() // the run has taken it
}

// table begins a transaction that makes a version of a table; number is the source's own of the table.
func (h *harness) table(number uint32, name string) *schema.Table {
	h.Helper()
	t := &schema.Table{
		Source: "shop", Schema: "public", Name: name, SourceTable: number, Identity: schema.IdentityKey,
		Columns: []schema.Column{{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", NotNull: true, Key: 1}},
	}
	if err := t.Prepare(); err != nil {
		h.Fatal(err)
	}
	t = h.log.Catalog().Register(1, t)
	h.build.Reset(changelog.UnitTx)
	h.build.AddTable(t)
	return t
}

func (h *harness) insert(t *schema.Table, id int64) {
	h.Helper()
	var row schema.Builder
	row.Reset(t.Layout(), nil)
	row.Int(0, id)
	packed, err := row.Finish()
	if err != nil {
		h.Fatal(err)
	}
	h.build.RowChange(changelog.OpCreate, t, changelog.ImageNone, nil, packed, nil)
}

// tick appends a unit without changes.
func (h *harness) tick() {
	h.Helper()
	h.build.Reset(changelog.UnitTick)
	h.append()
}

func (h *harness) opens() int {
	h.sink.mu.Lock()
	defer h.sink.mu.Unlock()
	return len(h.sink.opened)
}

func TestRunPublishesAndSavesCheckpoints(t *testing.T) {
	inBubble(t, func(h *harness) {
		h.start()
		h.tick()
		h.pass(2 * checkpointInterval)
		if got := load(h.T, h.mem); got.Offset != 2 {
			h.Fatalf("checkpoint %+v, want that at offset 2", got)
		}
		h.tick()
		synctest.Wait()
		if got := load(h.T, h.mem); got.Offset != 2 {
			h.Fatalf("checkpoint %+v before its time", got)
		}
		h.sink.set(func() { h.sink.lag = true })
		h.tick()
		h.end()
		if got := load(h.T, h.mem); got.Offset != 4 || h.sink.flushes != 1 || h.sink.closes != 1 {
			h.Fatalf("after the end: checkpoint %+v, %d flushes, %d times closed", got, h.sink.flushes, h.sink.closes)
		}
		h.start()
		if last := h.sink.opened[1]; last.Offset != 4 {
			h.Fatalf("opened again with %+v", last)
		}
		if want := []string{"opening <nil>", "publishing <nil>", "opening <nil>", "publishing <nil>"}; !slices.Equal(h.phases, want) {
			h.Fatalf("phases %q, want %q", h.phases, want)
		}
	})
}

func TestG8RunTriesAgainWithGrowingPauses(t *testing.T) {
	inBubble(t, func(h *harness) {
		h.sink.errOpen = errors.New("connection refused")
		h.start()
		h.pass(time.Minute)
		minute := h.opens()
		// Pauses grow to 10 s at most, of which the mean is half.
		if minute < 10 || minute > 40 {
			h.Fatalf("%d tries in the first minute", minute)
		}
		h.pass(10 * time.Minute)
		if more := h.opens() - minute; more < 60 || more > 240 {
			h.Fatalf("%d tries in ten more minutes", more)
		}
		if !strings.Contains(h.phases[1], "waiting open sink test: connection refused") {
			h.Fatalf("phases %q", h.phases[:3])
		}
		h.sink.set(func() { h.sink.errOpen = nil })
		h.pass(maxPause + firstPause)
		if got := h.sink.Arrived().Offset; got != 1 {
			h.Fatalf("after the fault's end all up to offset %d has arrived", got)
		}
		// What arrived ends the growth: the next fault is answered soon.
		h.sink.set(func() { h.sink.errWrite = errors.New("broken pipe") })
		before := h.opens()
		h.tick()
		synctest.Wait()
		h.sink.set(func() { h.sink.errWrite = nil })
		h.pass(2 * firstPause)
		if h.opens() != before+1 {
			h.Fatalf("%d tries right after a fault", h.opens()-before)
		}
	})
}

func TestRunWaitsWhenRefused(t *testing.T) {
	inBubble(t, func(h *harness) {
		h.sink.errOpen = fmt.Errorf("log in: %w", &Refused{Detail: "wrong password", Remedy: "give the right one"})
		h.start()
		h.pass(refusedPause/2 + 10*refusedPause)
		if n := h.opens(); n != 11 {
			h.Fatalf("%d tries in ten and a half pauses", n)
		}
		if !strings.Contains(h.phases[1], "wrong password; give the right one") {
			h.Fatalf("phases %q", h.phases[:2])
		}
	})
}

func TestRunEndsAtAStop(t *testing.T) {
	for _, cause := range []error{
		&Stop{Kind: changelog.StopFenced, Detail: "another process publishes", Remedy: "end one"},
		&changelog.CorruptError{File: "1.seg", What: "torn"},
		changelog.ErrTrimmed,
	} {
		inBubble(t, func(h *harness) {
			h.start()
			h.sink.set(func() { h.sink.errWrite = fmt.Errorf("produce: %w", cause) })
			h.tick()
			h.cancel = nil
			if err := <-h.ended; !errors.Is(err, cause) {
				h.Fatalf("the run ends with %v", err)
			}
			if last := h.phases[len(h.phases)-1]; !strings.HasPrefix(last, "stopped ") || h.sink.closes != 1 || h.opens() != 1 {
				h.Fatalf("phases %q, opened %d times, closed %d times", h.phases, h.opens(), h.sink.closes)
			}
		})
	}
}

func TestRunNoticesASinkThatFailsOnItsOwn(t *testing.T) {
	inBubble(t, func(h *harness) {
		h.start()
		h.sink.set(func() { h.sink.errAlone = errors.New("disk full") })
		h.pass(3 * checkpointInterval)
		if h.opens() != 2 || !strings.Contains(strings.Join(h.phases, "\n"), "waiting publish to sink test: disk full") {
			h.Fatalf("phases %q, opened %d times", h.phases, h.opens())
		}
	})
}

func TestRunEndsWhileASinkBlocks(t *testing.T) {
	inBubble(t, func(h *harness) {
		h.start()
		h.sink.set(func() { h.sink.block = true })
		h.tick()
		synctest.Wait()
		began := time.Now()
		h.end()
		if took := time.Since(began); took > flushTime || h.sink.flushes != 0 || h.sink.closes != 1 {
			h.Fatalf("the end took %s, with %d flushes", took, h.sink.flushes)
		}
		if got := load(h.T, h.mem); got.Offset != 1 {
			h.Fatalf("checkpoint %+v", got)
		}
		if strings.Contains(h.news.String(), "before all had arrived") {
			h.Fatalf("an ordinary end is told as a failure: %s", h.news.String())
		}
	})
}

func TestRunTriesAgainWhenACheckpointIsNotSaved(t *testing.T) {
	inBubble(t, func(h *harness) {
		h.disk.Inject(vfs.Fault{Kinds: vfs.KindChange})
		h.start()
		h.pass(3 * checkpointInterval)
		if got := load(h.T, h.mem); got.Offset != 1 || h.opens() != 2 {
			h.Fatalf("checkpoint %+v, opened %d times", got, h.opens())
		}
	})
}

// Whether a table is wanted is asked of each version, those that appear while the sink runs included, and once.
func TestRunPublishesWantedTables(t *testing.T) {
	inBubble(t, func(h *harness) {
		asked := map[schema.VersionID]int{}
		h.wanted = func(t *schema.Table) bool {
			asked[t.Version]++
			return strings.HasPrefix(t.Name, "orders")
		}
		h.start()
		orders := h.table(1, "orders")
		h.insert(orders, 1)
		h.append()
		users := h.table(2, "users")
		for id := range int64(3) {
			h.insert(users, id)
			h.insert(orders, id)
		}
		h.build.Message([]byte("hello"), nil)
		h.append()
		late := h.table(3, "orders_late")
		h.insert(late, 1)
		h.append()
		renamed := h.table(1, "old_orders")
		h.insert(renamed, 2)
		h.append()
		synctest.Wait()
		want := []string{"orders 1", "orders 1", "orders 1", "orders 1", "hello", "orders_late 3"}
		if !slices.Equal(h.sink.tables, want) {
			h.Fatalf("published %q, want %q", h.sink.tables, want)
		}
		for version := schema.VersionID(1); version <= 4; version++ {
			if asked[version] != 1 {
				h.Fatalf("asked %d times about version %d", asked[version], version)
			}
		}
	})
}

// A sink that lost what was on its way is given it again with the same old rows, and so is one that starts anew without its checkpoint.
func TestG3RunCompletesOldRowsTheSameEachTime(t *testing.T) {
	inBubble(t, func(h *harness) {
		h.rows = rowstate.NewRows(rowstate.RowsOptions{Log: h.log})
		counters := &schema.Table{
			Source: "shop", Schema: "public", Name: "counters", SourceTable: 1, Identity: schema.IdentityKey,
			Columns: []schema.Column{
				{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", NotNull: true, Key: 1}, {ID: 2, Name: "n", Kind: schema.Int64, SQLType: "bigint"},
			},
		}
		if err := counters.Prepare(); err != nil {
			h.Fatal(err)
		}
		counters = h.log.Catalog().Register(1, counters)
		count := func(op changelog.Op, n int64) {
			var row schema.Builder
			row.Reset(counters.Layout(), nil)
			row.Int(0, 1)
			row.Int(1, n)
			packed, err := row.Finish()
			if err != nil {
				h.Fatal(err)
			}
			h.build.RowChange(op, counters, changelog.ImageNone, nil, packed, nil)
		}
		h.build.Reset(changelog.UnitTx)
		h.build.AddTable(counters)
		count(changelog.OpCreate, 0)
		h.append()
		h.start()
		h.pass(2 * checkpointInterval)
		h.sink.set(func() { h.sink.lag = true })
		for n := range int64(3) {
			h.build.Reset(changelog.UnitTx)
			count(changelog.OpUpdate, 2*n+1)
			count(changelog.OpUpdate, 2*n+2)
			h.append()
		}
		synctest.Wait()
		want := []string{"1 after 0", "2 after 1", "3 after 2", "4 after 3", "5 after 4", "6 after 5"}
		wantOnly := func(when string) {
			h.Helper()
			h.sink.mu.Lock()
			defer h.sink.mu.Unlock()
			if !slices.Equal(h.sink.befores, want) {
				h.Fatalf("%s the sink was given %q, want %q", when, h.sink.befores, want)
			}
			h.sink.befores = nil
		}
		wantOnly("at first")
		h.sink.set(func() { h.sink.errAlone = errors.New("broken pipe") })
		h.pass(2*checkpointInterval + 2*firstPause)
		wantOnly("after a fault")
		h.end()
		h.sink.set(func() { h.sink.arrived, h.sink.lag = 0, false })
		h.start()
		synctest.Wait()
		wantOnly("from the beginning")
	})
}

func TestFilterCostsNoAllocation(t *testing.T) {
	wanted := newFilter(func(*schema.Table) bool { return true })
	table := &schema.Table{Version: 9}
	if n := testing.AllocsPerRun(100, func() { wanted(table) }); n != 0 {
		t.Fatalf("%v allocations a change", n)
	}
	if newFilter(nil) != nil {
		t.Fatal("all tables are asked about one by one")
	}
}
