package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// tmpSuffix marks a file that WriteFileAtomic had not finished. One that a
// crash left behind is replaced by the next call and may be removed.
const tmpSuffix = ".tmp"

// ErrTooLarge is returned by ReadFile for a file above the caller's limit.
var ErrTooLarge = errors.New("file is larger than its limit")

// WriteFileAtomic replaces the content of dir/name as one step: whatever
// happens, a reader finds all of the old content or all of the new, and the
// new is durable once it returns nil. After an error either may be found.
//
// Calls for the same name must not overlap.
func WriteFileAtomic(fsys FS, dir, name string, data []byte) error {
	final := filepath.Join(dir, name)
	tmp := final + tmpSuffix
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove leftover of %s: %w", name, err)
	}
	if err := writeNewFile(fsys, tmp, data); err != nil {
		_ = fsys.Remove(tmp) // the first error is the one to report
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := fsys.Rename(tmp, final); err != nil {
		return fmt.Errorf("replace %s: %w", name, err)
	}
	if err := fsys.SyncDir(dir); err != nil {
		return fmt.Errorf("sync directory of %s: %w", name, err)
	}
	return nil
}

// writeNewFile makes a file with a durable content; its name is not durable.
func writeNewFile(fsys FS, name string, data []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// ReadFile returns the content of a file of at most limit bytes, and
// ErrTooLarge for a larger one, without having allocated for it.
func ReadFile(fsys FS, name string, limit int64) (data []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("read %s of %d bytes, limit %d: %w", name, size, limit, ErrTooLarge)
	}
	data = make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if err != nil && (err != io.EOF || int64(n) < size) {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}
