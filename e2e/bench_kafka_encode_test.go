//go:build e2e

package e2e

import (
	"testing"
	"time"

	"cdc/e2e/testservers"
	"cdc/schema/avro"
	"cdc/sinks"
	"cdc/sinks/envelope"
)

// encodeForms are the shapes of messages whose cost is measured.
var encodeForms = []struct {
	name    string
	options envelope.Options
}{
	{"debezium-json", envelope.Options{}},
	{"debezium-json with schemas", envelope.Options{Schemas: true}},
	{"debezium-avro", envelope.Options{Format: envelope.DebeziumAvro}},
	{"flat-json", envelope.Options{Format: envelope.FlatJSON}},
}

// measureKafkaEncode reads a log and encodes it into nothing.
func measureKafkaEncode(b *testing.B, e *kafkaBench) {
	w := openRows(b, b.TempDir(), logSegmentBytes)
	w.write(b, publishChanges()/changesInTwenty, changesInTwenty)
	w.durable(b)
	if err := w.log.Seal(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, form := range encodeForms {
		o := form.options
		if o.Format == envelope.DebeziumAvro {
			o.Serializer = avroSerializer(b)
		}
		encoder, messages, size := newEncoder(b, w, o), 0, 0
		var costs []time.Duration
		for range benchRounds {
			messages, size = 0, 0
			_, cpu := spent(b, func() {
				encodeLog(b, w, encoder, func(m *sinks.Message) error {
					messages++
					size += len(m.Key) + len(m.Value)
					return nil
				})
			})
			costs = append(costs, cpu/time.Duration(messages))
		}
		cost := median(costs)
		e.add(b, figure{
			name:  "read the log and encode, " + form.name + ", processor time a message",
			ours:  microText(cost) + ", " + sizeText(float64(size)/float64(messages)) + " a key and value",
			value: float64(cost) / 1e3, unit: "encode-" + metric(form.name) + "-µs",
		})
	}
}

// avroSerializer registers schemas in a registry, once for each.
func avroSerializer(b *testing.B) *envelope.Avro {
	b.Helper()
	registry, err := avro.NewRegistry(avro.RegistryOptions{URL: testservers.StartRegistryFor(b, testservers.RegistryOptions{Name: "bench"}).URL()})
	if err != nil {
		b.Fatal(err)
	}
	s, err := envelope.NewAvro(envelope.AvroOptions{Registry: registry})
	if err != nil {
		b.Fatal(err)
	}
	return s
}
