package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
	"cdc/sources/mysql/value"
)

// newest is past every offset: what has been appended counts, durable or not.
const newest = changelog.Offset(1<<64 - 1)

// tables guides a stream into the log: it keeps the versions of the captured tables, and has those copied again of which the server
// has changed stored rows without sending them. It is for the goroutine that reads the stream.
type tables struct {
	s *Source
	c *session // for the catalogue; a server that is lost ends the stream, too
	w *sources.Writer
	// known are the captured tables by their names at the place where the stream is.
	known map[tableName]*tracked
	// last is the highest number given to a table of the source. The binlog has none that lasts.
	last  uint32
	queue *copyQueue
	whole wholeCopies
	// late are the tables of the catalogue as the stream began, and lateAt is the server's end a moment later: when the stream has come
	// there, it has made those of them that it can make.
	late   []tableInfo
	lateAt *Position
	// seen are decisions that have been carried out.
	seen map[changelog.Offset]bool
}

// tracked is a captured table.
type tracked struct {
	// table is the newest version, nil when the table was made and nothing has described it yet.
	table *schema.Table
	// columns are those of the catalogue, for servers that leave their names out of the binlog.
	columns []value.Column
	number  uint32
	// lastColumn is the highest id that a column of any version has.
	lastColumn uint32
	// altered says that statements have altered the table since the newest version was described, and renamed the columns that each of
	// them gave other names, in order. The next TABLE_MAP tells what has become of the table: the catalogue may be ahead of the stream.
	altered bool
	renamed [][]binlog.ColumnRename
	// dropped and added are the columns that those statements dropped, and that they added or gave a name.
	dropped, added []string
}

// load takes the tables from the log.
func (g *tables) load() {
	g.known, g.seen = map[tableName]*tracked{}, map[changelog.Offset]bool{}
	columns := lastColumns(g.w.Log().Catalog())
	for _, t := range g.logged() {
		g.last = max(g.last, t.Table.SourceTable)
		if captured(t.State.State) {
			g.known[nameOf(t.Table)] = &tracked{table: t.Table, number: t.Table.SourceTable, lastColumn: columns[t.Table.ID]}
		}
	}
}

// logged are the source's tables as the log knows them.
func (g *tables) logged() []changelog.TableAt {
	return slices.DeleteFunc(g.w.Log().Catalog().TablesAt(newest), func(t changelog.TableAt) bool { return t.Table.Source != g.s.o.Name })
}

// captured reports whether changes of a table in the state are kept.
func captured(s changelog.TableStateKind) bool {
	return s != 0 && !s.Ended()
}

func nameOf(t *schema.Table) tableName { return tableName{t.Schema, t.Name} }

// resolve implements guide.
func (g *tables) resolve(ctx context.Context, d *described) (*relation, error) {
	tr := g.known[tableName{d.schema, d.name}]
	if tr == nil {
		return &relation{}, nil
	}
	columns, err := d.columns()
	if err != nil {
		return nil, err
	}
	info, err := g.describe(ctx, tr, d, columns)
	if err != nil {
		return nil, err
	}
	next, err := g.version(info, tr, tr.renamed)
	if err != nil {
		return nil, err
	}
	if err := g.adopt(ctx, tr, info, next); err != nil {
		return nil, err
	}
	r := &relation{table: tr.table, width: len(info.columns)}
	for i := range info.columns {
		if info.columns[i].Type == value.TypeJSON {
			r.jsonColumns++
		}
	}
	r.decode, err = value.Compile(info.columns, tr.table)
	return r, err
}

// columns are those of TABLE_MAP. A primary key of prefixes names no row: it is none.
func (d *described) columns() ([]value.Column, error) {
	columns, extras, err := d.m.Columns(d.format)
	if slices.ContainsFunc(extras, func(x binlog.Extra) bool { return x.KeyPrefix > 0 }) {
		for i := range columns {
			columns[i].Key = 0
		}
	}
	return columns, err
}

