package postgres

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

const (
	// piecePages is how many pages of a table one reader copies at a time: 64 MiB.
	piecePages = 8192
	// copyLockTimeout bounds the wait for a lock that stands against reading a table. Whoever wants that lock waits for us too.
	copyLockTimeout = "10s"
)

// firstCopy copies all captured tables at the exported snapshot of a slot that it makes. A slot left over from a copy that did
// not come to its end is dropped: nothing of that copy can be seen.
func (s *Source) firstCopy(ctx context.Context, c *catalog, w *sources.Writer, ws *walsender, is server) error {
	id, err := s.identityOf(w)
	if err != nil {
		return err
	}
	if err := s.awaitSlot(ctx, c, id); err != nil {
		return err
	}
	if err := c.dropSlot(ctx, id.slot); err != nil {
		return err
	}
	if err := s.preparePublication(ctx, c); err != nil {
		return err
	}
	s.log.Info("making slot; the server first waits for the transactions that are open now", "slot", id.slot)
	point, err := createSlot(ctx, ws, id.slot, false, c.version)
	if err != nil {
		return err
	}
	view, err := s.openView(ctx, point)
	if err != nil {
		return err
	}
	defer view.close()
	sel, err := s.selectTables(ctx, view.catalog, id.pubs)
	if err != nil {
		return err
	}
	at := Position{Timeline: is.timeline, Commit: point.point, End: point.point}
	if len(sel.chosen) > 0 {
		if err := s.copyTables(ctx, view, w, sel.chosen, id.pubs, at); err != nil {
			return err
		}
	} else if _, err := w.Tick(ctx, FormatPosition(at), view.taken); err != nil {
		return err
	}
	return s.noteLeft(ctx, view.catalog, w, sel.left)
}

// view is the database as it was at one LSN: a session that reads an exported snapshot, from which others are opened.
type view struct {
	*catalog
	exported
	taken changelog.Micros // the server's clock after the export
}

// openView imports the snapshot.
func (s *Source) openView(ctx context.Context, e exported) (*view, error) {
	c, err := s.openCatalog(ctx)
	if err != nil {
		return nil, err
	}
	v := &view{catalog: c, exported: e}
	if err := v.begin(ctx); err != nil {
		c.close()
		return nil, err
	}
	return v, nil
}

func beginSQL(snapshot string) string {
	return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT " + quoteText(snapshot) +
		"; SET LOCAL lock_timeout = '" + copyLockTimeout + "'"
}

func (v *view) begin(ctx context.Context) error {
	if err := v.exec(ctx, beginSQL(v.snapshot)); err != nil {
		return fmt.Errorf("import snapshot: %w", err)
	}
	r, err := v.one(ctx, `SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint`)
	if err != nil {
		return err
	}
	v.taken = changelog.Micros(r[0].int())
	return nil
}

// lock keeps the tables from being rewritten or dropped while they are read, and makes sure that they have not been since the
// snapshot: a rewritten table looks empty to an older one.
func (v *view) lock(ctx context.Context, tables []choice) error {
	for _, t := range tables {
		if err := v.exec(ctx, "LOCK TABLE "+t.only()+" IN ACCESS SHARE MODE"); err != nil {
			return fmt.Errorf("lock table %s for reading: %w", t.quoted(), err)
		}
	}
	oids := make([]uint32, len(tables))
	for i, t := range tables {
		oids[i] = t.oid
	}
	rows, err := v.query(ctx, `
SELECT c.oid::regclass FROM pg_catalog.pg_class r, pg_catalog.pg_partition_tree(r.oid) p, pg_catalog.pg_class c
WHERE r.oid = ANY($1::oid[]) AND c.oid = coalesce(p.relid, r.oid) AND c.relkind = 'r'
  AND c.relfilenode <> pg_catalog.pg_relation_filenode(c.oid)
UNION ALL
SELECT c.oid::regclass FROM pg_catalog.pg_class c
WHERE c.oid = ANY($1::oid[]) AND c.relkind = 'r' AND c.relfilenode <> pg_catalog.pg_relation_filenode(c.oid)`, oidArray(oids))
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		return fmt.Errorf("copy table %s: it was rewritten between the snapshot and its reading", rows[0][0].text())
	}
	return nil
}

// only is the table for FROM and LOCK: without the tables that inherit from it, and with its partitions.
func (t *tableInfo) only() string {
	if t.partitioned {
		return t.quoted()
	}
	return "ONLY " + t.quoted()
}

// piece is what one COPY reads.
type piece struct {
	table *copyTable
	sql   string
}

// copyTable is a table that is being copied.
type copyTable struct {
	choice
	version *schema.Table
	decode  []decoder
	binary  bool
	left    int // pieces, guarded by copier.mu
}

// copier shares pieces among readers and counts what they have done.
type copier struct {
	s  *Source
	mu sync.Mutex // guards pieces and every copyTable.left
	// pieces are taken from the front: large tables first, so that the readers end together.
	pieces []piece
	// locks are taken by every reader before its first piece: one that came to lock a table later would queue behind whoever waits
	// for the locks that we hold, and never get it.
	locks string
}

