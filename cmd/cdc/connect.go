package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/sources"
)

// serverFlags say which databases a verb asks besides the log.
type serverFlags struct {
	File string `name:"config" short:"c" env:"CDC_CONFIG" placeholder:"FILE" help:"Configuration file with the sources."`
	Name string `placeholder:"NAME" complete:"sources" help:"The source's name in the log, when the DSN's database has another name."`
}

// servers are the databases: the one of the DSN, or those that the configuration and the folder name.
func (f *serverFlags) servers(a *App, dsn string) ([]config.Source, error) {
	cfg, err := f.read(a, dsn, nil)
	if err != nil {
		return nil, err
	}
	if len(cfg.Sources) == 0 {
		return nil, nothingToAsk(a)
	}
	return cfg.Sources, nil
}

func nothingToAsk(a *App) error {
	return &exit.Error{Code: exit.Usage, What: "there is no database to ask", Where: a.Data, Remedy: "give a DSN: " + dsnForms}
}

// read reads the configuration with the sinks besides its own. Of its sources it has those that are meant: that of the DSN, or all.
func (f *serverFlags) read(a *App, dsn string, sinks []string) (*config.Config, error) {
	known, err := config.ReadKnown(a.Data)
	if err != nil {
		return nil, err
	}
	request := config.Request{File: f.File, Known: known, Sinks: sinks, LookupEnv: a.LookupEnv, Environ: a.Environ()}
	if dsn != "" {
		request.DSNs = []string{dsn}
		if f.Name != "" {
			request.Names = []string{f.Name}
		}
	}
	cfg, err := config.Load(request)
	if err != nil {
		return nil, err
	}
	for _, warning := range cfg.Warnings {
		a.Logger.Warn(warning)
	}
	if dsn != "" || f.Name != "" {
		cfg.Sources = slices.DeleteFunc(slices.Clone(cfg.Sources), func(s config.Source) bool {
			return dsn != "" && s.DSN != config.DSN(dsn) || f.Name != "" && s.Name != f.Name
		})
	}
	return cfg, supported(cfg.Sources)
}

// publicationFor sets the publication that a flag names, which is empty for none of the user's.
func publicationFor(spec *config.Source, name string) error {
	if name != "" {
		if err := config.Fits("publication", spec); err != nil {
			return err
		}
	}
	spec.Publication = name
	return nil
}

// reached gives an error of asking a source's server its code, and names the source: what has no better code means that the server
// cannot be reached.
func reached(ctx context.Context, spec *config.Source, err error) error {
	var known *exit.Error
	switch {
	case err == nil || ctx.Err() != nil || errors.As(err, &known):
		return err
	case ofSource(err):
		return nameSource(spec.Name, withOrigin(spec, err))
	}
	return &exit.Error{
		Code: exit.Unreachable, What: err.Error(), Where: sourceText(spec.Name), Remedy: "check that the server is up and that the DSN names it; " + spec.Origin(false), Err: err,
	}
}

// withOrigin adds to a refusal where the source's DSN and its password come from, which its server cannot say.
func withOrigin(spec *config.Source, err error) error {
	var refused *sources.Refused
	if !errors.As(err, &refused) || spec.DSNFrom == "" {
		return err
	}
	told := *refused
	told.Remedy = strings.TrimPrefix(told.Remedy+"; "+spec.Origin(told.Password), "; ")
	return &told
}

// nameSource says which source cannot be reached or captured. A named stop says so where it is told.
func nameSource(name string, err error) error {
	var stop *sources.Stop
	if errors.As(err, &stop) || !ofSource(err) {
		return err
	}
	e := exit.Of(err)
	if e.Where == "" {
		e.Where = sourceText(name)
	}
	return e
}

func sourceText(name string) string { return "source " + name }
