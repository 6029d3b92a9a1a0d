package mysql

import (
	"context"
	"slices"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

// wholeCopies are the tables without a key that wait to be copied. Their rows cannot be told apart, so no chunk of them could be merged
// with the stream: they are read at a view that stands at one place of the binlog, while the stream stands there, too. It belongs to
// the stream's goroutine.
type wholeCopies struct {
	waiting []schema.TableID
	view    *exactView
}

// keyless reports whether the table's copy is of that kind.
func keyless(t *schema.Table) bool { return len(t.KeyColumns()) == 0 }

// wait adds a table to those that must be copied again.
func (g *tables) wait(t *schema.Table) {
	if !keyless(t) {
		g.queue.add(copyJob{table: t.ID})
		return
	}
	if !slices.Contains(g.whole.waiting, t.ID) {
		g.whole.waiting = append(g.whole.waiting, t.ID)
		g.s.whole.Store(true)
	}
}

// copyWhole copies the tables without a key once the stream has come to the place of their view.
func (g *tables) copyWhole(ctx context.Context, at *Position) error {
	if len(g.whole.waiting) == 0 {
		return nil
	}
	if g.whole.view == nil {
		view, err := g.s.openExact(ctx, at)
		if err != nil {
			return err
		}
		g.whole.view = view
	}
	view := g.whole.view
	switch {
	case view.at.place().after(at.place()):
		return nil // the stream is not there yet
	case at.place().after(view.at.place()):
		g.closeWhole() // the place was within a transaction of another kind of event; a later view is taken
		return nil
	}
	defer g.closeWhole()
	versions := g.wholeVersions()
	if len(versions) > 0 {
		if err := g.copyAt(ctx, view, versions, at); err != nil {
			return err
		}
	}
	g.whole.waiting = nil
	g.s.whole.Store(false)
	return nil
}

// wholeVersions are the newest versions of the tables that wait, without those that are gone.
func (g *tables) wholeVersions() (all []*schema.Table) {
	for _, id := range g.whole.waiting {
		t, ok := g.w.Log().Catalog().TableAt(id, newest)
		if ok && captured(t.State.State) {
			all = append(all, t.Table)
		}
	}
	return all
}

// copyAt copies tables as one unit at the view's place.
func (g *tables) copyAt(ctx context.Context, view *exactView, versions []*schema.Table, at *Position) error {
	for _, t := range versions {
		g.s.log.Info("copying table without a key", "table", t.FullName(), "position", at.String())
	}
	c, err := g.w.StartCopy(versions)
	if err != nil {
		return err
	}
	cw := c.Writer()
	for _, t := range versions {
		if err := view.rows(ctx, t, func(row []byte) error { return cw.Row(t, row) }); err != nil {
			return err
		}
	}
	if err := cw.Flush(); err != nil {
		return err
	}
	_, err = g.w.Commit(ctx, sources.Commit{Kind: changelog.UnitCopy, Position: FormatPosition(at), Time: view.taken})
	return err
}

// closeWhole gives the view back.
func (g *tables) closeWhole() {
	if g.whole.view != nil {
		g.whole.view.close()
		g.whole.view = nil
	}
}
