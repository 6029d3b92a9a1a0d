package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/present"
	"cdc/materialize"
	"cdc/schema"
)

// changesCmd prints the latest changes, newest last.
type changesCmd struct {
	rowFlags
	waitFlags
	Count int      `short:"n" default:"20" placeholder:"N" help:"How many changes at most (${default}); 0 for all."`
	From  string   `placeholder:"MOMENT" help:"Only changes after this moment."`
	To    string   `default:"now" placeholder:"MOMENT" help:"Only changes up to this moment (${default})."`
	Table string   `arg:"" optional:"" complete:"tables" help:"Only changes of this table."`
	Where []string `arg:"" optional:"" placeholder:"COLUMN=VALUE" help:"Only changes whose old or new row matches."`
}

// Help describes the verb with examples.
func (changesCmd) Help() string {
	return `Old values come from the source where it sends them, else from the log, as long as that is short; 'cdc show' looks them up in any log.

Examples:

	cdc changes
	cdc changes orders -n 100
	cdc changes orders id=42 --from '1 day ago' -n 0 --json`
}

// Run prints the changes.
func (c *changesCmd) Run(ctx context.Context, a *App) (err error) {
	began := time.Now()
	log, err := a.OpenLog(ctx)
	if err != nil {
		return err
	}
	defer closing(log, &err)
	to, err := c.resolve(ctx, log, c.To, c.Table)
	if err != nil {
		return err
	}
	o := materialize.ChangesOptions{To: to.Cut.Max(), Limit: max(c.Count, 0)}
	var after changelog.Cut
	if c.From != "" {
		from, err := c.resolve(ctx, log, c.From, c.Table)
		if err != nil {
			return err
		}
		if err := inOrder(from.Cut.Max(), to.Cut.Max()); err != nil {
			return err
		}
		after = from.Cut
		o.From = after.Min() + 1
	}
	// A time is another offset for each source.
	o.Within = func(u *changelog.UnitMeta) bool {
		return u.Commit() > after.At(u.Source) && u.Commit() <= to.Cut.At(u.Source)
	}
	only, err := onlyTable(ctx, log, c.Table, c.Where, to.Cut)
	if err != nil {
		return err
	}
	o.Tables, o.Where = only.tables, only.where
	out, err := c.rowFlags.open(a)
	if err != nil {
		return err
	}
	n, err := listChanges(ctx, a, log, &out.Output, o, only.keyOnly)
	if err := out.close(err); err != nil {
		return err
	}
	return out.Footer("(%s) up to %s, %s", counted(n, "change"), diffMoment(to), elapsed(began))
}

// tableFilter keeps changes of one table, those that match; the zero value keeps all changes.
type tableFilter struct {
	tables  []schema.TableID
	where   *materialize.Predicate
	keyOnly bool // the condition is about key columns only
}

// onlyTable is the filter of the named table, none when there is no name.
func onlyTable(ctx context.Context, log *Log, name string, conditions []string, cut changelog.Cut) (tableFilter, error) {
	if name == "" {
		return tableFilter{}, nil
	}
	table, err := knownTable(ctx, log, name, cut)
	if err != nil {
		return tableFilter{}, err
	}
	where, err := parseWhere(table, conditions)
	return tableFilter{tables: []schema.TableID{table.ID}, where: where, keyOnly: onKey(table, conditions)}, err
}

// onKey reports whether all conditions are about columns of the table's key.
func onKey(t *schema.Table, conditions []string) bool {
	return !slices.ContainsFunc(conditions, func(text string) bool {
		name, _, _, err := cutCondition(text)
		return err != nil || !slices.Contains(keyNames(t), name)
	})
}

// knownTable is the table that the name means, though the log may not be able to answer for its rows: its changes are there.
func knownTable(ctx context.Context, log *Log, name string, cut changelog.Cut) (*schema.Table, error) {
	table, err := materialize.FindTable(ctx, log, name, cut)
	if err == nil {
		return table.Table, nil
	}
	if table.Table != nil {
		return table.Table, nil
	}
	return nil, err
}

// listChanges prints the changes. keyOnly says that the condition, if there is one, is about key columns only: then every change of a
// row is in the list, or none.
func listChanges(ctx context.Context, a *App, log *Log, out *present.Output, o materialize.ChangesOptions, keyOnly bool) (n int, err error) {
	list, err := newChangeList(out, unitPositions(log))
	if err != nil {
		return 0, err
	}
	if o.Where == nil || keyOnly {
		list.earlier = newEarlierRows(ctx, a, log, o.Limit)
	}
	if list.earlier != nil {
		list.earlier.filtered = o.Where != nil
	}
	part, done := a.progress("read changes")
	defer done()
	o.Progress = part
	var batch []materialize.ChangeRow
	err = materialize.Changes(ctx, log, o, func(c *materialize.ChangeRow) error {
		n++
		if list.earlier == nil {
			done()
			return list.print(c, schema.Row{})
		}
		batch = append(batch, keepChange(c))
		return nil
	})
	done()
	if err != nil {
		return n, err
	}
	if list.earlier != nil {
		if err := list.earlier.load(batch); err != nil {
			return n, err
		}
	}
	for i := range batch {
		if err := list.print(&batch[i], list.earlier.before(&batch[i])); err != nil {
			return n, err
		}
	}
	return n, list.record.Close()
}

