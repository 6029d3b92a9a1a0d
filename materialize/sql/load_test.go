//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory/mallocator"

	"cdc/materialize"
	"cdc/schema"
)

// wideWorld is a log of one table of many types with the rows 0 to n-1, each value made from its row's number.
func wideWorld(t testing.TB, n int) *world {
	t.Helper()
	w := newWorld(t)
	var b strings.Builder
	b.WriteString("source shop postgres\ntable t id:bigint:key a:integer b:text c:numeric(10,2) d:date e:double f:boolean\n")
	for i := range n {
		fmt.Fprintf(&b, "insert t %d|%d|text-%d|%d.25|2026-01-%02d|%d.5|%t\n", i, -i, i, i, 1+i%28, i, i%2 == 0)
	}
	b.WriteString("commit 2026-02-01T00:00:00Z\n")
	if _, err := w.run(b.String()); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestColumnsKeepTheirValues asks for every choice of columns: DuckDB, asked for a part of an Arrow stream's columns, answers with
// the values of others, so what is handed over must be exactly what is read.
func TestColumnsKeepTheirValues(t *testing.T) {
	s := newSession(t, wideWorld(t, 20))
	names := []string{"id", "a", "b", "c", "d", "e", "f"}
	value := func(name string, i int) string {
		return map[string]string{
			"id": fmt.Sprint(i), "a": fmt.Sprint(-i), "b": fmt.Sprintf("text-%d", i), "c": fmt.Sprintf("%d.25", i), "d": fmt.Sprintf("2026-01-%02d", 1+i%28),
			"e": fmt.Sprintf("%d.5", i), "f": map[bool]string{true: "t", false: "f"}[i%2 == 0],
		}[name]
	}
	for set := 1; set < 1<<len(names); set++ {
		var chosen []string
		for i, name := range names {
			if set&(1<<i) != 0 {
				chosen = append([]string{name}, chosen...) // not the table's order
			}
		}
		var want strings.Builder
		want.WriteString(strings.Join(chosen, "|") + "\n")
		for i := range 20 {
			for j, name := range chosen {
				if j > 0 {
					want.WriteString("|")
				}
				want.WriteString(value(name, i))
			}
			want.WriteString("\n")
		}
		// Ordering by id would make it one of the columns, so the lines are sorted here.
		got := ask(s, "SELECT "+strings.Join(chosen, ", ")+" FROM t", "", false)
		if sortLines(got) != sortLines(want.String()) {
			t.Fatalf("%v: got\n%swant\n%s", chosen, got, want.String())
		}
	}
	if want := 1<<len(names) - 1; len(s.tables) != want {
		t.Errorf("%d choices of columns were loaded, want %d", len(s.tables), want)
	}
}

func sortLines(s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}

// TestManyBatches loads and answers more rows than one batch holds.
func TestManyBatches(t *testing.T) {
	const n = 2*loadBatchRows + 17
	s := newSession(t, wideWorld(t, n))
	var p printer
	if err := s.Query(context.Background(), "SELECT id, a, b, c FROM t", "", &p); err != nil {
		t.Fatal(err)
	}
	if p.rows != n {
		t.Errorf("%d rows, want %d", p.rows, n)
	}
	want := fmt.Sprintf("n|s|d\n%d|%d|%d\n", n, n*(n-1)/2, n)
	if got := ask(s, "SELECT count(*) AS n, sum(id) AS s, count(DISTINCT b) AS d FROM t", "", false); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLoadedTablesAreKeptWithinTheBudget asks again, and with no budget.
func TestLoadedTablesAreKeptWithinTheBudget(t *testing.T) {
	w := wideWorld(t, 100)
	s := newSession(t, w)
	ask(s, "SELECT * FROM t", "", false)
	if len(s.tables) != 1 {
		t.Fatalf("%d tables are kept, want 1", len(s.tables))
	}
	var first string
	for _, l := range s.tables {
		first = l.name
	}
	ask(s, "SELECT * FROM t", "", false)
	for _, l := range s.tables {
		if l.name != first {
			t.Error("the table was loaded twice")
		}
	}
	ask(s, "SELECT * FROM t AS OF OFFSET 103", "", false)
	s.o.CacheBytes = 1
	ask(s, "SELECT 1", "", false)
	if len(s.tables) != 0 {
		t.Errorf("%d tables are kept beyond the budget", len(s.tables))
	}
	rows, err := s.duck.strings(context.Background(), "SELECT table_name FROM duckdb_tables() UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r[0] != streamView {
			t.Errorf("%s is left in DuckDB", r[0])
		}
	}
}

// TestDecimalTypes chooses DuckDB's type for declared precisions and scales.
func TestDecimalTypes(t *testing.T) {
	for _, c := range []struct {
		precision, scale int32
		want             string
	}{
		{10, 2, "DECIMAL(10,2)"},
		{38, 38, "DECIMAL(38,38)"},
		{3, 5, "DECIMAL(5,5)"},
		{2, -3, "DECIMAL(5,0)"},
		{38, 0, "DECIMAL(38,0)"},
		{39, 0, "VARCHAR"},
		{38, -1, "VARCHAR"},
		{30, 39, "VARCHAR"},
		{0, 0, "VARCHAR"},
	} {
		k := columnOf(&schema.Column{Name: "c", Kind: schema.Decimal, Precision: c.precision, Scale: c.scale}, 0, nil)
		if k.duck != c.want {
			t.Errorf("numeric(%d,%d): got %s, want %s", c.precision, c.scale, k.duck, c.want)
		}
		if measured := k.measured != nil; measured != (c.want == "VARCHAR") {
			t.Errorf("numeric(%d,%d): measured is %t", c.precision, c.scale, measured)
		}
	}
}

// TestLoadGivesItsMemoryBack loads a table whose last value makes the pass start anew.
func TestLoadGivesItsMemoryBack(t *testing.T) {
	w := newWorld(t)
	if _, err := w.run("source shop postgres\ntable t id:bigint:key c:numeric(10,2)\ninsert t 1|1\ninsert t 2|NaN\ncommit 2026-02-01T00:00:00Z"); err != nil {
		t.Fatal(err)
	}
	s := newSession(t, w)
	l := tableLoader(t, s, w, "t")
	if err := l.load(context.Background(), w.log, materialize.Options{}); err != nil {
		t.Fatal(err)
	}
	if n := l.memory.AllocatedBytes(); n != 0 {
		t.Errorf("%d bytes are not given back", n)
	}
	if l.tables[0].columns[1].duck != "VARCHAR" {
		t.Errorf("the column is %s", l.tables[0].columns[1].duck)
	}
}

// TestAPassFindsAllMisfitsOfABatch, as each pass that ends with one reads the log once more.
func TestAPassFindsAllMisfitsOfABatch(t *testing.T) {
	w := newWorld(t)
	_, err := w.run("source shop mysql\ntable t id:bigint:key a:cdate b:datetime c:utcdatetime d:time\n" +
		"insert t 1|0000-00-00|2024-01-01 00:00:00|0000-00-00 00:00:00+00|24:00:00\n" +
		"insert t 2|2024-00-00|2024-02-31 00:00:00|1970-01-01 00:00:01+00|-00:00:01\ncommit 2026-02-01T00:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	l := tableLoader(t, newSession(t, w), w, "t")
	l.forced, l.memory = make([]forceText, 1), mallocator.NewMallocator()
	var m *mistyped
	if err := l.pass(context.Background(), w.log, materialize.Options{}); !errors.As(err, &m) {
		t.Fatalf("the pass ends with %v", err)
	}
	want := forceText{
		1: "it holds 0000-00-00, which is no day to DuckDB", 2: "it holds 2024-02-31 00:00:00, which is no day to DuckDB",
		3: "it holds 0000-00-00 00:00:00+00, which is no day to DuckDB", 4: "it holds a time outside of a day",
	}
	if !maps.Equal(m.columns, want) {
		t.Errorf("got %v, want %v", m.columns, want)
	}
}

// tableLoader loads a table of the world as of the end of its log.
func tableLoader(t *testing.T, s *Session, w *world, table string) *loader {
	t.Helper()
	at, ok := w.log.Catalog().TableAt(w.tables[table].ID, w.log.Bounds().Next-1)
	if !ok {
		t.Fatal("no table")
	}
	return &loader{duck: s.duck, tables: []*loaded{{key: tableKey{table: at.Table.ID, at: w.log.Bounds().Next - 1}, name: "x", shape: at.Table}}}
}

func BenchmarkLoad(b *testing.B) {
	const n = 100_000
	w := wideWorld(b, n)
	s := newSession(b, w)
	s.o.CacheBytes = -1
	for b.Loop() {
		var p printer
		if err := s.Query(context.Background(), "SELECT sum(id), sum(a), max(b), sum(c), max(d), sum(e), bool_and(f) FROM t", "", &p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
