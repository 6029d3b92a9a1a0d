package vfs

import (
	"io"
	"io/fs"
	"syscall"
)

// memFile is an open file of a Mem.
type memFile struct {
	mem      *Mem
	node     *node
	name     string
	writable bool
	closed   bool // guarded by mem.mu
}

// ReadAt implements io.ReaderAt.
func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	f.mem.mu.RLock()
	defer f.mem.mu.RUnlock()
	if err := f.check("read", off); err != nil {
		return 0, err
	}
	n := f.node.now.readAt(b, off)
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements io.WriterAt.
func (f *memFile) WriteAt(b []byte, off int64) (int, error) {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	if err := f.checkWrite("write", off); err != nil {
		return 0, err
	}
	f.node.write(b, off)
	return len(b), nil
}

// Close implements File.
func (f *memFile) Close() error {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	if err := f.check("close", 0); err != nil {
		return err
	}
	f.closed = true
	return nil
}

// Sync implements File.
func (f *memFile) Sync() error {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	if err := f.check("sync", 0); err != nil {
		return err
	}
	f.node.sync()
	return nil
}

// Preallocate implements File.
func (f *memFile) Preallocate(size int64) error {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	if err := f.checkWrite("preallocate", 0); err != nil {
		return err
	}
	f.node.resize(max(size, f.node.now.size))
	return nil
}

// Truncate implements File.
func (f *memFile) Truncate(size int64) error {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	if err := f.checkWrite("truncate", size); err != nil {
		return err
	}
	f.node.resize(size)
	return nil
}

// Size implements File.
func (f *memFile) Size() (int64, error) {
	f.mem.mu.RLock()
	defer f.mem.mu.RUnlock()
	if err := f.check("stat", 0); err != nil {
		return 0, err
	}
	return f.node.now.size, nil
}

// NextData implements File. Memory has no holes to tell of.
func (f *memFile) NextData(off int64) (from, to int64, err error) {
	size, err := f.Size()
	return off, max(off, size), err
}

// Name implements File.
func (f *memFile) Name() string { return f.name }

// dropUnsynced is how Faulty tells the file that a Sync failed.
func (f *memFile) dropUnsynced() {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	f.node.dropUnsynced()
}

func (f *memFile) checkWrite(op string, off int64) error {
	if !f.writable {
		return &fs.PathError{Op: op, Path: f.name, Err: syscall.EBADF}
	}
	return f.check(op, off)
}

func (f *memFile) check(op string, off int64) error {
	if f.closed {
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	}
	if off < 0 {
		return &fs.PathError{Op: op, Path: f.name, Err: syscall.EINVAL}
	}
	return nil
}
