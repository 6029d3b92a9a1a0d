package rowstate

import (
	"bytes"
	"errors"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/vfs"
	"cdc/schema"
)

func newLog(t *testing.T) *disklog.Log {
	t.Helper()
	l, err := disklog.Open("data", disklog.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// pairs is a table of two numbers, of which the named one is the key, and a text.
func pairs(t testing.TB, l *disklog.Log, key string) *schema.Table {
	t.Helper()
	table := &schema.Table{
		Source: "test", Schema: "public", Name: "pairs", SourceTable: 1, Identity: schema.IdentityKey,
		Columns: []schema.Column{
			{ID: 1, Name: "a", Kind: schema.Int64, SQLType: "bigint"},
			{ID: 2, Name: "b", Kind: schema.Int64, SQLType: "bigint"},
			{ID: 3, Name: "text", Kind: schema.Text, SQLType: "text"},
		},
	}
	table.Columns[table.Column(key)].Key = 1
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	return l.Catalog().Register(1, table)
}

// pair packs a row; the text is left out when it is nil.
func pair(t testing.TB, table *schema.Table, a, b int64, text []byte) []byte {
	t.Helper()
	var row schema.Builder
	row.Reset(table.Layout(), nil)
	row.Int(0, a)
	row.Int(1, b)
	if text != nil {
		row.Bytes(2, text)
	}
	packed, err := row.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// put brings one new row into the log and the store, and waits until it is durable.
func put(t *testing.T, s *Store, l *disklog.Log, table *schema.Table, row []byte) changelog.Offset {
	t.Helper()
	var unit changelog.UnitBuilder
	unit.Reset(changelog.UnitTx)
	unit.Meta.Source, unit.Meta.Epoch = 1, 1
	if !l.Catalog().Logged(table.Version) {
		unit.AddTable(table)
	}
	unit.RowChange(changelog.OpCreate, table, changelog.ImageNone, nil, row, nil)
	tx := s.Begin()
	if _, _, err := tx.Apply(Change{Op: changelog.OpCreate, Table: table, After: row}); err != nil {
		t.Fatal(err)
	}
	n, err := l.Append(t.Context(), &unit)
	if err != nil {
		t.Fatal(err)
	}
	tx.Commit(n)
	if err := errors.Join(l.WaitDurable(t.Context(), n), s.Durable(n)); err != nil {
		t.Fatal(err)
	}
	return n
}

func wideText(of string) []byte { return bytes.Repeat([]byte(of), 3000) }

// The state of a log that was replaced, whose folder was left behind, must not complete the rows of the new one.
func TestG6StateOfAnotherLogIsNotUsed(t *testing.T) {
	dir := t.TempDir()
	l := newLog(t)
	s, err := Open(t.Context(), Options{Dir: dir, Log: l, Source: 1})
	if err != nil {
		t.Fatal(err)
	}
	table := pairs(t, l, "a")
	n := put(t, s, l, table, pair(t, table, 1, 1, wideText("old")))
	if err := errors.Join(s.mark(n), s.Close()); err != nil {
		t.Fatal(err)
	}

	other := newLog(t)
	inMemory, err := Open(t.Context(), Options{Log: other, Source: 1})
	if err != nil {
		t.Fatal(err)
	}
	table = pairs(t, other, "a")
	put(t, inMemory, other, table, pair(t, table, 1, 1, wideText("new")))
	put(t, inMemory, other, table, pair(t, table, 2, 2, wideText("more")))
	if err := inMemory.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), Options{Dir: dir, Log: other, Source: 1}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	after, _, err := s.Begin().Apply(Change{Op: changelog.OpUpdate, Table: table, After: pair(t, table, 1, 5, nil)})
	if err != nil || !bytes.Equal(after, pair(t, table, 1, 5, wideText("new"))) {
		t.Fatalf("row of %d bytes, %v: it was completed from another log", len(after), err)
	}
}

// When the key moves to another column, the bytes of a key may be those of another row under the old one.
func TestG2RowIsNotCompletedFromAnotherRowAfterTheKeyChanged(t *testing.T) {
	l := newLog(t)
	s, err := Open(t.Context(), Options{Log: l, Source: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	byA := pairs(t, l, "a")
	put(t, s, l, byA, pair(t, byA, 2, 1, wideText("the row a=2")))
	byB := pairs(t, l, "b")
	after, _, err := s.Begin().Apply(Change{Op: changelog.OpUpdate, Table: byB, After: pair(t, byB, 1, 2, nil)})
	var missing *MissingError
	if !errors.As(err, &missing) {
		t.Fatalf("the row b=2 was completed to %d bytes, %v", len(after), err)
	}
}
