package sinktest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"cdc/changelog"
	"cdc/changelog/vfs"
	"cdc/sinks"
)

func testTwo(s *suite) {
	s.fill(20)
	first := s.open(sinks.Checkpoint{})
	first.write(5)
	first.flush()
	first.write(3)
	if s.o.Locked {
		s.secondIsRefused(first)
	} else {
		s.secondWins(first)
	}
	s.checkAll()
}

// secondIsRefused checks that a second sink gets nowhere while the first one is open, and does afterwards.
func (s *suite) secondIsRefused(first *publisher) {
	second, err := s.to.Sink(s.encoder())
	s.must(err)
	_, err = second.Open(s.Context(), first.sink.Arrived())
	if err == nil {
		s.Fatal("a second sink opens a destination that is in use")
	}
	s.Logf("the second sink: %v", err)
	s.must(second.Close())
	first.write(2)
	first.flush()
	first.close()
	p := s.reopen(second, sinks.Checkpoint{})
	p.writeAll()
	p.flush()
	p.close()
}

// secondWins checks that the first sink writes nothing once the second one is open, and says so.
func (s *suite) secondWins(first *publisher) {
	second := s.open(first.sink.Arrived())
	second.write(3)
	err := first.next()
	for range 5 {
		if err == nil {
			err = first.next()
		}
	}
	if err == nil {
		err = first.sink.Flush(s.Context())
	}
	var stop *sinks.Stop
	if !errors.As(err, &stop) || stop.Kind != changelog.StopFenced {
		s.Fatalf("a sink whose destination another one has taken ends with %v, want the stop %s", err, changelog.StopFenced)
	}
	s.Logf("the first sink: %v", err)
	s.must(first.sink.Close())
	second.writeAll()
	second.flush()
	s.arrivedAll(second)
	second.close()
}

// run is sinks.Run in the background.
type run struct {
	sink   sinks.Sink
	cancel context.CancelFunc
	ended  chan error

	mu     sync.Mutex // guards phases
	phases []sinks.Phase
}

// start runs a sink whose checkpoints are in the folder.
func (s *suite) start(dir string) *run {
	s.Helper()
	sink, err := s.to.Sink(s.encoder())
	s.must(err)
	ctx, cancel := context.WithCancel(s.Context())
	r := &run{sink: sink, cancel: cancel, ended: make(chan error, 1)}
	options := sinks.RunOptions{
		Log: s.log, Sink: sink, Name: "test", Store: sinks.NewStore(vfs.OS{}, dir), Logger: slog.New(slog.DiscardHandler),
		Phase: func(p sinks.Phase, err error) {
			s.Logf("phase %s, error %v", p, err)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.phases = append(r.phases, p)
		},
	}
	go func() { r.ended <- sinks.Run(ctx, options) }()
	return r
}

// waited is how many times the run has waited for its next try.
func (r *run) waited() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.phases {
		if p == sinks.PhaseWaiting {
			n++
		}
	}
	return n
}

// end cancels the run and waits for its end, which must not take long.
func (s *suite) end(r *run) {
	s.Helper()
	r.cancel()
	select {
	case err := <-r.ended:
		if !errors.Is(err, context.Canceled) {
			s.Fatalf("a cancelled run ends with %v", err)
		}
	case <-time.After(endTime):
		s.Fatalf("a cancelled run has not ended after %s", endTime)
	}
}

// endTime is what a run may take to end: what is on its way is given time to arrive.
const endTime = 30 * time.Second

// arrives waits until all that the log holds has arrived.
func (s *suite) arrives(r *run) {
	s.Helper()
	s.eventually("all has arrived", func() bool { return r.sink.Arrived().Offset >= s.log.Bounds().Next-1 })
	s.checkAll()
}

func testRefused(s *suite) {
	r := s.start(s.TempDir())
	for range 3 {
		s.fill(10)
		s.to.Refuse()
		s.fill(10)
		waited := r.waited()
		s.eventually("the run waits for its next try", func() bool { return r.waited() > waited })
		s.check(r.sink.Arrived())
		s.to.Allow()
		s.arrives(r)
	}
	s.end(r)
}

func testRuns(s *suite) {
	dir := s.TempDir()
	for i := range 6 {
		r := s.start(dir)
		s.fill(1 + s.random.IntN(20))
		if i%2 == 0 {
			s.arrives(r)
		}
		s.end(r)
		s.check(r.sink.Arrived())
	}
	r := s.start(dir)
	s.arrives(r)
	s.end(r)
}

func testCancelled(s *suite) {
	s.fill(10)
	cancelled, cancel := context.WithCancel(s.Context())
	cancel()
	sink, err := s.to.Sink(s.encoder())
	s.must(err)
	s.promptly("open", func() {
		if _, err := sink.Open(cancelled, sinks.Checkpoint{}); err == nil {
			s.Error("a sink opens with a cancelled context")
		}
	})
	s.must(sink.Close())
	p := s.reopen(sink, sinks.Checkpoint{})
	s.to.Refuse()
	s.promptly("flush", func() {
		ctx, cancel := context.WithTimeout(s.Context(), 100*time.Millisecond)
		defer cancel()
		err := p.next()
		for range 3 {
			if err == nil {
				err = p.next()
			}
		}
		if err == nil {
			err = sink.Flush(ctx)
		}
		if err == nil {
			s.Error("a flush returns although nothing arrives")
		}
	})
	s.must(p.sink.Close())
	r := s.start(s.TempDir())
	s.end(r)
	s.to.Allow()
	p = s.reopen(sink, sinks.Checkpoint{})
	p.writeAll()
	p.flush()
	s.arrivedAll(p)
	p.close()
}

// promptly fails the test when f takes long.
func (s *suite) promptly(what string, f func()) {
	s.Helper()
	began := time.Now()
	f()
	if took := time.Since(began); took > endTime {
		s.Fatalf("%s with a context that is done took %s", what, took)
	}
}
