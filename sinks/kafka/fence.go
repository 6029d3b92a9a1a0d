package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
)

// transactionTimeout is when the coordinator ends the fencing transaction of a process that died within it.
const transactionTimeout = 60 * time.Second

// become makes this process the writer: of all partitions that are given, no batch of an earlier owner is taken any more. A new
// epoch is known to the coordinator alone; a partition learns it from the marker that ends a transaction. The coordinator says that
// the transaction has ended before the markers are written, and hands out the next epoch only after it.
func (s *session) become(ctx context.Context, topics []*topic) (err error) {
	if s.producer, err = s.initProducer(ctx); err != nil || len(topics) == 0 {
		return err
	}
	if err := s.addToTransaction(ctx, topics); err != nil {
		return err
	}
	if err := s.abort(ctx); err != nil {
		return err
	}
	s.producer, err = s.initProducer(ctx)
	return err
}

// extend fences partitions that are met later, under the epoch that the session has: batches of other partitions are on their way.
// A transaction that has been aborted may be aborted again only when its markers are written, so the second time is the barrier.
func (s *session) extend(ctx context.Context, topics []*topic) error {
	s.transaction.Lock()
	defer s.transaction.Unlock()
	if err := s.addToTransaction(ctx, topics); err != nil {
		return err
	}
	return errors.Join(s.abort(ctx), s.abort(ctx))
}

// initProducer gives the transactional id its next epoch and ends what a dead owner has left open.
func (s *session) initProducer(ctx context.Context) (p producer, err error) {
	err = retry(ctx, s.o.timings.retryMax, func() error {
		answer, err := s.cluster.coordinator(ctx, s.transactionalID, &initproducerid.Request{
			TransactionalID: s.transactionalID, TransactionTimeoutMs: int32(transactionTimeout.Milliseconds()), ProducerID: -1, ProducerEpoch: -1,
		})
		if err != nil {
			return err
		}
		res := answer.(*initproducerid.Response)
		p = producer{id: res.ProducerID, epoch: res.ProducerEpoch}
		return problemWith(rightWrite, "begin as "+s.transactionalID, res.ErrorCode, "")
	})
	return p, err
}

func (s *session) addToTransaction(ctx context.Context, topics []*topic) error {
	req := &addpartitionstotxn.Request{TransactionalID: s.transactionalID, ProducerID: s.producer.id, ProducerEpoch: s.producer.epoch}
	for _, t := range topics {
		r := addpartitionstotxn.RequestTopic{Name: t.name}
		for _, p := range t.partitions {
			r.Partitions = append(r.Partitions, p.index)
		}
		req.Topics = append(req.Topics, r)
	}
	return retry(ctx, s.o.timings.retryMax, func() error {
		answer, err := s.cluster.coordinator(ctx, s.transactionalID, req)
		if err != nil {
			return err
		}
		for _, t := range answer.(*addpartitionstotxn.Response).Results {
			for _, p := range t.Results {
				if p.ErrorCode == codeNotAttempted {
					continue // another one is why
				}
				if err := problemWith(rightWrite, fmt.Sprintf("fence partition %d of topic %s", p.PartitionIndex, t.Name), p.ErrorCode, ""); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (s *session) abort(ctx context.Context) error {
	return retry(ctx, s.o.timings.retryMax, func() error {
		code, err := s.endTransaction(ctx)
		if err != nil {
			return err
		}
		return problem("end the fencing transaction of "+s.transactionalID, code, "")
	})
}

func (s *session) endTransaction(ctx context.Context) (code int16, err error) {
	answer, err := s.cluster.coordinator(ctx, s.transactionalID, &endtxn.Request{
		TransactionalID: s.transactionalID, ProducerID: s.producer.id, ProducerEpoch: s.producer.epoch,
	})
	if err != nil {
		return 0, err
	}
	return answer.(*endtxn.Response).ErrorCode, nil
}

// keepLease asks from time to time whether this process is still the writer, and ends the session when it is not or when it could not
// ask for too long. To end a transaction that is not open changes nothing, and tells an old epoch from the newest.
func (s *session) keepLease(ctx context.Context) {
	ticker := time.NewTicker(s.o.timings.probeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		asked := time.Now()
		s.transaction.Lock()
		code, err := s.endTransaction(ctx)
		s.transaction.Unlock()
		if err == nil && code == codeInvalidTransaction {
			code = 0 // none is open
		}
		if err == nil {
			err = problem("ask whether this process is still the writer", code, "")
		}
		if err == nil {
			s.lease.Store(asked.Round(0).UnixNano())
		} else if lasting(err) {
			s.fail(err)
			return
		}
	}
}

// leased reports whether the process was known to be the writer recently enough to write. It goes by the wall clock, which a machine
// that was suspended comes back with.
func (s *session) leased() bool {
	return time.Since(time.Unix(0, s.lease.Load())) < s.o.timings.leaseMax
}
