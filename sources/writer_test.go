package sources_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/rowstate"
	"cdc/changelog/vfs"
	"cdc/schema"
	"cdc/sources"
)

// openWriter makes a writer on a log in memory.
func openWriter(t *testing.T) (*sources.Writer, *disklog.Log) {
	t.Helper()
	log, err := disklog.Open("data/log", disklog.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	state, err := rowstate.Open(t.Context(), rowstate.Options{Log: log, Source: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { state.Close() })
	w := sources.NewWriter(sources.WriterOptions{Log: log, State: state, Source: changelog.SourceInfo{Name: "test"}})
	if err := w.Introduce(t.Context(), "test", nil); err != nil {
		t.Fatal(err)
	}
	return w, log
}

func numberRow(t *testing.T, table *schema.Table, n int64) []byte {
	t.Helper()
	var b schema.Builder
	b.Reset(table.Layout(), nil)
	b.Int(0, n)
	row, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func TestG5GiantTransactionIsInvisibleUntilItsCommit(t *testing.T) {
	w, log := openWriter(t)
	table := w.Register(numbers())
	const rows = 700_000 // over changelog.SpillBytes
	for n := range int64(rows) {
		if err := w.Change(&sources.Row{Op: changelog.OpCreate, Table: table, After: numberRow(t, table, n)}); err != nil {
			t.Fatal(err)
		}
	}
	if next := log.Bounds().Next; next > 2 {
		t.Fatalf("the log reaches %d before the commit", next)
	}
	n, err := w.Commit(t.Context(), sources.Commit{Position: position(1), XID: 1, Time: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.WaitDurable(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	cursor, err := log.Cursor(changelog.CursorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer cursor.Close()
	var c changelog.Change
	seen := int64(0)
	for {
		unit, err := cursor.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for {
			ok, err := unit.Next(&c)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if c.After.Int(0) != seen {
				t.Fatalf("row %d at place %d", c.After.Int(0), seen)
			}
			seen++
		}
	}
	if seen != rows {
		t.Fatalf("read %d rows, want %d", seen, rows)
	}
}

func TestG5AbortedTransactionLeavesNothing(t *testing.T) {
	w, log := openWriter(t)
	table := w.Register(numbers())
	if err := w.Change(&sources.Row{Op: changelog.OpCreate, Table: table, After: numberRow(t, table, 1)}); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := w.Change(&sources.Row{Op: changelog.OpCreate, Table: table, After: numberRow(t, table, 2)}); err != nil {
		t.Fatal(err)
	}
	n, err := w.Commit(t.Context(), sources.Commit{Position: position(1), Time: 1})
	if err != nil {
		t.Fatal(err)
	}
	// the source's introduction, then version, row and commit
	if want := changelog.Offset(4); n != want {
		t.Fatalf("commit at %d, want %d: the version must travel with the transaction that is left", n, want)
	}
	if !log.Catalog().Logged(table.Version) {
		t.Fatal("the table version did not reach the log")
	}
}

func TestG6CommitStampedTomorrowDoesNotMoveTheClock(t *testing.T) {
	w, log := openWriter(t)
	table := w.Register(numbers())
	now := changelog.Micros(1_000_000_000)
	w.SourceTime(now)
	commit := func(at changelog.Micros) changelog.Micros {
		t.Helper()
		if err := w.Change(&sources.Row{Op: changelog.OpCreate, Table: table, After: numberRow(t, table, int64(at))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(t.Context(), sources.Commit{Position: position(uint64(at)), Time: at}); err != nil {
			t.Fatal(err)
		}
		return log.Catalog().Progress(w.Source().ID).Clock
	}
	if clock := commit(now + changelog.Micros(24*time.Hour/time.Microsecond)); clock != now {
		t.Fatalf("the clock is at %s, want the source's own %s", clock, now)
	}
	if clock := commit(now + 5); clock != now+5 {
		t.Fatalf("the clock is at %s, want the next commit's time", clock)
	}
	if clock := commit(now - 5); clock != now+5 {
		t.Fatalf("the clock went back to %s", clock)
	}
}

func TestUnchangedColumnIsCompletedAcrossShrinkingUpdates(t *testing.T) {
	w, _ := openWriter(t)
	table := w.Register(wide())
	big, other := bytes.Repeat([]byte("a"), 1500), bytes.Repeat([]byte("b"), 1000)
	pack := func(set func(b *schema.Builder)) []byte {
		t.Helper()
		var b schema.Builder
		b.Reset(table.Layout(), nil)
		b.Int(0, 7)
		set(&b)
		row, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		return row
	}
	commit := func(n uint64, r sources.Row) error {
		t.Helper()
		r.Table = table
		if err := w.Change(&r); err != nil {
			return err
		}
		_, err := w.Commit(t.Context(), sources.Commit{Position: position(n), Time: changelog.Micros(n)})
		return err
	}
	if err := commit(1, sources.Row{Op: changelog.OpCreate, After: pack(func(b *schema.Builder) { b.Bytes(1, big); b.Bytes(2, other) })}); err != nil {
		t.Fatal(err)
	}
	for n := uint64(2); n < 4; n++ { // twice: the first leaves a row narrower than any that is stored out of line
		if err := commit(n, sources.Row{Op: changelog.OpUpdate, After: pack(func(b *schema.Builder) { b.String(2, "x") })}); err != nil {
			t.Fatal(err)
		}
	}
	last := lastAfter(t, w.Log())
	if !bytes.Equal(last, big) {
		t.Fatalf("the column left out holds %d bytes, want %d", len(last), len(big))
	}
	err := commit(4, sources.Row{Op: changelog.OpUpdate, After: func() []byte {
		var b schema.Builder
		b.Reset(table.Layout(), nil)
		b.Int(0, 8) // a key that the log has never seen
		b.String(2, "x")
		row, _ := b.Finish()
		return row
	}()})
	var stop *sources.Stop
	if !errors.As(err, &stop) || stop.Kind != changelog.StopCorrupt {
		t.Fatalf("a value that the log does not hold gave %v, want a named stop", err)
	}
}

func wide() *schema.Table {
	t := &schema.Table{
		Source: "test", Schema: "public", Name: "wide", SourceTable: 2, Identity: schema.IdentityKey,
		Columns: []schema.Column{
			{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", Key: 1},
			{ID: 2, Name: "a", Kind: schema.Text, SQLType: "text"},
			{ID: 3, Name: "b", Kind: schema.Text, SQLType: "text"},
		},
	}
	if err := t.Prepare(); err != nil {
		panic(err)
	}
	return t
}

// lastAfter is column 1 of the last change's new row.
func lastAfter(t *testing.T, log changelog.Log) []byte {
	t.Helper()
	if err := log.WaitDurable(t.Context(), log.Catalog().Progress(1).Commit); err != nil {
		t.Fatal(err)
	}
	cursor, err := log.Cursor(changelog.CursorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer cursor.Close()
	var value []byte
	for {
		unit, err := cursor.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return value
		}
		if err != nil {
			t.Fatal(err)
		}
		var c changelog.Change
		for {
			ok, err := unit.Next(&c)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			value = append([]byte(nil), c.After.Bytes(1)...)
		}
	}
}

// A value can lie out of line in a row that is narrow: the row was wide when the value was written, and has shrunk since. Its copy
// does not show it.
func TestRowThatShrankBeforeItsCopyIsCompleted(t *testing.T) {
	w, log := openWriter(t)
	table := w.Register(wide())
	c, err := w.StartCopy([]*schema.Table{table})
	if err != nil {
		t.Fatal(err)
	}
	var b schema.Builder
	row := func(id int64, set func()) []byte {
		b.Reset(table.Layout(), nil)
		b.Int(0, id)
		set()
		packed, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		return packed
	}
	big := bytes.Repeat([]byte("a"), 1500)
	cw := c.Writer()
	for id := range int64(3) {
		if err := cw.Row(table, row(id, func() { b.Bytes(1, big); b.String(2, "x") })); err != nil {
			t.Fatal(err)
		}
	}
	if err := cw.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(t.Context(), sources.Commit{Kind: changelog.UnitCopy, Position: position(1), Time: 1}); err != nil {
		t.Fatal(err)
	}
	for n := uint64(2); n < 5; n++ {
		id := int64(n) - 2
		err := w.Change(&sources.Row{Op: changelog.OpUpdate, Table: table, After: row(id, func() { b.String(2, "y") })})
		if err != nil {
			t.Fatalf("row %d: %v", id, err)
		}
		if _, err := w.Commit(t.Context(), sources.Commit{Position: position(n), Time: changelog.Micros(n)}); err != nil {
			t.Fatal(err)
		}
		if got := lastAfter(t, log); !bytes.Equal(got, big) {
			t.Fatalf("row %d: the column left out holds %d bytes, want %d", id, len(got), len(big))
		}
	}
}

// readLog notes where reading begins.
type readLog struct {
	changelog.Log
	from changelog.Offset
}

func (l *readLog) Cursor(o changelog.CursorOptions) (changelog.Cursor, error) {
	l.from = o.From
	return l.Log.Cursor(o)
}

// A source that is idle beside a busy one does not read all of what that one wrote when it is opened again.
func TestG8IdleSourceIsNotReadFromTheStart(t *testing.T) {
	_, log := openWriter(t)
	reads := &readLog{Log: log}
	options := rowstate.Options{Dir: t.TempDir(), Log: reads, Source: 1}
	state, err := rowstate.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	w := sources.NewWriter(sources.WriterOptions{Log: log, State: state, Source: changelog.SourceInfo{Name: "test"}})
	var busy changelog.UnitBuilder
	busy.Reset(changelog.UnitTx)
	busy.Meta.Source, busy.Meta.Epoch = 2, 1
	for range 1 << 20 {
		busy.Message(nil, nil)
	}
	if _, err := log.Append(t.Context(), &busy); err != nil {
		t.Fatal(err)
	}
	tick := func() {
		t.Helper()
		n, err := w.Tick(t.Context(), position(1), 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(log.WaitDurable(t.Context(), n), state.Durable(n)); err != nil {
			t.Fatal(err)
		}
	}
	tick()
	tick() // there must be something to read
	if err := state.Close(); err != nil {
		t.Fatal(err)
	}
	if state, err = rowstate.Open(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	if reads.from < 1<<20 {
		t.Fatalf("the log is read from offset %d on", reads.from)
	}
}
