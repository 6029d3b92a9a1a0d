// Package vfs is the seam between the embedded log and the file system.
//
// There are three implementations of [FS]: [OS] is the machine's file system,
// [Mem] is an in-memory one that can lose power, and [Faulty] wraps either to
// make chosen calls fail. Two helpers on top of FS, [WriteFileAtomic] and
// [ReadFile], serve the small files that are replaced as a whole.
//
// # What a power loss takes
//
// Nothing survives by having been written. The bytes and the size of a file
// are safe once [File].Sync has returned nil; the file's name is safe once
// [FS].SyncDir of its directory has returned nil. The two are independent: a
// synced file whose directory was not synced may be gone, and a renamed file
// that was not synced may be there and empty. Until then each 4 KiB page
// written and each create, rename or remove is kept or lost on its own, and a
// page may be torn between two of its 512-byte sectors. A rename alone is
// atomic: afterwards the file has either its old name or its new one.
//
// A failed Sync says nothing about what is on disk, and must not be repeated:
// the kernel may have dropped the pages that it could not write and call them
// clean, so that the next Sync succeeds without having written them.
package vfs

import (
	"errors"
	"io"
	"syscall"
)

// ErrLocked is returned by FS.Lock while somebody else holds the lock.
var ErrLocked = errors.New("lock is held by another process")

// Modes of everything an FS makes: the log holds users' rows, so nobody but
// the owner may read it.
const (
	fileMode = 0o600
	dirMode  = 0o700
)

// FS is a file system. All methods may be called concurrently; what two calls
// on the same name at the same time leave behind is up to the callers.
//
// Errors match [io/fs.ErrNotExist] and [io/fs.ErrExist] under errors.Is where
// these are the cause, and [IsNoSpace] tells a full volume.
type FS interface {
	// Create makes a new, empty file (mode 0600) for reading and writing, and
	// fails when the name exists. The name is durable after SyncDir, the
	// content after File.Sync.
	Create(name string) (File, error)

	// Open opens an existing file for reading only.
	Open(name string) (File, error)

	// OpenReadWrite opens an existing file for reading and writing.
	OpenReadWrite(name string) (File, error)

	// Remove removes a file, or an empty directory. Open handles keep working.
	// Until SyncDir of its directory the file may come back.
	Remove(name string) error

	// Rename gives a file a new name, replacing the file of that name.
	// It is atomic, and durable after SyncDir of both directories.
	Rename(oldName, newName string) error

	// ReadDir lists the names in a directory, sorted.
	ReadDir(dir string) ([]string, error)

	// MkdirAll makes a directory and its missing parents (mode 0700). Those it
	// makes are durable when it returns. An existing directory is no error.
	MkdirAll(dir string) error

	// Stat returns the size of a file, and 0 for a directory.
	Stat(name string) (size int64, err error)

	// SyncDir makes every create, rename and remove in a directory durable.
	// It says nothing about the content of the files.
	SyncDir(dir string) error

	// Lock takes the exclusive lock of that name, making its file when there
	// is none, and returns ErrLocked at once when it is held, by this process
	// or another one. Closing releases it; so does the end of the process. The
	// file stays: removing it would let two holders in.
	Lock(name string) (io.Closer, error)

	// Free returns how many bytes the volume of a directory has left for us.
	Free(dir string) (bytes int64, err error)
}

// File is an open file. ReadAt and WriteAt may be called concurrently with
// each other and with Sync; a Sync covers the writes that returned before it
// began.
//
// ReadAt and WriteAt keep no reference to the caller's slice. A WriteAt that
// fails may have written a part, and returns how many bytes it wrote.
type File interface {
	io.ReaderAt
	io.WriterAt

	// Close releases the handle. It makes nothing durable.
	Close() error

	// Sync makes the bytes and the size of the file durable, as fdatasync
	// does. Times and the file's name are not covered. After an error the
	// content on disk is unknown and Sync must not be called again.
	Sync() error

	// Preallocate reserves the file's first size bytes on the volume, and
	// extends the file with zeros when it is shorter, so that a Sync after a
	// write inside them has no new size to store. It never shrinks the file.
	// Where the volume cannot reserve, it only extends. After an error the
	// size is between the old one and the one asked for.
	Preallocate(size int64) error

	// Truncate sets the size, cutting the file or extending it with zeros.
	// Durable after Sync.
	Truncate(size int64) error

	// Size returns the size in bytes.
	Size() (int64, error)

	// NextData returns the next range [from, to) at or after off that may hold
	// bytes other than zero, as far as the volume can tell without reading;
	// what lies between off and from is zero. It is empty when there is none.
	// Reading can make more of the file look like data, never less.
	NextData(off int64) (from, to int64, err error)

	// Name returns the name that the file was opened by.
	Name() string
}

// IsNoSpace reports whether err means that the volume, or our quota of it, is
// full: the one write error that may heal while the process lives.
func IsNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
