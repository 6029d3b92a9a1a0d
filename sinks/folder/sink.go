package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"cdc/changelog"
	"cdc/changelog/vfs"
	"cdc/sinks"
)

// Sink writes files of a format. A timer ends a round while nothing is written; it runs from a round's first change to its end.
type Sink struct {
	o      Options
	format Format

	mu      sync.Mutex // guards what follows, a unit or the end of a round at a time; taken before state.mu
	lock    io.Closer  // of the folder; nil while the sink is not open
	round   *Round
	written changelog.Offset // the last unit that was taken as a whole
	err     error            // since Open; the first one sticks
	needed  int64            // bytes that a round had written when the disk was full; 0 when it was not

	state struct {
		mu        sync.Mutex // guards what follows
		arrived   changelog.Offset
		committed changelog.Offset // of the folder's commit; 0 when it has none
		progress  sinks.Progress
	}
}

var _ sinks.Sink = (*Sink)(nil)

// New makes a sink; Open opens the folder.
func New(o Options, format Format) (*Sink, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Sink{o: o.withDefaults(), format: format}, nil
}

// errClosed is the error of a sink that is not open.
var errClosed = errors.New("the sink is not open")

// Open implements sinks.Sink. The offset of saved counts where it is after the folder's own: units without changes are not noted in the
// folder. Its state says which commit the folder must have.
func (s *Sink) Open(ctx context.Context, saved sinks.Checkpoint) (changelog.Offset, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(s.close(), ctx.Err()); err != nil {
		return 0, err
	}
	after, err := s.open()
	if err == nil {
		err = s.o.checkCommit(after, saved)
	}
	if err != nil {
		return 0, errors.Join(err, s.close())
	}
	s.note(after)
	s.written, s.err = max(after, saved.Offset), nil
	s.round = newRound(&s.o, s.format.Extension(), s.written)
	s.arrive(s.written)
	return s.written, nil
}

// open takes the folder and brings it to where its commit says.
func (s *Sink) open() (changelog.Offset, error) {
	if err := s.o.FS.MkdirAll(s.o.working("")); err != nil {
		return 0, fmt.Errorf("make folder for files: %w", err)
	}
	lock, err := s.o.FS.Lock(s.o.state(lockFile))
	if errors.Is(err, vfs.ErrLocked) {
		return 0, &sinks.Refused{
			Detail: fmt.Sprintf("another process writes files to %s", s.o.Dir), Remedy: "end it, or name another folder",
		}
	}
	if err != nil {
		return 0, fmt.Errorf("lock folder of files: %w", err)
	}
	s.lock = lock
	c, err := s.o.readCommit()
	if err != nil {
		return 0, err
	}
	if err := s.o.publish(c.Files); err != nil {
		return 0, err
	}
	if err := s.o.removeUnfinished(); err != nil {
		return 0, err
	}
	return c.Offset, s.checkSpace()
}

// spareBytes is what must be free beyond what was missing, for what else is written when a round ends.
const spareBytes = 1 << 20

// checkSpace waits with the round that did not fit, rather than fill the disk with it again and again.
func (s *Sink) checkSpace() error {
	if s.needed == 0 {
		return nil
	}
	free, err := s.o.FS.Free(s.o.Dir)
	if err != nil {
		return fmt.Errorf("ask for space on the disk of files: %w", err)
	}
	if free < s.needed+spareBytes {
		return fmt.Errorf("the disk of %s is full: %d bytes are free, the next files need more than %d; make room, or finish files at a smaller size",
			s.o.Dir, free, s.needed)
	}
	s.needed = 0
	return nil
}

// Write implements sinks.Sink.
func (s *Sink) Write(ctx context.Context, u *changelog.Unit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	before := s.round.bytes
	messages, err := s.format.Write(ctx, s.round, u)
	if err != nil {
		return s.fail(err)
	}
	s.written = u.Meta.Commit()
	s.count(messages, s.round.bytes-before)
	switch {
	case s.round.isEmpty():
		s.arrive(s.written)
	case s.round.isFull():
		return s.end()
	case s.round.timer == nil:
		r := s.round
		r.timer = time.AfterFunc(s.o.Interval, func() { s.expire(r) })
	}
	return nil
}

// expire ends a round whose time is over.
func (s *Sink) expire(r *Round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.round == r && s.err == nil {
		_ = s.end() // the next call, or Progress, says what went wrong
	}
}

// Flush implements sinks.Sink. It finishes files before their time.
func (s *Sink) Flush(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(s.usable(), ctx.Err()); err != nil {
		return err
	}
	if s.round.isEmpty() {
		return nil
	}
	return s.end()
}

// end makes the round arrive and begins the next one.
func (s *Sink) end() error {
	before := s.round.bytes
	if err := s.o.commit(s.round, s.written); err != nil {
		return s.fail(err)
	}
	s.note(s.written)
	s.count(0, s.round.bytes-before)
	if err := s.round.discard(); err != nil {
		return s.fail(err)
	}
	s.round = newRound(&s.o, s.format.Extension(), s.written)
	s.arrive(s.written)
	return nil
}

// usable is the error that the sink has come to.
func (s *Sink) usable() error {
	if s.lock == nil {
		return errClosed
	}
	return s.err
}

// fail keeps the error: the round is of no use after it, as what its files hold is not known.
func (s *Sink) fail(err error) error {
	s.err = err
	if vfs.IsNoSpace(err) {
		s.needed = s.round.bytes
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.progress.Err = err
	s.state.progress.Retries++
	return err
}

// note notes the folder's commit.
func (s *Sink) note(commit changelog.Offset) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.committed = commit
}

// arrive notes what has arrived.
func (s *Sink) arrive(n changelog.Offset) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.arrived = max(s.state.arrived, n)
	s.state.progress.Waiting = 0
	s.state.progress.Err = nil
}

// count notes what has been taken.
func (s *Sink) count(messages uint64, bytes int64) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	p := &s.state.progress
	p.Messages += messages
	p.Bytes += uint64(bytes)
	p.Waiting += bytes
}

// Arrived implements sinks.Sink.
func (s *Sink) Arrived() sinks.Checkpoint {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return sinks.Checkpoint{Offset: s.state.arrived, State: appendState(nil, s.state.committed)}
}

// Progress implements sinks.Sink.
func (s *Sink) Progress() sinks.Progress {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.progress
}

// Close implements sinks.Sink. What has not arrived is removed when the folder is opened again.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.close()
}

func (s *Sink) close() error {
	var problems []error
	if s.round != nil {
		problems = append(problems, s.round.discard())
		s.round = nil
	}
	if s.lock != nil {
		problems = append(problems, s.lock.Close())
		s.lock = nil
	}
	return errors.Join(problems...)
}
