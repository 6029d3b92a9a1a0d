package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
	"pgregory.net/rapid"
)

// deaf takes a request and has no answer.
type deaf struct{ bytes.Buffer }

func (*deaf) Read([]byte) (int, error) { return 0, io.EOF }

// The library makes the same bytes of the same request, and copies the batches for it.
func TestProduceRequestIsTheLibrarys(t *testing.T) {
	req := &produceRequest{timeout: 15_000} // reused
	rapid.Check(t, func(t *rapid.T) {
		version := int16(rapid.IntRange(3, 8).Draw(t, "version"))
		want := &rawproduce.Request{Acks: -1, Timeout: req.timeout}
		req.partitions = nil
		for i := range rapid.IntRange(1, 4).Draw(t, "topics") {
			topic := &topic{name: fmt.Sprintf("shop.public.t%d", i)}
			want.Topics = append(want.Topics, rawproduce.RequestTopic{Topic: topic.name})
			for range rapid.IntRange(1, 3).Draw(t, "partitions") {
				size := rapid.SampledFrom([]int{1, 100, copyBelow - 1, copyBelow, 200_000}).Draw(t, "size")
				wire := append([]byte{0, byte(size >> 16), byte(size >> 8), byte(size)}, bytes.Repeat([]byte{byte(size)}, size)...)
				p := &partition{topic: topic, index: int32(rapid.IntRange(0, 99).Draw(t, "index")), flight: &batch{wire: wire}}
				req.partitions = append(req.partitions, p)
				last := &want.Topics[i]
				last.Partitions = append(last.Partitions, rawproduce.RequestPartition{Partition: p.index, RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(wire)}})
			}
		}
		var library bytes.Buffer
		if err := protocol.WriteRequest(&library, version, correlation, clientID, want); err != nil {
			t.Fatal(err)
		}
		req.Required(map[protocol.ApiKey]int16{protocol.Produce: version})
		var ours deaf
		if _, err := req.RawExchange(&ours); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("without an answer: %v", err)
		}
		if got, want := ours.Bytes(), library.Bytes(); !bytes.Equal(got, want) {
			n := 0
			for n < min(len(got), len(want)) && got[n] == want[n] {
				n++
			}
			t.Fatalf("%d bytes, want %d; they differ from %d on: % x, want % x", len(got), len(want), n, got[n:min(n+20, len(got))], want[n:min(n+20, len(want))])
		}
	})
}

// An answer that belongs to another request is none.
func TestAnswersOfOtherRequestsAreRefused(t *testing.T) {
	var answer bytes.Buffer
	answer.Write([]byte{0, 0, 0, 12, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0})
	req := &produceRequest{version: 8}
	_, err := req.RawExchange(struct {
		io.Reader
		io.Writer
	}{&answer, io.Discard})
	if want := "the answer is to request 9, and not to 2147483647"; err == nil || err.Error() != want {
		t.Errorf("an answer of another request: %v", err)
	}
}
