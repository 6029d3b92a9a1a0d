package testservers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// readLimit bounds the reading of a topic. It ends a wait for an end that was
// compacted away, too.
const readLimit = 60 * time.Second

// KafkaRecord is a record of a topic. A nil key, value or value of a header is
// null, other than an empty one.
type KafkaRecord struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte
	Headers   []KafkaHeader
	Timestamp time.Time
}

// KafkaHeader is a header of a record.
type KafkaHeader struct {
	Key   string
	Value []byte
}

// KafkaIsolation says what a reader sees of transactions.
type KafkaIsolation int

// The two isolations of Kafka.
const (
	KafkaReadUncommitted KafkaIsolation = iota // what is in the log, aborted transactions as well
	KafkaReadCommitted                         // up to the first open transaction, and nothing aborted
)

// ReadTopic reads all that a topic holds at the time of the call, by a client
// that shares no code with the product, and sorts it by partition and offset.
func (k *Kafka) ReadTopic(ctx context.Context, topic string, isolation KafkaIsolation) ([]KafkaRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	bounds, err := k.Offsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	ends, starts := map[int32]int64{}, map[int32]kgo.Offset{}
	for _, b := range bounds {
		end := b.Next
		if isolation == KafkaReadCommitted {
			end = b.Stable
		}
		if b.First < end {
			ends[b.Partition], starts[b.Partition] = end, kgo.NewOffset().At(b.First)
		}
	}
	if len(ends) == 0 {
		return nil, nil
	}
	options := []kgo.Opt{
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}),
		kgo.KeepControlRecords(), // they may be the last of their partition
	}
	if isolation == KafkaReadCommitted {
		options = append(options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	client, err := k.open(options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	records, err := readUntil(ctx, client, ends)
	if err != nil {
		return nil, fmt.Errorf("read topic %s: %w", topic, err)
	}
	return records, nil
}

// readUntil reads until each partition has come to its end.
func readUntil(ctx context.Context, client *kgo.Client, ends map[int32]int64) (records []KafkaRecord, err error) {
	for len(ends) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w; partitions and ends not come to: %v", context.Cause(ctx), ends)
		}
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			end, open := ends[r.Partition]
			if !open || r.Offset >= end {
				return // written since the call
			}
			if r.Offset == end-1 {
				delete(ends, r.Partition)
			}
			if !r.Attrs.IsControl() {
				records = append(records, recordOf(r))
			}
		})
	}
	slices.SortFunc(records, func(a, b KafkaRecord) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return records, nil
}

func recordOf(r *kgo.Record) KafkaRecord {
	record := KafkaRecord{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp,
	}
	for _, h := range r.Headers {
		record.Headers = append(record.Headers, KafkaHeader{Key: h.Key, Value: h.Value})
	}
	return record
}

// Produce writes records to the partitions that they name, in their order, and
// returns when all replicas in sync have them.
func (k *Kafka) Produce(ctx context.Context, records ...KafkaRecord) error {
	client, err := k.open(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer client.Close()
	var all []*kgo.Record
	for _, r := range records {
		record := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		all = append(all, record)
	}
	if err := client.ProduceSync(ctx, all...).FirstErr(); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	return nil
}
