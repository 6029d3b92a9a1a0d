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
	"cdc/e2e/testservers"
)

// measureMySQLCopy copies a table for the first time, in chunks, beside as many
// clients that read a part of it each as the program uses readers.
func measureMySQLCopy(b *testing.B, e *mysqlBench) {
	database := e.server.Database(b)
	e.sql(b, database, fmt.Sprintf(`%s;
CREATE TABLE narrow (%s);
INSERT INTO narrow SELECT n, n %% 1000, FLOOR(RAND() * 1e6), SUBSTR(SHA2(n, 256), 1, 8) FROM (SELECT 1 + %s AS n FROM %s) q WHERE n <= %d;
ANALYZE TABLE narrow`, mysqlNumbersSQL, mysqlShapes[0].columns, mysqlMillions, mysqlMillionsFrom, copyRows()))
	role := e.role(b, database)
	for _, readers := range []int{1, 2} {
		c := mysqlCopying{e: e, database: database, role: role, readers: readers}
		var ours, reference []timedRun
		c.reference(b) // brings the table into memory for both
		for range benchRounds {
			reference = append(reference, c.reference(b))
			ours = append(ours, c.ours(b))
		}
		c.add(b, ours, reference)
	}
}

// mysqlCopying is one number of readers.
type mysqlCopying struct {
	e              *mysqlBench
	database, role string
	readers        int
}

func (c *mysqlCopying) add(b *testing.B, ours, reference []timedRun) {
	rate := func(t []timedRun) float64 { return float64(copyRows()) / medianOf(t, timedRun.all).Seconds() }
	ratio, least := rate(ours)/rate(reference), copyRatio
	if c.readers <= runtime.NumCPU()-1 {
		least = copyRatioWithSpareCore
	}
	unit := metric(c.e.prefix)
	c.e.add(b, figure{
		name: c.e.prefix + fmt.Sprintf("first copy with %d readers, beside as many SELECT", c.readers), ours: rateText(rate(ours), "rows"),
		reference: rateText(rate(reference), "rows"), ratio: ratio, target: fmt.Sprintf("ratio ≥ %.1f", least), met: ratio >= least,
		value: ratio, unit: fmt.Sprintf("%scopy-%d-ratio", unit, c.readers),
	})
	cpu := time.Duration(float64(medianOf(ours, timedRun.used)) / float64(copyRows()) * 1e6)
	c.e.add(b, figure{
		name: c.e.prefix + fmt.Sprintf("first copy with %d readers, processor time for 1 M rows", c.readers), ours: secondText(cpu),
		target: "≤ 1 s", met: cpu <= copyCPUPerMillion, value: cpu.Seconds(), unit: fmt.Sprintf("%scopy-%d-cpu-s/Mrow", unit, c.readers),
	})
}

// ours captures the table in a new folder. The whole of the process counts, as
// the reference's does.
func (c *mysqlCopying) ours(b *testing.B) timedRun {
	b.Helper()
	capture := c.e.capture(b, c.database, "narrow", c.role)
	t := runTogether(b, []*exec.Cmd{capture.command("--until-current", "--copy-readers", strconv.Itoa(c.readers))})
	if rows := countChanges(b, capture.data, changelog.UnitCopy); rows != copyRows() {
		b.Fatalf("the log holds %d rows of the copy, not %d", rows, copyRows())
	}
	return t
}

// reference reads as many parts of the table side by side, into nothing.
func (c *mysqlCopying) reference(b *testing.B) timedRun {
	b.Helper()
	program := map[testservers.Flavour]string{testservers.FlavourMySQL: "mysql", testservers.FlavourMariaDB: "mariadb"}[c.e.server.Flavour()]
	var cmds []*exec.Cmd
	for i := range c.readers {
		from, to := copyRows()*i/c.readers, copyRows()*(i+1)/c.readers
		query := fmt.Sprintf("SELECT * FROM narrow WHERE id > %d AND id <= %d", from, to)
		cmds = append(cmds, c.e.server.Command(b.Context(), c.role, program, "--quick", "--batch", "--skip-column-names", "-e", query, c.database))
	}
	return runTogether(b, cmds)
}

// runTogether runs programs side by side, with what they print going nowhere.
func runTogether(b *testing.B, cmds []*exec.Cmd) (t timedRun) {
	b.Helper()
	began := time.Now()
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
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	t.whole = time.Since(began)
	for _, cmd := range cmds {
		t.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return t
}
