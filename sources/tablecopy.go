package sources

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"cdc/changelog"
	"cdc/changelog/rowstate"
	"cdc/schema"
)

// Limits of a copy in chunks.
const (
	// chunkBytes is the size at which a chunk of rows is closed. It keeps a unit far below what goes to a side segment.
	chunkBytes = 4 << 20
	// notedBytes bounds the changes that one chunk, or the open transaction of one table, is held against. A chunk that would
	// need more is read again.
	notedBytes = 64 << 20
)

// ErrStale says that what has been read of a table does not fit the stream any more, and must be read again: the table was
// emptied or changed its columns meanwhile, or too much of it was changed.
var ErrStale = errors.New("the chunk must be read again")

// copies are the tables that are being copied in chunks. It is replaced as a whole, never changed.
type copies struct {
	byTable map[schema.TableID]*TableCopy
	moved   chan struct{} // closed when the stream has moved on
}

// TableCopy copies one table in chunks while its changes stream. Each chunk is read at a view of its own, by any goroutine; when the
// stream has passed everything that the view may hold, the rows are overlaid with the changes that it may lack, and appended
// between two transactions. So a reader of the log never sees a row go back. docs/decisions/0013 has the argument.
type TableCopy struct {
	w *Writer
	// reread is the reread that the chunks belong to; nil when the whole table is copied.
	reread *changelog.Reread
	// measured is the last range that was copied.
	measured atomic.Pointer[Measured]

	mu    sync.Mutex    // guards all below
	table *schema.Table // the version that chunks are packed in
	// chunks are open: their rows are being read, or wait for the stream.
	chunks []*Chunk
	// spare is memory of closed chunks, at most as many as were ever open at once.
	spare []chunkRows
	// noted are the open transaction's changes.
	noted noted
	// again says that the copy has begun again since it was opened.
	again bool
}

// noted are changes of one table, in order.
type noted struct {
	changes []keyedChange
	bytes   int
	// all says that the changes concern rows that they do not name, or are too many to hold.
	all bool
	// again says that the copy begins again with them.
	again bool
}

// keyedChange is what became of the row under a key: its new bytes, or nil when it is gone.
type keyedChange struct {
	key string
	row []byte
}

// CopyTable begins a copy of the table, or takes one up that the log holds in part, and returns the cursor that it has come to, ""
// for the beginning. It may be called by any goroutine while the stream runs, and returns ErrStale when the log has a newer version
// of the table.
func (w *Writer) CopyTable(ctx context.Context, t *schema.Table, detail string) (c *TableCopy, cursor string, err error) {
	if err := w.turn.takeWithin(ctx); err != nil {
		return nil, "", err
	}
	defer w.turn.give()
	return w.copyTable(ctx, t, detail)
}

// copyCaptured is CopyTable, but for a table that the log does not capture any more: what it was read for has passed, so it is stale.
func (w *Writer) copyCaptured(ctx context.Context, t *schema.Table, detail string) (c *TableCopy, cursor string, err error) {
	if err := w.turn.takeWithin(ctx); err != nil {
		return nil, "", err
	}
	defer w.turn.give()
	if at, ok := w.log.Catalog().TableAt(t.ID, newest); ok && at.State.State.Ended() {
		return nil, "", ErrStale
	}
	return w.copyTable(ctx, t, detail)
}

// copyTable is CopyTable. The turn is the caller's.
func (w *Writer) copyTable(ctx context.Context, t *schema.Table, detail string) (c *TableCopy, cursor string, err error) {
	if len(t.KeyColumns()) == 0 {
		return nil, "", fmt.Errorf("copy table %s in chunks: it has no key", t.FullName())
	}
	if w.log.Catalog().Version(t.Version) != t {
		t = w.log.Catalog().Register(w.info.Epoch, t)
	}
	at, ok := w.log.Catalog().TableAt(t.ID, newest)
	if ok && at.Table.Version > t.Version {
		return nil, "", ErrStale
	}
	if ok && at.State.State == changelog.TableCopying && at.Table == t {
		cursor = at.State.Cursor
	} else {
		if err := w.beginCopy(ctx, t, detail); err != nil {
			return nil, "", err
		}
	}
	c = &TableCopy{w: w, table: t}
	w.setCopy(t.ID, c)
	return c, cursor, nil
}

