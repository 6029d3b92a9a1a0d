package postgres

import "time"

const (
	// gatherAfter is how many small reads must follow each other within gatherGap before bytes are left to gather.
	gatherAfter = 32
	gatherGap   = 100 * time.Microsecond
	// gatherTime is how long they gather. A walsender's messages come one by one, and each would cost a read, a change of the
	// goroutine and often a sync of its own; at this pace it is still the server that the stream waits for.
	gatherTime = time.Millisecond
	// gatherLeast is what must have come meanwhile for more to gather, and gatherMost what is read on from at once: a socket that
	// is full would make the server wait.
	gatherLeast = 4 << 10
	gatherMost  = 64 << 10
)

// gather decides before which reads of a stream bytes are left to gather: only while they come in without a pause, so that a change
// that comes alone does not wait.
type gather struct {
	last  time.Time // the end of the last read
	quick int       // small reads in a row that followed each other closely
	on    bool
	got   int // bytes of the last read
}

// pause is how long to wait before the next read.
func (g *gather) pause() time.Duration {
	if !g.on || g.got >= gatherMost {
		return 0
	}
	return gatherTime
}

// read notes a read that ended at now with n bytes.
func (g *gather) read(n int, now time.Time) {
	soon := now.Sub(g.last) < gatherGap
	g.last, g.got = now, n
	switch {
	case g.on:
		g.on, g.quick = n >= gatherLeast, 0
	case !soon || n >= gatherMost:
		g.quick = 0
	default:
		g.quick++
		g.on = g.quick >= gatherAfter
	}
}
