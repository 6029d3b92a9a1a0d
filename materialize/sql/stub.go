//go:build !(cgo && duckdb_arrow && !nosql)

package sql

import (
	"context"
	"io"
	"log/slog"

	"cdc/changelog"
	"cdc/materialize"
)

// Built says that the program can answer SQL.
const Built = false

// SessionOptions say how a session works.
type SessionOptions struct {
	// MemoryBytes, Threads, TempDir, CacheBytes, Resolve and Progress have no effect in this build.
	MemoryBytes int64
	Threads     int
	TempDir     string
	CacheBytes  int64
	Resolve     materialize.ResolveOptions
	Progress    func(part float64)
}

// Session answers nothing in this build.
type Session struct{}

// NewSession answers ErrNoSQL.
func NewSession(context.Context, changelog.Log, SessionOptions) (*Session, error) {
	return nil, ErrNoSQL
}

// Query answers ErrNoSQL.
func (*Session) Query(context.Context, string, string, Sink) error { return ErrNoSQL }

// Close does nothing.
func (*Session) Close() error { return nil }

// WorkerOptions say what a worker works on.
type WorkerOptions struct {
	// Dir, Session and Logger have no effect in this build.
	Dir     string
	Session SessionOptions
	Logger  *slog.Logger
}

// RunWorker answers ErrNoSQL.
func RunWorker(context.Context, io.Reader, io.Writer, WorkerOptions) error { return ErrNoSQL }
