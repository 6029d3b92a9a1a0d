//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	"cdc/changelog"
)

const (
	// tailRate and tailTime are the load while the memory of tailing is measured.
	tailRate = 1000
	tailTime = 20 * time.Second
	// giantRows is the size of the transaction in flight.
	giantRows = 3_000_000
)

// Budgets of resident memory, in bytes.
const (
	tailMemory  = 64 << 20
	giantMemory = 256 << 20
)

func measureMemory(b *testing.B, e *bench) {
	database := e.pg.Database(b)
	e.sql(b, database, pingsSQL)
	e.memory(b, "", e.capture(b, database, "pings"), e.connect(b, database).ping(b), func(first, rows int) {
		e.sql(b, database, fmt.Sprintf("INSERT INTO pings SELECT n, 'as long as a short note is' FROM generate_series(%d, %d) n", first, first+rows-1))
	})
	e.dropSlots(b, database)
}

// memory measures the most memory that the process has had resident since it
// started: once while it tails, once while a giant transaction of pings passes.
func (r *benchReport) memory(b *testing.B, prefix string, c *benchCapture, ping insertPing, giant func(first, rows int)) {
	run := c.start(b)
	tailed := len(ping.pace(b, 1, tailRate, time.Duration(scaled(int(tailTime)))))
	run.offsetsOf(b, int64(tailed), 1)
	peak := peakRSS(b, run.cmd.Process.Pid)
	run.stop(b)
	r.add(b, figure{
		name: prefix + fmt.Sprintf("peak memory, tailing %d tx/s for %s", tailRate, tailTime), ours: sizeText(peak), target: "< 64 MiB", met: peak < tailMemory,
		value: peak / (1 << 20), unit: metric(prefix) + "tail-MiB",
	})

	run = c.start(b)
	before := peakRSS(b, run.cmd.Process.Pid)
	next, err := run.durable(0)
	if err != nil {
		b.Fatal(err)
	}
	giant(1_000_001, scaled(giantRows))
	run.awaitDurable(b, next+changelog.Offset(scaled(giantRows)))
	peak = peakRSS(b, run.cmd.Process.Pid)
	run.stop(b)
	r.add(b, figure{
		name: prefix + fmt.Sprintf("peak memory, a transaction of %s rows in flight", countText(float64(scaled(giantRows)))), ours: sizeText(peak),
		reference: sizeText(before) + " before", target: "< 256 MiB", met: peak < giantMemory, value: peak / (1 << 20), unit: metric(prefix) + "giant-MiB",
	})
}
