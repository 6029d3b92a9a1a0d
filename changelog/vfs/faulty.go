package vfs

import (
	"errors"
	"io"
	"io/fs"
	"math/bits"
	"sync"
	"syscall"
)

// ErrInjected is the error of a Fault that names none.
var ErrInjected = errors.New("injected fault")

// Kind is a set of kinds of operation.
type Kind uint16

// The kinds of operation that Faulty counts and can make fail. Closing is
// neither.
const (
	KindCreate      Kind = 1 << iota // FS.Create
	KindOpen                         // FS.Open, FS.OpenReadWrite
	KindRead                         // File.ReadAt
	KindWrite                        // File.WriteAt
	KindSync                         // File.Sync
	KindPreallocate                  // File.Preallocate
	KindTruncate                     // File.Truncate
	KindRename                       // FS.Rename
	KindRemove                       // FS.Remove
	KindMkdir                        // FS.MkdirAll
	KindSyncDir                      // FS.SyncDir
	KindLock                         // FS.Lock
	KindStat                         // FS.ReadDir, FS.Stat, FS.Free, File.Size

	kindEnd

	// KindAny is every kind.
	KindAny = kindEnd - 1
	// KindChange is every kind that changes what a power loss may leave.
	KindChange = KindCreate | KindWrite | KindSync | KindPreallocate | KindTruncate |
		KindRename | KindRemove | KindMkdir | KindSyncDir
)

// Call describes an operation that is about to run.
type Call struct {
	Kind   Kind   // exactly one
	Name   string // of the file or directory; the old name of a rename
	Offset int64  // of a read or write
	Bytes  int64  // read or written; the size of a Preallocate or Truncate
}

// Outcome says how much of a failing operation is carried out.
type Outcome uint8

const (
	// FailBefore does nothing. A failing Sync on a Mem also makes the unsynced
	// writes of the file impossible to sync later, as a kernel may.
	FailBefore Outcome = iota
	// FailAfter does everything and reports the error all the same.
	FailAfter
	// FailHalf writes the first half; any other kind fails as by FailBefore.
	FailHalf
)

// Fault is an error to inject. The zero Fault makes the very next operation
// fail.
type Fault struct {
	Kinds   Kind    // that it may hit; zero means KindAny
	After   int64   // how many operations of these kinds pass first
	Err     error   // that the operation returns; nil means ErrInjected
	Outcome Outcome // what is done before it fails
	Repeat  bool    // every later operation of these kinds fails too
}

// Faulty is a file system that passes everything on to another one, counts it,
// and makes operations fail on demand. With no fault, hook or limit it behaves
// as the other one.
//
// A test visits every failure of a scenario with
//
//	for k := int64(0); ; k++ {
//		faulty := vfs.NewFaulty(vfs.NewMem())
//		faulty.Inject(vfs.Fault{After: k})
//		… run the scenario and check what it left …
//		if faulty.Injected() == 0 {
//			break
//		}
//	}
type Faulty struct {
	inner FS

	mu       sync.Mutex
	hook     func(Call) error // guarded by mu, called without it
	counts   [kindBits]int64  // guarded by mu; by bit of the kind
	faults   []Fault          // guarded by mu; After counts down
	injected int64            // guarded by mu

	space spaceLimit
}

// kindBits is the number of kinds that a Kind has room for.
const kindBits = 16

var _ FS = (*Faulty)(nil)

// NewFaulty returns a Faulty that passes on to inner.
func NewFaulty(inner FS) *Faulty { return &Faulty{inner: inner} }

// Inject adds a fault; counting for it starts here. Several may be waiting.
func (f *Faulty) Inject(fault Fault) {
	if fault.Kinds == 0 {
		fault.Kinds = KindAny
	}
	if fault.Err == nil {
		fault.Err = ErrInjected
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, fault)
}

// Clear takes back all faults, the hook and the space limit. Counts stay.
func (f *Faulty) Clear() {
	f.SetHook(nil)
	f.SetFree(Unlimited)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// SetHook has every operation call hook first; nil calls nothing. The hook may
// block, to be a slow disk, or take a Crash, to see every state that a
// scenario goes through. An error of it is injected with FailBefore.
func (f *Faulty) SetHook(hook func(Call) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

// Count returns how many operations of these kinds were begun.
func (f *Faulty) Count(kinds Kind) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var sum int64
	for i, n := range f.counts {
		if kinds&(1<<i) != 0 {
			sum += n
		}
	}
	return sum
}

// Injected returns how many operations failed by a fault or by the hook. Those
// that met the space limit are not among them.
func (f *Faulty) Injected() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.injected
}

// do runs an operation, or the part of it that a fault allows. run carries it
// out; half, when there is one, carries out half of it.
func (f *Faulty) do(call Call, run, half func() error) error {
	fault, ok := f.begin(call)
	if !ok {
		return run()
	}
	// What the operation itself returns does not matter: it is to fail.
	switch {
	case fault.Outcome == FailAfter:
		_ = run()
	case fault.Outcome == FailHalf && half != nil:
		_ = half()
	}
	return &fs.PathError{Op: call.Kind.String(), Path: call.Name, Err: fault.Err}
}

