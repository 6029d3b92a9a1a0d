package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol/produce"

	"cdc/sinks"
)

// sender sends to one broker what the partitions that it leads have. Several goroutines run it, each with one request on its way.
type sender struct {
	broker int32
	ready  []*partition
	work   sync.Cond
}

const (
	// sendersPerBroker keeps a broker busy while an answer is on its way back.
	sendersPerBroker = 3
	// requestBytes is where a request is cut, far below a broker's socket.request.max.bytes of 100 MiB.
	requestBytes = 4 << 20
)

// run starts the session's goroutines, which end when it fails or is closed.
func (s *session) run() {
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	s.spawn = func(f func(context.Context)) { s.running.Go(func() { f(ctx) }) }
	s.spawn(s.keepLease)
	s.spawn(s.findLeaders)
	s.spawn(s.openTopics)
}

// sender is the broker's, with the mutex held.
func (s *session) sender(broker int32) *sender {
	b := s.senders[broker]
	if b == nil {
		b = &sender{broker: broker}
		b.work.L = &s.mu
		s.senders[broker] = b
		for range sendersPerBroker {
			s.spawn(func(ctx context.Context) { s.send(ctx, b) })
		}
	}
	return b
}

// dispatch gives a partition that has something to send to its leader's sender, with the mutex held.
func (s *session) dispatch(p *partition) {
	if p.busy || p.oldest() == nil || s.failed != nil {
		return
	}
	p.busy = true
	b := s.sender(p.leader)
	b.ready = append(b.ready, p)
	b.work.Signal()
}

// send sends to a broker until the session fails.
func (s *session) send(ctx context.Context, b *sender) {
	req := &produceRequest{timeout: s.o.brokerTimeout()}
	for {
		partitions := s.collect(b)
		if len(partitions) == 0 {
			return
		}
		if err := s.prepare(partitions); err != nil {
			s.fail(err)
			return
		}
		req.partitions = partitions
		answer, err := s.cluster.ask(ctx, b.broker, req)
		if lasting(err) {
			s.fail(err)
			return
		}
		if err == nil {
			partitions = s.answered(partitions, answer.(*produce.Response))
		}
		s.mu.Lock()
		for _, p := range partitions {
			s.postpone(p)
		}
		s.mu.Unlock()
	}
}

// collect waits for partitions that have something to send, and takes their batches, topic by topic; none when the session has failed.
func (s *session) collect(b *sender) (partitions []*partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(b.ready) == 0 && s.failed == nil {
		b.work.Wait()
	}
	if s.failed != nil {
		return nil
	}
	taken := 0
	for len(b.ready) > 0 {
		p := b.ready[0]
		size := p.depart().bytes()
		if taken > 0 && taken+size > requestBytes {
			break
		}
		taken += size
		partitions = append(partitions, p)
		b.ready[0] = nil
		b.ready = b.ready[1:]
	}
	if len(b.ready) == 0 {
		b.ready = nil
	}
	slices.SortFunc(partitions, func(a, b *partition) int { return strings.Compare(a.topic.name, b.topic.name) })
	return partitions
}

// prepare seals batches that are sent for the first time, and refuses to send what must not be sent any more.
func (s *session) prepare(partitions []*partition) error {
	if !s.leased() {
		return errLease
	}
	now := time.Now()
	for _, p := range partitions {
		b := p.flight
		if b.tries++; b.tries > 1 {
			if waited := b.unanswered(now); waited > s.o.timings.resendMax {
				return fmt.Errorf("messages to %s have been unanswered for %s: they are not sent again before it is known which have arrived", p.name(), waited.Round(time.Second))
			}
			continue
		}
		b.firstTry = now
		if err := b.seal(s.compressor, s.producer, p.sequence, now); err != nil {
			return fmt.Errorf("compress messages to %s: %w", p.name(), err)
		}
	}
	return nil
}

// answered takes the broker's answers and returns the partitions that have to be sent again.
func (s *session) answered(partitions []*partition, res *produce.Response) (rest []*partition) {
	type key struct {
		topic     string
		partition int32
	}
	answers := make(map[key]*produce.ResponsePartition)
	for i := range res.Topics {
		for j := range res.Topics[i].Partitions {
			r := &res.Topics[i].Partitions[j]
			answers[key{res.Topics[i].Topic, r.Partition}] = r
		}
	}
	for _, p := range partitions {
		r := answers[key{p.topic.name, p.index}]
		if r == nil || judge(r.ErrorCode) == again {
			rest = append(rest, p)
			continue
		}
		if err := s.conclude(p, r); err != nil {
			s.fail(err)
		}
	}
	return rest
}

