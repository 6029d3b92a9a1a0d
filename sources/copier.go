package sources

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"cdc/schema"
)

// Range is a range of a table in the order of its key. Cursors are in the words of the source.
type Range struct {
	// After is the last key before the range, "" for the beginning of the table.
	After string
	// UpTo is the last key of the range; not looked at when Last is set, as the range then has no end.
	UpTo string
	Last bool
}

// Measured is a range that was read, and how many rows it had.
type Measured struct {
	Range
	Rows int
}

// ChunkReader reads tables in ranges, on a session of its own. It is for one goroutine.
type ChunkReader interface {
	// Bound is the range of about so many rows that begins after the cursor. When the last range that was read is given, the next
	// may be cut like it, without rows being counted; else last is nil.
	Bound(ctx context.Context, t *schema.Table, after string, rows int, last *Measured) (Range, error)
	// Fill opens a view that holds everything up to ch.From, and adds to the chunk the rows of the range, in the order of the key,
	// until the chunk is full. It returns the place that it has come to.
	Fill(ctx context.Context, ch *Chunk, r Range) (Place, error)
	Close()
}

// Copier copies tables in chunks, with several readers side by side. All fields are required but Appended.
type Copier struct {
	Writer *Writer
	// Open makes a reader.
	Open func(ctx context.Context) (ChunkReader, error)
	// Readers is how many read at once.
	Readers int
	// Rows is how many rows a range has, about. A chunk has twice as many at the most.
	Rows int
	// Throttle is called before so many rows are read, and may wait. The planner and every reader call it, at any time.
	Throttle func(ctx context.Context, rows int) error
	// Appended, when set, is told of every chunk's rows, in the order of the log, never twice at once.
	Appended func(t *schema.Table, rows int)
}

// staleMost is how often a range is read again before the copy is given up until the next try: a table that is changed by more
// than notedBytes while one chunk is read will not fit later either.
const staleMost = 20

// Copy copies one table, or the rest of it when the log holds a part. It returns ErrStale when the table's columns have changed
// meanwhile, or it was dropped, rewritten or left out: then it must be called with the new version, if there is one. The stream must be
// running.
func (c *Copier) Copy(ctx context.Context, t *schema.Table, detail string) error {
	for {
		tc, cursor, err := c.Writer.copyCaptured(ctx, t, detail)
		if err != nil {
			return err
		}
		err = c.run(ctx, tc, cursor)
		tc.Done()
		if !errors.Is(err, errAgain) {
			return err
		}
	}
}

// ranged is a range in the order of its table: it is appended when ready is closed, and closes done.
type ranged struct {
	Range
	ready <-chan struct{}
	done  chan struct{}
}

func (c *Copier) run(ctx context.Context, tc *TableCopy, cursor string) error {
	group, ctx := errgroup.WithContext(ctx)
	ranges := make(chan ranged)
	first, err := c.Open(ctx)
	if err != nil {
		return err
	}
	group.Go(func() error {
		defer close(ranges)
		defer first.Close()
		return c.plan(ctx, first, tc, cursor, ranges)
	})
	for range c.Readers {
		group.Go(func() error {
			var reader ChunkReader
			for r := range ranges {
				if reader == nil { // a small table needs one
					var err error
					if reader, err = c.Open(ctx); err != nil {
						return err
					}
					defer reader.Close()
				}
				if err := c.copyRange(ctx, reader, tc, r); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// plan cuts the table into ranges.
func (c *Copier) plan(ctx context.Context, reader ChunkReader, tc *TableCopy, cursor string, ranges chan<- ranged) error {
	t := tc.table
	ready := make(chan struct{})
	close(ready)
	for {
		r, err := reader.Bound(ctx, t, cursor, c.Rows, tc.measured.Load())
		if err != nil {
			return fmt.Errorf("find the next chunk of %s: %w", t.FullName(), err)
		}
		if err := c.Throttle(ctx, c.Rows); err != nil {
			return err
		}
		next := ranged{Range: r, ready: ready, done: make(chan struct{})}
		select {
		case ranges <- next:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if r.Last {
			return nil
		}
		cursor, ready = r.UpTo, next.done
	}
}

// copyRange copies one range, in one chunk or in several when its rows are wide or more than planned.
func (c *Copier) copyRange(ctx context.Context, reader ChunkReader, tc *TableCopy, r ranged) error {
	measured := Measured{Range: r.Range}
	for stale := 0; ; {
		place, rows, err := c.copyChunk(ctx, reader, tc, r)
		switch {
		case errors.Is(err, errAgain):
			return err
		case errors.Is(err, ErrStale):
			if stale++; stale > staleMost || tc.outdated() {
				return err
			}
			continue
		case err != nil:
			return err
		}
		planned := max(measured.Rows, c.Rows)
		measured.Rows += rows
		if err := c.throttle(ctx, measured.Rows-planned); err != nil {
			return err
		}
		if place.Last || !r.Last && place.Cursor == r.UpTo {
			tc.measured.Store(&measured)
			close(r.done)
			return nil
		}
		r.After = place.Cursor
	}
}

// throttle waits for rows that were read beside those that were planned.
func (c *Copier) throttle(ctx context.Context, rows int) error {
	for ; rows > 0; rows -= c.Rows {
		if err := c.Throttle(ctx, min(rows, c.Rows)); err != nil {
			return err
		}
	}
	return nil
}

// copyChunk copies one chunk, and returns the place that it ends at and the number of its rows.
func (c *Copier) copyChunk(ctx context.Context, reader ChunkReader, tc *TableCopy, r ranged) (place Place, rows int, err error) {
	ch := tc.Open()
	defer ch.Close()
	ch.most = 2 * c.Rows
	if place, err = reader.Fill(ctx, ch, r.Range); err != nil {
		return place, 0, fmt.Errorf("read table %s: %w", ch.Table.FullName(), err)
	}
	select {
	case <-r.ready:
	case <-ctx.Done():
		return place, 0, context.Cause(ctx)
	}
	if err := ch.Append(ctx, place); err != nil {
		return place, 0, err
	}
	if c.Appended != nil {
		c.Appended(ch.Table, ch.Len())
	}
	return place, ch.Len(), nil
}

// outdated reports whether the table has got another version since the copy was opened, or the log does not want its chunks any more:
// the table was dropped or rewritten.
func (c *TableCopy) outdated() bool {
	at, ok := c.w.log.Catalog().TableAt(c.table.ID, newest)
	return ok && at.Table != c.table || !c.wanted()
}
