package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/config"
	"cdc/sources"
)

type dropCmd struct {
	Source string `arg:"" complete:"sources" help:"Name of the source."`
	Force  bool   `help:"Forget the source even though its server cannot be reached; a slot stays there and holds WAL."`
}

// Help describes the verb with examples.
func (dropCmd) Help() string {
	return `Ends the capture of a source: what it holds at its server is removed (in PostgreSQL its replication slot, and its publication when cdc made it), and the decision is recorded. What the log holds of it stays and can be asked for.

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

// dropSource removes what a source holds at its server.
func dropSource(ctx context.Context, spec config.Source, log changelog.Log, logger *slog.Logger) error {
	source, err := openDatabase(spec, nil, log.ID(), logger)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, dropTimeout)
	defer cancel()
	dropped, err := source.Drop(ctx)
	for tries := 0; inUseAtServer(err) && tries < dropTries; tries++ {
		// The session of the capture that has just been ended may live for a moment longer.
		if err = sources.Pause(ctx, dropPause); err == nil {
			dropped, err = source.Drop(ctx)
		}
	}
	if err != nil {
		return reached(ctx, &spec, err)
	}
	logger.Info("source is dropped", "source", spec.Name, "removed", dropped)
	return nil
}

const (
	// dropTimeout bounds how long a server that does not answer keeps a source from being dropped.
	dropTimeout = 30 * time.Second
	// dropTries is how often a slot in use is tried again, dropPause the time between.
	dropTries = 20
	dropPause = 250 * time.Millisecond
)

func inUseAtServer(err error) bool {
	var unfit *sources.Unfit
	return errors.As(err, &unfit)
}
