// Package sourcetest is the suite that every implementation of sources.Source passes, against a real server, and what other tests of
// sources are made of: a Capture keeps a source in a log of its own and reads that log.
//
// The suite writes SQL that every server understands; a Driver says the rest.
package sourcetest

import (
	"log/slog"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/sources"
)

// Options describe a kind of source.
type Options struct {
	// Open makes an empty database of a test's own. With alone its server is not shared, so that it may be broken.
	Open func(t *testing.T, alone bool) Driver
	// AnyColumn is rowstate.Options.AnyColumn.
	AnyColumn bool
	// Acks says that the source is told what is durable.
	Acks bool
	// TracksNewTables says that a table made while the source streams is captured from its first row on. Otherwise it is recorded
	// as untracked until an operator asks for it.
	TracksNewTables bool
	// Keyless are statements that a table of the name keyless needs to be captured without a key.
	Keyless []string
}

// Driver is a database of one test.
type Driver interface {
	// Session opens a session that lasts until the end of the test.
	Session() Session
	// Source makes a source that captures the whole database, by way of Link.
	Source(log changelog.Log, logger *slog.Logger) (sources.Source, error)
	// Link is what all connections of the sources go through.
	Link() Link
	// Rows are a table's rows as RowText writes them, read by a reader of the server's own.
	Rows(table string) []string
	// Foreign points the sources to a server, or a database, that the log was not made from. It is called on a Driver that is not
	// alone.
	Foreign()
	// Forget makes the server lose what the log does not have. It is called on a Driver that is alone, while nothing captures.
	Forget()
}

// Session is one session of a database. Its methods fail the test.
type Session interface {
	// Do runs statements, one after the other.
	Do(statements ...string)
}

// Link is a line to a server that can be made bad.
type Link interface {
	// Cut breaks all connections.
	Cut()
	// CutAfter has each later connection broken after so many bytes from the server; nil breaks none.
	CutAfter(bytes func() int64)
	// Hold keeps back what the server sends, until Release.
	Hold()
	Release()
}

// Run checks a kind of source.
func Run(t *testing.T, o Options) {
	tests := []struct {
		name  string
		alone bool
		run   func(*suite)
	}{
		{"TestG3G4 first the tables then each transaction once", false, testExactlyOnce},
		{"TestG4G5 transactions are whole and in order", false, testOrder},
		{"what a transaction does twice to a row is told twice", false, testSameRow},
		{"TestG5 the one that commits first comes first", false, testInterleaved},
		{"TestG3 connections cut anywhere", false, testCuts},
		{"TestG3 ended anywhere and started again", false, testRestarts},
		{"TestG2G6 tables copied while they are written", false, testCopyAmongChanges},
		{"TestG2 a table copied again while it is written", false, testRecopy},
		{"TestG2G6 some rows read again while they are written", false, testReread},
		{"rows that cannot be read again leave the rest alone", false, testRereadRefused},
		{"an idle source ticks", false, testTicks},
		{"TestG1 what is durable is acknowledged", false, testAcks},
		{"current is where the source is", false, testCurrent},
		{"a large transaction is whole and beside the log", false, testLarge},
		{"a truncated table is empty", false, testTruncate},
		{"a table made while streaming", false, testMadeTable},
		{"a dropped table", false, testDroppedTable},
		{"a renamed table goes on", false, testRenamedTable},
		{"TestG2 another server is a named stop", false, testForeign},
		{"TestG2 what the server has lost is a gap until it is resolved", true, testForgotten},
	}
	for _, test := range tests {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			d := o.Open(t, test.alone)
			s := &suite{Capture: NewCapture(t, d.Source), o: o, driver: d, db: d.Session()}
			s.AnyColumn = o.AnyColumn
			test.run(s)
		})
	}
}

// suite is one test of a source.
type suite struct {
	*Capture
	o      Options
	driver Driver
	db     Session
}

// same compares tables of the log with those of the server.
func (s *suite) same(tables ...string) {
	s.Helper()
	for _, name := range tables {
		s.Same(name, s.driver.Rows(name))
	}
}
