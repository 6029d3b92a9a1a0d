//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"sort"
	"sync"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/changelog/disklog"
)

// A pace is a rate of commits and how long it is kept up.
type pace struct {
	perSecond int
	lasting   time.Duration
}

// paces are the rates at which the latency is measured.
var paces = []pace{
	{1, 100 * time.Second}, // a p99 is not the slowest of them
	{100, 10 * time.Second},
	{1000, 10 * time.Second},
}

// syncPauseMax is the longest pause between the syncs to compare with.
const syncPauseMax = 50 * time.Millisecond

// Budgets of the latency: what it may take beyond a sync of the same size.
const (
	latencyExtra50 = 2 * time.Millisecond
	latencyExtra99 = 5 * time.Millisecond
)

func measureLatency(b *testing.B, e *bench) {
	database := e.pg.Database(b)
	e.sql(b, database, pingsSQL)
	e.latency(b, "", e.capture(b, database, "pings"), e.connect(b, database).ping(b))
	e.dropSlots(b, database)
}

// latency measures the time from COMMIT's return at the client until the
// transaction is durable in the log, as the control socket tells it.
func (r *benchReport) latency(b *testing.B, prefix string, c *benchCapture, ping insertPing) {
	next := int64(1)
	commit := func(pace pace) (int64, []time.Time) {
		first := next
		done := ping.pace(b, first, pace.perSecond, max(time.Duration(scaled(int(pace.lasting))), 2*time.Second))
		next += int64(len(done))
		return first, done
	}
	// The server writes to the disk as well, so a sync is measured under its load.
	syncs := map[int][]time.Duration{}
	for _, pace := range paces {
		pause := min(time.Second/time.Duration(pace.perSecond), syncPauseMax)
		syncs[pace.perSecond] = syncsDuring(b, b.TempDir(), pause, func() { commit(pace) })
	}
	run := c.start(b)
	for _, pace := range paces {
		watch := watchDurable(run)
		first, committed := commit(pace)
		took := watch.end(run.offsetsOf(b, first, len(committed)), committed)
		for _, part := range []struct {
			percent int
			extra   time.Duration
		}{{50, latencyExtra50}, {99, latencyExtra99}} {
			ours, sync := percentile(took, part.percent), percentile(syncs[pace.perSecond], part.percent)
			r.add(b, figure{
				name: prefix + fmt.Sprintf("commit → durable at %d tx/s, p%d", pace.perSecond, part.percent), ours: milliText(ours),
				reference: milliText(sync) + " a sync", ratio: float64(ours) / float64(sync),
				target: fmt.Sprintf("≤ sync + %d ms", part.extra.Milliseconds()), met: ours <= sync+part.extra,
				value: float64(ours) / 1e6, unit: metric(prefix) + fmt.Sprintf("p%d-ms@%d/s", part.percent, pace.perSecond),
			})
		}
	}
	run.stop(b)
}

// seen is what the control socket said of the durable offset, and when.
type seen struct {
	at   time.Time
	next changelog.Offset
}

// durableWatch follows the durable offset.
type durableWatch struct {
	stop chan struct{}
	done sync.WaitGroup
	seen []seen
}

// watchDurable follows the durable offset of a running capture until end.
func watchDurable(run *benchRun) *durableWatch {
	w := &durableWatch{stop: make(chan struct{})}
	w.done.Go(func() {
		var after changelog.Offset
		for {
			next, err := run.durable(after)
			if err == nil && next > after {
				after = next
				w.seen = append(w.seen, seen{time.Now(), next})
			}
			select {
			case <-w.stop:
				return
			default:
			}
		}
	})
	return w
}

// end returns how long each transaction took from its COMMIT until its offset
// was seen to be durable, in order of size. All of them must have been seen.
func (w *durableWatch) end(offsets []changelog.Offset, committed []time.Time) []time.Duration {
	close(w.stop)
	w.done.Wait()
	took := make([]time.Duration, len(offsets))
	for i, n := range offsets {
		at := sort.Search(len(w.seen), func(j int) bool { return w.seen[j].next > n })
		took[i] = w.seen[min(at, len(w.seen)-1)].at.Sub(committed[i])
	}
	slices.Sort(took)
	return took
}

// offsetsOf waits until the log holds n pings from the first id on, and returns
// the commits that brought them.
func (r *benchRun) offsetsOf(b *testing.B, first int64, n int) []changelog.Offset {
	b.Helper()
	offsets := make([]changelog.Offset, n)
	awaitFor(b, "the log holds all transactions", captureLimit, func() bool {
		found := 0
		err := r.read(b, func(u *changelog.Unit) error {
			var c changelog.Change
			for {
				ok, err := u.Next(&c)
				if err != nil || !ok {
					return err
				}
				if id := c.After.Int(0) - first; id >= 0 && id < int64(n) {
					offsets[id] = u.Meta.Commit()
					found++
				}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
		return found == n
	})
	return offsets
}

// read calls f with every unit of a log that is being written.
func (r *benchRun) read(b *testing.B, f func(u *changelog.Unit) error) error {
	durable, err := r.durable(0)
	if err != nil {
		return err
	}
	l, err := disklog.Open(r.data, disklog.Options{ReadOnly: true, DurableHint: func() changelog.Offset { return durable }})
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	return eachUnit(b.Context(), l, nil, f)
}
