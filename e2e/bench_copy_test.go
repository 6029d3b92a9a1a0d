//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"cdc/changelog"
)

// copyRows is how many narrow rows are copied.
func copyRows() int { return scaled(2_000_000) }

// Budgets of the first copy: beside as many plain COPY, and in processor time.
const (
	copyRatioWithSpareCore = 0.9
	copyRatio              = 0.7
	copyCPUPerMillion      = time.Second
)

// measureCopy copies a table for the first time, beside as many plain COPY of
// parts of it as the program uses readers.
func measureCopy(b *testing.B, e *bench) {
	database := e.pg.Database(b)
	e.sql(b, database, fmt.Sprintf(`
CREATE TABLE narrow (id bigint PRIMARY KEY, a integer NOT NULL, b integer NOT NULL, note text);
INSERT INTO narrow SELECT n, n %% 1000, (random() * 1e6)::int, substr(md5(n::text), 1, 8) FROM generate_series(1, %d) n;
VACUUM ANALYZE narrow;
CHECKPOINT`, copyRows()))
	for _, readers := range []int{1, 2} {
		c := copying{e: e, database: database, readers: readers}
		var ours, reference []timedRun
		c.reference(b) // brings the table into memory for both
		for range benchRounds {
			reference = append(reference, c.reference(b))
			ours = append(ours, c.ours(b))
		}
		c.add(b, ours, reference)
	}
}

// copying is one number of readers.
type copying struct {
	e        *bench
	database string
	readers  int
}

func (c *copying) add(b *testing.B, ours, reference []timedRun) {
	rate := func(t []timedRun) float64 { return float64(copyRows()) / medianOf(t, timedRun.streamed).Seconds() }
	ratio, least := rate(ours)/rate(reference), copyRatio
	if c.readers <= runtime.NumCPU()-1 {
		least = copyRatioWithSpareCore
	}
	c.e.add(b, figure{
		name: fmt.Sprintf("first copy with %d readers, beside as many COPY", c.readers), ours: rateText(rate(ours), "rows"),
		reference: rateText(rate(reference), "rows"), ratio: ratio, target: fmt.Sprintf("ratio ≥ %.1f", least), met: ratio >= least,
		value: ratio, unit: fmt.Sprintf("copy-%d-ratio", c.readers),
	})
	cpu := time.Duration(float64(medianOf(ours, timedRun.used)) / float64(copyRows()) * 1e6)
	c.e.add(b, figure{
		name: fmt.Sprintf("first copy with %d readers, processor time for 1 M rows", c.readers), ours: secondText(cpu),
		target: "≤ 1 s", met: cpu <= copyCPUPerMillion, value: cpu.Seconds(), unit: fmt.Sprintf("copy-%d-cpu-s/Mrow", c.readers),
	})
}

// ours captures the table in a new folder.
func (c *copying) ours(b *testing.B) timedRun {
	b.Helper()
	capture := c.e.capture(b, c.database, "narrow")
	cmd := capture.command("--until-current", "--copy-readers", strconv.Itoa(c.readers))
	http := capture.client()
	defer http.CloseIdleConnections()
	durable, last := make(chan time.Time, 1), changelog.Offset(copyRows())
	t := c.time(b, []*exec.Cmd{cmd}, func() {
		// The copy is one unit, so the offset passes all its rows at once. When
		// the program was quicker to end than to answer, its end is the time.
		next, err := durableOf(http, last)
		for err == nil && next <= last {
			next, err = durableOf(http, last)
		}
		durable <- time.Now()
	})
	t.end = <-durable
	c.check(b, capture)
	c.e.dropSlots(b, c.database)
	return t.run()
}

// check makes sure that all rows are there.
func (c *copying) check(b *testing.B, capture *benchCapture) {
	b.Helper()
	if rows := countChanges(b, capture.data, changelog.UnitCopy); rows != copyRows() {
		b.Fatalf("the log holds %d rows of the copy, not %d", rows, copyRows())
	}
}

// reference copies as many parts of the table side by side, into nothing.
func (c *copying) reference(b *testing.B) timedRun {
	b.Helper()
	pages, err := strconv.Atoi(c.e.sql(b, c.database, "SELECT relpages FROM pg_class WHERE oid = 'narrow'::regclass"))
	if err != nil {
		b.Fatal(err)
	}
	var cmds []*exec.Cmd
	for i := range c.readers {
		from, to := pages*i/c.readers, pages*(i+1)/c.readers
		query := "COPY narrow TO STDOUT"
		if c.readers > 1 {
			query = fmt.Sprintf("COPY (SELECT * FROM narrow WHERE ctid >= '(%d,0)' AND ctid < '(%d,0)') TO STDOUT", from, to)
		}
		cmds = append(cmds, c.e.pg.Command(b.Context(), c.e.super, c.database, "psql", "-X", "-q", "-o", "/dev/null", "-c", query))
	}
	t := c.time(b, cmds, func() {})
	return t.run()
}

// copyTimes are the moments of one copy.
type copyTimes struct {
	began, copied, end time.Time // copied: the first COPY was seen
	cpu                time.Duration
}

func (t copyTimes) run() timedRun {
	return timedRun{streaming: t.end.Sub(t.copied), whole: t.end.Sub(t.began), cpu: t.cpu}
}

// time runs programs that copy, from the moment when the server is seen to do
// it; copying is called at that moment and runs beside them.
func (c *copying) time(b *testing.B, cmds []*exec.Cmd, copying func()) (t copyTimes) {
	b.Helper()
	watch := c.e.connect(b, c.database)
	t.began = time.Now()
	var group errgroup.Group
	for _, cmd := range cmds {
		group.Go(func() error {
			var out bytes.Buffer
			cmd.Stderr = &out
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, out.Bytes())
			}
			return nil
		})
	}
	awaitFor(b, "the server copies", captureLimit, func() bool {
		var active bool
		row := watch.QueryRow(b.Context(), "SELECT count(*) > 0 FROM pg_stat_progress_copy WHERE datname = current_database()")
		return row.Scan(&active) == nil && active
	})
	t.copied = time.Now()
	go copying()
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	t.end = time.Now()
	for _, cmd := range cmds {
		t.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return t
}
