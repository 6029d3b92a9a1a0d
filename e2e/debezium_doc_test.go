package e2e

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

const debeziumDoc = "../docs/debezium-compatibility.md"

var rewriteDoc = flag.Bool("rewrite", false, "write the documents that are made of the tests anew")

// debeziumSections are the differences by kind of source.
var debeziumSections = []struct {
	title string
	lines []debeziumDifference
}{
	{"PostgreSQL", postgresDifferences},
	{"MySQL and MariaDB", binlogDifferences},
	{"MySQL", mysqlDifferences},
	{"MariaDB", mariadbDifferences},
}

func TestDebeziumCompatibilityIsDocumented(t *testing.T) {
	want := debeziumCompatibility()
	if *rewriteDoc {
		if err := os.WriteFile(debeziumDoc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(debeziumDoc)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the tables of differences say; run: go test ./e2e -run %s -rewrite", debeziumDoc, t.Name())
	}
}

func debeziumCompatibility() string {
	var b strings.Builder
	b.WriteString(`# Where messages differ from Debezium's

Topics, keys, values, headers and schemas are those of Debezium 3.5; 3.6 adds the optional fields ` + "`origin`" + ` and ` + "`origin_lsn`" + ` to PostgreSQL's
` + "`source`" + `, which are not here. What differs on purpose is listed here. The list is the table of the
test that compares our messages with those that Debezium recorded for the same SQL (` + "`e2e/debezium_*_test.go`" + `): what is not in it
fails that test, and so does a line that explains nothing.

The rule: where Debezium loses or changes a value although the type that it publishes could hold it, ours is right. Strict mode does as
Debezium does, for readers that depend on it, where the last column says so.
`)
	for _, section := range debeziumSections {
		fmt.Fprintf(&b, "\n## %s\n\n| | Debezium | here | strict |\n| --- | --- | --- | --- |\n", section.title)
		for _, d := range section.lines {
			strict := "no"
			if d.Strict {
				strict = "yes"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", d.Name, d.Debezium, d.Ours, strict)
		}
	}
	b.WriteString(`
## What no recording shows

- The envelope's own ` + "`ts_ms`, `ts_us` and `ts_ns`" + ` are the log's clock after the transaction, which is the source's time, and not the
  time at which the message was made: the same change is the same message, however often it is sent. Lag is seen in the metrics.
- ` + "`source.lsn`" + ` is the LSN of the commit in all changes of a transaction, and ` + "`source.sequence`" + ` has it twice. The order within a
  transaction is ` + "`transaction.total_order`" + `.
- ` + "`source.file` and `source.pos`" + ` are where the transaction ends in the binlog, and ` + "`source.row`" + ` is the change's place in it: together
  they name a change, and grow as it does. ` + "`source.thread` and `source.query`" + ` are null. A ` + "`gtid`" + ` that the log cannot tell for sure, because
  transactions of two servers have the same number, is null.
- A ` + "`BIGINT UNSIGNED`" + ` from 2^63 on is negative in the mode ` + "`long`" + `, as with Debezium: the type has no such numbers. All stay different, and
  the mode ` + "`precise`" + ` has them right.
- A ` + "`TIME`" + ` that is none of a day is null in the modes ` + "`connect` and `isostring`" + `, as with Debezium, and stops the sink where null cannot stand.
- A numeric that is NaN or infinite, in a column that is not null, is a named stop while decimals are published precisely: no type can
  hold it. In a column that may be null it is null, as in Debezium.
- Two tables whose names give one topic, such as ` + "`a b` and `a_b`" + `, are a named stop. Debezium mixes their rows.
- ` + "`time.precision.mode=isostring`, `decimal.handling.mode=double`, `binary.handling.mode=hex` and `base64-url-safe`" + ` follow Debezium's
  documentation.
`)
	return b.String()
}
