//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cdc/e2e/testservers"
	"cdc/e2e/workload"
)

const (
	mixedMoments = 20
	// mixedPause is between two moments.
	mixedPause = 1500 * time.Millisecond
	// bulkAt is the moment beside which the giant transaction begins: late, as
	// every later answer costs more.
	bulkAt   = 16
	bulkRows = 1_000_000
	// tablesAtOnce are asked for as each moment is taken, tablesAgain when it is
	// asked for again.
	tablesAtOnce = 6
	tablesAgain  = 2
)

// Goal: after a workload of every kind all tables equal the source's, and at
// any moment of it the tables are what the source's were.
//
// Method: capture begins while the workload runs. At 20 moments under load the
// source's own rows are read at an exported snapshot and compared with 'cdc at'
// at the snapshot's place: at once, after a restart, and from the folder with
// no process running.
func TestG2G4G5G6MixedWorkloadVerifyEqual(t *testing.T) {
	c := newRig(t, testservers.Shared(t))
	s := seed(t)
	w := c.prepareWorkload(workload.Options{Seed: s, Pause: 8 * time.Millisecond, DDLEvery: 2 * time.Second, BigValues: 100_000})
	c.hostileSettings()
	bench := c.pgbench()
	quiet := c.keepBusy(w)
	p := c.run()
	random := seeded(s)
	moments, bulk := c.takeMoments(w, momentPlan{take: c.takeMoment, tables: w.Tables(), random: random})
	if err := <-bulk; err != nil {
		t.Fatalf("giant transaction: %v", err)
	}
	if err := bench(); err != nil {
		t.Errorf("pgbench: %v", err)
	}
	quiet()
	c.awaitCurrent()
	c.verify()
	c.judge(w)

	p.stop()
	p = c.run()
	for _, m := range moments {
		m.check(t, c.capture, someTables(w, random, tablesAgain))
	}
	p.stop()
	for _, m := range moments {
		m.check(t, c.capture, someTables(w, random, tablesAgain))
	}
}

// hostileSettings gives the capturing role settings under which values print in
// other ways, and questions are cut short.
func (c *rig) hostileSettings() {
	c.t.Helper()
	for _, setting := range []string{
		"datestyle = 'German, DMY'", "intervalstyle = 'sql_standard'", "bytea_output = 'escape'", "extra_float_digits = -15",
		"timezone = 'Asia/Kathmandu'", "xmlbinary = 'hex'", "search_path = 'nowhere'", "statement_timeout = '200ms'",
		"lock_timeout = '50ms'", "quote_all_identifiers = on", "default_transaction_isolation = 'serializable'",
	} {
		c.sql("ALTER ROLE " + c.role + " SET " + setting)
	}
}

// pgbench runs beside the workload, at a modest rate. The returned function
// waits for its end.
func (c *rig) pgbench() (wait func() error) {
	c.t.Helper()
	ctx := c.t.Context()
	prepare := c.server.Command(ctx, c.app, c.database, "pgbench", "--initialize", "--quiet")
	if out, err := prepare.CombinedOutput(); err != nil {
		c.t.Fatalf("prepare pgbench: %v\n%s", err, out)
	}
	run := c.server.Command(ctx, c.app, c.database, "pgbench", "--client=2", "--rate=50", "--time=30", "--no-vacuum")
	var out strings.Builder
	run.Stdout, run.Stderr = &out, &out
	if err := run.Start(); err != nil {
		c.t.Fatal(err)
	}
	return func() error {
		if err := run.Wait(); err != nil {
			return fmt.Errorf("%w\n%s", err, out.String())
		}
		return nil
	}
}

func someTables(w *workload.Workload, random *rand.Rand, n int) []string {
	all := w.Tables()
	some := make([]string, n)
	for i, table := range random.Perm(len(all))[:n] {
		some[i] = all[table]
	}
	return some
}

// momentPlan says how moments are taken, and of which tables.
type momentPlan struct {
	take   func(ctx context.Context, number int, tables []string) (*moment, error)
	tables []string
	random *rand.Rand
}

// takeMoments takes moments under load and checks each; the giant transaction
// runs beside them.
func (c *capture) takeMoments(w *workload.Workload, plan momentPlan) (moments []*moment, bulk chan error) {
	c.t.Helper()
	bulk = make(chan error, 1)
	tick := time.NewTicker(mixedPause)
	defer tick.Stop()
	for i := range mixedMoments {
		<-tick.C
		if i == bulkAt {
			go func() { bulk <- w.Bulk(context.Background(), sized(bulkRows, 50_000)) }()
		}
		var m *moment
		err := w.Steady(func() (err error) {
			c.moments++
			m, err = plan.take(c.t.Context(), c.moments, plan.tables)
			return err
		})
		if err != nil {
			c.t.Fatalf("take moment %d: %v", i, err)
		}
		moments = append(moments, m)
		m.check(c.t, c, someTables(w, plan.random, tablesAtOnce))
	}
	return moments, bulk
}

// sized is a size, or the smaller one of a short run.
func sized(full, short int) int {
	if testing.Short() {
		return short
	}
	return full
}
