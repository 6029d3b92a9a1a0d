package disklog

import (
	"context"
	"fmt"

	"cdc/changelog"
	"cdc/changelog/segment"
)

// group is what gathers while the flusher is at work: encoded units, cut into frames.
type group struct {
	raw    []byte
	frames []pendingFrame
}

// pendingFrame is a run of units that becomes one frame.
type pendingFrame struct {
	end   int // in raw; the frame begins where the one before ends
	first changelog.Offset
	count uint64
	units uint32
	marks segment.Marks
	sides []uint64
	// dictionary is set when the frame is the first of a new segment, which begins with it.
	dictionary []byte
}

// reset empties the group for the next use and keeps memory of ordinary size.
func (g *group) reset() {
	if cap(g.raw) > keepBufferBytes {
		g.raw = nil
	}
	for i := range g.frames {
		f := &g.frames[i]
		*f = pendingFrame{marks: f.marks[:0], sides: f.sides[:0]}
	}
	g.raw, g.frames = g.raw[:0], g.frames[:0]
}

// begin starts a frame, reusing the memory of an earlier one.
func (g *group) begin(first changelog.Offset) *pendingFrame {
	if len(g.frames) < cap(g.frames) {
		g.frames = g.frames[:len(g.frames)+1]
		f := &g.frames[len(g.frames)-1]
		*f = pendingFrame{end: len(g.raw), first: first, marks: f.marks[:0], sides: f.sides[:0]}
		return f
	}
	g.frames = append(g.frames, pendingFrame{end: len(g.raw), first: first})
	return &g.frames[len(g.frames)-1]
}

// current is the frame that takes a unit which begins at the offset.
func (g *group) current(first changelog.Offset) *pendingFrame {
	n := len(g.frames)
	if n == 0 {
		return g.begin(first)
	}
	start := 0
	if n > 1 {
		start = g.frames[n-2].end
	}
	if len(g.raw)-start >= frameTargetBytes {
		return g.begin(first)
	}
	return &g.frames[n-1]
}

// Append implements changelog.Log.
func (l *Log) Append(ctx context.Context, u *changelog.UnitBuilder) (changelog.Offset, error) {
	if l.o.ReadOnly {
		return 0, changelog.ErrReadOnly
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.awaitRoom(ctx); err != nil {
		return 0, err
	}
	m := &u.Meta
	m.First, m.Count = l.next, u.Offsets()
	if m.Count == 0 {
		return 0, fmt.Errorf("append unit of kind %d: it is empty", m.Kind)
	}
	m.Clock = max(m.Clock, l.catalog.Progress(m.Source).Clock)
	if err := l.encode(u); err != nil {
		return 0, fmt.Errorf("append unit at offset %d: %w", m.First, err)
	}
	l.next += changelog.Offset(m.Count)
	l.appended.broadcast()
	return m.Commit(), nil
}

// awaitRoom blocks while too much is pending. It is called with mu held, and returns with it held.
func (l *Log) awaitRoom(ctx context.Context) error {
	for {
		if err := l.refusal(); err != nil {
			return err
		}
		if len(l.pending.raw) < maxPendingBytes {
			return ctx.Err()
		}
		room := l.changed.wait()
		l.mu.Unlock()
		var err error
		select {
		case <-room:
		case <-ctx.Done():
			err = ctx.Err()
		}
		l.mu.Lock()
		if err != nil {
			return err
		}
	}
}

// refusal is why nothing may be appended, if so. It needs mu.
func (l *Log) refusal() error {
	if l.failed != nil {
		return l.failed
	}
	if l.closing {
		return changelog.ErrClosed
	}
	return nil
}

// encode adds the unit to the pending group and to the catalog, or does neither.
func (l *Log) encode(u *changelog.UnitBuilder) error {
	start := len(l.pending.raw)
	raw, err := u.AppendUnit(l.pending.raw)
	if err != nil {
		l.pending.raw = l.pending.raw[:start]
		return err
	}
	size := int64(len(raw) - start)
	var dictionary []byte
	if l.isFull(size) {
		dictionary = l.catalog.AppendDictionary(nil)
	}
	if err := l.catalog.Apply(&u.Meta, u.CatalogSection); err != nil {
		l.pending.raw = raw[:start]
		return err
	}
	frame := l.frameFor(&u.Meta, dictionary)
	l.filled += size
	l.pending.raw = raw
	frame.end = len(raw)
	frame.count += u.Meta.Count
	frame.units++
	frame.marks.Add(&u.Meta)
	if ref, ok := u.Side(); ok {
		frame.sides = append(frame.sides, ref.ID)
	}
	return nil
}

// frameFor is the frame that takes the unit: the first of a new segment when there is a dictionary to begin it with.
func (l *Log) frameFor(m *changelog.UnitMeta, dictionary []byte) *pendingFrame {
	if dictionary == nil {
		frame := l.pending.current(m.First)
		if frame.units == 0 {
			l.filled += segmentOverhead
		}
		return frame
	}
	frame := l.pending.begin(m.First)
	frame.dictionary = dictionary
	l.filling, l.fillingFirst = l.filling+1, m.First
	l.filled = segment.HeaderBytes + int64(len(dictionary)) + 2*segmentOverhead
	return frame
}

// isFull reports whether the segment being filled has no room for size more bytes. What has not been written yet counts as if it
// could not be compressed. A segment without any unit is never full.
func (l *Log) isFull(size int64) bool {
	return l.filled+segmentOverhead+size > l.o.SegmentBytes && l.next > l.fillingFirst
}
