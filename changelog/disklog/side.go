package disklog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"cdc/changelog"
	"cdc/changelog/segment"
	"cdc/changelog/vfs"
)

// sideChunkBytes is the size before compression at which a piece of a side segment is written.
const sideChunkBytes = 1 << 20

// sideWriter writes one side segment.
type sideWriter struct {
	l          *Log
	id         segment.ID
	file       vfs.File
	end        int64
	chunk      []byte
	inChunk    uint64 // changes in chunk
	out        []byte
	sum        hash.Hash
	ref        changelog.SideRef
	compressor *segment.Compressor
	sealed     bool
	err        error // the first one sticks

	interrupt   sync.Once
	interrupted chan struct{}
}

// NewSide implements changelog.Log.
func (l *Log) NewSide() (changelog.SideWriter, error) {
	if l.o.ReadOnly {
		return nil, changelog.ErrReadOnly
	}
	l.mu.Lock()
	err := l.refusal()
	number := l.nextSide
	l.nextSide++
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	file, err := l.fs.Create(filepath.Join(l.sidesDir(), sideName(number)))
	if err != nil {
		return nil, fmt.Errorf("create side segment %d: %w", number, err)
	}
	w := &sideWriter{
		l: l, id: segment.ID{Log: l.id, Kind: segment.KindSide, Number: number}, file: file, sum: sha256.New(),
		ref: changelog.SideRef{ID: number}, compressor: segment.NewCompressor(segment.LevelFast), interrupted: make(chan struct{}),
	}
	h := segment.Header{ID: w.id, Form: segment.FormOpen, Created: changelog.MicrosOf(time.Now())}
	if w.write(h.Append(nil)); w.err != nil {
		return nil, errors.Join(w.err, w.Discard())
	}
	return w, nil
}

// Write implements changelog.SideWriter.
func (w *sideWriter) Write(b []byte, changes uint64) error {
	if w.sealed {
		return fmt.Errorf("write side segment %d: it is sealed", w.ref.ID)
	}
	if len(w.chunk) > 0 && len(w.chunk)+len(b) > sideChunkBytes {
		w.flush()
	}
	w.sum.Write(b)
	w.chunk = append(w.chunk, b...)
	w.inChunk += changes
	w.ref.Changes += changes
	w.ref.Bytes += uint64(len(b))
	if len(w.chunk) >= sideChunkBytes {
		w.flush()
	}
	return w.err
}

func (w *sideWriter) flush() {
	if w.err != nil || len(w.chunk) == 0 {
		return
	}
	h := segment.FrameHeader{Type: segment.FrameChunk, Count: w.inChunk}
	if w.out, w.err = w.compressor.AppendFrame(w.out[:0], h, w.chunk); w.err != nil {
		return
	}
	w.id.Seal(w.out, w.end, 0)
	w.write(w.out)
	w.chunk, w.inChunk = w.chunk[:0], 0
	if cap(w.chunk) > keepBufferBytes {
		w.chunk, w.out = nil, nil
	}
}

func (w *sideWriter) write(b []byte) {
	if w.err != nil {
		return
	}
	err := w.l.untilSpace(w.interrupted, func() error {
		_, err := w.file.WriteAt(b, w.end)
		return err
	})
	if err != nil {
		w.err = fmt.Errorf("write side segment %d: %w", w.ref.ID, err)
		return
	}
	w.end += int64(len(b))
}

// Seal implements changelog.SideWriter.
func (w *sideWriter) Seal() (changelog.SideRef, error) {
	w.flush()
	if w.err == nil && !w.sealed {
		w.sealed = true
		w.err = errors.Join(w.sync(), w.file.Close())
		w.sum.Sum(w.ref.SHA256[:0])
	}
	if w.err != nil {
		return changelog.SideRef{}, fmt.Errorf("seal side segment %d: %w", w.ref.ID, w.err)
	}
	return w.ref, nil
}

