package segment

import (
	"encoding/binary"
	"io"

	"cdc/changelog/vfs"
)

// findWindow is how much of a file is searched at once.
const findWindow = 1 << 20

// FindProof looks behind a place where no good frame lies for one which says that the place was durable once: then it is damage and
// not a torn write. It returns the place of that frame (0: there is none), and where the last byte that is not zero ends.
func FindProof(file vfs.File, id ID, from, size int64) (tail, proof int64, err error) {
	f := finder{file: file, id: id, size: size, tail: from}
	proof, err = f.find(from, func(h *FrameHeader) bool { return h.Synced > uint64(from) })
	return f.tail, proof, err
}

// FindFrame is the place of the first good frame at or after from, 0 when there is none.
func FindFrame(file vfs.File, id ID, from, size int64) (int64, error) {
	f := finder{file: file, id: id, size: size, tail: from}
	return f.find(from, func(*FrameHeader) bool { return true })
}

// finder looks for frames at every place where one could lie.
type finder struct {
	file vfs.File
	id   ID
	size int64
	tail int64 // where the last byte seen that is not zero ends, rounded up
}

// span is the part [from, to) of a file.
type span struct{ from, to int64 }

// spans are the parts of the file from a place on that may hold a frame. Most of a young segment is reserved and was never written.
// They are asked for before any is read: what the system has read ahead counts as data.
func (f *finder) spans(from int64) ([]span, error) {
	var all []span
	for at := Padded(from); at < f.size; {
		begin, end, err := f.file.NextData(at)
		if err != nil {
			return nil, err
		}
		if begin = max(at, begin&^(alignment-1)); begin >= min(end, f.size) {
			break
		}
		at = Padded(min(end, f.size))
		all = append(all, span{begin, at})
	}
	return all, nil
}

// find is the place of the first good frame that is accepted.
func (f *finder) find(from int64, accept func(*FrameHeader) bool) (int64, error) {
	spans, err := f.spans(from)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, findWindow+FrameHeaderBytes)
	for _, s := range spans {
		for at := s.from; at < s.to; at += findWindow {
			place, err := f.findWithin(buf, at, min(at+findWindow, s.to), accept)
			if place != 0 || err != nil {
				return place, err
			}
		}
	}
	return 0, nil
}

// findWithin looks at the places from at up to end; frames found there may end behind it.
func (f *finder) findWithin(buf []byte, at, end int64, accept func(*FrameHeader) bool) (int64, error) {
	n, err := f.file.ReadAt(buf[:min(end+FrameHeaderBytes, f.size)-at], at)
	if err != nil && err != io.EOF {
		return 0, err
	}
	for i := 0; i < min(n, int(end-at)); i += alignment {
		if n-i >= alignment && binary.LittleEndian.Uint64(buf[i:]) == 0 {
			continue // no frame begins with zeros: its length and checksum lie there
		}
		f.tail = at + min(int64(n), int64(i+alignment))
		h, err := DecodeFrameHeader(buf[i:n])
		if err != nil || !accept(&h) {
			continue
		}
		if good, err := f.isGood(&h, at+int64(i)); good || err != nil {
			return at + int64(i), err
		}
	}
	return 0, nil
}

// isGood reads the whole frame and checks it.
func (f *finder) isGood(h *FrameHeader, pos int64) (bool, error) {
	if h.Size() > f.size-pos {
		return false, nil
	}
	frame := make([]byte, h.Size())
	if n, err := f.file.ReadAt(frame, pos); n < len(frame) {
		if err == io.EOF {
			return false, nil
		}
		return false, err
	}
	return f.id.CheckFrame(frame, h, pos) == nil, nil
}
