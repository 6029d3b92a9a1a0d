package main

import (
	"testing"
	"time"
)

// The rate of a copy is that of the last while: not of a faster beginning, nor of another copy.
func TestCopyMeterFollowsTheRate(t *testing.T) {
	var m copyMeter
	now := time.Unix(1e9, 0)
	if m.rate() != 0 || m.left(100) != -1 {
		t.Fatalf("a new meter says %v rows/s, %v s left", m.rate(), m.left(100))
	}
	rows := int64(500) // a copy that was taken up
	run := func(seconds int, each int64) {
		for range seconds {
			m.note(now, rows)
			now, rows = now.Add(time.Second), rows+each
		}
	}
	run(6, 1000)
	if m.rate() != 1000 || m.left(rows-1000+3000) != 3 {
		t.Errorf("%v rows/s, %v s left", m.rate(), m.left(rows-1000+3000))
	}
	run(40, 10)
	if m.rate() != 10 {
		t.Errorf("%v rows/s after it has slowed down", m.rate())
	}
	if m.left(1) != 0 || m.left(0) != -1 {
		t.Errorf("%v s left of an estimate that was passed, %v of none", m.left(1), m.left(0))
	}
	rows = 0
	run(3, 7)
	if m.rate() != 7 {
		t.Errorf("%v rows/s in another copy", m.rate())
	}
}
