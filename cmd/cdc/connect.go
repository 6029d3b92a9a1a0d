package main

import (
	"context"
	"errors"
	"slices"

	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/sources"
)

// serverFlags say which databases a verb asks besides the log.
type serverFlags struct {
	File string `name:"config" short:"c" env:"CDC_CONFIG" placeholder:"FILE" help:"Configuration file with the sources."`
	Name string `placeholder:"NAME" help:"The source's name in the log, when the DSN's database has another name."`
}

// servers are the databases: the one of the DSN, or those that the configuration and the folder name.
func (f *serverFlags) servers(a *App, dsn string) ([]config.Source, error) {
	known, err := config.ReadKnown(a.Data)
	if err != nil {
		return nil, err
	}
	request := config.Request{File: f.File, Known: known, LookupEnv: a.LookupEnv, Environ: a.Environ()}
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
	found := cfg.Sources
	if dsn != "" || f.Name != "" {
		found = slices.DeleteFunc(slices.Clone(found), func(s config.Source) bool {
			return dsn != "" && s.DSN != config.DSN(dsn) || f.Name != "" && s.Name != f.Name
		})
	}
	if err := supported(found); err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, &exit.Error{Code: exit.Usage, What: "there is no database to ask", Where: a.Data, Remedy: "give a DSN: " + dsnForms}
	}
	return found, nil
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

// reached gives an error of asking a server its code: what has no better one means that the server cannot be reached.
func reached(ctx context.Context, err error) error {
	var refused *sources.Refused
	var unfit *sources.Unfit
	var stop *sources.Stop
	if err == nil || ctx.Err() != nil || errors.As(err, &refused) || errors.As(err, &unfit) || errors.As(err, &stop) {
		return err
	}
	return &exit.Error{Code: exit.Unreachable, What: err.Error(), Remedy: "check that the server is up and that the DSN names it", Err: err}
}
