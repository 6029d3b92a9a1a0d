package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"

	"cdc/sinks"
)

// readBack finds the identity of the partition's last message of this sink between first and end, looking from the end in steps that
// grow: markers of transactions and what others wrote may follow it.
func (s *session) readBack(ctx context.Context, p *partition, first, end int64) (last found, err error) {
	for stop, step := end, int64(1); stop > first && last.end == 0; step *= 8 {
		from := max(end-step, first)
		for at := from; at < stop && err == nil; {
			at, err = s.readFrom(ctx, p, at, end, func(value []byte, offset int64) (err error) {
				last.id, err = s.recognise(p, value)
				last.end = offset + 1
				return err
			})
		}
		if err != nil {
			return found{}, err
		}
		stop = from
	}
	return last, nil
}

// found is a message of this sink, and where in its partition it ends; the zero value when there is none.
type found struct {
	id  sinks.Identity
	end int64
}

// recognise reads the identity of a message and makes sure that it is one of this sink.
func (s *session) recognise(p *partition, value []byte) (sinks.Identity, error) {
	o, id, err := parseIdentity(value)
	switch {
	case err != nil:
		return id, diverged("publish to another topic, or use the version of cdc that wrote this one", "%s holds a message of which the %v", p.name(), err)
	case o.log != s.origin.log:
		return id, diverged("publish each log to topics of its own (a topic prefix), or delete the topic",
			"%s holds messages of another log, %x; this one is %x", p.name(), o.log, s.origin.log)
	case o.sink != s.origin.sink:
		return id, diverged("publish each sink to topics of its own (a topic prefix), or give the sink the name back that it had",
			"%s holds messages that another sink of this log wrote", p.name())
	}
	return id, nil
}

// fetchBytes is how much is asked for at once; a broker gives one whole batch in any case.
const fetchBytes = 4 << 20

// readFrom fetches what begins at the offset, calls f with the identity of each message that has one, and returns where to go on. The
// partition must not end before end, as after a change of its leader: nothing could be said about what is not shown.
func (s *session) readFrom(ctx context.Context, p *partition, at, end int64, f func(value []byte, offset int64) error) (next int64, err error) {
	answer, err := s.cluster.ask(ctx, p.leader, &fetch.Request{
		ReplicaID: -1, MaxWaitTime: 500, MinBytes: 1, MaxBytes: fetchBytes, SessionID: -1, SessionEpoch: -1,
		Topics: []fetch.RequestTopic{{Topic: p.topic.name, Partitions: []fetch.RequestPartition{{
			Partition: p.index, CurrentLeaderEpoch: -1, FetchOffset: at, LogStartOffset: -1, PartitionMaxBytes: fetchBytes,
		}}}},
	})
	if err != nil {
		return at, err
	}
	res := answer.(*fetch.Response)
	doing := "read back " + p.name()
	if err := problem(doing, res.ErrorCode, ""); err != nil {
		return at, err
	}
	if len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 {
		return at, fmt.Errorf("%s: the broker answers for %d topics", doing, len(res.Topics))
	}
	part := &res.Topics[0].Partitions[0]
	if part.ErrorCode == codeOffsetOutOfRange {
		return at, fmt.Errorf("%s: offset %d has just been removed", doing, at)
	}
	if err := problemWith(rightRead, doing, part.ErrorCode, ""); err != nil {
		return at, err
	}
	if part.HighWatermark < end {
		return at, fmt.Errorf("%s: it ended at %d and shows messages up to %d only", doing, end, part.HighWatermark)
	}
	stream, ok := part.RecordSet.Records.(*protocol.RecordStream)
	if !ok {
		return at + 1, nil // an empty answer: what stood here has been compacted away
	}
	next, err = readRecords(stream, at, f)
	if err != nil {
		return at, fmt.Errorf("%s: %w", doing, err)
	}
	return next, nil
}

// readRecords goes through batches. Control batches hold one record, and no message; a batch may begin before at.
func readRecords(stream *protocol.RecordStream, at int64, f func(value []byte, offset int64) error) (next int64, err error) {
	next = at + 1
	for _, batch := range stream.Records {
		if control, ok := batch.(*protocol.ControlBatch); ok {
			next = max(next, control.BaseOffset+1)
			continue
		}
		for {
			r, err := batch.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return at, err
			}
			next = max(next, r.Offset+1)
			for _, h := range r.Headers {
				if h.Key != identityHeader {
					continue
				}
				if err := f(h.Value, r.Offset); err != nil {
					return at, err
				}
			}
		}
	}
	return next, nil
}
