package main

import (
	"context"
	"fmt"

	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
	"cdc/schema"
	"cdc/sources"
)

// doctorCmd checks whether databases can be captured.
type doctorCmd struct {
	rowFlags
	serverFlags
	Tables      []string `sep:"none" placeholder:"PATTERN" help:"Tables to be captured; may be repeated. By default all that the role may read."`
	Publication string   `placeholder:"NAME" help:"Publication to use as it is."`
	DSN         string   `arg:"" optional:"" help:"The database; the folder's own when it is left out."`
}

// Help describes the verb with examples.
func (doctorCmd) Help() string {
	return `Checks settings, privileges, identities and what capture holds at the server, and changes nothing. Each finding that needs something comes with the statement that mends it. The exit code is 5 when something stands in the way.

Examples:

	cdc doctor postgres://cdc@db.example/shop
	cdc doctor postgres://cdc@db.example/shop --tables 'public.*'`
}

var findingShape = present.Shape(
	present.Field{Name: "source", Kind: schema.Text}, present.Field{Name: "check", Kind: schema.Text},
	present.Field{Name: "severity", Kind: schema.Text}, present.Field{Name: "detail", Kind: schema.Text},
	present.Field{Name: "remedy", Kind: schema.Text},
)

// Run checks each database.
func (c *doctorCmd) Run(ctx context.Context, a *App) error {
	specs, err := c.servers(a, c.DSN)
	if err != nil {
		return err
	}
	out, err := c.rowFlags.open(a)
	if err != nil {
		return err
	}
	d := &diagnosis{out: &out.Output}
	for _, spec := range specs {
		if len(c.Tables) > 0 {
			spec.Tables = c.Tables
		}
		if c.Publication != "" {
			if err := publicationFor(&spec, c.Publication); err != nil {
				return out.close(err)
			}
		}
		if err := d.examine(ctx, a, spec); err != nil {
			return out.close(err)
		}
	}
	if err := out.close(d.close()); err != nil {
		return err
	}
	return d.verdict()
}

// diagnosis prints findings and counts them.
type diagnosis struct {
	out                *present.Output
	record             *present.Record // nil for people
	problems, warnings int
}

func (d *diagnosis) examine(ctx context.Context, a *App, spec config.Source) error {
	source, err := openDatabase(spec, nil, a.logID(), a.Logger)
	if err != nil {
		return err
	}
	findings, err := source.Doctor(ctx)
	for i := range findings {
		if err := d.print(spec.Name, &findings[i]); err != nil {
			return err
		}
	}
	return reached(ctx, &spec, err)
}

// logID is that of the folder's log, which is part of the slot's name; zero when there is no log.
func (a *App) logID() [16]byte {
	log, err := a.OpenLog(context.Background())
	if err != nil {
		return [16]byte{} // before the first run there is none
	}
	defer func() { _ = log.Close() }() // it was only read
	return log.ID()
}

func (d *diagnosis) print(source string, f *sources.Finding) error {
	d.count(f)
	if d.out.Human() {
		return d.forPeople(f)
	}
	if d.record == nil {
		record, err := d.out.Record(findingShape)
		if err != nil {
			return err
		}
		d.record = record
	}
	b := d.record.Begin()
	for i, text := range []string{source, f.Check, string(f.Severity), f.Detail, f.Remedy} {
		b.String(i, text)
	}
	return d.record.End()
}

// count counts a finding.
func (d *diagnosis) count(f *sources.Finding) {
	switch f.Severity {
	case sources.SeverityProblem:
		d.problems++
	case sources.SeverityWarning:
		d.warnings++
	case sources.SeverityOK:
	}
}

func (d *diagnosis) forPeople(f *sources.Finding) error {
	s := d.out.Style
	sign := s.Green("✓")
	switch f.Severity {
	case sources.SeverityProblem:
		sign = s.Red("✗")
	case sources.SeverityWarning:
		sign = s.Yellow("⚠")
	case sources.SeverityOK:
	}
	text := fmt.Sprintf(" %s %s: %s\n", sign, s.Bold(present.Clean(f.Check)), present.Clean(f.Detail))
	if f.Remedy != "" {
		text += "     → " + present.Clean(f.Remedy) + "\n"
	}
	_, err := fmt.Fprint(d.out.Out, text)
	return err
}

func (d *diagnosis) close() error {
	if d.record == nil {
		return nil
	}
	return d.record.Close()
}

// verdict is an error when capture cannot work.
func (d *diagnosis) verdict() error {
	if d.problems == 0 {
		return d.out.Footer("nothing stands in the way of capture, %s", counted(d.warnings, "warning"))
	}
	return &exit.Error{
		Code: exit.Unfit, What: fmt.Sprintf("%s in the way of capture, %s", counted(d.problems, "problem"), counted(d.warnings, "warning")),
		Remedy: "do what stands beside them and run 'cdc doctor' again",
	}
}