// conclude ends the flight of a batch.
func (s *session) conclude(p *partition, r *produce.ResponsePartition) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := p.flight
	if r.ErrorCode == codeTooLarge {
		return s.tooLarge(p, b, r.ErrorMessage)
	}
	if err := problemWith(rightWrite, fmt.Sprintf("write %d messages to %s", b.count, p.name()), r.ErrorCode, r.ErrorMessage); err != nil {
		return err
	}
	if r.BaseOffset >= 0 && r.BaseOffset < p.end {
		return diverged("delete the topic, and then "+publishAgain,
			"%s has taken messages at %d, and had messages of this sink up to %d: it has been made anew, or the cluster has lost messages", p.name(), r.BaseOffset, p.end)
	}
	p.end, p.last = max(p.end, r.BaseOffset+int64(b.count)), b.last.Offset
	p.sequence = nextSequence(p.sequence, b.count)
	s.waiting -= int64(b.bytes())
	s.counts.messages.Add(uint64(b.count))
	s.counts.bytes.Add(uint64(len(b.wire)))
	p.flight, p.busy = nil, false
	if len(s.free) < maxFree {
		s.free = append(s.free, b)
	}
	s.dispatch(p)
	s.room.Broadcast()
	return nil
}

// tooLarge cuts the topic's batches smaller, after which the session begins anew; a message that is alone in its batch cannot be cut.
func (s *session) tooLarge(p *partition, b *batch, message string) error {
	e := &brokerError{doing: fmt.Sprintf("write %d messages of %d bytes to %s", b.count, b.bytes(), p.name()), code: codeTooLarge, message: message}
	if b.count > 1 {
		s.limits[p.topic.name] = b.bytes() / 2
		return fmt.Errorf("%w; batches of the topic are cut at %d bytes from here on", e, b.bytes()/2)
	}
	return &sinks.Refused{
		Detail: fmt.Sprintf("the change at offset %d of the log is too large for topic %s (key of %d bytes, %d bytes in all, %d as sent): %s",
			b.last.Offset, p.topic.name, keyBytes(b.buf[atRecords:]), b.bytes(), len(b.wire), e.text()),
		Remedy: fmt.Sprintf("set the topic's max.message.bytes to more than %d, and what the brokers' replicas and the readers may fetch with it", len(b.wire)),
	}
}

// postpone sends a partition's batch again after a pause, to whom leads it by then, with the mutex held.
func (s *session) postpone(p *partition) {
	s.counts.retries.Add(1)
	time.AfterFunc(pauseAfter(p.flight.tries), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lost = append(s.lost, p)
		s.seek.Signal()
	})
}

// findLeaders looks for the leaders of partitions whose batches have to be sent again.
func (s *session) findLeaders(ctx context.Context) {
	for {
		s.mu.Lock()
		for len(s.lost) == 0 && s.failed == nil {
			s.seek.Wait()
		}
		lost, failed := s.lost, s.failed
		s.lost = nil
		s.mu.Unlock()
		if failed != nil {
			return
		}
		if err := s.relocate(ctx, lost); err != nil {
			s.fail(err)
			return
		}
	}
}

// relocate gives partitions to their leaders; those that have none at present are postponed again.
func (s *session) relocate(ctx context.Context, lost []*partition) error {
	seen := make(map[string]bool)
	var names []string
	for _, p := range lost {
		if !seen[p.topic.name] {
			seen[p.topic.name] = true
			names = append(names, p.topic.name)
		}
	}
	res, err := s.cluster.describe(ctx, names)
	if lasting(err) {
		return err
	}
	leaders := make(map[string][]int32)
	missing := make(map[string]bool)
	if err == nil {
		for i := range res.Topics {
			missing[res.Topics[i].Name] = res.Topics[i].ErrorCode == codeUnknownTopic
			leaders[res.Topics[i].Name] = leadersOf(&res.Topics[i])
		}
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range lost {
		waited := p.flight.unanswered(now)
		if waited > s.o.timings.resendMax || missing[p.topic.name] && waited > s.o.timings.missingMax {
			return fmt.Errorf("messages to %s have been unanswered for %s", p.name(), waited.Round(time.Second))
		}
		if l := leaders[p.topic.name]; int(p.index) < len(l) && l[p.index] >= 0 {
			p.leader, p.busy = l[p.index], false
			s.dispatch(p)
			continue
		}
		p.flight.tries++
		s.postpone(p)
	}
	return nil
}
