//go:build e2e

package e2e

import (
	"testing"
	"time"

	"cdc/e2e/testservers"
	"cdc/e2e/workload"
	"cdc/sources/postgres"
)

const (
	kills = 100
	// A run lives between these after it has begun to stream.
	lifeMin = 5 * time.Millisecond
	lifeMax = 300 * time.Millisecond
)

// Goal: a kill at any instant loses nothing, repeats nothing and cuts nothing in
// two, and the source never forgets what the log does not hold.
//
// Method: 100 runs are killed at random instants under load. After each the
// slot may not be ahead of the log. In the end the log is judged.
func TestG1G3G4G5KillNine(t *testing.T) {
	c := newRig(t, testservers.Shared(t))
	s := seed(t)
	random := seeded(s)
	w := c.prepareWorkload(workload.Options{Seed: s, Pause: 10 * time.Millisecond, BigValues: 30_000})
	quiet := c.keepBusy(w)
	for i := range kills {
		p := c.start()
		c.awaitStreaming(p)
		life := lifeMin + time.Duration(random.Int64N(int64(lifeMax-lifeMin)))
		select {
		case <-time.After(life):
		case <-p.done:
			t.Fatalf("run %d ended by itself with code %d:\n%s", i, p.code(), p.text())
		}
		p.kill()
		c.slotIsNotAhead(i)
		if t.Failed() {
			return
		}
	}
	quiet()
	c.catchUp()
	c.judge(w)
}

// slotIsNotAhead compares what the source has been told with what the log holds.
func (c *rig) slotIsNotAhead(kill int) {
	c.t.Helper()
	text := c.ask(`SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE database = current_database() AND NOT temporary`)
	acked, err := postgres.ParseLSN(text)
	if err != nil {
		c.t.Fatalf("kill %d: slot: %v", kill, err)
	}
	if durable := durablePosition(c.t, c.data()); acked > durable && durable != 0 {
		c.t.Errorf("kill %d: the slot is at %s, the log ends at %s", kill, acked, durable)
	}
}
