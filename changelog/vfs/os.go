//go:build linux || darwin || freebsd

package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// OS is the file system of the machine. The zero value is ready to use.
type OS struct{}

var _ FS = OS{}

// Create implements FS.
func (OS) Create(name string) (File, error) {
	return openOS(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

// Open implements FS.
func (OS) Open(name string) (File, error) {
	return openOS(name, os.O_RDONLY)
}

// OpenReadWrite implements FS.
func (OS) OpenReadWrite(name string) (File, error) {
	return openOS(name, os.O_RDWR)
}

func openOS(name string, flags int) (File, error) {
	f, err := os.OpenFile(name, flags, fileMode)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// Rename implements FS.
func (OS) Rename(oldName, newName string) error { return os.Rename(oldName, newName) }

// ReadDir implements FS.
func (OS) ReadDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// MkdirAll implements FS. It goes down from the topmost missing directory and
// syncs each parent, because a directory is only as durable as its own entry.
func (o OS) MkdirAll(dir string) error {
	info, err := os.Stat(dir)
	if err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := o.MkdirAll(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return o.SyncDir(parent)
}

// Stat implements FS.
func (OS) Stat(name string) (int64, error) {
	info, err := os.Stat(name)
	if err != nil {
		return 0, err
	}
	if info.IsDir() {
		return 0, nil
	}
	return info.Size(), nil
}

// SyncDir implements FS.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Lock implements FS with flock, which belongs to the open file: the kernel
// releases it when the process ends, however it ends.
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	err = control(f, func(fd int) error {
		return syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
	})
	if err == nil {
		return flock{f}, nil
	}
	_ = f.Close() // nothing was written
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("lock %s: %w", name, ErrLocked)
	}
	return nil, &fs.PathError{Op: "flock", Path: name, Err: err}
}

// flock is a lock that is held.
type flock struct{ *os.File }

// Close gives the lock up by its own call. Closing alone would keep it for as
// long as a child that is being started has a copy of the descriptor.
func (f flock) Close() error {
	err := control(f.File, func(fd int) error { return syscall.Flock(fd, syscall.LOCK_UN) })
	return errors.Join(err, f.File.Close())
}

// Free implements FS.
func (OS) Free(dir string) (int64, error) {
	var st syscall.Statfs_t
	err := retryInterrupted(func() error { return syscall.Statfs(dir, &st) })
	if err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// osFile is an *os.File with the calls that os does not offer.
type osFile struct{ *os.File }

// Sync implements File.
func (f osFile) Sync() error {
	if err := syncData(f.File); err != nil {
		return &fs.PathError{Op: "sync", Path: f.Name(), Err: err}
	}
	return nil
}

// Preallocate implements File.
func (f osFile) Preallocate(size int64) error {
	if size <= 0 {
		return nil
	}
	err := reserve(f.File, size)
	if errors.Is(err, errors.ErrUnsupported) {
		return f.extend(size)
	}
	if err != nil {
		return &fs.PathError{Op: "preallocate", Path: f.Name(), Err: err}
	}
	return nil
}

// extend makes the file at least size bytes long without reserving them.
func (f osFile) extend(size int64) error {
	now, err := f.Size()
	if err != nil || now >= size {
		return err
	}
	return f.Truncate(size)
}

// Size implements File.
func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// NextData implements File.
func (f osFile) NextData(off int64) (from, to int64, err error) {
	size, err := f.Size() // before the search: what is appended meanwhile is not passed over
	if err != nil || off >= size {
		return off, off, err
	}
	from, to = seekData(f.File, off, size)
	return from, to, nil
}

// control runs a system call on the file's descriptor, which cannot be closed
// and reused under it.
func control(f *os.File, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	err = conn.Control(func(fd uintptr) {
		callErr = retryInterrupted(func() error { return call(int(fd)) })
	})
	if err != nil {
		return err
	}
	return callErr
}

// retryInterrupted repeats a call that a signal cut short, which the Go
// runtime's own signals do.
func retryInterrupted(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR {
			return err
		}
	}
}
