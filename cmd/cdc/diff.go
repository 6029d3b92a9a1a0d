package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
	"cdc/materialize"
	"cdc/schema"
)

// diffCmd prints what differs between two moments.
type diffCmd struct {
	rowFlags
	waitFlags
	From  string   `required:"" placeholder:"MOMENT" help:"The earlier moment."`
	To    string   `default:"now" placeholder:"MOMENT" help:"The later moment (${default})."`
	Table string   `arg:"" optional:"" complete:"tables" help:"The table; every table when it is left out."`
	Where []string `arg:"" optional:"" placeholder:"COLUMN=VALUE" help:"Only rows of which this holds."`
}

// Help describes the verb with examples.
func (diffCmd) Help() string {
	return `A row that was changed and changed back is no difference. Each line names the last transaction that touched the row.

Examples:

	cdc diff orders --from '1 hour ago'
	cdc diff --from 'TAG before-migration' --to 'TAG after-migration'
	cdc diff products --from 2026-06-10 --to 2026-06-20 'price>100' --json`
}

// diffShape is a difference in the formats for programs.
var diffShape = present.Shape(
	present.Field{Name: "kind", Kind: schema.Text}, present.Field{Name: "table", Kind: schema.Text},
	present.Field{Name: "key", Kind: schema.JSON}, present.Field{Name: "before", Kind: schema.JSON},
	present.Field{Name: "after", Kind: schema.JSON}, present.Field{Name: "offset", Kind: schema.Uint64},
	present.Field{Name: "tx", Kind: schema.Uint64}, present.Field{Name: "time", Kind: schema.TimestampTZ},
)

// Run prints the net difference of each table, in the order of the keys.
func (c *diffCmd) Run(ctx context.Context, a *App) (err error) {
	began := time.Now()
	log, err := a.OpenLog(ctx)
	if err != nil {
		return err
	}
	defer closing(log, &err)
	from, err := c.resolve(ctx, log, c.From, c.Table)
	if err != nil {
		return err
	}
	to, err := c.resolve(ctx, log, c.To, c.Table)
	if err != nil {
		return err
	}
	tables, err := c.tables(ctx, log, from, to)
	if err != nil {
		return err
	}
	out, err := c.rowFlags.open(a)
	if err != nil {
		return err
	}
	d := &differ{app: a, log: log, out: &out.Output, describer: describer{style: out.Style}, from: from, to: to}
	err = d.all(ctx, tables, c.Where)
	if err := out.close(err); err != nil {
		return err
	}
	return out.Footer("from %s to %s, %s", diffMoment(from), diffMoment(to), elapsed(began))
}

// tables are the one that was named, or all that can be answered for.
func (c *diffCmd) tables(ctx context.Context, log *Log, from, to materialize.Resolved) ([]changelog.TableAt, error) {
	if c.Table != "" {
		table, err := materialize.FindTable(ctx, log, c.Table, to.Cut)
		return []changelog.TableAt{table}, to.Moment.Asked(err)
	}
	if len(c.Where) > 0 {
		return nil, &exit.Error{Code: exit.Usage, What: "conditions need a table", Remedy: "name the table before them"}
	}
	var tables []changelog.TableAt
	for _, t := range log.Catalog().TablesAt(to.Cut.Max()) {
		source := sourceOf(log, t.Table)
		if t, ok := log.Catalog().TableAt(t.Table.ID, to.Cut.At(source)); ok && t.Answerable() {
			tables = append(tables, t)
		}
	}
	return tables, nil
}

// diffMoment says what a moment came to: an offset for each source, but for one that came to the same for all of them.
func diffMoment(r materialize.Resolved) string {
	if len(r.Sources) == 0 {
		return fmt.Sprintf("%s = offset %d", momentText(r.Moment, 0), r.Cut.Max())
	}
	first := &r.Sources[0]
	same, parts := true, make([]string, len(r.Sources))
	for i := range r.Sources {
		c := &r.Sources[i]
		same = same && c.Offset == first.Offset
		parts[i] = fmt.Sprintf("offset %d of %s", c.Offset, present.Clean(c.Source.Name))
	}
	clock := first.Clock
	if len(r.Sources) > 1 {
		clock = 0
	}
	if same {
		return fmt.Sprintf("%s = offset %d", momentText(r.Moment, clock), first.Offset)
	}
	return momentText(r.Moment, clock) + " = " + strings.Join(parts, ", ")
}

// differ prints differences of one table after another.
type differ struct {
	describer
	app      *App
	log      *Log
	out      *present.Output
	from, to materialize.Resolved
	record   *present.Record

	table                    *schema.Table // whose heading has been printed
	added, removed, modified int
}

// all prints the differences of the tables. A table that is not known at one of the moments is a note, and an error when no other
// is known there.
func (d *differ) all(ctx context.Context, tables []changelog.TableAt, where []string) error {
	if !d.out.Human() {
		record, err := d.out.Record(diffShape)
		if err != nil {
			return err
		}
		d.record = record
	}
	var left []error
	for i := range tables {
		err := d.one(ctx, &tables[i], where)
		var unanswerable *materialize.UnanswerableError
		if errors.As(err, &unanswerable) {
			left = append(left, err)
			continue
		}
		if err != nil {
			return err
		}
	}
	if len(left) > 0 && len(left) == len(tables) {
		return left[0]
	}
	for _, err := range left {
		if err := d.out.Note("left out: %v", err); err != nil {
			return err
		}
	}
	if d.record != nil {
		return d.record.Close()
	}
	return nil
}