// BeginCopies appends one unit with which copies of several tables begin, at the position and time of the commit: what the stream
// brings of them after it counts, before any chunk has come. Each is then copied through CopyTable. Nothing may be open.
func (w *Writer) BeginCopies(ctx context.Context, all []*schema.Table, at Commit) error {
	w.open()
	w.tx = w.state.Begin()
	for _, t := range all {
		t = w.Register(t)
		w.unit.AddTableState(changelog.TableState{Table: t.ID, State: changelog.TableCopying})
		if err := w.tx.Truncate(t.ID); err != nil {
			return errors.Join(err, w.Abort())
		}
	}
	at.Kind = changelog.UnitCopy
	_, err := w.Commit(ctx, at)
	return err
}

// beginCopy appends the unit with which a copy begins. The turn is the caller's.
func (w *Writer) beginCopy(ctx context.Context, t *schema.Table, detail string) error {
	w.tx = w.state.Begin()
	err := w.tx.Truncate(t.ID)
	if err == nil {
		if !w.log.Catalog().Logged(t.Version) {
			w.unit.AddTable(t)
		}
		w.unit.AddTableState(changelog.TableState{Table: t.ID, State: changelog.TableCopying, Detail: detail})
		err = w.commitCopy(ctx)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("begin copy of %s: %w", t.FullName(), err), w.forget())
	}
	return nil
}

// commitCopy appends what has been built, at the place where the stream is.
func (w *Writer) commitCopy(ctx context.Context) error {
	at := w.Progress()
	_, err := w.commit(ctx, Commit{Kind: changelog.UnitCopy, Position: at.Position, Time: at.Clock})
	return err
}

// newest is past every offset: what has been appended counts, durable or not.
const newest = changelog.Offset(1<<64 - 1)

// wanted reports whether the log still wants the chunks: its copy of the table is not complete, or, for a reread, it is.
func (c *TableCopy) wanted() bool {
	at, ok := c.w.log.Catalog().TableAt(c.table.ID, newest)
	if c.reread != nil {
		return ok && at.Answerable()
	}
	return ok && at.State.State == changelog.TableCopying
}

// isCopying reports whether the log holds a part of the table only.
func (w *Writer) isCopying(id schema.TableID) bool {
	at, ok := w.log.Catalog().TableAt(id, newest)
	return ok && at.State.State == changelog.TableCopying
}

// checkMove has the copy of the table begin again when a row that the log does not hold whole has moved to another key: chunks that
// have passed that key do not bring it, and those to come do not find it under the old one.
func (w *Writer) checkMove(r *Row, after []byte) error {
	if r.Image == changelog.ImageNone || !partial(r.Table, after) {
		return nil
	}
	from, err := packedKey(r.Table, r.Before)
	if err != nil {
		return err
	}
	to, err := packedKey(r.Table, after)
	if err != nil || string(from) == string(to) {
		return err
	}
	w.unit.AddTableState(changelog.TableState{Table: r.Table.ID, State: changelog.TableCopying, Detail: "a row moved before it was copied; the copy begins again"})
	if c := w.copyOf(r.Table.ID); c != nil {
		c.mu.Lock()
		c.noted.again = true
		c.mu.Unlock()
	}
	return w.tx.Truncate(r.Table.ID)
}

func (w *Writer) copyOf(id schema.TableID) *TableCopy {
	if all := w.copies.Load(); all != nil {
		return all.byTable[id]
	}
	return nil
}

