package kafka

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"cdc/changelog"
	"cdc/sinks"
)

var (
	testOrigin   = newOrigin([16]byte{0: 0xa0, 15: 0x0f}, "test")
	testProducer = producer{id: 0x0102030405060708, epoch: 9}
	testTime     = time.UnixMilli(1_700_000_000_123)
)

var allCompressions = []Compression{CompressionNone, Gzip, Snappy, LZ4, Zstd}

// decode reads a batch with a client that shares no code with ours.
func decode(t testing.TB, wire []byte) []*kgo.Record {
	t.Helper()
	if size := binary.BigEndian.Uint32(wire); int(size) != len(wire)-sizeBytes {
		t.Fatalf("size %d of %d bytes", size, len(wire))
	}
	p := kmsg.NewFetchResponseTopicPartition()
	p.RecordBatches = wire[sizeBytes:]
	got, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: "t"}, &p, kgo.DefaultDecompressor(), nil)
	if got.Err != nil {
		t.Fatal(got.Err)
	}
	return got.Records
}

func seal(t testing.TB, c Compression, messages ...sinks.Message) *batch {
	t.Helper()
	compressor, err := newCompressor(c)
	if err != nil {
		t.Fatal(err)
	}
	b := new(batch)
	b.reset()
	for i := range messages {
		before := b.bytes()
		b.add(&messages[i], &testOrigin)
		if grown, bound := b.bytes()-before, recordBound(&messages[i]); grown > bound {
			t.Fatalf("a message took %d bytes, more than its bound %d", grown, bound)
		}
	}
	if err := b.seal(compressor, testProducer, 77, testTime); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBatchHasTheBytesOfFormat2(t *testing.T) {
	b := seal(t, CompressionNone,
		sinks.Message{Key: []byte("k"), Value: []byte("val"), Headers: []sinks.Header{{Name: "h", Value: nil}}, Identity: sinks.Identity{Offset: 258, Part: 1}},
		sinks.Message{Identity: sinks.Identity{Offset: 259}},
	)
	const identity = "0c6364632e6964" + "3c" + "01" + "a000000000000000000000000000000f" + "86a072c0"
	want := "0000009e" + "0000000000000000" + "00000092" + "ffffffff" + "02" + "00000000" + "0000" + "00000001" +
		"0000018bcfe5687b" + "0000018bcfe5687b" + "0102030405060708" + "0009" + "0000004d" + "00000002" +
		"66" + "00" + "00" + "00" + "026b" + "0676616c" + "04" + "026801" + identity + "0000000000000102" + "01" +
		"58" + "00" + "00" + "02" + "01" + "01" + "02" + identity + "0000000000000103" + "00"
	got := bytes.Clone(b.wire)
	clear(got[atChecksum:atAttributes])
	if hex.EncodeToString(got) != want {
		t.Errorf("got\n%x\nwant\n%s", got, want)
	}
	if keyBytes(b.buf[atRecords:]) != 1 {
		t.Errorf("a key of %d bytes", keyBytes(b.buf[atRecords:]))
	}
}

func TestBatchIsReadByAnotherClient(t *testing.T) {
	var messages []sinks.Message
	for i := range 500 {
		messages = append(messages, sinks.Message{
			Key: fmt.Appendf(nil, "key %d", i), Value: bytes.Repeat([]byte{'x'}, i), Headers: []sinks.Header{{Name: "", Value: []byte{}}},
			Identity: sinks.Identity{Offset: 1, Part: uint8(i)},
		})
	}
	messages[3].Key, messages[4].Value, messages[5].Key = nil, nil, []byte{}
	for _, c := range allCompressions {
		t.Run(string(c), func(t *testing.T) { compare(t, decode(t, seal(t, c, messages...).wire), messages) })
	}
}

func compare(t testing.TB, records []*kgo.Record, messages []sinks.Message) {
	t.Helper()
	if len(records) != len(messages) {
		t.Fatalf("%d records, want %d", len(records), len(messages))
	}
	same := func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
	for i, r := range records {
		m := &messages[i]
		if !same(r.Key, m.Key) || !same(r.Value, m.Value) || !r.Timestamp.Equal(testTime) || r.Offset != int64(i) {
			t.Fatalf("record %d: %+v, want %+v", i, r, m)
		}
		if len(r.Headers) != len(m.Headers)+1 {
			t.Fatalf("record %d has %d headers", i, len(r.Headers))
		}
		for j, h := range m.Headers {
			if r.Headers[j].Key != h.Name || !same(r.Headers[j].Value, h.Value) {
				t.Fatalf("record %d: header %+v, want %+v", i, r.Headers[j], h)
			}
		}
		last := r.Headers[len(m.Headers)]
		o, id, err := parseIdentity(last.Value)
		if err != nil || last.Key != identityHeader || o != testOrigin || id != m.Identity {
			t.Fatalf("record %d: identity %+v of %+v, %v", i, id, o, err)
		}
		if r.ProducerID != testProducer.id || r.ProducerEpoch != testProducer.epoch {
			t.Fatalf("record %d is of producer %d epoch %d", i, r.ProducerID, r.ProducerEpoch)
		}
	}
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte("k"), []byte("v"), "h", []byte("hv"), uint64(1), uint8(0), uint8(0))
	f.Add([]byte(nil), []byte(nil), "", []byte(nil), uint64(1)<<63, uint8(255), uint8(4))
	f.Fuzz(func(t *testing.T, key, value []byte, name string, header []byte, offset uint64, part, codec uint8) {
		m := sinks.Message{Key: key, Value: value, Headers: []sinks.Header{{Name: name, Value: header}}}
		m.Identity = sinks.Identity{Offset: changelog.Offset(offset), Part: part}
		messages := []sinks.Message{m, m, m}
		compare(t, decode(t, seal(t, allCompressions[int(codec)%len(allCompressions)], messages...).wire), messages)
	})
}

