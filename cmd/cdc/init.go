package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/starter"
)

// initCmd writes a configuration to begin with.
type initCmd struct {
	DSN    []string `arg:"" optional:"" sep:"none" help:"Databases to look at; without any, a template is written."`
	Name   []string `sep:"none" placeholder:"NAME" help:"Name of a source, once for each DSN and in their order; by default its database's name."`
	Sink   []string `sep:"none" placeholder:"URL" help:"Where changes are to be published as well: kafka://host:port or file:DIR."`
	Output string   `short:"o" placeholder:"FILE" help:"File to write; by default the standard output."`
	Force  bool     `help:"Overwrite the file."`
}

// Help describes the verb with examples.
func (initCmd) Help() string {
	return `Looks at databases as 'cdc doctor' does, changes nothing, and writes a configuration for 'cdc run -c': what was found with the statements that mend it, the tables, and every setting with its default. Passwords are not written: they become variables.

Examples:

	cdc init postgres://cdc@db.example/shop -o cdc.yaml
	cdc init postgres://cdc@db.example/shop mysql://cdc@db2.example/billing --sink kafka://k1.example:9092 > cdc.yaml
	cdc init > cdc.yaml`
}

// Run looks at the databases and writes the file.
func (c *initCmd) Run(ctx context.Context, a *App) error {
	if err := c.refuseOverwriting(); err != nil {
		return err
	}
	cfg, err := config.Load(config.Request{DSNs: c.DSN, Names: c.Name, Sinks: c.Sink, LookupEnv: c.variables(a), Environ: a.Environ()})
	if err != nil {
		return err
	}
	if err := supported(cfg.Sources); err != nil {
		return err
	}
	for _, warning := range cfg.Warnings {
		a.Logger.Warn(warning)
	}
	var file starter.File
	for _, spec := range cfg.Sources {
		s, err := lookAt(ctx, a, spec)
		if err != nil {
			return err
		}
		file.Sources = append(file.Sources, s)
	}
	for i := range cfg.Sinks {
		file.Sinks = append(file.Sinks, sinkToWrite(cfg, &cfg.Sinks[i]))
	}
	if err := c.write(a, file.YAML()); err != nil {
		return err
	}
	return summarize(a, file.Sources)
}

// variables is the environment without a DSN for runs that name no source: here, no DSN asks for a template.
func (c *initCmd) variables(a *App) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if name == "CDC_DSN" {
			return "", false
		}
		return a.LookupEnv(name)
	}
}

// lookAt asks a database what there is. A server that cannot be asked is an error: nothing could be written about it.
func lookAt(ctx context.Context, a *App, spec config.Source) (starter.Source, error) {
	s := starter.Source{Name: spec.Name, DSN: spec.DSN}
	_, variable := a.LookupEnv(config.Variable(spec.Name, "password"))
	s.WithPassword = variable || spec.DSN.WithoutPassword() != string(spec.DSN)
	source, err := openDatabase(spec, nil, [16]byte{}, a.Logger)
	if err != nil {
		return s, err
	}
	if s.Findings, err = source.Doctor(ctx); err == nil {
		s.Tables, err = source.Candidates(ctx)
	}
	return s, reached(ctx, &spec, err)
}

// sinkToWrite takes over what was said of a sink on the command line.
func sinkToWrite(cfg *config.Config, spec *config.Sink) starter.Sink {
	s := starter.Sink{
		Name: spec.Name, Kind: spec.URL.Kind(), WithPassword: spec.Password != "",
		Settings: map[string][]string{},
	}
	for _, e := range cfg.Entries {
		if key, ok := strings.CutPrefix(e.Key, "sinks."+spec.Name+"."); ok && e.Origin == "--sink" {
			s.Settings[key] = []string{e.Value}
		}
	}
	if len(spec.Tables) > 0 {
		s.Settings["tables"] = spec.Tables
	}
	return s
}

// fileTaken is the refusal to overwrite a file.
func (c *initCmd) fileTaken() error {
	return &exit.Error{Code: exit.Usage, What: "the file is there already", Where: c.Output, Remedy: "name another with --output, or overwrite it with --force"}
}

// refuseOverwriting says so before any database is asked.
func (c *initCmd) refuseOverwriting() error {
	if _, err := os.Lstat(c.Output); c.Output == "" || c.Force || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return c.fileTaken()
}

func (c *initCmd) write(a *App, text string) error {
	if c.Output == "" {
		_, err := io.WriteString(a.Stdout, text)
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if c.Force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(c.Output, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return c.fileTaken()
	}
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return &exit.Error{Code: exit.Usage, What: err.Error(), Remedy: "name a file that can be written with --output", Err: err}
	}
	return nil
}

// summarize says on stderr what the file says about each database.
func summarize(a *App, all []starter.Source) error {
	for _, s := range all {
		var d diagnosis
		for i := range s.Findings {
			d.count(&s.Findings[i])
		}
		fit := 0
		for _, t := range s.Tables {
			if t.Obstacle == "" {
				fit++
			}
		}
		_, err := fmt.Fprintf(a.Stderr, "%s: %d of %s can be captured; %s in the way, %s\n",
			s.Name, fit, counted(len(s.Tables), "table"), counted(d.problems, "problem"), counted(d.warnings, "warning"))
		if err != nil {
			return err
		}
	}
	return nil
}
