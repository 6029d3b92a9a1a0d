package vfs

import (
	"errors"
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

// SEEK_DATA and SEEK_HOLE.
const (
	whenceData = 3
	whenceHole = 4
)

// seekData is the first range from off on that is not a hole, nor reserved and
// never written. A volume that cannot tell has no holes.
func seekData(f *os.File, off, size int64) (from, to int64) {
	from, err := f.Seek(off, whenceData)
	if errors.Is(err, syscall.ENXIO) {
		return size, size
	}
	if err != nil {
		return off, size
	}
	if to, err = f.Seek(from, whenceHole); err != nil {
		return from, max(from, size)
	}
	return from, to
}
