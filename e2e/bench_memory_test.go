//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"
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

// measureMemory measures the most memory that the process has had resident
// since it started: once while it tails, once while a giant transaction passes.
func measureMemory(b *testing.B, e *bench) {
	database := e.pg.Database(b)
	e.sql(b, database, pingsSQL)
	c := e.capture(b, database, "pings")
	app := e.connect(b, database)

	run := c.start(b)
	app.pace(b, 1, tailRate, time.Duration(scaled(int(tailTime))))
	run.awaitLSN(b, e.walEnd(b))
	peak := peakRSS(b, run.cmd.Process.Pid)
	run.stop(b)
	e.add(b, figure{
		name: fmt.Sprintf("peak memory, tailing %d tx/s for %s", tailRate, tailTime), ours: sizeText(peak), target: "< 64 MiB", met: peak < tailMemory,
		value: peak / (1 << 20), unit: "tail-MiB",
	})

	run = c.start(b)
	before := peakRSS(b, run.cmd.Process.Pid)
	e.sql(b, database, fmt.Sprintf("INSERT INTO pings SELECT n, 'as long as a short note is' FROM generate_series(1000001, %d) n", 1_000_000+scaled(giantRows)))
	run.awaitLSN(b, e.walEnd(b))
	peak = peakRSS(b, run.cmd.Process.Pid)
	run.stop(b)
	e.add(b, figure{
		name: fmt.Sprintf("peak memory, a transaction of %s rows in flight", countText(float64(scaled(giantRows)))), ours: sizeText(peak),
		reference: sizeText(before) + " before", target: "< 256 MiB", met: peak < giantMemory, value: peak / (1 << 20), unit: "giant-MiB",
	})
	e.dropSlots(b, database)
}
