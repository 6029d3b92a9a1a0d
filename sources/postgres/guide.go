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
	// chunks copies tables beside the stream. Tables that it cannot copy come back in rewritten: they are copied as a whole, while the
	// stream stands.
	chunks    *chunkCopies
	rewritten []uint32
	// discarded are tables whose changes are not kept until they are copied, although the log may not say so yet.
	discarded map[uint32]bool
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

// start looks for tables that an earlier run has left to be copied.
func (g *logGuide) start() {
	for _, t := range g.tables() {
		if t.State.State == changelog.TableRewritten || t.State.State == changelog.TableCopying {
			g.chunks.add(wish{oid: t.Table.SourceTable})
		}
	}
	g.loadShapes()
}

// followed reports whether the changes of a table are kept.
func followed(t changelog.TableAt) bool {
	return t.Answerable() || t.State.State == changelog.TableCopying
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
		if followed(t) && !allBinary(g.c.types, t.Table) {
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
	if known.State.State == changelog.TableRewritten || g.discarded[m.oid] || slices.Contains(g.rewritten, m.oid) {
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
	g.discarded[m.oid] = true
	g.chunks.add(wish{oid: m.oid})
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
	at := g.chunks.until()
	switch {
	case g.again != nil && (at == 0 || g.again.point < at):
		return g.again.point
	case g.again == nil && len(g.rewritten) > 0:
		return 1
	}
	return at
}

// boundary implements guide.
func (g *logGuide) boundary(ctx context.Context, at LSN) (anew bool, err error) {
	begun, err := g.chunks.boundary(ctx, at)
	if err != nil {
		return false, err
	}
	anew, err = g.copyWhole(ctx, at)
	return anew || begun, err
}

// copyWhole copies tables again when the stream has come to the snapshot of the copy.
func (g *logGuide) copyWhole(ctx context.Context, at LSN) (anew bool, err error) {
	if g.again == nil {
		return false, g.plan(ctx)
	}
	if at < g.again.point {
		return false, nil
	}
	err = g.again.run(ctx)
	for _, oid := range g.again.tables {
		delete(g.discarded, oid)
	}
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
		return g.apply(ctx, f)
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
		t, ok := g.w.Log().Catalog().TableAt(d.Table, newest)
		since := t.StateSince
		if t.State.State == changelog.TableComplete {
			since = t.From // a copy that had begun before is not what was asked for
		}
		if ok && d.Offset > since {
			g.copied[d.Offset] = true
			g.chunks.add(wish{oid: t.Table.SourceTable, anew: true})
		}
	}
	for _, r := range g.w.Rereads() {
		if t, ok := g.w.Log().Catalog().TableAt(r.Asked.Table, newest); ok && !g.copied[r.Asked.Offset] {
			g.copied[r.Asked.Offset] = true
			g.chunks.add(wish{oid: t.Table.SourceTable, reread: r.Asked.Offset})
		}
	}
}

// apply records what the watcher found that the log does not say yet. It reports whether there was anything: to resolve a table anew
// costs several questions to the server, while the stream waits.
func (g *logGuide) apply(ctx context.Context, f finding) (news bool, err error) {
	if f.begun < g.copiedAt || g.again != nil {
		return false, nil
	}
	left, err := g.applyLeft(ctx, f.left)
	if err != nil {
		return false, err
	}
	dropped, err := g.applyDropped(ctx, f.exists)
	if err != nil {
		return false, err
	}
	shapes, err := g.applyShapes(ctx, f.shapes)
	return left || dropped || shapes, err
}

// applyLeft records tables that are there and not captured, or no longer.
func (g *logGuide) applyLeft(ctx context.Context, left []leftOut) (news bool, err error) {
	for _, l := range left {
		known, ok := tableByOID(g.w, l.oid)
		switch {
		case ok && followed(known):
			if l.reason == reasonLate {
				l.reason = "was taken out of the publication"
			}
			err = g.state(ctx, known, changelog.TableUntracked, l.reason+"; "+l.remedy)
		case ok && known.State.State == changelog.TableUntracked:
			continue
		default:
			err = g.s.noteUntracked(ctx, g.c, g.w, l)
		}
		if err != nil {
			return true, err
		}
		news = true
	}
	return news, nil
}

// applyDropped records tables that were dropped.
func (g *logGuide) applyDropped(ctx context.Context, existing map[uint32]bool) (news bool, err error) {
	for _, known := range g.tables() {
		state := known.State.State
		exists, asked := existing[known.Table.SourceTable]
		if state == changelog.TableDropped || exists || !asked || state == 0 {
			continue
		}
		if err := g.state(ctx, known, changelog.TableDropped, "the table was dropped at the source"); err != nil {
			return true, err
		}
		news = true
	}
	return news, nil
}

// applyShapes has tables copied again whose rows have changed without being sent, and keeps the other shapes in the log.
func (g *logGuide) applyShapes(ctx context.Context, shapes map[uint32]shape) (news bool, err error) {
	for _, known := range g.tables() {
		oid := known.Table.SourceTable
		now, seen := shapes[oid]
		if !seen || !followed(known) || maps.Equal(g.shapes[oid], now) {
			continue
		}
		news = true
		if lost := g.shapes[oid].lost(now); lost != "" {
			if err := g.state(ctx, known, changelog.TableRewritten, lost); err != nil {
				return true, err
			}
			g.chunks.add(wish{oid: oid})
			continue
		}
		g.shapes[oid] = now
		_, err := g.w.Control(ctx, func(u *changelog.UnitBuilder) {
			u.AddTableState(changelog.TableState{Table: known.Table.ID, State: changelog.TableShape, Detail: now.String()})
		})
		if err != nil {
			return true, fmt.Errorf("record shape of table %s: %w", known.Table.FullName(), err)
		}
	}
	return news, nil
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

// begun is a copy in chunks that has begun; without a version there is nothing to copy.
type begun struct {
	version        *schema.Table
	cursor, detail string
}

// beginChunks begins the copy of a table, or takes it up. From here on the table's changes are kept, so the caller has the stream
// resolve it anew. anew says that the copy is wanted whatever the log holds.
func (g *logGuide) beginChunks(ctx context.Context, f *found, anew bool) (begun, error) {
	known, ok := tableByOID(g.w, f.oid)
	switch {
	case f.chosen == nil:
		return begun{}, g.leave(ctx, f)
	case ok && known.Answerable() && !anew:
		return begun{}, nil
	case f.whole:
		if !slices.Contains(g.rewritten, f.oid) {
			g.rewritten = append(g.rewritten, f.oid)
		}
		return begun{}, nil
	}
	version, detail := f.version, "an operator has asked for it"
	if ok && sameColumns(known.Table, version) {
		version = known.Table // it knows more of how its columns came about
	}
	if ok && known.State.State == changelog.TableRewritten {
		detail = known.State.Detail
	}
	copying := ok && known.State.State == changelog.TableCopying
	if copying {
		detail = known.State.Detail
		if reason := g.beginsAgain(f, known.Table == version, anew); reason != "" {
			copying, detail = false, reason
			if err := g.state(ctx, known, changelog.TableRewritten, reason); err != nil {
				return begun{}, err
			}
		}
	}
	_, cursor, err := g.w.CopyTable(ctx, version, detail)
	if err == nil && !copying {
		err = g.keepShape(ctx, f)
	}
	if err != nil {
		return begun{}, err
	}
	delete(g.discarded, f.oid)
	g.copiedAt = f.at
	known, _ = tableByOID(g.w, f.oid)
	return begun{version: known.Table, cursor: cursor, detail: detail}, nil
}

// beginsAgain says why a copy in chunks cannot go on, if so.
func (g *logGuide) beginsAgain(f *found, sameVersion, anew bool) string {
	switch {
	case anew:
		return "an operator has asked for another copy"
	case !sameVersion:
		return "its columns have changed during the copy"
	}
	return g.shapes[f.oid].lost(f.shape)
}

// keepShape records the shape that the copy begins with: what changes afterwards shows.
func (g *logGuide) keepShape(ctx context.Context, f *found) error {
	known, _ := tableByOID(g.w, f.oid)
	g.shapes[f.oid] = f.shape
	_, err := g.w.Control(ctx, func(u *changelog.UnitBuilder) {
		u.AddTableState(changelog.TableState{Table: known.Table.ID, State: changelog.TableShape, Detail: f.shape.String()})
	})
	if err != nil {
		return fmt.Errorf("record shape of table %s: %w", f.name, err)
	}
	return nil
}

// leave records that a table that was to be copied is gone or may not be captured.
func (g *logGuide) leave(ctx context.Context, f *found) error {
	known, ok := tableByOID(g.w, f.oid)
	state, detail := changelog.TableDropped, "the table was dropped before it was copied"
	if f.left != nil {
		state, detail = changelog.TableUntracked, f.left.reason+"; "+f.left.remedy
	}
	if !ok || known.State.State == state {
		return nil
	}
	return g.state(ctx, known, state, detail)
}

// sameColumns reports whether rows of both versions are the same. What older rows hold for a column, and whether it may be null, does
// not matter.
func sameColumns(a, b *schema.Table) bool {
	return a.AppendOnly == b.AppendOnly && a.Identity == b.Identity && slices.EqualFunc(a.Columns, b.Columns, func(x, y schema.Column) bool {
		return x.ID == y.ID && x.Name == y.Name && x.SourceType == y.SourceType && x.SQLType == y.SQLType && x.Key == y.Key
	})
}
