package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/present"
	"cdc/materialize"
	"cdc/schema"
)

// historyCmd prints every version of rows.
type historyCmd struct {
	rowFlags
	waitFlags
	From  string   `placeholder:"MOMENT" help:"Only versions that held at this moment or after it."`
	To    string   `default:"now" placeholder:"MOMENT" help:"Only versions that held at this moment or before it (${default})."`
	Table string   `arg:"" complete:"tables" help:"The table: name, schema.name or source.schema.name."`
	Where []string `arg:"" optional:"" placeholder:"COLUMN=VALUE" help:"Which rows, for example id=42; all of them when left out."`
}

// Help describes the verb with examples.
func (historyCmd) Help() string {
	return `A version holds from the commit that wrote it to the one that ended it; what a transaction wrote and replaced itself is none.

Examples:

	cdc history orders id=42
	cdc history orders id=42 --from '1 day ago' --json
	cdc history products 'price>100'`
}

// Columns before those of the table. People read fewer of them.
var (
	historyForPeople = []present.Field{
		{Name: "from", Kind: schema.Uint64},
		{Name: "to", Kind: schema.Text},
		{Name: "op", Kind: schema.Text},
		{Name: "tx", Kind: schema.Uint64},
		{Name: "time (UTC)", Kind: schema.Timestamp},
		{Name: "held", Kind: schema.Text},
	}
	historyForPrograms = []present.Field{
		{Name: "_from", Kind: schema.Uint64},
		{Name: "_to", Kind: schema.Uint64},
		{Name: "_op", Kind: schema.Text},
		{Name: "_tx", Kind: schema.Uint64},
		{Name: "_commit_time", Kind: schema.TimestampTZ},
		{Name: "_end_op", Kind: schema.Text},
		{Name: "_end_tx", Kind: schema.Uint64},
		{Name: "_end_time", Kind: schema.TimestampTZ},
	}
)

// Run prints the versions, each when it ends, and those that still hold at last.
func (c *historyCmd) Run(ctx context.Context, a *App) (err error) {
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
	table, err := materialize.FindTable(ctx, log, c.Table, to.Cut)
	if err != nil {
		return to.Moment.Asked(err)
	}
	where, err := parseWhere(table.Table, c.Where)
	if err != nil {
		return err
	}
	source := sourceOf(log, table.Table)
	o := materialize.HistoryOptions{To: to.Cut.At(source)}
	if c.From != "" {
		from, err := c.resolve(ctx, log, c.From, c.Table)
		if err != nil {
			return err
		}
		if o.From = from.Cut.At(source); o.From > o.To {
			return inOrder(o.From, o.To)
		}
	}
	out, err := c.rowFlags.open(a)
	if err != nil {
		return err
	}
	versions, err := printHistory(ctx, a, log, &out.Output, table.Table, where, o)
	if err := out.close(err); err != nil {
		return err
	}
	return out.Footer("(%s) of %s, %s, %s", counted(versions, "version"), present.Clean(table.Table.FullName()), asOf(to, source), elapsed(began))
}

func printHistory(
	ctx context.Context, a *App, log *Log, out *present.Output, t *schema.Table, where *materialize.Predicate, o materialize.HistoryOptions,
) (int, error) {
	h := &historian{human: out.Human(), table: t, last: map[string][]byte{}, converters: map[schema.VersionID]*reshaper{}}
	h.clock = log.Catalog().Progress(sourceOf(log, t)).Clock
	fields := historyForPrograms
	if h.human {
		fields = historyForPeople
	}
	h.lead = len(fields)
	record, err := out.Record(historyShape(fields, t))
	if err != nil {
		return 0, err
	}
	h.record = record
	part, done := a.progress("read " + t.FullName())
	defer done()
	o.Progress = part
	versions := 0
	err = materialize.History(ctx, log, t.ID, where, o, func(v *materialize.Version) error {
		done()
		versions++
		return h.version(v)
	})
	done()
	if err != nil {
		return versions, err
	}
	return versions, record.Close()
}

// historyShape is the fields, then the columns of the table.
func historyShape(fields []present.Field, t *schema.Table) *schema.Table {
	lead := present.Shape(fields...)
	shape := &schema.Table{Source: t.Source, Schema: t.Schema, Name: t.Name, Columns: lead.Columns}
	for _, c := range t.Columns {
		c.ID += uint32(len(fields))
		c.Key, c.HasMissing, c.Missing = 0, false, nil
		shape.Columns = append(shape.Columns, c)
	}
	if err := shape.Prepare(); err != nil {
		panic(err) // each column has been prepared as part of its table
	}
	return shape
}

// maxRemembered bounds the rows whose last version is kept to mark what has changed.
const maxRemembered = 10_000

