package main

import (
	"context"
	"fmt"
	"path/filepath"

	"cdc/changelog/disklog"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/config"
)

type dropCmd struct {
	Source string `arg:"" help:"Name of the source."`
	Force  bool   `help:"Forget the source even though its server cannot be reached; its slot stays there and holds WAL."`
}

// Help describes the verb with examples.
func (dropCmd) Help() string {
	return `Ends the capture of a source: its replication slot is removed at the server, its publication too when cdc made it, and the decision is recorded. What the log holds of it stays and can be asked for.

Examples:

	cdc drop shop
	CDC_SHOP_PASSWORD=… cdc drop shop
	cdc drop shop --force`
}

// Run drops the source, through the running cdc when there is one.
func (d *dropCmd) Run(ctx context.Context, app *App) error {
	if err := app.requireLog(); err != nil {
		return err
	}
	live, err := app.Live(ctx)
	if err != nil {
		return err
	}
	if live != nil {
		defer live.Close()
		err = live.Drop(ctx, client.DropRequest{Source: d.Source, Force: d.Force})
	} else {
		err = app.withLog(func(log *disklog.Log) error { return d.offline(ctx, app, log) })
	}
	if err != nil {
		return err
	}
	if app.JSON {
		_, err = fmt.Fprintf(app.Stdout, "{\"source\":%q,\"action\":\"drop\"}\n", d.Source)
		return err
	}
	_, err = fmt.Fprintf(app.Stdout, "%s is not captured any more; the log keeps what it holds of it\n", d.Source)
	return err
}

// offline drops the source where no cdc is running.
func (d *dropCmd) offline(ctx context.Context, app *App, log *disklog.Log) error {
	spec, err := app.knownSource(d.Source)
	if err != nil {
		return err
	}
	if err := tidyServer(ctx, app, spec, log, d.Force); err != nil {
		return err
	}
	if err := appendDrop(ctx, log, d.Source, filepath.Join(app.Data, "rowstate", d.Source)); err != nil {
		return err
	}
	known, err := config.ReadKnown(app.Data)
	if err != nil {
		return err
	}
	return config.WriteKnown(app.Data, config.Forget(known, d.Source))
}
