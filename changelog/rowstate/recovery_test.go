package rowstate

import (
	"bytes"
	"context"
	"errors"
	"os"
	"sync"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/vfs"
	"cdc/schema"
)

// The tests in this file take the power, fail reads of the log and change tables while a store is at work. Whatever happens, a value
// that it gives afterwards is the newest that the log holds.

// hookedLog calls hook with each unit that is read and waits when the disk is waited for, and notes where reading began.
type hookedLog struct {
	changelog.Log
	hook  func(*changelog.Unit) error
	waits func()
	from  changelog.Offset
}

func (l *hookedLog) WaitDurable(ctx context.Context, n changelog.Offset) error {
	if l.waits != nil {
		l.waits()
	}
	return l.Log.WaitDurable(ctx, n)
}

type hookedCursor struct {
	changelog.Cursor
	hook func(*changelog.Unit) error
}

func (l *hookedLog) Cursor(o changelog.CursorOptions) (changelog.Cursor, error) {
	l.from = o.From
	c, err := l.Log.Cursor(o)
	return hookedCursor{c, l.hook}, err
}

func (c hookedCursor) Next(ctx context.Context) (*changelog.Unit, error) {
	u, err := c.Cursor.Next(ctx)
	if err == nil && c.hook != nil {
		err = c.hook(u)
	}
	return u, err
}

func openStore(t *testing.T, o Options) *Store {
	t.Helper()
	o.Source = 1
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// introduce makes the source known, so that the log says how far it holds it.
func introduce(t *testing.T, l *disklog.Log) {
	t.Helper()
	var unit changelog.UnitBuilder
	unit.Reset(changelog.UnitControl)
	unit.Meta.Source, unit.Meta.Epoch = 1, 1
	unit.AddSource(changelog.SourceInfo{ID: 1, Epoch: 1, Name: "test", Kind: "test"})
	if _, err := l.Append(t.Context(), &unit); err != nil {
		t.Fatal(err)
	}
}

// unitOf is a transaction of one complete change.
func unitOf(l *disklog.Log, c Change) *changelog.UnitBuilder {
	unit := &changelog.UnitBuilder{}
	unit.Reset(changelog.UnitTx)
	unit.Meta.Source, unit.Meta.Epoch = 1, 1
	if !l.Catalog().Logged(c.Table.Version) {
		unit.AddTable(c.Table)
	}
	unit.RowChange(c.Op, c.Table, c.Image, c.Before, c.After, nil)
	return unit
}

// change brings one complete change into the log and the store, and waits until it is durable.
func change(t *testing.T, s *Store, l *disklog.Log, c Change) changelog.Offset {
	t.Helper()
	tx := s.Begin()
	if _, _, err := tx.Apply(c); err != nil {
		t.Fatal(err)
	}
	n, err := l.Append(t.Context(), unitOf(l, c))
	if err != nil {
		t.Fatal(err)
	}
	tx.Commit(n)
	if err := errors.Join(l.WaitDurable(t.Context(), n), s.Durable(n)); err != nil {
		t.Fatal(err)
	}
	return n
}

// complete asks for the text of the row a, which an update of b leaves out.
func complete(t *testing.T, s *Store, table *schema.Table, a int64) ([]byte, error) {
	t.Helper()
	after, _, err := s.Begin().Apply(Change{Op: changelog.OpUpdate, Table: table, After: pair(t, table, a, 9, nil)})
	if err != nil {
		return nil, err
	}
	row, err := table.Layout().Row(after)
	if err != nil {
		t.Fatal(err)
	}
	return row.Bytes(2), nil
}

func wantText(t *testing.T, s *Store, table *schema.Table, want []byte) {
	t.Helper()
	if got, err := complete(t, s, table, 1); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("completed with %.10q of %d bytes, want %.10q (%v)", got, len(got), want, err)
	}
}

