package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
	"cdc/materialize"
	"cdc/schema"
)

// atCmd prints a table as it was at a moment.
type atCmd struct {
	rowFlags
	waitFlags
	Columns []string `sep:"none" placeholder:"NAME" help:"Only this column, in this place; may be repeated."`
	Moment  string   `arg:"" help:"The moment: now, '20 seconds ago', 2026-06-10, 'LSN 0/16B3600', 'TX 774', 'OFFSET 9', 'TAG name' …"`
	Table   string   `arg:"" complete:"tables" help:"The table: name, schema.name or source.schema.name."`
	Where   []string `arg:"" optional:"" placeholder:"COLUMN=VALUE" help:"Only rows of which this holds."`
}

// Help describes the verb with examples.
func (atCmd) Help() string {
	return `A time needs its zone; a date means midnight UTC. Conditions compare with = != < <= > >=, and \N is null; a column whose name has such a sign in it stands in double quotes.

Examples:

	cdc at now orders
	cdc at '20 seconds ago' orders id=42
	cdc at 2026-06-10 shop.public.orders 'total>=100' --columns id --columns total
	cdc at 'LSN 0/16B3748' orders --format parquet -o orders.parquet`
}

// Run prints the rows in the order of their keys.
func (c *atCmd) Run(ctx context.Context, a *App) (err error) {
	began := time.Now()
	log, err := a.OpenLog(ctx)
	if err != nil {
		return err
	}
	defer closing(log, &err)
	moment, err := c.resolve(ctx, log, c.Moment, c.Table)
	if err != nil {
		return err
	}
	table, err := materialize.FindTable(ctx, log, c.Table, moment.Cut)
	if err != nil {
		return moment.Moment.Asked(err)
	}
	where, err := parseWhere(table.Table, c.Where)
	if err != nil {
		return err
	}
	if err := c.eachOnce(); err != nil {
		return err
	}
	source := sourceOf(log, table.Table)
	request := materialize.Request{Table: table.Table.ID, At: moment.Cut.At(source), Columns: c.Columns, Where: where}
	out, err := c.rowFlags.open(a)
	if err != nil {
		return err
	}
	rows, err := printTable(ctx, a, log, &out.Output, request)
	if err := out.close(err); err != nil {
		return err
	}
	return atFooter(out, moment, &table, source, rows, began)
}

// eachOnce is an error of usage when a column is asked for twice: an answer has each one once.
func (c *atCmd) eachOnce() error {
	for i, name := range c.Columns {
		if slices.Contains(c.Columns[:i], name) {
			return &exit.Error{Code: exit.Usage, What: fmt.Sprintf("column %s is asked for twice", name), Remedy: "leave one --columns out, or name it in 'cdc sql' as often as you like"}
		}
	}
	return nil
}

// printTable prints the answer to one request and returns the number of its rows.
func printTable(ctx context.Context, a *App, log *Log, out *present.Output, request materialize.Request) (int, error) {
	shape, err := materialize.Shape(log, request)
	if err != nil {
		return 0, err
	}
	printer, err := out.Printer(shape)
	if err != nil {
		return 0, err
	}
	part, done := a.progress("read " + shape.FullName())
	defer done()
	o := a.spillOptions()
	o.Ordered, o.Progress = true, part
	rows := 0
	err = materialize.Tables(ctx, log, []materialize.Request{request}, o, func(b *materialize.Batch) error {
		done()
		for i := range b.Len() {
			if err := printer.Print(b.Row(i)); err != nil {
				return err
			}
		}
		rows += b.Len()
		return nil
	})
	done()
	if err != nil {
		return rows, err
	}
	return rows, printer.Close()
}

func atFooter(out *rowOutput, moment materialize.Resolved, table *changelog.TableAt, source changelog.SourceID, rows int, began time.Time) error {
	if err := out.Footer("(%s) %s, %s", counted(rows, "row"), asOf(moment, source), elapsed(began)); err != nil {
		return err
	}
	if table.Table.AppendOnly {
		if err := out.Note("note: of %s only inserts and truncates are captured", table.Table.FullName()); err != nil {
			return err
		}
	}
	if raw := columnsOf(table.Table, schema.Raw); len(raw) > 0 {
		if err := out.Note("note: %v kept as the source's text", raw); err != nil {
			return err
		}
	}
	return completeness(&out.Output, moment)
}

// columnsOf are the names of the table's columns of a kind.
func columnsOf(t *schema.Table, k schema.Kind) (names []string) {
	for i := range t.Columns {
		if t.Columns[i].Kind == k {
			names = append(names, t.Columns[i].Name)
		}
	}
	return names
}
