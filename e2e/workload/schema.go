//go:build e2e

package workload

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Sizes of the tables that a workload begins with.
const (
	accounts       = 100
	accountBalance = 1000
	keySpace       = 200 // ids that clients contend for
)

// Names that a judge has to know.
const (
	Bank        = "acct"
	BankTotal   = accounts * accountBalance
	Keyless     = "keyless"
	LedgerTable = "w_tx"

	evolving = "evolve"
)

// postgresTables are all tables of the workload on PostgreSQL.
var postgresTables = []string{
	"acct", "w_append", "toasty", Keyless, "parent", "child", "part", "types", "scratch", evolving, "bulk", LedgerTable,
}

// postgresSchema makes them. All but the ledger have the columns id and v, which
// are judged.
const postgresSchema = `
CREATE TABLE acct (id bigint PRIMARY KEY, v bigint NOT NULL);
CREATE TABLE w_append (id bigint PRIMARY KEY, list text, v bigint);
CREATE TABLE toasty (id bigint PRIMARY KEY, big text, big2 text, small int, v bigint);
ALTER TABLE toasty ALTER big2 SET STORAGE EXTERNAL;
CREATE TABLE keyless (id bigint, note text, v bigint);
ALTER TABLE keyless REPLICA IDENTITY FULL;
CREATE TABLE parent (id bigint PRIMARY KEY, note text, v bigint);
CREATE TABLE child (id bigint PRIMARY KEY, parent_id bigint NOT NULL REFERENCES parent ON DELETE CASCADE, v bigint);
CREATE INDEX ON child (parent_id);
CREATE TABLE part (id bigint, region text, v bigint, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_eu PARTITION OF part FOR VALUES IN ('eu');
CREATE TABLE part_us PARTITION OF part FOR VALUES IN ('us');
CREATE TABLE part_rest PARTITION OF part DEFAULT;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'so, "happy"');
CREATE TABLE types (
  id bigint PRIMARY KEY, v bigint,
  a_bool bool, a_int2 int2, a_int4 int4, a_int8 int8, a_float4 float4, a_float8 float8,
  a_numeric numeric, a_money numeric(12,2), a_text text, a_varchar varchar(40), a_char char(8), a_bytea bytea,
  a_date date, a_time time, a_timetz timetz, a_timestamp timestamp, a_timestamptz timestamptz, a_interval interval,
  a_uuid uuid, a_json json, a_jsonb jsonb, a_mood mood, a_bit bit(5), a_varbit bit varying, a_ints int[], a_range int4range,
  a_inet inet, a_point point
);
CREATE TABLE scratch (id bigint PRIMARY KEY, v bigint, note text);
CREATE TABLE evolve (id bigint PRIMARY KEY, v bigint, c0 int);
CREATE TABLE bulk (id bigint PRIMARY KEY, v bigint);
CREATE TABLE w_tx (id bigint PRIMARY KEY, client bigint NOT NULL, seq bigint NOT NULL, n_rows bigint NOT NULL, hash bigint NOT NULL);
`

