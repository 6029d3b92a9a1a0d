package rowstate

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// errRoom says that the disk is full. What is stored is as it was.
var errRoom = errors.New("no space left on the disk")

const (
	// roomBytes are free when writing goes on: a few of the key-value store's files.
	roomBytes = 16 << 20
	roomPause = time.Second // between two looks at a full disk
)

// room keeps a key-value store from writing while the disk is full. By itself it would try again without a pause, and give up the
// whole process when the list of its files cannot be written.
type room struct {
	lacking atomic.Bool
	closing chan struct{}
	once    sync.Once
}

// watchRoom returns the file system with which the store in the folder is opened. close must be called before the store is closed.
func watchRoom(inner vfs.FS, dir string) (*room, vfs.FS) {
	r := &room{closing: make(chan struct{})}
	return r, vfs.OnDiskFull(inner, func() { r.wait(inner, dir) })
}

// wait holds up all writes to the disk until there is space, or the store is closed.
func (r *room) wait(fs vfs.FS, dir string) {
	r.lacking.Store(true)
	defer r.lacking.Store(false)
	ticker := time.NewTicker(roomPause)
	defer ticker.Stop()
	for {
		select {
		case <-r.closing:
			return
		case <-ticker.C:
		}
		if !lacksRoom(fs, dir) {
			return
		}
	}
}

// lacksRoom reports whether the disk of a folder is known to be full.
func lacksRoom(fs vfs.FS, dir string) bool {
	usage, err := fs.GetDiskUsage(dir)
	return err == nil && usage.AvailBytes < roomBytes
}

// check is errRoom while the disk is full: what would be written then could wait in memory for as long as that lasts.
func (r *room) check() error {
	if r.lacking.Load() {
		return errRoom
	}
	return nil
}

func (r *room) close() { r.once.Do(func() { close(r.closing) }) }
