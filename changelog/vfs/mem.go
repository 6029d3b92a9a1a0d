package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// memFreeBytes is what Mem.Free answers: a volume that is never full. Faulty
// adds a limit.
const memFreeBytes = int64(1) << 40

// Mem is a file system in memory that knows which of its bytes and names are
// durable, so that [Mem.Crash] can show what a power loss would leave.
//
// Names are slash-separated; relative names start at the root, which always
// exists.
type Mem struct {
	mu      sync.RWMutex
	root    *node   // guarded by mu, as are all nodes below it
	pending []dirOp // guarded by mu; directory operations not yet durable, in order
}

var _ FS = (*Mem)(nil)

// NewMem returns an empty file system.
func NewMem() *Mem { return &Mem{root: newDirNode()} }

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.create(name)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	return &memFile{mem: m, node: n, name: name, writable: true}, nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) {
	n, err := m.file(name)
	if err != nil {
		return nil, err
	}
	return &memFile{mem: m, node: n, name: name}, nil
}

// OpenReadWrite implements FS.
func (m *Mem) OpenReadWrite(name string) (File, error) {
	n, err := m.file(name)
	if err != nil {
		return nil, err
	}
	return &memFile{mem: m, node: n, name: name, writable: true}, nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, n, err := m.find(name)
	if err == nil && n.isDir() && len(n.entries) > 0 {
		err = syscall.ENOTEMPTY
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	m.change(dirOp{node: n, from: at})
	return nil
}

// Rename implements FS.
func (m *Mem) Rename(oldName, newName string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.rename(oldName, newName); err != nil {
		return &fs.PathError{Op: "rename", Path: oldName + " to " + newName, Err: err}
	}
	return nil
}

// ReadDir implements FS.
func (m *Mem) ReadDir(dir string) ([]string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.dir(dir)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: dir, Err: err}
	}
	return slices.Sorted(maps.Keys(n.entries)), nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.root
	for _, name := range split(dir) {
		next := n.entries[name]
		if next == nil {
			next = newDirNode()
			m.change(dirOp{node: next, to: place{n, name}})
			m.syncDir(n)
		}
		if !next.isDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		n = next
	}
	return nil
}

// Stat implements FS.
func (m *Mem) Stat(name string) (int64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, n, err := m.find(name)
	if n == nil {
		return 0, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	if n.isDir() {
		return 0, nil
	}
	return n.now.size, nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.dir(dir)
	if err != nil {
		return &fs.PathError{Op: "syncdir", Path: dir, Err: err}
	}
	m.syncDir(n)
	return nil
}

// Lock implements FS.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, n, err := m.find(name)
	if n == nil {
		n, err = m.create(name)
	}
	if err == nil && n.isDir() {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: err}
	}
	if n.locked {
		return nil, fmt.Errorf("lock %s: %w", name, ErrLocked)
	}
	n.locked = true
	return &memLock{mem: m, node: n}, nil
}

// Free implements FS.
func (m *Mem) Free(dir string) (int64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if _, err := m.dir(dir); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return memFreeBytes, nil
}

// memLock is a held lock.
type memLock struct {
	mem  *Mem
	node *node // nil once closed; guarded by mem.mu
}

// Close releases the lock.
func (l *memLock) Close() error {
	l.mem.mu.Lock()
	defer l.mem.mu.Unlock()
	if l.node == nil {
		return fs.ErrClosed
	}
	l.node.locked = false
	l.node = nil
	return nil
}

// The methods below need mu to be held.

func (m *Mem) create(name string) (*node, error) {
	at, n, err := m.find(name)
	if n != nil {
		return nil, fs.ErrExist
	}
	if at.dir == nil {
		return nil, err
	}
	n = newFileNode(newContent())
	m.change(dirOp{node: n, to: at})
	return n, nil
}

func (m *Mem) rename(oldName, newName string) error {
	from, n, err := m.find(oldName)
	if err != nil {
		return err
	}
	to, target, err := m.find(newName)
	if to.dir == nil {
		return err
	}
	switch {
	case n == target:
		return nil
	case n.isDir() && strings.HasPrefix(path.Clean("/"+newName), path.Clean("/"+oldName)+"/"):
		return syscall.EINVAL // into itself
	case target != nil && target.isDir():
		return fs.ErrExist
	case target != nil && n.isDir():
		return syscall.ENOTDIR
	}
	m.change(dirOp{node: n, from: from, to: to})
	return nil
}

func (m *Mem) change(op dirOp) {
	op.apply(liveEntries)
	m.pending = append(m.pending, op)
}

// syncDir makes the operations in a directory durable, with the earlier ones
// elsewhere that they rest on.
func (m *Mem) syncDir(dir *node) {
	needed := make([]bool, len(m.pending))
	for i, op := range slices.Backward(m.pending) {
		needed[i] = op.in(dir)
		for j := i + 1; j < len(needed) && !needed[i]; j++ {
			needed[i] = needed[j] && m.pending[j].dependsOn(op)
		}
	}
	var rest []dirOp
	for i, op := range m.pending {
		if needed[i] {
			op.apply(durableEntries)
		} else {
			rest = append(rest, op)
		}
	}
	m.pending = rest
}

// find returns the place of a name and the node there. Without one, the place
// is where it could be made, and nowhere when its directory does not exist.
func (m *Mem) find(name string) (place, *node, error) {
	parts := split(name)
	if len(parts) == 0 {
		return place{}, m.root, syscall.EBUSY // the root cannot be moved or removed
	}
	dir := m.root
	for _, part := range parts[:len(parts)-1] {
		if dir = dir.entries[part]; dir == nil {
			return place{}, nil, fs.ErrNotExist
		}
		if !dir.isDir() {
			return place{}, nil, syscall.ENOTDIR
		}
	}
	at := place{dir, parts[len(parts)-1]}
	n := dir.entries[at.name]
	if n == nil {
		return at, nil, fs.ErrNotExist
	}
	return at, n, nil
}

func (m *Mem) dir(name string) (*node, error) {
	_, n, err := m.find(name)
	switch {
	case n == nil:
		return nil, err
	case !n.isDir():
		return nil, syscall.ENOTDIR
	}
	return n, nil
}

// file returns the node of an existing file. It takes mu itself.
func (m *Mem) file(name string) (*node, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, n, err := m.find(name)
	if n != nil && n.isDir() {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return n, nil
}

// split returns the parts of a name below the root.
func split(name string) []string {
	name = strings.Trim(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}
