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
