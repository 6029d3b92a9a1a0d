package sources

import (
	"context"
	"errors"
	"fmt"

	"cdc/changelog"
	"cdc/schema"
)

// Chunk is a range of a table's rows on its way into the log. One goroutine at a time fills it: Open, read From, Add every row that
// the view holds, Append. Close it in any case.
type Chunk struct {
	// Table is the version that rows are packed in.
	Table *schema.Table
	// From is how far the log had the source when the chunk was opened: the chunk's view must hold everything up to it. The
	// changes after it are held against the rows.
	From changelog.Position

	copy *TableCopy
	most int // rows; 0 when only their size bounds them
	chunkRows

	// guarded by copy.mu
	changed      map[string][]byte // what became of keys since From; nil: gone
	changedBytes int
	read         bool                // all rows are here: changes of other keys do not matter
	keys         map[string]struct{} // those of the rows, once they are all here and something has changed
	stale        bool
}

// chunkRows are a chunk's rows. The memory goes from one chunk to the next.
type chunkRows struct {
	rows []byte // packed, one after another
	ends []int
	// names are the rows' keys, one after another.
	names    []byte
	nameEnds []int
}

// Open opens a chunk: from here on the table's changes are held against its rows.
func (c *TableCopy) Open() *Chunk {
	c.mu.Lock()
	defer c.mu.Unlock()
	chunk := &Chunk{Table: c.table, copy: c, changed: map[string][]byte{}}
	if n := len(c.spare); n > 0 {
		chunk.chunkRows, c.spare = c.spare[n-1], c.spare[:n-1]
	}
	chunk.From = c.w.Progress().Position // read when changes are already being kept, so that none is missed
	c.chunks = append(c.chunks, chunk)
	return chunk
}

// Close forgets the chunk, whose memory another one may have from here on.
func (ch *Chunk) Close() {
	c := ch.copy
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, other := range c.chunks {
		if other == ch {
			c.chunks = append(c.chunks[:i], c.chunks[i+1:]...)
			c.spare = append(c.spare, chunkRows{ch.rows[:0], ch.ends[:0], ch.names[:0], ch.nameEnds[:0]})
			ch.chunkRows = chunkRows{}
			return
		}
	}
}

// Add adds a row, which it copies, and reports whether the chunk is full: then its range ends with this row.
func (ch *Chunk) Add(packed []byte) (full bool, err error) {
	row, err := ch.Table.Layout().Row(packed)
	if err != nil {
		return false, err
	}
	if ch.names, err = schema.AppendKey(ch.names, ch.Table, row); err != nil {
		return false, err
	}
	ch.nameEnds = append(ch.nameEnds, len(ch.names))
	ch.rows = append(ch.rows, packed...)
	ch.ends = append(ch.ends, len(ch.rows))
	return len(ch.rows) >= chunkBytes || ch.Len() == ch.most, nil
}

// Len is the number of rows.
func (r *chunkRows) Len() int { return len(r.ends) }

func (r *chunkRows) row(i int) []byte  { return piece(r.rows, r.ends, i) }
func (r *chunkRows) name(i int) []byte { return piece(r.names, r.nameEnds, i) }

// piece is the i-th of pieces that stand one after another.
func piece(all []byte, ends []int, i int) []byte {
	start := 0
	if i > 0 {
		start = ends[i-1]
	}
	return all[start:ends[i]]
}

// has reports whether one of the rows has the key. copy.mu is held.
func (ch *Chunk) has(key string) bool {
	if ch.keys == nil {
		ch.keys = make(map[string]struct{}, ch.Len())
		for i := range ch.Len() {
			ch.keys[string(ch.name(i))] = struct{}{}
		}
	}
	_, has := ch.keys[key]
	return has
}

// take notes a committed change. copy.mu is held.
func (ch *Chunk) take(k *keyedChange) {
	if ch.stale {
		return
	}
	if ch.read && !ch.has(k.key) {
		return
	}
	row := k.row
	if row != nil && partial(ch.Table, row) {
		if before := ch.changed[k.key]; before != nil {
			row = overlay(ch.Table, before, row)
		}
	}
	ch.changed[k.key] = row
	if ch.changedBytes += len(k.key) + len(row); ch.changedBytes > notedBytes {
		ch.stale, ch.changed = true, nil
	}
}

