package main

import (
	"context"
	"errors"
	"fmt"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/exit"
)

type tagCmd struct {
	Name   string `arg:"" help:"Name of the tag."`
	Moment string `arg:"" optional:"" default:"now" help:"Moment that it names (${default})."`
	waitFlags
}

// Help describes the verb with examples.
func (tagCmd) Help() string {
	return `Gives a moment a name, which every verb that takes a moment understands as 'TAG name'. A tag is one offset of the log; a later tag of the same name replaces it.

Examples:

	cdc tag before-migration
	cdc tag year-end '2026-01-01 00:00:00Z'
	cdc at 'TAG before-migration' orders`
}

// Run records the tag, through the running cdc when there is one.
func (t *tagCmd) Run(ctx context.Context, app *App) error {
	if err := checkTag(t.Name); err != nil {
		return err
	}
	n, err := t.tag(ctx, app)
	if err != nil {
		return err
	}
	if app.JSON {
		_, err = fmt.Fprintf(app.Stdout, "{\"tag\":%q,\"offset\":%d}\n", t.Name, n)
		return err
	}
	_, err = fmt.Fprintf(app.Stdout, "%s = offset %d\n", t.Name, n)
	return err
}

func (t *tagCmd) tag(ctx context.Context, app *App) (n changelog.Offset, err error) {
	log, err := app.OpenLog(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	moment, err := t.resolve(ctx, log, t.Moment)
	if err != nil {
		return 0, err
	}
	// One offset must do for all sources: the smallest holds nothing that is later than the moment for any of them.
	n = moment.Cut.Min()
	if n == 0 {
		return 0, &exit.Error{Code: exit.Moment, What: "the log holds nothing at " + moment.Moment.String(), Remedy: "'cdc status' shows what it holds"}
	}
	request := client.TagRequest{Name: t.Name, Offset: n}
	if log.Live != nil {
		return n, log.Live.Tag(ctx, request)
	}
	return n, app.withLog(func(locked *disklog.Log) error { return appendTag(ctx, locked, request) })
}

// withLog gives f the log for writing.
func (a *App) withLog(f func(*disklog.Log) error) error {
	log, err := a.LockLog(disklog.Options{KeepOpenForm: true})
	if err != nil {
		return err
	}
	return errors.Join(f(log), log.Close())
}
