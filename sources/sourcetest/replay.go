package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cdc/changelog"
	"cdc/schema"
)

// Change is one change of the log as text.
type Change struct {
	// Unit numbers the units of the log from 1.
	Unit  int
	Meta  changelog.UnitMeta
	Op    changelog.Op
	Table string
	// Version is nil for a message.
	Version *schema.Table
	Image   changelog.Image
	// Before and After are rows as RowText writes them.
	Before, After string
	FromState     bool
	// Message is the prefix and content of a message.
	Message string
}

func (c Change) String() string {
	return strings.TrimSpace(fmt.Sprintf("%c %s %s %s%s", c.Op, c.Table, c.Before, c.After, c.Message))
}

// RowText is a row with its columns parted by |: null is \N, and a column that was not sent ~.
func RowText(t *schema.Table, row schema.Row) string {
	if row.IsZero() {
		return ""
	}
	parts := make([]string, len(t.Columns))
	for i := range t.Columns {
		switch row.State(i) {
		case schema.Absent:
			parts[i] = "~"
		case schema.Null:
			parts[i] = `\N`
		case schema.Present:
			parts[i] = string(schema.AppendText(nil, &t.Columns[i], row, i))
		}
	}
	return strings.Join(parts, "|")
}

// Units calls f with each durable unit of the log.
func (c *Capture) Units(f func(u *changelog.Unit)) {
	c.Helper()
	cursor, err := c.Log.Cursor(changelog.CursorOptions{})
	if err != nil {
		c.Fatal(err)
	}
	defer cursor.Close()
	for {
		u, err := cursor.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			c.Fatal(err)
		}
		u.LoadPosition()
		f(u)
	}
}

// each calls f with each change of a unit.
func (c *Capture) each(u *changelog.Unit, f func(*changelog.Change)) {
	c.Helper()
	var change changelog.Change
	for {
		ok, err := u.Next(&change)
		if err != nil {
			c.Fatal(err)
		}
		if !ok {
			return
		}
		f(&change)
	}
}

// Changes are all changes of the log.
func (c *Capture) Changes() []Change {
	c.Helper()
	var all []Change
	number := 0
	c.Units(func(u *changelog.Unit) {
		number++
		c.each(u, func(change *changelog.Change) {
			got := Change{Unit: number, Meta: u.Meta, Op: change.Op, Image: change.Image, FromState: change.FromState != nil}
			if len(change.Prefix) > 0 {
				got.Message = string(change.Prefix) + " " + string(change.Content)
			}
			if t := change.Table; t != nil {
				got.Table, got.Version, got.Before, got.After = t.Name, t, RowText(t, change.Before), RowText(t, change.After)
			}
			all = append(all, got)
		})
	})
	return all
}

// Streamed are the changes that did not come with a copy, as text.
func (c *Capture) Streamed() []string {
	c.Helper()
	all := []string{}
	for _, change := range c.Changes() {
		if change.Op != changelog.OpRead {
			all = append(all, change.String())
		}
	}
	return all
}

