//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"cdc/changelog"
	"cdc/materialize"
)

// noWait refuses a moment that the log has not passed at once.
var noWait = materialize.ResolveOptions{Wait: -1, Positions: positions{}}

// positions are those of the test's sources: texts that compare as such.
type positions struct{}

func (positions) Parse(_, text string) (changelog.Position, error) {
	return changelog.Position(text), nil
}
func (positions) After(_ string, p, unit changelog.Position) bool   { return unit > p }
func (positions) Reached(_ string, p, unit changelog.Position) bool { return unit >= p }
func (positions) Format(_ string, p changelog.Position) string      { return string(p) }

func newSession(t testing.TB, w *world) *Session {
	t.Helper()
	s, err := NewSession(context.Background(), w.log, SessionOptions{
		MemoryBytes: 256 << 20, Threads: 2, TempDir: t.TempDir(), Resolve: noWait,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// ask runs a text and prints its answer or its error.
func ask(s *Session, text, asOf string, types bool) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p := printer{types: types}
	if err := s.Query(ctx, text, asOf, &p); err != nil {
		return describe(err)
	}
	return p.String()
}

func describe(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return fmt.Sprintf("not an *Error: %v\n", err)
	}
	text := fmt.Sprintf("error %s: %s\n", e.Code, e)
	if e.Remedy != "" {
		text += "remedy: " + e.Remedy + "\n"
	}
	return text
}

// TestSession answers queries over a log on disk; each file is one log. In as-of=… an underscore stands for a space.
func TestSession(t *testing.T) {
	datadriven.Walk(t, "testdata/session", func(t *testing.T, path string) {
		w := newWorld(t)
		s := newSession(t, w)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "log":
				out, err := w.run(d.Input)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				return out
			case "sql":
				var asOf string
				d.MaybeScanArgs(t, "as-of", &asOf)
				return ask(s, d.Input, strings.ReplaceAll(asOf, "_", " "), d.HasArg("types"))
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

// TestG6AnswerAtAMomentStaysTheSame asks at every commit, then again when the log has grown: in the same session, in a new one,
// and in any order.
func TestG6AnswerAtAMomentStaysTheSame(t *testing.T) {
	w := newWorld(t)
	if _, err := w.run("source shop postgres\ntable t id:bigint:key n:integer\ncommit 2026-01-01T00:00:00Z"); err != nil {
		t.Fatal(err)
	}
	s := newSession(t, w)
	query := func(s *Session, n uint64) string {
		return ask(s, fmt.Sprintf("SELECT id, n, now() AS at FROM t AS OF OFFSET %d ORDER BY id", n), "", false)
	}
	answers := map[uint64]string{}
	for i := range 12 {
		verb := "insert"
		if i%3 == 2 {
			verb = "delete"
		}
		if _, err := w.run(fmt.Sprintf("%s t %d|%d\ncommit 2026-01-01T00:00:%02dZ", verb, i/3*3+i%2, i, i+1)); err != nil {
			t.Fatal(err)
		}
		n := uint64(w.log.Bounds().Next - 1)
		answers[n] = query(s, n)
	}
	distinct := map[string]bool{}
	for n, want := range answers {
		distinct[want] = true
		if got := query(s, n); got != want {
			t.Errorf("at offset %d, asked again: got\n%swant\n%s", n, got, want)
		}
		if got := query(newSession(t, w), n); got != want {
			t.Errorf("at offset %d, in a new session: got\n%swant\n%s", n, got, want)
		}
	}
	if len(distinct) != len(answers) {
		t.Errorf("%d different answers at %d moments", len(distinct), len(answers))
	}
}

// The log grows while a query is bound: its tables must not be of two nows because they are spelled in two ways.
func TestG5OneMomentIsResolvedOnceHoweverItIsSpelled(t *testing.T) {
	w := newWorld(t)
	if _, err := w.run("source shop postgres\ntable t id:bigint:key\ninsert t 1\ncommit 2026-01-01T00:00:00Z"); err != nil {
		t.Fatal(err)
	}
	p := printer{}
	text := "SELECT 1 FROM t a, t AS OF NOW b, t AS OF 'NOW' c, t AS OF ' now ' d"
	if err := newSession(t, w).Query(t.Context(), text, "", &p); err != nil {
		t.Fatal(err)
	}
	if n := len(p.header.Moments); n != 1 {
		t.Errorf("read at %d moments", n)
	}
}

func TestAStoppedSourceIsNoObstacleToTheTablesOfAnother(t *testing.T) {
	w := newWorld(t)
	_, err := w.run(`source crm postgres
		table people id:bigint:key
		commit 2026-01-01T00:00:00Z
		source shop postgres
		table orders id:bigint:key
		insert orders 1
		commit 2026-01-02T00:00:00Z
		tick 2026-01-03T00:00:00Z`)
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, w)
	if got := ask(s, "SELECT id FROM orders AS OF '2026-01-02 12:00:00Z'", "", false); got != "id\n1\n" {
		t.Errorf("got %s", got)
	}
	both := ask(s, "SELECT 1 FROM orders, people", "2026-01-02 12:00:00Z", false)
	if !strings.HasPrefix(both, "error MOMENT") || !strings.Contains(both, "source crm has come to") {
		t.Errorf("got %s", both)
	}
}