// describe joins what TABLE_MAP tells with what only the catalogue does.
func (g *tables) describe(ctx context.Context, tr *tracked, d *described, columns []value.Column) (*tableInfo, error) {
	info := &tableInfo{schema: d.schema, name: d.name, columns: columns}
	whole := !slices.ContainsFunc(columns, func(c value.Column) bool { return c.Known&value.KnownName == 0 })
	if whole {
		hint(info, tr.table)
		return info, nil
	}
	if !sameWire(tr.columns, columns) {
		found, ok, err := g.c.table(d.schema, d.name)
		if err != nil {
			return nil, err
		}
		if !ok || !sameWire(found.columns, columns) {
			return nil, &sources.Stop{Stop: changelog.Stop{
				Kind: changelog.StopSchema, Detail: fmt.Sprintf("table %s.%s has changed its columns since, and the binlog does not name them", d.schema, d.name),
				Remedy: "run on the server: SET GLOBAL binlog_row_metadata = FULL; then " + g.s.resolveRemedy(),
			}}
		}
		tr.columns = found.columns
	}
	info.columns = tr.columns
	return info, nil
}

// sameWire reports whether columns of the catalogue are sent as the binlog describes.
func sameWire(a, b []value.Column) bool {
	return len(a) == len(b) && slices.EqualFunc(a, b, func(x, y value.Column) bool { return x.Type == y.Type && x.Meta == y.Meta })
}

// hint gives columns what only the catalogue tells, from the version before: the declared type of what is sent as bytes or text, and
// a unique index in the place of a primary key.
func hint(info *tableInfo, before *schema.Table) {
	if before == nil {
		return
	}
	keyed := false
	for i := range info.columns {
		c := &info.columns[i]
		keyed = keyed || c.Key > 0
		j := before.Column(c.Name)
		if j < 0 {
			continue
		}
		// The character set follows, of a JSON column for one.
		switch native, _, _ := strings.Cut(before.Columns[j].SQLType, " "); native {
		case "uuid", "inet4", "inet6":
			if c.Type == value.TypeString {
				c.Native = native
			}
		case "json":
			if c.Type == value.TypeBlob {
				c.Native = native
			}
		}
	}
	if keyed || before.Identity != schema.IdentityUniq {
		return
	}
	for _, k := range before.KeyColumns() {
		info.key = append(info.key, before.Columns[k].Name)
	}
	for _, name := range info.key {
		if !slices.ContainsFunc(info.columns, func(c value.Column) bool { return c.Name == name && !c.Nullable }) {
			info.key = nil // the index is gone
			return
		}
	}
}

// version makes the table's version, with the numbers of the one before. renamed are columns that have got another name.
func (g *tables) version(info *tableInfo, tr *tracked, renamed [][]binlog.ColumnRename) (*schema.Table, error) {
	before := tr.table
	for _, statement := range renamed {
		if before != nil {
			before = renameColumns(before, statement)
		}
	}
	next, err := info.version(g.s.o.Name, tr.number, before, tr.lastColumn)
	if err != nil {
		return nil, err
	}
	tr.lastColumn = max(tr.lastColumn, lastColumn(next))
	if before == nil {
		return next, nil
	}
	for i := range next.Columns {
		c := &next.Columns[i]
		if j := before.ColumnByID(c.ID); j >= 0 && before.Columns[j].Kind == c.Kind {
			c.Missing, c.HasMissing = before.Columns[j].Missing, before.Columns[j].HasMissing
		}
	}
	return next, nil
}

// renameColumns gives columns the names of one statement, all at once: two may exchange theirs.
func renameColumns(t *schema.Table, renamed []binlog.ColumnRename) *schema.Table {
	c := *t
	c.Columns = slices.Clone(t.Columns)
	for i := range c.Columns {
		for _, r := range renamed {
			if strings.EqualFold(t.Columns[i].Name, r.From) {
				c.Columns[i].Name = r.To
				break
			}
		}
	}
	return &c
}

