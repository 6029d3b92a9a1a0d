//go:build e2e

package e2e

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/e2e/checker"
	"cdc/e2e/workload"
	"cdc/schema"
	"cdc/sources/postgres"
)

// openLog opens the folder's log for reading, as anybody may at any time.
func openLog(t *testing.T, dir string) *disklog.Log {
	t.Helper()
	log, err := disklog.Open(dir, disklog.Options{ReadOnly: true})
	if err != nil {
		t.Fatalf("open log: %v", err)
	}
	t.Cleanup(func() { _ = log.Close() }) // it was only read
	return log
}

// durablePosition is how far the log holds its only source.
func durablePosition(t *testing.T, dir string) postgres.LSN {
	t.Helper()
	log := openLog(t, dir)
	defer log.Close()
	all := log.Catalog().Sources()
	if len(all) == 0 {
		return 0
	}
	progress := log.Catalog().Progress(all[0].ID)
	if progress.Position == "" {
		return 0
	}
	at, err := postgres.ParsePosition(progress.Position)
	if err != nil {
		t.Fatal(err)
	}
	return at.End
}

// judge reads the whole log and holds it to what the clients know and to the
// ledger at the source, all of which must be in the log.
func (c *capture) judge(w *workload.Workload) {
	c.t.Helper()
	j := checker.NewJudge(checker.Options{Bank: workload.Bank, Total: workload.BankTotal, Keyless: []string{workload.Keyless}, Unjudged: w.Unjudged()})
	r := logReader{judge: j, sortable: c.origin.sortable, columns: map[*schema.Table]columns{}}
	if err := r.read(openLog(c.t, c.data())); err != nil {
		c.t.Fatalf("read log: %v", err)
	}
	var source []int64
	for line := range strings.Lines(c.sql("SELECT id FROM " + workload.LedgerTable)) {
		id, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err != nil {
			c.t.Fatal(err)
		}
		source = append(source, id)
	}
	if violations := j.Finish(w.Outcomes(), source); len(violations) > 0 {
		c.t.Errorf("the log is not what happened:\n%s", strings.Join(violations, "\n"))
	}
	c.t.Logf("judged %d units with %d transactions of the workload (%d committed, %d unknown)",
		r.units, j.Seen(), w.Count(checker.Committed), w.Count(checker.Unknown))
	if j.Seen() == 0 {
		c.t.Error("the log holds no transaction of the workload")
	}
}

// logReader gives a judge all that a log holds.
type logReader struct {
	judge    *checker.Judge
	sortable func(position string) string
	catalog  *changelog.Catalog
	columns  map[*schema.Table]columns
	units    int
	text     []byte
}

// columns are the places of what is judged, -1 for none.
type columns struct{ id, v, client, seq, rows, hash int }

func (r *logReader) read(log *disklog.Log) error {
	r.catalog = log.Catalog()
	return units(log, r.unit)
}

// units calls f with each unit of a log.
func units(log *disklog.Log, f func(u *changelog.Unit) error) error {
	cursor, err := log.Cursor(changelog.CursorOptions{})
	if err != nil {
		return err
	}
	defer cursor.Close()
	for {
		u, err := cursor.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f(u); err != nil {
			return err
		}
	}
}

// hasLog reports whether the folder has a log.
func (c *capture) hasLog() bool {
	found, _ := filepath.Glob(filepath.Join(c.data(), "log", "*.seg")) // the pattern is good
	return len(found) > 0
}

func (r *logReader) unit(u *changelog.Unit) error {
	r.units++
	frame := checker.Unit{
		First: uint64(u.Meta.First), Commit: uint64(u.Meta.Commit()), Position: r.sortable(string(u.PositionBytes())),
		Copy: u.Meta.Kind == changelog.UnitCopy,
	}
	if u.Meta.Kind != changelog.UnitTx && u.Meta.Kind != changelog.UnitCopy {
		r.judge.Skip(frame)
		return nil
	}
	r.judge.Begin(frame)
	var complete []string
	err := u.CatalogRecords(func(_ changelog.Offset, record []byte) error {
		state, ok := changelog.AsTableState(record)
		if !ok {
			return nil
		}
		table, ok := r.catalog.TableAt(state.Table, u.Meta.Commit())
		if ok && state.Replaces() {
			r.judge.BeginCopy(table.Table.Name)
		}
		if ok && state.State.Known() {
			complete = append(complete, table.Table.Name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for {
		var change changelog.Change
		ok, err := u.Next(&change)
		if err != nil {
			return err
		}
		if !ok {
			for _, table := range complete {
				r.judge.EndCopy(table)
			}
			r.judge.Commit()
			return nil
		}
		r.change(&change)
	}
}

func (r *logReader) change(c *changelog.Change) {
	if c.Op == changelog.OpMessage {
		r.judge.Message(c.Ordinal)
		return
	}
	at := r.columnsOf(c.Table)
	if at.id < 0 || at.v < 0 && at.rows < 0 {
		r.judge.Message(c.Ordinal) // a table of the test's own
		return
	}
	if c.Table.Name == workload.LedgerTable {
		r.judge.Ledger(c.Ordinal, checker.Entry{
			ID: c.After.Int(at.id), Client: c.After.Int(at.client), Seq: c.After.Int(at.seq),
			Sum: checker.Sum{Rows: c.After.Int(at.rows), Hash: c.After.Int(at.hash)},
		})
		return
	}
	judged := checker.Change{Table: c.Table.Name, Op: byte(c.Op)}
	if !c.After.IsZero() {
		judged.Key = r.cell(c.Table, c.After, at.id)
		judged.Value = r.cell(c.Table, c.After, at.v)
	}
	if !c.Before.IsZero() {
		if old := r.cell(c.Table, c.Before, at.id); judged.Key == "" {
			judged.Key = old
		} else if old != judged.Key {
			judged.OldKey = old
		}
	}
	r.judge.Change(c.Ordinal, judged)
}

func (r *logReader) cell(table *schema.Table, row schema.Row, i int) string {
	if row.State(i) != schema.Present {
		return ""
	}
	r.text = schema.AppendText(r.text[:0], &table.Columns[i], row, i)
	return string(r.text)
}

func (r *logReader) columnsOf(table *schema.Table) columns {
	at, known := r.columns[table]
	if known {
		return at
	}
	find := func(name string) int {
		return slices.IndexFunc(table.Columns, func(c schema.Column) bool { return c.Name == name })
	}
	at = columns{id: find("id"), v: find("v"), client: find("client"), seq: find("seq"), rows: find("n_rows"), hash: find("hash")}
	r.columns[table] = at
	return at
}
