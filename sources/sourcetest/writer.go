package sourcetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// writer runs random transactions against two tables and knows what they must look like in the log. Its tables have a key, a text,
// and a number that is never the same twice.
type writer struct {
	db   Session
	rand *rand.Rand
	rows map[string]map[int]string // of each table, by key, as RowText writes them
	next int
	// told are the changes of each transaction, as outline writes them.
	told [][]string
}

var writerTables = []string{"a", "b"}

// newWriter makes the tables with so many rows in each.
func newWriter(s *suite, rows int) *writer {
	seed := rand.Uint64()
	s.Logf("seed %d", seed)
	w := &writer{db: s.db, rand: rand.New(rand.NewPCG(seed, 0)), rows: map[string]map[int]string{}}
	for _, table := range writerTables {
		w.rows[table] = map[int]string{}
		w.db.Do("CREATE TABLE " + table + " (id int NOT NULL PRIMARY KEY, v varchar(200), n int NOT NULL)")
		for from := 0; from < rows; from += 1000 {
			var values []string
			for id := from; id < min(rows, from+1000); id++ {
				w.next++
				values = append(values, fmt.Sprintf("(%d, 'first', %d)", id, w.next))
				w.rows[table][id] = fmt.Sprintf("%d|first|%d", id, w.next)
			}
			w.db.Do("INSERT INTO " + table + " VALUES " + strings.Join(values, ", "))
		}
	}
	return w
}

// outline is a change without what sources send in different forms: the old row's key, and the new row.
func outline(c Change) string {
	key, _, _ := strings.Cut(c.Before, "|")
	if key == "" {
		key, _, _ = strings.Cut(c.After, "|")
	}
	return fmt.Sprintf("%c %s %s %s", c.Op, c.Table, key, c.After)
}

// transaction runs one.
func (w *writer) transaction() {
	statements := []string{"BEGIN"}
	var told []string
	for range 1 + w.rand.IntN(4) {
		table := writerTables[w.rand.IntN(len(writerTables))]
		sql, change := w.change(table)
		statements = append(statements, sql...)
		told = append(told, change...)
	}
	w.db.Do(append(statements, "COMMIT")...)
	w.told = append(w.told, told)
}

func (w *writer) change(table string) (statements, told []string) {
	rows := w.rows[table]
	ids := []int{}
	for id := range rows {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	free := 0
	for free = w.rand.IntN(len(rows) + 10); rows[free] != ""; free++ {
	}
	if len(ids) == 0 || w.rand.IntN(4) == 0 {
		return w.insert(table, free)
	}
	id := ids[w.rand.IntN(len(ids))]
	switch w.rand.IntN(5) {
	case 0:
		return w.remove(table, id)
	case 1: // another key
		w.next++
		rows[free] = fmt.Sprintf("%d|moved|%d", free, w.next)
		delete(rows, id)
		return []string{fmt.Sprintf("UPDATE %s SET id = %d, v = 'moved', n = %d WHERE id = %d", table, free, w.next, id)},
			[]string{fmt.Sprintf("u %s %d %s", table, id, rows[free])}
	case 2: // the same key again
		statements, told = w.remove(table, id)
		sql, change := w.insert(table, id)
		return append(statements, sql...), append(told, change...)
	}
	w.next++
	rows[id] = fmt.Sprintf(`%d|\N|%d`, id, w.next)
	return []string{fmt.Sprintf("UPDATE %s SET v = NULL, n = %d WHERE id = %d", table, w.next, id)}, []string{fmt.Sprintf("u %s %d %s", table, id, rows[id])}
}

func (w *writer) insert(table string, id int) (statements, told []string) {
	w.next++
	w.rows[table][id] = fmt.Sprintf("%d|new|%d", id, w.next)
	return []string{fmt.Sprintf("INSERT INTO %s VALUES (%d, 'new', %d)", table, id, w.next)}, []string{fmt.Sprintf("c %s %d %s", table, id, w.rows[table][id])}
}

func (w *writer) remove(table string, id int) (statements, told []string) {
	delete(w.rows[table], id)
	return []string{fmt.Sprintf("DELETE FROM %s WHERE id = %d", table, id)}, []string{fmt.Sprintf("d %s %d ", table, id)}
}

// check expects the log to hold each transaction once, whole and in order, after the first so many, and the tables to be those of the
// server.
func (w *writer) check(s *suite, skip int) {
	s.Helper()
	var got [][]string
	unit := 0
	for _, c := range s.Changes() {
		if !slices.Contains(writerTables, c.Table) || c.Op == 'r' {
			continue
		}
		if c.Unit != unit {
			unit = c.Unit
			got = append(got, nil)
		}
		got[len(got)-1] = append(got[len(got)-1], outline(c))
	}
	want := w.told[skip:]
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			s.Fatalf("the log ends after %d transactions of %d", len(got), len(want))
		case i >= len(want):
			s.Fatalf("the log has %d transactions, want %d; the next is %q", len(got), len(want), got[i])
		case !slices.Equal(got[i], want[i]):
			s.Fatalf("transaction %d of %d is\n%s\nwant\n%s", i, len(want), strings.Join(got[i], "\n"), strings.Join(want[i], "\n"))
		}
	}
	s.same(writerTables...)
}
