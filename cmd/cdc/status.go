package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/present"
	"cdc/sinks"
	"cdc/sources"
)

type statusCmd struct {
	Watch bool `short:"w" help:"Print again every two seconds."`
}

// Help describes the verb with examples.
func (statusCmd) Help() string {
	return `Says for each source its phase, its position, how far the log is behind it, what its server holds back for it, and which stops nobody has decided about; and for each sink how far it has come. In rows, as of --format csv, a sink has its name in the column sink and none in the column source. Without a running cdc it says what the log knows, which is nothing about sinks.

Examples:

	cdc status
	cdc status --json
	cdc status --watch`
}

// statusEvery is the pause of --watch.
const statusEvery = 2 * time.Second

// Run prints the status.
func (s *statusCmd) Run(ctx context.Context, app *App) error {
	for {
		status, err := app.status(ctx)
		if err != nil {
			return err
		}
		if err := app.printStatus(status); err != nil {
			return err
		}
		if !s.Watch {
			return nil
		}
		if err := sources.Pause(ctx, statusEvery); err != nil {
			return err
		}
	}
}

// status asks the running cdc, or reads the folder when there is none.
func (a *App) status(ctx context.Context) (*client.Status, error) {
	if err := a.requireLog(); err != nil {
		return nil, err
	}
	live, err := a.Live(ctx)
	if err != nil {
		return nil, err
	}
	if live != nil {
		defer live.Close()
		return live.Status(ctx)
	}
	log, err := a.OpenLog(ctx)
	if err != nil {
		return nil, err
	}
	known, err := config.ReadKnown(a.Data)
	status := logStatus(a.Data, log.Log, known)
	return &status, errors.Join(err, log.Close())
}

func (a *App) printStatus(status *client.Status) error {
	if a.JSON {
		return json.NewEncoder(a.Stdout).Encode(status)
	}
	if a.Format == "table" {
		return a.printStatusText(status)
	}
	return a.printStatusRows(status)
}

func quantity(n int64) string {
	if n < 0 {
		return "not known"
	}
	return sizeText(n)
}

func secondsText(s float64) string {
	if s < 0 {
		return "not known"
	}
	return durationText(time.Duration(s * float64(time.Second)))
}

// ago is a moment for people who want to know how long ago it was.
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s ago", durationText(time.Since(t)))
}

// printStatusText is the status for people: a line for the folder, a block for each source.
func (a *App) printStatusText(status *client.Status) error {
	style := present.Style{Color: a.Color}
	var b strings.Builder
	if status.Running {
		fmt.Fprintf(&b, "%s %s, process %d, since %s", style.Bold("running"), status.Version, status.PID, ago(status.Started))
		if status.HTTP != "" {
			fmt.Fprintf(&b, ", http://%s", status.HTTP)
		}
		b.WriteByte('\n')
	} else {
		fmt.Fprintln(&b, style.Bold("not running"))
	}
	fmt.Fprintf(&b, "%-10s %s: offsets %d to %d durable, %s on disk, %s free, %d tags\n", "log", status.Data, status.First, status.Durable,
		quantity(status.LogBytes), quantity(status.FreeBytes), status.Tags)
	if status.Full {
		fmt.Fprintln(&b, style.Red("the disk is full: nothing is captured until there is space; it goes on by itself then"))
	}
	for i := range status.Sources {
		writeSource(&b, style, &status.Sources[i])
	}
	if len(status.Sources) == 0 {
		fmt.Fprintln(&b, "no sources: 'cdc run DSN' adds one")
	}
	for i := range status.Sinks {
		writeSink(&b, style, &status.Sinks[i])
	}
	_, err := fmt.Fprint(a.Stdout, b.String())
	return err
}

// writeSink writes the block of a sink.
func writeSink(b *strings.Builder, style present.Style, s *client.Sink) {
	phase := style.Green(s.Phase)
	if s.Phase != string(sinks.PhasePublishing) {
		phase = style.Yellow(s.Phase)
	}
	fmt.Fprintf(b, "\nsink %s %s since %s  %s\n", style.Bold(present.Clean(s.Name)), phase, ago(s.Since), present.Clean(s.URL))
	fmt.Fprintf(b, "  %-9s offset %d, %d behind the log\n", "arrived", s.Offset, s.LagOffsets)
	fmt.Fprintf(b, "  %-9s %d messages, %s in this run, %s on their way, %d sent again\n", "sent", s.Messages, quantity(int64(s.Bytes)), quantity(s.Waiting), s.Retries)
	if s.Error != "" {
		fmt.Fprintf(b, "  %-9s %s\n", style.Red("error"), present.Clean(s.Error))
	}
}

func writeSource(b *strings.Builder, style present.Style, s *client.Source) {
	phase := style.Green(s.Phase)
	if s.Phase != "streaming" && s.Phase != "copying" {
		phase = style.Yellow(s.Phase)
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(b, "  %-9s %s\n", name, present.Clean(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(b, "\n%s %s", style.Bold(present.Clean(s.Name)), phase)
	if !s.Since.IsZero() {
		fmt.Fprintf(b, " since %s", ago(s.Since))
	}
	fmt.Fprintf(b, "  %s\n", present.Clean(s.DSN))
	if s.Epoch > 0 {
		line("log", "epoch %d, offset %d, position %s, clock %s", s.Epoch, s.Offset, orNone(s.Position), clockText(s.Clock))
		line("tables", "%d captured, %d untracked", s.Tables, len(s.Untracked))
	}
	if s.Received != "" {
		held := ""
		if s.HeldBytes >= 0 || s.Kind == config.KindPostgres {
			held = ", WAL held for us " + quantity(s.HeldBytes)
		}
		line("source", "at %s, log behind by %s and %s%s", s.Received, secondsText(s.LagSeconds), quantity(s.LagBytes), held)
	}
	if c := s.Copy; c != nil {
		line("copy", "%d of %d tables, %s, %s: %s", c.TablesDone, c.Tables, copyText(c), quantity(c.Bytes), c.Table)
	}
	for _, table := range s.Copying {
		line("copying", "%s", table)
	}
	for _, r := range s.Rereads {
		line("reread", "%s WHERE %s: %s", r.Table, r.Where, strings.TrimSuffix(r.State+": "+r.Detail, ": "))
	}
	for _, table := range s.Untracked {
		line("untracked", "%s", table)
	}
	for _, stop := range s.Stops {
		where := ""
		if stop.Table != "" {
			where = stop.Table + ": "
		}
		fmt.Fprintf(b, "  %-9s %s\n", style.Red(stop.Kind), present.Clean(where+stop.Detail))
		if stop.Remedy != "" {
			line("", "%s", stop.Remedy)
		}
	}
	if s.Error != "" && len(s.Stops) == 0 {
		line("error", "%s", s.Error)
	}
}

// copyText is how many rows have been copied, how fast, and how long the rest takes.
func copyText(c *client.Copy) string {
	text := fmt.Sprintf("%d of about %d rows", c.Rows, c.RowsEstimated)
	if c.RowsPerSecond > 0 {
		text += fmt.Sprintf(", %.0f rows/s", c.RowsPerSecond)
	}
	if c.SecondsLeft >= 0 {
		text += ", about " + secondsText(c.SecondsLeft) + " left"
	}
	return text
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

func clockText(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.Format("2006-01-02 15:04:05.000Z")
}
