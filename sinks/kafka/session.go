package kafka

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"cdc/changelog"
	"cdc/sinks"
)

// session is the sink between Open and Close: one term as the writer.
type session struct {
	o               *Options
	cluster         *cluster
	compressor      compressor
	transactionalID string
	origin          origin
	counts          *counts
	// limits are where batches of a topic are cut when its max.message.bytes is lower than usual; kept between sessions.
	limits map[string]int
	// recorded and saved are what the checkpoint says.
	recorded map[string]topicState
	saved    changelog.Offset

	// transaction is held by whoever talks about the fencing transaction.
	transaction sync.Mutex
	producer    producer
	lease       atomic.Int64 // when this process was last known to be the writer, in nanoseconds of the wall clock

	// spawn starts a goroutine that ends with the session, end tells them to end, running counts them.
	spawn   func(func(context.Context))
	end     context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex // guards the fields below, and those of partitions
	topics  map[string]*topic
	unknown map[string][]held // messages to topics that are not open yet, in order
	meet    sync.Cond         // unknown has grown, or the session has failed
	senders map[int32]*sender
	lost    []*partition // to be looked for in the cluster
	seek    sync.Cond    // lost has grown, or the session has failed
	room    sync.Cond    // something has arrived, or the session has failed
	written changelog.Offset
	// reported is the newest checkpoint that was given out: those do not go back, even when the cluster has lost what had arrived.
	reported changelog.Offset
	waiting  int64 // bytes that have not arrived
	free     []*batch
	failed   error
}

// counts are the numbers of a sink's progress.
type counts struct{ messages, bytes, retries atomic.Uint64 }

// readers bounds the partitions that are read back at a time.
const readers = 8

// start makes this process the writer of all topics that the checkpoint knows, and finds out where to go on.
func (s *session) start(ctx context.Context) (after changelog.Offset, err error) {
	if next := s.o.Log.Bounds().Next; s.saved >= next && s.saved > 0 {
		return 0, diverged("bring back the log that this sink published", "the sink's checkpoint is at %d, and the log ends before %d", s.saved, next)
	}
	names := make([]string, 0, len(s.recorded))
	for name := range s.recorded {
		names = append(names, name)
	}
	slices.Sort(names)
	topics, err := s.find(ctx, names)
	if err != nil {
		return 0, err
	}
	after, err = s.settle(ctx, topics, s.become)
	if err != nil {
		return 0, err
	}
	s.written = after
	s.lease.Store(time.Now().Round(0).UnixNano())
	for _, t := range topics {
		s.topics[t.name] = t
	}
	return after, nil
}

// settle fences topics and then reads back where their partitions stand. It returns the offset after which units are wanted.
func (s *session) settle(ctx context.Context, topics []*topic, fence func(context.Context, []*topic) error) (after changelog.Offset, err error) {
	places := make(map[*partition]*place)
	for _, t := range topics {
		r, recorded := s.recorded[t.name]
		for i, p := range t.partitions {
			places[p] = &place{recorded: recorded, saved: s.saved, next: s.o.Log.Bounds().Next}
			if recorded {
				p.end, p.last = r.Ends[i], r.Last[i]
				places[p].recordedEnd, places[p].recordedLast = p.end, p.last
			}
		}
	}
	if err := s.measure(ctx, topics, places); err != nil {
		return 0, err
	}
	// A partition that has shrunk is looked at before the fence adds to it: after a stop it must look the same the next time.
	if err := s.examine(ctx, places, func(pl *place) (int64, bool) { return pl.end, pl.shrunk() }); err != nil {
		return 0, err
	}
	for p, pl := range places {
		if _, _, err := pl.resume(p.name()); err != nil && pl.shrunk() {
			return 0, err
		}
	}
	if err := fence(ctx, topics); err != nil {
		return 0, err
	}
	ends := make(map[*place]int64)
	err = retry(ctx, s.o.timings.retryMax, func() error {
		return s.offsets(ctx, topics, latest, func(p *partition, offset int64) { ends[places[p]] = offset })
	})
	if err != nil {
		return 0, err
	}
	if err := s.examine(ctx, places, func(pl *place) (int64, bool) { return ends[pl], true }); err != nil {
		return 0, err
	}
	return s.resume(ctx, places)
}

// measure asks where partitions begin and end.
func (s *session) measure(ctx context.Context, topics []*topic, places map[*partition]*place) error {
	return retry(ctx, s.o.timings.retryMax, func() error {
		err := s.offsets(ctx, topics, earliest, func(p *partition, offset int64) { places[p].first = offset })
		if err != nil {
			return err
		}
		return s.offsets(ctx, topics, latest, func(p *partition, offset int64) { places[p].end = offset })
	})
}

// examine reads back the partitions that which chooses, up to the end that it gives.
func (s *session) examine(ctx context.Context, places map[*partition]*place, which func(*place) (end int64, chosen bool)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for p, pl := range places {
		end, chosen := which(pl)
		if !chosen || pl.first >= end {
			continue
		}
		group.Go(func() error {
			return retry(ctx, s.o.timings.retryMax, func() (err error) {
				pl.last, err = s.readBack(ctx, p, pl.first, end)
				return err
			})
		})
	}
	return group.Wait()
}