// copyTables copies the tables as one unit at the position.
func (s *Source) copyTables(ctx context.Context, v *view, w *sources.Writer, chosen []choice, pubs publications, at Position) error {
	if err := v.lock(ctx, chosen); err != nil {
		return err
	}
	tables, err := s.prepareCopy(ctx, v, w, chosen)
	if err != nil {
		return err
	}
	versions, oids := make([]*schema.Table, len(tables)), make([]uint32, len(tables))
	for i, t := range tables {
		versions[i], oids[i] = t.version, t.oid
	}
	shapes, err := v.readShapes(ctx, oids, pubs)
	if err != nil {
		return err
	}
	sink, err := w.StartCopy(versions)
	if err != nil {
		return err
	}
	for _, t := range tables {
		w.TableState(changelog.TableState{Table: t.version.ID, State: changelog.TableShape, Detail: shapes[t.oid].String()})
	}
	s.startProgress(tables)
	defer s.report(func(p *sources.Progress) { p.Copy = nil })
	err = s.readAll(ctx, v, s.o.CopyReaders, tables, func() (rowSink, func() error) {
		cw := sink.Writer()
		return cw.Row, cw.Flush
	})
	if err != nil {
		return err
	}
	_, err = w.Commit(ctx, sources.Commit{Kind: changelog.UnitCopy, Position: FormatPosition(at), Time: v.taken})
	return err
}

// prepareCopy registers the tables' versions and compiles their decoders.
func (s *Source) prepareCopy(ctx context.Context, v *view, w *sources.Writer, chosen []choice) ([]*copyTable, error) {
	tables := make([]*copyTable, len(chosen))
	for i, t := range chosen {
		version, err := v.table(s.o.Name, t.tableInfo, t.appendOnly)
		if err != nil {
			return nil, err
		}
		tables[i] = v.compile(t, w.Register(version))
	}
	return tables, nil
}

// compile chooses binary when every column has a decoder for it.
func (c *catalog) compile(t choice, version *schema.Table) *copyTable {
	out := &copyTable{choice: t, version: version, binary: true}
	for i := range version.Columns {
		d := c.types.binaryDecoder(version.Columns[i].SourceType)
		if d == nil {
			out.binary = false
			break
		}
		out.decode = append(out.decode, d)
	}
	if out.binary {
		return out
	}
	out.decode = out.decode[:0]
	for i := range version.Columns {
		out.decode = append(out.decode, c.types.textDecoder(&version.Columns[i]))
	}
	return out
}

// fresh is the table with decoders that no other reader uses, as those of arrays hold memory.
func (t *copyTable) fresh(v *view) []decoder { return v.compile(t.choice, t.version).decode }

func (s *Source) startProgress(tables []*copyTable) {
	progress := &sources.CopyProgress{Tables: len(tables)}
	for _, t := range tables {
		progress.RowsEstimated += int64(t.estimate)
	}
	s.report(func(p *sources.Progress) { p.Phase, p.Copy = sources.PhaseCopying, progress })
}

// readAll reads the tables with several readers, each of which gets a sink of its own and a function that empties it.
func (s *Source) readAll(ctx context.Context, v *view, readers int, tables []*copyTable, open func() (rowSink, func() error)) error {
	c := &copier{s: s}
	for _, t := range tables {
		parts := v.split(t)
		t.left = len(parts)
		c.pieces = append(c.pieces, parts...)
		c.locks += "; LOCK TABLE " + t.only() + " IN ACCESS SHARE MODE"
	}
	slices.SortStableFunc(c.pieces, func(a, b piece) int { return int(min(b.table.pages, piecePages) - min(a.table.pages, piecePages)) })
	group, ctx := errgroup.WithContext(ctx)
	for range min(readers, len(c.pieces)) {
		sink, flush := open()
		group.Go(func() error {
			if err := c.read(ctx, v, sink); err != nil {
				return err
			}
			return flush()
		})
	}
	return group.Wait()
}

// split cuts a large table into ranges of pages. The last range has no end: the table may have grown since its size was read.
func (v *view) split(t *copyTable) []piece {
	if t.partitioned || !t.heap || t.pages <= piecePages {
		return []piece{{table: t, sql: t.copySQL("")}}
	}
	var pieces []piece
	for from := int64(0); from < t.pages; from += piecePages {
		where := "ctid >= '(" + strconv.FormatInt(from, 10) + ",0)'"
		if from+piecePages < t.pages {
			where += " AND ctid < '(" + strconv.FormatInt(from+piecePages, 10) + ",0)'"
		}
		pieces = append(pieces, piece{table: t, sql: t.copySQL(where)})
	}
	return pieces
}

// copySQL reads the captured columns, by name, of the rows that the publication publishes.
func (t *copyTable) copySQL(where string) string {
	sql := t.selectSQL()
	conditions := slices.DeleteFunc([]string{where, t.filter}, func(c string) bool { return c == "" })
	if len(conditions) > 0 {
		sql += " WHERE (" + strings.Join(conditions, ") AND (") + ")"
	}
	return t.copyOut(sql)
}

