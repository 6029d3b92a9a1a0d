package changelog

import (
	"context"

	"cdc/schema"
)

// Log is an append-only, dense, durable sequence of records. Every implementation passes logtest.Run.
//
// All methods are safe for concurrent use. Several writers may append; one sequencer orders them.
type Log interface {
	// ID is the log's identity, made at random when the log was created.
	ID() [16]byte
	// Bounds says what may be read. Next moves only when what lies before it is durable.
	Bounds() Bounds
	// Catalog is the log's catalog, with what has been appended and is not durable yet. Readers ask it for instants within
	// Bounds.
	Catalog() *Catalog

	// Append gives the unit the next offsets and returns the offset of its commit. It copies the unit; the caller may reuse the
	// builder at once. It returns before the unit is durable and blocks only while too much is waiting for the disk. Meta.First,
	// Meta.Count and Meta.Clock are set in u. An error means that nothing of the unit was appended.
	Append(ctx context.Context, u *UnitBuilder) (Offset, error)
	// WaitDurable blocks until the record at n is durable.
	WaitDurable(ctx context.Context, n Offset) error
	// NewSide opens a side segment for the changes of one transaction.
	NewSide() (SideWriter, error)

	// Cursor reads units in order.
	Cursor(o CursorOptions) (Cursor, error)
	// Search is the commit offset of the first durable unit of the source (of any epoch when epoch is 0) for which after
	// reports true, or Bounds().Next when there is none. after must be monotone over the source's units: once true, true for all
	// later ones. Control units are not asked about.
	Search(ctx context.Context, source SourceID, epoch Epoch, after func(*UnitMeta) bool) (Offset, error)

	Close() error
}

// SideWriter takes the changes of a transaction too large for memory. It is for one goroutine, but for Interrupt. While the disk is
// full, Write and Seal wait for space.
type SideWriter interface {
	// Write adds a piece of a change section: whole records, as UnitBuilder.TakeChanges gives them. It does not keep b.
	Write(b []byte, changes uint64) error
	// Seal makes the segment durable and returns its reference for UnitBuilder.SetSide.
	Seal() (SideRef, error)
	// Interrupt makes calls of Write and Seal that wait for space, now or later, return an error. It may be called at any time, by
	// any goroutine.
	Interrupt()
	// Discard removes the segment; it may be called at any time before a unit that names it is appended.
	Discard() error
}

// CursorOptions say what a cursor reads. The zero value reads the whole log as far as it is durable, then ends.
type CursorOptions struct {
	// From is the offset to begin at: the first unit whose commit is at or after it. Zero is the first kept.
	From Offset
	// To is the last instant to read; zero is the last durable one when the cursor is opened, or for ever with Follow.
	To Offset
	// Tables keeps changes of these tables only, and lets the cursor pass over blocks that hold none of them; units without
	// any change left may still be returned. Nil keeps all.
	Tables *TableSet
	// Follow makes Next wait for units that are not durable yet.
	Follow bool
}

// Cursor reads units in order and never past the durable offset. It is for one goroutine.
type Cursor interface {
	// Next returns the next unit, ready for Unit.Next. The unit is valid until the following call. At the end it returns
	// io.EOF; with Follow it waits until the context is done.
	Next(ctx context.Context) (*Unit, error)
	Close() error
}

// Progressor is what a cursor also implements when it can say how far it has read, for progress bars.
type Progressor interface {
	// Progress is the part of the way from From to To, 0 to 1.
	Progress() float64
}

var _ Versions = (*Catalog)(nil)

// Cut is one commit offset per source: what a moment resolves to. A source that the cut does not name is taken at Default.
type Cut struct {
	Default Offset
	Sources []SourceCut
}

// SourceCut is the cut of one source.
type SourceCut struct {
	Source SourceID
	Offset Offset
}

// At is the source's offset.
func (c Cut) At(source SourceID) Offset {
	for _, s := range c.Sources {
		if s.Source == source {
			return s.Offset
		}
	}
	return c.Default
}

// Max is the largest offset of the cut.
func (c Cut) Max() Offset {
	most := c.Default
	for _, s := range c.Sources {
		most = max(most, s.Offset)
	}
	return most
}

// Min is the smallest offset of the cut: what it holds is in the cut whatever its source.
func (c Cut) Min() Offset {
	least := c.Default
	for _, s := range c.Sources {
		least = min(least, s.Offset)
	}
	return least
}

// TableCut is a table at the offset of a cut.
type TableCut struct {
	Table  schema.TableID
	Offset Offset
}
