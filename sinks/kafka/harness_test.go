package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sinks"
)

// history is a log in memory and the encoder of its units: the change at an offset is one message, whose value is a counter of its key.
type history struct {
	id       [16]byte
	units    []changelog.UnitMeta
	messages map[changelog.Offset][]sinks.Message
	next     changelog.Offset
	counters map[string]int
	trim     changelog.Offset // what Bounds pretends to end at, 0 for the truth
}

func newHistory() *history {
	h := &history{messages: make(map[changelog.Offset][]sinks.Message), next: 1, counters: make(map[string]int)}
	for i := range h.id {
		h.id[i] = byte(rand.Uint32())
	}
	return h
}

func (h *history) ID() [16]byte { return h.id }

func (h *history) Bounds() changelog.Bounds {
	if h.trim > 0 {
		return changelog.Bounds{First: 1, Next: h.trim}
	}
	return changelog.Bounds{First: 1, Next: h.next}
}

// commit adds a unit with the messages, each at an offset of its own.
func (h *history) commit(messages ...sinks.Message) {
	meta := changelog.UnitMeta{Kind: changelog.UnitTx, First: h.next, Count: uint64(len(messages)) + 1}
	for i, m := range messages {
		m.Identity = sinks.Identity{Offset: meta.First + changelog.Offset(i)}
		h.messages[m.Identity.Offset] = []sinks.Message{m}
	}
	h.units = append(h.units, meta)
	h.next = meta.Commit() + 1
}

// count is the next message of a key.
func (h *history) count(topic, key string) sinks.Message {
	n := h.counters[topic+"/"+key]
	h.counters[topic+"/"+key]++
	return sinks.Message{Topic: topic, Key: []byte(key), Value: []byte(strconv.Itoa(n)), Headers: []sinks.Header{{Name: "h", Value: []byte("v")}}}
}

// grow adds so many units with up to five changes of the topics.
func (h *history) grow(units int, topics ...string) {
	for range units {
		var messages []sinks.Message
		for range rand.IntN(5) {
			messages = append(messages, h.count(topics[rand.IntN(len(topics))], "k"+strconv.Itoa(rand.IntN(20))))
		}
		h.commit(messages...)
	}
}

// Encode hands over the unit's messages.
func (h *history) Encode(_ context.Context, u *changelog.Unit, emit func(*sinks.Message) error) error {
	for n := u.Meta.First; n < u.Meta.Commit(); n++ {
		for _, m := range h.messages[n] {
			if err := emit(&m); err != nil {
				return err
			}
		}
	}
	return nil
}

// patience bounds what must come, on a machine that does other things: a wait, and what a broker without a fault takes to answer.
const patience = 2 * time.Minute

// options are for a sink of the history, which is opened once and not again and again as by sinks.Run.
func (h *history) options(k *testservers.Kafka) Options {
	return Options{
		Brokers: k.Addrs(), Name: "test", Log: h, Encoder: h, Logger: slog.New(slog.DiscardHandler), AllowCreate: true, RequestTimeout: patience,
		timings: timings{resendMax: resendMax, leaseMax: leaseMax, probeInterval: probeInterval, missingMax: missingMax, retryMax: patience},
	}
}

func open(t testing.TB, o Options) *Sink {
	t.Helper()
	k, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}

// publish opens the sink and writes what it wants of the history, once.
func publish(ctx context.Context, k *Sink, h *history, saved sinks.Checkpoint) error {
	after, err := k.Open(ctx, saved)
	if err != nil {
		return err
	}
	return write(ctx, k, h, after)
}

func write(ctx context.Context, k *Sink, h *history, after changelog.Offset) error {
	for _, meta := range h.units {
		if meta.Commit() <= after {
			continue
		}
		if err := k.Write(ctx, &changelog.Unit{Meta: meta}); err != nil {
			return err
		}
	}
	return k.Flush(ctx)
}

// persist publishes until it is done or comes to a stop, as sinks.Run does.
func persist(t testing.TB, k *Sink, h *history, saved sinks.Checkpoint) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := publish(ctx, k, h, saved)
		var stop *sinks.Stop
		if err == nil || errors.As(err, &stop) || ctx.Err() != nil {
			return err
		}
		t.Log("again:", err)
		saved = k.Arrived()
		if err := k.Close(); err != nil {
			t.Log("close:", err)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// check reads the topics with a client that shares no code with ours: every key's values must be 0, 1, 2, … up to what the history
// has, each in one partition.
func (h *history) check(t testing.TB, k *testservers.Kafka, topics ...string) {
	t.Helper()
	for _, topic := range topics {
		records, err := k.ReadTopic(t.Context(), topic, testservers.KafkaReadCommitted)
		if err != nil {
			t.Fatal(err)
		}
		counters, partitions := make(map[string]int), make(map[string]int32)
		for _, r := range records {
			key := string(r.Key)
			if want := strconv.Itoa(counters[key]); string(r.Value) != want {
				t.Fatalf("%s: key %s has %s at %d/%d, want %s", topic, key, r.Value, r.Partition, r.Offset, want)
			}
			if p, ok := partitions[key]; ok && p != r.Partition {
				t.Fatalf("%s: key %s is in partitions %d and %d", topic, key, p, r.Partition)
			}
			counters[key]++
			partitions[key] = r.Partition
		}
		for name, want := range h.counters {
			if len(name) > len(topic) && name[:len(topic)] == topic && name[len(topic)] == '/' && counters[name[len(topic)+1:]] != want {
				t.Fatalf("%s has %d messages, want %d", name, counters[name[len(topic)+1:]], want)
			}
		}
	}
}

// shown reports whether the topics show as many messages as there are to a reader that asks this cluster who leads them.
func (h *history) shown(t testing.TB, k *testservers.Kafka, topics ...string) bool {
	t.Helper()
	for _, topic := range topics {
		records, err := k.ReadTopic(t.Context(), topic, testservers.KafkaReadCommitted)
		if err != nil {
			t.Log("not shown yet:", err)
			return false
		}
		want := 0
		for name, n := range h.counters {
			if strings.HasPrefix(name, topic+"/") {
				want += n
			}
		}
		if len(records) < want {
			return false
		}
	}
	return true
}

// topicNames are names of topics that are nobody else's.
func topicNames(t testing.TB, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("sink-%x-%d", rand.Uint64(), i))
	}
	return names
}

func wantStop(t testing.TB, err error, kind changelog.StopKind) {
	t.Helper()
	var stop *sinks.Stop
	if !errors.As(err, &stop) || stop.Kind != kind || stop.Remedy == "" {
		t.Fatalf("%v, want a stop %s with a remedy", err, kind)
	}
	t.Log(err)
}

func wantRefused(t testing.TB, err error) {
	t.Helper()
	var refused *sinks.Refused
	if !errors.As(err, &refused) || refused.Remedy == "" {
		t.Fatalf("%v, want a refusal with a remedy", err)
	}
	t.Log(err)
}