func FuzzParseIdentity(f *testing.F) {
	f.Add(testOrigin.appendIdentity(nil, sinks.Identity{Offset: 5, Part: 6}))
	f.Add([]byte{identityVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, id, err := parseIdentity(b)
		if err == nil && !bytes.Equal(o.appendIdentity(nil, id), b) {
			t.Fatalf("%x is read as %+v %+v", b, o, id)
		}
	})
}

// What fills a batch is copied at most twice as its buffer grows.
func TestBatchGrowsByDoubling(t *testing.T) {
	var b batch
	b.reset()
	m, copied := sinks.Message{Value: make([]byte, 300)}, 0
	for b.bytes() < batchBytes {
		before, size := cap(b.buf), len(b.buf)
		b.add(&m, &testOrigin)
		if cap(b.buf) != before {
			copied += size
		}
	}
	if copied > 2*batchBytes {
		t.Errorf("%d bytes were copied while a batch of %d was filled", copied, b.bytes())
	}
	if cap(b.buf) > 3*batchBytes {
		t.Errorf("a batch of %d bytes takes %d", b.bytes(), cap(b.buf))
	}
}

func TestSequenceBeginsAgainAfterTheLargest(t *testing.T) {
	for _, c := range []struct{ sequence, n, want int32 }{{0, 5, 5}, {1<<31 - 1, 1, 0}, {1<<31 - 3, 5, 2}} {
		if got := nextSequence(c.sequence, c.n); got != c.want {
			t.Errorf("%d after %d is %d, want %d", c.n, c.sequence, got, c.want)
		}
	}
}

// BenchmarkBatch encodes a batch of messages of 310 bytes, and seals it.
func BenchmarkBatch(b *testing.B) {
	value := fmt.Appendf(nil, `{"before":null,"after":{"id":1,"name":"%0200d"},"source":{"version":"3.5","connector":"postgresql"},"op":"c"}`, 7)
	m := sinks.Message{Key: []byte(`{"id":1}`), Value: value}
	for _, c := range allCompressions {
		b.Run("compression="+string(c), func(b *testing.B) {
			compressor, err := newCompressor(c)
			if err != nil {
				b.Fatal(err)
			}
			batch := new(batch)
			b.SetBytes(int64(len(m.Key) + len(m.Value)))
			b.ReportAllocs()
			batch.reset()
			for b.Loop() {
				if batch.bytes()+recordBound(&m) > batchBytes {
					if err := batch.seal(compressor, testProducer, 0, testTime); err != nil {
						b.Fatal(err)
					}
					batch.reset()
				}
				m.Identity.Offset++
				batch.add(&m, &testOrigin)
			}
		})
	}
}
