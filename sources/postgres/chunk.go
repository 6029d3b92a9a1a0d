package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cdc/schema"
	"cdc/sources"
)

const (
	// chunkBytes is about what a chunk holds: the reader asks for as many rows as will fill it.
	chunkBytes = 4 << 20
	// unknownRows is how many rows are asked for while nothing is known of their width, fewestRows the least.
	unknownRows, fewestRows = 1000, 64
	// surplusBytes is how much may arrive behind a full chunk before the session is rather thrown away.
	surplusBytes = 16 << 20
	// viewPauseMax bounds the pause before another view is taken when one does not show all that it must.
	viewPauseMax = time.Second
	// sayAfter is how long something is waited for before the operator is told.
	sayAfter = 2 * time.Second
)

// chunkable reports whether the table can be read in the order of its key. The key's types are those of the server itself: the
// operators of others may not be found, and must be those of the index. Money and "char" have a text that depends on the server.
func (c *catalog) chunkable(t *schema.Table) bool {
	for _, i := range t.KeyColumns() {
		r, ok := c.types.resolve(t.Columns[i].SourceType, -1)
		if !ok || r.info.kind != 'e' && !orderedTypes[r.info.oid] {
			return false
		}
	}
	return len(t.KeyColumns()) > 0
}

// orderedTypes are types of keys whose text says exactly what they are.
var orderedTypes = map[uint32]bool{
	oidBool: true, oidInt2: true, oidInt4: true, oidInt8: true, oidOID: true, oidFloat4: true, oidFloat8: true, oidNumeric: true,
	oidText: true, oidVarchar: true, oidBPChar: true, oidName: true, oidBytea: true, oidUUID: true, oidDate: true, oidTime: true,
	oidTimeTZ: true, oidTimestamp: true, oidTimestampTZ: true, oidInterval: true, oidInet: true, oidCIDR: true, oidMacaddr: true,
	oidMacaddr8: true, oidBit: true, oidVarbit: true, oidLSN: true, oidXID8: true,
}

// errReshaped says that the catalogue describes the table otherwise than the version that is being copied.
var errReshaped = errors.New("the table has changed its columns")

// errFull ends a COPY of which more arrives than a chunk holds.
var errFull = errors.New("the chunk is full")

// chunkReader reads one table in ranges of its key, on a session of its own. A cursor is a JSON array of the key's values in their
// text forms.
type chunkReader struct {
	s      *Source
	table  choice
	passed *passed
	// predicate, when set, chooses the rows.
	predicate string
	// held is called while a view is waited for, with what it waits for.
	held func(what string)
	c    *catalog // nil when there is no session at the moment
	// width is the bytes of a row, as far as it is known.
	width float64
}

var _ sources.ChunkReader = (*chunkReader)(nil)

// Close implements sources.ChunkReader.
func (r *chunkReader) Close() {
	if r.c != nil {
		r.c.close()
		r.c = nil
	}
}

func (r *chunkReader) connect(ctx context.Context) error {
	if r.c != nil {
		return nil
	}
	var err error
	if r.c, err = r.s.openCatalog(ctx); err != nil {
		return err
	}
	return r.c.exec(ctx, "SET default_transaction_read_only = on") // a predicate may call anything
}

// Bound implements sources.ChunkReader.
func (r *chunkReader) Bound(ctx context.Context, t *schema.Table, after string, rows int, _ *sources.Measured) (sources.Range, error) {
	if err := r.connect(ctx); err != nil {
		return sources.Range{}, err
	}
	names := keyNames(t)
	where, err := r.conditions(t, after, "")
	if err != nil {
		return sources.Range{}, err
	}
	found, err := r.search(ctx, "SELECT "+names+" FROM "+r.table.only()+where+" ORDER BY "+names+" LIMIT 1 OFFSET "+strconv.Itoa(rows-1))
	if err != nil {
		return sources.Range{}, r.blame(ctx, t, err)
	}
	if len(found) == 0 {
		return sources.Range{After: after, Last: true}, nil
	}
	values := make([]string, len(found[0]))
	for i, v := range found[0] {
		values[i] = v.text()
	}
	upTo, err := writeCursor(values)
	return sources.Range{After: after, UpTo: upTo}, err
}

// search looks for the end of a range. Rows that match a predicate may be far between, and take as long as they take.
func (r *chunkReader) search(ctx context.Context, sql string) ([]row, error) {
	if r.predicate == "" {
		return r.c.query(ctx, sql)
	}
	return r.c.patient(ctx, sql)
}

