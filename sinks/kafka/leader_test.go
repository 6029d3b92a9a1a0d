package kafka

import (
	"testing"
	"time"

	"cdc/e2e/testservers"
	"cdc/sinks"
)

// Brokers of a cluster of three are killed and paused one after another while the sink publishes: each partition's leader moves.
func TestG3LeadersMove(t *testing.T) {
	k := testservers.StartKafkaFor(t, testservers.KafkaOptions{Brokers: 3, Settings: map[string]string{"min.insync.replicas": "2"}})
	h, topics := newHistory(), topicNames(t, 2)
	o := h.options(k)
	o.Partitions, o.RequestTimeout = 6, time.Second
	s := open(t, o)
	h.grow(200, topics...)
	must(t, persist(t, s, h, sinks.Checkpoint{}))
	brokers := k.Brokers()
	for i, fault := range []struct{ begin, end func() error }{
		{brokers[0].Kill, func() error { return brokers[0].Restart(t.Context()) }},
		{brokers[1].Pause, brokers[1].Resume},
	} {
		saved := s.Arrived()
		h.grow(2000, topics...)
		published := make(chan error, 1)
		before := s.Progress().Messages
		go func() { published <- persist(t, s, h, saved) }()
		wait(t, func() bool { return s.Progress().Messages > before })
		must(t, fault.begin())
		if err := <-published; err != nil { // while the broker is gone
			t.Fatal(err)
		}
		t.Logf("fault %d: %d times sent again", i, s.Progress().Retries)
		must(t, fault.end())
		// A broker that has been paused takes itself for the leader for a moment, and shows the readers that ask it what it had.
		for _, addr := range k.AdminAddrs() {
			wait(t, func() bool { return h.shown(t, testservers.ExternalKafka(addr), topics...) })
		}
		h.check(t, k, topics...)
	}
}