// edges are rows of the table types after id and v.
var edges = []string{
	strings.Repeat("NULL, ", 27) + "NULL",
	`true, 32767, 2147483647, 9223372036854775807, 'Infinity', 'Infinity', 'Infinity', 9999999999.99, '', '', '', '',
     'infinity', '24:00:00', '23:59:59.999999+15:59:59', 'infinity', 'infinity', '178000000 years', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
     '{"a" : 1, "a":2}', '{"a": [1, null, "\u00e9"]}', 'so, "happy"', B'11111', B'1', '{1,NULL,3}', '[1,5)', '10.0.0.1/8', '(1.5,-2)'`,
	`false, -32768, -2147483648, -9223372036854775808, '-Infinity', '-Infinity', '-Infinity', -9999999999.99, E'line\nbreak, "quoted"', E'\ttab', 'pad', '\x00ff5c',
     '-infinity', '00:00:00', '00:00:00-15:59:59', '-infinity', '-infinity', '-178000000 years', '00000000-0000-0000-0000-000000000000',
     'null', 'null', 'sad', B'00000', B'', '{}', 'empty', '::1', '(0,0)'`,
	`true, 0, 0, 0, 'NaN', 'NaN', 'NaN', 0.00, E'\\N', E'a\\b', '  x', '\xdeadbeef',
     '0044-03-15 BC', '12:34:56.789', '12:00:00+05:45', '4713-01-01 00:00:00 BC', '4713-01-02 00:00:00+00 BC', '1 year 2 mons -3 days 04:05:06.7', gen_random_uuid(),
     '[1, 2.50, 1e3]', '{"n": 1e400, "m": 0.10}', 'ok', B'10101', B'1010101010101', '[0:1]={7,8}', '(,)', '192.168.1.0/24', '(1e300,1e-300)'`,
	`NULL, 1, -1, 1, 1e-45, 5e-324, 1e-1000, 0.01, repeat('€', 20), 'x', 'x', '\x',
     '5874897-12-31', '00:00:00.000001', '00:00:00.000001+00', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '-00:00:00.000001', gen_random_uuid(),
     '"\u0041"', '"x"', 'ok', B'00001', B'0', '{{1,2},{3,4}}', '[,7)', 'fe80::/10', '(-0,0)'`,
	`NULL, 1, -1, 1, 3.4028235e38, 1.7976931348623157e308, 123456789012345678901234567890.123456789012345678901234567890, 1.10, U&'\0041\030A', 'ä', 'ä', '\x0a0d',
     '1970-01-01', '01:02:03', '01:02:03+00', '2000-01-01 00:00:00', '2024-02-29 12:00:00.5+02', '0', gen_random_uuid(),
     '{}', '{}', 'ok', B'11011', B'11', '{-1}', '[-5,-1]', '0.0.0.0', '(3.141592653589793,2.5)'`,
	`NULL, 1, -1, 1, 0.1, 1e23, 1e20, 100.00, ' ', ' ', ' ', '\x20', '2000-02-29', '23:59:59', '23:59:59-03:30', '1999-12-31 23:59:59.1', '1900-01-01 00:00:00+00',
     '1 mon -1 day', gen_random_uuid(), '1.0', '1.0', 'sad', B'01010', B'00', '{2147483647}', '(1,3]', '255.255.255.255', '(0.1,0.2)'`,
}

// Setup makes the tables and their first rows.
func Setup(ctx context.Context, dsn string) error {
	if isMySQL(dsn) {
		return setupMySQL(ctx, dsn)
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect for setup: %w", err)
	}
	defer conn.Close(ctx)
	statements := []string{
		postgresSchema,
		fmt.Sprintf(`INSERT INTO acct SELECT i, %d FROM generate_series(1, %d) i`, accountBalance, accounts),
		fmt.Sprintf(`INSERT INTO toasty SELECT i, repeat(md5(i::text), 100), NULL, 0, 1 FROM generate_series(0, %d, 2) i`, keySpace-1),
		`INSERT INTO part SELECT i, (ARRAY['eu', 'us', 'ap'])[1 + i % 3], 1 FROM generate_series(0, 59) i`,
		`INSERT INTO evolve SELECT i, 1, i FROM generate_series(0, 49) i`,
		`INSERT INTO parent SELECT i, 'p', 1 FROM generate_series(0, 29) i`,
		`INSERT INTO child SELECT i * 10 + j, i, 1 FROM generate_series(0, 29) i, generate_series(0, 2) j`,
		`INSERT INTO keyless SELECT i % 10, 'n', 1 FROM generate_series(0, 29) i`,
	}
	for i, e := range edges {
		statements = append(statements, fmt.Sprintf(`INSERT INTO types VALUES (%d, 1, %s)`, i, e))
	}
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("set up workload: %.200s: %w", statement, err)
		}
	}
	return nil
}
