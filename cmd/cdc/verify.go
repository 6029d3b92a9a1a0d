package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
	"cdc/materialize"
	"cdc/schema"
	"cdc/sources"
)

// verifyCmd compares the log's tables with the database itself.
type verifyCmd struct {
	rowFlags
	serverFlags
	Wait   time.Duration `default:"60s" placeholder:"TIME" help:"How long to wait for the log to pass the snapshot (${default})."`
	Tables []string      `sep:"none" placeholder:"PATTERN" complete:"tables" help:"Only tables that match; may be repeated."`
	Rows   int           `default:"5" placeholder:"N" help:"How many differing rows of a table to print (${default})."`
	DSN    string        `arg:"" optional:"" help:"The database; the folder's own when it is left out."`
}

// Help describes the verb with examples.
func (verifyCmd) Help() string {
	return `Takes a snapshot at the server with its exact place in the stream, waits until the log has passed that place, and compares every table as of it, row by row. The exit code is 7 when anything differs.

Examples:

	cdc verify
	cdc verify postgres://cdc@db.example/shop --tables 'public.orders'`
}

// verdictShape is the result of a table in the formats for programs.
var verdictShape = present.Shape(
	present.Field{Name: "table", Kind: schema.Text}, present.Field{Name: "verdict", Kind: schema.Text},
	present.Field{Name: "rows_log", Kind: schema.Uint64}, present.Field{Name: "rows_source", Kind: schema.Uint64},
	present.Field{Name: "only_log", Kind: schema.Uint64}, present.Field{Name: "only_source", Kind: schema.Uint64},
	present.Field{Name: "different", Kind: schema.Uint64}, present.Field{Name: "checksum_log", Kind: schema.Text},
	present.Field{Name: "checksum_source", Kind: schema.Text}, present.Field{Name: "position", Kind: schema.Text},
	present.Field{Name: "offset", Kind: schema.Uint64}, present.Field{Name: "note", Kind: schema.Text},
)

// Verdicts of a table.
const (
	verdictEqual     = "equal"
	verdictDifferent = "different"
	verdictNone      = "not compared"
)

// Run compares each database that the log holds.
func (c *verifyCmd) Run(ctx context.Context, a *App) (err error) {
	began := time.Now()
	log, err := a.OpenLog(ctx)
	if err != nil {
		return err
	}
	defer closing(log, &err)
	specs, err := c.servers(a, c.DSN)
	if err != nil {
		return err
	}
	out, err := c.rowFlags.open(a)
	if err != nil {
		return err
	}
	v := &verifier{cmd: c, app: a, log: log, out: &out.Output, describer: describer{style: out.Style}}
	err = v.all(ctx, specs)
	if err := out.close(err); err != nil {
		return err
	}
	if v.different > 0 {
		return &exit.Error{
			Code: exit.Differs, What: fmt.Sprintf("%d of %s differ from the source", v.different, counted(v.compared, "table")),
			Remedy: "'cdc status' and 'cdc tables' say what is not captured any more; 'cdc resolve SOURCE --recopy TABLE' copies a table again",
		}
	}
	return out.Footer("%s equal, %s", counted(v.compared, "table"), elapsed(began))
}

// verifier compares tables and prints verdicts.
type verifier struct {
	describer
	cmd                 *verifyCmd
	app                 *App
	log                 *Log
	out                 *present.Output
	record              *present.Record // nil for people
	compared, different int
	place               string   // the position of the snapshot at hand
	rows                []string // differing ones of the table at hand
}

func (v *verifier) all(ctx context.Context, specs []config.Source) error {
	if !v.out.Human() {
		record, err := v.out.Record(verdictShape)
		if err != nil {
			return err
		}
		v.record = record
	}
	for i := range specs {
		if err := v.source(ctx, specs[i]); err != nil {
			return err
		}
	}
	if v.compared == 0 {
		return &exit.Error{Code: exit.Usage, What: "no table was compared", Remedy: "'cdc tables' lists what the log holds; --tables takes patterns such as public.*"}
	}
	if v.record != nil {
		return v.record.Close()
	}
	return nil
}

