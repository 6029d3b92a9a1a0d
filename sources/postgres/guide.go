package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

// logGuide guides a stream into the log: it keeps the versions of tables, has rewritten tables copied again, and records what the
// watcher finds. It is for the goroutine that reads the stream, but for found.
type logGuide struct {
	s        *Source
	c        *catalog
	w        *sources.Writer
	id       identity
	timeline uint32
	// rewritten are tables that the log cannot answer for until they have been copied again.
	rewritten []uint32
	// again is the copy that waits for the stream to come to its snapshot.
	again *recopy
	// copiedAt is the LSN of the last copy: what the watcher saw before it does not count.
	copiedAt LSN
	ticks    ticker
	found    chan finding
	// filters are the row filters that the watcher saw first.
	filters map[uint32]string
	// shapes are the tables' shapes as the log has them, at the stream's place or before it.
	shapes map[uint32]shape
	copied map[copyKey]bool
}

// start looks for tables that an earlier run has left to be copied again.
func (g *logGuide) start(ctx context.Context) error {
	for _, t := range g.tables() {
		if t.State.State == changelog.TableRewritten {
			g.rewritten = append(g.rewritten, t.Table.SourceTable)
		}
	}
	g.loadShapes()
	return g.plan(ctx)
}

// loadShapes takes the shapes from the log.
func (g *logGuide) loadShapes() {
	for _, t := range g.tables() {
		g.shapes[t.Table.SourceTable] = parseShape(t.Shape)
	}
}

func (g *logGuide) close() { g.again.close() }

// tables are the source's tables as the log knows them, of this epoch.
func (g *logGuide) tables() []changelog.TableAt {
	return slices.DeleteFunc(g.w.Log().Catalog().TablesAt(newest), func(t changelog.TableAt) bool {
		return t.Table.Source != g.s.o.Name
	})
}

// allBinary reports whether every captured table can be read in binary.
func (g *logGuide) allBinary(ctx context.Context) (bool, error) {
	var types []uint32
	tables := g.tables()
	for _, t := range tables {
		for i := range t.Table.Columns {
			types = append(types, t.Table.Columns[i].SourceType)
		}
	}
	if err := g.c.types.load(ctx, types); err != nil {
		return false, err
	}
	for _, t := range tables {
		if t.Answerable() && !allBinary(g.c.types, t.Table) {
			return false, nil
		}
	}
	return true, nil
}

// resolve implements guide.
func (g *logGuide) resolve(ctx context.Context, m *relationMessage) (*schema.Table, bool, error) {
	known, ok := tableByOID(g.w, m.oid)
	if !ok || known.State.State == changelog.TableUntracked || known.State.State == changelog.TableDropped {
		return nil, true, nil // the watcher reports it
	}
	types := make([]uint32, len(m.columns))
	for i, c := range m.columns {
		types[i] = c.typ
	}
	if err := g.c.types.load(ctx, types); err != nil {
		return nil, false, err
	}
	if known.State.State == changelog.TableRewritten || slices.Contains(g.rewritten, m.oid) {
		return nil, true, nil
	}
	next, lost, err := g.c.reshape(ctx, known.Table, m, g.shapes[m.oid].columns())
	if err == nil && lost == "" {
		lost, err = g.changedUnsent(ctx, m.oid)
	}
	if err != nil {
		return nil, false, err
	}
	if next == nil && lost == "" {
		return known.Table, false, nil
	}
	if next == nil {
		next = known.Table
	}
	next = g.w.Register(next)
	if lost == "" {
		g.s.log.Info("table has changed its shape", "table", next.FullName(), "version", uint64(next.Version))
		return next, false, nil
	}
	g.s.log.Warn("table was rewritten and will be copied again", "table", next.FullName(), "reason", lost)
	g.w.TableState(changelog.TableState{Table: next.ID, State: changelog.TableRewritten, Detail: lost})
	g.rewritten = append(g.rewritten, m.oid)
	return nil, true, nil
}

// changedUnsent says why a table must be copied again whatever its columns are, if so. The catalogue may be ahead of the stream:
// then the copy comes early, and the shape in the log stays until the watcher's look is the stream's.
func (g *logGuide) changedUnsent(ctx context.Context, oid uint32) (string, error) {
	shapes, err := g.c.readShapes(ctx, []uint32{oid}, g.id.pubs)
	if err != nil {
		return "", err
	}
	return g.shapes[oid].lost(shapes[oid]), nil
}

// until implements guide.
func (g *logGuide) until() LSN {
	switch {
	case g.again != nil:
		return g.again.point
	case len(g.rewritten) > 0:
		return 1
	}
	return 0
}

// boundary implements guide: it copies tables again when the stream has come to the snapshot of the copy.
func (g *logGuide) boundary(ctx context.Context, at LSN) (anew bool, err error) {
	if g.again == nil {
		return false, g.plan(ctx)
	}
	if at < g.again.point {
		return false, nil
	}
	err = g.again.run(ctx)
	g.loadShapes()
	g.copiedAt = g.again.point
	g.again.close()
	g.again = nil
	return true, err
}

