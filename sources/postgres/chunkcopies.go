package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

const (
	// chunkRows is how many rows a range of a table has, about.
	chunkRows = 20_000
	// forgetEvery is how often a view is looked at while tables are copied, so that few transactions are kept in mind.
	forgetEvery = 5 * time.Second
	// againPauseMin and againPauseMax bound the pause before a table is tried again that did not stay as it was.
	againPauseMin, againPauseMax = 100 * time.Millisecond, 20 * time.Second
)

// chunkCopies copies tables in chunks beside the stream of one connection, one after another. The stream hands tables in, and runs
// the errands that need its place: what is recorded of a table takes effect between two transactions.
type chunkCopies struct {
	s      *Source
	g      *logGuide
	passed *passed
	// rows is how many rows a range has, about.
	rows  int
	limit *rate.Limiter
	// errand waits for the stream.
	errand atomic.Pointer[errand]

	mu     sync.Mutex // guards wanted
	wanted []wish
	woken  chan struct{}
}

// wish is a table to be copied. anew says that what has been copied does not count; reread, when set, is the decision that asked for
// some of its rows only.
type wish struct {
	oid    uint32
	anew   bool
	reread changelog.Offset
}

// errand is run by the goroutine that reads the stream, between two transactions, when the stream has come to the LSN.
type errand struct {
	at   LSN
	run  func(ctx context.Context) error
	done chan struct{}
}

func newChunkCopies(s *Source, g *logGuide, p *passed) *chunkCopies {
	k := &chunkCopies{s: s, g: g, passed: p, rows: chunkRows, woken: make(chan struct{}, 1)}
	if s.chunkRows > 0 {
		k.rows = s.chunkRows
	}
	k.limit = rate.NewLimiter(rate.Inf, k.rows)
	if most := s.o.CopyRowsPerSecond; most > 0 {
		k.rows = max(min(k.rows, most/2), 1) // a steady flow, not a burst now and then
		k.limit = rate.NewLimiter(rate.Limit(most), k.rows)
	}
	return k
}

// add has a table copied. It may be called by any goroutine.
func (k *chunkCopies) add(t wish) {
	k.mu.Lock()
	i := slices.IndexFunc(k.wanted, func(o wish) bool { return o.oid == t.oid && o.reread == t.reread })
	if i < 0 {
		k.wanted = append(k.wanted, t)
	} else {
		k.wanted[i].anew = k.wanted[i].anew || t.anew
	}
	k.mu.Unlock()
	select {
	case k.woken <- struct{}{}:
	default:
	}
}

func (k *chunkCopies) take() (t wish, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.wanted) == 0 {
		return t, false
	}
	t = k.wanted[0]
	k.wanted = k.wanted[1:]
	return t, true
}

