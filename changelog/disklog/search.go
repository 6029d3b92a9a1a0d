package disklog

import (
	"context"
	"errors"
	"io"

	"cdc/changelog"
	"cdc/changelog/segment"
)

// search is one call of Search.
type search struct {
	l      *Log
	source changelog.SourceID
	epoch  changelog.Epoch
	after  func(*changelog.UnitMeta) bool
	end    changelog.Offset // what lies before it is durable
}

// Search implements changelog.Log. It asks about the last unit of each segment, then of each index entry, then about each unit.
func (l *Log) Search(ctx context.Context, source changelog.SourceID, epoch changelog.Epoch, after func(*changelog.UnitMeta) bool) (changelog.Offset, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	q := &search{l: l, source: source, epoch: epoch, after: after, end: l.Bounds().Next}
	s, err := q.segment()
	if err != nil {
		return 0, err
	}
	if s == nil {
		return q.end, nil
	}
	from, err := q.block(s)
	if err != nil {
		return 0, err
	}
	return q.unit(ctx, from)
}

// matches reports whether the unit is one that after is to be asked about.
func (q *search) matches(m *changelog.UnitMeta) bool {
	return m.Source == q.source && m.Kind != changelog.UnitControl && (q.epoch == 0 || m.Epoch == q.epoch)
}

// ends reports whether after is true of any of the marks, and whether there are marks to ask about.
func (q *search) ends(marks segment.Marks) (found, asked bool) {
	for i := range marks {
		if q.matches(&marks[i]) {
			asked = true
			if q.after(&marks[i]) {
				return true, true
			}
		}
	}
	return false, asked
}

// segment is the first one that holds a unit for which after is true, nil when there is none. A damaged segment may hide it: that is
// an error unless a later segment says that it does not.
func (q *search) segment() (*segmentInfo, error) {
	type candidate struct {
		s      *segmentInfo
		marks  segment.Marks
		damage error
	}
	q.l.mu.Lock()
	candidates := make([]candidate, len(q.l.segments))
	for i, s := range q.l.segments {
		candidates[i] = candidate{s, append(segment.Marks(nil), s.marks...), s.damage}
	}
	q.l.mu.Unlock()
	var damage error
	for _, c := range candidates {
		found, asked := q.ends(c.marks)
		if c.damage != nil {
			damage = c.damage
			continue
		}
		if found && damage == nil {
			return c.s, nil
		}
		if found {
			return nil, damage
		}
		if asked {
			damage = nil
		}
	}
	return nil, damage
}

// block is the first offset of the part of the segment that holds the unit.
func (q *search) block(s *segmentInfo) (from changelog.Offset, err error) {
	units, err := q.l.openUnits(s, s.first)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, units.close()) }()
	blocks, tail := units.blocks, s.first
	if !units.sealed() {
		q.l.mu.Lock()
		blocks, tail = s.blocks, s.tail.First
		q.l.mu.Unlock()
	}
	for i := range blocks {
		if found, _ := q.ends(blocks[i].Last); found {
			return blocks[i].First, nil
		}
	}
	return max(tail, s.first), nil
}

// unit is the instant of the first unit from the offset on for which after is true.
func (q *search) unit(ctx context.Context, from changelog.Offset) (n changelog.Offset, err error) {
	c, err := q.l.Cursor(changelog.CursorOptions{From: from, To: q.end - 1})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for {
		u, err := c.Next(ctx)
		if errors.Is(err, io.EOF) {
			return q.end, nil
		}
		if err != nil {
			return 0, err
		}
		if !q.matches(&u.Meta) {
			continue
		}
		u.LoadPosition()
		if q.after(&u.Meta) {
			return u.Meta.Commit(), nil
		}
	}
}
