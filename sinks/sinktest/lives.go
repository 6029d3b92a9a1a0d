package sinktest

import (
	"runtime"
	"time"

	"cdc/sinks"
)

func testOnce(s *suite) {
	s.fill(100)
	p := s.open(sinks.Checkpoint{})
	for p.read < s.log.Bounds().Next-1 {
		p.write(1)
		if s.random.IntN(10) == 0 {
			s.check(p.sink.Arrived())
		}
	}
	p.flush()
	s.arrivedAll(p)
	progress := p.sink.Progress()
	if progress.Messages == 0 || progress.Bytes == 0 || progress.Waiting != 0 || progress.Err != nil {
		s.Fatalf("progress after everything has arrived: %+v", progress)
	}
	s.fill(20)
	p.turn()
	p.writeAll()
	p.flush()
	s.arrivedAll(p)
	p.close()
	s.checkAll()
}

// arrivedAll checks that all that was written has arrived.
func (s *suite) arrivedAll(p *publisher) {
	s.Helper()
	if arrived := p.sink.Arrived(); arrived.Offset != s.log.Bounds().Next-1 {
		s.Fatalf("after a flush all up to offset %d has arrived, the log ends at %d", arrived.Offset, s.log.Bounds().Next-1)
	}
	s.checkAll()
}

// lives are how many sinks follow each other in a test.
const lives = 25

func testKills(s *suite) {
	var saved []sinks.Checkpoint
	for life := range lives {
		s.fill(8)
		var from sinks.Checkpoint
		if n := len(saved); n > 0 {
			switch s.random.IntN(4) {
			case 0: // lost
			case 1:
				from = saved[s.random.IntN(n)]
			default:
				from = saved[n-1]
			}
		}
		p := s.open(from)
		for range life % 12 {
			switch s.random.IntN(6) {
			case 0:
				saved = append(saved, keep(p.sink.Arrived()))
			case 1:
				p.flush()
			default:
				p.write(1)
			}
		}
		arrived := keep(p.sink.Arrived())
		s.to.Kill(p.sink)
		s.check(arrived)
	}
	p := s.open(sinks.Checkpoint{})
	p.writeAll()
	p.flush()
	s.arrivedAll(p)
	p.close()
}

func testKilledInside(s *suite) {
	var saved sinks.Checkpoint
	for range lives {
		s.fill(8)
		p := s.open(saved)
		units, done := s.random.IntN(12), make(chan struct{})
		reached := make(chan struct{})
		go func() {
			defer close(done)
			p.writeUntilItFails(units, reached)
		}()
		<-reached
		saved = keep(p.sink.Arrived())
		s.to.Kill(p.sink)
		<-done
		s.check(p.sink.Arrived())
	}
	p := s.open(saved)
	p.writeAll()
	p.flush()
	s.arrivedAll(p)
	p.close()
}

// writeUntilItFails writes and flushes again and again; reached is closed after so many units.
func (p *publisher) writeUntilItFails(units int, reached chan struct{}) {
	for n := 0; ; n++ {
		if n == units {
			close(reached)
		}
		err := p.next()
		if err == nil && n%3 == 2 {
			err = p.sink.Flush(p.s.Context())
		}
		if err != nil {
			if n < units {
				p.s.Error(err)
				close(reached)
			}
			return
		}
	}
}

// keep is a copy of a checkpoint that outlives the sink.
func keep(c sinks.Checkpoint) sinks.Checkpoint {
	c.State = append([]byte(nil), c.State...)
	return c
}

func testRestarts(s *suite) {
	var saved sinks.Checkpoint
	for range lives {
		s.fill(5)
		p := s.open(saved)
		p.write(s.random.IntN(10))
		if s.random.IntN(2) == 0 {
			p.flush()
		}
		p.close()
		saved = keep(p.sink.Arrived())
		s.check(saved)
	}
	p := s.open(saved)
	p.writeAll()
	p.flush()
	s.arrivedAll(p)
	p.close()
}

func testReopen(s *suite) {
	sink, err := s.to.Sink(s.encoder())
	s.must(err)
	if c := sink.Arrived(); c.Offset != 0 || len(c.State) != 0 {
		s.Fatalf("a sink that was never open says that something has arrived: %+v", c)
	}
	var saved sinks.Checkpoint
	for range lives {
		s.fill(5)
		p := s.reopen(sink, saved)
		p.write(s.random.IntN(10))
		if s.random.IntN(2) == 0 {
			saved = keep(sink.Arrived())
		}
		s.check(sink.Arrived())
		p.close()
	}
	p := s.reopen(sink, saved)
	p.writeAll()
	p.flush()
	s.arrivedAll(p)
	p.close()
}

func testWithoutChanges(s *suite) {
	for range 10 {
		s.must(s.shop.tick(s.Context()))
	}
	s.must(s.shop.durable(s.Context()))
	p := s.open(sinks.Checkpoint{})
	p.writeAll()
	p.flush()
	s.arrivedAll(p)
	s.to.Messages(func(m *sinks.Message) { s.Fatalf("a message of units without changes: %+v", m) })
	saved := keep(p.sink.Arrived())
	p.close()
	s.fill(3)
	p = s.open(saved)
	if p.read < saved.Offset {
		s.Fatalf("opened at offset %d with a checkpoint at %d, although the destination is empty", p.read, saved.Offset)
	}
	p.writeAll()
	p.flush()
	s.arrivedAll(p)
	p.close()
}

func testLarge(s *suite) {
	s.fill(3)
	s.must(s.shop.large(s.Context(), int(s.o.LargeBytes/1024)))
	s.fill(3)
	p := s.open(sinks.Checkpoint{})
	stop, grown := make(chan struct{}), make(chan uint64)
	go func() { grown <- heapGrowth(stop) }()
	p.writeAll()
	p.flush()
	close(stop)
	if most := <-grown; most > s.o.MemoryBytes {
		s.Fatalf("the heap grew by %d bytes, more than %d", most, s.o.MemoryBytes)
	}
	s.arrivedAll(p)
	p.close()
}

// heapGrowth is by how much the heap grows at most until stop is closed.
func heapGrowth(stop chan struct{}) (most uint64) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for base := inUse(); ; {
		select {
		case <-stop:
			return most
		case <-tick.C:
			if n := inUse(); n > base {
				most = max(most, n-base)
			}
		}
	}
}