// selectSQL names the captured columns and the table.
func (t *copyTable) selectSQL() string {
	names := make([]string, len(t.version.Columns))
	for i := range t.version.Columns {
		names[i] = quoteName(t.version.Columns[i].Name)
	}
	return "SELECT " + strings.Join(names, ", ") + " FROM " + t.only()
}

func (t *copyTable) copyOut(sql string) string {
	if t.binary {
		return "COPY (" + sql + ") TO STDOUT (FORMAT binary)"
	}
	return "COPY (" + sql + ") TO STDOUT"
}

// read copies pieces until there are none left, on a session of its own.
func (c *copier) read(ctx context.Context, v *view, sink rowSink) error {
	session, err := c.s.connect(ctx)
	if err != nil {
		return err
	}
	defer session.close()
	if err := session.exec(ctx, "SET lc_monetary = 'C'; "+beginSQL(v.snapshot)+c.locks); err != nil {
		return fmt.Errorf("import snapshot and lock tables: %w", err)
	}
	for {
		p, ok := c.take()
		if !ok {
			return nil
		}
		if err := c.readPiece(ctx, v, session, p, sink); err != nil {
			return err
		}
	}
}

func (c *copier) take() (piece, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pieces) == 0 {
		return piece{}, false
	}
	p := c.pieces[0]
	c.pieces = c.pieces[1:]
	return p, true
}

func (c *copier) done(p piece) {
	c.mu.Lock()
	p.table.left--
	last := p.table.left == 0
	c.mu.Unlock()
	if last {
		c.s.report(func(progress *sources.Progress) {
			if progress.Copy != nil {
				progress.Copy.TablesDone++
			}
		})
	}
}

// reportRows is how many rows a reader counts before it reports them.
const reportRows = 10_000

func (c *copier) readPiece(ctx context.Context, v *view, session *session, p piece, sink rowSink) error {
	r := &copyReader{table: p.table.version, decode: p.table.fresh(v), binary: p.table.binary}
	var rows, bytes int64
	report := func() {
		newRows, newBytes := r.rows-rows, r.bytes-bytes
		rows, bytes = r.rows, r.bytes
		c.s.report(func(progress *sources.Progress) {
			if progress.Copy != nil {
				progress.Copy.RowsDone += newRows
				progress.Copy.BytesDone += newBytes
				progress.Copy.Current = p.table.fullName(c.s.o.Name)
			}
		})
	}
	r.sink = func(t *schema.Table, row []byte) error {
		if r.rows-rows >= reportRows {
			report()
		}
		return sink(t, row)
	}
	if _, err := session.conn.CopyTo(ctx, r, p.sql); err != nil {
		if codeOf(err) == "42501" {
			return &sources.Unfit{
				Detail: "table " + p.table.quoted() + " cannot be read: " + err.Error(),
				Remedy: "grant SELECT on it; if it has row security, let the role bypass it",
			}
		}
		return fmt.Errorf("copy table %s: %w", p.table.quoted(), err)
	}
	report()
	c.done(p)
	return r.finish()
}

// noteLeft records, once, the tables that match and are not captured.
func (s *Source) noteLeft(ctx context.Context, c *catalog, w *sources.Writer, left []leftOut) error {
	s.reportLeft(left)
	for _, l := range left {
		if err := s.noteUntracked(ctx, c, w, l); err != nil {
			return err
		}
	}
	return nil
}

// noteUntracked records that a table is there and not captured, unless the log says so already.
func (s *Source) noteUntracked(ctx context.Context, c *catalog, w *sources.Writer, l leftOut) error {
	catalog := w.Log().Catalog()
	known, ok := tableByOID(w, l.oid)
	if ok && known.State.State == changelog.TableUntracked {
		return nil
	}
	s.log.Warn("table is not captured", "table", l.fullName(s.o.Name), "reason", l.reason, "remedy", l.remedy)
	version := known.Table
	if !ok {
		made, err := c.table(s.o.Name, l.tableInfo, false)
		if err != nil {
			return err
		}
		version = catalog.Register(w.Source().Epoch, made)
	}
	_, err := w.Control(ctx, func(u *changelog.UnitBuilder) {
		if !catalog.Logged(version.Version) {
			u.AddTable(version)
		}
		u.AddTableState(changelog.TableState{Table: version.ID, State: changelog.TableUntracked, Detail: l.reason + "; " + l.remedy})
	})
	return err
}

// newest is beyond every offset: it asks the catalog for what holds at its end.
const newest = changelog.Offset(1<<63 - 1)

// tableByOID is the table of this source with the server's number, as the log knows it.
func tableByOID(w *sources.Writer, oid uint32) (found changelog.TableAt, ok bool) {
	for _, t := range w.Log().Catalog().TablesAt(newest) {
		if t.Table.Source == w.Source().Name && t.Table.SourceTable == oid {
			found, ok = t, true
		}
	}
	return found, ok
}
