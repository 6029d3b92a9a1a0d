package postgres

import (
	"context"
	"fmt"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

// Tail implements sources.Database through a temporary slot. A publication is made for as long as it runs unless the user named one.
func (s *Source) Tail(ctx context.Context, out sources.TailOutput) error {
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
	pubs, remove, err := s.tailPublication(ctx, c)
	if err != nil {
		return err
	}
	defer remove()
	name := randomName("cdc_tail_")
	e, err := createSlot(ctx, ws, name, true, c.version)
	if err != nil {
		return err
	}
	feed, err := startFeed(ctx, ws, startSQL(name, e.point, pubs, false), silenceMin)
	if err != nil {
		return err
	}
	st := &stream{
		feed: feed, out: sources.NewTailWriter(out), guide: &tailGuide{s: s, c: c}, types: c.types, timeline: is.timeline, remedy: "report it", after: e.point,
		relations: map[uint32]*relation{}, asked: make(chan struct{}, 1),
	}
	return s.runTail(ctx, st)
}

// runTail acknowledges what has been handed over: there is nothing to wait for.
func (s *Source) runTail(ctx context.Context, st *stream) error {
	return s.runStream(ctx, st, func() LSN { return LSN(st.received.Load()) }, func(ctx context.Context) error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
}

// tailPublication makes a publication of the tables that match, and returns what removes it.
func (s *Source) tailPublication(ctx context.Context, c *catalog) (publications, func(), error) {
	if s.o.Publication != "" {
		return publications{main: s.o.Publication}, func() {}, s.checkNamedPublication(ctx, c, s.publications())
	}
	all, err := c.candidates(ctx)
	if err != nil {
		return publications{}, nil, err
	}
	sel := s.choose(all)
	if err := s.checkWishes(all, sel); err != nil {
		return publications{}, nil, err
	}
	var tables []string
	for _, t := range sel.chosen {
		if !t.appendOnly {
			tables = append(tables, "ONLY "+t.quoted())
		}
	}
	name := randomName("cdc_tail_")
	sql := createPublicationSQL(name, tables, "insert, update, delete, truncate")
	if err := c.exec(ctx, sql); err != nil {
		return publications{}, nil, s.classifyPublication(name, sql, err)
	}
	remove := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		if err := c.exec(ctx, "DROP PUBLICATION IF EXISTS "+quoteName(name)); err != nil {
			s.log.Warn("publication of the tail stays behind", "publication", name, "err", err)
		}
	}
	return publications{main: name, own: true}, remove, nil
}

// tailGuide describes tables as the stream and the catalogue do at the moment.
type tailGuide struct {
	s *Source
	c *catalog
}

func (g *tailGuide) resolve(ctx context.Context, m *relationMessage) (*schema.Table, bool, error) {
	if !g.s.tables.Wants(m.schema, m.name) {
		return nil, true, nil
	}
	types := make([]uint32, len(m.columns))
	for i, c := range m.columns {
		types[i] = c.typ
	}
	if err := g.c.types.load(ctx, types); err != nil {
		return nil, false, err
	}
	bare := &schema.Table{Source: g.s.o.Name, Schema: m.schema, Name: m.name, SourceTable: m.oid, Identity: m.identityKind()}
	if err := bare.Prepare(); err != nil {
		return nil, false, fmt.Errorf("describe table %s: %w", bare.FullName(), err)
	}
	t, _, err := g.c.reshape(ctx, bare, m, 0)
	if t == nil && err == nil {
		t = bare
	}
	return t, false, err
}

func (*tailGuide) until() LSN { return 0 }

func (*tailGuide) boundary(context.Context, LSN) (bool, error) { return false, nil }

func (*tailGuide) idle(context.Context, LSN, changelog.Micros) (bool, error) { return false, nil }
