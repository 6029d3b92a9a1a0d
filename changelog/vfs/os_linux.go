package vfs

import (
	"os"
	"syscall"
)

// syncData makes bytes and size durable and leaves the times alone, which
// spares a journal commit whenever the size has not changed.
func syncData(f *os.File) error {
	return control(f, syscall.Fdatasync)
}

// reserve allocates the first size bytes and extends the file to them. The
// error is errors.ErrUnsupported where the volume cannot.
func reserve(f *os.File, size int64) error {
	return control(f, func(fd int) error {
		return syscall.Fallocate(fd, 0, 0, size)
	})
}
