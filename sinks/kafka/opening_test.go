package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sinks"
)

// lines is what a logger has written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

// A copy of many small tables names another topic in each unit. To open one takes several questions to the broker, so those that are
// met meanwhile are opened together.
func TestManyTopicsAreOpenedTogether(t *testing.T) {
	k, topics := testservers.SharedKafka(t), topicNames(t, 120)
	h, out := newHistory(), new(lines)
	for _, topic := range topics {
		h.commit(h.count(topic, "k"), h.count(topic, "k"))
	}
	h.grow(50, topics...)
	o := h.options(k)
	o.Logger = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := open(t, o)
	must(t, publish(t.Context(), s, h, sinks.Checkpoint{}))
	h.check(t, k, topics...)
	if rounds := out.count("topics opened"); rounds == 0 || rounds > 12 {
		t.Errorf("%d topics were opened in %d rounds, want a few", len(topics), rounds)
	}
	if got, want := s.Arrived().Offset, h.next-1; got != want {
		t.Errorf("%d has arrived, want %d", got, want)
	}
	// With nothing but the topics left, their messages are recognised while they are held.
	h.grow(50, topics...)
	must(t, persist(t, open(t, s.o), h, sinks.Checkpoint{}))
	h.check(t, k, topics...)
}

// What is held for a topic that is not open has not arrived: a kill at that moment loses nothing and doubles nothing.
func TestKillWhileTopicsAreOpened(t *testing.T) {
	k, topics := testservers.SharedKafka(t), topicNames(t, 40)
	h := newHistory()
	for range 3 {
		for _, topic := range topics {
			h.commit(h.count(topic, "k"))
		}
	}
	var saved sinks.Checkpoint
	for kill := range 6 {
		s := open(t, h.options(k))
		after, err := s.Open(t.Context(), saved)
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(kill*kill)*10*time.Millisecond)
		err = write(ctx, s, h, after)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		must(t, s.Close())
		if kill%2 == 0 {
			saved = s.Arrived()
		}
	}
	must(t, persist(t, open(t, h.options(k)), h, saved))
	h.check(t, k, topics...)
}

func TestHeldMessagesHaveNotArrived(t *testing.T) {
	s := &session{o: new(Options), unknown: make(map[string][]held), written: 7}
	s.meet.L = &s.mu
	value := []byte("value")
	for i := range 3 {
		s.hold(&sinks.Message{Topic: fmt.Sprint("t", i%2), Value: value, Identity: sinks.Identity{Offset: changelog.Offset(8 + i)}}, 100)
		s.written++
	}
	copy(value, "other")
	if got := string(s.unknown["t0"][1].message.Value); got != "value" {
		t.Errorf("the held value is %q: it has the encoder's memory", got)
	}
	if got := heldBack(s.written, s.unknown); got != 7 || s.waiting != 300 {
		t.Errorf("%d has arrived and %d bytes wait, want 7 and 300", got, s.waiting)
	}
	if got := s.met(); len(got) != 2 || got[0] != "t0" || got[1] != "t1" {
		t.Errorf("%v are met, want t0 and t1", got)
	}
	s.o.Partitions = madeTogether
	if got := s.met(); len(got) != 1 || got[0] != "t0" {
		t.Errorf("%v are opened together, want t0 alone", got)
	}
}
