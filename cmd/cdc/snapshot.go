package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
	"cdc/schema"
	"cdc/sources"
)

// snapshotCmd has a table, or some of its rows, copied while its source streams on.
type snapshotCmd struct {
	Source string  `placeholder:"NAME" complete:"sources" help:"Name of the source, where several have a table of that name."`
	Where  *string `placeholder:"PREDICATE" help:"Read only the rows again that match, as the source's own SQL has it; what the log holds of the others stays."`
	Wait   bool    `help:"Return when the log holds the whole table, or the rows."`
	Table  string  `arg:"" complete:"tables" help:"The table: name, schema.name or source.schema.name."`
}

// Help describes the verb with examples.
func (snapshotCmd) Help() string {
	return `Has a table copied for the first time, or again, while its changes are streamed on. The request is recorded in the log: a running cdc begins at once, else the next 'cdc run' does. A copy in chunks that is interrupted goes on where it was. 'cdc tables' lists the tables that can be named, UNTRACKED ones too.

With --where, the rows that match are read again, once each, and take the place of what the log holds under their keys. The table can be asked for meanwhile. Rows that are gone at the source are not looked for. The predicate is one condition in the SQL of the source, without comments; it is run in a read-only transaction with the rights of the capture's account, so other tables and functions of your own need their schema before their names. When the server refuses it, 'cdc status' and --wait say why, and the capture goes on.

Examples:

	cdc snapshot public.orders
	cdc snapshot orders --source shop --wait
	cdc snapshot orders --where "region = 'eu' AND placed >= '2026-01-01'" --wait`
}

// Run records the request, through the running cdc when there is one.
func (c *snapshotCmd) Run(ctx context.Context, a *App) (err error) {
	log, err := a.OpenLog(ctx)
	if err != nil {
		return err
	}
	defer closing(log, &err)
	table, err := c.find(log)
	if err != nil {
		return err
	}
	if c.Wait && log.Live == nil {
		return &exit.Error{
			Code: exit.Usage, What: "nobody captures into this log, so there is nothing to wait for", Where: a.Data,
			Remedy: "start 'cdc run' first, or leave --wait out: the request is recorded then for the next run",
		}
	}
	request := c.request(table)
	before := log.Bounds().Next
	if log.Live != nil {
		err = log.Live.Resolve(ctx, request)
	} else {
		err = a.withLog(func(log *disklog.Log) error { return appendDecision(ctx, log, request) })
	}
	if err != nil {
		return err
	}
	if c.Wait {
		w := &snapshotWait{app: a, log: log, table: table, action: request.Action, before: before}
		if err := w.run(ctx); err != nil {
			return err
		}
	}
	return c.say(a, table, request, log.Live != nil)
}

// request is what is to be recorded.
func (c *snapshotCmd) request(t *schema.Table) client.ResolveRequest {
	r := client.ResolveRequest{Source: t.Source, Action: actionRecopy, Table: t.FullName()}
	if c.Where != nil {
		r.Action, r.Where = changelog.ActionReread, *c.Where
	}
	return r
}

// find is the table that is meant.
func (c *snapshotCmd) find(log *Log) (*schema.Table, error) {
	if c.Source != "" {
		if _, err := sourceNamed(log.Catalog(), c.Source); err != nil {
			return nil, err
		}
	}
	return tableNamed(log, c.Source, c.Table)
}

// say says what was recorded, or done.
func (c *snapshotCmd) say(a *App, t *schema.Table, r client.ResolveRequest, running bool) error {
	if a.JSON {
		return json.NewEncoder(a.Stdout).Encode(struct {
			Source   string `json:"source"`
			Table    string `json:"table"`
			Action   string `json:"action"`
			Running  bool   `json:"running"`
			Complete bool   `json:"complete"`
		}{t.Source, tableName(t), r.Action, running, c.Wait})
	}
	text := "is recorded and takes effect with the next 'cdc run'"
	switch {
	case c.Wait:
		text = "is complete"
	case running:
		text = "is recorded and takes effect now; 'cdc status' shows how far it is"
	}
	what := "copy of " + tableName(t)
	if r.Action == changelog.ActionReread {
		what = "reread of " + tableName(t) + " WHERE " + r.Where
	}
	_, err := fmt.Fprintf(a.Stdout, "%s: %s %s\n", present.Clean(t.Source), present.Clean(what), text)
	return err
}