// setCopy adds a table to those being copied, or with nil takes it away.
func (w *Writer) setCopy(id schema.TableID, c *TableCopy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := &copies{byTable: map[schema.TableID]*TableCopy{}, moved: make(chan struct{})}
	if old := w.copies.Load(); old != nil {
		for k, v := range old.byTable {
			next.byTable[k] = v
		}
		next.moved = old.moved
	}
	next.byTable[id] = c
	if c == nil {
		delete(next.byTable, id)
	}
	w.copies.Store(next)
}

// Moved wakes the chunks that wait for the stream. A source calls it when its stream has come further without a transaction or a
// tick; Commit and Tick do so themselves.
func (w *Writer) Moved() {
	if w.copies.Load() == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if old := w.copies.Load(); old != nil {
		w.copies.Store(&copies{byTable: old.byTable, moved: make(chan struct{})})
		close(old.moved)
	}
}

// endCopies forgets all copies and wakes those who wait for them.
func (w *Writer) endCopies() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old := w.copies.Swap(nil); old != nil {
		close(old.moved)
	}
}

// upset notes that the open transaction does something to the table that its changes do not name.
func (w *Writer) upset(id schema.TableID) {
	if c := w.copyOf(id); c != nil {
		c.mu.Lock()
		c.noted.all = true
		c.mu.Unlock()
	}
}

// committed hands what the open transaction did to the chunks.
func (w *Writer) committed() {
	all := w.copies.Load()
	if all == nil {
		return
	}
	for _, c := range all.byTable {
		c.settle()
	}
	w.Moved()
}

// note keeps a change of the open transaction. after is the complete new row, as far as it could be completed.
func (c *TableCopy) note(r *Row, after []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Table != c.table {
		c.noted.all = true // its columns have changed
	}
	if c.noted.all {
		return nil
	}
	var from, to []byte
	var err error
	if r.Image != changelog.ImageNone {
		if from, err = packedKey(r.Table, r.Before); err != nil {
			return err
		}
	}
	if after != nil {
		if to, err = packedKey(r.Table, after); err != nil {
			return err
		}
	}
	if from != nil && string(from) != string(to) {
		c.noted.add(keyedChange{key: string(from)})
	}
	if to != nil {
		c.noted.add(keyedChange{key: string(to), row: append([]byte(nil), after...)})
	}
	return nil
}

func (n *noted) add(k keyedChange) {
	n.changes = append(n.changes, k)
	if n.bytes += len(k.key) + len(k.row); n.bytes > notedBytes {
		*n = noted{all: true, again: n.again}
	}
}

func packedKey(t *schema.Table, packed []byte) ([]byte, error) {
	row, err := t.Layout().Row(packed)
	if err != nil {
		return nil, err
	}
	return schema.AppendKey(nil, t, row)
}

// settle gives the committed transaction's changes to the open chunks.
func (c *TableCopy) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.noted.changes {
		for _, chunk := range c.chunks {
			chunk.take(&c.noted.changes[i])
		}
	}
	if c.noted.all {
		for _, chunk := range c.chunks {
			chunk.stale = true
		}
	}
	c.again = c.again || c.noted.again
	c.noted = noted{changes: c.noted.changes[:0]}
}

// drop forgets the open transaction's changes.
func (c *TableCopy) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noted = noted{changes: c.noted.changes[:0]}
}

func partial(t *schema.Table, packed []byte) bool {
	row, err := t.Layout().Row(packed)
	return err == nil && row.HasAbsent()
}

// Done ends the copy of the table: its changes are no longer held against chunks.
func (c *TableCopy) Done() { c.w.setCopy(c.table.ID, nil) }

// applyRead tells the row state of a copied row, where it needs to know. The turn is the caller's.
func (w *Writer) applyRead(t *schema.Table, packed []byte) error {
	if !w.state.Needs(t, packed) && !w.state.MayHold(t.ID) {
		return nil
	}
	_, _, err := w.tx.Apply(rowstate.Change{Op: changelog.OpRead, Table: t, After: packed})
	return err
}