// keepChange is a copy of a change that may be kept.
func keepChange(c *materialize.ChangeRow) materialize.ChangeRow {
	kept, unit := *c, *c.Unit
	kept.Unit = &unit
	kept.Before, kept.After = keepRow(c.Before), keepRow(c.After)
	kept.FromState, kept.Prefix, kept.Content = bytes.Clone(c.FromState), bytes.Clone(c.Prefix), bytes.Clone(c.Content)
	return kept
}

func keepRow(r schema.Row) schema.Row {
	if r.IsZero() {
		return r
	}
	kept, _ := r.Layout().Row(bytes.Clone(r.Raw())) // the same bytes have been a row before
	return kept
}

// Shapes of a change. People read a summary, programs the rows.
var (
	changeForPeople = present.Shape(
		present.Field{Name: "off", Kind: schema.Uint64}, present.Field{Name: "position", Kind: schema.Text},
		present.Field{Name: "commit (UTC)", Kind: schema.Timestamp}, present.Field{Name: "tx", Kind: schema.Uint64},
		present.Field{Name: "table", Kind: schema.Text}, present.Field{Name: "op", Kind: schema.Text},
		present.Field{Name: "key", Kind: schema.Text}, present.Field{Name: "change", Kind: schema.Text},
	)
	changeForPrograms = present.Shape(
		present.Field{Name: "offset", Kind: schema.Uint64}, present.Field{Name: "commit_offset", Kind: schema.Uint64},
		present.Field{Name: "position", Kind: schema.Text}, present.Field{Name: "commit_time", Kind: schema.TimestampTZ},
		present.Field{Name: "source", Kind: schema.Text}, present.Field{Name: "tx", Kind: schema.Uint64},
		present.Field{Name: "table", Kind: schema.Text}, present.Field{Name: "op", Kind: schema.Text},
		present.Field{Name: "key", Kind: schema.JSON}, present.Field{Name: "before", Kind: schema.JSON},
		present.Field{Name: "after", Kind: schema.JSON}, present.Field{Name: "before_is", Kind: schema.Text},
	)
)

// changeList prints changes, one a row.
type changeList struct {
	out       *present.Output
	record    *present.Record
	describer describer
	position  func(*changelog.UnitMeta) string
	earlier   *earlierRows // nil when old rows are not looked up
}

func newChangeList(out *present.Output, position func(*changelog.UnitMeta) string) (*changeList, error) {
	shape := changeForPrograms
	if out.Human() {
		shape = changeForPeople
	}
	record, err := out.Record(shape)
	return &changeList{out: out, record: record, position: position}, err
}

// print prints a change; before is the old row when it has been looked up.
func (l *changeList) print(c *materialize.ChangeRow, before schema.Row) error {
	if l.out.Human() {
		return l.forPeople(c, before)
	}
	return l.forPrograms(c, before)
}

func (l *changeList) forPeople(c *materialize.ChangeRow, before schema.Row) error {
	b := l.record.Begin()
	b.Uint64(0, uint64(c.Offset))
	b.String(1, l.position(c.Unit))
	setTime(b, 2, c.Unit.CommitTime)
	setNumber(b, 3, c.Unit.XID)
	if c.Table == nil {
		b.String(4, "")
	} else {
		b.String(4, shortName(c.Table))
	}
	b.String(5, string(rune(c.Op)))
	if c.Table == nil || c.Op == changelog.OpTruncate {
		b.String(6, "")
	} else {
		b.String(6, l.describer.key(c.Table, rowOf(&c.Change)))
	}
	b.String(7, l.describer.summary(&c.Change, before))
	return l.record.End()
}

func (l *changeList) forPrograms(c *materialize.ChangeRow, before schema.Row) error {
	image := [...]string{changelog.ImageNone: "none", changelog.ImageKey: "key", changelog.ImageFull: "full"}[c.Image]
	if before.IsZero() {
		before = c.Before
	} else {
		image = "from log"
	}
	b := l.record.Begin()
	b.Uint64(0, uint64(c.Offset))
	b.Uint64(1, uint64(c.Unit.Commit()))
	b.String(2, l.position(c.Unit))
	setTime(b, 3, c.Unit.CommitTime)
	if c.Table == nil {
		b.Null(4)
	} else {
		b.String(4, c.Table.Source)
	}
	setNumber(b, 5, c.Unit.XID)
	if c.Table == nil {
		b.Null(6)
	} else {
		b.String(6, c.Table.Schema+"."+c.Table.Name)
	}
	b.String(7, string(rune(c.Op)))
	setKey(b, 8, c.Table, rowOf(&c.Change))
	setObject(b, 9, c.Table, before)
	if c.Op == changelog.OpMessage {
		setMessage(b, 10, c)
	} else {
		setObject(b, 10, c.Table, c.After)
	}
	b.String(11, image)
	return l.record.End()
}

// setMessage sets a JSON column to a logical message.
func setMessage(b *schema.Builder, i int, c *materialize.ChangeRow) {
	b.Variable(i, func(dst []byte) []byte {
		dst = append(dst, `{"prefix":`...)
		dst = schema.AppendJSONString(dst, c.Prefix)
		dst = append(dst, `,"content":`...)
		dst = schema.AppendJSONString(dst, fmt.Appendf(nil, `\x%x`, c.Content))
		return append(dst, '}')
	})
}
