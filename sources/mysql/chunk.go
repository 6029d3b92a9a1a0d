package mysql

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
	"cdc/sources/mysql/value"
)

// chunkReader implements sources.ChunkReader.
type chunkReader struct {
	*viewer
	// logged reads a position of the log.
	logged func(changelog.Position) (*Position, error)
	// reached reports whether the stream has handled everything before a place of the binlog.
	reached func(file string, offset uint64) bool
	// rested reports whether the stream had handled these transactions when the server of MariaDB had last nothing to send.
	rested func(*binlog.MariaPos) bool
	// predicate, when set, chooses the rows.
	predicate string
	// last is the table that was read last.
	last *rangeReader
}

var _ sources.ChunkReader = (*chunkReader)(nil)

// mariaEnd is what MariaDB's binlog holds by now, nil for MySQL. It stands beside the place: events that are no transactions, such as
// the checkpoints behind a rotation, move the place of a view, and the stream may hear of them only with the next transaction.
func (r *chunkReader) mariaEnd() (*binlog.MariaPos, error) {
	if r.is.flavour != flavourMariaDB || r.rested == nil {
		return nil, nil
	}
	text, err := r.gtidBinlogPos()
	if err != nil {
		return nil, err
	}
	return binlog.ParseMariaPos(text)
}

// openReader makes a reader of chunks.
func (s *Source) openReader(ctx context.Context, reached func(file string, offset uint64) bool) (sources.ChunkReader, error) {
	v, err := s.openViewer(ctx)
	if err != nil {
		return nil, err
	}
	return &chunkReader{viewer: v, logged: s.logged, reached: reached}, nil
}

// Close implements sources.ChunkReader.
func (r *chunkReader) Close() { r.close() }

// rangeReader reads a table in the order of its key.
type rangeReader struct {
	*tableReader
	order     keyOrder
	predicate string
	// place is where the columns of the key are among those selected.
	place      []int
	key        [][]byte // of the last row
	rows, size int64    // read so far
}

// rangesOf is the reader of a table's ranges.
func (r *chunkReader) rangesOf(t *schema.Table) (*rangeReader, error) {
	if r.last != nil && r.last.table == t {
		return r.last, nil
	}
	reader, err := r.readerOf(t)
	if err != nil {
		return nil, err
	}
	order, err := orderOf(&reader.info)
	if err != nil && r.predicate != "" { // the key is gone, and the log gets to know with the table's next change
		err = fmt.Errorf("%w: %w", sources.ErrStale, err)
	}
	if err != nil {
		return nil, err
	}
	next := &rangeReader{tableReader: reader, order: order, predicate: r.predicate, key: make([][]byte, len(order.parts))}
	next.selects += next.hint()
	for _, p := range order.parts {
		at := slices.IndexFunc(t.Columns, func(c schema.Column) bool { return c.Name == p.column.Name })
		if at < 0 {
			return nil, fmt.Errorf("table %s has another key: %w", t.FullName(), sources.ErrStale)
		}
		next.place = append(next.place, at)
	}
	next.rows, next.size = 1, max(reader.info.rowBytes, 1)
	r.last = next
	return next, nil
}

// hint has rows read by their key. Those that match a predicate may be found by another index.
func (r *rangeReader) hint() string {
	if r.predicate != "" {
		return ""
	}
	return " FORCE INDEX (" + quoteName(r.info.index) + ")"
}

// Bound implements sources.ChunkReader.
func (r *chunkReader) Bound(_ context.Context, t *schema.Table, after string, rows int, last *sources.Measured) (sources.Range, error) {
	bound, err := r.bound(t, after, rows, last)
	return bound, r.blame(t, err)
}

func (r *chunkReader) bound(t *schema.Table, after string, rows int, last *sources.Measured) (sources.Range, error) {
	table, err := r.rangesOf(t)
	if err != nil {
		return sources.Range{}, err
	}
	bound := sources.Range{After: after}
	if ahead, ok := table.ahead(after, rows, last); ok {
		bound.UpTo, err = table.keyAt(ahead, 1)
	}
	if bound.UpTo == "" && err == nil {
		bound.UpTo, err = table.keyAt(after, rows)
	}
	bound.Last = bound.UpTo == ""
	return bound, err
}

// ahead is the cursor just before the key that a range of so many rows ends with when keys are as dense as in the last range. The
// server steps over every row that it counts, which costs it as much as reading the range; a key it finds at once. Where keys have
// become rare, rows are counted again: a measure that grows would swallow what comes behind a gap.
func (r *rangeReader) ahead(after string, rows int, last *sources.Measured) (cursor string, ok bool) {
	if r.predicate != "" || last == nil || last.Last || last.Rows < rows/2 {
		return "", false
	}
	from, fromOK := r.order.integer(last.After)
	to, toOK := r.order.integer(last.UpTo)
	key, keyOK := r.order.integer(after)
	if !fromOK || !toOK || !keyOK {
		return "", false
	}
	span := to.Sub(to, from)
	span.Mul(span, big.NewInt(int64(rows))).Quo(span, big.NewInt(int64(max(last.Rows, 1))))
	if span.Sign() <= 0 {
		return "", false
	}
	key.Add(key, span).Sub(key, big.NewInt(1))
	return r.order.cursor([][]byte{key.Append(nil, 10)}), true
}

// keyAt is the cursor of the key that so many rows end with, empty when there are fewer.
func (r *rangeReader) keyAt(after string, rows int) (cursor string, err error) {
	sql, err := r.boundSQL(after, rows)
	if err != nil {
		return "", err
	}
	err = r.each(sql, func(key [][]byte) error {
		cursor = r.order.cursor(key)
		return nil
	})
	return cursor, err
}

