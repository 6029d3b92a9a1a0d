//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"cdc/e2e/testservers"
	"cdc/sinks/envelope"
	"cdc/sinks/kafka"
)

// publishChanges is how many changes the log holds that is published.
func publishChanges() int { return scaled(1_500_000) }

// What the references are told, so that they send as much at once as the sink
// does.
const (
	publishBatchBytes = 1_000_000
	publishLinger     = 5 * time.Millisecond
)

// publishCPUTarget is our processor time for a message to that of franz-go.
const publishCPUTarget = 0.6

// publishRun is what publishing took.
type publishRun struct {
	perSecond float64       // messages
	cpu       time.Duration // a message
}

// measureKafkaPublish publishes a log to a topic, beside Kafka's own
// measuring program and a producer in this process that are given messages.
func measureKafkaPublish(b *testing.B, e *kafkaBench) {
	w := openRows(b, filepath.Join(b.TempDir(), "log"), logSegmentBytes)
	w.write(b, publishChanges()/changesInTwenty, changesInTwenty)
	w.durable(b)
	if err := w.log.Seal(b.Context()); err != nil {
		b.Fatal(err)
	}
	m := encodeSample(b, w)
	b.Logf("%d messages of %d bytes, of which %d are the key, %d the value and the rest headers", m.messages, m.bytes/m.messages, m.keys/m.messages, m.values/m.messages)
	for _, compression := range []kafka.Compression{kafka.CompressionNone, kafka.LZ4, kafka.Zstd} {
		e.publishBeside(b, w, m, compression)
	}
}

func (e *kafkaBench) publishBeside(b *testing.B, w *rowWriter, m *sample, compression kafka.Compression) {
	sides := []struct {
		name string
		run  func(topic string) publishRun
	}{
		{"perf", func(topic string) publishRun { return e.producerPerformance(b, topic, m, compression) }},
		{"franz", func(topic string) publishRun { return e.franzProducer(b, topic, m, compression) }},
		{"ready", func(topic string) publishRun { return e.publishLog(b, topic, w, m, compression, m.encoder(topic)) }},
		{"ours", func(topic string) publishRun {
			return e.publishLog(b, topic, w, m, compression, newEncoder(b, w, envelope.Options{TopicPrefix: strings.TrimSuffix(topic, ".public.orders")}))
		}},
	}
	runs := map[string][]publishRun{}
	for round := range benchRounds {
		for _, side := range sides {
			topic := fmt.Sprintf("%s-%s-%d.public.orders", side.name, compression, round)
			e.topic(b, topic)
			runs[side.name] = append(runs[side.name], side.run(topic))
			e.drop(b, topic, m.messages)
		}
	}
	e.addPublished(b, compression, runs)
}

func (e *kafkaBench) addPublished(b *testing.B, compression kafka.Compression, runs map[string][]publishRun) {
	rate := func(side string) float64 {
		return median(each(runs[side], func(r publishRun) float64 { return r.perSecond }))
	}
	cpu := func(side string) time.Duration {
		return median(each(runs[side], func(r publishRun) time.Duration { return r.cpu }))
	}
	for _, reference := range []struct{ side, name string }{{"perf", "ProducerPerformance"}, {"franz", "franz-go"}} {
		ratio := rate("ours") / rate(reference.side)
		e.add(b, figure{
			name: fmt.Sprintf("log → Kafka, %s, beside %s", compression, reference.name), ours: rateText(rate("ours"), "messages"),
			reference: rateText(rate(reference.side), "messages"), ratio: ratio, target: "ratio ≥ 1", met: ratio >= 1,
			value: ratio, unit: fmt.Sprintf("publish-%s-%s-ratio", compression, reference.side),
		})
	}
	e.add(b, figure{
		name: fmt.Sprintf("log → Kafka, %s, processor time a message, beside franz-go", compression), ours: microText(cpu("ours")),
		reference: microText(cpu("franz")), ratio: float64(cpu("ours")) / float64(cpu("franz")),
	})
	ratio := float64(cpu("ready")) / float64(cpu("franz"))
	f := figure{
		name: fmt.Sprintf("the same, given the messages as franz-go is, %s", compression), ours: microText(cpu("ready")), reference: microText(cpu("franz")),
		ratio: ratio, value: ratio, unit: fmt.Sprintf("publish-%s-cpu-ratio", compression),
	}
	if compression == kafka.CompressionNone {
		f.target, f.met = "ratio ≤ 0.6", ratio <= publishCPUTarget
	}
	e.add(b, f)
	e.add(b, figure{name: fmt.Sprintf("processor time a message of ProducerPerformance, %s, start of its machine included", compression), ours: microText(cpu("perf"))})
}

