//go:build darwin || freebsd

package vfs

import (
	"errors"
	"os"
)

// syncData makes the whole file durable, down to the platter on macOS.
func syncData(f *os.File) error { return f.Sync() }

// reserve is not offered here; the caller extends the file instead.
func reserve(*os.File, int64) error { return errors.ErrUnsupported }

// seekData is not offered here; all of the file counts.
func seekData(_ *os.File, off, size int64) (from, to int64) { return off, size }
