//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"

	"cdc/e2e/testservers"
)

// kafkaResultsTable is the name of the table in docs/benchmarks.md.
const kafkaResultsTable = "results of Kafka"

// kafkaMeasurements are in the order in which they run: those on a quiet disk
// first.
var kafkaMeasurements = []measurement[*kafkaBench]{
	{"kafka-latency", measureKafkaLatency},
	{"kafka-publish", measureKafkaPublish},
	{"kafka-encode", measureKafkaEncode},
	{"kafka-stream", measureKafkaStream},
	{"kafka-memory", measureKafkaMemory},
}

// kafkaBench is what the measurements of publishing share.
type kafkaBench struct {
	*bench
	kafka *testservers.Kafka
}

// kafkaPartitions is how many partitions each topic has.
const kafkaPartitions = 6

// BenchmarkKafkaBudgets is BenchmarkBudgets for what is published to Kafka,
// with a table of its own.
func BenchmarkKafkaBudgets(b *testing.B) {
	binary, err := program()
	if err != nil {
		b.Fatal(err)
	}
	e := &kafkaBench{
		bench: &bench{
			benchReport: &benchReport{name: kafkaResultsTable}, binary: binary,
			pg: testservers.Start(b, testservers.PostgresOptions{Name: "bench", Settings: serverSettings}),
		},
		kafka: testservers.StartKafkaFor(b, testservers.KafkaOptions{Name: "bench", Settings: kafkaBrokerSettings}),
	}
	complete := measure(b, kafkaMeasurements, e)
	e.publish(b, complete, "PostgreSQL "+e.pg.Version()+" and Kafka "+e.kafka.Version())
}

// kafkaBrokerSettings free the disk at once of topics that were measured.
var kafkaBrokerSettings = map[string]string{"log.segment.delete.delay.ms": "100"}

// topic makes a topic.
func (e *kafkaBench) topic(b *testing.B, name string) {
	b.Helper()
	err := e.kafka.CreateTopic(b.Context(), testservers.KafkaTopic{Name: name, Partitions: kafkaPartitions})
	if err != nil {
		b.Fatal(err)
	}
}

// drop deletes a topic that holds at least so many messages; of one that
// holds fewer, the time that it took to fill it would be no figure. Markers of
// transactions take places in a topic, too.
func (e *kafkaBench) drop(b *testing.B, name string, messages int) {
	b.Helper()
	if n := e.messagesIn(b, name); n < messages {
		b.Fatalf("topic %s holds %d messages, not %d", name, n, messages)
	}
	if err := e.kafka.DeleteTopic(b.Context(), name); err != nil {
		b.Fatal(err)
	}
}

func (e *kafkaBench) messagesIn(b *testing.B, topic string) (n int) {
	b.Helper()
	bounds, err := e.kafka.Offsets(context.WithoutCancel(b.Context()), topic)
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range bounds {
		n += int(p.Next - p.First)
	}
	return n
}

// sinkTo are the arguments by which a capture publishes to topics that begin
// with a prefix.
func (e *kafkaBench) sinkTo(prefix string) []string {
	return []string{"--sink", "kafka://" + strings.Join(e.kafka.Addrs(), ",") + "?partitions=6&topic_prefix=" + prefix}
}
