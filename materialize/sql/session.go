//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"context"
	"strings"

	"cdc/changelog"
	"cdc/materialize"
)

// SessionOptions say how a session works. The zero value is usable.
type SessionOptions struct {
	// MemoryBytes is what DuckDB may hold in memory: DefaultMemoryBytes when zero.
	MemoryBytes int64
	// Threads is how many threads DuckDB uses: as many as Go does when zero.
	Threads int
	// TempDir is where DuckDB and rebuilds put what does not fit in memory. It must exist; the system's folder when empty.
	TempDir string
	// CacheBytes is how much of loaded tables is kept for the next query: DefaultCacheBytes when zero, none when negative.
	CacheBytes int64
	// Resolve says how moments are resolved.
	Resolve materialize.ResolveOptions
	// Progress, when set, is called now and then with the part of the log that has been read, 0 to 1.
	Progress func(part float64)
}

// DefaultCacheBytes is how much of loaded tables, as packed rows, a session keeps.
const DefaultCacheBytes = 256 << 20

// Session answers queries over a log, one at a time. It is for one goroutine.
type Session struct {
	log     changelog.Log
	o       SessionOptions
	duck    *duck
	asOf    string // as SET cdc.as_of was given; empty for now
	tables  map[tableKey]*loaded
	counter uint64
}

// nowText is the moment of a session without SET cdc.as_of.
const nowText = "now"

// NewSession opens DuckDB in memory. The session reads log and does not close it.
func NewSession(ctx context.Context, log changelog.Log, o SessionOptions) (*Session, error) {
	if o.CacheBytes == 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	d, err := openDuck(ctx, o.MemoryBytes, o.Threads, tempDir(o.TempDir))
	if err != nil {
		return nil, err
	}
	return &Session{log: log, o: o, duck: d, tables: map[tableKey]*loaded{}}, nil
}

// Close gives everything back.
func (s *Session) Close() error { return s.duck.close() }

// Query answers a text: any number of SET cdc.as_of, and at most one statement that has an answer. asOf, when not empty, is the
// moment of the tables that name none, before the session's own and unless the text sets another. An error is an *Error.
func (s *Session) Query(ctx context.Context, text, asOf string, sink Sink) error {
	statements, err := parseStatements(text)
	if err != nil {
		return err
	}
	if asOf != "" {
		if _, err := materialize.ParseMoment(asOf); err != nil {
			return errorOf(CodeSQL, "%w", err)
		}
	}
	var query *statement
	moment := s.momentOf(asOf)
	for i := range statements {
		st := &statements[i]
		switch {
		case query != nil:
			return errorAt(text, st.at, "a text ends with its query, and this is another statement")
		case st.kind == statementSetAsOf:
			if err := s.setAsOf(text, st.moment); err != nil {
				return err
			}
			moment = s.momentOf("")
		default:
			query = st
		}
	}
	return s.answer(ctx, query, moment, sink)
}

// momentOf is the moment of the tables that name none.
func (s *Session) momentOf(asOf string) string {
	switch {
	case asOf != "":
		return asOf
	case s.asOf != "":
		return s.asOf
	}
	return nowText
}

func (s *Session) setAsOf(text string, m momentText) error {
	if m.text == "" {
		s.asOf = ""
		return nil
	}
	if _, err := materialize.ParseMoment(m.text); err != nil {
		return errorAt(text, m.at, "%s", err)
	}
	s.asOf = m.text
	return nil
}

func (s *Session) answer(ctx context.Context, query *statement, asOf string, sink Sink) error {
	switch {
	case query == nil:
		return sink.Header(&Header{AsOf: s.asOf})
	case query.kind == statementShowAsOf:
		return s.oneText(sink, "cdc.as_of", asOf)
	case query.kind == statementTables:
		return s.listTables(ctx, query, asOf, sink)
	case strings.TrimSpace(query.query.Text) == "":
		return errorAt(query.query.original, query.at, "expected a query")
	}
	r := run{s: s, st: query, sink: sink}
	defer s.evict()
	err := r.do(ctx, asOf)
	if clean := r.views.drop(s.duck); clean != nil && err == nil {
		err = clean
	}
	if err == nil {
		return nil
	}
	return r.explainError(err)
}

// evict drops the tables used longest ago until the rest fits the budget.
func (s *Session) evict() {
	for {
		var total int64
		var oldest *loaded
		for _, t := range s.tables {
			total += t.bytes
			if oldest == nil || t.used < oldest.used {
				oldest = t
			}
		}
		if oldest == nil || total <= s.o.CacheBytes {
			return
		}
		delete(s.tables, oldest.key)
		_ = s.duck.exec(context.Background(), "DROP TABLE IF EXISTS "+quoteIdent(oldest.name)) // it is only a cache
	}
}
