package postgres

import (
	"context"
	"fmt"
	"slices"

	"cdc/changelog"
	"cdc/sources"
)

// recopy is a copy of tables without a key to read them by in parts, at the snapshot of a temporary slot. It is made while the stream
// stands before the snapshot's LSN, and runs when the stream has come to it, so that the log holds the rows at exactly their place.
type recopy struct {
	*view
	g      *logGuide
	ws     *walsender
	tables []uint32
}

// openRecopy makes the snapshot. Tables asked for that our own publication lacks are added to it before, so that everything after
// the snapshot is in the stream.
func (s *Source) openRecopy(ctx context.Context, g *logGuide) (*recopy, error) {
	if err := s.publish(ctx, g.c, g.id.pubs, g.rewritten); err != nil {
		return nil, err
	}
	ws, err := s.connectWalsender(ctx)
	if err != nil {
		return nil, err
	}
	e, err := createSlot(ctx, ws, temporarySlot(g.id.slot), true, g.c.version)
	if err != nil {
		closeConn(ws.PgConn)
		return nil, err
	}
	v, err := s.openView(ctx, e)
	if err != nil {
		closeConn(ws.PgConn)
		return nil, err
	}
	return &recopy{view: v, g: g, ws: ws, tables: g.rewritten}, nil
}

// temporarySlot is a name beside the slot's own, within the 63 bytes of a name.
func temporarySlot(slot string) string {
	const suffix = "_copy"
	return slot[:min(len(slot), 63-len(suffix))] + suffix
}

// publish adds tables to our own publication.
func (s *Source) publish(ctx context.Context, c *catalog, pubs publications, oids []uint32) error {
	if !pubs.own {
		return nil
	}
	held, err := c.readPublished(ctx, pubs.names())
	if err != nil {
		return err
	}
	tables, err := c.byOID(ctx, oids)
	if err != nil {
		return err
	}
	for _, t := range s.choose(tables).chosen {
		if _, ok := held[t.oid]; ok {
			continue
		}
		name := pubs.main
		if t.appendOnly && pubs.inserts != "" {
			name = pubs.inserts
		}
		sql := "ALTER PUBLICATION " + quoteName(name) + " ADD TABLE ONLY " + t.quoted()
		if err := c.exec(ctx, sql); err != nil {
			return s.classifyPublication(name, sql, err)
		}
	}
	return nil
}

// run copies the tables as one unit.
func (r *recopy) run(ctx context.Context) error {
	s := r.g.s
	tables, err := r.byOID(ctx, r.tables)
	if err != nil {
		return err
	}
	held, err := r.readPublished(ctx, r.g.id.pubs.names())
	if err != nil {
		return err
	}
	sel := s.choose(tables).within(held, r.g.id.pubs, s.o.Name)
	for _, t := range sel.chosen {
		s.log.Info("copying table again", "table", t.fullName(s.o.Name), "position", r.point.String())
	}
	at := Position{Timeline: r.g.timeline, Commit: r.point, End: r.point}
	if len(sel.chosen) > 0 {
		if err := s.copyTables(ctx, r.view, r.g.w, sel.chosen, r.g.id.pubs, at); err != nil {
			return fmt.Errorf("copy again: %w", err)
		}
	}
	s.report(func(p *sources.Progress) { p.Phase = sources.PhaseStreaming })
	return r.giveUp(ctx, sel)
}

// giveUp records what could not be copied: the tables are gone, or may not be captured any longer.
func (r *recopy) giveUp(ctx context.Context, sel selection) error {
	for _, l := range sel.left {
		if known, ok := tableByOID(r.g.w, l.oid); ok {
			if err := r.g.state(ctx, known, changelog.TableUntracked, l.reason+"; "+l.remedy); err != nil {
				return err
			}
		}
	}
	for _, oid := range r.tables {
		here := func(t *tableInfo) bool { return t.oid == oid }
		chosen := slices.ContainsFunc(sel.chosen, func(c choice) bool { return here(c.tableInfo) })
		left := slices.ContainsFunc(sel.left, func(l leftOut) bool { return here(l.tableInfo) })
		if known, ok := tableByOID(r.g.w, oid); ok && !chosen && !left {
			if err := r.g.state(ctx, known, changelog.TableDropped, "the table was dropped before it could be copied again"); err != nil {
				return err
			}
		}
	}
	return nil
}

// close gives the snapshot and the temporary slot back.
func (r *recopy) close() {
	if r == nil {
		return
	}
	r.view.close()
	closeConn(r.ws.PgConn)
}