// source compares the tables of one source at one snapshot of it.
func (v *verifier) source(ctx context.Context, spec config.Source) error {
	info, ok := v.log.Catalog().Source(spec.Name)
	if !ok {
		return &exit.Error{
			Code: exit.Usage, What: fmt.Sprintf("the log holds no source %q", spec.Name),
			Remedy: "name the one that the database is captured as with --name; 'cdc status' lists them",
		}
	}
	source, err := openDatabase(spec, &info, v.log.ID(), v.app.Logger)
	if err != nil {
		return err
	}
	snapshot, err := source.Verification(ctx)
	if err != nil {
		return reached(ctx, &spec, err)
	}
	defer snapshot.Close()
	v.place = positionText(info.Kind, snapshot.Position())
	at, err := v.await(ctx, info, snapshot)
	if err != nil {
		return err
	}
	if v.record == nil {
		if _, err := fmt.Fprintf(v.out.Out, "%s at %s = offset %d, %s\n", v.style.Bold(present.Clean(info.Name)), v.place, at,
			timeText(snapshot.Time())); err != nil {
			return err
		}
	}
	tables, err := v.tables(info.Name, at)
	if err != nil {
		return err
	}
	for i := range tables {
		if err := v.table(ctx, snapshot, &tables[i], at); err != nil {
			return err
		}
	}
	return nil
}

// await waits until the log has passed the snapshot and returns the offset that stands for it.
func (v *verifier) await(ctx context.Context, info changelog.SourceInfo, snapshot sources.Verification) (changelog.Offset, error) {
	k, _ := kindOf(info.Kind) // its source has been opened
	moment := materialize.Moment{Kind: k.moment, Source: info.Name, Text: v.place, Position: snapshot.Position()}
	o := materialize.ResolveOptions{Wait: -1, Positions: sourcePositions{}}
	r, err := materialize.Resolve(ctx, v.log, moment, o)
	var early *materialize.UnanswerableError
	if errors.As(err, &early) && v.cmd.Wait > 0 && v.log.Live != nil {
		if at := v.log.Catalog().Progress(info.ID).Position; !k.reached(snapshot.Position(), at) && !v.cmd.Quiet {
			if _, err := fmt.Fprintf(v.app.Stderr, "waiting for the log to pass %s; it has come to %s\n", v.place, orNone(positionText(info.Kind, at))); err != nil {
				return 0, err
			}
		}
		o.Wait = v.cmd.Wait
		r, err = materialize.Resolve(ctx, v.log, moment, o)
	}
	if errors.As(err, &early) {
		remedy := "raise --wait; 'cdc status' shows how far behind the log is"
		if v.log.Live == nil {
			remedy = "nobody captures into this log: start 'cdc run', or verify while it runs"
		}
		return 0, &exit.Error{Code: exit.Moment, What: early.Error(), Where: "source " + info.Name, Remedy: remedy, Err: err}
	}
	if err != nil {
		return 0, err
	}
	return r.Cut.At(info.ID), nil
}

// tables are the source's tables that match, at the offset.
func (v *verifier) tables(source string, at changelog.Offset) ([]changelog.TableAt, error) {
	patterns, err := sources.ParsePatterns(source, v.cmd.Tables)
	if err != nil {
		return nil, &exit.Error{Code: exit.Usage, What: err.Error(), Err: err}
	}
	return slices.DeleteFunc(v.log.Catalog().TablesAt(at), func(t changelog.TableAt) bool {
		return t.Table.Source != source || t.State.State == changelog.TableDropped || !patterns.Wants(t.Table.Schema, t.Table.Name)
	}), nil
}

// table compares one table and prints its verdict.
func (v *verifier) table(ctx context.Context, snapshot sources.Verification, t *changelog.TableAt, at changelog.Offset) error {
	if !t.Answerable() {
		return v.verdict(t.Table, verdictNone, materialize.Comparison{}, snapshot, at, stateText(t.State.State)+": "+t.State.Detail)
	}
	v.rows = nil
	result, err := v.compare(ctx, snapshot, t.Table, at)
	if err != nil {
		return fmt.Errorf("compare %s: %w", t.Table.FullName(), err)
	}
	v.compared++
	text := verdictEqual
	if !result.Same() {
		v.different++
		text = verdictDifferent
	}
	note := ""
	if t.Table.AppendOnly {
		note = "inserts and truncates only"
	}
	return v.verdict(t.Table, text, result, snapshot, at, note)
}