// each is f of all values.
func each[T, V any](values []T, f func(T) V) []V {
	all := make([]V, len(values))
	for i := range values {
		all[i] = f(values[i])
	}
	return all
}

// microText is the time of something small for people.
func microText(d time.Duration) string { return fmt.Sprintf("%.2f µs", float64(d)/1e3) }

var producerRate = regexp.MustCompile(`^\d+ records sent, ([0-9.]+) records/sec.*50th`)

// producerPerformance is Kafka's own measuring program, which sends values
// that it picks from a file, without keys. The rate is that of its last line.
func (e *kafkaBench) producerPerformance(b *testing.B, topic string, m *sample, compression kafka.Compression) publishRun {
	b.Helper()
	payload := filepath.Join(b.TempDir(), "values")
	if err := os.WriteFile(payload, m.lines(), 0o644); err != nil {
		b.Fatal(err)
	}
	cmd, err := e.kafka.Command(b.Context(), testservers.KafkaProducerPerformance, "--topic", topic, "--num-records", strconv.Itoa(m.messages),
		"--payload-file", payload, "--throughput", "-1", "--producer-props", "bootstrap.servers="+strings.Join(e.kafka.Addrs(), ","), "acks=all",
		"compression.type="+string(compression), "batch.size="+strconv.Itoa(publishBatchBytes), "linger.ms="+strconv.FormatInt(publishLinger.Milliseconds(), 10))
	if err != nil {
		b.Fatal(err)
	}
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("ProducerPerformance: %v\n%s%s", err, out, problems.Bytes())
	}
	for line := range strings.Lines(string(out)) {
		found := producerRate.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		perSecond, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			b.Fatal(err)
		}
		cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		return publishRun{perSecond, cpu / time.Duration(m.messages)}
	}
	b.Fatalf("ProducerPerformance does not say how fast it was:\n%s", out)
	return publishRun{}
}

var franzCodecs = map[kafka.Compression]kgo.CompressionCodec{
	kafka.CompressionNone: kgo.NoCompression(), kafka.LZ4: kgo.Lz4Compression(), kafka.Zstd: kgo.ZstdCompression().WithLevel(1),
}

// franzProducer sends the messages by franz-go.
func (e *kafkaBench) franzProducer(b *testing.B, topic string, m *sample, compression kafka.Compression) publishRun {
	b.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(e.kafka.Addrs()...), kgo.DefaultProduceTopic(topic), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(franzCodecs[compression]), kgo.ProducerBatchMaxBytes(publishBatchBytes), kgo.ProducerLinger(publishLinger),
		kgo.MaxBufferedRecords(100_000))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	ctx, fail := context.WithCancelCause(b.Context())
	defer fail(nil)
	sent := func(_ *kgo.Record, err error) {
		if err != nil {
			fail(err)
		}
	}
	return timePublishing(b, m.messages, func() {
		for i := range m.messages {
			client.Produce(ctx, m.record(i), sent)
		}
		if err := client.Flush(ctx); err != nil {
			b.Fatal(context.Cause(ctx))
		}
	})
}

func timePublishing(b *testing.B, messages int, f func()) publishRun {
	wall, cpu := spent(b, f)
	return publishRun{float64(messages) / wall.Seconds(), cpu / time.Duration(messages)}
}