// While a table sends its full old rows nothing of it needs to be kept, but what was kept before is out of date afterwards.
func TestG2ValueChangedUnderFullIdentityIsNotCompletedFromBefore(t *testing.T) {
	l := newLog(t)
	s := openStore(t, Options{Log: l})
	defer s.Close()
	byKey := pairs(t, l, "a")
	put(t, s, l, byKey, pair(t, byKey, 1, 1, wideText("old")))

	next := *byKey
	next.Identity = schema.IdentityFull
	full := l.Catalog().Register(1, &next)
	change(t, s, l, Change{
		Op: changelog.OpUpdate, Table: full, Image: changelog.ImageFull,
		Before: pair(t, full, 1, 1, wideText("old")), After: pair(t, full, 1, 1, wideText("new")),
	})

	wantText(t, s, pairs(t, l, "a"), wideText("new"))
}

// A transaction can be durable before it has been handed over: a checkpoint taken then must not say that the store has it.
func TestG2CheckpointDoesNotCoverATransactionThatIsNotHandedOver(t *testing.T) {
	dir, l := t.TempDir(), newLog(t)
	s := openStore(t, Options{Dir: dir, Log: l})
	table := pairs(t, l, "a")
	put(t, s, l, table, pair(t, table, 1, 1, wideText("old")))

	c := Change{Op: changelog.OpUpdate, Table: table, After: pair(t, table, 1, 1, wideText("new"))}
	tx := s.Begin()
	if _, _, err := tx.Apply(c); err != nil {
		t.Fatal(err)
	}
	n, err := l.Append(t.Context(), unitOf(l, c))
	if err != nil {
		t.Fatal(err)
	}
	s.taken = checkpointBytes
	if err := errors.Join(l.WaitDurable(t.Context(), n), s.Durable(n)); err != nil {
		t.Fatal(err)
	}
	tx.Commit(n)
	if err := errors.Join(s.Durable(n), s.Close()); err != nil {
		t.Fatal(err)
	}

	s = openStore(t, Options{Dir: dir, Log: l})
	defer s.Close()
	wantText(t, s, table, wideText("new"))
}

// A source that is opened again while its last transaction waits for the disk must not miss it.
func TestG2StoreOpenedBeforeTheLogIsDurableHasItsEnd(t *testing.T) {
	fs := vfs.NewFaulty(vfs.NewMem())
	l, err := disklog.Open("data", disklog.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	introduce(t, l)
	s := openStore(t, Options{Log: l})
	table := pairs(t, l, "a")
	put(t, s, l, table, pair(t, table, 1, 1, wideText("old")))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	disk := make(chan struct{})
	release := sync.OnceFunc(func() { close(disk) })
	fs.SetHook(func(c vfs.Call) error {
		if c.Kind == vfs.KindSync {
			<-disk
		}
		return nil
	})
	c := Change{Op: changelog.OpUpdate, Table: table, After: pair(t, table, 1, 1, wideText("new"))}
	if _, err := l.Append(t.Context(), unitOf(l, c)); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Options{Log: &hookedLog{Log: l, waits: release}})
	release()
	defer s.Close()
	wantText(t, s, table, wideText("new"))
}

// Taking a table from the log is broken off by a failed read, and by a loss of power. Neither leaves an older value behind.
func TestG2TableTakenFromTheLogInPartIsTakenAgain(t *testing.T) {
	dir, crashed := t.TempDir(), t.TempDir()
	l := newLog(t)
	log := &hookedLog{Log: l}
	s := openStore(t, Options{Dir: dir, Log: log})
	table := pairs(t, l, "a")
	narrow := func(of string) []byte { return pair(t, table, 1, 1, bytes.Repeat([]byte(of), 100)) }
	change(t, s, l, Change{Op: changelog.OpCreate, Table: table, After: narrow("a")})
	for a := int64(2); a < 22; a++ { // more than is written at once
		put(t, s, l, table, pair(t, table, a, 1, bytes.Repeat([]byte("w"), 1<<20)))
	}
	last := change(t, s, l, Change{Op: changelog.OpUpdate, Table: table, After: narrow("b")})
	if err := s.mark(last); err != nil {
		t.Fatal(err)
	}

	failed := errors.New("read failed")
	log.hook = func(u *changelog.Unit) error {
		if u.Meta.Commit() < last {
			return nil
		}
		return errors.Join(failed, s.db.Flush(), os.CopyFS(crashed, os.DirFS(dir)))
	}
	if _, err := complete(t, s, table, 1); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	log.hook = nil
	wantText(t, s, table, bytes.Repeat([]byte("b"), 100))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Options{Dir: crashed, Log: log})
	defer s.Close()
	wantText(t, s, table, bytes.Repeat([]byte("b"), 100))
}

