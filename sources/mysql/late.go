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
	if g.lateAt == nil || !at.passed(g.lateAt) {
		return nil
	}
	unknown := map[tableName]bool{}
	for i := range g.late {
		if name := (tableName{g.late[i].schema, g.late[i].name}); g.known[name] == nil {
			unknown[name] = true
		}
	}
	g.late, g.lateAt = nil, nil
	if len(unknown) > 0 {
		if err := g.recordLate(ctx, unknown); err != nil {
			return err
		}
	}
	g.s.late.Store(false)
	return nil
}

// recordLate records those of the tables that are still there: a statement that dropped one, or gave it another name, may have been
// passed meanwhile.
func (g *tables) recordLate(ctx context.Context, unknown map[tableName]bool) error {
	const why = "it comes under the patterns only now, or its making is not in the binlog"
	found, err := g.c.tables(func(name tableName) bool { return unknown[name] })
	if err != nil {
		return err
	}
	var untracked []string
	for i := range found {
		info := &found[i]
		if info.obstacle() != "" {
			continue // since a moment ago
		}
		name := schema.QuotedName(info.schema, info.name)
		untracked = append(untracked, name+": "+why)
		if known, ok := g.lookUp(tableName{info.schema, info.name}); ok && known.State.State == changelog.TableUntracked {
			continue
		}
		g.last++
		made, err := info.version(g.s.o.Name, g.last, nil, 0)
		if err != nil {
			return err
		}
		made = g.w.Log().Catalog().Register(g.w.Source().Epoch, made)
		remedy := "run 'cdc snapshot " + name + "' to copy it"
		g.s.log.Warn("table is not captured", "table", made.FullName(), "reason", why, "remedy", remedy)
		if err := g.record(ctx, made, changelog.TableUntracked, why+"; "+remedy); err != nil {
			return err
		}
	}
	g.s.report(func(p *sources.Progress) { p.Untracked = append(p.Untracked, untracked...) })
	return nil
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