// plan takes the snapshot for copying the rewritten tables again. The stream waits meanwhile: it must not pass the snapshot.
func (g *logGuide) plan(ctx context.Context) error {
	if len(g.rewritten) == 0 {
		return nil
	}
	var err error
	g.again, err = g.s.openRecopy(ctx, g)
	if err != nil {
		return err
	}
	g.rewritten = nil
	return nil
}

// idle implements guide: at most once a second it ticks, and does what waits for a quiet moment.
func (g *logGuide) idle(ctx context.Context, at LSN, now changelog.Micros) (anew bool, err error) {
	if !g.ticks.due(time.Now()) {
		return false, nil
	}
	p := FormatPosition(Position{Timeline: g.timeline, Commit: at, End: at})
	if _, err := g.w.Tick(ctx, p, now); err != nil {
		return false, err
	}
	g.s.report(func(progress *sources.Progress) { progress.Received, progress.SourceTime = p, now })
	g.decisions()
	select {
	case f := <-g.found:
		if at < f.at {
			g.putBack(f) // what it is about may still be on its way
			return false, nil
		}
		return true, g.apply(ctx, f)
	default:
		return false, nil
	}
}

// putBack keeps a finding for later unless there is a newer one.
func (g *logGuide) putBack(f finding) {
	select {
	case g.found <- f:
	default:
	}
}

// copyKey is a decision about a table that has been seen.
type copyKey = changelog.Offset

// decisions plans copies that operators have asked for.
func (g *logGuide) decisions() {
	for _, d := range g.w.Log().Catalog().Decisions() {
		if d.Table == 0 || d.Source != g.w.Source().ID || d.Action != actionRecopy || g.copied[d.Offset] {
			continue
		}
		g.copied[d.Offset] = true
		t, ok := g.w.Log().Catalog().TableAt(d.Table, newest)
		if ok && d.Offset > t.StateSince && !slices.Contains(g.rewritten, t.Table.SourceTable) {
			g.rewritten = append(g.rewritten, t.Table.SourceTable)
		}
	}
}

// apply records what the watcher found.
func (g *logGuide) apply(ctx context.Context, f finding) error {
	if f.begun < g.copiedAt || g.again != nil {
		return nil
	}
	for _, l := range f.left {
		if known, ok := tableByOID(g.w, l.oid); ok && known.Answerable() {
			if l.reason == reasonLate {
				l.reason = "was taken out of the publication"
			}
			if err := g.state(ctx, known, changelog.TableUntracked, l.reason+"; "+l.remedy); err != nil {
				return err
			}
			continue
		}
		if err := g.s.noteUntracked(ctx, g.c, g.w, l); err != nil {
			return err
		}
	}
	for _, known := range g.tables() {
		state := known.State.State
		if state == changelog.TableDropped || f.exists[known.Table.SourceTable] || state == 0 {
			continue
		}
		if err := g.state(ctx, known, changelog.TableDropped, "the table was dropped at the source"); err != nil {
			return err
		}
	}
	return g.applyShapes(ctx, f)
}

// applyShapes has tables copied again whose rows have changed without being sent, and keeps the other shapes in the log.
func (g *logGuide) applyShapes(ctx context.Context, f finding) error {
	for _, known := range g.tables() {
		oid := known.Table.SourceTable
		now, seen := f.shapes[oid]
		if !seen || !known.Answerable() || maps.Equal(g.shapes[oid], now) {
			continue
		}
		if lost := g.shapes[oid].lost(now); lost != "" {
			if err := g.state(ctx, known, changelog.TableRewritten, lost); err != nil {
				return err
			}
			g.rewritten = append(g.rewritten, oid)
			continue
		}
		g.shapes[oid] = now
		_, err := g.w.Control(ctx, func(u *changelog.UnitBuilder) {
			u.AddTableState(changelog.TableState{Table: known.Table.ID, State: changelog.TableShape, Detail: now.String()})
		})
		if err != nil {
			return fmt.Errorf("record shape of table %s: %w", known.Table.FullName(), err)
		}
	}
	return nil
}

func (g *logGuide) state(ctx context.Context, t changelog.TableAt, state changelog.TableStateKind, detail string) error {
	what := "table is captured no longer"
	if state == changelog.TableRewritten {
		what = "table was rewritten and will be copied again"
	}
	g.s.log.Warn(what, "table", t.Table.FullName(), "reason", detail)
	_, err := g.w.Control(ctx, func(u *changelog.UnitBuilder) {
		u.AddTableState(changelog.TableState{Table: t.Table.ID, State: state, Detail: detail})
	})
	if err != nil {
		return fmt.Errorf("record state of table %s: %w", t.Table.FullName(), err)
	}
	return nil
}
