package kafka

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sinks"
)

// A broker is killed and paused while the sink publishes: what it has taken is there once, in order.
func TestG3BrokerIsKilledAndPaused(t *testing.T) {
	k := testservers.StartKafkaFor(t, testservers.KafkaOptions{})
	h, topics := newHistory(), topicNames(t, 2)
	o := h.options(k)
	o.Partitions, o.RequestTimeout = 3, time.Second
	s := open(t, o)
	h.grow(200, topics...)
	if err := publish(t.Context(), s, h, sinks.Checkpoint{}); err != nil {
		t.Fatal(err)
	}
	b := k.Brokers()[0]
	for _, fault := range []struct {
		name       string
		begin, end func() error
	}{
		{"paused", b.Pause, b.Resume},
		{"killed", b.Kill, func() error { return b.Restart(t.Context()) }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			for met := false; !met; { // all may have arrived before the fault came
				saved, before := s.Arrived(), s.Progress()
				h.grow(3000, topics...)
				published := make(chan error, 1)
				go func() { published <- persist(t, s, h, saved) }()
				wait(t, func() bool { return s.Progress().Messages > before.Messages })
				must(t, fault.begin())
				wait(t, func() bool {
					met = s.Progress().Retries > before.Retries
					return met || len(published) > 0
				})
				must(t, fault.end())
				must(t, <-published)
			}
			h.check(t, k, topics...)
		})
	}
}

func wait(t testing.TB, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ready(); {
		if time.Now().After(deadline) {
			t.Fatal("waited too long")
		}
		<-time.After(5 * time.Millisecond)
	}
}

// proxied makes all connections of the options pass through a proxy.
func proxied(t *testing.T, k *testservers.Kafka, o *Options) *testservers.Proxy {
	t.Helper()
	p, err := testservers.StartProxy(k.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	o.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, p.Addr())
	}
	return p
}

func TestG3AnswersAreLost(t *testing.T) {
	k := testservers.SharedKafka(t)
	h, topics := newHistory(), topicNames(t, 1)
	o := h.options(k)
	o.Partitions, o.RequestTimeout = 3, 500*time.Millisecond
	p := proxied(t, k, &o)
	s := open(t, o)
	h.grow(20, topics...)
	after, err := s.Open(t.Context(), sinks.Checkpoint{})
	if err == nil {
		err = write(t.Context(), s, h, after)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		after = s.Arrived().Offset
		h.grow(200, topics...)
		retries := s.Progress().Retries
		p.Hold()
		written := make(chan error, 1)
		go func() { written <- write(t.Context(), s, h, after) }()
		if i%2 == 0 {
			wait(t, func() bool { return s.Progress().Waiting > 0 })
			p.Cut(testservers.CutReset)
		}
		wait(t, func() bool { return s.Progress().Retries > retries })
		p.Release()
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	}
	h.check(t, k, topics...)
}

// gate holds back what is written to the broker, as a network does that delivers late.
type gate struct {
	net.Conn
	mu *sync.Mutex
}

func (g gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.Conn.Write(b)
}

// A batch of the former owner arrives at the broker after the next one has fenced and read back, and before it has written anything:
// to topics that its checkpoint knows, and to some that it met later.
func TestG9BatchOfTheFormerOwnerArrivesLate(t *testing.T) {
	for _, name := range []string{"topics of the checkpoint", "topics met later"} {
		t.Run(name, func(t *testing.T) {
			k := testservers.SharedKafka(t)
			h, topics := newHistory(), topicNames(t, 2)
			var held sync.Mutex
			o := h.options(k)
			o.Partitions, o.RequestTimeout = 3, 30*time.Second
			late := o
			late.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, address)
				return gate{c, &held}, err
			}
			first := open(t, late)
			h.grow(100, topics...)
			must(t, publish(t.Context(), first, h, sinks.Checkpoint{}))
			saved := first.Arrived()
			arrived := newHistory()
			arrived.units = h.units
			h.grow(100, topics...)
			held.Lock()
			ended := make(chan error, 1)
			go func() { ended <- write(t.Context(), first, h, saved.Offset) }()
			wait(t, func() bool { return first.Progress().Waiting > 0 })
			second := open(t, o)
			if name == "topics met later" {
				saved = sinks.Checkpoint{}
			}
			after, err := second.Open(t.Context(), saved)
			if err == nil {
				err = write(t.Context(), second, arrived, after)
			}
			written := second.Progress().Messages
			held.Unlock()
			must(t, err)
			wantStop(t, <-ended, changelog.StopFenced)
			if written != 0 {
				t.Fatalf("the second has written %d messages before the first's came", written)
			}
			must(t, write(t.Context(), second, h, max(after, arrived.units[len(arrived.units)-1].Commit())))
			h.check(t, k, topics...)
		})
	}
}

