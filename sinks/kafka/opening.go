package kafka

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"cdc/changelog"
	"cdc/sinks"
)

// held is a copy of a message to a topic that is not open yet.
type held struct {
	message sinks.Message
	bound   int              // of its record, which counts as waiting
	before  changelog.Offset // the unit before its own
}

// madeTogether bounds the partitions that a cluster is asked to make at once: they take a broker tens of milliseconds each, and until
// then it refuses what it is asked about them.
const madeTogether = 100

// hold keeps a message until its topic is open, with the mutex held. Messages to other topics go on meanwhile, and topics that are met
// until one is open are opened together: one after another, a copy of many small tables would wait for little else.
func (s *session) hold(m *sinks.Message, bound int) {
	s.unknown[m.Topic] = append(s.unknown[m.Topic], held{message: copyOf(m), bound: bound, before: s.written})
	s.waiting += int64(bound)
	s.meet.Signal()
}

func copyOf(m *sinks.Message) sinks.Message {
	c := sinks.Message{
		Topic: m.Topic, Key: bytes.Clone(m.Key), Value: bytes.Clone(m.Value), Headers: slices.Clone(m.Headers), Identity: m.Identity,
	}
	for i := range c.Headers {
		c.Headers[i].Value = bytes.Clone(c.Headers[i].Value)
	}
	return c
}

// openTopics opens topics that are met for the first time, until the session fails.
func (s *session) openTopics(ctx context.Context) {
	for {
		s.mu.Lock()
		for len(s.unknown) == 0 && s.failed == nil {
			s.meet.Wait()
		}
		names, failed := s.met(), s.failed
		s.mu.Unlock()
		if failed != nil {
			return
		}
		if err := s.open(ctx, names); err != nil {
			s.fail(err)
			return
		}
	}
}

// met are the topics to be opened next, those first that the log names first, with the mutex held.
func (s *session) met() []string {
	names := make([]string, 0, len(s.unknown))
	for name := range s.unknown {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Compare(s.unknown[a][0].message.Identity.Offset, s.unknown[b][0].message.Identity.Offset)
	})
	return names[:min(len(names), max(1, madeTogether/max(1, s.o.Partitions)))]
}

// open finds topics, makes sure that this process alone writes them, and lets go of the messages that were held for them.
func (s *session) open(ctx context.Context, names []string) error {
	topics, err := s.find(ctx, names)
	if err != nil {
		return err
	}
	if _, err := s.settle(ctx, topics, s.extend); err != nil {
		return err
	}
	s.o.Logger.DebugContext(ctx, "topics opened", "sink", s.o.Name, "topics", len(topics))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range topics {
		s.topics[t.name] = t
		for _, p := range t.partitions {
			s.sender(p.leader)
		}
		for i := range s.unknown[t.name] {
			h := &s.unknown[t.name][i]
			s.waiting -= int64(h.bound)
			s.put(s.partitionOf(&h.message), &h.message, h.bound, h.before)
		}
		delete(s.unknown, t.name)
	}
	s.room.Broadcast()
	return nil
}

// heldBack is the last unit before the first message that is held: the last one written, if there is none.
func heldBack(written changelog.Offset, unknown map[string][]held) changelog.Offset {
	for _, messages := range unknown {
		written = min(written, messages[0].before)
	}
	return written
}
