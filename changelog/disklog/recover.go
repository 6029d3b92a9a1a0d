package disklog

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"cdc/changelog"
	"cdc/changelog/segment"
	"cdc/changelog/vfs"
)

func sortedNumbers(numbers []uint64) []uint64 {
	slices.Sort(numbers)
	return numbers
}

// loadSegments reads what the log needs to know of each file. Damage in a file that is not the last is noted and does not keep the
// log from being opened: what lies around it stays readable, and appending goes on.
func (l *Log) loadSegments(numbers []uint64, m *manifest) error {
	last := numbers[len(numbers)-1]
	if m != nil {
		l.id = m.id
		if last < m.active {
			return l.missing(m.active)
		}
	}
	if err := l.adoptID(last); err != nil {
		return err
	}
	known := map[uint64]sealedEntry{}
	if m != nil {
		for _, s := range m.sealed {
			known[s.number] = s
		}
	}
	for number := firstSegment; number <= last; number++ {
		s, err := l.loadSegment(number, number == last)
		if err != nil && number == last {
			return err
		}
		if err != nil {
			s = l.damaged(number, known[number], err)
		}
		l.segments = append(l.segments, s)
	}
	return l.checkNeighbours()
}

// firstSegment is the number that a log begins with.
const firstSegment uint64 = 1

// adoptID takes the log's identity from the last segment when the manifest is lost.
func (l *Log) adoptID(last uint64) error {
	r, err := segment.OpenReader(l.fs, l.segmentPath(last), l.inFolder(last))
	if err != nil {
		return err
	}
	if r.Header.ID.Number != last { // the numbers up to it are about to be counted
		err = r.Corrupt(0, 0, fmt.Errorf("%w: it is segment %d", segment.ErrFormat, r.Header.ID.Number))
	}
	if l.id == [16]byte{} {
		l.id = r.Header.ID.Log
	}
	return errors.Join(err, r.Close())
}

func (l *Log) inFolder(number uint64) string { return filepath.Join(logFolder, segmentName(number)) }

// damaged stands for a file that cannot be used.
func (l *Log) damaged(number uint64, known sealedEntry, err error) *segmentInfo {
	s := &segmentInfo{number: number, first: known.first, next: known.next, footer: known.footer, sealed: known.number != 0, damage: err}
	switch {
	case s.first != 0:
	case len(l.segments) == 0:
		s.first = 1
	default:
		s.first = l.segments[len(l.segments)-1].next
	}
	s.next = max(s.next, s.first)
	l.logger.Error("segment is damaged; what lies around it stays readable", "segment", number, "err", err)
	return s
}

// checkNeighbours sees to it that each segment begins where the one before ends.
func (l *Log) checkNeighbours() error {
	for i := 1; i < len(l.segments); i++ {
		before, s := l.segments[i-1], l.segments[i]
		if before.damage != nil {
			before.next = s.first // nothing else is known
			continue
		}
		if s.first == before.next {
			continue
		}
		err := &changelog.CorruptError{
			File: l.inFolder(s.number), Offset: min(before.next, s.first),
			What: fmt.Sprintf("it begins at offset %d, the segment before ends before offset %d", s.first, before.next),
		}
		if i == len(l.segments)-1 && s.first < before.next {
			return err // appending would give offsets twice
		}
		before.damage = err
		l.logger.Error("segments do not meet", "segment", s.number, "err", err)
	}
	return nil
}

// loadSegment reads a file: the footer of a sealed one, every frame of an open one. The last one of a log that is open for reading
// is left to refresh.
func (l *Log) loadSegment(number uint64, last bool) (s *segmentInfo, err error) {
	r, err := segment.OpenReader(l.fs, l.segmentPath(number), l.inFolder(number))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, l.missing(number)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if want := (segment.ID{Log: l.id, Kind: segment.KindMain, Number: number}); r.Header.ID != want {
		return nil, r.Corrupt(0, 0, fmt.Errorf("%w: it is segment %d of log %x", segment.ErrFormat, r.Header.ID.Number, r.Header.ID.Log))
	}
	switch {
	case last && l.o.ReadOnly:
		return unread(r.Header), nil
	case r.Header.Form == segment.FormSealed:
		return l.loadSealed(r)
	}
	return l.loadOpen(r, last)
}

// loadOpen scans a file in the open form. What follows the last good frame is judged by others: in the last file it may be a torn
// write, in another one the next file says whether anything is missing.
func (l *Log) loadOpen(r *segment.Reader, last bool) (*segmentInfo, error) {
	size, err := r.Size()
	if err != nil {
		return nil, err
	}
	s := &segmentInfo{number: r.Header.ID.Number, first: r.Header.First, next: r.Header.First, last: last}
	return s, l.scan(r, size, s, maxOffset)
}

