package postgres

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"cdc/sources"
)

// Defaults of Options.
const (
	// DefaultCopyReaders is the number of connections that copy tables side by side.
	DefaultCopyReaders = 2
	// maxCopyReaders bounds them: each takes a connection of the server.
	maxCopyReaders = 32
)

// Options say which database is captured and how. DSN and Name are required.
type Options struct {
	// DSN is a connection string as libpq reads it: a URL or keywords and values.
	DSN string
	// Password replaces the DSN's when it is not empty.
	Password sources.Secret
	// Name is the source's name in the log.
	Name string
	// Tables are patterns of what is captured, see sources.ParsePattern; none means every table that the role may read.
	Tables []string
	// AppendOnly are patterns of tables of which only inserts and truncates are captured.
	AppendOnly []string
	// Publication is used as it is when it is not empty; otherwise one with the slot's name is made.
	Publication string
	// Slot names the slot when it is not empty; the default is made of the source's name and the log's id.
	Slot string
	// CopyReaders is DefaultCopyReaders when zero.
	CopyReaders int
	// CopyRowsPerSecond bounds how fast a table is copied in chunks while the stream goes on; zero is no bound.
	CopyRowsPerSecond int
	// MaxHeldWAL, when it is not zero, is how many bytes of WAL may be held back for us before we drop our own slot and stop.
	MaxHeldWAL int64
	// LogID is the log's identity: it is part of the slot's name, so that two logs never share a slot.
	LogID [16]byte
	// Logger may be nil.
	Logger *slog.Logger
	// WatchEvery is the pause between two looks at the catalogue and the slot, 10 s when zero.
	WatchEvery time.Duration
}

const watchEveryDefault = 10 * time.Second

var slotName = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)

// Validate reports every problem of the options.
func (o Options) Validate() error {
	var problems []error
	if o.Name == "" {
		problems = append(problems, errors.New("a source needs a name"))
	}
	if o.Slot != "" && !slotName.MatchString(o.Slot) {
		problems = append(problems, fmt.Errorf("slot name %q: want 1 to 63 of a-z, 0-9 and _", o.Slot))
	}
	if o.CopyReaders < 0 || o.CopyReaders > maxCopyReaders {
		problems = append(problems, fmt.Errorf("%d copy readers: want 1 to %d", o.CopyReaders, maxCopyReaders))
	}
	if o.CopyRowsPerSecond < 0 {
		problems = append(problems, fmt.Errorf("%d rows a second: want none or more than 0", o.CopyRowsPerSecond))
	}
	if o.MaxHeldWAL < 0 {
		problems = append(problems, fmt.Errorf("max held WAL of %d bytes: want none or more than 0", o.MaxHeldWAL))
	}
	for _, patterns := range [][]string{o.Tables, o.AppendOnly} {
		for _, text := range patterns {
			if _, err := sources.ParsePattern(text); err != nil {
				problems = append(problems, err)
			}
		}
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
