package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"cdc/changelog"
	"cdc/sources"
)

// follow streams what comes after the log's last position until the connection fails.
func (s *Source) follow(ctx context.Context, c *catalog, w *sources.Writer, ws *walsender) error {
	id, err := s.identityOf(w)
	if err != nil {
		return err
	}
	if err := s.findPublications(ctx, c, &id); err != nil {
		return err
	}
	is, err := identify(ctx, ws) // its WAL has grown during a copy
	if err != nil {
		return err
	}
	if err := s.checkTimeline(ctx, ws, is, id.position); err != nil {
		return err
	}
	if err := s.checkSlot(ctx, c, id); err != nil {
		return err
	}
	if err := s.awaitSlot(ctx, c, id); err != nil {
		return err
	}
	g := &logGuide{
		s: s, c: c, w: w, id: id, timeline: is.timeline, found: make(chan finding, 1), copied: map[copyKey]bool{},
		filters: map[uint32]string{}, shapes: map[uint32]shape{}, discarded: map[uint32]bool{},
	}
	g.ticks.due(time.Now()) // the first tick is a second away: at its start the stream has told nothing new
	defer g.close()
	p := newPassed(id.position.End, w.Moved)
	g.chunks = newChunkCopies(s, g, p)
	g.start()
	st, err := s.startStream(ctx, c, ws, w, g, id)
	if err != nil {
		return err
	}
	defer st.feed.close()
	st.passed = p
	s.report(func(p *sources.Progress) { p.Phase = sources.PhaseStreaming })
	s.log.Info("streaming", "slot", id.slot, "position", id.position.End.String())
	err = s.runStream(ctx, st, s.acked.end, func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return s.watch(ctx, c, g) })
		group.Go(func() error { return g.chunks.run(ctx) })
		return group.Wait()
	})
	return s.afterStream(ctx, c, st, id, err)
}

// startStream asks the server for the stream after the position.
func (s *Source) startStream(ctx context.Context, c *catalog, ws *walsender, w *sources.Writer, g *logGuide, id identity) (*stream, error) {
	r, err := c.one(ctx, `
SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text,
       (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout')`)
	if err != nil {
		return nil, err
	}
	binary, err := g.allBinary(ctx)
	if err != nil {
		return nil, err
	}
	binary = binary && !s.textOnly.Load()
	feed, err := startFeed(ctx, ws, startSQL(id.slot, id.position.End, id.pubs, binary), silence(r[1].int()))
	if err != nil {
		return nil, s.classifyStart(err, id)
	}
	s.acked.set(id.position.End)
	return &stream{
		feed: feed, out: w, guide: g, types: c.types, timeline: g.timeline, remedy: s.resolveRemedy(), after: id.position.End, xids: uint64(r[0].int()),
		relations: map[uint32]*relation{}, asked: make(chan struct{}, 1),
	}, nil
}

// silence is how long the server may be silent, given its own limit in ms: it must answer what we ask every second, but may be busy.
func silence(walSenderTimeout int64) time.Duration {
	return max(silenceMin, 2*time.Duration(walSenderTimeout)*time.Millisecond)
}

// startSQL is the command that starts the stream. streaming and two_phase stay off: transactions arrive whole, in commit order.
func startSQL(slot string, from LSN, pubs publications, binary bool) string {
	names := make([]string, len(pubs.names()))
	for i, n := range pubs.names() {
		names[i] = quoteName(n)
	}
	sql := "START_REPLICATION SLOT " + quoteName(slot) + " LOGICAL " + from.String() + " (proto_version '1', publication_names '" +
		strings.ReplaceAll(strings.Join(names, ","), "'", "''") + "', messages 'true'"
	if binary {
		sql += ", binary 'true'"
	}
	return sql + ")"
}

// classifyStart tells a second writer that was quicker from what trying again mends.
func (s *Source) classifyStart(err error, id identity) error {
	gone := codeOf(err) == "42704"
	invalidated := codeOf(err) == "55000" && strings.Contains(err.Error(), "logical replication slot") && !strings.Contains(err.Error(), "database")
	if !gone && !invalidated {
		return err
	}
	return &sources.Stop{Stop: changelog.Stop{
		Kind: changelog.StopGap, Position: FormatPosition(id.position), Detail: err.Error(), Remedy: s.resolveRemedy(),
	}}
}

// findPublications settles which publications to ask for: those that are there, whatever the options say by now, as tables that
// the log holds may come through either.
func (s *Source) findPublications(ctx context.Context, c *catalog, id *identity) error {
	rows, err := c.query(ctx, `SELECT pubname FROM pg_catalog.pg_publication WHERE pubname = $1 OR pubname = $2`, id.pubs.main, id.pubs.main+insertsSuffix)
	if err != nil {
		return err
	}
	here := map[string]bool{}
	for _, r := range rows {
		here[r[0].text()] = true
	}
	if !here[id.pubs.main] {
		return s.publicationGone(*id, fmt.Sprintf("publication %q does not exist", id.pubs.main))
	}
	if id.pubs.own {
		id.pubs.inserts = ""
		if name := id.pubs.main + insertsSuffix; here[name] {
			id.pubs.inserts = name
		}
	}
	return nil
}

func (s *Source) publicationGone(id identity, detail string) error {
	return &sources.Stop{Stop: changelog.Stop{
		Kind: changelog.StopSchema, Position: FormatPosition(id.position), Detail: "the publication is gone: " + detail, Remedy: s.resolveRemedy(),
	}}
}

// runStream reads the stream, answers the server and runs what goes beside them, until one of them ends.
func (s *Source) runStream(ctx context.Context, st *stream, flushed func() LSN, beside func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		<-ctx.Done()
		st.feed.close() // ends a read or a write that waits for the server
		return nil
	})
	group.Go(func() error {
		err := st.run(ctx)
		if err == nil {
			err = errors.New("the stream ended without a reason")
		}
		return err
	})
	group.Go(func() error { return s.answer(ctx, st, flushed) })
	group.Go(func() error { return beside(ctx) })
	return group.Wait()
}

// afterStream says what the end of the stream means.
func (s *Source) afterStream(ctx context.Context, c *catalog, st *stream, id identity, err error) error {
	var stop *sources.Stop
	switch {
	case errors.Is(err, errNeedText):
		s.textOnly.Store(true)
		return err
	case errors.As(err, &stop) && stop.Detail == heldTooMuch:
		st.feed.close()
		if dropErr := s.dropWhenFree(ctx, c, id.slot); dropErr != nil {
			return errors.Join(err, dropErr)
		}
		return err
	case codeOf(err) == "42704": // the publication: nothing else is looked up by its name while the WAL is decoded
		return s.publicationGone(id, err.Error())
	}
	return err
}

// dropWhenFree drops our own slot once the server has noticed that we have left it.
func (s *Source) dropWhenFree(ctx context.Context, c *catalog, slot string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownWaitExtra)
	defer cancel()
	for {
		err := c.dropSlot(ctx, slot)
		if err == nil {
			return nil
		}
		if waitErr := sources.Pause(ctx, slotPause); waitErr != nil {
			return fmt.Errorf("%w: %w", waitErr, err)
		}
	}
}
