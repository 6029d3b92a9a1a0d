package segment

import (
	"errors"
	"fmt"
	"io"

	"cdc/changelog"
	"cdc/changelog/vfs"
)

// readAheadBytes is how much of a file is read at once: small frames would else cost a system call each.
const readAheadBytes = 256 << 10

// errShort says that a frame goes past the end of what may be read.
var errShort = fmt.Errorf("%w: it ends within a frame", ErrFormat)

// Reader reads the frames of one file. It is for one goroutine; Close releases the file.
type Reader struct {
	Header Header

	file vfs.File
	name string
	buf  []byte // what lies in the file at bufAt
	at   int64
}

// OpenReader opens a file and checks its header. name stands for the file in errors.
func OpenReader(fsys vfs.FS, path, name string) (*Reader, error) {
	file, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := NewReader(file, name)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

// NewReader reads an open file, which the Reader closes.
func NewReader(file vfs.File, name string) (*Reader, error) {
	r := &Reader{file: file, name: name}
	var head [HeaderBytes]byte
	if n, err := file.ReadAt(head[:], 0); n < HeaderBytes {
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("read header of %s: %w", name, err)
		}
		return nil, r.corrupt(0, 0, fmt.Errorf("%w: file of %d bytes", ErrFormat, n))
	}
	var err error
	if r.Header, err = DecodeHeader(head[:]); err != nil {
		return nil, r.corrupt(0, 0, err)
	}
	return r, nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }

// Size is the size of the file.
func (r *Reader) Size() (int64, error) { return r.file.Size() }

// Name is what the file is called in errors.
func (r *Reader) Name() string { return r.name }

// File is the file under the reader.
func (r *Reader) File() vfs.File { return r.file }

// Frame reads the frame at pos, of which the file holds limit bytes that may be read, and checks it. The bytes are valid until the
// next call. A frame that is not as it was written is a *changelog.CorruptError.
func (r *Reader) Frame(pos, limit int64) (FrameHeader, []byte, error) {
	var h FrameHeader
	head, err := r.bytes(pos, FrameHeaderBytes, limit)
	if err == nil {
		h, err = DecodeFrameHeader(head)
	}
	if err != nil {
		return h, nil, r.corrupt(pos, 0, err)
	}
	frame, err := r.bytes(pos, h.Size(), limit)
	if err == nil {
		err = r.Header.ID.CheckFrame(frame, &h, pos)
	}
	if err != nil {
		return h, nil, r.corrupt(pos, 0, err)
	}
	return h, frame, nil
}

// Corrupt is an error about the frame at pos, from whose contents on the offset is affected (0: not known).
func (r *Reader) Corrupt(pos int64, n changelog.Offset, err error) error {
	return r.corrupt(pos, n, err)
}

// corrupt gives an error about stored bytes its place; an error of the file system passes.
func (r *Reader) corrupt(pos int64, n changelog.Offset, err error) error {
	if !errors.Is(err, ErrFormat) && !errors.Is(err, changelog.ErrUnit) {
		return fmt.Errorf("read %s at byte %d: %w", r.name, pos, err)
	}
	return &changelog.CorruptError{File: r.name, At: pos, Offset: n, What: err.Error()}
}

// bytes are the n bytes at pos.
func (r *Reader) bytes(pos, n, limit int64) ([]byte, error) {
	if pos < 0 || n > limit-pos {
		return nil, errShort
	}
	if pos >= r.at && pos+n <= r.at+int64(len(r.buf)) {
		return r.buf[pos-r.at : pos-r.at+n], nil
	}
	want := min(max(n, readAheadBytes), limit-pos)
	if int64(cap(r.buf)) < want {
		r.buf = make([]byte, want)
	}
	r.buf, r.at = r.buf[:want], pos
	got, err := r.file.ReadAt(r.buf, pos)
	if int64(got) < n {
		r.buf = r.buf[:0]
		if err == nil || err == io.EOF {
			return nil, errShort
		}
		return nil, err
	}
	r.buf = r.buf[:got]
	return r.buf[:n], nil
}

// Forget drops what has been read ahead, so that the next Frame reads the file as it is by then.
func (r *Reader) Forget() { r.buf = r.buf[:0] }
