//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"

	"cdc/e2e/testservers"
)

// A table that is rewritten is copied again while its application goes on
// writing; nothing that is written around the copy may be lost.
func TestG2RewrittenTableUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	c := newRig(t, testservers.Shared(t))
	c.appSQL(`CREATE TABLE busy (id bigserial PRIMARY KEY, n int, v int)`)
	p := c.run()
	stop := c.write(`INSERT INTO busy (n, v) VALUES (1, 1)`)
	for i, kind := range []string{"bigint", "numeric", "text"} {
		c.appSQL(`ALTER TABLE busy ALTER n TYPE ` + kind)
		until(t, "the table to be copied again", func() bool {
			return strings.Count(p.text(), `"table is copied"`) > i
		})
		behind := c.ask(`SELECT count(*)::text FROM busy`)
		until(t, "more rows", func() bool { return c.ask(`SELECT (count(*) > $1::text::int + 50)::text FROM busy`, behind) == "true" })
	}
	stop()
	c.awaitCurrent()
	c.wantSame("busy")
}

// A table that is dropped and made again under its name is another table: what
// the old one held is not shown as the new one's, and comes back by a copy.
func TestG2TableMadeAgainIsAnotherTable(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	c.run()
	c.awaitCurrent()
	old := c.momentNow("orders")
	c.appSQL(`INSERT INTO orders VALUES (4, 'd')`)
	c.awaitCurrent()
	c.appSQL(`DROP TABLE orders; CREATE TABLE orders (id int PRIMARY KEY, total numeric); INSERT INTO orders VALUES (1, 9.50)`)
	until(t, "the new table not to be answered by the old one", func() bool {
		r := c.cdc("at", "now", "orders", "--format", "csv")
		return r.code != 0 && strings.Contains(c.must("status", "--json"), "orders")
	})
	c.recopyTable("public.orders")
	until(t, "the new table to be answered", func() bool {
		r := c.cdc("at", "now", "orders", "--format", "csv")
		return r.code == 0 && strings.Contains(r.out, "9.50")
	})
	c.appSQL(`INSERT INTO orders VALUES (2, 1)`)
	c.awaitCurrent()
	c.verify()
	old.check(t, c.capture, []string{"orders"})
}

// write repeats a statement as the application until the returned function is
// called.
func (c *rig) write(statement string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		conn, err := connect(ctx, c.appDSN())
		for err == nil && ctx.Err() == nil {
			_, err = conn.Exec(context.Background(), statement)
		}
		if conn != nil {
			_ = conn.Close(context.Background()) // nothing is left to do with it
		}
		ended <- err
	}()
	done := false
	stop = func() {
		c.t.Helper()
		if done {
			return
		}
		done = true
		cancel()
		if err := <-ended; err != nil {
			c.t.Errorf("write: %v", err)
		}
	}
	c.t.Cleanup(stop)
	return stop
}

// wantSame compares a table now with the source, which must be quiet while a
// process captures it.
func (c *rig) wantSame(table string) {
	c.t.Helper()
	m := c.momentNow(table)
	c.awaitCurrent()
	m.check(c.t, c.capture, []string{table})
}

// momentNow reads tables at the source.
func (c *rig) momentNow(tables ...string) *moment {
	c.t.Helper()
	c.moments++
	m, err := c.takeMoment(c.t.Context(), c.moments, tables)
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}