// resume decides where partitions go on.
func (s *session) resume(ctx context.Context, places map[*partition]*place) (after changelog.Offset, err error) {
	after = s.saved
	for p, pl := range places {
		floor, lost, err := pl.resume(p.name())
		if err != nil {
			return 0, err
		}
		p.floor = floor
		if pl.last.end > p.end {
			p.end, p.last = pl.last.end, pl.last.id.Offset
		}
		if lost {
			s.o.Logger.WarnContext(ctx, "the cluster has lost messages, sending them again", "sink", s.o.Name, "topic", p.topic.name,
				"partition", p.index, "end", pl.end, "recorded_end", pl.recordedEnd, "offset", uint64(floor.Offset))
			p.end, p.last = pl.end, floor.Offset
			after = min(after, max(floor.Offset, 1)-1)
		}
	}
	return after, nil
}

// add takes a message into its partition's batch, and waits while too much is on its way. A message to a topic that is met for the
// first time is held until the topic is open.
func (s *session) add(ctx context.Context, m *sinks.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.partitionOf(m)
	if p != nil && !m.Identity.After(p.floor) {
		return nil // it has arrived in an earlier session
	}
	bound := recordBound(m)
	if err := s.await(ctx, func() bool { return s.waiting == 0 || s.waiting+int64(bound) <= s.o.MaxInFlightBytes }); err != nil {
		return err
	}
	if p == nil {
		p = s.partitionOf(m) // the topic may have been opened meanwhile
	}
	if p == nil {
		s.hold(m, bound)
		return nil
	}
	s.put(p, m, bound, s.written)
	return nil
}

// partitionOf is the message's partition, nil while its topic is not open, with the mutex held.
func (s *session) partitionOf(m *sinks.Message) *partition {
	t := s.topics[m.Topic]
	if t == nil {
		return nil
	}
	return t.partitions[partitionOf(m.Key, len(t.partitions))]
}

// put adds a message, unless it has arrived in an earlier session, to the batch of its partition, with the mutex held. bound is that of
// its record, before the unit before the message's.
func (s *session) put(p *partition, m *sinks.Message, bound int, before changelog.Offset) {
	if !m.Identity.After(p.floor) {
		return
	}
	if p.filling != nil && p.filling.bytes()+bound > s.limit(p.topic.name) {
		p.full, p.filling = append(p.full, p.filling), nil
	}
	if p.filling == nil {
		p.filling = s.newBatch()
		p.filling.before = before
	}
	size := p.filling.bytes()
	p.filling.add(m, &s.origin)
	s.waiting += int64(p.filling.bytes() - size)
	s.dispatch(p)
}

func (s *session) limit(topic string) int {
	if limit, ok := s.limits[topic]; ok {
		return limit
	}
	return batchBytes
}

// await waits, with the mutex held, until ready says so or the session fails.
func (s *session) await(ctx context.Context, ready func() bool) error {
	if s.failed == nil && ready() {
		return nil
	}
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.room.Broadcast()
	})
	defer stop()
	for s.failed == nil && ctx.Err() == nil && !ready() {
		s.room.Wait()
	}
	if s.failed != nil {
		return s.failed
	}
	return context.Cause(ctx)
}

// maxFree bounds the batches kept for reuse, which hold up to 2 MB each.
const maxFree = 8

func (s *session) newBatch() *batch {
	b := new(batch)
	if n := len(s.free); n > 0 {
		b, s.free = s.free[n-1], s.free[:n-1]
	}
	b.reset()
	return b
}

// fail ends the session with its first error.
func (s *session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
	}
	s.room.Broadcast()
	s.seek.Broadcast()
	s.meet.Broadcast()
	for _, b := range s.senders {
		b.work.Broadcast()
	}
}

// close ends the session without waiting for answers.
func (s *session) close() error {
	s.fail(errClosed)
	s.end()
	s.running.Wait()
	return s.cluster.close()
}

func (s *session) finish(u changelog.Offset) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	s.written = u
	return nil
}

func (s *session) flush(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.await(ctx, func() bool { return s.waiting == 0 })
}

// checkpoint is what has arrived.
func (s *session) checkpoint() sinks.Checkpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	topics := make(map[string]topicState, len(s.topics))
	for name, t := range s.topics {
		ts := topicState{Ends: make([]int64, len(t.partitions)), Last: make([]changelog.Offset, len(t.partitions))}
		for i, p := range t.partitions {
			ts.Ends[i], ts.Last[i] = p.end, p.last
		}
		topics[name] = ts
	}
	st, c := state{Topics: topics}, sinks.Checkpoint{Offset: arrived(heldBack(s.written, s.unknown), s.topics)}
	if c.Offset < s.reported {
		st.After = new(c.Offset)
		c = sinks.Checkpoint{Offset: s.reported}
	}
	s.reported = c.Offset
	c.State = st.encode()
	return c
}

// brokerTimeout is how long the broker may wait for replicas, in milliseconds: less than we wait for the broker.
func (o *Options) brokerTimeout() int32 { return int32((o.RequestTimeout / 2).Milliseconds()) }

var errLease = errors.New("this process could not ask for too long whether it is still the sink's writer, or was suspended")