func keyNames(t *schema.Table) string {
	names := make([]string, len(t.KeyColumns()))
	for n, i := range t.KeyColumns() {
		names[n] = quoteName(t.Columns[i].Name)
	}
	return strings.Join(names, ", ")
}

// conditions are those of the rows behind one cursor and up to another that the publication publishes. Values are written as literals
// of no type: the server takes them for the type of the column that they are compared with, and compares by its collation.
func (r *chunkReader) conditions(t *schema.Table, after, upTo string) (string, error) {
	var all []string
	for _, end := range []struct{ operator, cursor string }{{">", after}, {"<=", upTo}} {
		if end.cursor == "" {
			continue
		}
		values, err := readCursor(end.cursor)
		if err == nil && len(values) != len(t.KeyColumns()) {
			err = fmt.Errorf("cursor %s does not fit the key %s", end.cursor, keyNames(t))
		}
		if err != nil {
			return "", err
		}
		for i, v := range values {
			values[i] = quoteText(v)
		}
		all = append(all, "("+keyNames(t)+") "+end.operator+" ("+strings.Join(values, ", ")+")")
	}
	for _, filter := range []string{r.table.filter, r.predicate} {
		if filter != "" {
			all = append(all, "("+filter+")")
		}
	}
	if len(all) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(all, " AND "), nil
}

func writeCursor(values []string) (string, error) {
	text, err := json.Marshal(values)
	return string(text), err
}

func readCursor(text string) (values []string, err error) {
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		return nil, fmt.Errorf("cursor %q: %w", text, err)
	}
	return values, nil
}

// cursorOf is the cursor at a packed row.
func cursorOf(t *schema.Table, packed []byte) (string, error) {
	row, err := t.Layout().Row(packed)
	if err != nil {
		return "", err
	}
	var values []string
	for _, i := range t.KeyColumns() {
		values = append(values, string(schema.AppendText(nil, &t.Columns[i], row, i)))
	}
	return writeCursor(values)
}

// Fill implements sources.ChunkReader.
func (r *chunkReader) Fill(ctx context.Context, ch *sources.Chunk, part sources.Range) (place sources.Place, err error) {
	high, err := r.openView(ctx, ch)
	if err == nil {
		place, err = r.read(ctx, ch, part)
	}
	if err == nil {
		err = r.c.exec(ctx, "COMMIT") // by this, what the reading itself has written to the WAL is flushed soon
	}
	if err != nil {
		r.Close() // a COPY may be under way in the session, or a failed transaction
	}
	if err != nil && !errors.Is(err, errFull) {
		return place, err
	}
	place.Reached = func() bool { return r.passed.reached(high) }
	r.passed.ask()
	return place, nil
}

// openView opens a view that shows every transaction that has been handed over up to now, and returns the LSN before which all that
// it shows lies.
func (r *chunkReader) openView(ctx context.Context, ch *sources.Chunk) (high LSN, err error) {
	before := r.passed.place()
	begun := time.Now()
	for pause := time.Millisecond; ; pause = min(2*pause, viewPauseMax) {
		if err := r.connect(ctx); err != nil {
			return 0, err
		}
		high, wanting, err := r.tryView(ctx, ch, before)
		if err != nil || wanting == "" {
			r.held("")
			return high, err
		}
		if time.Since(begun) > sayAfter {
			r.held(wanting)
		}
		if err := sources.Pause(ctx, pause); err != nil {
			return 0, err
		}
	}
}

// tryView opens a view, or says what it would not show. The table is locked first: a rewritten or emptied table looks empty to a
// snapshot from before.
func (r *chunkReader) tryView(ctx context.Context, ch *sources.Chunk, before uint64) (high LSN, wanting string, err error) {
	from, err := ParsePosition(ch.From)
	if err != nil {
		return 0, "", err
	}
	replayed, standby, err := r.c.replayed(ctx)
	if err != nil {
		return 0, "", err
	}
	if standby && replayed < from.End {
		return 0, "the standby, which has not come to " + from.End.String(), nil
	}
	err = r.c.exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '"+copyLockTimeout+"'; LOCK TABLE "+
		r.table.only()+" IN ACCESS SHARE MODE")
	if err != nil {
		return 0, "", fmt.Errorf("lock table for reading: %w", err)
	}
	v, high, err := r.c.viewed(ctx)
	if err != nil {
		return 0, "", err
	}
	if xid, ok := r.passed.hidden(v, before); ok {
		return 0, fmt.Sprintf("transaction %d, which has committed and cannot be seen yet", xid), r.c.exec(ctx, "ROLLBACK")
	}
	return high, "", r.checkColumns(ctx, ch.Table)
}