// historian prints versions of rows in the shape of the newest.
type historian struct {
	human      bool
	table      *schema.Table
	record     *present.Record
	lead       int
	clock      changelog.Micros
	converters map[schema.VersionID]*reshaper
	last       map[string][]byte // packed rows by key
	key        []byte
	row        []byte
}

func (h *historian) version(v *materialize.Version) error {
	row, err := h.reshape(v)
	if err != nil {
		return err
	}
	b := h.record.Begin()
	if h.human {
		h.forPeople(b, v)
	} else {
		h.forPrograms(b, v)
	}
	for i := range h.table.Columns {
		b.Copy(h.lead+i, row, i)
	}
	return h.record.End(h.mark(row)...)
}

func (h *historian) forPeople(b *schema.Builder, v *materialize.Version) {
	b.Uint64(0, uint64(v.From))
	if v.To == 0 {
		b.String(1, "")
	} else {
		b.String(1, fmt.Sprintf("%d %c", v.To, v.EndOp))
	}
	b.String(2, string(rune(v.Op)))
	setNumber(b, 3, v.First.XID)
	setTime(b, 4, v.First.Time)
	end, suffix := v.Last.Time, ""
	if v.To == 0 {
		end, suffix = h.clock, " so far"
	}
	b.String(5, heldText(v.First.Time, end)+suffix)
}

func (h *historian) forPrograms(b *schema.Builder, v *materialize.Version) {
	b.Uint64(0, uint64(v.From))
	setNumber(b, 1, uint64(v.To))
	b.String(2, string(rune(v.Op)))
	setNumber(b, 3, v.First.XID)
	setTime(b, 4, v.First.Time)
	if v.EndOp == 0 {
		b.Null(5)
	} else {
		b.String(5, string(rune(v.EndOp)))
	}
	setNumber(b, 6, v.Last.XID)
	setTime(b, 7, v.Last.Time)
}

// heldText is how long a version held, by the source's clock.
func heldText(from, to changelog.Micros) string {
	if from == 0 || to < from {
		return "?"
	}
	return spanText(time.Duration(to-from) * time.Microsecond)
}

// spanText is a length of time for people: its two largest units.
func spanText(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Minute:
		return fmt.Sprintf("%.3f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 2*day:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour)
}

// mark returns the columns, of what is printed, in which the row differs from its last version.
func (h *historian) mark(row schema.Row) (marked []int) {
	if !h.human {
		return nil
	}
	key, err := schema.AppendKey(h.key[:0], h.table, row)
	h.key = key
	if err != nil || len(h.table.KeyColumns()) == 0 {
		return nil
	}
	if last, ok := h.last[string(key)]; ok {
		before, err := h.table.Layout().Row(last)
		if err == nil {
			for _, i := range changedColumns(before, row) {
				marked = append(marked, h.lead+i)
			}
		}
	} else if len(h.last) >= maxRemembered {
		return nil
	}
	h.last[string(key)] = bytes.Clone(row.Raw())
	return marked
}

// reshape is the version's row in the shape of the newest version.
func (h *historian) reshape(v *materialize.Version) (schema.Row, error) {
	if v.Table.Version == h.table.Version {
		return v.Row, nil
	}
	r := h.converters[v.Table.Version]
	if r == nil {
		r = newReshaper(v.Table, h.table)
		h.converters[v.Table.Version] = r
	}
	row, err := r.convert(h.row[:0], v.Row)
	h.row = row
	if err != nil {
		return schema.Row{}, err
	}
	return h.table.Layout().Row(row)
}

// reshaper converts rows between versions of a table, also where a column has changed its type: then its text is read anew, and is
// null where it means nothing in the new type.
type reshaper struct {
	from, to  *schema.Table
	converter *schema.Converter // nil when a column has changed its type
}

func newReshaper(from, to *schema.Table) *reshaper {
	r := &reshaper{from: from, to: to}
	if converter, err := schema.NewConverter(from, to); err == nil {
		r.converter = converter
	}
	return r
}

func (r *reshaper) convert(dst []byte, row schema.Row) ([]byte, error) {
	if r.converter != nil {
		return r.converter.Convert(dst, row)
	}
	var b schema.Builder
	b.Reset(r.to.Layout(), dst)
	for i := range r.to.Columns {
		c := &r.to.Columns[i]
		j := r.from.ColumnByID(c.ID)
		switch {
		case j < 0 && c.HasMissing:
			b.Value(i, c.Missing)
		case j < 0 || row.State(j) == schema.Null:
			b.Null(i)
		case row.State(j) == schema.Absent:
		case r.from.Columns[j].Kind == c.Kind:
			b.Copy(i, row, j)
		case schema.ParseText(&b, i, c, schema.AppendText(nil, &r.from.Columns[j], row, j)) != nil:
			b.Null(i)
		}
	}
	return b.Finish()
}