// scan reads the frames of the open form into s up to the first that is not good, or that goes past the offset most. It reads on
// from s.end. A frame that is not good where a later one says that it once was is damage: in the segment that the log ends in it is
// an error, as nobody can tell what is missing; in another one what follows is read, and s keeps the damage.
func (l *Log) scan(r *segment.Reader, size int64, s *segmentInfo, most changelog.Offset) error {
	pos := max(s.end, segment.HeaderBytes)
	for s.next < most {
		h, frame, err := r.Frame(pos, size)
		if err == nil && h.Next() > most {
			return nil
		}
		if err == nil {
			if err = l.scanFrame(r, pos, &h, frame, s); err == nil {
				pos += h.Size()
				continue
			}
		}
		var corrupt *changelog.CorruptError
		if !errors.As(err, &corrupt) {
			return err
		}
		s.end = max(s.end, pos)
		if pos, err = l.scanDamage(r, pos, size, corrupt, s); pos == 0 || err != nil {
			return err
		}
	}
	return nil
}

// scanDamage looks at a place where no good frame lies. It returns the place of the frame to go on at, 0 when there is none.
func (l *Log) scanDamage(r *segment.Reader, pos, size int64, damage *changelog.CorruptError, s *segmentInfo) (int64, error) {
	tail, proof, err := segment.FindProof(r.File(), r.Header.ID, pos, size)
	s.torn = tail
	if proof == 0 || err != nil {
		return 0, err
	}
	r.Forget()
	if h, _, err := r.Frame(pos, size); err == nil && h.First == s.next {
		return pos, nil // a writer completed it meanwhile
	}
	damage.Offset = s.next
	if s.last {
		damage.What += fmt.Sprintf("; the frame at byte %d says that it was durable", proof)
		return 0, damage
	}
	next, err := segment.FindFrame(r.File(), r.Header.ID, pos+1, size)
	if next == 0 || err != nil {
		return 0, err
	}
	h, _, err := r.Frame(next, size)
	if err != nil || h.Type != segment.FrameUnits || h.First < s.next {
		return 0, err
	}
	s.damage = errors.Join(s.damage, damage)
	s.skip(h.First)
	return next, nil
}

// scanFrame takes a good frame into s. Its units are read for what the index keeps of them.
func (l *Log) scanFrame(r *segment.Reader, pos int64, h *segment.FrameHeader, frame []byte, s *segmentInfo) error {
	end := pos + h.Size()
	switch h.Type {
	case segment.FrameDictionary, segment.FramePad:
		s.end = end
		return nil
	case segment.FrameUnits:
	default:
		return r.Corrupt(pos, h.First, fmt.Errorf("%w: a %s frame in the open form", segment.ErrFormat, h.Type))
	}
	if h.First != s.next {
		return r.Corrupt(pos, s.next, fmt.Errorf("%w: a frame of offset %d where %d is next", segment.ErrFormat, h.First, s.next))
	}
	raw, err := l.decoder.Payload(h, frame, nil)
	if err != nil {
		return r.Corrupt(pos, h.First, err)
	}
	var marks segment.Marks
	err = eachUnit(raw, h.First, h.Next(), func(u *changelog.Unit) error {
		u.LoadPosition()
		marks.Add(&u.Meta)
		if ref, ok := u.Side(); ok {
			s.sides = append(s.sides, ref.ID)
		}
		return nil
	})
	if err != nil {
		return r.Corrupt(pos, h.First, err)
	}
	s.note(pos, end, h.First, h.Count, marks)
	return nil
}

// resume makes the last segment the one to append to: it cuts what was being written when the last writer ended, and loads the
// catalog.
func (l *Log) resume(m *manifest) error {
	s := l.segments[len(l.segments)-1]
	if m != nil && s.next < m.durable {
		return l.endsEarly(s, m.durable)
	}
	if err := l.loadCatalog(s); err != nil {
		return err
	}
	l.next, l.durable = s.next, s.next
	if s.sealed {
		return l.createSegment(s.number+1, s.next, l.catalog.AppendDictionary(nil))
	}
	if err := l.continueSegment(s); err != nil {
		return err
	}
	l.filling, l.fillingFirst, l.filled = s.number, s.first, s.end
	return nil
}