// run copies what is wanted until the context is done.
func (k *chunkCopies) run(ctx context.Context) error {
	for {
		t, ok := k.take()
		if ok {
			if err := k.copy(ctx, t); err != nil {
				return err
			}
			continue
		}
		select {
		case <-k.woken:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// until is the LSN at which an errand wants to run, 0 for none.
func (k *chunkCopies) until() LSN {
	if e := k.errand.Load(); e != nil {
		return max(e.at, 1)
	}
	return 0
}

// boundary runs the errand when the stream has come to it.
func (k *chunkCopies) boundary(ctx context.Context, at LSN) (ran bool, err error) {
	e := k.errand.Load()
	if e == nil || at < e.at {
		return false, nil
	}
	k.errand.Store(nil)
	if err := e.run(ctx); err != nil {
		return true, err
	}
	close(e.done)
	return true, nil
}

// send has the stream run an errand, and waits for it.
func (k *chunkCopies) send(ctx context.Context, at LSN, run func(context.Context) error) error {
	e := &errand{at: at, run: run, done: make(chan struct{})}
	k.errand.Store(e)
	k.passed.ask()
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// copy copies one table to its end, however often it changes meanwhile.
func (k *chunkCopies) copy(ctx context.Context, t wish) error {
	c, err := k.s.openCatalog(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	k.passed.note(true)
	defer k.passed.note(false)
	defer k.s.report(func(p *sources.Progress) { p.Copy = nil })
	one := &chunkCopy{chunkCopies: k, c: c, wish: t}
	if t.reread != 0 {
		return k.g.w.RunReread(ctx, t.reread, one.reread)
	}
	for pause, last := againPauseMin, ""; ; {
		err := one.try(ctx)
		if err == nil || !again(err) {
			return err
		}
		if one.cursor != last {
			pause, last = againPauseMin, one.cursor
		}
		k.s.log.Info("the copy of a table goes on from where it is", "table", one.name, "reason", err, "pause", pause.String())
		if err := sources.Pause(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, againPauseMax)
	}
}

// againCodes are answers of the server that a table gets while it is altered or dropped, or when somebody stood in the way.
var againCodes = []string{
	"42P01", "3F000", "42703", "42501", // table, schema or column gone, or not to be read: the catalogue says more
	"55P03", "57014", "40001", "40P01", // lock not to be had, cancelled, in conflict
}

// again reports whether a table is to be looked at again, as it has changed.
func again(err error) bool {
	return errors.Is(err, sources.ErrStale) || errors.Is(err, errReshaped) || slices.Contains(againCodes, codeOf(err))
}

// chunkCopy copies one table.
type chunkCopy struct {
	*chunkCopies
	c *catalog
	wish
	name   string // for people
	cursor string // where the last try began
}

// try copies the table, or the rest of it, as the catalogue describes it.
func (k *chunkCopy) try(ctx context.Context) error {
	if err := k.s.publish(ctx, k.c, k.g.id.pubs, []uint32{k.oid}); err != nil {
		return err
	}
	found, err := k.find(ctx)
	if err != nil {
		return err
	}
	k.name = found.name
	var b begun
	err = k.send(ctx, found.at, func(ctx context.Context) (err error) {
		b, err = k.g.beginChunks(ctx, found, k.anew)
		return err
	})
	if err != nil || b.version == nil {
		return err
	}
	k.anew, k.cursor = false, b.cursor
	k.startReport(found.chosen.estimate)
	if err := k.awaitOlder(ctx, b); err != nil {
		return err
	}
	return k.read(ctx, found, b)
}

// found is a table as the catalogue has it when the stream comes to the LSN.
type found struct {
	oid  uint32
	name string
	// chosen is the table, unless it may not be captured, for which left has the reason, or is gone.
	chosen *choice
	left   *leftOut
	// version is the table's; whole says that it cannot be copied in chunks.
	version *schema.Table
	whole   bool
	shape   shape
	at      LSN
}

// find describes the table. The shape is read before the table: what happens in between shows in the version, or in the shape later.
func (k *chunkCopy) find(ctx context.Context) (*found, error) {
	shapes, err := k.c.readShapes(ctx, []uint32{k.oid}, k.g.id.pubs)
	if err != nil {
		return nil, err
	}
	tables, err := k.c.byOID(ctx, []uint32{k.oid})
	if err != nil {
		return nil, err
	}
	held, err := k.c.readPublished(ctx, k.g.id.pubs.names())
	if err != nil {
		return nil, err
	}
	f := &found{oid: k.oid, name: fmt.Sprintf("number %d", k.oid), shape: shapes[k.oid]}
	if len(tables) > 0 {
		f.name = tables[0].fullName(k.s.o.Name)
		f.left = &leftOut{tableInfo: tables[0], reason: "is not among the tables that are asked for", remedy: "see the patterns of tables"}
	}
	sel := k.s.choose(tables).within(held, k.g.id.pubs, k.s.o.Name)
	if len(sel.left) > 0 {
		f.left = &sel.left[0]
	}
	if len(sel.chosen) > 0 {
		f.chosen, f.left = &sel.chosen[0], nil
		if f.version, err = k.c.table(k.s.o.Name, f.chosen.tableInfo, f.chosen.appendOnly); err != nil {
			return nil, err
		}
		f.whole = !k.c.chunkable(f.version)
	}
	f.at, err = k.c.walEnd(ctx)
	return f, err
}

// read copies what is left of the table.
func (k *chunkCopy) read(ctx context.Context, found *found, begun begun) error {
	k.s.log.Info("copying table in chunks", "table", found.name, "position", found.at.String(), "resumed", begun.cursor != "")
	err := k.beside(ctx, func(ctx context.Context) error {
		return k.copier(found, "").Copy(ctx, begun.version, begun.detail)
	})
	if err == nil {
		k.s.log.Info("table is copied", "table", found.name)
	}
	return err
}

// copier reads the table, or those of its rows that match the predicate.
func (k *chunkCopy) copier(found *found, predicate string) *sources.Copier {
	return &sources.Copier{
		Writer: k.g.w, Readers: k.s.o.CopyReaders, Rows: k.rows, Throttle: k.limit.WaitN, Appended: k.appended,
		Open: func(context.Context) (sources.ChunkReader, error) {
			return &chunkReader{s: k.s, table: *found.chosen, passed: k.passed, predicate: predicate, held: k.held}, nil
		},
	}
}

// beside runs f, and meanwhile forgets transactions that need not be kept in mind.
func (k *chunkCopy) beside(ctx context.Context, f func(context.Context) error) error {
	group, reading := errgroup.WithContext(ctx)
	reading, done := context.WithCancel(reading)
	group.Go(func() error { return k.forget(reading) })
	group.Go(func() error {
		defer done()
		return f(reading)
	})
	return group.Wait()
}

// forget drops from mind, now and then, the transactions that every later view shows.
func (k *chunkCopy) forget(ctx context.Context) error {
	for {
		if sources.Pause(ctx, forgetEvery) != nil {
			return nil
		}
		v, _, err := k.c.viewed(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		k.passed.hidden(v, 0)
	}
}

func (k *chunkCopy) startReport(rows float64) {
	progress := &sources.CopyProgress{Tables: 1, RowsEstimated: int64(rows), Current: k.name}
	k.s.report(func(p *sources.Progress) { p.Copy = progress })
}

func (k *chunkCopy) appended(_ *schema.Table, rows int) {
	k.s.report(func(p *sources.Progress) {
		if p.Copy != nil {
			p.Copy.RowsDone += int64(rows)
		}
	})
	if k.s.chunkDone != nil {
		k.s.chunkDone(rows)
	}
}

// held says what the copy waits for, empty for nothing.
func (k *chunkCopy) held(what string) {
	current := k.name
	if what != "" {
		current += ", waiting for " + what
	}
	said := true
	k.s.report(func(p *sources.Progress) {
		if p.Copy != nil {
			said = p.Copy.Current == current
			p.Copy.Current = current
		}
	})
	if what != "" && !said {
		k.s.log.Warn("the copy of a table waits", "table", k.name, "for", what)
	}
}
