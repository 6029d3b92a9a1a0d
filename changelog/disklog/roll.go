package disklog

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"cdc/changelog"
	"cdc/changelog/segment"
	"cdc/changelog/vfs"
)

// roll ends the file being written and begins the next one.
func (l *Log) roll(dictionary []byte, first changelog.Offset) error {
	w := &l.writer
	old := w.file
	if err := l.untilSpace(nil, func() error { return l.createSegment(w.id.Number+1, first, dictionary) }); err != nil {
		return fmt.Errorf("begin %s: %w", segmentName(w.id.Number+1), err)
	}
	if err := old.Close(); err != nil {
		return fmt.Errorf("close %s: %w", segmentName(w.id.Number-1), err)
	}
	// The manifest says that the new file exists, so that its loss is noticed. Units go into it afterwards only.
	if err := l.untilSpace(nil, l.writeManifest); err != nil {
		return err
	}
	l.logger.Info("segment begun", "segment", w.id.Number, "offset", first)
	return nil
}

// createSegment makes a file in the open form and turns the writer to it. The file gets its name when its header and dictionary are
// durable: a file of that name which does not begin with them is damaged.
func (l *Log) createSegment(number uint64, first changelog.Offset, dictionary []byte) error {
	w := &l.writer
	id := segment.ID{Log: l.id, Kind: segment.KindMain, Number: number}
	h := segment.Header{ID: id, Form: segment.FormOpen, First: first, Created: changelog.MicrosOf(time.Now())}
	b := h.Append(nil)
	b, err := w.compressor.AppendFrame(b, segment.FrameHeader{Type: segment.FrameDictionary, First: first}, dictionary)
	if err != nil {
		return err
	}
	id.Seal(b[segment.HeaderBytes:], segment.HeaderBytes, 0)
	file, err := l.createNamed(l.segmentPath(number), b, l.o.SegmentBytes)
	if err != nil {
		return err
	}
	w.file, w.id, w.end = file, id, int64(len(b))
	s := &segmentInfo{number: number, first: first, next: first, end: int64(len(b))}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segments = append(l.segments, s)
	if l.filling <= number {
		l.filling, l.fillingFirst = number, first
		l.filled = max(l.filled, w.end)
	}
	l.changed.broadcast()
	return nil
}

// createNamed makes a durable file that begins with b and has room for size bytes, and gives it its name last.
func (l *Log) createNamed(path string, b []byte, size int64) (file vfs.File, err error) {
	tmp := path + tmpSuffix
	if err := l.fs.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if file, err = l.fs.Create(tmp); err != nil {
		return nil, err
	}
	if err = file.Preallocate(size); err == nil {
		_, err = file.WriteAt(b, 0)
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = l.fs.Rename(tmp, path)
	}
	if err == nil {
		err = l.fs.SyncDir(l.segmentsDir())
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
