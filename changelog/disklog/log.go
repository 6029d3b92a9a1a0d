package disklog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"cdc/changelog"
	"cdc/changelog/segment"
	"cdc/changelog/vfs"
)

// Log is a log on files. See the package comment.
type Log struct {
	o       Options
	dir     string
	fs      vfs.FS
	logger  *slog.Logger
	id      [16]byte
	lock    io.Closer // of a log open for writing
	catalog *changelog.Catalog
	decoder *segment.Decompressor
	writer  writer // used by the flusher only

	mu       sync.Mutex // guards all below
	segments []*segmentInfo
	next     changelog.Offset // to be given to the next unit
	durable  changelog.Offset // what lies before it may be read
	pending  group
	// filling is the number of the segment that the last appended unit goes to, fillingFirst its first offset, filled an upper
	// bound of its bytes so far.
	filling      uint64
	fillingFirst changelog.Offset
	filled       int64
	nextSide     uint64
	closing      bool
	failed       error // why nothing may be appended any more
	noSpace      error // the write that is being tried again, if so
	appended     signal
	changed      signal // durable, failed, noSpace, closing or segments have changed

	stop      context.CancelFunc
	stopped   context.Context // done when Close begins
	sealing   sync.Mutex      // held while a segment is being sealed; taken before mu
	manifest  sync.Mutex      // held while the manifest is being written; taken before mu
	routines  sync.WaitGroup
	closeOnce sync.Once
	closeErr  error
	refreshMu sync.Mutex // one reader of a read-only log looks for news at a time; taken before mu
	// believed is what the manifest said when the log was opened for reading: what lies before it is durable. Fixed.
	believed changelog.Offset
}

var _ changelog.Log = (*Log)(nil)

// Open opens the log in a folder; for writing, a folder without one gets one.
func Open(dir string, o Options) (*Log, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("open log in %s: %w", dir, err)
	}
	o = o.withDefaults()
	l := &Log{o: o, dir: dir, fs: o.FS, logger: o.Logger, decoder: segment.NewDecompressor(), nextSide: 1}
	l.stopped, l.stop = context.WithCancel(context.Background())
	open := l.openWrite
	if o.ReadOnly {
		open = l.openRead
	}
	if err := open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open log in %s: %w", dir, err), l.release())
	}
	return l, nil
}

// release gives back what a log holds of the system.
func (l *Log) release() error {
	l.stop()
	var problems []error
	if l.writer.file != nil {
		problems = append(problems, l.writer.file.Close())
		l.writer.file = nil
	}
	if l.lock != nil {
		problems = append(problems, l.lock.Close())
		l.lock = nil
	}
	return errors.Join(problems...)
}

// ID implements changelog.Log.
func (l *Log) ID() [16]byte { return l.id }

// Catalog implements changelog.Log.
func (l *Log) Catalog() *changelog.Catalog { return l.catalog }

// Bounds implements changelog.Log.
func (l *Log) Bounds() changelog.Bounds {
	l.mu.Lock()
	defer l.mu.Unlock()
	return changelog.Bounds{First: l.segments[0].first, Next: l.durable}
}

// WaitDurable implements changelog.Log.
func (l *Log) WaitDurable(ctx context.Context, n changelog.Offset) error {
	for {
		l.mu.Lock()
		durable, err, changed := l.durable, l.refusal(), l.changed.wait()
		l.mu.Unlock()
		if n < durable {
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.await(ctx, changed); err != nil {
			return err
		}
	}
}

// await waits for a change of the log, which a read-only one has to look for.
func (l *Log) await(ctx context.Context, changed <-chan struct{}) error {
	if l.o.ReadOnly {
		return l.poll(ctx)
	}
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close makes what has been appended durable and gives the folder back. Cursors that are open keep their files; those that wait for
// more end with ErrClosed.
func (l *Log) Close() error {
	l.closeOnce.Do(func() { l.closeErr = l.close() })
	return l.closeErr
}

func (l *Log) close() error {
	l.mu.Lock()
	l.closing = true
	l.appended.broadcast()
	l.changed.broadcast()
	l.mu.Unlock()
	l.stop()
	l.routines.Wait()
	l.sealing.Lock() // a call of Seal ends first
	defer l.sealing.Unlock()
	var err error
	if !l.o.ReadOnly {
		l.mu.Lock()
		lost, failed := l.next != l.durable, l.failed
		if lost && failed == nil {
			failed = l.noSpace
		}
		l.mu.Unlock()
		switch {
		case failed != nil:
			err = fmt.Errorf("close log: %w", failed)
		default:
			err = l.writeManifest()
		}
	}
	return errors.Join(err, l.release())
}