// compare merges the log's rows with the source's, both in the order of their keys and in bounded memory.
func (v *verifier) compare(ctx context.Context, snapshot sources.Verification, t *schema.Table, at changelog.Offset) (result materialize.Comparison, err error) {
	part, done := v.app.progress("compare " + t.FullName())
	defer done()
	o := v.app.spillOptions()
	sorter := materialize.NewSorter(t, o)
	defer closing(sorter, &err)
	layout := t.Layout()
	err = snapshot.Read(ctx, t, func(packed []byte) error {
		row, err := layout.Row(packed)
		if err != nil {
			return err
		}
		return sorter.Add(row)
	})
	if err != nil {
		return result, err
	}
	source, err := sorter.Rows()
	if err != nil {
		return result, err
	}
	defer closing(source, &err)
	o.Progress = part
	log := materialize.OrderedRows(ctx, v.log, materialize.Request{Table: t.ID, At: at}, o)
	defer closing(log, &err)
	return materialize.CompareRows(t, log, source, v.cmd.Rows, func(r *materialize.DiffRow) error {
		done()
		return v.row(r)
	})
}

// row keeps, as text, a row that differs: what the log holds, and what the source does.
func (v *verifier) row(r *materialize.DiffRow) error {
	var text string
	switch r.Kind {
	case materialize.Added:
		text = v.style.Red("only at the source") + "  " + v.key(r.Table, r.After) + "  " + v.values(r.Table, r.After)
	case materialize.Removed:
		text = v.style.Red("only in the log") + "  " + v.key(r.Table, r.Before) + "  " + v.values(r.Table, r.Before)
	case materialize.Modified:
		text = v.style.Red("log → source") + "  " + v.key(r.Table, r.After) + "  " + v.difference(r.Table, r.Before, r.After, r.Columns)
	}
	v.rows = append(v.rows, text)
	return nil
}

func (v *verifier) verdict(t *schema.Table, verdict string, c materialize.Comparison, snapshot sources.Verification, at changelog.Offset, note string) error {
	if v.record == nil {
		return v.forPeople(t, verdict, c, note)
	}
	b := v.record.Begin()
	b.String(0, t.FullName())
	b.String(1, verdict)
	if verdict == verdictNone {
		for i := 2; i <= 8; i++ {
			b.Null(i)
		}
	} else {
		for i, n := range []uint64{c.Left.Count, c.Right.Count, c.OnlyLeft, c.OnlyRight, c.Different} {
			b.Uint64(2+i, n)
		}
		b.String(7, sumText(c.Left))
		b.String(8, sumText(c.Right))
	}
	b.String(9, v.place)
	b.Uint64(10, uint64(at))
	b.String(11, note)
	return v.record.End()
}

// maxNoteColumns is how much of a note a line shows; the formats for programs have all of it.
const maxNoteColumns = 90

func (v *verifier) forPeople(t *schema.Table, verdict string, c materialize.Comparison, note string) error {
	if note != "" {
		note = "  (" + present.Shorten(note, maxNoteColumns) + ")"
	}
	name := padded(shortName(t), tailTableColumns)
	var line string
	switch verdict {
	case verdictEqual:
		line = fmt.Sprintf(" %s %s equal: %s, checksum %s%s", v.style.Green("✓"), name, counted(int(c.Left.Count), "row"), sumText(c.Left), note)
	case verdictDifferent:
		line = fmt.Sprintf(" %s %s DIFFERENT: %d rows in the log, %d at the source; %d only in the log, %d only at the source, %d with other values\n"+
			"     checksum %s in the log, %s at the source%s",
			v.style.Red("✗"), name, c.Left.Count, c.Right.Count, c.OnlyLeft, c.OnlyRight, c.Different, sumText(c.Left), sumText(c.Right), note)
	default:
		line = fmt.Sprintf(" %s %s %s%s", v.style.Yellow("⚠"), name, verdict, note)
	}
	for _, text := range v.rows {
		line += "\n     " + text
	}
	_, err := fmt.Fprintln(v.out.Out, line)
	return err
}

// sumText is a checksum without the number of rows, which stands beside it.
func sumText(c materialize.Checksum) string { return fmt.Sprintf("%016x%016x", c.Hi, c.Lo) }
