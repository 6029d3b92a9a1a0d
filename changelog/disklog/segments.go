package disklog

import (
	"sort"

	"cdc/changelog"
	"cdc/changelog/segment"
)

// segmentInfo is what the log knows of one file. It is guarded by Log.mu, but for what is said to be fixed.
type segmentInfo struct {
	number uint64           // fixed
	first  changelog.Offset // fixed
	// next is the first offset after the segment's durable units, end the bytes of the open form that hold them.
	next   changelog.Offset
	end    int64
	torn   int64 // where the bytes end that follow the last good frame and are not zero
	sealed bool
	last   bool // when it was loaded, the log ended in it
	// blocks is the index of the open form without its last entry, tail, which still grows. Entries do not change.
	blocks []segment.Block
	tail   segment.Block
	marks  segment.Marks // of the whole segment
	sides  []uint64
	footer [32]byte // the hash of the footer, when sealed
	// previous is the hash of the footer before, as the header of a sealed segment has it.
	previous [32]byte
	damage   error // why the file cannot be used, if so
}

// become takes over what a later look at the file has found. What is fixed is left alone, as it is read without the lock.
func (s *segmentInfo) become(found *segmentInfo) {
	s.next, s.end, s.torn = found.next, found.end, found.torn
	s.sealed, s.last, s.damage = found.sealed, found.last, found.damage
	s.blocks, s.tail, s.marks, s.sides = found.blocks, found.tail, found.marks, found.sides
	s.footer, s.previous = found.footer, found.previous
}

// note takes a frame into the index.
func (s *segmentInfo) note(pos, end int64, first changelog.Offset, count uint64, marks segment.Marks) {
	if s.tail.Count > 0 && pos-s.tail.Pos >= indexBytes {
		s.blocks = append(s.blocks, s.tail)
		s.tail = segment.Block{}
	}
	if s.tail.Count == 0 {
		s.tail = segment.Block{Pos: pos, First: first}
	}
	s.tail.Count += count
	s.tail.Last.AddAll(marks)
	s.marks.AddAll(marks)
	s.next, s.end = first+changelog.Offset(count), end
}

// skip leaves out the offsets up to the given one, which damage took, so that no index entry reaches across them.
func (s *segmentInfo) skip(to changelog.Offset) {
	if s.tail.Count > 0 {
		s.blocks = append(s.blocks, s.tail)
		s.tail = segment.Block{}
	}
	s.next = to
}

// place is where the frame that holds the offset, or one before it, begins in the open form.
func (s *segmentInfo) place(n changelog.Offset) int64 {
	if s.tail.Count > 0 && s.tail.First <= n {
		return s.tail.Pos
	}
	i := sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].First > n })
	if i == 0 {
		return segment.HeaderBytes
	}
	return s.blocks[i-1].Pos
}

// segmentAt is the place in l.segments of the one that holds the offset: the last that begins at or before it. It needs mu.
func (l *Log) segmentAt(n changelog.Offset) int {
	return max(0, sort.Search(len(l.segments), func(i int) bool { return l.segments[i].first > n })-1)
}
