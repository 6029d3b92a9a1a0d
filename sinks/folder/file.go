package folder

import (
	"container/list"
	"errors"
	"fmt"
	"io"

	"cdc/changelog"
	"cdc/changelog/vfs"
)

// File is a file of a round that is being written. It is for the Format's goroutine.
type File struct {
	// Content is the format's own: nil in a new file, and closed, to write the file's end, when the file is complete.
	Content io.Closer

	round       *Round
	stream      string
	temporary   string // name in the working folder
	first, last changelog.Offset
	size        int64 // with what is in the buffer
	handle      vfs.File
	buffer      []byte        // nil while the file is not open
	place       *list.Element // in the round's open files
}

var _ io.Writer = (*File)(nil)

// bufferBytes is how much of each open file waits to be written.
const bufferBytes = 64 << 10

// Size is how many bytes have been written.
func (f *File) Size() int64 { return f.size }

// Write adds to the file's end. It does not keep p.
func (f *File) Write(p []byte) (int, error) {
	if err := f.open(); err != nil {
		return 0, err
	}
	if len(f.buffer)+len(p) > bufferBytes {
		if err := f.writeOut(); err != nil {
			return 0, err
		}
	}
	f.size += int64(len(p))
	f.round.bytes += int64(len(p))
	if len(p) < bufferBytes {
		f.buffer = append(f.buffer, p...)
		return len(p), nil
	}
	if _, err := f.handle.WriteAt(p, f.size-int64(len(p))); err != nil {
		return 0, fmt.Errorf("write file of %s: %w", f.stream, err)
	}
	return len(p), nil
}

// open makes the file one of those that are open, in place of the one that was written to least recently.
func (f *File) open() error {
	r := f.round
	if f.handle != nil {
		r.open.MoveToFront(f.place)
		return nil
	}
	for r.open.Len() >= r.o.OpenFiles {
		if err := r.open.Back().Value.(*File).shut(); err != nil {
			return err
		}
	}
	var err error
	if f.temporary == "" {
		r.files++
		f.temporary = temporaryName(r.after, r.files)
		f.handle, err = r.o.FS.Create(r.o.working(f.temporary))
	} else {
		f.handle, err = r.o.FS.OpenReadWrite(r.o.working(f.temporary))
	}
	if err != nil {
		f.handle = nil
		return fmt.Errorf("open file of %s: %w", f.stream, err)
	}
	f.place = r.open.PushFront(f)
	if n := len(r.buffers); n > 0 {
		f.buffer, r.buffers = r.buffers[n-1], r.buffers[:n-1]
	} else {
		f.buffer = make([]byte, 0, bufferBytes)
	}
	return nil
}

// writeOut writes what is in the buffer.
func (f *File) writeOut() error {
	if len(f.buffer) == 0 {
		return nil
	}
	if _, err := f.handle.WriteAt(f.buffer, f.size-int64(len(f.buffer))); err != nil {
		return fmt.Errorf("write file of %s: %w", f.stream, err)
	}
	f.buffer = f.buffer[:0]
	return nil
}

// shut writes out what is in the buffer and closes the handle. What was written is not durable yet.
func (f *File) shut() error {
	if f.handle == nil {
		return nil
	}
	return errors.Join(f.writeOut(), f.drop())
}

// drop closes the handle.
func (f *File) drop() error {
	if f.handle == nil {
		return nil
	}
	err := f.handle.Close()
	f.round.open.Remove(f.place)
	f.round.buffers = append(f.round.buffers, f.buffer[:0])
	f.handle, f.place, f.buffer = nil, nil, nil
	return err
}

// complete writes the end of the content and makes the file durable.
func (f *File) complete() error {
	if f.Content != nil {
		if err := f.Content.Close(); err != nil {
			return fmt.Errorf("complete file of %s: %w", f.stream, err)
		}
		f.Content = nil
	}
	if err := f.open(); err != nil {
		return err
	}
	if err := f.writeOut(); err != nil {
		return err
	}
	if err := f.handle.Sync(); err != nil {
		return fmt.Errorf("sync file of %s: %w", f.stream, err)
	}
	return f.drop()
}