// replayed is how far a standby has come.
func (c *catalog) replayed(ctx context.Context) (at LSN, standby bool, err error) {
	row, err := c.one(ctx, `SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.pg_last_wal_replay_lsn()`)
	if err != nil {
		return 0, false, err
	}
	return row[1].lsn(), row[0].bool(), nil
}

// viewed is the snapshot of the session, and the end of the WAL after it was taken.
func (c *catalog) viewed(ctx context.Context) (v snapshot, after LSN, err error) {
	row, err := c.one(ctx, `SELECT pg_catalog.pg_current_snapshot()::text, `+insertedSQL)
	if err != nil {
		return v, 0, err
	}
	v, err = parseSnapshot(row[0].text())
	return v, withoutHeader(row[1].lsn()), err
}

// checkColumns makes sure that the names still mean the table and the columns that they meant. Columns that have been added since do
// not matter: the stream tells of them.
func (r *chunkReader) checkColumns(ctx context.Context, t *schema.Table) error {
	rows, err := r.c.query(ctx, `
SELECT attnum, attname, atttypid, pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped AND attrelid = pg_catalog.to_regclass($2)`,
		strconv.FormatUint(uint64(t.SourceTable), 10), r.table.quoted())
	if err != nil {
		return err
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		if !slices.ContainsFunc(rows, func(r row) bool {
			return uint32(r[0].int()) == c.ID && r[1].text() == c.Name && uint32(r[2].int()) == c.SourceType && r[3].text() == c.SQLType
		}) {
			return errReshaped
		}
	}
	return nil
}

// read adds rows of the range to the chunk until it is full.
func (r *chunkReader) read(ctx context.Context, ch *sources.Chunk, part sources.Range) (sources.Place, error) {
	table, err := r.compile(ctx, ch.Table)
	if err != nil {
		return sources.Place{}, err
	}
	where, err := r.conditions(ch.Table, part.After, part.UpTo)
	if err != nil {
		return sources.Place{}, err
	}
	limit := r.limit()
	f := filling{ch: ch}
	in := &copyReader{table: ch.Table, decode: table.decode, binary: table.binary, sink: f.row}
	sql := table.selectSQL() + where + " ORDER BY " + keyNames(ch.Table) + " LIMIT " + strconv.Itoa(limit)
	_, err = r.c.conn.CopyTo(ctx, in, table.copyOut(sql))
	if err == nil {
		err = in.finish()
	}
	if err != nil && !errors.Is(err, errFull) {
		return sources.Place{}, r.refused(err)
	}
	if ch.Len() > 0 {
		r.width = float64(f.bytes) / float64(ch.Len())
	}
	place := sources.Place{Cursor: part.UpTo, Last: part.Last}
	if f.full || ch.Len() == limit {
		var cursorErr error
		if place.Cursor, cursorErr = cursorOf(ch.Table, f.last); cursorErr != nil {
			return place, cursorErr
		}
		place.Last = false
	}
	return place, err
}

// compile makes the decoders of the version for this session.
func (r *chunkReader) compile(ctx context.Context, t *schema.Table) (*copyTable, error) {
	types := make([]uint32, len(t.Columns))
	for i := range t.Columns {
		types[i] = t.Columns[i].SourceType
	}
	if err := r.c.types.load(ctx, types); err != nil {
		return nil, err
	}
	return r.c.compile(r.table, t), nil
}

// limit is how many rows will about fill a chunk.
func (r *chunkReader) limit() int {
	width := r.width
	if width == 0 && r.table.estimate > 0 {
		width = float64(r.table.pages) * 8192 / r.table.estimate
	}
	if width == 0 {
		return unknownRows
	}
	return max(int(chunkBytes*5/4/max(width, 1)), fewestRows)
}

// filling puts rows into a chunk until it is full.
type filling struct {
	ch             *sources.Chunk
	full           bool
	last           []byte
	bytes, surplus int
}

func (f *filling) row(_ *schema.Table, packed []byte) error {
	if f.full {
		if f.surplus += len(packed); f.surplus > surplusBytes {
			return errFull
		}
		return nil
	}
	f.bytes += len(packed)
	f.last = append(f.last[:0], packed...)
	var err error
	f.full, err = f.ch.Add(packed)
	return err
}
