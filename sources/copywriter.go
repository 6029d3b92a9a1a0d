package sources

import (
	"fmt"
	"sync"

	"cdc/changelog"
	"cdc/changelog/rowstate"
	"cdc/schema"
)

// Copy is the copy of whole tables into the open transaction of a Writer, by several readers at once. Its rows go to a side
// segment, so that nothing of the copy is visible before its commit.
type Copy struct {
	w  *Writer
	mu sync.Mutex // guards the side segment and the counters of w
}

// StartCopy begins a copy of the tables: their versions and states are added to the open transaction, which must be empty. End it
// with Finish and Writer.Commit with Kind UnitCopy, or with Writer.Abort.
func (w *Writer) StartCopy(tables []*schema.Table) (*Copy, error) {
	w.open()
	for _, t := range tables {
		w.carry(t)
		w.TableState(changelog.TableState{Table: t.ID, State: changelog.TableCopied})
	}
	if w.tx == nil {
		w.tx = w.state.Begin()
	}
	side, err := w.log.NewSide()
	if err != nil {
		return nil, fmt.Errorf("open side segment: %w", err)
	}
	w.setSide(side)
	for _, t := range tables {
		if err := w.tx.Truncate(t.ID); err != nil {
			return nil, err
		}
	}
	return &Copy{w: w}, nil
}

// CopyWriter takes the rows of one reader. It is for one goroutine; several CopyWriters of one Copy may run at once.
type CopyWriter struct {
	c     *Copy
	chunk changelog.UnitBuilder
	wide  []wideRow
}

// wideRow is a row that later updates may send in part.
type wideRow struct {
	table *schema.Table
	row   []byte
}

// Writer makes a writer for one more reader.
func (c *Copy) Writer() *CopyWriter {
	cw := &CopyWriter{c: c}
	cw.chunk.Reset(changelog.UnitCopy)
	return cw
}

// Row adds a row, packed in version t. It is copied.
func (cw *CopyWriter) Row(t *schema.Table, row []byte) error {
	cw.chunk.RowChange(changelog.OpRead, t, changelog.ImageNone, nil, row, nil)
	if err := cw.chunk.Err(); err != nil {
		return err
	}
	if cw.c.w.state.Needs(t, row) {
		cw.wide = append(cw.wide, wideRow{table: t, row: append([]byte(nil), row...)})
	}
	if cw.chunk.ChangeBytes() < sideChunkBytes {
		return nil
	}
	return cw.Flush()
}

// Flush hands over what has been gathered. It must be called once more after the last row.
func (cw *CopyWriter) Flush() error {
	n := cw.chunk.Changes()
	if n == 0 {
		return nil
	}
	cw.c.mu.Lock()
	defer cw.c.mu.Unlock()
	if err := cw.c.w.side.Write(cw.chunk.TakeChanges(), n); err != nil {
		return fmt.Errorf("write side segment: %w", err)
	}
	cw.c.w.unit.AddSideChanges(n)
	cw.c.w.moved += n
	for _, wide := range cw.wide {
		_, _, err := cw.c.w.tx.Apply(rowstate.Change{Op: changelog.OpRead, Table: wide.table, After: wide.row})
		if err != nil {
			return err
		}
	}
	cw.wide = cw.wide[:0]
	cw.chunk.Reset(changelog.UnitCopy)
	return nil
}
