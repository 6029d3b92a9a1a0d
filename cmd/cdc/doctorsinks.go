package main

import (
	"context"
	"errors"
	"path/filepath"

	"cdc/changelog"
	"cdc/changelog/vfs"
	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/schema"
	"cdc/schema/avro"
	"cdc/sinks"
	"cdc/sources"
)

// noLog stands for the log before there is one, for sinks that are only looked at.
type noLog struct {
	changelog.Log
	catalog *changelog.Catalog
}

func (noLog) ID() (id [16]byte)             { return id }
func (noLog) Bounds() changelog.Bounds      { return changelog.Bounds{First: 1, Next: 1} }
func (l noLog) Catalog() *changelog.Catalog { return l.catalog }

// learnTables notes the tables that a source's first run would capture: before it, they are what sinks will publish.
func (d *diagnosis) learnTables(ctx context.Context, name string, source sources.Database) error {
	candidates, err := source.Candidates(ctx)
	if err != nil {
		return err
	}
	for _, c := range candidates {
		t := &schema.Table{Source: name, Schema: c.Schema, Name: c.Name}
		if c.Keyed {
			t.Columns = []schema.Column{{ID: 1, Name: "key", Kind: schema.Int64, NotNull: true, Key: 1}}
		}
		if err := t.Prepare(); err != nil {
			return err
		}
		if c.Obstacle == "" {
			d.captured = append(d.captured, t)
		}
	}
	return nil
}

// examineSinks looks at the sinks as 'cdc run' would use them.
func (d *diagnosis) examineSinks(ctx context.Context, a *App, specs []config.Sink) error {
	var log changelog.Log = noLog{catalog: changelog.NewCatalog()}
	if len(specs) > 0 && a.requireLog() == nil {
		opened, err := a.OpenLog(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = opened.Close() }() // it was only read
		log = opened
	}
	for i := range specs {
		for _, f := range d.lookAtSink(ctx, a, &specs[i], log) {
			same := sources.Finding{Check: f.Check, Severity: sources.Severity(f.Severity), Detail: f.Detail, Remedy: f.Remedy}
			if err := d.print(finding{sink: specs[i].Name, Finding: same}); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookAtSink is what is found about a sink and its schema registry.
func (d *diagnosis) lookAtSink(ctx context.Context, a *App, spec *config.Sink, log changelog.Log) (findings []sinks.Finding) {
	problem := func(check string, err error) []sinks.Finding {
		e := exit.Of(err)
		return append(findings, sinks.Finding{Check: check, Severity: sinks.SeverityProblem, Detail: e.What, Remedy: e.Remedy})
	}
	store := sinks.NewStore(vfs.OS{}, filepath.Join(sinksDir(a.Data), spec.Name))
	sink, err := openSink(spec, log, store.Start, a.Logger)
	if err != nil {
		return problem("settings", err)
	}
	wanted, err := wantedTables(spec.Tables)
	if err != nil {
		return problem("settings", err)
	}
	saved, err := store.Load()
	if err != nil {
		findings = problem("checkpoint", err)
	}
	tables := publishedTables(log, wanted, store.Start())
	for _, t := range d.captured {
		if log.Bounds().Next == 1 && wanted(t) {
			tables = append(tables, t)
		}
	}
	if doctor, ok := sink.(sinks.Doctor); ok {
		findings = append(findings, doctor.Doctor(ctx, spec.Messages.Topics(tables), saved)...)
	}
	if spec.Registry.URL != "" && !spec.Parquet {
		findings = append(findings, lookAtRegistry(ctx, &spec.Registry))
	}
	return findings
}

// lookAtRegistry is what is found about a schema registry.
func lookAtRegistry(ctx context.Context, settings *config.RegistrySettings) sinks.Finding {
	f := sinks.Finding{Check: "schema registry", Severity: sinks.SeverityOK, Detail: "it answers"}
	registry, err := registryOf(settings)
	if err == nil {
		err = registry.Check(ctx)
	}
	if err == nil {
		return f
	}
	f.Severity, f.Detail, f.Remedy = sinks.SeverityProblem, err.Error(), "check that it runs, and that the setting registry names it"
	var e *avro.Error
	if errors.As(err, &e) && e.Class == avro.Refused {
		f.Remedy = "check the registry's URL, its user and password, and what that user may do there"
	}
	return f
}
