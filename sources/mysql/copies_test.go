package mysql

import (
	"context"
	"errors"
	"testing"
)

// A table that has just been found to need a copy is not copied yet, though nobody has begun: a run until current must not end there.
func TestTableThatWaitsForItsCopyCountsAsBeingCopied(t *testing.T) {
	s := &Source{}
	s.copying.Store(true) // as at the start of a stream
	q := newCopyQueue(&s.copying)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.copyAll(over, nil, q, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if s.copying.Load() {
		t.Error("a source without tables to copy is copying")
	}
	q.add(copyJob{table: 1})
	if !s.copying.Load() {
		t.Error("a table waits to be copied, and the source is not copying")
	}
	if _, ok := q.take(); !ok || !s.copying.Load() {
		t.Error("a table is being copied, and the source is not copying")
	}
	if _, ok := q.take(); ok || s.copying.Load() {
		t.Error("the last table was copied, and the source is still copying")
	}
}
