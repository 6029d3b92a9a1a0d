//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/e2e/workload"
)

const (
	// largeRows is the size of a table that takes many chunks.
	largeRows = 200_000
	// killsShort is how many kills a short run has.
	killsShort = 15
)

// largeTable makes a table that is copied in many chunks.
func (c *mysqlRig) largeTable(rows int) {
	c.t.Helper()
	c.appSQL(fmt.Sprintf(`CREATE TABLE large (id bigint PRIMARY KEY, v bigint, note varchar(400));
INSERT INTO large SELECT a.n * 1000 + b.n, 1, repeat(char(97 + b.n %% 26), 150) FROM numbers a CROSS JOIN numbers b WHERE a.n * 1000 + b.n < %d`, rows))
}

// Goal: a kill at any instant loses nothing, repeats nothing and cuts nothing in
// two; nor does it begin a copy anew that is under way.
//
// Method: 100 runs are killed at random instants under load, at first while a
// table is copied, then while it streams. The server compresses its binlog. In
// the end the log is judged.
func TestG1G3G4G5KillNineOfMySQL(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := newMySQLRig(t, testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f, Name: "kill " + string(f), CompressBinlog: true}))
		s := seed(t)
		random := seeded(s)
		w := c.prepareWorkload(workload.Options{Seed: s, Clients: 2, Pause: 15 * time.Millisecond, BigValues: 30_000})
		c.largeTable(largeRows)
		quiet := c.keepBusy(w)
		c.flags = []string{"--copy-rows-per-second", "40000"}
		for i := range sized(kills, killsShort) {
			p := c.start()
			c.awaitStreaming(p)
			life := lifeMin + time.Duration(random.Int64N(int64(lifeMax-lifeMin)))
			select {
			case <-time.After(life):
			case <-p.done:
				t.Fatalf("run %d ended by itself with code %d:\n%s", i, p.code(), p.text())
			}
			p.kill()
		}
		quiet()
		c.flags = nil
		c.catchUp()
		c.judge(w)
		c.equalNow(append(w.Tables(), "large"))
	})
}

// A copy that is killed after every chunk goes on behind the last one: each row
// is copied once.
func TestG3KilledCopyGoesOnBehindItsLastChunk(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := newMySQLRig(t, testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f, Name: "copies " + string(f)}))
		w := c.prepareWorkload(workload.Options{Seed: seed(t), Clients: 2, Pause: 20 * time.Millisecond, BigValues: 10_000, OnePhase: true})
		c.largeTable(largeRows)
		quiet := c.keepBusy(w)
		// Chunks are read faster than they can be told apart otherwise.
		c.flags = []string{"--copy-rows-per-second", "30000", "--copy-readers", "1"}
		chunks := 0
		for !c.copiedInLog("large") {
			p := c.start()
			until(t, "another chunk", func() bool { n := c.chunksOf("large"); return n > chunks || p.ended() })
			if p.ended() {
				t.Fatalf("cdc run ended with code %d:\n%s", p.code(), p.text())
			}
			p.kill()
			chunks = c.chunksOf("large")
		}
		quiet()
		c.catchUp()
		c.judge(w)
		if copies, chunks := c.copiesOf("large"); copies != 1 || chunks < 8 {
			t.Errorf("the table was copied %d times, in %d chunks", copies, chunks)
		}
		c.equalNow([]string{"large"})
	})
}

// copiedInLog reports whether the log holds the whole table.
func (c *capture) copiedInLog(table string) bool {
	c.t.Helper()
	if !c.hasLog() {
		return false
	}
	log := openLog(c.t, c.data())
	defer log.Close()
	for _, at := range log.Catalog().TablesAt(log.Bounds().Next) {
		if at.Table.Name == table {
			return at.Answerable()
		}
	}
	return false
}

func (c *capture) chunksOf(table string) int {
	_, chunks := c.copiesOf(table)
	return chunks
}

// copiesOf counts how often a copy of the table has begun, and the units that
// brought rows of it.
func (c *capture) copiesOf(table string) (copies, chunks int) {
	c.t.Helper()
	if !c.hasLog() {
		return 0, 0
	}
	log := openLog(c.t, c.data())
	defer log.Close()
	catalog := log.Catalog()
	err := units(log, func(u *changelog.Unit) error {
		return u.CatalogRecords(func(_ changelog.Offset, record []byte) error {
			state, ok := changelog.AsTableState(record)
			if !ok {
				return nil
			}
			at, ok := catalog.TableAt(state.Table, u.Meta.Commit())
			switch {
			case !ok || at.Table.Name != table:
			case state.Replaces():
				copies++
			case state.State == changelog.TableCopying || state.State == changelog.TableComplete:
				chunks++
			}
			return nil
		})
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return copies, chunks
}
