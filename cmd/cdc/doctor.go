package main

import (
	"context"
	"errors"
	"fmt"

	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
	"cdc/schema"
	"cdc/sources"
)

// doctorCmd checks whether databases can be captured, and published to sinks.
type doctorCmd struct {
	rowFlags
	serverFlags
	Tables      []string `sep:"none" placeholder:"PATTERN" help:"Tables to be captured; may be repeated. By default all that the role may read."`
	Publication string   `placeholder:"NAME" help:"Publication to use as it is."`
	Sink        []string `sep:"none" placeholder:"URL" help:"Sink to look at besides those of the file; may be repeated."`
	DSN         string   `arg:"" optional:"" help:"The database; the folder's own when it is left out."`
}

// Help describes the verb with examples.
func (doctorCmd) Help() string {
	return `Checks settings, privileges, identities and what capture holds at the server, and changes nothing. Of the sinks of the file and of --sink it checks whether they can be reached and logged in to, what the login may do there, topics and their settings, the schema registry, and folders with their space. It makes no topic and no folder. Each finding that needs something comes with the statement or command that mends it. The exit code is 5 when something stands in the way.

Examples:

	cdc doctor postgres://cdc@db.example/shop
	cdc doctor postgres://cdc@db.example/shop --tables 'public.*'
	cdc doctor -c cdc.yaml
	cdc doctor --sink 'kafka://cdc@k1.example:9093?replication_factor=3'`
}

var findingShape = present.Shape(
	present.Field{Name: "source", Kind: schema.Text}, present.Field{Name: "check", Kind: schema.Text},
	present.Field{Name: "severity", Kind: schema.Text}, present.Field{Name: "detail", Kind: schema.Text},
	present.Field{Name: "remedy", Kind: schema.Text}, present.Field{Name: "sink", Kind: schema.Text},
)

// Run checks each database, and then each sink. A database that cannot be asked keeps no sink from being looked at.
func (c *doctorCmd) Run(ctx context.Context, a *App) error {
	cfg, err := c.read(a, c.DSN, c.Sink)
	if err != nil {
		return err
	}
	if len(cfg.Sources)+len(cfg.Sinks) == 0 {
		return nothingToAsk(a)
	}
	out, err := c.rowFlags.open(a)
	if err != nil {
		return err
	}
	d := &diagnosis{out: &out.Output, sinks: len(cfg.Sinks) > 0}
	err = c.examine(ctx, a, d, cfg.Sources)
	if ctx.Err() == nil {
		err = errors.Join(err, d.examineSinks(ctx, a, cfg.Sinks))
	}
	if err := out.close(errors.Join(err, d.close())); err != nil {
		return err
	}
	return d.verdict()
}

// examine checks the databases as the flags would have them captured.
func (c *doctorCmd) examine(ctx context.Context, a *App, d *diagnosis, specs []config.Source) error {
	for _, spec := range specs {
		if len(c.Tables) > 0 {
			spec.Tables = c.Tables
		}
		if c.Publication != "" {
			if err := publicationFor(&spec, c.Publication); err != nil {
				return err
			}
		}
		if err := d.examine(ctx, a, spec); err != nil {
			return err
		}
	}
	return nil
}

// diagnosis prints findings and counts them.
type diagnosis struct {
	out                *present.Output
	record             *present.Record // nil for people
	problems, warnings int
	sinks              bool            // they are looked at, too
	captured           []*schema.Table // what a first run would capture, for the sinks
}

func (d *diagnosis) examine(ctx context.Context, a *App, spec config.Source) error {
	source, err := openDatabase(spec, nil, a.logID(), a.Logger)
	if err != nil {
		return err
	}
	findings, err := source.Doctor(ctx)
	for i := range findings {
		if err := d.print(finding{source: spec.Name, Finding: findings[i]}); err != nil {
			return err
		}
	}
	if err == nil && d.sinks {
		err = d.learnTables(ctx, spec.Name, source)
	}
	return reached(ctx, &spec, err)
}

// finding is one of a source or of a sink.
type finding struct {
	source, sink string
	sources.Finding
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

func (d *diagnosis) print(f finding) error {
	d.count(&f.Finding)
	if d.out.Human() {
		return d.forPeople(&f)
	}
	if d.record == nil {
		record, err := d.out.Record(findingShape)
		if err != nil {
			return err
		}
		d.record = record
	}
	b := d.record.Begin()
	for i, text := range []string{f.source, f.Check, string(f.Severity), f.Detail, f.Remedy, f.sink} {
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

func (d *diagnosis) forPeople(f *finding) error {
	s := d.out.Style
	sign := s.Green("✓")
	switch f.Severity {
	case sources.SeverityProblem:
		sign = s.Red("✗")
	case sources.SeverityWarning:
		sign = s.Yellow("⚠")
	case sources.SeverityOK:
	}
	check := f.Check
	if f.sink != "" {
		check = "sink " + f.sink + ", " + check
	}
	text := fmt.Sprintf(" %s %s: %s\n", sign, s.Bold(present.Clean(check)), present.Clean(f.Detail))
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

// verdict is an error when capture or a sink cannot work.
func (d *diagnosis) verdict() error {
	of := "capture"
	if d.sinks {
		of = "capture or of the sinks"
	}
	if d.problems == 0 {
		return d.out.Footer("nothing stands in the way of %s, %s", of, counted(d.warnings, "warning"))
	}
	return &exit.Error{
		Code: exit.Unfit, What: fmt.Sprintf("%s in the way of %s, %s", counted(d.problems, "problem"), of, counted(d.warnings, "warning")),
		Remedy: "do what stands beside them and run 'cdc doctor' again",
	}
}