func TestG9SecondWriterFencesTheFirst(t *testing.T) {
	k := testservers.SharedKafka(t)
	h, topics := newHistory(), topicNames(t, 3)
	o := h.options(k)
	o.Partitions = 4
	first, second := open(t, o), open(t, o)
	h.grow(100, topics[:2]...)
	if err := publish(t.Context(), first, h, sinks.Checkpoint{}); err != nil {
		t.Fatal(err)
	}
	if err := publish(t.Context(), second, h, first.Arrived()); err != nil {
		t.Fatal(err)
	}
	after := first.Arrived().Offset
	h.commit(h.count(topics[0], "k0")) // a unit without messages would count as arrived
	h.grow(100, topics...)
	wantStop(t, write(t.Context(), first, h, after), changelog.StopFenced)
	if got := first.Arrived().Offset; got != after {
		t.Errorf("the first has written up to %d after it was fenced at %d", got, after)
	}
	if err := write(t.Context(), second, h, second.Arrived().Offset); err != nil {
		t.Fatal(err)
	}
	h.check(t, k, topics...)
}

// A writer that has nothing to write learns of the next one all the same: a partition remembers the fence for a day only.
func TestG9IdleWriterLearnsThatItIsNoLonger(t *testing.T) {
	k := testservers.SharedKafka(t)
	h, topics := newHistory(), topicNames(t, 1)
	o := h.options(k)
	o.timings.probeInterval = 20 * time.Millisecond
	first := open(t, o)
	h.grow(20, topics...)
	if err := publish(t.Context(), first, h, sinks.Checkpoint{}); err != nil {
		t.Fatal(err)
	}
	<-time.After(100 * time.Millisecond) // some probes
	if err := first.Flush(t.Context()); err != nil {
		t.Fatal("the only writer: ", err)
	}
	if err := publish(t.Context(), open(t, o), h, first.Arrived()); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool { return first.Flush(t.Context()) != nil })
	wantStop(t, first.Flush(t.Context()), changelog.StopFenced)
}

// A process that slept does not write before it has fenced and read back.
func TestG9SleeperBeginsAnew(t *testing.T) {
	k := testservers.SharedKafka(t)
	h, topics := newHistory(), topicNames(t, 1)
	s := open(t, h.options(k))
	h.grow(20, topics...)
	if err := publish(t.Context(), s, h, sinks.Checkpoint{}); err != nil {
		t.Fatal(err)
	}
	s.session.lease.Store(time.Now().Add(-2 * leaseMax).UnixNano())
	saved := s.Arrived()
	h.grow(20, topics...)
	if err := write(t.Context(), s, h, saved.Offset); !errors.Is(err, errLease) {
		t.Fatal(err)
	}
	if err := persist(t, s, h, saved); err != nil {
		t.Fatal(err)
	}
	h.check(t, k, topics...)
}

// What has been unanswered for too long is not sent again before it is known whether it has arrived.
func TestG3UnansweredForTooLong(t *testing.T) {
	k := testservers.SharedKafka(t)
	h, topics := newHistory(), topicNames(t, 1)
	o := h.options(k)
	o.RequestTimeout, o.timings.resendMax = time.Second, 1500*time.Millisecond
	p := proxied(t, k, &o)
	s := open(t, o)
	h.grow(20, topics...)
	if err := persist(t, s, h, sinks.Checkpoint{}); err != nil {
		t.Fatal(err)
	}
	saved := s.Arrived()
	h.grow(20, topics...)
	p.Hold()
	err := write(t.Context(), s, h, saved.Offset)
	p.Release()
	if err == nil || !strings.Contains(err.Error(), "unanswered") {
		t.Fatal(err)
	}
	if err := persist(t, s, h, saved); err != nil {
		t.Fatal(err)
	}
	h.check(t, k, topics...)
}

// The process ends at any moment, and its checkpoint may be older than what has arrived.
func TestG3ProcessEndsAtAnyMoment(t *testing.T) {
	k := testservers.SharedKafka(t)
	h, topics := newHistory(), topicNames(t, 3)
	o := h.options(k)
	o.Partitions = 4
	var saved sinks.Checkpoint
	for i := range 12 {
		h.grow(150, topics...)
		s := open(t, o)
		ctx, cancel := context.WithCancel(t.Context())
		var messages atomic.Uint64
		ended := make(chan error, 1)
		go func() { ended <- publish(ctx, s, h, saved) }()
		wait(t, func() bool {
			messages.Store(s.Progress().Messages)
			return messages.Load() > uint64(20*i) || len(ended) > 0
		})
		cancel()
		<-ended
		if i%3 != 0 {
			saved = s.Arrived()
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := publish(t.Context(), open(t, o), h, saved); err != nil {
		t.Fatal(err)
	}
	h.check(t, k, topics...)
}
