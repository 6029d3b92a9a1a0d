package mysql

import (
	"context"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

// noteLate records, once the stream has come past the look at the catalogue, tables that are wanted and that neither the log nor the
// stream has: they are not captured until an operator says so.
func (g *tables) noteLate(ctx context.Context, at *Position) error {
	if g.lateAt == nil || g.lateAt.place().after(at.place()) {
		return nil
	}
	found := g.late
	g.late, g.lateAt = nil, nil
	var untracked []string
	for i := range found {
		info := &found[i]
		name := tableName{info.schema, info.name}
		if g.known[name] != nil {
			continue
		}
		// The statement that dropped it, or gave it another name, may have been passed meanwhile.
		if _, ok, err := g.c.table(info.schema, info.name); err != nil {
			return err
		} else if !ok {
			continue
		}
		untracked = append(untracked, schema.QuotedName(info.schema, info.name)+": "+whyLate)
		if known, ok := g.lookUp(name); ok && known.State.State == changelog.TableUntracked {
			continue
		}
		if err := g.recordLate(ctx, info); err != nil {
			return err
		}
	}
	g.s.report(func(p *sources.Progress) { p.Untracked = append(p.Untracked, untracked...) })
	g.s.late.Store(false)
	return nil
}

const whyLate = "it comes under the patterns only now, or its making is not in the binlog"

// recordLate records one such table.
func (g *tables) recordLate(ctx context.Context, info *tableInfo) error {
	g.last++
	made, err := info.version(g.s.o.Name, g.last, nil, 0)
	if err != nil {
		return err
	}
	made = g.w.Log().Catalog().Register(g.w.Source().Epoch, made)
	remedy := "run 'cdc snapshot " + schema.QuotedName(info.schema, info.name) + "' to copy it"
	g.s.log.Warn("table is not captured", "table", made.FullName(), "reason", whyLate, "remedy", remedy)
	return g.record(ctx, made, changelog.TableUntracked, whyLate+"; "+remedy)
}

// record appends a state of a table that no transaction carries.
func (g *tables) record(ctx context.Context, t *schema.Table, state changelog.TableStateKind, detail string) error {
	_, err := g.w.Control(ctx, func(u *changelog.UnitBuilder) {
		if !g.w.Log().Catalog().Logged(t.Version) {
			u.AddTable(t)
		}
		u.AddTableState(changelog.TableState{Table: t.ID, State: state, Detail: detail})
	})
	return err
}

// takeUp captures a table that has been left out, as it is now. Until it has been copied the log cannot answer for it.
func (g *tables) takeUp(ctx context.Context, t *schema.Table) error {
	info, ok, err := g.made(nameOf(t))
	if err != nil {
		return err
	}
	if !ok {
		return g.record(ctx, t, changelog.TableDropped, "the server has no table of this name any more")
	}
	if why := info.obstacle(); why != "" {
		return g.record(ctx, t, changelog.TableUntracked, why)
	}
	catalog := g.w.Log().Catalog()
	tr := &tracked{table: t, columns: info.columns, number: t.SourceTable, lastColumn: lastColumns(catalog)[t.ID]}
	next, err := g.version(&info, tr, nil)
	if err != nil {
		return err
	}
	tr.table = catalog.Register(g.w.Source().Epoch, next)
	if err := g.record(ctx, tr.table, changelog.TableRewritten, "an operator has asked for it to be captured"); err != nil {
		return err
	}
	g.known[nameOf(t)] = tr
	g.wait(tr.table)
	return nil
}

// begin begins to capture a table that has rows already.
func (g *tables) begin(ctx context.Context, name tableName, why string) error {
	info, ok, err := g.made(name)
	if err != nil || !ok || info.obstacle() != "" {
		return err
	}
	g.dropUntracked(name, "replaced")
	g.last++
	tr := &tracked{number: g.last, columns: info.columns}
	next, err := g.version(&info, tr, nil)
	if err != nil {
		return err
	}
	tr.table = g.w.Register(next)
	g.known[name] = tr
	g.rewritten(tr, why)
	return nil
}

// dropUntracked records that a table is gone that the log has and does not capture, if there is one: another may bear its name later.
func (g *tables) dropUntracked(name tableName, how string) {
	if t, ok := g.lookUp(name); ok && t.State.State == changelog.TableUntracked {
		g.w.TableState(changelog.TableState{Table: t.Table.ID, State: changelog.TableDropped, Detail: how})
	}
}

// lookUp finds a table that the log has by its name, dropped ones left out.
func (g *tables) lookUp(name tableName) (changelog.TableAt, bool) {
	for _, t := range g.logged() {
		if nameOf(t.Table) == name && t.State.State != changelog.TableDropped {
			return t, true
		}
	}
	return changelog.TableAt{}, false
}
