//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sinks/envelope"
	"cdc/sources/postgres"
)

func TestDebeziumPostgres(t *testing.T) {
	t.Parallel()
	c := newRig(t, testservers.Shared(t))
	r := &debeziumRecording{
		name: "debezium-postgres", database: c.database,
		variants: []debeziumVariant{
			{file: "decimal-string", name: "string", set: func(o *envelope.Options) { o.Decimals = envelope.DecimalString }},
			{file: "time-connect", name: "connect", set: func(o *envelope.Options) { o.Times = envelope.TimeConnect }},
			{file: "binary-base64", name: "base64", set: func(o *envelope.Options) { o.Binary = envelope.BinaryBase64 }},
			{file: "truncate", name: "truncate", set: func(o *envelope.Options) { o.Truncates = true }},
		},
		source:      envelope.Source{Name: "srv", Database: "rec", Connector: envelope.Postgres, Place: postgresPlace},
		differences: postgresDifferences,
	}

	r.play(c.capture, c.makeRecordedTables, c.recordedStep)
	r.compare(c.capture)
}

func postgresPlace(p changelog.Position) (envelope.Place, error) {
	at, err := postgres.ParsePosition(p)
	return envelope.Place{LSN: uint64(at.Commit)}, err
}

// recordedStep runs the SQL of a step. A table that is copied again because of it is copied before the next one: its rows belong to the
// step, and a table that is altered again meanwhile may be copied once more.
func (c *rig) recordedStep(sql string) {
	c.t.Helper()
	c.appSQL(sql)
	if !strings.HasPrefix(sql, "alter table") {
		return
	}
	c.awaitCurrent()
	until(c.t, "the table to be copied again", func() bool {
		tables := strings.ToLower(c.cdc("tables", "--format", "csv").out)
		return !strings.Contains(tables, "copying") && !strings.Contains(tables, "rewritten")
	})
}

// makeRecordedTables runs the SQL of the recording's setup, whose objects belong to the application here.
func (c *rig) makeRecordedTables(sql string) {
	c.t.Helper()
	sql = strings.ReplaceAll(sql, "OWNER TO postgres", "OWNER TO "+c.app)
	var kept []string
	for line := range strings.Lines(sql) {
		if !strings.Contains(line, "PUBLICATION pub_all") { // capture makes its own
			kept = append(kept, line)
		}
	}
	sql = strings.Join(kept, "")
	c.sql(sql)
	c.sql(`DO $$ DECLARE r record; BEGIN
	FOR r IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('public', 'sales') LOOP
		EXECUTE format('ALTER TABLE %s OWNER TO ` + c.app + `', r.name);
	END LOOP; END $$;
ALTER SCHEMA sales OWNER TO ` + c.app + `;
GRANT CREATE ON SCHEMA public TO ` + c.app + `;
GRANT USAGE ON SCHEMA sales TO ` + c.role + `;
GRANT SELECT ON ALL TABLES IN SCHEMA public, sales TO ` + c.role + `;`)
}
