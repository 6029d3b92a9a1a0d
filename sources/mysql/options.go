package mysql

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cdc/sources"
)

// Defaults of Options.
const (
	// DefaultCopyReaders is the number of connections that copy tables side by side.
	DefaultCopyReaders = 2
	// maxCopyReaders bounds them: each takes a connection of the server.
	maxCopyReaders = 32

	watchEveryDefault = 10 * time.Second
)

// Options say which server is captured and how. DSN and Name are required.
type Options struct {
	// DSN is mysql://user:password@host:port/database?tls=…; see docs/configuration.md.
	DSN string
	// Password replaces the DSN's when it is not empty.
	Password sources.Secret
	// Name is the source's name in the log.
	Name string
	// Tables are patterns of what is captured; none means every table of the DSN's database, or of all databases when it names
	// none, that the account may read.
	Tables []string
	// CopyReaders is DefaultCopyReaders when zero.
	CopyReaders int
	// CopyRowsPerSecond bounds how fast tables are copied; zero is no bound.
	CopyRowsPerSecond int
	// ServerID is the number under which the source appears as a replica; zero is one made of the log's identity and the source's
	// name.
	ServerID uint32
	// LogID is the log's identity.
	LogID [16]byte
	// Logger may be nil.
	Logger *slog.Logger
	// WatchEvery is the pause between two looks at the server's tables, 10 s when zero.
	WatchEvery time.Duration
}

// Validate reports every problem of the options.
func (o Options) Validate() error {
	var problems []error
	if o.Name == "" {
		problems = append(problems, errors.New("a source needs a name"))
	}
	if o.CopyReaders < 0 || o.CopyReaders > maxCopyReaders {
		problems = append(problems, fmt.Errorf("%d copy readers: want 1 to %d", o.CopyReaders, maxCopyReaders))
	}
	if o.CopyRowsPerSecond < 0 {
		problems = append(problems, fmt.Errorf("%d copied rows per second: want none or more than 0", o.CopyRowsPerSecond))
	}
	if _, err := parseDSN(o); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func (o Options) withDefaults() Options {
	if o.CopyReaders == 0 {
		o.CopyReaders = DefaultCopyReaders
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.WatchEvery == 0 {
		o.WatchEvery = watchEveryDefault
	}
	return o
}
