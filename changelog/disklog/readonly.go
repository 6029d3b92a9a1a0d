package disklog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"cdc/changelog"
	"cdc/changelog/segment"
)

// pollEvery is how often a reader of a log that another process writes looks for news.
const pollEvery = 20 * time.Millisecond

// openRead loads the folder as it is and changes nothing in it.
func (l *Log) openRead() error {
	m, err := l.readManifest()
	if err != nil {
		return err
	}
	numbers, err := l.listNumbers(l.segmentsDir(), segmentSuffix)
	if err != nil {
		return err
	}
	if len(numbers) == 0 {
		return l.missing(1)
	}
	if err := l.loadSegments(numbers, m); err != nil {
		return err
	}
	s := l.segments[len(l.segments)-1]
	if l.catalog, err = l.dictionaryOf(s); err != nil {
		return err
	}
	l.next, l.durable = s.first, s.first
	if m != nil {
		l.believed = m.durable
	}
	if err := l.refresh(); err != nil {
		return err
	}
	if l.o.DurableHint == nil && l.durable < l.believed {
		return l.endsEarly(l.segments[len(l.segments)-1], l.believed)
	}
	return nil
}

// unread is a segment in which a log open for reading ends, before anything of it has been read.
func unread(h segment.Header) *segmentInfo {
	return &segmentInfo{number: h.ID.Number, first: h.First, next: h.First, end: segment.HeaderBytes, last: true}
}

// dictionaryOf is the catalog at a segment's first offset.
func (l *Log) dictionaryOf(s *segmentInfo) (catalog *changelog.Catalog, err error) {
	r, err := segment.OpenReader(l.fs, l.segmentPath(s.number), l.inFolder(s.number))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return l.readDictionary(r)
}

// poll waits a moment, then looks for news.
func (l *Log) poll(ctx context.Context) error {
	timer := time.NewTimer(pollEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
		return l.refresh()
	case <-ctx.Done():
		return ctx.Err()
	case <-l.stopped.Done():
		return changelog.ErrClosed
	}
}

// refresh takes in what has become durable since the last look.
func (l *Log) refresh() error {
	l.refreshMu.Lock()
	defer l.refreshMu.Unlock()
	most := maxOffset
	if l.o.DurableHint != nil {
		most = l.o.DurableHint()
	}
	for {
		s := l.segments[len(l.segments)-1]
		next, err := l.hasNext(s.number) // asked before the segment is read: afterwards it may still have grown
		if err != nil {
			return err
		}
		if err := l.refreshSegment(s, most); err != nil {
			return err
		}
		if next {
			if next, err = l.beginNext(s, most); err != nil {
				return err
			}
		}
		if next {
			continue
		}
		if l.o.DurableHint != nil && l.durable < most {
			return l.endsEarly(s, most)
		}
		return nil
	}
}

// hasNext reports whether a segment after that number exists.
func (l *Log) hasNext(number uint64) (bool, error) {
	_, err := l.fs.Stat(l.segmentPath(number + 1))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// beginNext adds the segment after s, which is complete, without any unit yet. It reports false when that segment begins past the
// offset most: then s has not been read to its end.
func (l *Log) beginNext(s *segmentInfo, most changelog.Offset) (begun bool, err error) {
	number := s.number + 1
	r, err := segment.OpenReader(l.fs, l.segmentPath(number), l.inFolder(number))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if r.Header.First > most {
		return false, nil
	}
	if r.Header.First != s.next {
		return false, r.Corrupt(0, s.next, fmt.Errorf("%w: it begins at offset %d, the segment before ends before %d", segment.ErrFormat, r.Header.First, s.next))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segments = append(l.segments, unread(r.Header))
	return true, nil
}

// refreshSegment takes in what the last segment holds beyond what is known, up to the offset most.
func (l *Log) refreshSegment(s *segmentInfo, most changelog.Offset) error {
	if l.durable >= most {
		return nil
	}
	fresh, err := l.rescan(s, most)
	if err != nil {
		return err
	}
	from := l.durable
	l.mu.Lock()
	s.become(fresh)
	l.mu.Unlock()
	if fresh.next == from {
		return nil
	}
	units, err := l.openUnits(s, from)
	if err != nil {
		return err
	}
	if err := errors.Join(l.applyUnits(units, from), units.close()); err != nil {
		return err
	}
	l.mu.Lock()
	l.next, l.durable = fresh.next, fresh.next
	l.changed.broadcast()
	l.mu.Unlock()
	return nil
}

// rescan reads on in the file of s and returns what s becomes.
func (l *Log) rescan(s *segmentInfo, most changelog.Offset) (fresh *segmentInfo, err error) {
	r, err := segment.OpenReader(l.fs, l.segmentPath(s.number), l.inFolder(s.number))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if r.Header.Form == segment.FormSealed {
		return l.loadSealed(r)
	}
	known := *s
	fresh = &known
	// These are changed in place, and others may be reading them.
	fresh.marks, fresh.tail.Last = slices.Clone(s.marks), slices.Clone(s.tail.Last)
	size, err := r.Size()
	if err != nil {
		return nil, err
	}
	if err := l.scan(r, size, fresh, most); err != nil {
		return nil, err
	}
	if fresh.next != s.next && fresh.next > l.believed && l.o.DurableHint == nil {
		// Nobody says what is durable: a sync of the file by this process makes it so.
		if err := r.File().Sync(); err != nil {
			return nil, fmt.Errorf("sync %s: %w", r.Name(), err)
		}
	}
	return fresh, nil
}
