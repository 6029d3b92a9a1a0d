//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	"cdc/changelog"
)

// measureMySQLSize compares the sealed log with the binary log that it came
// from.
func measureMySQLSize(b *testing.B, e *mysqlBench) {
	database := e.server.Database(b)
	e.sql(b, database, mysqlNumbersSQL+";"+mysqlOrdersSQL)
	c := e.capture(b, database, "orders", e.role(b, database))
	c.untilCurrent(b)
	before, held := sealedBytes(b, c.data), 0
	for _, kind := range []struct {
		name, unit, call string
		changes          int
	}{
		{"single-row transactions", "single", fmt.Sprintf("CALL change_one_by_one(%d)", scaled(sizeSingles)), scaled(sizeSingles)},
		{
			fmt.Sprintf("transactions of %d changes", changesInTwenty), "twenty",
			fmt.Sprintf("CALL change_in_twenties(%d)", scaled(sizeTwenties)), scaled(sizeTwenties) * changesInTwenty,
		},
	} {
		begin := e.rotate(b)
		e.sql(b, database, kind.call)
		binlog := e.binlogBytes(b, begin)
		c.untilCurrent(b)
		if held += kind.changes; countChanges(b, c.data, changelog.UnitTx) != held {
			b.Fatalf("the log does not hold the %d changes", held)
		}
		after := sealedBytes(b, c.data)
		ratio := (after - before) / binlog
		e.add(b, figure{
			name: e.prefix + "sealed log a byte of binlog, " + kind.name, ours: sizeText(after - before), reference: sizeText(binlog) + " of binlog", ratio: ratio,
			target: "ratio ≤ 0.35", met: ratio <= sizeTarget, value: ratio, unit: metric(e.prefix) + kind.unit + "-log/binlog",
		})
		before = after
	}
}