// boundSQL selects the key that so many rows end with.
func (r *rangeReader) boundSQL(after string, rows int) (string, error) {
	where, err := r.where(after, "")
	if err != nil {
		return "", err
	}
	exprs := make([]string, len(r.order.parts))
	for i := range r.order.parts {
		exprs[i] = r.order.parts[i].column.SelectExpr()
	}
	return "SELECT " + strings.Join(exprs, ", ") + " FROM " + r.info.from() + r.hint() + where +
		" ORDER BY " + r.order.by() + " LIMIT 1 OFFSET " + strconv.Itoa(max(rows, 1)-1), nil
}

// where is the condition for a range; empty cursors leave it open.
func (r *rangeReader) where(after, upTo string) (string, error) {
	var conditions []string
	for _, side := range []struct {
		cursor    string
		condition func([]keyValue) string
	}{{after, r.order.beyond}, {upTo, r.order.upTo}} {
		if side.cursor == "" {
			continue
		}
		values, err := r.order.read(side.cursor)
		if err != nil {
			return "", fmt.Errorf("table %s: %w", r.table.FullName(), err)
		}
		conditions = append(conditions, "("+side.condition(values)+")")
	}
	if r.predicate != "" {
		conditions = append(conditions, "("+r.predicate+")")
	}
	if len(conditions) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(conditions, " AND "), nil
}

// Fill implements sources.ChunkReader.
func (r *chunkReader) Fill(ctx context.Context, ch *sources.Chunk, bounds sources.Range) (sources.Place, error) {
	place, err := r.fillAtView(ctx, ch, bounds)
	return place, r.blame(ch.Table, err)
}

// fillAtView fills the chunk at a view.
func (r *chunkReader) fillAtView(ctx context.Context, ch *sources.Chunk, bounds sources.Range) (sources.Place, error) {
	table, err := r.rangesOf(ch.Table)
	if err != nil {
		return sources.Place{}, err
	}
	from, err := r.logged(ch.From)
	if err != nil {
		return sources.Place{}, err
	}
	high, err := r.open(ctx, from)
	if err != nil {
		return sources.Place{}, err
	}
	filled, err := r.fill(ctx, table, ch, bounds)
	if err == nil && !table.info.snapshots() {
		high, err = r.end() // what was read may be later than the view
	}
	if ended := r.exec("COMMIT"); err == nil {
		err = ended
	}
	var done *binlog.MariaPos
	if err == nil {
		done, err = r.mariaEnd()
	}
	filled.Reached = func() bool { return r.reached(high.file, high.offset) || done != nil && r.rested(done) }
	return filled, err
}

// queryBytes is about how much one query reads: what a full chunk has no use for is at most so much.
const queryBytes = 1 << 20

// queryRowsMost bounds the rows of one query.
const queryRowsMost = 100_000

// fill reads the range until it ends or the chunk is full.
func (r *chunkReader) fill(ctx context.Context, t *rangeReader, ch *sources.Chunk, bounds sources.Range) (sources.Place, error) {
	if err := t.checkOrder(); err != nil {
		return sources.Place{}, err
	}
	upTo := bounds.UpTo
	if bounds.Last {
		upTo = ""
	}
	for after := bounds.After; ; {
		limit := min(max(queryBytes*t.rows/t.size, 1), queryRowsMost)
		rows, full, err := t.read(ch, after, upTo, limit)
		switch {
		case err != nil:
			return sources.Place{}, err
		case full:
			return sources.Place{Cursor: t.order.cursor(t.key)}, nil
		case rows < limit:
			return sources.Place{Cursor: bounds.UpTo, Last: bounds.Last}, nil
		case ctx.Err() != nil:
			return sources.Place{}, context.Cause(ctx)
		}
		after = t.order.cursor(t.key)
	}
}

// read adds rows to the chunk, at most so many, and counts them.
func (r *rangeReader) read(ch *sources.Chunk, after, upTo string, limit int64) (rows int64, full bool, err error) {
	where, err := r.where(after, upTo)
	if err != nil {
		return 0, false, err
	}
	sql := r.selects + where + " ORDER BY " + r.order.by() + " LIMIT " + strconv.FormatInt(limit, 10)
	err = r.each(sql, func(fields [][]byte) error {
		for _, f := range fields {
			r.size += int64(len(f))
		}
		r.rows++
		if full {
			return nil
		}
		packed, err := r.pack(fields)
		if err != nil {
			return err
		}
		rows++
		for i, at := range r.place {
			r.key[i] = append(r.key[i][:0], fields[at]...)
		}
		full, err = ch.Add(packed)
		return err
	})
	return rows, full, err
}

// checkOrder makes sure that the collations are those that the range was cut under. From here to the end of the transaction the
// table's definition cannot change.
func (r *rangeReader) checkOrder() error {
	var exprs, want []string
	for i := range r.order.parts {
		p := &r.order.parts[i]
		if !p.collated() {
			continue
		}
		at := slices.IndexFunc(r.info.columns, func(c value.Column) bool { return c.Name == p.column.Name })
		exprs, want = append(exprs, "COLLATION("+p.name+")"), append(want, r.info.collations[at])
	}
	if len(exprs) == 0 {
		return nil
	}
	rows, err := r.query("SELECT " + strings.Join(exprs, ", ") + " FROM " + r.info.from() + " LIMIT 1")
	if err != nil || len(rows) == 0 {
		return err
	}
	for i, found := range rows[0] {
		if sameCollation(found.s) != sameCollation(want[i]) {
			return fmt.Errorf("table %s: %w", r.table.FullName(), errCursor)
		}
	}
	return nil
}

// sameCollation is the collation's name in the words of newer servers, of which some use both.
func sameCollation(name string) string {
	if rest, ok := strings.CutPrefix(name, "utf8_"); ok {
		return "utf8mb3_" + rest
	}
	return name
}
