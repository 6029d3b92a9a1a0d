package mysql

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

// ask asks for rows of the table.
func (l *logged) ask(t *schema.Table, predicate string) changelog.Offset {
	l.Helper()
	var u changelog.UnitBuilder
	u.Reset(changelog.UnitControl)
	u.Meta.Source, u.Meta.Epoch = 1, 1
	u.AddDecision(changelog.Decision{Action: changelog.ActionReread, Table: t.ID, Detail: predicate})
	n, err := l.log.Append(l.Context(), &u)
	if err != nil {
		l.Fatal(err)
	}
	return n
}

// reread carries a reread out, and returns why it ended before its end, if so.
func (l *logged) reread(ctx context.Context, w *sources.Writer, c *sources.Copier, asked changelog.Offset) (string, error) {
	l.Helper()
	err := w.RunReread(ctx, asked, func(ctx context.Context, r changelog.RereadRecord) error { return l.s.reread(ctx, w, c, r) })
	for _, r := range l.log.Catalog().Rereads() {
		if r.Asked.Offset == asked {
			return r.Last.Detail, err
		}
	}
	return "", err
}

// TestRereadGoesOnWhereItEnded takes a reread up from its cursor, for keys of several sorts: no row comes twice, and none that does not
// match comes at all.
func TestRereadGoesOnWhereItEnded(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		for _, name := range []string{"composite", "down", "general", "quotes", "myisam"} {
			k := keyedTables[name]
			r.sql(k.create(name)...)
			l := r.openLog()
			w := l.standing()
			if err := l.copier(w, 2, 50).Copy(t.Context(), r.version(name), ""); err != nil {
				t.Fatal(err)
			}
			version, _ := l.log.Catalog().TableAt(1, newest)
			asked := l.ask(version.Table, "v % 3 = 0")
			ctx, cancel := context.WithCancel(t.Context())
			half, rows := l.copier(w, 1, 7), 0
			half.Appended = func(_ *schema.Table, n int) {
				if p := l.s.Progress().Copy; p == nil || !strings.HasSuffix(p.Current, "."+name) {
					t.Errorf("%s: the progress does not say how far the rows are: %+v", name, p)
				}
				if rows += n; rows >= keyedRows/6 {
					cancel()
				}
			}
			if _, err := l.reread(ctx, w, half, asked); !errors.Is(err, context.Canceled) {
				t.Fatalf("%s: the reread came to its end: %v", name, err)
			}
			if why, err := l.reread(t.Context(), w, l.copier(w, 2, 7), asked); err != nil || why != "" {
				t.Fatalf("%s: %v %s", name, err, why)
			}
			got := l.since(asked)
			want := slices.DeleteFunc(r.verified(r.verification(), version.Table), func(row string) bool { return !matched(row) })
			r.wantRows(name, got, want)
			if len(got) != keyedRows/3 || rows >= len(got) {
				t.Errorf("%s: %d rows, %d of them in the first part", name, len(got), rows)
			}
		}
	})
}

// matched reports whether the last column, v, is divisible by three.
func matched(row string) bool {
	n, err := strconv.Atoi(row[strings.LastIndex(row, "|")+1:])
	return err == nil && n%3 == 0
}

// since are the rows that have come with op r after the offset, sorted.
func (l *logged) since(n changelog.Offset) (rows []string) {
	l.Helper()
	if err := l.log.WaitDurable(l.Context(), l.log.Catalog().Progress(1).Commit); err != nil {
		l.Fatal(err)
	}
	cursor, err := l.log.Cursor(changelog.CursorOptions{From: n})
	if err != nil {
		l.Fatal(err)
	}
	defer cursor.Close()
	for {
		u, err := cursor.Next(l.Context())
		if err != nil {
			break
		}
		for c := (changelog.Change{}); ; {
			ok, err := u.Next(&c)
			if err != nil {
				l.Fatal(err)
			}
			if !ok {
				break
			}
			if c.Op == changelog.OpRead {
				rows = append(rows, rowText(c.Table, c.After))
			}
		}
	}
	slices.Sort(rows)
	return rows
}

// TestTableAlteredDuringItsReread alters the table between the chunks: what can go on does, the rest ends with its reason.
func TestTableAlteredDuringItsReread(t *testing.T) {
	eachAlteredReread(t, map[string]alteredReread{
		"predicate's column dropped": {"ALTER TABLE t DROP more", "UPDATE t SET v = v + 1 WHERE k > 90", "more"},
		"predicate's column renamed": {"ALTER TABLE t CHANGE more less VARCHAR(9)", "UPDATE t SET v = v + 1 WHERE k > 90", "more"},
		"other column added":         {"ALTER TABLE t ADD w INT DEFAULT 7", "UPDATE t SET w = 8 WHERE k > 90", ""},
		"truncated":                  {"TRUNCATE TABLE t", "INSERT INTO t VALUES (1, 2, 'm')", ""},
		"dropped":                    {"DROP TABLE t", "CREATE TABLE t (k INT PRIMARY KEY, v INT, more VARCHAR(9))", "does not hold"},
	})
}

type alteredReread struct{ ddl, dml, why string }

func eachAlteredReread(t *testing.T, tests map[string]alteredReread) {
	t.Helper()
	eachRig(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (k INT PRIMARY KEY, v INT, more VARCHAR(9))")
		r.o.CopyRowsPerSecond = 20_000 // the second range waits for a second
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				r.sql("DROP TABLE t", "CREATE TABLE t (k INT PRIMARY KEY, v INT, more VARCHAR(9))")
				r.sql("INSERT INTO t VALUES (1, 1, 'm')")
				for range 16 {
					r.sql("INSERT INTO t SELECT k + (SELECT max(k) FROM t), v, more FROM t")
				}
				if r.Log == nil {
					r.Run()
				}
				r.Sync()
				at, _ := r.Table("t")
				r.Decide(changelog.Decision{Action: changelog.ActionReread, Table: at.Table.ID, Detail: "more = 'm'"})
				n := len(r.Log.Catalog().Rereads()) - 1
				last := func() changelog.Reread { return r.Log.Catalog().Rereads()[n].Last }
				r.Eventually("the first chunk", func() bool { return last().Cursor != "" || last().Stage.Over() })
				if last().Stage.Over() {
					t.Fatalf("the reread was over before the table was altered: %+v", last())
				}
				r.sql(test.ddl, test.dml)
				r.Eventually("the end", func() bool { return last().Stage.Over() })
				if why := last().Detail; (why == "") != (test.why == "") || !strings.Contains(why, test.why) {
					t.Errorf("ended with %q, want %q", why, test.why)
				}
				r.Sync()
				r.same("t")
			})
		}
	})
}
