// Package config puts the settings of a run together: from flags, from CDC_… in the environment, from one optional YAML file, and
// from what the folder knows of earlier runs, in this order. Every setting stands in one table with its text, so that the reader,
// the printed configuration and the documentation cannot differ.
package config

import (
	"fmt"
	"strings"
	"time"

	"cdc/cmd/cdc/internal/exit"
	"cdc/sources"
)

// Config is everything that a run is told.
type Config struct {
	// HTTP is the address of the HTTP listener, empty when there is none. HTTPGiven says that somebody asked for it.
	HTTP      string
	HTTPGiven bool
	LogLevel  string
	LogFormat string
	// MinFreeDisk is how much of the disk must be free to start.
	MinFreeDisk int64
	// SegmentSize is the size of the log's files.
	SegmentSize int64
	// ReadyLag is how far a source may be behind for the server to be ready.
	ReadyLag time.Duration

	Sources []Source
	Sinks   []Sink
	// Entries are all settings with their values and where each comes from.
	Entries []Entry
	// Warnings are for the operator.
	Warnings []string
}

// Source is what is known of one source.
type Source struct {
	Name        string
	DSN         DSN
	Password    sources.Secret
	Tables      []string
	AppendOnly  []string
	Publication string
	Slot        string
	// DSNFrom and PasswordFrom say for people where the DSN and the password come from.
	DSNFrom, PasswordFrom string
	// CopyReaders is zero for the default, as are MaxHeldWAL (no limit), CopyRowsPerSecond (no limit), ServerID (one is chosen) and
	// MaxClockSkew.
	CopyReaders       int
	CopyRowsPerSecond int
	MaxHeldWAL        int64
	ServerID          uint32
	MaxClockSkew      time.Duration
}

// Entry is one effective setting.
type Entry struct {
	Key, Value string
	// Origin says where the value comes from: a flag, a variable, a line of the file, the folder, or "default".
	Origin string
}

// Request says what a configuration is read from.
type Request struct {
	// DSNs are those of the command line, Names the names given to them, in order.
	DSNs, Names []string
	// Sinks are the URLs of --sink.
	Sinks []string
	// Flags are the flags of the command line with their values, by name without dashes.
	Flags map[string][]string
	// File is the path of the file, empty for none.
	File string
	// Known are the sources that the folder knows.
	Known []Known
	// LookupEnv is the environment; Environ lists it, to find variables that mean nothing.
	LookupEnv func(string) (string, bool)
	Environ   []string
}

// Load reads the configuration. Its error is an *exit.Error that names every problem.
func Load(r Request) (*Config, error) {
	l := &loader{request: r, config: &Config{}}
	l.readFile()
	l.setGlobals()
	l.addSources()
	l.addSinks()
	l.checkVariables()
	if err := l.err(); err != nil {
		return nil, err
	}
	return l.config, nil
}

// loader gathers a configuration and its problems.
type loader struct {
	request  Request
	config   *Config
	file     file
	problems []problem
}

// problem is one thing that is wrong, with its place.
type problem struct{ where, what, remedy string }

func (p problem) String() string {
	text := p.what
	if p.where != "" {
		text = p.where + ": " + text
	}
	if p.remedy != "" {
		text += "; " + p.remedy
	}
	return text
}

func (l *loader) fail(p problem) { l.problems = append(l.problems, p) }

func (l *loader) warn(format string, args ...any) {
	l.config.Warnings = append(l.config.Warnings, fmt.Sprintf(format, args...))
}

func (l *loader) err() error {
	switch len(l.problems) {
	case 0:
		return nil
	case 1:
		p := l.problems[0]
		return &exit.Error{Code: exit.Usage, What: p.what, Where: p.where, Remedy: p.remedy}
	}
	lines := make([]string, 0, len(l.problems)+1)
	lines = append(lines, fmt.Sprintf("%d problems in the configuration:", len(l.problems)))
	for _, p := range l.problems {
		lines = append(lines, p.String())
	}
	return &exit.Error{Code: exit.Usage, What: strings.Join(lines, "\n")}
}
