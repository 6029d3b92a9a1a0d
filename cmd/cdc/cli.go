package main

import (
	"log/slog"
	"os"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"cdc/cmd/cdc/internal/exit"
)

// cli is the command line: every verb with its flags. Each verb lives in the file of its name.
type cli struct {
	globals

	Init     initCmd     `cmd:"" group:"capture" help:"Look at databases and write a configuration to begin with."`
	Run      runCmd      `cmd:"" group:"capture" help:"Capture databases into the log."`
	Status   statusCmd   `cmd:"" group:"capture" help:"Show what is captured and how far."`
	Resolve  resolveCmd  `cmd:"" group:"capture" help:"Decide about a source that has stopped."`
	Snapshot snapshotCmd `cmd:"" group:"capture" help:"Copy a table, for the first time or again."`
	Drop     dropCmd     `cmd:"" group:"capture" help:"Stop capturing a source and remove what it holds at its server."`
	Doctor   doctorCmd   `cmd:"" group:"capture" help:"Check whether a database can be captured, and sinks be fed, before or after."`

	SQL     sqlCmd     `cmd:"" name:"sql" group:"ask" help:"Ask in SQL, at any moment."`
	At      atCmd      `cmd:"" group:"ask" help:"Print a table as it was at a moment."`
	Diff    diffCmd    `cmd:"" group:"ask" help:"Print what differs between two moments."`
	History historyCmd `cmd:"" group:"ask" help:"Print the life of a row."`
	Changes changesCmd `cmd:"" group:"ask" help:"Print the latest changes."`
	Show    showCmd    `cmd:"" group:"ask" help:"Print one transaction."`
	Tail    tailCmd    `cmd:"" group:"ask" help:"Follow the log, or a database directly."`
	Tables  tablesCmd  `cmd:"" group:"ask" help:"List the tables that the log holds."`
	Tag     tagCmd     `cmd:"" group:"ask" help:"Name a moment."`
	Types   typesCmd   `cmd:"" group:"ask" help:"List the types and what becomes of them in each format."`

	Verify verifyCmd `cmd:"" group:"check" help:"Compare the log's tables with the database itself."`
	Log    logCmd    `cmd:"" group:"check" help:"Check and inspect the log's files."`
	Config configCmd `cmd:"" group:"check" help:"Check the configuration."`

	ImportDebezium importDebeziumCmd `cmd:"" name:"import-debezium" group:"other" help:"Translate a Debezium connector's configuration."`

	Demo       demoCmd       `cmd:"" group:"other" help:"Show everything on a private, busy database."`
	Completion completionCmd `cmd:"" group:"other" help:"Print a completion script for a shell."`
	Version    versionCmd    `cmd:"" group:"other" help:"Print the version."`
	Complete   completeCmd   `cmd:"" hidden:"" help:"Print names for a completion script."`
	SQLWorker  sqlWorkerCmd  `cmd:"" name:"sqlworker" hidden:"" help:"Run SQL for another cdc process."`
}

var verbGroups = []kong.Group{
	{Key: "capture", Title: "Capture:"},
	{Key: "ask", Title: "Ask:"},
	{Key: "check", Title: "Check:"},
	{Key: "other", Title: "Other:"},
	{Key: "global", Title: "Global flags:"},
}

// globals are the flags of every verb.
type globals struct {
	Data      string `group:"global" default:"./cdc-data" env:"CDC_DATA" placeholder:"DIR" help:"Folder of the log (${default})."`
	Format    string `group:"global" default:"" enum:",table,csv,json,parquet" env:"CDC_FORMAT" placeholder:"FORMAT" help:"Form of printed rows: table, csv, json or parquet; by default table on a terminal, else csv."`
	JSON      bool   `group:"global" name:"json" help:"Same as --format json; errors are JSON too."`
	LogLevel  string `group:"global" default:"" enum:",debug,info,warn,error" env:"CDC_LOG_LEVEL" placeholder:"LEVEL" help:"Least level of log lines on stderr: debug, info, warn or error."`
	LogFormat string `group:"global" default:"" enum:",auto,text,json" env:"CDC_LOG_FORMAT" placeholder:"FORM" help:"Form of log lines: text, json, or auto for text on a terminal, else JSON."`
	NoColor   bool   `group:"global" help:"Print without colours, as NO_COLOR does."`
}

// newApp makes the context of the verb from the flags.
func newApp(g *globals, command *kong.Context) (*App, error) {
	a := &App{
		Data: g.Data, JSON: g.JSON || g.Format == "json", Format: g.Format,
		Terminal: isTerminal(os.Stdout), ErrTerminal: isTerminal(os.Stderr),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		LookupEnv: os.LookupEnv, Environ: os.Environ, Given: given(command),
	}
	if g.JSON && g.Format != "" && g.Format != "json" {
		return nil, &exit.Error{Code: exit.Usage, What: "--json and --format " + g.Format + " exclude each other", Remedy: "use one of them"}
	}
	switch {
	case a.JSON:
		a.Format = "json"
	case a.Format == "" && a.Terminal:
		a.Format = "table"
	case a.Format == "":
		a.Format = "csv"
	}
	_, noColor := os.LookupEnv("NO_COLOR")
	a.Color = a.Terminal && !g.NoColor && !noColor && os.Getenv("TERM") != "dumb"
	a.Logger = a.newLogger(g.LogLevel, g.LogFormat, slog.LevelWarn)
	return a, nil
}

// newLogger makes a logger on stderr; an empty level is the least given, an empty format is auto.
func (a *App) newLogger(level, format string, least slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: least}
	var parsed slog.Level
	if err := parsed.UnmarshalText([]byte(level)); level != "" && err == nil {
		o.Level = parsed
	}
	if format == "json" || format != "text" && !a.ErrTerminal {
		return slog.New(slog.NewJSONHandler(a.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(a.Stderr, o))
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// given are the flags that stand on the command line, by name, with their values in order. Flags that come from the environment
// are not among them.
func given(command *kong.Context) map[string][]string {
	flags := map[string][]string{}
	for _, path := range command.Path {
		if path.Flag == nil || path.Resolved {
			continue
		}
		switch value := command.FlagValue(path.Flag).(type) {
		case []string:
			flags[path.Flag.Name] = value
		case string:
			flags[path.Flag.Name] = []string{value}
		}
	}
	return flags
}
