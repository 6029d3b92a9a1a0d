package main

import (
	"context"
	"strings"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/present"
	"cdc/materialize"
	"cdc/schema"
)

// tablesCmd lists the tables that the log holds.
type tablesCmd struct {
	rowFlags
	waitFlags
	AsOf string `name:"as-of" default:"now" placeholder:"MOMENT" help:"The tables as the log knew them at this moment (${default})."`
}

// Help describes the verb with examples.
func (tablesCmd) Help() string {
	return `A table can be asked for from the moment on that it is known from: the end of its first copy. A table that is UNTRACKED is not captured, and says why. Names are printed as every verb, SQL and the patterns of --tables take them, in double quotes where they need them.

Examples:

	cdc tables
	cdc tables --as-of '1 day ago' --json`
}

// Shapes of a table's description. People read fewer columns.
var (
	tableForPeople = present.Shape(
		present.Field{Name: "table", Kind: schema.Text}, present.Field{Name: "state", Kind: schema.Text},
		present.Field{Name: "known from (UTC)", Kind: schema.Timestamp}, present.Field{Name: "identity", Kind: schema.Text},
		present.Field{Name: "key", Kind: schema.Text}, present.Field{Name: "columns", Kind: schema.Int32},
		present.Field{Name: "note", Kind: schema.Text},
	)
	tableForPrograms = present.Shape(
		present.Field{Name: "table", Kind: schema.Text}, present.Field{Name: "state", Kind: schema.Text},
		present.Field{Name: "known_from", Kind: schema.TimestampTZ}, present.Field{Name: "identity", Kind: schema.Text},
		present.Field{Name: "key", Kind: schema.Text}, present.Field{Name: "columns", Kind: schema.Int32},
		present.Field{Name: "note", Kind: schema.Text}, present.Field{Name: "known_from_offset", Kind: schema.Uint64},
		present.Field{Name: "state_since_offset", Kind: schema.Uint64}, present.Field{Name: "version", Kind: schema.Uint32},
	)
)

// Run prints one line a table.
func (c *tablesCmd) Run(ctx context.Context, a *App) (err error) {
	log, err := a.OpenLog(ctx)
	if err != nil {
		return err
	}
	defer closing(log, &err)
	moment, err := c.resolve(ctx, log, c.AsOf)
	if err != nil {
		return err
	}
	out, err := c.rowFlags.open(a)
	if err != nil {
		return err
	}
	var copies map[string]*client.Copy
	if c.AsOf == "now" {
		copies = copiesOf(ctx, log)
	}
	n, err := printTables(ctx, log, &out.Output, moment.Cut, copies)
	if err := out.close(err); err != nil {
		return err
	}
	return out.Footer("(%s) as of %s", counted(n, "table"), diffMoment(moment))
}

func printTables(ctx context.Context, log *Log, out *present.Output, cut changelog.Cut, copies map[string]*client.Copy) (int, error) {
	shape := tableForPrograms
	if out.Human() {
		shape = tableForPeople
	}
	record, err := out.Record(shape)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, known := range log.Catalog().TablesAt(cut.Max()) {
		source := sourceOf(log, known.Table)
		t, ok := log.Catalog().TableAt(known.Table.ID, cut.At(source))
		if !ok {
			continue
		}
		clock, err := clockAt(ctx, log, source, t.KnownFrom)
		if err != nil {
			return n, err
		}
		n++
		b := record.Begin()
		b.String(0, t.Table.FullName())
		b.String(1, stateText(t.State.State))
		setTime(b, 2, clock)
		b.String(3, t.Table.Identity.String())
		b.String(4, strings.Join(keyNames(t.Table), ", "))
		b.Int(5, int64(len(t.Table.Columns)))
		b.String(6, tableNote(&t, copies[t.Table.Source]))
		if !out.Human() {
			setNumber(b, 7, uint64(t.KnownFrom))
			setNumber(b, 8, uint64(t.StateSince))
			b.Int(9, int64(t.Table.Version))
		}
		if err := record.End(); err != nil {
			return n, err
		}
	}
	return n, record.Close()
}

// clockAt is the source's clock at the offset, zero when there is none.
func clockAt(ctx context.Context, log *Log, source changelog.SourceID, at changelog.Offset) (changelog.Micros, error) {
	if at == 0 {
		return 0, nil
	}
	r, err := materialize.Resolve(ctx, log, materialize.AtOffset(at), materialize.ResolveOptions{Wait: -1})
	for i := range r.Sources {
		if r.Sources[i].Source.ID == source {
			return r.Sources[i].Clock, err
		}
	}
	return 0, err
}

// stateText is a table's state in the words of the documentation.
func stateText(s changelog.TableStateKind) string {
	switch s {
	case changelog.TableCopied, changelog.TableEmpty, changelog.TableComplete:
		return "tracked"
	case changelog.TableCopying:
		return "copying"
	case changelog.TableUntracked:
		return "UNTRACKED"
	case changelog.TableDropped:
		return "dropped"
	case changelog.TableRewritten:
		return "REWRITTEN"
	}
	return "unknown"
}

func keyNames(t *schema.Table) (names []string) {
	for _, i := range t.KeyColumns() {
		names = append(names, t.Columns[i].Name)
	}
	return names
}

// copiesOf is how far the running capture's copies are, by source. Without one, or when it does not say, nothing is known of them.
func copiesOf(ctx context.Context, log *Log) map[string]*client.Copy {
	if log.Live == nil {
		return nil
	}
	status, err := log.Live.Status(ctx)
	if err != nil {
		return nil
	}
	copies := map[string]*client.Copy{}
	for _, s := range status.Sources {
		copies[s.Name] = s.Copy
	}
	return copies
}

// isCopied reports whether the table is the one that is being copied: a source says its name, and what it waits for.
func isCopied(c *client.Copy, t *schema.Table) bool {
	rest, ok := strings.CutPrefix(c.Table, t.FullName())
	return ok && (rest == "" || strings.HasPrefix(rest, ", "))
}

func tableNote(t *changelog.TableAt, copied *client.Copy) string {
	var notes []string
	if copied != nil && t.State.State == changelog.TableCopying && isCopied(copied, t.Table) {
		notes = append(notes, copyText(copied))
	}
	if t.State.Detail != "" {
		notes = append(notes, t.State.Detail)
	}
	if t.Table.AppendOnly {
		notes = append(notes, "inserts and truncates only")
	}
	return strings.Join(notes, "; ")
}