// WantStreamed compares the changes that did not come with a copy.
func (c *Capture) WantStreamed(want ...string) {
	c.Helper()
	if got := c.Streamed(); !slices.Equal(got, want) {
		c.Fatalf("changes:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Newest is past every offset.
const Newest = changelog.Offset(1<<64 - 1)

// Table is the newest table of the name, one that has not been dropped before one that has.
func (c *Capture) Table(name string) (found changelog.TableAt, ok bool) {
	for _, t := range c.Log.Catalog().TablesAt(Newest) {
		if t.Table.Name != name {
			continue
		}
		gone, goneBefore := t.State.State == changelog.TableDropped, found.State.State == changelog.TableDropped
		if !ok || goneBefore && !gone || goneBefore == gone && t.Table.ID > found.Table.ID {
			found, ok = t, true
		}
	}
	return found, ok
}

// Rows replays the log, as a reader does, and returns the rows of the table in its newest version, sorted. A table that the log
// cannot answer for, and a row that is not complete, fail the test.
func (c *Capture) Rows(name string) []string {
	c.Helper()
	at, ok := c.Table(name)
	if !ok || !at.Answerable() {
		c.Fatalf("the log cannot answer for table %s: %+v", name, at)
	}
	r := replay{Capture: c, id: at.Table.ID, rows: map[string][]byte{}}
	c.Units(r.unit)
	r.convert(at.Table)
	all := []string{}
	for _, packed := range r.rows {
		text := RowText(r.version, r.row(packed))
		if r.row(packed).HasAbsent() {
			c.Fatalf("table %s has a row that is not complete: %s", name, text)
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

// replay builds one table from the log.
type replay struct {
	*Capture
	id      schema.TableID
	version *schema.Table
	rows    map[string][]byte // packed, by key
	key     []byte
}

func (r *replay) row(packed []byte) schema.Row {
	row, err := r.version.Layout().Row(packed)
	if err != nil {
		r.Fatal(err)
	}
	return row
}

// convert brings the rows into another version.
func (r *replay) convert(next *schema.Table) {
	before := r.version
	if before == next {
		return
	}
	if before != nil && len(r.rows) > 0 {
		converter, err := schema.NewConverter(before, next)
		if err != nil {
			r.Fatal(err)
		}
		old := r.rows
		r.rows = map[string][]byte{}
		for _, packed := range old {
			row, err := before.Layout().Row(packed)
			if err != nil {
				r.Fatal(err)
			}
			converted, err := converter.Convert(nil, row)
			if err != nil {
				r.Fatal(err)
			}
			r.version = next
			r.rows[r.keyOf(r.row(converted))] = converted
		}
	}
	r.version = next
}

func (r *replay) keyOf(row schema.Row) string {
	var err error
	if r.key, err = schema.AppendKey(r.key[:0], r.version, row); err != nil {
		r.Fatal(err)
	}
	return string(r.key)
}

func (r *replay) unit(u *changelog.Unit) {
	at, ok := r.Log.Catalog().TableAt(r.id, u.Meta.Commit())
	if ok && at.StateSince == u.Meta.Commit() && (at.State.Replaces() || at.State.State == changelog.TableRewritten) {
		clear(r.rows)
		r.version = nil
	}
	r.each(u, func(change *changelog.Change) {
		if change.Table == nil || change.Table.ID != r.id {
			return
		}
		r.convert(change.Table)
		switch change.Op {
		case changelog.OpTruncate:
			clear(r.rows)
		case changelog.OpDelete:
			delete(r.rows, r.keyOf(change.Before))
		default:
			if change.Op == changelog.OpUpdate && !change.Before.IsZero() {
				delete(r.rows, r.keyOf(change.Before))
			}
			r.rows[r.keyOf(change.After)] = append([]byte(nil), change.After.Raw()...)
		}
	})
}

// Copies counts how often the table has been copied whole, or has begun to be.
func (c *Capture) Copies(name string) int {
	c.Helper()
	at, ok := c.Table(name)
	if !ok {
		return 0
	}
	n := 0
	c.Units(func(u *changelog.Unit) {
		state, ok := c.Log.Catalog().TableAt(at.Table.ID, u.Meta.Commit())
		if ok && state.StateSince == u.Meta.Commit() && state.State.Replaces() {
			n++
		}
	})
	return n
}

// Except is the lines of a that b lacks, as multisets, ten at the most.
func Except(a, b []string) []string {
	count := map[string]int{}
	for _, line := range b {
		count[line]++
	}
	var only []string
	for _, line := range a {
		if count[line]--; count[line] < 0 && len(only) < 10 {
			only = append(only, line)
		}
	}
	return only
}

// Same compares a table of the log with the rows that its source has.
func (c *Capture) Same(name string, want []string) {
	c.Helper()
	got := c.Rows(name)
	surplus, missing := Except(got, want), Except(want, got)
	if len(surplus)+len(missing) > 0 {
		c.Fatalf("table %s: %d rows in the log, %d at the source\nonly in the log:\n%s\nonly at the source:\n%s", name, len(got), len(want),
			strings.Join(surplus, "\n"), strings.Join(missing, "\n"))
	}
}
