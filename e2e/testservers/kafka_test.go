package testservers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func produce(t *testing.T, k *Kafka, records ...KafkaRecord) {
	t.Helper()
	if err := k.Produce(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, k *Kafka, topic string, isolation KafkaIsolation) []KafkaRecord {
	t.Helper()
	records, err := k.ReadTopic(t.Context(), topic, isolation)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// texts are records in short: partition, offset, value.
func texts(records []KafkaRecord) string {
	var all []string
	for _, r := range records {
		all = append(all, fmt.Sprintf("%d/%d=%s", r.Partition, r.Offset, r.Value))
	}
	return strings.Join(all, " ")
}

func TestKafkaGivesBackWhatWasWritten(t *testing.T) {
	k := SharedKafka(t)
	topic := k.Topic(t, KafkaTopic{Partitions: 2})
	at := time.UnixMilli(1_700_000_000_123)
	produce(t, k,
		KafkaRecord{Topic: topic, Partition: 1, Key: []byte("k"), Value: []byte("v"), Timestamp: at, Headers: []KafkaHeader{{"a", nil}, {"b", []byte{}}}},
		KafkaRecord{Topic: topic, Partition: 0, Key: nil, Value: nil, Timestamp: at},
		KafkaRecord{Topic: topic, Partition: 0, Key: []byte{}, Value: []byte{}, Timestamp: at},
	)
	got := read(t, k, topic, KafkaReadUncommitted)
	if len(got) != 3 {
		t.Fatalf("read %d records: %s", len(got), texts(got))
	}
	null, empty, full := got[0], got[1], got[2]
	if null.Key != nil || null.Value != nil || empty.Key == nil || empty.Value == nil {
		t.Errorf("null and empty are not told apart: %#v %#v", null, empty)
	}
	if full.Partition != 1 || full.Offset != 0 || !bytes.Equal(full.Value, []byte("v")) || !full.Timestamp.Equal(at) {
		t.Errorf("read %+v", full)
	}
	if h := full.Headers; len(h) != 2 || h[0].Value != nil || h[1].Value == nil {
		t.Errorf("headers %#v", h)
	}
}

func TestKilledKafkaKeepsWhatItHas(t *testing.T) {
	k := StartKafkaFor(t, KafkaOptions{})
	topic := k.Topic(t, KafkaTopic{})
	b := k.Brokers()[0]
	for i, fault := range []func() error{b.Kill, func() error { return b.Shutdown(t.Context()) }} {
		produce(t, k, KafkaRecord{Topic: topic, Value: []byte{'a' + byte(i)}})
		before, pid := b.Addr(), b.process.pid()
		if err := fault(); err != nil {
			t.Fatal(err)
		}
		if !gone(pid) {
			t.Fatal("the broker still runs")
		}
		if err := b.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b.Addr() != before {
			t.Errorf("address %s, was %s", b.Addr(), before)
		}
	}
	if got := texts(read(t, k, topic, KafkaReadCommitted)); got != "0/0=a 0/1=b" {
		t.Errorf("read %s", got)
	}
}

func TestPausedKafkaAnswersLater(t *testing.T) {
	k := StartKafkaFor(t, KafkaOptions{})
	b := k.Brokers()[0]
	topic := k.Topic(t, KafkaTopic{})
	if err := b.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := k.Produce(ctx, KafkaRecord{Topic: topic, Value: []byte("lost")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("produce to a paused broker: %v", err)
	}
	if err := b.Resume(); err != nil {
		t.Fatal(err)
	}
	produce(t, k, KafkaRecord{Topic: topic, Value: []byte("kept")})
}
