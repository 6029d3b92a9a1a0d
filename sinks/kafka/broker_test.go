package kafka

import (
	"testing"

	"cdc/e2e/testservers"
	"cdc/sinks"
)

func TestG3PublishesEachChangeOnce(t *testing.T) {
	k := testservers.SharedKafka(t)
	for _, c := range []Compression{CompressionNone, Gzip, Snappy, LZ4, Zstd} {
		t.Run(string(c), func(t *testing.T) {
			h, topics := newHistory(), topicNames(t, 2)
			o := h.options(k)
			o.Compression, o.Partitions = c, 3
			s := open(t, o)
			var saved sinks.Checkpoint
			for range 3 {
				h.grow(300, topics...)
				if err := publish(t.Context(), s, h, saved); err != nil {
					t.Fatal(err)
				}
				if got := s.Arrived(); got.Offset != h.next-1 {
					t.Fatalf("arrived %d, want %d", got.Offset, h.next-1)
				}
				saved = s.Arrived()
			}
			h.check(t, k, topics...)
			// Without a checkpoint the topics alone say what they have.
			if err := publish(t.Context(), open(t, o), h, sinks.Checkpoint{}); err != nil {
				t.Fatal(err)
			}
			h.check(t, k, topics...)
		})
	}
}
