package rowstate

import (
	"os"
	"path/filepath"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/vfs"
	"cdc/schema"
)

// noteOf is the text of the old row that an update at the offset has, read by rows that stand before it; empty when it has none.
func noteOf(t *testing.T, l *disklog.Log, rows *Rows, at changelog.Offset) string {
	t.Helper()
	if err := rows.Seek(t.Context(), at-1); err != nil {
		t.Fatal(err)
	}
	cursor, err := l.Cursor(changelog.CursorOptions{From: at})
	if err != nil {
		t.Fatal(err)
	}
	defer cursor.Close()
	u, err := cursor.Next(t.Context())
	if err == nil {
		err = rows.Begin(u)
	}
	var c changelog.Change
	if err == nil {
		_, err = u.Next(&c)
	}
	text := ""
	if !c.Before.IsZero() {
		text = string(c.Before.Bytes(2))
	}
	if err == nil {
		err = rows.Finish(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// tell appends a change of the row 1.
func tell(t testing.TB, l *disklog.Log, op changelog.Op, table *schema.Table, text string) changelog.Offset {
	t.Helper()
	n, err := l.Append(t.Context(), unitOf(l, Change{Op: op, Table: table, After: pair(t, table, 1, 1, []byte(text))}))
	if err == nil {
		err = l.WaitDurable(t.Context(), n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Rows that are of use are not read from the log a second time; those that are not, whatever is wrong with them, cost only time.
func TestOldRowsThatAreOfNoUseAreReadAgain(t *testing.T) {
	damage := func(dir string) {
		files, err := filepath.Glob(filepath.Join(dir, "*.sst"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", dir, err)
		}
		for _, file := range files {
			if err := os.WriteFile(file, []byte("damaged"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name  string
		again bool
		do    func(o *RowsOptions, dir string)
	}{
		{"as they were left", false, func(*RowsOptions, string) {}},
		{"without their folder", true, func(_ *RowsOptions, dir string) { _ = os.RemoveAll(dir) }},
		{"of other tables", true, func(o *RowsOptions, _ string) { o.Scope = "orders" }},
		{"damaged", true, func(_ *RowsOptions, dir string) { damage(dir) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, dir := newLog(t), t.TempDir()
			table := pairs(t, l, "a")
			tell(t, l, changelog.OpCreate, table, "first")
			second := tell(t, l, changelog.OpUpdate, table, "second")
			again := false
			o := RowsOptions{Dir: dir, Log: l, Reading: func(from, _ changelog.Offset) { again = from == 0 }}
			rows := NewRows(o)
			if got := noteOf(t, l, rows, second); got != "first" {
				t.Fatalf("the old row is %q", got)
			}
			if err := rows.Close(); err != nil {
				t.Fatal(err)
			}
			third := tell(t, l, changelog.OpUpdate, table, "third")
			again = false
			test.do(&o, dir)
			rows = NewRows(o)
			defer rows.Close()
			if got := noteOf(t, l, rows, third); got != "second" || again != test.again {
				t.Fatalf("the old row is %q, the log was read again: %t", got, again)
			}
		})
	}
}

// Rows of a log that was replaced, whose folder was left behind, say nothing about the new one.
func TestOldRowsOfAnotherLogAreNotUsed(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"one", "two"} {
		l := newLog(t)
		table := pairs(t, l, "a")
		tell(t, l, changelog.OpCreate, table, text)
		at := tell(t, l, changelog.OpUpdate, table, "next")
		rows := NewRows(RowsOptions{Dir: dir, Log: l})
		if got := noteOf(t, l, rows, at); got != text {
			t.Fatalf("the old row is %q, want %q", got, text)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// largeUnit appends a row, and a transaction whose changes lie in a side segment: the row is counted up from 0. It returns both commits.
func largeUnit(t testing.TB, l *disklog.Log, table *schema.Table, changes int64) (first, n changelog.Offset) {
	t.Helper()
	first = tell(t, l, changelog.OpCreate, table, "first")
	var unit changelog.UnitBuilder
	unit.Reset(changelog.UnitTx)
	unit.Meta.Source, unit.Meta.Epoch = 1, 1
	side, err := l.NewSide()
	if err != nil {
		t.Fatal(err)
	}
	const piece = 1000
	for b := range changes {
		var row schema.Builder
		row.Reset(table.Layout(), nil)
		row.Int(0, 1)
		row.Int(1, b)
		row.String(2, "text")
		packed, err := row.Finish()
		if err != nil {
			t.Fatal(err)
		}
		unit.RowChange(changelog.OpUpdate, table, changelog.ImageNone, nil, packed, nil)
		if b%piece == piece-1 {
			if err := side.Write(unit.TakeChanges(), piece); err != nil {
				t.Fatal(err)
			}
		}
	}
	ref, err := side.Seal()
	if err != nil {
		t.Fatal(err)
	}
	unit.SetSide(ref)
	n, err = l.Append(t.Context(), &unit)
	if err == nil {
		err = l.WaitDurable(t.Context(), n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return first, n
}

// A transaction of any size is taken back when it was read in part, and its old rows are the same the second time.
func TestG3OldRowsOfALargeUnitReadInPart(t *testing.T) {
	const changes = 40_000
	l := newLog(t)
	table := pairs(t, l, "a")
	first, n := largeUnit(t, l, table, changes)
	rows := NewRows(RowsOptions{Dir: t.TempDir(), Log: l})
	defer rows.Close()
	for _, part := range []int64{changes * 3 / 4, changes / 2, changes} {
		if err := rows.Seek(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		cursor, err := l.Cursor(changelog.CursorOptions{From: n})
		if err != nil {
			t.Fatal(err)
		}
		u, err := cursor.Next(t.Context())
		if err == nil {
			err = rows.Begin(u)
		}
		if err != nil {
			t.Fatal(err)
		}
		var c changelog.Change
		for b := range part {
			if _, err := u.Next(&c); err != nil {
				t.Fatal(err)
			}
			want := b - 1
			if b == 0 {
				want = 1 // of tell
			}
			if c.Image != changelog.ImageFull || c.Before.Int(1) != want {
				t.Fatalf("change %d of %d has an old row of %d, want %d", b, part, c.Before.Int(1), want)
			}
		}
		if err := cursor.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkOldRows is what a change costs whose old row is completed.
func BenchmarkOldRows(b *testing.B) {
	const changes = 100_000
	l, err := disklog.Open("data", disklog.Options{FS: vfs.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	table := pairs(b, l, "a")
	first, n := largeUnit(b, l, table, changes)
	rows := NewRows(RowsOptions{Dir: b.TempDir(), Log: l})
	defer rows.Close()
	b.ReportAllocs()
	for read := 0; read < b.N; read += changes {
		if err := rows.Seek(b.Context(), first); err != nil {
			b.Fatal(err)
		}
		cursor, err := l.Cursor(changelog.CursorOptions{From: n})
		if err != nil {
			b.Fatal(err)
		}
		u, err := cursor.Next(b.Context())
		if err == nil {
			err = rows.Begin(u)
		}
		if err == nil {
			err = rows.Finish(b.Context())
		}
		if err != nil {
			b.Fatal(err)
		}
		_ = cursor.Close()
	}
}
