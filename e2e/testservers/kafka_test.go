//go:build e2e

// These tests run once, with the end-to-end tests: Java takes its time to start.

package testservers

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
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

func TestKafkaSurvivesFaults(t *testing.T) {
	t.Parallel()
	k := StartKafkaFor(t, KafkaOptions{})
	topic := k.Topic(t, KafkaTopic{})
	b := k.Brokers()[0]
	for i, fault := range []func() error{b.Kill, func() error { return b.Shutdown(t.Context()) }} {
		produce(t, k, KafkaRecord{Topic: topic, Value: []byte{'a' + byte(i)}})
		addr, pid := b.Addr(), b.process.pid()
		if err := fault(); err != nil {
			t.Fatal(err)
		}
		if !gone(pid) {
			t.Fatal("the broker still runs")
		}
		if err := b.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b.Addr() != addr {
			t.Errorf("address %s, was %s", b.Addr(), addr)
		}
	}
	if got := texts(read(t, k, topic, KafkaReadCommitted)); got != "0/0=a 0/1=b" {
		t.Errorf("read %s", got)
	}
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

// Two of three brokers, and so the majority of the controllers, are killed and
// come back together.
func TestKafkaOfThreeBrokersElectsAndComesBack(t *testing.T) {
	t.Parallel()
	k := StartKafkaFor(t, KafkaOptions{Brokers: 3})
	topic := k.Topic(t, KafkaTopic{Config: map[string]string{"min.insync.replicas": "2"}})
	produce(t, k, KafkaRecord{Topic: topic, Value: []byte("a")})
	victims := k.Brokers()[:2]
	if err := victims[0].Kill(); err != nil {
		t.Fatal(err)
	}
	produce(t, k, KafkaRecord{Topic: topic, Value: []byte("b")})
	if err := victims[1].Kill(); err != nil {
		t.Fatal(err)
	}
	if err := k.Restart(t.Context(), victims...); err != nil {
		t.Fatal(err)
	}
	produce(t, k, KafkaRecord{Topic: topic, Value: []byte("c")})
	if got := texts(read(t, k, topic, KafkaReadCommitted)); got != "0/0=a 0/1=b 0/2=c" {
		t.Errorf("read %s", got)
	}
	if len(k.Addrs()) != 3 || len(k.AdminAddrs()) != 3 {
		t.Errorf("addresses %v, %v", k.Addrs(), k.AdminAddrs())
	}
}

// login is a client of the listener with passwords.
func login(t *testing.T, k *Kafka, mechanism sasl.Mechanism) *kgo.Client {
	t.Helper()
	config, err := trusting(k.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Addrs()...), kgo.DialTLSConfig(config), kgo.SASL(mechanism), kgo.RecordRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestKafkaAsksForPasswordsAndGrants(t *testing.T) {
	t.Parallel()
	k := StartKafkaFor(t, KafkaOptions{
		Security: KafkaSASLSSL, Authorize: true,
		Users: []KafkaUser{{Name: "admin", Password: "root", Super: true}, {Name: "writer", Password: "s=e\\c,r]e t"}},
	})
	writer := k.o.Users[1]
	for name, m := range map[string]sasl.Mechanism{
		"PLAIN":         plain.Auth{User: writer.Name, Pass: writer.Password}.AsMechanism(),
		"SCRAM-SHA-256": scram.Auth{User: writer.Name, Pass: writer.Password}.AsSha256Mechanism(),
		"SCRAM-SHA-512": scram.Auth{User: writer.Name, Pass: writer.Password}.AsSha512Mechanism(),
	} {
		if err := login(t, k, m).Ping(t.Context()); err != nil {
			t.Errorf("log in by %s: %v", name, err)
		}
	}
	for name, m := range map[string]sasl.Mechanism{
		"PLAIN": plain.Auth{User: writer.Name, Pass: "wrong"}.AsMechanism(),
		"SCRAM": scram.Auth{User: writer.Name, Pass: "wrong"}.AsSha512Mechanism(),
	} {
		if err := login(t, k, m).Ping(t.Context()); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("log in by %s with a wrong password: %v", name, err)
		}
	}
	topic := k.Topic(t, KafkaTopic{})
	record := &kgo.Record{Topic: topic, Value: []byte("v")}
	if err := login(t, k, scram.Auth{User: "admin", Pass: "root"}.AsSha512Mechanism()).ProduceSync(t.Context(), record).FirstErr(); err != nil {
		t.Errorf("write as a super user: %v", err)
	}
	client := login(t, k, scram.Auth{User: writer.Name, Pass: writer.Password}.AsSha512Mechanism())
	if err := client.ProduceSync(t.Context(), record).FirstErr(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("write without a grant: %v", err)
	}
	if err := k.Allow(t.Context(), writer.Name, KafkaGrant{Operations: []string{"WRITE"}, Topics: []string{"test_"}, Prefixed: true}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the grant to be known", func() bool { return client.ProduceSync(t.Context(), record).FirstErr() == nil })
}

func TestKafkaReadsWhatIsCommitted(t *testing.T) {
	k := SharedKafka(t)
	topic := k.Topic(t, KafkaTopic{})
	client, err := k.open(kgo.TransactionalID(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit, kgo.TryAbort} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		record := &kgo.Record{Topic: topic, Value: fmt.Append(nil, bool(end))}
		if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := client.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	var bounds []KafkaOffsets
	waitFor(t, "the markers to be written", func() bool {
		if bounds, err = k.Offsets(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
		return bounds[0].Stable == 8
	})
	if got := texts(read(t, k, topic, KafkaReadCommitted)); got != "0/0=true 0/4=true" {
		t.Errorf("committed: %s", got)
	}
	if got := texts(read(t, k, topic, KafkaReadUncommitted)); got != "0/0=true 0/2=false 0/4=true 0/6=false" {
		t.Errorf("written: %s", got)
	}
	if err := k.DeleteRecords(t.Context(), topic, 0, 4); err != nil {
		t.Fatal(err)
	}
	if got := texts(read(t, k, topic, KafkaReadUncommitted)); got != "0/4=true 0/6=false" {
		t.Errorf("left: %s", got)
	}
}

func TestKafkaTopicHasTheSettingsAsked(t *testing.T) {
	k := SharedKafka(t)
	topic := k.Topic(t, KafkaTopic{Config: map[string]string{"max.message.bytes": "2000"}})
	big := KafkaRecord{Topic: topic, Value: make([]byte, 4000)}
	_, _ = rand.Read(big.Value) // does not compress
	if err := k.Produce(t.Context(), big); !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("produce more than the topic takes: %v", err)
	}
	if err := k.SetTopicConfig(t.Context(), topic, map[string]string{"max.message.bytes": "8000"}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the setting to be known", func() bool { return k.Produce(t.Context(), big) == nil })
	if err := k.CreateTopic(t.Context(), KafkaTopic{Name: topic}); !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Errorf("make a topic again: %v", err)
	}
}

func TestKafkasOwnClientsRun(t *testing.T) {
	k := SharedKafka(t)
	topic := k.Topic(t, KafkaTopic{})
	out, err := k.Run(t.Context(), KafkaProducerPerformance, "--topic", topic, "--num-records", "3", "--record-size", "10",
		"--throughput", "-1", "--bootstrap-server", k.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "3 records sent") {
		t.Errorf("the producer says %q", out)
	}
	out, err = k.Run(t.Context(), KafkaConsoleConsumer, "--topic", topic, "--from-beginning", "--max-messages", "3", "--bootstrap-server", k.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Fields(out); len(lines) != 3 || len(lines[0]) != 10 {
		t.Errorf("the consumer says %q", out)
	}
}

func TestExternalKafkaIsUsedButNotTouched(t *testing.T) {
	k := ExternalKafka(strings.Join(SharedKafka(t).Addrs(), ","))
	produce(t, k, KafkaRecord{Topic: k.Topic(t, KafkaTopic{}), Value: []byte("v")})
	if err := k.Restart(t.Context()); !errors.Is(err, ErrExternal) {
		t.Errorf("restart: %v, want ErrExternal", err)
	}
	if err := k.Stop(t.Context()); err != nil {
		t.Errorf("stop: %v", err)
	}
}
