package postgres

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"cdc/changelog"
	"cdc/sources"
)

// Kind is how the log names sources of this package.
const Kind = "postgres"

// Facts that identify a source in the log.
const (
	factSystem      = "system_id"
	factTimeline    = "timeline"
	factSlot        = "slot"
	factPublication = "publication"
	factDatabase    = "database"
)

// Source is one database that is tailed through a slot. Ack and Progress may be called at any time; the other methods one at a
// time.
type Source struct {
	o   Options
	dsn *dsn
	// tables are what is captured, appendOnly those of them of which only inserts and truncates are.
	tables, appendOnly *sources.PatternSet
	log                *slog.Logger
	// acked holds the newest position that is durable here.
	acked ackBox
	// textOnly says that a column has been met that cannot be read in binary.
	textOnly atomic.Bool
	// chunkRows replaces the constant, and chunkDone is called after each chunk; for tests.
	chunkRows int
	chunkDone func(rows int)

	mu       sync.Mutex // guards progress
	progress sources.Progress
}

var _ sources.Database = (*Source)(nil)

// New makes a source. It does not connect.
func New(o Options) (*Source, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	d, err := parseDSN(o)
	if err != nil {
		return nil, err
	}
	s := &Source{o: o, dsn: d, log: o.Logger.With("source", o.Name)}
	if s.tables, err = sources.ParsePatterns(o.Name, o.Tables); err != nil {
		return nil, err
	}
	if s.appendOnly, err = sources.ParsePatterns(o.Name, o.AppendOnly); err != nil {
		return nil, err
	}
	s.acked.woken = make(chan struct{}, 1)
	s.progress = sources.Progress{Phase: sources.PhaseConnecting, LagBytes: -1, HeldBytes: -1}
	return s, nil
}

// Warnings implements sources.Database.
func (s *Source) Warnings() []string { return s.dsn.warnings }

// Database is the name of the database that the connection string names.
func (s *Source) Database() string { return s.dsn.config.Database }

// Ack implements sources.Source.
func (s *Source) Ack(p changelog.Position) {
	at, err := ParsePosition(p)
	if err != nil {
		s.log.Error("position to acknowledge is unreadable", "err", err)
		return
	}
	s.acked.set(at.End)
}

// Progress implements sources.Source.
func (s *Source) Progress() sources.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.progress
	if p.Copy != nil {
		c := *p.Copy
		p.Copy = &c
	}
	p.Untracked = append([]string(nil), p.Untracked...)
	return p
}

func (s *Source) report(change func(*sources.Progress)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.progress)
}

// slot is the slot's name: the options', or one made of the source's name and the log's id.
func (s *Source) slot() string {
	if s.o.Slot != "" {
		return s.o.Slot
	}
	const nameMax = 40
	var b strings.Builder
	for _, r := range strings.ToLower(s.o.Name) {
		if b.Len() >= nameMax {
			break
		}
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else {
			b.WriteByte('_')
		}
	}
	return "cdc_" + b.String() + "_" + hex.EncodeToString(s.o.LogID[:4])
}

// publications are the names to ask the stream for: the user's one, or ours and the one beside it for append-only tables.
type publications struct {
	main, inserts string
	own           bool
}

func (s *Source) publications() publications {
	if s.o.Publication != "" {
		return publications{main: s.o.Publication}
	}
	p := publications{main: s.slot(), own: true}
	if len(s.appendOnly.Including()) > 0 {
		p.inserts = p.main + insertsSuffix
	}
	return p
}

// insertsSuffix names the publication of append-only tables.
const insertsSuffix = "_ins"

func (p publications) names() []string {
	if p.inserts == "" {
		return []string{p.main}
	}
	return []string{p.main, p.inserts}
}

// Stream implements sources.Source.
func (s *Source) Stream(ctx context.Context, w *sources.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.report(func(p *sources.Progress) { p.Phase = sources.PhaseConnecting })
	if err := w.Abort(); err != nil {
		return err
	}
	c, err := s.openCatalog(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	if err := s.checkServer(ctx, c); err != nil {
		return err
	}
	ws, err := s.connectWalsender(ctx)
	if err != nil {
		return err
	}
	defer closeConn(ws.PgConn)
	is, err := identify(ctx, ws)
	if err != nil {
		return err
	}
	if err := s.introduce(ctx, c, w, is); err != nil {
		return err
	}
	if w.Progress().Position == "" {
		if err := s.firstCopy(ctx, c, w, ws, is); err != nil {
			return err
		}
	}
	if err := w.Log().WaitDurable(ctx, w.Progress().Commit); err != nil {
		return fmt.Errorf("wait for the log: %w", err)
	}
	return s.follow(ctx, c, w, ws)
}

// Current implements sources.Source.
func (s *Source) Current(ctx context.Context) (func(changelog.Position) bool, error) {
	c, err := s.openCatalog(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	end, err := c.walEnd(ctx)
	if err != nil {
		return nil, err
	}
	return func(p changelog.Position) bool {
		at, err := ParsePosition(p)
		return err == nil && at.End >= end
	}, nil
}
