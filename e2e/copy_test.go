//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"

	"cdc/e2e/testservers"
)

// An application that wants a table for itself while the first copy runs waits
// for the copy as for any other reader: the two do not wait for each other, and
// the copy does not begin anew.
func TestG10CopyAndExclusiveLockDoNotBlockEachOther(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	c.appSQL(`CREATE TABLE large AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 1000000) i; ALTER TABLE large ADD PRIMARY KEY (id)`)
	conn, err := connect(t.Context(), c.appDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	p := c.start("--copy-readers", "1") // the small table comes last
	until(t, "the large table to be copied", func() bool {
		return p.ended() || c.ask(`SELECT count(*)::text FROM pg_stat_activity WHERE usename = $1 AND query LIKE 'COPY%large%'`, c.role) != "0"
	})
	// Two that wait for each other wait for ever.
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	if _, err := conn.Exec(ctx, `TRUNCATE orders`); err != nil {
		t.Fatal(err)
	}
	c.awaitStreaming(p)
	if strings.Contains(p.text(), "source lost") {
		t.Errorf("the copy began anew:\n%s", p.text())
	}
	c.awaitCurrent()
	c.verify()
}
