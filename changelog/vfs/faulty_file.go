package vfs

// faultyFile is an open file of a Faulty.
type faultyFile struct {
	File
	faulty *Faulty
}

// unsyncedDropper is a file that can act out what a failed Sync does to the
// writes before it.
type unsyncedDropper interface{ dropUnsynced() }

// ReadAt implements io.ReaderAt.
func (f *faultyFile) ReadAt(b []byte, off int64) (n int, err error) {
	call := Call{Kind: KindRead, Name: f.Name(), Offset: off, Bytes: int64(len(b))}
	err = f.faulty.do(call, func() (err error) {
		n, err = f.File.ReadAt(b, off)
		return err
	}, nil)
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *faultyFile) WriteAt(b []byte, off int64) (n int, err error) {
	call := Call{Kind: KindWrite, Name: f.Name(), Offset: off, Bytes: int64(len(b))}
	write := func(b []byte) (err error) {
		n, err = f.writeWithin(b, off)
		return err
	}
	err = f.faulty.do(call,
		func() error { return write(b) },
		func() error { return write(b[:len(b)/2]) })
	return n, err
}

// writeWithin writes what the space limit allows.
func (f *faultyFile) writeWithin(b []byte, off int64) (n int, err error) {
	s := &f.faulty.space
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.limited || off < 0 || len(b) == 0 {
		return f.File.WriteAt(b, off)
	}
	err = s.growing(f.File, off+int64(len(b)), func(limit int64) (err error) {
		fits := min(max(limit-off, 0), int64(len(b)))
		if fits > 0 {
			n, err = f.File.WriteAt(b[:fits], off)
		}
		if err == nil && fits < int64(len(b)) {
			err = errNoSpace(KindWrite, f.Name())
		}
		return err
	})
	return n, err
}

// Sync implements File.
func (f *faultyFile) Sync() error {
	ran := false
	err := f.faulty.do(Call{Kind: KindSync, Name: f.Name()}, func() error {
		ran = true
		return f.File.Sync()
	}, nil)
	if d, ok := f.File.(unsyncedDropper); ok && err != nil && !ran {
		d.dropUnsynced()
	}
	return err
}

// Preallocate implements File.
func (f *faultyFile) Preallocate(size int64) error {
	return f.faulty.do(Call{Kind: KindPreallocate, Name: f.Name(), Bytes: size}, func() error {
		s := &f.faulty.space
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.limited {
			return f.File.Preallocate(size)
		}
		return s.growing(f.File, size, func(limit int64) error {
			if limit < size {
				return errNoSpace(KindPreallocate, f.Name())
			}
			return f.File.Preallocate(size)
		})
	}, nil)
}

// Truncate implements File.
func (f *faultyFile) Truncate(size int64) error {
	return f.faulty.do(Call{Kind: KindTruncate, Name: f.Name(), Bytes: size}, func() error {
		s := &f.faulty.space
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.limited {
			return f.File.Truncate(size)
		}
		return s.growing(f.File, size, func(limit int64) error {
			if limit < size {
				return errNoSpace(KindTruncate, f.Name())
			}
			return f.File.Truncate(size)
		})
	}, nil)
}

// Size implements File.
func (f *faultyFile) Size() (size int64, err error) {
	err = f.faulty.do(Call{Kind: KindStat, Name: f.Name()}, func() (err error) {
		size, err = f.File.Size()
		return err
	}, nil)
	if err != nil {
		return 0, err
	}
	return size, nil
}

// NextData implements File.
func (f *faultyFile) NextData(off int64) (from, to int64, err error) {
	err = f.faulty.do(Call{Kind: KindStat, Name: f.Name(), Offset: off}, func() (err error) {
		from, to, err = f.File.NextData(off)
		return err
	}, nil)
	return from, to, err
}
