//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"cdc/changelog"
	"cdc/changelog/vfs"
	"cdc/sinks"
	"cdc/sinks/envelope"
	"cdc/sinks/kafka"
)

// sampleMessages is how many messages of the log the references have in
// memory and send over and over.
const sampleMessages = 100_000

// sample is the beginning of the messages of a log, and how many there are.
type sample struct {
	records             []kgo.Record
	messages            int
	bytes, keys, values int
	first, last         changelog.Offset // of the changes
}

// newEncoder makes the product's encoder for the log of a rowWriter.
func newEncoder(b *testing.B, w *rowWriter, o envelope.Options) *envelope.Encoder {
	b.Helper()
	o.Source = func(changelog.SourceID) (envelope.Source, error) {
		return envelope.Source{Name: "shop", Database: "shop", Connector: envelope.Postgres, Place: func(p changelog.Position) (envelope.Place, error) {
			return envelope.Place{LSN: binary.BigEndian.Uint64([]byte(p))}, nil
		}}, nil
	}
	encoder, err := envelope.New(o)
	if err != nil {
		b.Fatal(err)
	}
	return encoder
}

// encodeSample encodes the whole log and keeps the first messages.
func encodeSample(b *testing.B, w *rowWriter) *sample {
	b.Helper()
	m := &sample{last: w.last}
	encodeLog(b, w, newEncoder(b, w, envelope.Options{}), func(message *sinks.Message) error {
		m.add(message)
		return nil
	})
	return m
}

func (m *sample) add(message *sinks.Message) {
	if m.messages == 0 {
		m.first = message.Identity.Offset
	}
	m.messages++
	m.keys += len(message.Key)
	m.values += len(message.Value)
	m.bytes += len(message.Key) + len(message.Value)
	for _, h := range message.Headers {
		m.bytes += len(h.Name) + len(h.Value)
	}
	if len(m.records) == sampleMessages {
		return
	}
	r := kgo.Record{Key: bytes.Clone(message.Key), Value: bytes.Clone(message.Value)}
	for _, h := range message.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
	}
	m.records = append(m.records, r)
}

// record is a message for franz-go, which keeps it until it is answered.
func (m *sample) record(i int) *kgo.Record {
	r := &m.records[i%len(m.records)]
	return &kgo.Record{Key: r.Key, Value: r.Value, Headers: r.Headers}
}

// lines are the values that are no tombstones, one a line.
func (m *sample) lines() (text []byte) {
	for i := range m.records {
		if v := m.records[i].Value; v != nil {
			text = append(append(text, v...), '\n')
		}
	}
	return text
}

// encoder hands over the messages of the sample in the place of encoding the
// changes of a unit.
func (m *sample) encoder(topic string) sinks.Encoder {
	return &readyMade{sample: m, message: sinks.Message{Topic: topic}}
}

type readyMade struct {
	*sample
	message sinks.Message
}

// Encode implements sinks.Encoder. Each unit gets its share of all messages.
func (r *readyMade) Encode(_ context.Context, u *changelog.Unit, emit func(*sinks.Message) error) error {
	if u.Meta.First < r.first {
		return nil
	}
	from, to := r.before(u.Meta.First), r.before(u.Meta.Commit()+1)
	for i := from; i < to; i++ {
		record := &r.records[i%len(r.records)]
		r.message.Key, r.message.Value, r.message.Headers = record.Key, record.Value, r.message.Headers[:0]
		for _, h := range record.Headers {
			r.message.Headers = append(r.message.Headers, sinks.Header{Name: h.Key, Value: h.Value})
		}
		r.message.Identity = sinks.Identity{Offset: u.Meta.First, Part: uint8(i - from)}
		if err := emit(&r.message); err != nil {
			return err
		}
	}
	return nil
}

// before is how many messages belong to what is before an offset.
func (m *sample) before(n changelog.Offset) int {
	return int((n - m.first) * changelog.Offset(m.messages) / (m.last + 1 - m.first))
}

// encodeLog reads the log and encodes it, for emit.
func encodeLog(b *testing.B, w *rowWriter, encoder sinks.Encoder, emit func(*sinks.Message) error) {
	b.Helper()
	err := eachUnit(b.Context(), w.log, nil, func(u *changelog.Unit) error { return encoder.Encode(b.Context(), u, emit) })
	if err != nil {
		b.Fatal(err)
	}
}

// publishLog publishes the log as the product does, from its beginning until
// all has arrived.
func (e *kafkaBench) publishLog(b *testing.B, name string, w *rowWriter, m *sample, compression kafka.Compression, encoder sinks.Encoder) publishRun {
	b.Helper()
	sink, err := kafka.New(kafka.Options{
		Brokers: e.kafka.Addrs(), Name: name, Log: w.log, Encoder: encoder, Logger: slog.New(slog.DiscardHandler), Compression: compression,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	ended := make(chan error, 1)
	took := timePublishing(b, m.messages, func() {
		go func() {
			ended <- sinks.Run(ctx, sinks.RunOptions{
				Log: w.log, Sink: sink, Name: name, Store: sinks.NewStore(vfs.OS{}, b.TempDir()), First: true, Logger: slog.New(slog.DiscardHandler),
			})
		}()
		awaitFor(b, "all messages have arrived", captureLimit, func() bool { return len(ended) > 0 || sink.Arrived().Offset >= w.last })
	})
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		b.Fatal(err)
	}
	if n := sink.Progress().Messages; n != uint64(m.messages) {
		b.Fatalf("%d messages were published, not %d", n, m.messages)
	}
	return took
}
