package disklog_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/logtest"
	"cdc/changelog/vfs"

	"pgregory.net/rapid"
)

// model is a log as a slice: what each unit says of itself, in order.
type model struct {
	units   []changelog.UnitMeta
	durable int // units that are known to be durable
}

// machine compares a log with a model of it, through closing, sealing and losing power.
type machine struct {
	fs    *vfs.Mem
	log   *disklog.Log
	f     *logtest.Fixture
	model model
	next  uint64 // transaction
	seed  uint64
}

// TestG1LogIsTheSliceOfWhatWasAppended runs random histories against the model, over segment sizes that make them differ.
func TestG1LogIsTheSliceOfWhatWasAppended(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{fs: vfs.NewMem(), seed: rapid.Uint64().Draw(t, "seed")}
		m.open(t)
		defer func() { _ = m.log.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append": m.append,
			"wait":   m.wait,
			"seal":   m.seal,
			"reopen": m.reopen,
			"crash":  m.crash,
			"read":   m.read,
			"follow": m.readOnly,
		})
		m.check(t, m.log)
	})
}

func (m *machine) open(t *rapid.T) {
	size := int64(rapid.SampledFrom([]int{4 << 10, 8 << 10, 64 << 10}).Draw(t, "segment size"))
	var err error
	if m.log, err = disklog.Open(crashFolder, disklog.Options{FS: m.fs, SegmentBytes: size, KeepOpenForm: true}); err != nil {
		t.Fatal(err)
	}
	if m.f, err = logtest.NewFixture(m.log); err != nil {
		t.Fatal(err)
	}
	if len(m.model.units) == 0 {
		m.model.units = append(m.model.units, changelog.UnitMeta{First: 1, Count: uint64(m.log.Bounds().Next - 1), Kind: changelog.UnitControl})
	}
	m.model.durable = max(m.model.durable, 1)
}

func (m *machine) append(t *rapid.T) {
	for range rapid.IntRange(1, 10).Draw(t, "transactions") {
		b, err := m.f.Build(m.next, rapid.IntRange(0, 8).Draw(t, "changes"))
		if err == nil {
			_, err = m.log.Append(context.Background(), b)
		}
		if err != nil {
			t.Fatal(err)
		}
		m.model.units = append(m.model.units, b.Meta)
		m.next++
	}
}

func (m *machine) wait(t *rapid.T) {
	last := m.model.units[len(m.model.units)-1].Commit()
	if err := m.log.WaitDurable(context.Background(), last); err != nil {
		t.Fatal(err)
	}
	m.model.durable = len(m.model.units)
}

func (m *machine) seal(t *rapid.T) {
	if err := m.log.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) reopen(t *rapid.T) {
	if err := m.log.Close(); err != nil {
		t.Fatal(err)
	}
	m.model.durable = len(m.model.units)
	m.open(t)
	m.check(t, m.log)
}

// crash goes on with what a power loss leaves: at least what was known to be durable, and no unit in part.
func (m *machine) crash(t *rapid.T) {
	m.seed++
	left := m.fs.Crash(newRand(m.seed), rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "kept"))
	_ = m.log.Close()
	m.fs = left
	m.open(t)
	next := m.log.Bounds().Next
	kept := 0
	for kept < len(m.model.units) && m.model.units[kept].Commit() < next {
		kept++
	}
	if kept < m.model.durable || m.model.units[kept-1].Commit()+1 != next {
		t.Fatalf("%d units are left up to offset %d, %d were durable", kept, next, m.model.durable)
	}
	m.model.units, m.model.durable = m.model.units[:kept], kept
	m.next = uint64(kept - 1)
	m.check(t, m.log)
}

// read compares a random stretch.
func (m *machine) read(t *rapid.T) {
	m.wait(t)
	end := uint64(m.log.Bounds().Next)
	from := changelog.Offset(rapid.Uint64Range(1, end).Draw(t, "from"))
	to := changelog.Offset(rapid.Uint64Range(uint64(from), end).Draw(t, "to"))
	if err := m.compare(m.log, changelog.CursorOptions{From: from, To: to}); err != nil {
		t.Fatalf("from %d to %d: %v", from, to, err)
	}
}

