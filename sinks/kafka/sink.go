package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"

	"cdc/changelog"
	"cdc/sinks"
)

// Sink writes to Kafka topics.
type Sink struct {
	o          Options
	compressor compressor
	counts     counts
	limits     map[string]int

	mu      sync.Mutex // guards the fields below
	session *session
	last    sinks.Checkpoint // of the session before
}

var _ sinks.Sink = (*Sink)(nil)

// New makes a sink, which connects in Open.
func New(o Options) (*Sink, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	c, err := newCompressor(o.Compression)
	if err != nil {
		return nil, err
	}
	return &Sink{o: o, compressor: c, limits: make(map[string]int)}, nil
}

// TransactionalID is the name by which Kafka knows the sink. Its principal needs Write and Describe on it.
func (o *Options) TransactionalID() string {
	id := o.Log.ID()
	return "cdc-" + hex.EncodeToString(id[:]) + "-" + o.Name
}

// Open makes this process the writer: see the package comment. It is an error that sinks.Run tries again when the cluster cannot be
// reached, a sinks.Refused when it refuses, and a sinks.Stop when the topics are not as this sink has left them.
func (k *Sink) Open(ctx context.Context, saved sinks.Checkpoint) (changelog.Offset, error) {
	if err := k.Close(); err != nil {
		return 0, err
	}
	k.mu.Lock()
	if k.last.Offset > saved.Offset {
		saved = k.last // of this process, which knows better than what could be saved
	}
	k.mu.Unlock()
	recorded, after, err := parseState(saved)
	if err != nil {
		return 0, err
	}
	s := &session{
		o: &k.o, cluster: newCluster(&k.o), compressor: k.compressor, transactionalID: k.o.TransactionalID(), origin: newOrigin(k.o.Log.ID(), k.o.Name),
		counts: &k.counts, limits: k.limits, recorded: recorded, saved: after, reported: saved.Offset,
		topics: make(map[string]*topic), unknown: make(map[string][]held), senders: make(map[int32]*sender),
	}
	s.seek.L, s.room.L, s.meet.L = &s.mu, &s.mu, &s.mu
	after, err = s.start(ctx)
	if err != nil {
		return 0, errors.Join(err, s.cluster.close())
	}
	s.run()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.session = s
	return after, nil
}

// Write publishes a unit. What it has taken is sent at once; batches form while others are on their way.
func (k *Sink) Write(ctx context.Context, u *changelog.Unit) error {
	s := k.current()
	if s == nil {
		return errClosed
	}
	if err := k.o.Encoder.Encode(ctx, u, func(m *sinks.Message) error { return s.add(ctx, m) }); err != nil {
		return err
	}
	return s.finish(u.Meta.Commit())
}

// Flush waits until all that was written has arrived.
func (k *Sink) Flush(ctx context.Context) error {
	s := k.current()
	if s == nil {
		return nil
	}
	return s.flush(ctx)
}

// current is the session, nil when there is none.
func (k *Sink) current() *session {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.session
}

// Arrived is a checkpoint of what all partitions have taken.
func (k *Sink) Arrived() sinks.Checkpoint {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.session != nil {
		return k.session.checkpoint()
	}
	return k.last
}

// Progress counts messages, their bytes as sent, and what waits before compression.
func (k *Sink) Progress() sinks.Progress {
	p := sinks.Progress{Messages: k.counts.messages.Load(), Bytes: k.counts.bytes.Load(), Retries: k.counts.retries.Load()}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.session; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		p.Waiting, p.Err = s.waiting, s.failed
	}
	return p
}

// Close ends the session without waiting for answers.
func (k *Sink) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.session
	if s == nil {
		return nil
	}
	k.session = nil
	err := s.close()
	k.last = s.checkpoint()
	return err
}