// sync makes the segment and its name durable. That it cannot is as bad as for the main log.
func (w *sideWriter) sync() error {
	err := w.file.Sync()
	if err == nil {
		err = w.l.fs.SyncDir(w.l.sidesDir())
	}
	if err != nil {
		w.l.poison(fmt.Errorf("sync side segment %d: %w", w.ref.ID, err))
	}
	return err
}

// Interrupt implements changelog.SideWriter.
func (w *sideWriter) Interrupt() { w.interrupt.Do(func() { close(w.interrupted) }) }

// Discard implements changelog.SideWriter.
func (w *sideWriter) Discard() error {
	var err error
	if !w.sealed {
		w.sealed = true
		err = w.file.Close()
	}
	return errors.Join(err, w.l.fs.Remove(w.file.Name()))
}

// sideReader yields the change section of a side segment piece by piece.
type sideReader struct {
	l      *Log
	ref    changelog.SideRef
	reader *segment.Reader
	pos    int64
	size   int64
	raw    []byte
	sum    hash.Hash
	bytes  uint64
	count  uint64
	done   bool
	chunks func() ([]byte, error) // next, made once
}

// open begins reading the segment of the reference.
func (r *sideReader) open(ref changelog.SideRef) error {
	if err := r.close(); err != nil {
		return err
	}
	name := filepath.Join(logFolder, sideFolder, sideName(ref.ID))
	reader, err := segment.OpenReader(r.l.fs, filepath.Join(r.l.dir, name), name)
	if errors.Is(err, fs.ErrNotExist) {
		return &changelog.CorruptError{File: name, What: "the file is missing"}
	}
	if err != nil {
		return fmt.Errorf("open side segment %d: %w", ref.ID, err)
	}
	*r = sideReader{l: r.l, ref: ref, reader: reader, pos: segment.HeaderBytes, raw: r.raw, sum: sha256.New(), chunks: r.chunks}
	if reader.Header.ID != (segment.ID{Log: r.l.id, Kind: segment.KindSide, Number: ref.ID}) {
		return reader.Corrupt(0, 0, fmt.Errorf("%w: it is another file", segment.ErrFormat))
	}
	r.size, err = reader.Size()
	return err
}

// attach readies a unit for its changes to be read, wherever they lie.
func (r *sideReader) attach(u *changelog.Unit, versions changelog.Versions, tables *changelog.TableSet) error {
	ref, isSide := u.Side()
	if !isSide {
		u.Attach(versions, tables, nil)
		return nil
	}
	if err := r.open(ref); err != nil {
		return err
	}
	if r.chunks == nil {
		r.chunks = r.next
	}
	u.Attach(versions, tables, r.chunks)
	return nil
}

func (r *sideReader) close() error {
	if r.reader == nil {
		return nil
	}
	err := r.reader.Close()
	r.reader = nil
	return err
}

// next is the next piece: whole records. At the end it checks the whole against the reference and returns io.EOF.
func (r *sideReader) next() ([]byte, error) {
	if r.done {
		return nil, io.EOF
	}
	if r.bytes == r.ref.Bytes {
		if r.count != r.ref.Changes || [32]byte(r.sum.Sum(nil)) != r.ref.SHA256 {
			return nil, r.reader.Corrupt(r.pos, 0, fmt.Errorf("%w: its content is not what its unit names", segment.ErrFormat))
		}
		r.done = true
		return nil, io.EOF
	}
	h, frame, err := r.reader.Frame(r.pos, r.size)
	if err != nil {
		return nil, err
	}
	raw, err := r.l.decoder.Payload(&h, frame, r.raw)
	if err == nil && (h.Type != segment.FrameChunk || len(raw) == 0 || uint64(len(raw)) > r.ref.Bytes-r.bytes) {
		err = fmt.Errorf("%w: a %s frame of %d bytes is not a piece of its unit", segment.ErrFormat, h.Type, len(raw))
	}
	if err != nil {
		return nil, r.reader.Corrupt(r.pos, 0, err)
	}
	if h.Codec != segment.CodecRaw {
		r.raw = raw
	}
	r.pos += h.Size()
	r.bytes += uint64(len(raw))
	r.count += h.Count
	r.sum.Write(raw)
	return raw, nil
}
