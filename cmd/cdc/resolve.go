package main

import (
	"context"
	"fmt"

	"cdc/changelog/disklog"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/exit"
)

type resolveCmd struct {
	Source    string `arg:"" complete:"targets" help:"Name of the source, or of the sink with --retry."`
	Table     string `arg:"" optional:"" complete:"tables" help:"With --recopy: copy this table only."`
	Recopy    bool   `xor:"action" help:"Copy the tables again; what happened in between stays unknown, and the log says so."`
	AcceptGap bool   `xor:"action" help:"Accept that what was lost stays lost, and begin anew from where the server is; the log says so."`
	Retry     bool   `xor:"action" help:"Try a sink again that has come to a named stop, after you have mended what it names."`
}

// Help describes the verb with examples.
func (resolveCmd) Help() string {
	return `A source that cannot prove that it saw everything stops with a name (GAP, DIVERGED, SCHEMA, CORRUPT, FENCED) and waits for this decision. The decision is recorded in the log, and for the whole source a new source epoch begins with it: at once when cdc is running, else when it is started next. A sink that stops waits for --retry, or for the next 'cdc run'; nothing is recorded of that.

Examples:

	cdc status
	cdc resolve shop --recopy
	cdc resolve shop --recopy public.orders
	cdc resolve shop --accept-gap
	cdc resolve kafka --retry`
}

// Run records the decision, through the running cdc when there is one.
func (r *resolveCmd) Run(ctx context.Context, app *App) error {
	request := client.ResolveRequest{Source: r.Source, Table: r.Table}
	switch {
	case r.Recopy:
		request.Action = actionRecopy
	case r.AcceptGap && r.Table != "":
		return &exit.Error{Code: exit.Usage, What: "--accept-gap is for a whole source", Remedy: "use --recopy for one table"}
	case r.AcceptGap:
		request.Action = actionAcceptGap
	case r.Retry:
		request.Action = actionRetry
	default:
		return &exit.Error{Code: exit.Usage, What: "there is nothing to decide", Remedy: "say --recopy, --accept-gap or --retry; 'cdc resolve --help' explains them"}
	}
	if err := app.requireLog(); err != nil {
		return err
	}
	live, err := app.Live(ctx)
	if err != nil {
		return err
	}
	when := "with the next 'cdc run'"
	switch {
	case live != nil:
		defer live.Close()
		when, err = "now", live.Resolve(ctx, request)
	case r.Retry:
		return &exit.Error{Code: exit.Usage, What: "cdc is not running", Remedy: "start 'cdc run': it tries every sink"}
	default:
		err = app.withLog(func(log *disklog.Log) error { return appendDecision(ctx, log, request) })
	}
	if err != nil {
		return err
	}
	if app.JSON {
		_, err = fmt.Fprintf(app.Stdout, "{\"source\":%q,\"action\":%q}\n", r.Source, request.Action)
		return err
	}
	text := "%s: %s is recorded and takes effect %s\n"
	if r.Retry {
		text = "%s: %s takes effect %s\n"
	}
	_, err = fmt.Fprintf(app.Stdout, text, r.Source, request.Action, when)
	return err
}
