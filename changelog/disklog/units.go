package disklog

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sort"

	"cdc/changelog"
	"cdc/changelog/segment"
)

// unitsReader walks over the frames of one segment, of either form, and yields their units. When its file is replaced by the sealed
// form it goes on with the one that it opened. It is for one goroutine.
type unitsReader struct {
	l      *Log
	s      *segmentInfo
	r      *segment.Reader
	tables *changelog.TableSet // blocks without them are passed over; nil: none is

	blocks []segment.Block // of the sealed form
	block  int
	pos    int64 // of the next frame in the open form
	limit  int64 // how far the file may be read

	frame  int64 // place of the frame last read
	header segment.FrameHeader
	first  changelog.Offset // its first offset
	at     changelog.Offset // the first offset after it, zero before the first read
	raw    []byte           // reused, as are the two below

	columns segment.ColumnDecoder
	units   []byte
}

// openUnits opens a segment at the frame that holds the offset from, or at an earlier one.
func (l *Log) openUnits(s *segmentInfo, from changelog.Offset) (*unitsReader, error) {
	return l.openUnitsAt(l.segmentPath(s.number), s, from)
}

// openUnitsAt opens a segment that lies at a path.
func (l *Log) openUnitsAt(path string, s *segmentInfo, from changelog.Offset) (*unitsReader, error) {
	l.mu.Lock()
	u := &unitsReader{l: l, s: s, pos: s.place(from), limit: s.end}
	l.mu.Unlock()
	var err error
	if u.r, err = segment.OpenReader(l.fs, path, l.inFolder(s.number)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = l.missing(s.number)
		}
		return nil, err
	}
	if want := (segment.ID{Log: l.id, Kind: segment.KindMain, Number: s.number}); u.r.Header.ID != want {
		err = u.r.Corrupt(0, s.first, fmt.Errorf("%w: it is segment %d of log %x", segment.ErrFormat, u.r.Header.ID.Number, u.r.Header.ID.Log))
	} else if u.sealed() {
		err = u.loadBlocks(from)
	}
	if err != nil {
		return nil, errors.Join(err, u.r.Close())
	}
	return u, nil
}

func (u *unitsReader) sealed() bool { return u.r.Header.Form == segment.FormSealed }

func (u *unitsReader) close() error { return u.r.Close() }

// loadBlocks reads the index of the sealed form and turns to the block that holds the offset.
func (u *unitsReader) loadBlocks(from changelog.Offset) error {
	footer, err := u.r.Footer(u.l.decoder)
	if err != nil {
		return err
	}
	u.blocks, u.limit = footer.Blocks, footer.Pos
	u.block = max(0, sort.Search(len(u.blocks), func(i int) bool { return u.blocks[i].First > from })-1)
	return nil
}

// extend lets an open form be read as far as it has become durable since.
func (u *unitsReader) extend() {
	if u.sealed() {
		return
	}
	u.l.mu.Lock()
	u.limit = u.s.end
	u.l.mu.Unlock()
}

// read is the units of the next frame, valid until the next call; nil when there is none. Frames that end at or before the offset
// from are passed over.
func (u *unitsReader) read(from changelog.Offset) ([]byte, error) {
	for u.advance() {
		h, frame, err := u.r.Frame(u.pos, u.limit)
		if err != nil {
			return nil, u.located(err)
		}
		u.frame, u.header = u.pos, h
		u.pos += h.Size()
		if h.Type == segment.FrameDictionary || h.Type == segment.FramePad {
			continue
		}
		if u.at != 0 && h.First != u.at {
			return nil, u.corrupt(fmt.Errorf("%w: a frame of offset %d where %d is next", segment.ErrFormat, h.First, u.at))
		}
		u.first, u.at = h.First, h.Next()
		if u.at <= from {
			continue
		}
		return u.decode(&h, frame)
	}
	return nil, nil
}

// advance turns to the next frame and reports whether there is one.
func (u *unitsReader) advance() bool {
	if !u.sealed() {
		return u.pos < u.limit
	}
	for u.block < len(u.blocks) && u.tables != nil && passable(&u.blocks[u.block], u.tables) {
		u.at = u.blocks[u.block].Next()
		u.block++
	}
	if u.block == len(u.blocks) {
		return false
	}
	u.pos = u.blocks[u.block].Pos
	u.block++
	return true
}

// passable reports whether a block holds no change of the tables.
func passable(b *segment.Block, tables *changelog.TableSet) bool {
	return b.Tables != nil && !slices.ContainsFunc(b.Tables, tables.Has)
}

// decode is the units of a frame.
func (u *unitsReader) decode(h *segment.FrameHeader, frame []byte) ([]byte, error) {
	raw, err := u.l.decoder.Payload(h, frame, u.raw)
	if err == nil && h.Codec != segment.CodecRaw {
		u.raw = raw
	}
	switch {
	case err != nil:
	case h.Type == segment.FrameBlock && u.sealed():
		u.units, err = u.columns.AppendUnits(u.units[:0], raw, h.First)
		raw = u.units
	case h.Type != segment.FrameUnits || u.sealed():
		err = fmt.Errorf("%w: a %s frame where units should be", segment.ErrFormat, h.Type)
	}
	if err == nil && len(raw) == 0 {
		err = fmt.Errorf("%w: a frame without units", segment.ErrFormat)
	}
	if err != nil {
		return nil, u.corrupt(err)
	}
	return raw, nil
}

// corrupt is an error about the frame last read.
func (u *unitsReader) corrupt(err error) error {
	return u.r.Corrupt(u.frame, max(u.first, u.s.first), err)
}

// located gives damage the log offset from which on it affects data.
func (u *unitsReader) located(err error) error {
	var corrupt *changelog.CorruptError
	if errors.As(err, &corrupt) && corrupt.Offset == 0 {
		corrupt.Offset = max(u.at, u.s.first)
	}
	return err
}

// eachUnit calls f with each unit in raw, which holds the offsets [first, next).
func eachUnit(raw []byte, first, next changelog.Offset, f func(u *changelog.Unit) error) error {
	var u changelog.Unit
	for len(raw) > 0 {
		size, err := changelog.DecodeUnit(raw, &u)
		if err != nil {
			return err
		}
		if u.Meta.First != first {
			return fmt.Errorf("%w: a unit of offset %d where %d is next", changelog.ErrUnit, u.Meta.First, first)
		}
		first += changelog.Offset(u.Meta.Count)
		raw = raw[size:]
		if err := f(&u); err != nil {
			return err
		}
	}
	if first != next {
		return fmt.Errorf("%w: units end at offset %d, their frame at %d", changelog.ErrUnit, first, next)
	}
	return nil
}