// overlay is the older row with the columns that the newer one holds in their place. Both have been read before.
func overlay(t *schema.Table, older, newer []byte) []byte {
	a, errA := t.Layout().Row(older)
	b, errB := t.Layout().Row(newer)
	if errA != nil || errB != nil {
		return newer
	}
	var builder schema.Builder
	builder.Reset(t.Layout(), nil)
	for i := range t.Columns {
		if b.State(i) != schema.Absent {
			builder.Copy(i, b, i)
		} else if a.State(i) != schema.Absent {
			builder.Copy(i, a, i)
		}
	}
	merged, err := builder.Finish()
	if err != nil {
		return newer
	}
	return merged
}

// Place is where a chunk stands in the copy of its table.
type Place struct {
	// Cursor is where the next chunk begins.
	Cursor string
	// Last says that there is none.
	Last bool
	// Reached reports whether the stream has passed everything that the chunk's view may hold. It is called between transactions.
	Reached func() bool
}

// Append waits until the stream has passed the chunk's view, and appends the rows as they are then. It returns ErrStale when they
// must be read again. Chunks of a table are appended one after another, in the order of their ranges.
func (ch *Chunk) Append(ctx context.Context, p Place) error {
	ch.copy.mu.Lock()
	ch.read = true
	ch.copy.mu.Unlock()
	w := ch.copy.w
	for {
		all := w.copies.Load()
		if all == nil || all.byTable[ch.Table.ID] != ch.copy {
			return errors.New("the copy has ended")
		}
		done, err := ch.tryAppend(ctx, p)
		if done || err != nil {
			return err
		}
		select {
		case <-all.moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// tryAppend appends between two transactions, if the stream has come far enough.
func (ch *Chunk) tryAppend(ctx context.Context, p Place) (done bool, err error) {
	w, c := ch.copy.w, ch.copy
	// The open transaction has the turn. When the stream has ended within it, it is given up only after the copies have ended.
	if err := w.turn.takeWithin(ctx); err != nil {
		return false, err
	}
	defer w.turn.give()
	if all := w.copies.Load(); all == nil || all.byTable[ch.Table.ID] != c {
		return false, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.again {
		return true, errAgain
	}
	if ch.stale || c.outdated() { // a row of the older version would hide what its new columns have got since
		return true, ErrStale
	}
	if !p.Reached() {
		return false, nil
	}
	if err := ch.build(p); err != nil {
		return true, errors.Join(err, w.forget())
	}
	if err := w.commitCopy(ctx); err != nil {
		return true, errors.Join(err, w.forget())
	}
	return true, nil
}

// errAgain says that the copy of the table has begun again.
var errAgain = errors.New("the copy has begun again")

// note puts into the writer's unit how far the chunk brings the copy.
func (ch *Chunk) note(p Place) {
	unit := &ch.copy.w.unit
	switch reread := ch.copy.reread; {
	case reread != nil && p.Last:
		unit.AddReread(changelog.Reread{Table: reread.Table, Asked: reread.Asked, Stage: changelog.RereadComplete})
	case reread != nil:
		unit.AddReread(changelog.Reread{Table: reread.Table, Asked: reread.Asked, Stage: changelog.RereadUnderWay, Cursor: p.Cursor})
	case p.Last:
		unit.AddTableState(changelog.TableState{Table: ch.Table.ID, State: changelog.TableComplete})
	default:
		unit.AddTableState(changelog.TableState{Table: ch.Table.ID, State: changelog.TableCopying, Cursor: p.Cursor})
	}
}

// build puts the chunk into the writer's unit.
func (ch *Chunk) build(p Place) error {
	w := ch.copy.w
	w.tx = w.state.Begin()
	ch.note(p)
	for i := range ch.Len() {
		row := ch.row(i)
		if after, ok := ch.changed[string(ch.name(i))]; ok {
			if after == nil {
				continue // it is gone by now
			}
			row = overlay(ch.Table, row, after)
		}
		if err := w.applyRead(ch.Table, row); err != nil {
			return fmt.Errorf("append chunk of %s: %w", ch.Table.FullName(), err)
		}
		w.unit.RowChange(changelog.OpRead, ch.Table, changelog.ImageNone, nil, row, nil)
		if err := w.unit.Err(); err != nil {
			return err
		}
		if err := w.spill(); err != nil {
			return err
		}
	}
	return nil
}
