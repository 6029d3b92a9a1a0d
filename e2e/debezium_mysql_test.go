//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sinks/envelope"
	"cdc/sources/mysql"
)

func TestDebeziumMySQL(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := debeziumMySQLRig{newMySQLRig(t, testservers.SharedMySQL(t, f))}
		c.origin = c
		connector, differences := envelope.MySQL, mysqlDifferences
		if f == testservers.FlavourMariaDB {
			connector, differences = envelope.MariaDB, mariadbDifferences
		}
		r := mysqlRecording(connector, c.database, differences)
		r.play(c.capture, func(sql string) { c.sql(sql) }, c.step)
		r.compare(c.capture)
	})
}

// mysqlRecording is that of a connector, played in a database.
func mysqlRecording(connector envelope.Connector, database string, differences []debeziumDifference) *debeziumRecording {
	return &debeziumRecording{
		name: "debezium-" + string(connector), database: database,
		variants: []debeziumVariant{
			{file: "decimal-string", name: "string", set: func(o *envelope.Options) { o.Decimals = envelope.DecimalString }},
			{file: "time-connect", name: "connect", set: func(o *envelope.Options) { o.Times = envelope.TimeConnect }},
			{file: "truncate-unsigned", name: "truncate", set: func(o *envelope.Options) {
				o.Truncates, o.Unsigned = true, envelope.UnsignedPrecise
			}},
		},
		source:      envelope.Source{Name: "srv", Connector: connector, Place: mysqlPlace},
		differences: slices.Concat(binlogDifferences, differences),
	}
}

// debeziumMySQLRig is read when its tables have been copied, too: the recording's copy was made before the first step.
type debeziumMySQLRig struct{ *mysqlRig }

func (c debeziumMySQLRig) read() bool {
	status := c.status()
	return status.streams() && status.copied()
}

// step runs the SQL of a step. A table that is copied again because of it is copied before the next one.
func (c debeziumMySQLRig) step(sql string) {
	c.t.Helper()
	c.sql(sql)
	if strings.HasPrefix(sql, "alter table") {
		c.awaitCurrent()
	}
}

func mysqlPlace(p changelog.Position) (envelope.Place, error) {
	at, err := mysql.ParsePosition(p)
	if err != nil {
		return envelope.Place{}, err
	}
	place := envelope.Place{File: at.File, Offset: at.Offset}
	if at.Flavour != mysql.FlavourFile {
		place.GTID = at.String()
	}
	return place, nil
}
