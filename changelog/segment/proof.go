package segment

import (
	"encoding/binary"
	"io"
)

// findWindow is how much of a file is searched at once.
const findWindow = 1 << 20

// FindProof looks behind a place where no good frame lies for one which says that the place was durable once: then it is damage and
// not a torn write. It returns the place of that frame (0: there is none), and where the last byte that is not zero ends.
func FindProof(file io.ReaderAt, id ID, from, size int64) (tail, proof int64, err error) {
	f := finder{file: file, id: id, size: size, tail: from}
	proof, err = f.find(from, func(h *FrameHeader) bool { return h.Synced > uint64(from) })
	return f.tail, proof, err
}

// FindFrame is the place of the first good frame behind a place where none lies, 0 when there is none.
func FindFrame(file io.ReaderAt, id ID, from, size int64) (int64, error) {
	f := finder{file: file, id: id, size: size, tail: from}
	return f.find(from, func(*FrameHeader) bool { return true })
}

// finder looks for frames at every place where one could lie.
type finder struct {
	file io.ReaderAt
	id   ID
	size int64
	tail int64 // where the last byte seen that is not zero ends, rounded up
}

// find is the place of the first good frame that is accepted.
func (f *finder) find(from int64, accept func(*FrameHeader) bool) (int64, error) {
	buf := make([]byte, findWindow+FrameHeaderBytes)
	for at := from; at < f.size; at += findWindow {
		n, err := f.file.ReadAt(buf[:min(int64(len(buf)), f.size-at)], at)
		if err != nil && err != io.EOF {
			return 0, err
		}
		for i := 0; i < min(n, findWindow); i += alignment {
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
