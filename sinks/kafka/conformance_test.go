package kafka

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sinks"
	"cdc/sinks/sinktest"
)

func TestConformance(t *testing.T) {
	k := testservers.SharedKafka(t)
	sinktest.Run(t, sinktest.Options{
		LargeBytes: 16 << 20,
		Open:       func(t *testing.T) sinktest.Destination { return newDestination(t, k) },
	})
}

// destination are topics with a prefix of their own, in which a sink's topics are found by what it was seen to write.
type destination struct {
	t      *testing.T
	k      *testservers.Kafka
	log    [16]byte
	prefix string
	proxy  *testservers.Proxy

	mu     sync.Mutex
	topics map[string]bool
}

func newDestination(t *testing.T, k *testservers.Kafka) *destination {
	proxy, err := testservers.StartProxy(k.Addrs()[0])
	must(t, err)
	t.Cleanup(func() { _ = proxy.Close() })
	return &destination{t: t, k: k, log: newHistory().id, prefix: topicNames(t, 1)[0] + ".", proxy: proxy, topics: make(map[string]bool)}
}

// Sink implements sinktest.Destination.
func (d *destination) Sink(e sinks.Encoder) (sinks.Sink, error) {
	h := &history{id: d.log, next: 1 << 60}
	return New(Options{
		Brokers: d.k.Addrs(), Name: "test", Log: h, Encoder: &prefixed{d, e}, Logger: slog.New(slog.DiscardHandler), AllowCreate: true, Partitions: 2,
		MaxInFlightBytes: 4 << 20, RequestTimeout: 10 * time.Second,
		timings: timings{resendMax: time.Second, leaseMax: leaseMax, probeInterval: probeInterval, missingMax: missingMax, retryMax: 30 * time.Second},
		dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, d.proxy.Addr())
		},
	})
}

// name is a topic's name in Kafka, which allows no spaces.
func (d *destination) name(topic string) string {
	return d.prefix + strings.ReplaceAll(topic, " ", "_")
}

// prefixed puts the destination's prefix before topics.
type prefixed struct {
	to *destination
	e  sinks.Encoder
}

func (p *prefixed) Encode(ctx context.Context, u *changelog.Unit, emit func(*sinks.Message) error) error {
	return p.e.Encode(ctx, u, func(m *sinks.Message) error {
		renamed := *m
		renamed.Topic = p.to.name(m.Topic)
		p.to.mu.Lock()
		p.to.topics[m.Topic] = true
		p.to.mu.Unlock()
		return emit(&renamed)
	})
}

// Kill implements sinktest.Destination: what is on its way may still come.
func (d *destination) Kill(s sinks.Sink) {
	if rand.IntN(2) == 0 {
		d.proxy.Cut(testservers.CutReset)
	}
	_ = s.Close()
}

// Messages implements sinktest.Destination.
func (d *destination) Messages(f func(*sinks.Message)) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for topic := range d.topics {
		records, err := d.k.ReadTopic(d.t.Context(), d.name(topic), testservers.KafkaReadCommitted)
		if missing(err) {
			continue
		}
		must(d.t, err)
		for _, r := range records {
			m := sinks.Message{Topic: topic, Key: r.Key, Value: r.Value}
			for _, h := range r.Headers {
				if h.Key != identityHeader {
					m.Headers = append(m.Headers, sinks.Header{Name: h.Key, Value: h.Value})
				}
			}
			f(&m)
		}
	}
}

// missing reports whether the topic is not there yet.
func missing(err error) bool { return errors.Is(err, kerr.UnknownTopicOrPartition) }

// Refuse implements sinktest.Destination.
func (d *destination) Refuse() {
	d.proxy.SetPlan(func(int64) testservers.Plan { return testservers.Plan{Refuse: true} })
	d.proxy.Cut(testservers.CutReset)
}

// Allow implements sinktest.Destination.
func (d *destination) Allow() {
	d.proxy.SetPlan(func(int64) testservers.Plan { return testservers.Plan{} })
}
