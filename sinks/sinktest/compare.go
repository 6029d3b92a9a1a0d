package sinktest

import (
	"errors"
	"io"

	"cdc/changelog"
	"cdc/sinks"
)

// place is where order counts: a key of a topic.
type place struct{ topic, key string }

// arrival is a message as it is compared. Tombstones have no value and no header.
type arrival struct {
	value, op string
	tombstone bool
	offset    changelog.Offset // of what is expected
}

func arrivalOf(m *sinks.Message) (place, arrival) {
	a := arrival{value: string(m.Value), tombstone: m.Value == nil, offset: m.Identity.Offset}
	for _, h := range m.Headers {
		if h.Name == HeaderName {
			a.op = string(h.Value)
		}
	}
	return place{m.Topic, string(m.Key)}, a
}

// expected is what the encoder makes of the log.
func (s *suite) expected() map[place][]arrival {
	s.Helper()
	all := map[place][]arrival{}
	cursor, err := s.log.Cursor(changelog.CursorOptions{})
	s.must(err)
	defer func() { s.must(cursor.Close()) }()
	e := s.encoder()
	for {
		u, err := cursor.Next(s.Context())
		if errors.Is(err, io.EOF) {
			return all
		}
		s.must(err)
		s.must(e.Encode(s.Context(), u, func(m *sinks.Message) error {
			p, a := arrivalOf(m)
			all[p] = append(all[p], a)
			return nil
		}))
	}
}

// check compares what a reader sees with the log: of each key it sees the first messages, each once, and all of those up to the
// checkpoint.
func (s *suite) check(arrived sinks.Checkpoint) {
	s.Helper()
	expected, seen := s.expected(), map[place]int{}
	s.to.Messages(func(m *sinks.Message) {
		p, got := arrivalOf(m)
		want := expected[p]
		n := seen[p]
		seen[p]++
		if n >= len(want) {
			s.Fatalf("message %d of %v, where the log has %d: %+v", n, p, len(want), got)
		}
		if got.offset = want[n].offset; got != want[n] {
			s.Fatalf("message %d of %v is %+v, want %+v", n, p, got, want[n])
		}
	})
	for p, want := range expected {
		for i := seen[p]; i < len(want); i++ {
			if want[i].offset <= arrived.Offset {
				s.Fatalf("a reader sees %d messages of %v; message %d, of offset %d, is missing although all up to offset %d has arrived",
					seen[p], p, i, want[i].offset, arrived.Offset)
			}
		}
	}
}

// checkAll compares what a reader sees with the whole log.
func (s *suite) checkAll() {
	s.Helper()
	s.check(sinks.Checkpoint{Offset: s.log.Bounds().Next - 1})
}
