package vfs

import "sync"

// Unlimited takes the limit away when it is given to Faulty.SetFree.
const Unlimited = int64(-1)

// SetFree limits how many bytes files may still grow by; Unlimited lifts the
// limit. A write that does not fit stores what does and fails with ENOSPC; a
// Preallocate or Truncate that does not fit does nothing. Cutting, removing and replacing
// files gives their bytes back.
func (f *Faulty) SetFree(bytes int64) {
	f.space.mu.Lock()
	defer f.space.mu.Unlock()
	f.space.limited = bytes >= 0
	f.space.free = max(bytes, 0)
}

// spaceLimit is the space left on a volume. It counts what sizes grow by, as
// if every file were full: bytes within the size are paid for already.
type spaceLimit struct {
	mu      sync.Mutex // held across the operation, so that sizes stand still
	limited bool       // guarded by mu
	free    int64      // guarded by mu
}

// cap returns what is left, given what the volume below has left.
func (s *spaceLimit) cap(bytes int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.limited {
		return bytes
	}
	return min(bytes, s.free)
}

// freeing runs an operation after which the file that has the name is gone.
func (s *spaceLimit) freeing(inner FS, name string, run func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.limited {
		return run()
	}
	size, statErr := inner.Stat(name)
	err := run()
	if err == nil && statErr == nil {
		s.free += size
	}
	return err
}

// growing runs an operation that is to make file size bytes long, and accounts
// for what it does to the size. run is told how long the file may become, which
// is size or less, but never less than the file has now. s.mu is held.
func (s *spaceLimit) growing(file File, size int64, run func(limit int64) error) error {
	before, err := file.Size()
	if err != nil {
		return err
	}
	err = run(max(before, min(size, before+s.free)))
	if after, sizeErr := file.Size(); sizeErr == nil {
		s.free -= after - before
	}
	return err
}
