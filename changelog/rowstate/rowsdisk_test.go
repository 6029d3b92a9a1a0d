package rowstate

import (
	"os"
	"path/filepath"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
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
func tell(t *testing.T, l *disklog.Log, op changelog.Op, table *schema.Table, text string) changelog.Offset {
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
