//go:build e2e

package e2e

import (
	"slices"
	"testing"
	"time"

	"cdc/e2e/testservers"
	"cdc/e2e/workload"
)

// Goal: after a workload of every kind all tables equal the source's, and at
// any moment of it the tables are what the source's were.
//
// Method: as for PostgreSQL; a moment is a set of GTIDs that the server names
// for a snapshot of its own. Tables are copied in chunks while the workload
// runs.
func TestG2G4G5G6MixedWorkloadOfMySQLVerifyEqual(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := newMySQLRig(t, testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f, Name: "mixed " + string(f)}))
		s := seed(t)
		w := c.prepareWorkload(workload.Options{Seed: s, Clients: 3, Pause: 20 * time.Millisecond, DDLEvery: 2 * time.Second, BigValues: 100_000})
		quiet := c.keepBusy(w)
		p := c.run()
		random := seeded(s)
		// A snapshot shows a table without transactions as it is by then.
		tables := slices.DeleteFunc(slices.Clone(w.Tables()), func(table string) bool { return table == workload.Untransacted })
		until(t, "the tables to be copied", func() bool {
			status := c.status()
			return status.copied() || p.ended()
		})
		moments, bulk := c.takeMoments(w, momentPlan{take: c.takeMoment, tables: tables, random: random})
		if err := <-bulk; err != nil {
			t.Fatalf("giant transaction: %v", err)
		}
		quiet()
		c.awaitCurrent()
		c.verify()
		c.judge(w)
		c.equalNow(w.Tables())

		p.stop()
		p = c.run()
		for _, m := range moments {
			m.check(t, c.capture, someTables(w, random, tablesAgain))
		}
		p.stop()
		for _, m := range moments {
			m.check(t, c.capture, someTables(w, random, tablesAgain))
		}
	})
}

// equalNow compares the tables of a quiet source with the program's answers.
func (c *mysqlRig) equalNow(tables []string) {
	c.t.Helper()
	c.moments++
	m, err := c.takeMoment(c.t.Context(), c.moments, tables)
	if err != nil {
		c.t.Fatal(err)
	}
	m.check(c.t, c.capture, tables)
}