// readOnly compares what another process sees.
func (m *machine) readOnly(t *rapid.T) {
	m.wait(t)
	l, err := disklog.Open(crashFolder, disklog.Options{FS: m.fs, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	m.check(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) check(t *rapid.T, l *disklog.Log) {
	m.model.durable = max(m.model.durable, 1)
	if err := m.compare(l, changelog.CursorOptions{}); err != nil {
		t.Fatal(err)
	}
}

// compare reads a stretch of the log and compares it with the model's.
func (m *machine) compare(l *disklog.Log, o changelog.CursorOptions) error {
	var want []changelog.UnitMeta
	end := l.Bounds().Next
	if o.To == 0 {
		if end == 1 {
			return nil // nothing is durable yet, and what becomes so meanwhile is not asked for
		}
		o.To = end - 1
	}
	for _, u := range m.model.units {
		if u.Commit() >= o.From && u.Commit() < end && (o.To == 0 || u.Commit() <= o.To) {
			want = append(want, u)
		}
	}
	c, err := l.Cursor(o)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for {
		u, err := c.Next(context.Background())
		if isEOF(err) {
			if len(want) > 0 {
				return fmt.Errorf("units from offset %d on are missing", want[0].First)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if len(want) == 0 {
			return errors.New("a unit too many")
		}
		w := want[0]
		want = want[1:]
		if u.Meta.First != w.First || u.Meta.Count != w.Count || u.Meta.Kind != w.Kind || u.Meta.XID != w.XID {
			return fmt.Errorf("unit %+v, want %+v", u.Meta, w)
		}
		if w.Kind == changelog.UnitTx {
			if err := m.f.Check(u); err != nil {
				return err
			}
		}
	}
}

func TestG5FollowingReaderOfALiveLogSeesWholeUnits(t *testing.T) {
	for _, hinted := range []bool{false, true} {
		fs := vfs.NewMem()
		w := openMem(t, fs, disklog.Options{SegmentBytes: crashSegment})
		fill(t, w, 0, 1)
		o := disklog.Options{FS: fs, ReadOnly: true}
		if hinted {
			o.DurableHint = func() changelog.Offset { return w.Bounds().Next }
		}
		r, err := disklog.Open(crashFolder, o)
		must(t, err)
		done := make(chan error, 1)
		go func() { done <- followTransactions(t.Context(), r, 200) }()
		fill(t, w, 1, 200)
		must(t, <-done)
		if _, err := r.Append(t.Context(), &changelog.UnitBuilder{}); !errors.Is(err, changelog.ErrReadOnly) {
			t.Fatalf("append to a log that is read: %v", err)
		}
		if got, want := r.Catalog().Progress(1), w.Catalog().Progress(1); got != want {
			t.Fatalf("the reader's catalog says %+v, the writer's %+v", got, want)
		}
		must(t, r.Close())
		must(t, w.Close())
	}
}

// followTransactions reads transactions 0, 1, 2 … as they come.
func followTransactions(ctx context.Context, l *disklog.Log, count uint64) error {
	f, err := logtest.NewFixture(l)
	if err != nil {
		return err
	}
	c, err := l.Cursor(changelog.CursorOptions{Follow: true})
	if err != nil {
		return err
	}
	for n := uint64(0); n < count; {
		u, err := c.Next(ctx)
		if err != nil {
			return errors.Join(err, c.Close())
		}
		if u.Meta.Kind != changelog.UnitTx {
			continue
		}
		if u.Meta.XID != 1000+n {
			return fmt.Errorf("transaction %d, want %d", u.Meta.XID-1000, n)
		}
		if err := f.Check(u); err != nil {
			return err
		}
		n++
	}
	return c.Close()
}

// A cursor that has opened a segment goes on reading it while it is sealed.
func TestCursorKeepsItsFileWhileTheSegmentIsSealed(t *testing.T) {
	fs := vfs.NewMem()
	l := openMem(t, fs, disklog.Options{SegmentBytes: crashSegment, KeepOpenForm: true})
	f := fill(t, l, 0, 100)
	c, err := l.Cursor(changelog.CursorOptions{})
	must(t, err)
	for n := 0; ; n++ {
		u, err := c.Next(t.Context())
		if isEOF(err) {
			break
		}
		must(t, err)
		if u.Meta.Kind == changelog.UnitTx {
			must(t, f.Check(u))
		}
		if n == 5 {
			must(t, l.Seal(t.Context()))
		}
	}
	must(t, c.Close())
}

// Each unit is durable before the next, so that each lies in a frame of its own and is what a reader that follows the log reads.
func TestReadingAUnitAllocatesNothing(t *testing.T) {
	l := openMem(t, vfs.NewMem(), disklog.Options{})
	fill(t, l, 0, 4000)
	c, err := l.Cursor(changelog.CursorOptions{})
	must(t, err)
	var change changelog.Change
	read := func(units int) {
		for range units {
			u, err := c.Next(context.Background())
			for more := true; more && err == nil; {
				more, err = u.Next(&change)
			}
			must(t, err)
		}
	}
	read(2000) // grows the buffers
	if n := testing.AllocsPerRun(10, func() { read(100) }); n > 1 {
		t.Fatalf("%v allocations in 100 units", n)
	}
	must(t, c.Close())
}