// adopt makes next the table's version. Where the server has changed stored rows without sending them, the table is copied again.
func (g *tables) adopt(ctx context.Context, tr *tracked, info *tableInfo, next *schema.Table) error {
	before := tr.table
	lost := ""
	if before != nil {
		var err error
		if lost, err = g.fillMissing(ctx, before, next, info); err != nil {
			return err
		}
	}
	tr.table = g.w.Register(next)
	tr.altered, tr.renamed, tr.dropped, tr.added = false, nil, nil, nil
	switch {
	case before == nil:
		g.w.TableState(changelog.TableState{Table: tr.table.ID, State: changelog.TableEmpty})
	case tr.table == before:
	case lost == "":
		g.s.log.Info("table has changed its columns", "table", tr.table.FullName(), "version", uint64(tr.table.Version))
	default:
		g.rewritten(tr, lost)
	}
	return nil
}

// rewritten records that the log cannot answer for the table until it has been copied again.
func (g *tables) rewritten(tr *tracked, why string) {
	g.s.log.Warn("table was rewritten and will be copied again", "table", tr.table.FullName(), "reason", why)
	g.w.TableState(changelog.TableState{Table: tr.table.ID, State: changelog.TableRewritten, Detail: why})
	g.wait(tr.table)
}

// statement implements guide.
func (g *tables) statement(ctx context.Context, s *binlog.Statement, text []byte) (keep bool, err error) {
	if s.Kind == binlog.StatementDropDatabase {
		return g.dropDatabase(s.Schema), nil
	}
	if s.Unsure {
		return g.refreshAll("a statement that cannot be read: " + shorten(text))
	}
	for i := range s.Tables {
		change := &s.Tables[i]
		name := tableName{change.Table.Schema, change.Table.Name}
		var did bool
		switch s.Kind {
		case binlog.StatementCreateTable:
			did, err = g.create(ctx, name, s.Replace)
		case binlog.StatementDropTable:
			did = g.drop(name, "dropped")
		case binlog.StatementRenameTable:
			did, err = g.rename(ctx, name, tableName{change.To.Schema, change.To.Name})
		case binlog.StatementTruncateTable:
			did, err = g.truncate(name)
		case binlog.StatementAlterTable:
			did, err = g.alter(ctx, name, s, change)
		}
		if err != nil {
			return false, err
		}
		keep = keep || did
	}
	return keep, nil
}

func (g *tables) create(ctx context.Context, name tableName, replace bool) (bool, error) {
	if g.known[name] != nil {
		if !replace {
			return false, nil // IF NOT EXISTS, and it does
		}
		g.drop(name, "replaced")
	}
	if !g.s.wants(name) {
		return false, nil
	}
	g.dropUntracked(name, "replaced")
	info, ok, err := g.made(name)
	if err != nil {
		return false, err
	}
	if why := info.obstacle(); ok && why != "" {
		g.s.log.Warn("table is not captured", "table", schema.QuotedName(g.s.o.Name, name.schema, name.name), "reason", why)
		return false, nil
	}
	g.last++
	tr := &tracked{number: g.last}
	g.known[name] = tr
	if !ok {
		return true, nil // gone again; its rows describe it, if there are any
	}
	next, err := g.version(&info, tr, nil)
	if err != nil {
		return false, err
	}
	tr.columns = info.columns
	return true, g.adopt(ctx, tr, &info, next)
}

func (g *tables) drop(name tableName, how string) bool {
	tr := g.known[name]
	if tr == nil {
		g.dropUntracked(name, how)
		return false
	}
	delete(g.known, name)
	if tr.table != nil {
		g.w.TableState(changelog.TableState{Table: tr.table.ID, State: changelog.TableDropped, Detail: how})
	}
	return true
}