// begin counts an operation and returns the fault that it meets.
func (f *Faulty) begin(call Call) (Fault, bool) {
	f.mu.Lock()
	f.counts[bits.TrailingZeros16(uint16(call.Kind))]++
	hook := f.hook
	f.mu.Unlock()
	var hookErr error
	if hook != nil {
		hookErr = hook(call)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fault, ok := f.nextFault(call.Kind)
	if hookErr != nil {
		fault, ok = Fault{Err: hookErr}, true
	}
	if ok {
		f.injected++
	}
	return fault, ok
}

// nextFault counts an operation down on every fault that it may meet. f.mu is
// held.
func (f *Faulty) nextFault(kind Kind) (hit Fault, ok bool) {
	waiting := f.faults[:0]
	for _, fault := range f.faults {
		switch {
		case fault.Kinds&kind == 0:
		case fault.After > 0:
			fault.After--
		case ok:
			// One fault an operation: this one hits the next.
		default:
			hit, ok = fault, true
			if !fault.Repeat {
				continue
			}
		}
		waiting = append(waiting, fault)
	}
	f.faults = waiting
	return hit, ok
}

// String names a single kind.
func (k Kind) String() string {
	switch k {
	case KindCreate:
		return "create"
	case KindOpen:
		return "open"
	case KindRead:
		return "read"
	case KindWrite:
		return "write"
	case KindSync:
		return "sync"
	case KindPreallocate:
		return "preallocate"
	case KindTruncate:
		return "truncate"
	case KindRename:
		return "rename"
	case KindRemove:
		return "remove"
	case KindMkdir:
		return "mkdir"
	case KindSyncDir:
		return "syncdir"
	case KindLock:
		return "lock"
	case KindStat:
		return "stat"
	default:
		return "operation"
	}
}

// Create implements FS.
func (f *Faulty) Create(name string) (File, error) {
	return f.open(KindCreate, name, f.inner.Create)
}

// Open implements FS.
func (f *Faulty) Open(name string) (File, error) {
	return f.open(KindOpen, name, f.inner.Open)
}

// OpenReadWrite implements FS.
func (f *Faulty) OpenReadWrite(name string) (File, error) {
	return f.open(KindOpen, name, f.inner.OpenReadWrite)
}

func (f *Faulty) open(kind Kind, name string, open func(string) (File, error)) (File, error) {
	var file File
	err := f.do(Call{Kind: kind, Name: name}, func() (err error) {
		file, err = open(name)
		return err
	}, nil)
	if err == nil {
		return &faultyFile{File: file, faulty: f}, nil
	}
	if file != nil {
		_ = file.Close() // opened before it was made to fail
	}
	return nil, err
}

// Remove implements FS.
func (f *Faulty) Remove(name string) error {
	return f.do(Call{Kind: KindRemove, Name: name}, func() error {
		return f.space.freeing(f.inner, name, func() error { return f.inner.Remove(name) })
	}, nil)
}

// Rename implements FS.
func (f *Faulty) Rename(oldName, newName string) error {
	return f.do(Call{Kind: KindRename, Name: oldName}, func() error {
		return f.space.freeing(f.inner, newName, func() error { return f.inner.Rename(oldName, newName) })
	}, nil)
}

// ReadDir implements FS.
func (f *Faulty) ReadDir(dir string) (names []string, err error) {
	err = f.do(Call{Kind: KindStat, Name: dir}, func() (err error) {
		names, err = f.inner.ReadDir(dir)
		return err
	}, nil)
	if err != nil {
		return nil, err
	}
	return names, nil
}

// MkdirAll implements FS.
func (f *Faulty) MkdirAll(dir string) error {
	return f.do(Call{Kind: KindMkdir, Name: dir}, func() error { return f.inner.MkdirAll(dir) }, nil)
}

// Stat implements FS.
func (f *Faulty) Stat(name string) (size int64, err error) {
	err = f.do(Call{Kind: KindStat, Name: name}, func() (err error) {
		size, err = f.inner.Stat(name)
		return err
	}, nil)
	if err != nil {
		return 0, err
	}
	return size, nil
}

// SyncDir implements FS.
func (f *Faulty) SyncDir(dir string) error {
	return f.do(Call{Kind: KindSyncDir, Name: dir}, func() error { return f.inner.SyncDir(dir) }, nil)
}

// Lock implements FS.
func (f *Faulty) Lock(name string) (io.Closer, error) {
	var lock io.Closer
	err := f.do(Call{Kind: KindLock, Name: name}, func() (err error) {
		lock, err = f.inner.Lock(name)
		return err
	}, nil)
	if err == nil {
		return lock, nil
	}
	if lock != nil {
		_ = lock.Close() // taken before it was made to fail
	}
	return nil, err
}

// Free implements FS.
func (f *Faulty) Free(dir string) (bytes int64, err error) {
	err = f.do(Call{Kind: KindStat, Name: dir}, func() (err error) {
		bytes, err = f.inner.Free(dir)
		return err
	}, nil)
	if err != nil {
		return 0, err
	}
	return f.space.cap(bytes), nil
}

// errNoSpace is what a full volume returns.
func errNoSpace(kind Kind, name string) error {
	return &fs.PathError{Op: kind.String(), Path: name, Err: syscall.ENOSPC}
}