// snapshotWait waits until a copy that was asked for is complete.
type snapshotWait struct {
	app    *App
	log    *Log
	table  *schema.Table
	action string
	before changelog.Offset // the request is recorded here or after it
}

const (
	// snapshotPause is the pause between two looks at a copy.
	snapshotPause = 250 * time.Millisecond
	// snapshotLook bounds one look at whether the log has grown.
	snapshotLook = 50 * time.Millisecond
)

func (w *snapshotWait) run(ctx context.Context) error {
	progress := present.NewProgress(present.ProgressOptions{Out: w.app.Stderr, Terminal: w.app.ErrTerminal, Logger: w.app.Logger})
	defer progress.Close()
	work := progress.Start("copying "+tableName(w.table), "rows")
	for {
		if err := w.refresh(ctx); err != nil {
			return err
		}
		if done, err := w.outcome(); done || err != nil {
			work.Done()
			return err
		}
		status, err := w.log.Live.Status(ctx)
		if err != nil {
			return &exit.Error{Code: exit.Usage, What: "the capture has ended before the copy was complete", Remedy: "start 'cdc run' again: the request is in the log", Err: err}
		}
		source := sourceStatusOf(status, w.table.Source)
		if source != nil && source.Phase == string(sources.PhaseStopped) && len(source.Stops) > 0 {
			return &exit.Error{Code: exit.Stopped, What: source.Stops[0].Kind + ": " + source.Stops[0].Detail, Where: "source " + w.table.Source, Remedy: source.Stops[0].Remedy}
		}
		if source != nil && source.Copy != nil {
			work.Set(source.Copy.Rows, source.Copy.RowsEstimated)
		}
		if err := sources.Pause(ctx, snapshotPause); err != nil {
			return err
		}
	}
}

// refresh has the log seen as it is now.
func (w *snapshotWait) refresh(ctx context.Context) error {
	look, cancel := context.WithTimeout(ctx, snapshotLook)
	defer cancel()
	if err := w.log.WaitDurable(look, w.log.Bounds().Next); err != nil && look.Err() == nil {
		return err
	}
	return ctx.Err()
}

// outcome reports whether what was asked for is done, or cannot be.
func (w *snapshotWait) outcome() (done bool, err error) {
	if w.action == changelog.ActionReread {
		return w.reread()
	}
	return w.copied()
}

// reread reports whether the rows have been read again since the request.
func (w *snapshotWait) reread() (done bool, err error) {
	for _, r := range w.log.Catalog().Rereads() {
		if r.Asked.Table != w.table.ID || r.Asked.Offset < w.before {
			continue
		}
		if r.Last.Stage == changelog.RereadEnded {
			err = &exit.Error{Code: exit.Usage, What: "the rows were not read again: " + r.Last.Detail, Where: w.table.FullName()}
		}
		return r.Last.Stage == changelog.RereadComplete, err
	}
	return false, nil
}

// copied reports whether the table is complete since the request, or cannot become so.
func (w *snapshotWait) copied() (done bool, err error) {
	asked := changelog.Offset(0)
	for _, d := range w.log.Catalog().Decisions() {
		if d.Table == w.table.ID && d.Action == actionRecopy && d.Offset >= w.before && asked == 0 {
			asked = d.Offset
		}
	}
	at, ok := w.log.Catalog().TableAt(w.table.ID, w.log.Bounds().Next-1)
	if asked == 0 || !ok || at.StateSince <= asked {
		return false, nil
	}
	switch at.State.State {
	case changelog.TableUntracked, changelog.TableDropped:
		return false, &exit.Error{Code: exit.Unfit, What: "the table cannot be copied: " + at.State.Detail, Where: w.table.FullName()}
	default:
		return at.Answerable(), nil
	}
}

func sourceStatusOf(status *client.Status, name string) *client.Source {
	i := slices.IndexFunc(status.Sources, func(s client.Source) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &status.Sources[i]
}
