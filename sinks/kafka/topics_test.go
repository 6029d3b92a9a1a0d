package kafka

import (
	"bytes"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sinks"
)

// published is a sink that has published some of a history to topics of three partitions.
func published(t *testing.T, k *testservers.Kafka, topics ...string) (*history, *Sink) {
	t.Helper()
	h := newHistory()
	o := h.options(k)
	o.Partitions = 3
	s := open(t, o)
	h.grow(100, topics...)
	if err := publish(t.Context(), s, h, sinks.Checkpoint{}); err != nil {
		t.Fatal(err)
	}
	return h, s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTopicIsDeleted(t *testing.T) {
	k, topics := testservers.SharedKafka(t), topicNames(t, 2)
	h, s := published(t, k, topics...)
	must(t, k.DeleteTopic(t.Context(), topics[0]))
	h.grow(50, topics...)
	wantStop(t, persist(t, s, h, s.Arrived()), changelog.StopDiverged)
	// The remedy: without a checkpoint the topic is filled from the log's beginning, and the other one goes on.
	must(t, persist(t, open(t, s.o), h, sinks.Checkpoint{}))
	h.check(t, k, topics...)
}

func TestTopicIsMadeAnew(t *testing.T) {
	k, topics := testservers.SharedKafka(t), topicNames(t, 2)
	h, s := published(t, k, topics...)
	saved := s.Arrived()
	must(t, s.Close())
	must(t, k.DeleteTopic(t.Context(), topics[0]))
	must(t, k.CreateTopic(t.Context(), testservers.KafkaTopic{Name: topics[0], Partitions: 3}))
	h.grow(50, topics...)
	for range 3 { // it stays a stop however often it is tried
		wantStop(t, persist(t, s, h, saved), changelog.StopDiverged)
	}
	must(t, persist(t, open(t, s.o), h, sinks.Checkpoint{}))
	h.check(t, k, topics...)
}

func TestTopicIsMadeAnewWhileTheSinkWrites(t *testing.T) {
	k, topics := testservers.SharedKafka(t), topicNames(t, 1)
	h, s := published(t, k, topics...)
	after := s.Arrived().Offset
	must(t, k.DeleteTopic(t.Context(), topics[0]))
	must(t, k.CreateTopic(t.Context(), testservers.KafkaTopic{Name: topics[0], Partitions: 3}))
	h.grow(1, topics...)
	h.commit(h.count(topics[0], "k1"))
	wantStop(t, write(t.Context(), s, h, after), changelog.StopDiverged)
	saved := s.Arrived()
	must(t, s.Close())
	wantStop(t, persist(t, s, h, saved), changelog.StopDiverged)
}

func TestTopicIsEmptied(t *testing.T) {
	k, topics := testservers.SharedKafka(t), topicNames(t, 1)
	h, s := published(t, k, topics...)
	saved := s.Arrived()
	empty(t, k, topics[0])
	records, before := len(read(t, k, topics[0])), len(h.messages)
	h.grow(50, topics...)
	must(t, persist(t, s, h, saved))
	if got, want := len(read(t, k, topics[0]))-records, len(h.messages)-before; got != want {
		t.Errorf("%d messages after the topic was emptied, want %d", got, want)
	}
	// With the checkpoint lost as well, nothing says what has been there.
	empty(t, k, topics[0])
	wantStop(t, persist(t, open(t, s.o), h, sinks.Checkpoint{}), changelog.StopDiverged)
}

func empty(t *testing.T, k *testservers.Kafka, topic string) {
	t.Helper()
	bounds, err := k.Offsets(t.Context(), topic)
	must(t, err)
	for _, b := range bounds {
		must(t, k.DeleteRecords(t.Context(), topic, b.Partition, b.Next))
	}
}

func read(t *testing.T, k *testservers.Kafka, topic string) []testservers.KafkaRecord {
	t.Helper()
	records, err := k.ReadTopic(t.Context(), topic, testservers.KafkaReadUncommitted)
	must(t, err)
	return records
}

func TestPartitionsAreAdded(t *testing.T) {
	k, topics := testservers.SharedKafka(t), topicNames(t, 1)
	h, s := published(t, k, topics...)
	client, err := kgo.NewClient(kgo.SeedBrokers(k.AdminAddrs()...))
	must(t, err)
	defer client.Close()
	_, err = kadm.NewClient(client).CreatePartitions(t.Context(), 2, topics[0])
	must(t, err)
	saved := s.Arrived()
	must(t, s.Close())
	wait(t, func() bool { b, err := k.Offsets(t.Context(), topics[0]); return err == nil && len(b) == 5 })
	wantStop(t, persist(t, s, h, saved), changelog.StopDiverged)
}

func TestTopicMayNotBeCreated(t *testing.T) {
	k, topics, h := testservers.SharedKafka(t), topicNames(t, 1), newHistory()
	o := h.options(k)
	o.AllowCreate = false
	h.commit(h.count(topics[0], "k"))
	err := publish(t.Context(), open(t, o), h, sinks.Checkpoint{})
	wantRefused(t, err)
	if !strings.Contains(err.Error(), "--create --topic "+topics[0]) {
		t.Errorf("%v does not say how to create the topic", err)
	}
}

func TestTopicHoldsWhatOthersWrote(t *testing.T) {
	k, topics := testservers.SharedKafka(t), topicNames(t, 1)
	h, s := published(t, k, topics...)
	var foreign []testservers.KafkaRecord
	for range 100 {
		foreign = append(foreign, testservers.KafkaRecord{Topic: topics[0], Value: []byte("foreign")})
	}
	must(t, k.Produce(t.Context(), foreign...))
	for range 20 { // each opening adds a marker
		must(t, publish(t.Context(), open(t, s.o), h, sinks.Checkpoint{}))
	}
	if got, want := len(read(t, k, topics[0])), len(h.messages)+len(foreign); got != want {
		t.Errorf("%d records, want %d", got, want)
	}
	other := newHistory()
	other.grow(100, topics...)
	wantStop(t, publish(t.Context(), open(t, other.options(k)), other, sinks.Checkpoint{}), changelog.StopDiverged)
	renamed := h.options(k)
	renamed.Name = "renamed"
	wantStop(t, publish(t.Context(), open(t, renamed), h, sinks.Checkpoint{}), changelog.StopDiverged)
	h.trim = 20
	wantStop(t, publish(t.Context(), open(t, s.o), h, sinks.Checkpoint{}), changelog.StopDiverged)
	wantStop(t, publish(t.Context(), open(t, s.o), h, sinks.Checkpoint{Offset: 90}), changelog.StopDiverged)
}

// The cluster has lost the end of a partition, as after a power failure: the checkpoint knows of more than is there.
func TestClusterHasLostMessages(t *testing.T) {
	k, topics := testservers.SharedKafka(t), topicNames(t, 1)
	h, s := published(t, k, topics...)
	before := s.Arrived()
	h.grow(30, topics...)
	written := h.next
	must(t, s.Close())
	recorded, _, err := parseState(before)
	must(t, err)
	s = open(t, s.o)
	r := recorded[topics[0]]
	for i := range r.Ends {
		r.Ends[i] += 50
		r.Last[i] += changelog.Offset(written)
	}
	claimed := sinks.Checkpoint{Offset: written - 1, State: state{Topics: recorded}.encode()}
	after, err := s.Open(t.Context(), claimed)
	must(t, err)
	if after >= before.Offset {
		t.Fatalf("goes on after %d, and messages after %d are lost", after, before.Offset)
	}
	// Until they have been sent again, another process begins with them as well.
	s = open(t, s.o)
	again, err := s.Open(t.Context(), claimed)
	must(t, err)
	saved := s.Arrived()
	s = open(t, s.o)
	if after, err = s.Open(t.Context(), saved); err != nil || after != again || saved.Offset != claimed.Offset {
		t.Fatalf("goes on after %d, want %d; the checkpoint went from %d to %d; %v", after, again, claimed.Offset, saved.Offset, err)
	}
	must(t, write(t.Context(), s, h, after))
	h.check(t, k, topics...)
	must(t, publish(t.Context(), s, h, s.Arrived()))
}

func TestMessageIsTooLarge(t *testing.T) {
	k, h := testservers.SharedKafka(t), newHistory()
	topic := k.Topic(t, testservers.KafkaTopic{Config: map[string]string{"max.message.bytes": "3000"}})
	o := h.options(k)
	o.Compression = CompressionNone
	s := open(t, o)
	h.grow(300, topic) // whose batches are too large, and are cut
	must(t, persist(t, open(t, s.o), h, sinks.Checkpoint{}))
	h.check(t, k, topic)
	m := h.count(topic, "large")
	m.Value = bytes.Repeat([]byte("x"), 4000)
	h.commit(m)
	err := publish(t.Context(), s, h, s.Arrived())
	wantRefused(t, err)
	for _, want := range []string{topic, "max.message.bytes", "key of 5 bytes"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	must(t, k.SetTopicConfig(t.Context(), topic, map[string]string{"max.message.bytes": "10000"}))
	must(t, persist(t, s, h, s.Arrived()))
}

func TestMessageWithoutKeyOnCompactedTopic(t *testing.T) {
	k, h := testservers.SharedKafka(t), newHistory()
	topic := k.Topic(t, testservers.KafkaTopic{Config: map[string]string{"cleanup.policy": "compact"}})
	h.commit(sinks.Message{Topic: topic, Value: []byte("v")})
	wantRefused(t, publish(t.Context(), open(t, h.options(k)), h, sinks.Checkpoint{}))
}

func TestManyPartitionsAndAGiantUnit(t *testing.T) {
	k, topics, h := testservers.SharedKafka(t), topicNames(t, 3), newHistory()
	o := h.options(k)
	o.Partitions, o.MaxInFlightBytes = 60, batchBytes
	s := open(t, o)
	h.grow(300, topics...)
	var messages []sinks.Message
	for range 20_000 {
		m := h.count(topics[0], "giant")
		m.Headers = []sinks.Header{{Name: "h", Value: bytes.Repeat([]byte("x"), 300)}}
		messages = append(messages, m)
	}
	h.commit(messages...)
	must(t, publish(t.Context(), s, h, sinks.Checkpoint{}))
	h.check(t, k, topics...)
	must(t, publish(t.Context(), s, h, s.Arrived()))
	h.check(t, k, topics...)
}