func (g *tables) dropDatabase(schema string) (did bool) {
	for name := range g.known {
		if name.schema == schema {
			did = g.drop(name, "dropped with its database") || did
		}
	}
	for _, t := range g.logged() {
		if t.Table.Schema == schema {
			g.dropUntracked(nameOf(t.Table), "dropped with its database")
		}
	}
	return did
}

func (g *tables) truncate(name tableName) (bool, error) {
	tr := g.known[name]
	if tr == nil || tr.table == nil {
		return false, nil
	}
	return true, g.w.Truncate(tr.table, changelog.TruncateOptions{})
}

// rename follows a table to its new name. One that takes the name of a captured table without having been captured is copied.
func (g *tables) rename(ctx context.Context, from, to tableName) (bool, error) {
	tr := g.known[from]
	if tr == nil {
		if !g.s.wants(to) {
			return false, nil
		}
		g.dropUntracked(from, "renamed to "+schema.QuotedName(to.schema, to.name))
		return true, g.begin(ctx, to, "renamed from a table that is not captured")
	}
	delete(g.known, from)
	if !g.s.wants(to) {
		if tr.table != nil {
			g.w.TableState(changelog.TableState{
				Table: tr.table.ID, State: changelog.TableUntracked,
				Detail: "renamed to " + schema.QuotedName(to.schema, to.name) + ", which is not asked for",
			})
		}
		return true, nil
	}
	g.known[to] = tr
	if tr.table == nil {
		return true, nil
	}
	next := *tr.table
	next.Columns = slices.Clone(next.Columns)
	next.ID, next.Version, next.Schema, next.Name = 0, 0, to.schema, to.name
	if err := next.Prepare(); err != nil {
		return false, err
	}
	tr.table = g.w.Register(&next)
	return true, nil
}

// made asks the catalogue for a table that a statement has just made or named. A MySQL server sends the statement when it is in the
// binlog, which is before the catalogue has it; the table's lock is held until then.
func (g *tables) made(name tableName) (tableInfo, bool, error) {
	err := g.c.exec("SELECT 1 FROM " + quoteName(name.schema) + "." + quoteName(name.name) + " LIMIT 0")
	if err != nil && codeOf(err) == 0 {
		return tableInfo{}, false, err
	}
	return g.c.table(name.schema, name.name) // which says better what may be wrong with it
}

func (g *tables) alter(ctx context.Context, name tableName, s *binlog.Statement, change *binlog.TableChange) (bool, error) {
	tr := g.known[name]
	if tr == nil || tr.table == nil {
		if change.To.Name != "" {
			return g.rename(ctx, name, tableName{change.To.Schema, change.To.Name})
		}
		return tr != nil, nil
	}
	if change.To.Name != "" {
		to := tableName{change.To.Schema, change.To.Name}
		if _, err := g.rename(ctx, name, to); err != nil || g.known[to] == nil {
			return true, err
		}
		name = to
	}
	if s.MovesRows {
		g.rewritten(tr, "partitions were changed, whose rows are not in the binlog")
	}
	tr.altered, tr.renamed = true, append(tr.renamed, s.Columns)
	tr.dropped, tr.added = append(tr.dropped, s.Dropped...), append(tr.added, s.Added...)
	for _, r := range s.Columns {
		tr.added = append(tr.added, r.To)
	}
	if name, again := tr.another(); again {
		tr.dropped, tr.added = nil, nil
		g.rewritten(tr, "column "+name+" was dropped and another one got its name")
	}
	return true, nil
}

// another finds a column that was dropped and whose name another one has got: nothing tells the two apart in a description.
func (tr *tracked) another() (name string, found bool) {
	i := slices.IndexFunc(tr.dropped, func(name string) bool {
		return slices.ContainsFunc(tr.added, func(other string) bool { return strings.EqualFold(name, other) })
	})
	if i < 0 {
		return "", false
	}
	return tr.dropped[i], true
}