// A restart does not read again what has nothing to keep.
func TestG8RestartDoesNotReadTheWholeLogOfNarrowRows(t *testing.T) {
	dir, l := t.TempDir(), newLog(t)
	log := &hookedLog{Log: l}
	introduce(t, l)
	s := openStore(t, Options{Dir: dir, Log: log})
	var unit changelog.UnitBuilder
	unit.Reset(changelog.UnitTx)
	unit.Meta.Source, unit.Meta.Epoch = 1, 1
	for range 1 << 20 {
		unit.Message(nil, nil)
	}
	n, err := l.Append(t.Context(), &unit)
	if err != nil {
		t.Fatal(err)
	}
	s.Begin().Commit(n)
	if err := errors.Join(l.WaitDurable(t.Context(), n), s.Durable(n), s.Close()); err != nil {
		t.Fatal(err)
	}
	table := pairs(t, l, "a")
	if _, err := l.Append(t.Context(), unitOf(l, Change{Op: changelog.OpCreate, Table: table, After: pair(t, table, 1, 1, nil)})); err != nil {
		t.Fatal(err)
	}
	if err := l.WaitDurable(t.Context(), l.Catalog().Progress(1).Commit); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Options{Dir: dir, Log: log})
	defer s.Close()
	if log.from <= 1 {
		t.Fatalf("the log of %d offsets is read from offset %d on", n, log.from)
	}
}

// A log that cannot be read for now does not cost the store what it has.
func TestG8FailedReadOfTheLogKeepsTheStore(t *testing.T) {
	dir, l := t.TempDir(), newLog(t)
	log := &hookedLog{Log: l}
	s := openStore(t, Options{Dir: dir, Log: log})
	table := pairs(t, l, "a")
	n := put(t, s, l, table, pair(t, table, 1, 1, wideText("old")))
	if err := errors.Join(s.mark(n), s.Close()); err != nil {
		t.Fatal(err)
	}
	next := Change{Op: changelog.OpUpdate, Table: table, After: pair(t, table, 1, 1, wideText("new"))}
	n, err := l.Append(t.Context(), unitOf(l, next))
	if err := errors.Join(err, l.WaitDurable(t.Context(), n)); err != nil {
		t.Fatal(err)
	}
	log.hook = func(*changelog.Unit) error { return errors.New("read failed") }
	if _, err := Open(t.Context(), Options{Dir: dir, Log: log, Source: 1}); err == nil {
		t.Fatal("the log was not read")
	}
	log.hook = nil
	s = openStore(t, Options{Dir: dir, Log: log})
	defer s.Close()
	if log.from <= 1 {
		t.Errorf("the log is read from offset %d on", log.from)
	}
	wantText(t, s, table, wideText("new"))
}

// A row that is read again may be narrower than what is kept of it, and have a value out of line all the same: that of now.
func TestG2RowThatWasReadAgainIsNotCompletedFromBefore(t *testing.T) {
	l := newLog(t)
	s := openStore(t, Options{Log: l})
	defer s.Close()
	table := pairs(t, l, "a")
	put(t, s, l, table, pair(t, table, 1, 1, wideText("old")))
	change(t, s, l, Change{Op: changelog.OpRead, Table: table, After: pair(t, table, 1, 1, []byte("a value of now"))})
	wantText(t, s, table, []byte("a value of now"))
}
