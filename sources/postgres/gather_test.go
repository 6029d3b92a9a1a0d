package postgres

import (
	"testing"
	"time"
)

func TestBytesGatherOnlyWhileTheyComeWithoutAPause(t *testing.T) {
	now := time.Unix(1, 0)
	var g gather
	reads := func(count, bytes int, gap time.Duration) {
		for range count {
			now = now.Add(gap)
			g.read(bytes, now)
		}
	}
	waits := func(want time.Duration, when string) {
		t.Helper()
		if got := g.pause(); got != want {
			t.Errorf("%s: the next read waits %s, not %s", when, got, want)
		}
	}
	waits(0, "in the beginning")
	reads(1000, 300, time.Millisecond)
	waits(0, "at a thousand transactions a second")
	for range 100 {
		reads(gatherAfter-1, 300, gatherGap/10)
		reads(1, 300, gatherGap)
	}
	waits(0, "with pauses")
	reads(gatherAfter, 300, gatherGap/10)
	waits(gatherTime, "after many small reads")
	reads(10, gatherLeast, gatherTime)
	waits(gatherTime, "while there is enough")
	reads(1, gatherMost, gatherTime)
	waits(0, "with much to read")
	reads(1, gatherLeast, gatherTime)
	waits(gatherTime, "when it is less again")
	reads(1, gatherLeast-1, gatherTime)
	waits(0, "when little has come")
	reads(gatherAfter-1, 300, gatherGap/10)
	waits(0, "soon after")
}