// idle implements guide: nothing is on its way, so that the catalogue is as the stream has left it.
func (g *tables) idle(ctx context.Context) error {
	for name, tr := range g.known {
		if !tr.altered || tr.table == nil {
			continue
		}
		if err := g.refresh(ctx, name, tr, tr.renamed); err != nil {
			return err
		}
	}
	return nil
}

// refresh looks in the catalogue whether the table's columns have changed.
func (g *tables) refresh(ctx context.Context, name tableName, tr *tracked, renamed [][]binlog.ColumnRename) error {
	info, ok, err := g.c.table(name.schema, name.name)
	if err != nil || !ok {
		return err
	}
	tr.columns = info.columns
	if why := info.obstacle(); why != "" {
		g.s.log.Warn("table is not captured any more", "table", tr.table.FullName(), "reason", why)
		g.w.TableState(changelog.TableState{Table: tr.table.ID, State: changelog.TableUntracked, Detail: why})
		delete(g.known, name)
		return nil
	}
	next, err := g.version(&info, tr, renamed)
	if err != nil {
		return err
	}
	return g.adopt(ctx, tr, &info, next)
}

// refreshAll has every captured table looked at.
func (g *tables) refreshAll(why string) (bool, error) {
	for _, tr := range g.known {
		if tr.table == nil {
			continue
		}
		tr.altered = true
	}
	g.s.log.Warn("what has become of the tables will be told by their next changes", "after", why)
	return true, nil
}

// rows implements guide.
func (g *tables) rows(s *binlog.Statement, text []byte) error {
	if s.Kind != binlog.StatementUnknown && !g.concerned(s, text) {
		return nil
	}
	return &sources.Stop{Stop: changelog.Stop{
		Kind:   changelog.StopSchema,
		Detail: "the binlog holds a statement in the place of the rows that it changed: " + shorten(text),
		Remedy: "make sure that every session has binlog_format = ROW, then " + g.s.resolveRemedy(),
	}}
}

// concerned reports whether a statement may touch a captured table: one of its database, or one that it names.
func (g *tables) concerned(s *binlog.Statement, text []byte) bool {
	lower := strings.ToLower(string(text))
	for name := range g.known {
		// Where its own database is another one, a statement has to name both.
		named := strings.Contains(lower, strings.ToLower(name.schema)) && strings.Contains(lower, strings.ToLower(name.name))
		if name.schema == s.Schema || named {
			return true
		}
	}
	return false
}

// unread implements guide: what the tables hold by then comes with another copy.
func (g *tables) unread(why string) {
	for _, tr := range g.known {
		if tr.table != nil {
			g.rewritten(tr, why)
		}
	}
}

// boundary implements guide.
func (g *tables) boundary(ctx context.Context, at *Position) (anew bool, err error) {
	for _, d := range g.w.Log().Catalog().Decisions() {
		if d.Table == 0 || d.Source != g.w.Source().ID || d.Action != actionRecopy || g.seen[d.Offset] {
			continue
		}
		g.seen[d.Offset] = true
		t, ok := g.w.Log().Catalog().TableAt(d.Table, newest)
		if !ok || d.Offset < t.StateSince || t.State.State == changelog.TableDropped {
			continue
		}
		if g.known[nameOf(t.Table)] != nil {
			g.wait(t.Table)
			continue
		}
		if err := g.takeUp(ctx, t.Table); err != nil {
			return false, err
		}
		anew = true
	}
	for _, r := range g.w.Rereads() {
		if !g.seen[r.Asked.Offset] {
			g.seen[r.Asked.Offset] = true
			g.queue.add(copyJob{table: r.Asked.Table, reread: r.Asked.Offset})
		}
	}
	if err := g.noteLate(ctx, at); err != nil {
		return anew, err
	}
	return anew, g.copyWhole(ctx, at)
}

// Actions of decisions that begin a new epoch, or copy one table again.
const (
	actionRecopy    = "recopy"
	actionAcceptGap = "accept-gap"
)