// endsEarly is the error about a log that ends in s before the offset next, up to which it was durable.
func (l *Log) endsEarly(s *segmentInfo, next changelog.Offset) error {
	return &changelog.CorruptError{
		File: l.inFolder(s.number), At: s.end, Offset: s.next,
		What: fmt.Sprintf("it ends before offset %d, and offset %d was durable", s.next, next-1),
	}
}

// continueSegment opens the last segment for writing and makes durable all of it that is good.
func (l *Log) continueSegment(s *segmentInfo) error {
	w := &l.writer
	file, err := l.fs.OpenReadWrite(l.segmentPath(s.number))
	if err != nil {
		return err
	}
	w.file, w.end = file, s.end
	w.id = segment.ID{Log: l.id, Kind: segment.KindMain, Number: s.number}
	if s.torn > s.end {
		if err := l.cutTail(file, s); err != nil {
			return err
		}
	}
	if err := l.untilSpace(nil, func() error { return file.Preallocate(l.o.SegmentBytes) }); err != nil {
		return fmt.Errorf("preallocate %s: %w", segmentName(s.number), err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", segmentName(s.number), err)
	}
	return nil
}

// cutTail keeps a copy of a torn write in the quarantine and cuts it off.
func (l *Log) cutTail(file vfs.File, s *segmentInfo) error {
	cut := make([]byte, s.torn-s.end)
	if _, err := file.ReadAt(cut, s.end); err != nil {
		return fmt.Errorf("read torn tail: %w", err)
	}
	name := fmt.Sprintf("%s-%d-%d", segmentName(s.number), s.end, time.Now().UnixNano())
	kept, err := l.fs.Create(filepath.Join(l.quarantineDir(), name))
	if err != nil {
		return fmt.Errorf("keep torn tail: %w", err)
	}
	_, err = kept.WriteAt(cut, 0)
	if err == nil {
		err = kept.Sync()
	}
	if err = errors.Join(err, kept.Close()); err == nil {
		err = l.fs.SyncDir(l.quarantineDir())
	}
	if err != nil {
		return fmt.Errorf("keep torn tail: %w", err)
	}
	if err := file.Truncate(s.end); err != nil {
		return fmt.Errorf("cut torn tail: %w", err)
	}
	l.logger.Warn("cut off a write that a crash had torn", "segment", s.number, "at", s.end, "bytes", len(cut), "kept", name)
	return nil
}

// loadCatalog loads the segment's dictionary and applies its units.
func (l *Log) loadCatalog(s *segmentInfo) error {
	units, err := l.openUnits(s, s.first)
	if err != nil {
		return err
	}
	l.catalog, err = l.readDictionary(units.r)
	if err == nil {
		err = l.applyUnits(units, s.first)
	}
	return errors.Join(err, units.close())
}

// readDictionary is the catalog at the segment's first offset.
func (l *Log) readDictionary(r *segment.Reader) (*changelog.Catalog, error) {
	raw, err := l.dictionaryBytes(r)
	if err != nil {
		return nil, err
	}
	catalog, err := changelog.LoadDictionary(raw)
	if err != nil {
		return nil, r.Corrupt(segment.HeaderBytes, 0, err)
	}
	return catalog, nil
}

// dictionaryBytes is the payload of the segment's first frame.
func (l *Log) dictionaryBytes(r *segment.Reader) ([]byte, error) {
	size, err := r.Size()
	if err != nil {
		return nil, err
	}
	h, frame, err := r.Frame(segment.HeaderBytes, size)
	if err != nil {
		return nil, err
	}
	if h.Type != segment.FrameDictionary {
		return nil, r.Corrupt(segment.HeaderBytes, 0, fmt.Errorf("%w: a %s frame instead of the dictionary", segment.ErrFormat, h.Type))
	}
	raw, err := l.decoder.Payload(&h, frame, nil)
	if err != nil {
		return nil, r.Corrupt(segment.HeaderBytes, 0, err)
	}
	return append([]byte(nil), raw...), nil // a raw payload shares the reader's buffer
}

// applyUnits applies the rest of a segment's units to the catalog, those before the offset from left out.
func (l *Log) applyUnits(units *unitsReader, from changelog.Offset) error {
	for {
		raw, err := units.read(from)
		if raw == nil || err != nil {
			return err
		}
		err = eachUnit(raw, units.first, units.at, func(u *changelog.Unit) error {
			if u.Meta.First < from {
				return nil
			}
			u.LoadPosition()
			return l.catalog.Apply(&u.Meta, u.CatalogRecords)
		})
		if err != nil {
			return units.corrupt(err)
		}
	}
}