func (d *differ) one(ctx context.Context, t *changelog.TableAt, conditions []string) error {
	where, err := parseWhere(t.Table, conditions)
	if err != nil {
		return err
	}
	source := sourceOf(d.log, t.Table)
	from, to := d.from.Cut.At(source), d.to.Cut.At(source)
	if err := inOrder(from, to); err != nil {
		return err
	}
	d.table, d.added, d.removed, d.modified = nil, 0, 0, 0
	part, done := d.app.progress("compare " + t.Table.FullName())
	defer done()
	o := materialize.DiffOptions{Options: d.app.spillOptions(), Where: where}
	o.Progress = part
	err = materialize.Diff(ctx, d.log, t.Table.ID, from, to, o, func(r *materialize.DiffRow) error {
		done()
		return d.row(r)
	})
	done()
	if err != nil || !d.out.Human() {
		return d.from.Moment.Asked(err)
	}
	return d.summaryLine(t.Table, from)
}

func (d *differ) row(r *materialize.DiffRow) error {
	switch r.Kind {
	case materialize.Added:
		d.added++
	case materialize.Removed:
		d.removed++
	case materialize.Modified:
		d.modified++
	}
	if d.record != nil {
		return d.machineRow(r)
	}
	if d.table == nil {
		d.table = r.Table
		if _, err := fmt.Fprintln(d.out.Out, d.style.Bold(present.Clean(r.Table.FullName()))); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(d.out.Out, d.line(r))
	return err
}

// Widths of a line's parts, so that lines below each other can be compared.
const (
	diffKeyColumns  = 8
	diffTextColumns = 44
)

// line is a difference for people: what it is, the row, and the last transaction that touched it.
func (d *differ) line(r *materialize.DiffRow) string {
	var sign, key, text string
	plain := describer{}
	width := 0
	switch r.Kind {
	case materialize.Added:
		sign, key, text = d.style.Green("+"), d.key(r.Table, r.After), d.values(r.Table, r.After)
		width = utf8.RuneCountInString(text)
	case materialize.Removed:
		sign, key, text = d.style.Red("-"), d.key(r.Table, r.Before), d.values(r.Table, r.Before)
		width = utf8.RuneCountInString(text)
	case materialize.Modified:
		sign, key, text = d.style.Yellow("~"), d.key(r.Table, r.After), d.difference(r.Table, r.Before, r.After, r.Columns)
		width = utf8.RuneCountInString(plain.difference(r.Table, r.Before, r.After, r.Columns))
	}
	line := " " + sign + "  " + padded(key, diffKeyColumns) + "  " + text
	if r.Last.Offset == 0 {
		return line
	}
	return line + strings.Repeat(" ", max(diffTextColumns-width, 0)) + "  " + d.style.Dim("tx "+txText(r.Last.XID)+"  "+timeText(r.Last.Time))
}

func (d *differ) summaryLine(t *schema.Table, from changelog.Offset) error {
	if d.added+d.removed+d.modified == 0 && d.table == nil {
		_, err := fmt.Fprintf(d.out.Out, "%s: no difference\n", present.Clean(t.FullName()))
		return err
	}
	shape := "schema unchanged"
	if earlier, ok := d.log.Catalog().TableAt(t.ID, from); ok && earlier.Table.Version != t.Version {
		shape = "schema changed: rows are shown in the later shape"
	}
	_, err := fmt.Fprintf(d.out.Out, "%d added, %d modified, %d removed, %s\n", d.added, d.modified, d.removed, shape)
	return err
}

func (d *differ) machineRow(r *materialize.DiffRow) error {
	b := d.record.Begin()
	b.String(0, map[materialize.DiffKind]string{
		materialize.Added: "added", materialize.Removed: "removed", materialize.Modified: "modified",
	}[r.Kind])
	b.String(1, r.Table.FullName())
	row := r.After
	if row.IsZero() {
		row = r.Before
	}
	setKey(b, 2, r.Table, row)
	setObject(b, 3, r.Table, r.Before)
	setObject(b, 4, r.Table, r.After)
	if r.Last.Offset == 0 {
		b.Null(5)
		b.Null(6)
		b.Null(7)
		return d.record.End()
	}
	b.Uint64(5, uint64(r.Last.Offset))
	setNumber(b, 6, r.Last.XID)
	setTime(b, 7, r.Last.Time)
	return d.record.End()
}

// txText is the number of a transaction; the log's own units and copies have none.
func txText(xid uint64) string {
	if xid == 0 {
		return "-"
	}
	return fmt.Sprint(xid)
}

// setObject sets a JSON column to the row, or to null when there is none.
func setObject(b *schema.Builder, i int, t *schema.Table, r schema.Row) {
	if r.IsZero() {
		b.Null(i)
		return
	}
	b.Variable(i, func(dst []byte) []byte { return present.AppendObject(dst, t, r) })
}

// setKey sets a JSON column to the row's key, or to the whole row when the table has none.
func setKey(b *schema.Builder, i int, t *schema.Table, r schema.Row) {
	if r.IsZero() {
		b.Null(i)
		return
	}
	b.Variable(i, func(dst []byte) []byte { return present.AppendObject(dst, t, r, t.KeyColumns()...) })
}

// setTime sets a Timestamp or TimestampTZ column, null when the time is not known.
func setTime(b *schema.Builder, i int, t changelog.Micros) {
	if t == 0 {
		b.Null(i)
		return
	}
	b.Int(i, int64(t)-schema.UnixEpoch2000)
}

// setNumber sets a Uint64 column, null for zero.
func setNumber(b *schema.Builder, i int, n uint64) {
	if n == 0 {
		b.Null(i)
		return
	}
	b.Uint64(i, n)
}
