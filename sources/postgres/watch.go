package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cdc/changelog"
	"cdc/sources"
)

// finding is what a look at the catalogue has shown. It holds when the stream has come to the LSN.
type finding struct {
	// begun is the end of the WAL before the look, at after it.
	begun, at LSN
	// left are tables that match and are not captured, or must not be any longer.
	left []leftOut
	// exists says of the tables that the log knew whether they are still there.
	exists map[uint32]bool
	// shapes are how they are stored.
	shapes map[uint32]shape
}

// heldTooMuch is the detail of the stop that gives our own slot up.
const heldTooMuch = "the slot held back more WAL than max_held_wal allows, and was dropped"

// watch looks at the slot and the catalogue until the context is done.
func (s *Source) watch(ctx context.Context, c *catalog, g *logGuide) error {
	ticker := time.NewTicker(s.o.WatchEvery)
	defer ticker.Stop()
	for {
		if err := s.watchSlot(ctx, c, g.id); err != nil {
			return err
		}
		f, err := s.lookAround(ctx, c, g)
		if err != nil {
			return err
		}
		select { // the newest finding replaces one that was not taken
		case <-g.found:
		default:
		}
		select {
		case g.found <- f:
		default:
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// watchSlot measures what the slot holds back, and gives it up when that is more than the user allows.
func (s *Source) watchSlot(ctx context.Context, c *catalog, id identity) error {
	slot, ok, err := c.readSlot(ctx, id.slot)
	if err != nil {
		return err
	}
	if !ok || slot.status == "lost" {
		return s.checkSlot(ctx, c, id)
	}
	s.report(func(p *sources.Progress) {
		p.HeldBytes = slot.held
		p.LagBytes = max(int64(slot.end)-int64(s.acked.end()), 0)
	})
	if s.o.MaxHeldWAL > 0 && slot.held > s.o.MaxHeldWAL {
		return &sources.Stop{Stop: changelog.Stop{
			Kind: changelog.StopGap, Position: FormatPosition(id.position), Detail: heldTooMuch,
			Remedy: fmt.Sprintf("it held %d bytes; find out why the log fell behind, then %s", slot.held, s.resolveRemedy()),
		}}
	}
	return nil
}

// lookAround compares the catalogue with what is captured.
func (s *Source) lookAround(ctx context.Context, c *catalog, g *logGuide) (finding, error) {
	f := finding{exists: map[uint32]bool{}}
	var err error
	if f.begun, err = c.walEnd(ctx); err != nil {
		return f, err
	}
	sel, err := s.selectTables(ctx, c, g.id.pubs)
	if err != nil {
		return f, err
	}
	var known []uint32
	captured, appendOnly := map[uint32]bool{}, map[uint32]bool{}
	for _, t := range g.tables() {
		known = append(known, t.Table.SourceTable)
		f.exists[t.Table.SourceTable] = false
		captured[t.Table.SourceTable] = followed(t) || t.State.State == changelog.TableRewritten
		appendOnly[t.Table.SourceTable] = t.Table.AppendOnly
	}
	rows, err := c.query(ctx, `SELECT oid FROM pg_catalog.pg_class WHERE oid = ANY($1::oid[])`, oidArray(known))
	if err != nil {
		return f, err
	}
	for _, r := range rows {
		f.exists[uint32(r[0].int())] = true
	}
	if f.shapes, err = c.readShapes(ctx, known, g.id.pubs); err != nil {
		return f, err
	}
	if f.at, err = c.walEnd(ctx); err != nil {
		return f, err
	}
	f.left = slices.DeleteFunc(sel.left, func(l leftOut) bool { // captured as append-only, they need none
		return captured[l.oid] && appendOnly[l.oid] && strings.HasPrefix(l.reason, noIdentity)
	})
	for _, t := range sel.chosen {
		reason := ""
		switch {
		case !captured[t.oid]:
			reason = reasonLate
		case appendOnly[t.oid] != t.appendOnly:
			reason = "is published with other operations than when it was copied"
		case g.filterChanged(t):
			reason = "is published with another row filter than when it was copied"
		}
		if reason != "" {
			f.left = append(f.left, leftOut{tableInfo: t.tableInfo, reason: reason, remedy: "run " + recopyCommand(s.o.Name, t.tableInfo)})
		}
	}
	s.reportLeft(f.left)
	return f, s.keepWritable(ctx, c, g, f.left)
}

func (s *Source) reportLeft(left []leftOut) {
	names := make([]string, len(left))
	for i, l := range left {
		names[i] = l.String()
	}
	s.report(func(p *sources.Progress) { p.Untracked = names })
}

// keepWritable takes a table that has lost its identity out of our publication: while it is in, the server refuses the
// application's updates and deletes of it.
func (s *Source) keepWritable(ctx context.Context, c *catalog, g *logGuide, left []leftOut) error {
	if !g.id.pubs.own {
		return nil
	}
	for _, l := range left {
		if !strings.HasPrefix(l.reason, noIdentity) {
			continue
		}
		held, err := c.readPublished(ctx, []string{g.id.pubs.main})
		if err != nil {
			return err
		}
		if _, ok := held[l.oid]; !ok {
			continue
		}
		if err := c.exec(ctx, "ALTER PUBLICATION "+quoteName(g.id.pubs.main)+" DROP TABLE "+l.quoted()); err != nil {
			s.log.Warn("table without identity stays in the publication: its updates and deletes are refused", "table", l.fullName(s.o.Name), "err", err)
		}
	}
	return nil
}

// filterChanged reports whether a table's row filter differs from the first one seen on this connection. It is for the watcher.
func (g *logGuide) filterChanged(t choice) bool {
	first, ok := g.filters[t.oid]
	if !ok {
		g.filters[t.oid] = t.filter
	}
	return ok && first != t.filter
}
