package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/exit"
)

// App is what every verb is given: where the data is, where its output goes and how it looks.
type App struct {
	// Data is the folder of the log.
	Data string
	// Format of printed rows: table, csv, json or parquet. It has been decided: never empty.
	Format string
	// JSON asks for machine-readable output of everything, errors included (--json or --format json).
	JSON bool
	// Color allows escape sequences on Stdout.
	Color bool
	// Terminal says that Stdout is one, ErrTerminal that Stderr is: progress bars go there.
	Terminal, ErrTerminal bool

	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Logger         *slog.Logger
	// LookupEnv is the environment.
	LookupEnv func(string) (string, bool)
	Environ   func() []string
	// Given are the flags of the command line with their values, by name.
	Given map[string][]string
}

const defaultWidth = 100

// Width is the width of the terminal, or a common one when there is none.
func (a *App) Width() int {
	if f, ok := a.Stdout.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return defaultWidth
}

// Log is a log that is open for reading.
type Log struct {
	*disklog.Log
	// Live speaks to the 'cdc run' that writes the log; nil when nobody does.
	Live *client.Client
}

// Close closes the log and the connection to its writer.
func (l *Log) Close() error {
	if l.Live != nil {
		l.Live.Close()
	}
	return l.Log.Close()
}

// OpenLog opens the folder's log for reading, whether 'cdc run' is writing to it or not.
func (a *App) OpenLog(ctx context.Context) (*Log, error) {
	if err := a.requireLog(); err != nil {
		return nil, err
	}
	o := disklog.Options{ReadOnly: true, Logger: a.Logger}
	live, err := a.Live(ctx)
	if err != nil {
		return nil, err
	}
	if live != nil {
		if o.DurableHint, err = durableHint(ctx, live); err != nil {
			return nil, err
		}
	}
	log, err := disklog.Open(a.Data, o)
	if err != nil {
		return nil, err
	}
	return &Log{Log: log, Live: live}, nil
}

// Live is a client of the 'cdc run' that holds the folder, or nil when none answers.
func (a *App) Live(ctx context.Context) (*client.Client, error) {
	if _, err := os.Stat(client.SocketPath(a.Data)); err != nil {
		return nil, nil
	}
	live := client.New(a.Data)
	if live.Alive(ctx) {
		return live, nil
	}
	live.Close()
	return nil, context.Cause(ctx)
}

// requireLog says clearly that there is no log, which opening would say in the words of the file system.
func (a *App) requireLog() error {
	if _, err := os.Stat(filepath.Join(a.Data, "log")); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return &exit.Error{
		Code: exit.Usage, What: "there is no log", Where: a.Data,
		Remedy: "name the folder with --data or CDC_DATA, or make one with 'cdc run DSN'",
	}
}

// LockLog opens the folder's log for writing and keeps every other writer out until it is closed.
func (a *App) LockLog(o disklog.Options) (*disklog.Log, error) {
	if o.Logger == nil {
		o.Logger = a.Logger
	}
	log, err := disklog.Open(a.Data, o)
	if err == nil {
		return log, nil
	}
	var corrupt *changelog.CorruptError
	switch {
	case errors.Is(err, changelog.ErrInUse):
		return nil, a.inUse(err)
	case errors.As(err, &corrupt), errors.Is(err, changelog.ErrNoSpace):
		return nil, err
	}
	return nil, &exit.Error{
		Code: exit.Log, What: fmt.Sprintf("the log cannot be opened for writing: %v", err), Where: a.Data,
		Remedy: "check that the folder belongs to this user and is on a writable disk; 'cdc log verify' checks what is in it", Err: err,
	}
}

// durableHint asks the writer how far the log is durable. When the writer has gone it keeps to what it heard last: what came
// after that may be written and not be durable. The log asks from one goroutine at a time.
func durableHint(ctx context.Context, live *client.Client) (func() changelog.Offset, error) {
	last, err := live.Durable(ctx, 0)
	if err != nil {
		return nil, err
	}
	return func() changelog.Offset {
		if n, err := live.Durable(ctx, 0); err == nil {
			last = max(last, n)
		}
		return last
	}, nil
}
