//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/e2e/testservers"
)

func TestG2G3RowsReadAgainOfPostgres(t *testing.T) {
	t.Parallel()
	readAgain(smallRig(t, testservers.Shared(t)).capture)
}

func TestG2G3RowsReadAgainOfMariaDB(t *testing.T) {
	t.Parallel()
	readAgain(smallMySQLRig(t, testservers.SharedMySQL(t, testservers.FlavourMariaDB)).capture)
}

// Goal: rows that are read again while they change, and while the program is
// killed, leave the log's table as the source has it, no row comes twice, the
// table can be asked for throughout, and a predicate that is refused harms nothing.
func readAgain(c *capture) {
	t := c.t
	for range 15 { // three rows become 98,304
		c.appSQL(`INSERT INTO orders SELECT o.id + m.most, o.note FROM orders o, (SELECT max(id) AS most FROM orders) m`)
	}
	c.start("--until-current").wantExit(0)
	slow := []string{"--copy-rows-per-second", "10000", "--copy-readers", "1"}
	p := c.run(slow...)
	c.awaitCurrent()
	c.refused("id = 1) OR (1 = 1", "has not opened")
	c.refused("nothing = 1", "nothing")

	const where = "id % 2 = 0 AND note <> 'it''s new'"
	c.must("snapshot", "orders", "--where", where)
	changes, killed := 0, 0
	for ; c.rereading(where) || changes == 0; changes++ {
		c.appSQL(fmt.Sprintf(`UPDATE orders SET note = 'it''s new' WHERE id %% 1000 = %d; DELETE FROM orders WHERE id %% 5000 = %d`, changes%1000, 2*changes%5000))
		c.must("sql", "SELECT count(*) FROM orders")
		if chunks := c.readUnits(); chunks > killed && killed < 2 {
			p.kill()
			killed++
			p = c.run(slow...)
			until(t, "the status", func() bool { return c.status().Phase == "streaming" || p.ended() })
		}
	}
	if killed == 0 {
		t.Error("the program was not killed while it read rows again")
	}
	c.awaitCurrent()
	c.verify()
	if r := c.cdc("snapshot", "orders", "--where", "id < 100", "--wait"); r.code != 0 || !strings.Contains(r.out, "is complete") {
		t.Error(r)
	}
	c.verify()
	p.stop()
	c.eachReadOnce()
}

// refused asks for rows by a predicate that cannot be, and expects to hear why.
func (c *capture) refused(where, why string) {
	c.t.Helper()
	if r := c.cdc("snapshot", "orders", "--where", where, "--wait"); r.code == 0 || !strings.Contains(r.err, why) || strings.Count(r.err, "\n") > 3 {
		c.t.Error(r)
	}
	if s := c.status(); s.Phase != "streaming" || s.Error != "" || len(s.Stops) > 0 {
		c.t.Errorf("the capture is %+v", s)
	}
}

// rereading reports whether the rows of the predicate are still to be read.
func (c *capture) rereading(where string) bool {
	for _, r := range c.status().Rereads {
		if r.Where == where && r.State == "ended" {
			c.t.Fatalf("the reread ended: %s", r.Detail)
		}
		if r.Where == where {
			return true
		}
	}
	return false
}

// readUnits counts the chunks of rereads that the log holds.
func (c *capture) readUnits() (n int) {
	c.eachReread(func(map[string]bool) { n++ })
	return n
}

// eachReadOnce makes sure that each reread has come to its end and brought no row twice.
func (c *capture) eachReadOnce() {
	c.t.Helper()
	seen := map[string]bool{}
	c.eachReread(func(keys map[string]bool) {
		for key := range keys {
			if seen[key] {
				c.t.Errorf("%s was read twice", key)
			}
			seen[key] = true
		}
	})
	if len(seen) < 40_000 {
		c.t.Errorf("%d rows were read again", len(seen))
	}
}

// eachReread calls f with the rows of each chunk of a reread, named by the reread and their key.
func (c *capture) eachReread(f func(rows map[string]bool)) {
	c.t.Helper()
	log := openLog(c.t, c.data())
	defer log.Close()
	asked := log.Catalog().Rereads()
	if len(asked) == 0 {
		return
	}
	err := units(log, func(u *changelog.Unit) error {
		if u.Meta.Kind != changelog.UnitCopy || u.Meta.Commit() < asked[0].Asked.Offset {
			return nil
		}
		request := changelog.Offset(0)
		for _, r := range asked {
			if r.Asked.Offset < u.Meta.Commit() {
				request = r.Asked.Offset
			}
		}
		rows := map[string]bool{}
		for change := (changelog.Change{}); ; {
			ok, err := u.Next(&change)
			if err != nil || !ok {
				f(rows)
				return err
			}
			rows[fmt.Sprintf("row %d of the request at %d", change.After.Int(0), request)] = true
		}
	})
	if err != nil {
		c.t.Fatal(err)
	}
}
