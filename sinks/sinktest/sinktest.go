// Package sinktest is the suite that every implementation of sinks.Sink passes.
//
// It fills a log with changes of a made-up source, publishes them through sinks that are killed, restarted and refused, and compares
// what a reader of the destination sees with what the encoder makes of the log.
package sinktest

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/sinks"
)

// Options describe a kind of sink.
type Options struct {
	// Open makes an empty destination of a test's own.
	Open func(t *testing.T) Destination
	// Locked says that a second sink is refused while the first one is open. Otherwise the second one ends the first.
	Locked bool
	// NoTombstones says that the destination has no place for messages without a value. None are made then.
	NoTombstones bool
	// LargeBytes is the size of a large unit; zero is 64 MiB. MemoryBytes is by how much the heap may grow while it goes through;
	// zero is 32 MiB.
	LargeBytes, MemoryBytes uint64
}

// Destination is where the sinks of one test write. Its methods may fail the test.
type Destination interface {
	// Sink makes a sink that publishes messages of the encoder, as a process of its own would. It is not open.
	Sink(e sinks.Encoder) (sinks.Sink, error)
	// Kill ends the sink as the end of its process would: what is on its way arrives or does not. A Write or a Flush that is under
	// way, and later ones, fail. Nothing else but Arrived is called afterwards.
	Kill(s sinks.Sink)
	// Messages calls f with all messages that a reader sees, those of one topic and key in their order. Identity need not be set.
	Messages(f func(m *sinks.Message))
	// Refuse makes the destination fail whatever would be written, until Allow.
	Refuse()
	Allow()
}

// Run checks a kind of sink.
func Run(t *testing.T, o Options) {
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 32 << 20
	}
	if o.LargeBytes == 0 {
		o.LargeBytes = 64 << 20
	}
	tests := []struct {
		name  string
		run   func(*suite)
		alone bool // for it measures what the process does
	}{
		{"TestG3G4 each message arrives once and in order", testOnce, false},
		{"TestG3 killed anywhere, with checkpoints new, old and lost", testKills, false},
		{"TestG3 killed inside of writes and flushes", testKilledInside, false},
		{"TestG3 closed anywhere and started again", testRestarts, false},
		{"TestG3 the same sink opened again", testReopen, false},
		{"units without changes arrive", testWithoutChanges, false},
		{"a large unit takes little memory", testLarge, true},
		{"TestG9 two sinks on one destination", testTwo, false},
		{"TestG8 a destination that cannot be written is tried again", testRefused, false},
		{"TestG3 runs ended anywhere", testRuns, false},
		{"a cancelled context ends what waits", testCancelled, false},
	}
	for _, test := range tests {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			if !test.alone {
				t.Parallel()
			}
			log, err := disklog.Open(t.TempDir(), disklog.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = log.Close() })
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			s := &suite{T: t, o: o, log: log, random: rand.New(rand.NewPCG(seed, 0)), to: o.Open(t)}
			s.shop, err = newShop(log)
			s.must(err)
			test.run(s)
		})
	}
}

// suite is one test of a sink.
type suite struct {
	*testing.T
	o      Options
	log    changelog.Log
	shop   *shop
	to     Destination
	random *rand.Rand
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) encoder() *encoder { return &encoder{tombstones: !s.o.NoTombstones} }

// fill appends transactions, and a tick after every fifth.
func (s *suite) fill(transactions int) {
	s.Helper()
	for i := range transactions {
		s.must(s.shop.transaction(s.Context(), s.random, 1+s.random.IntN(5)))
		if i%5 == 0 {
			s.must(s.shop.tick(s.Context()))
		}
	}
	s.must(s.shop.durable(s.Context()))
}

// publisher is one life of a sink.
type publisher struct {
	s      *suite
	sink   sinks.Sink
	cursor changelog.Cursor
	read   changelog.Offset // the last unit that was written
}

// open begins a life of a new sink.
func (s *suite) open(saved sinks.Checkpoint) *publisher {
	s.Helper()
	sink, err := s.to.Sink(s.encoder())
	s.must(err)
	return s.reopen(sink, saved)
}

// reopen begins another life of the sink.
func (s *suite) reopen(sink sinks.Sink, saved sinks.Checkpoint) *publisher {
	s.Helper()
	after, err := sink.Open(s.Context(), saved)
	s.must(err)
	if arrived := sink.Arrived().Offset; arrived < saved.Offset {
		s.Fatalf("opened with a checkpoint at offset %d, the sink says that what has arrived ends at %d", saved.Offset, arrived)
	}
	p := &publisher{s: s, sink: sink, read: after}
	p.turn()
	s.Cleanup(func() { _ = p.cursor.Close() })
	return p
}

// turn reads on to what is the log's end by now.
func (p *publisher) turn() {
	p.s.Helper()
	if p.cursor != nil {
		p.s.must(p.cursor.Close())
	}
	var err error
	p.cursor, err = p.s.log.Cursor(changelog.CursorOptions{From: p.read + 1})
	p.s.must(err)
}

// write writes the next units.
func (p *publisher) write(units int) {
	p.s.Helper()
	for range units {
		p.s.must(p.next())
	}
}

// writeAll writes all units that there are.
func (p *publisher) writeAll() {
	p.s.Helper()
	for p.read < p.s.log.Bounds().Next-1 {
		p.s.must(p.next())
	}
}

// next writes one unit; none when there is none left.
func (p *publisher) next() error {
	if p.read >= p.s.log.Bounds().Next-1 {
		return nil
	}
	u, err := p.cursor.Next(p.s.Context())
	if err != nil {
		return err
	}
	if err := p.sink.Write(p.s.Context(), u); err != nil {
		return err
	}
	p.read = u.Meta.Commit()
	return nil
}

func (p *publisher) flush() {
	p.s.Helper()
	p.s.must(p.sink.Flush(p.s.Context()))
}

func (p *publisher) close() {
	p.s.Helper()
	p.s.must(errors.Join(p.sink.Close(), p.cursor.Close()))
}

// eventually waits for a condition.
func (s *suite) eventually(what string, holds func() bool) {
	s.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			s.Fatalf("after %s still not: %s", patience, what)
		}
	}
}

// patience is how long something may take that comes about by itself; it is more than a sink's pauses between tries.
const patience = 2 * time.Minute
