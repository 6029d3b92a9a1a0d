package main

import (
	"context"
	"fmt"
	"log/slog"

	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/present"
	"cdc/schema"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Read the configuration as 'cdc run' would, and print it."`
}

// configCheckCmd takes what run takes, so that the same words can be checked.
type configCheckCmd struct {
	runCmd
}

// Help describes the verb with examples.
func (configCheckCmd) Help() string {
	return `Prints every setting with its value and where that comes from: a flag, a variable, a line of the file, the folder, or the default. Secrets are not shown. Takes the DSNs and flags of 'cdc run', connects to nothing and changes nothing.

Examples:

	cdc config check -c cdc.yaml
	cdc config check -c cdc.yaml --json
	cdc config check postgres://cdc@db.example/shop --tables 'public.*'`
}

var configShape = present.Shape(
	present.Field{Name: "setting", Kind: schema.Text}, present.Field{Name: "value", Kind: schema.Text},
	present.Field{Name: "origin", Kind: schema.Text},
)

// Run prints the effective configuration.
func (c *configCheckCmd) Run(_ context.Context, app *App) error {
	cfg, err := c.load(app)
	if err != nil {
		return err
	}
	for _, s := range cfg.Sources {
		if _, err := openDatabase(s, nil, [16]byte{}, slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
	}
	if err := printConfig(app, cfg); err != nil {
		return err
	}
	for _, warning := range cfg.Warnings {
		if _, err := fmt.Fprintln(app.Stderr, "warning: "+warning); err != nil {
			return err
		}
	}
	return nil
}

func printConfig(app *App, cfg *config.Config) error {
	flags := rowFlags{}
	out, err := flags.open(app)
	if err != nil {
		return err
	}
	record, err := out.Record(configShape)
	if err != nil {
		return err
	}
	for _, e := range cfg.Entries {
		b := record.Begin()
		b.String(0, e.Key)
		b.String(1, e.Value)
		b.String(2, e.Origin)
		if err := record.End(); err != nil {
			return err
		}
	}
	return record.Close()
}
