//go:build e2e

package workload

import (
	"context"
	"fmt"
	"strings"
)

// mysqlTables are all tables of the workload on MySQL and MariaDB.
var mysqlTables = []string{
	"acct", "w_append", "toasty", "uniq", "parent", "child", "part", "types", "scratch", evolving, "redefined", "plain", "bulk", LedgerTable,
}

// mysqlUnjudged are changed outside the transactions that have ledger entries.
var mysqlUnjudged = []string{"redefined", "redefined_new", "redefined_old", Untransacted, "numbers"}

// Untransacted is a table whose engine knows no transactions: a snapshot shows
// it as it is.
const Untransacted = "plain"

const mysqlSchema = `
CREATE TABLE numbers (n int PRIMARY KEY);
CREATE TABLE acct (id bigint PRIMARY KEY, v bigint NOT NULL);
CREATE TABLE w_append (id bigint PRIMARY KEY, list text, v bigint);
CREATE TABLE toasty (id bigint PRIMARY KEY, big longtext, big2 longblob, small int, v bigint);
CREATE TABLE uniq (note varchar(20), id bigint NOT NULL, v bigint, UNIQUE KEY by_id (id));
CREATE TABLE parent (id bigint PRIMARY KEY, note text, v bigint);
CREATE TABLE child (id bigint PRIMARY KEY, parent_id bigint NOT NULL, v bigint, FOREIGN KEY (parent_id) REFERENCES parent (id));
CREATE TABLE part (id bigint, region varchar(2), v bigint, PRIMARY KEY (id, region))
  PARTITION BY LIST COLUMNS (region) (PARTITION part_eu VALUES IN ('eu'), PARTITION part_us VALUES IN ('us'), PARTITION part_rest VALUES IN ('ap', 'xx'));
CREATE TABLE types (
  id bigint PRIMARY KEY, v bigint,
  a_tiny tinyint, a_small smallint unsigned, a_medium mediumint, a_int int, a_big bigint unsigned, a_float float, a_double double, a_decimal decimal(40,10),
  a_bit bit(9), a_year year, a_char char(8), a_varchar varchar(40), a_latin varchar(40) CHARACTER SET latin1, a_binary binary(6), a_varbinary varbinary(40),
  a_text text, a_blob blob, a_date date, a_time time(3), a_datetime datetime(6), a_plain datetime, a_timestamp timestamp(6) NULL, a_enum enum('sad', 'ok', 'so, "happy"'),
  a_set set('a', 'b', 'c'), a_json json
);
CREATE TABLE scratch (id bigint PRIMARY KEY, v bigint, note text);
CREATE TABLE evolve (id bigint PRIMARY KEY, v bigint, c0 int);
CREATE TABLE redefined (id bigint PRIMARY KEY, v bigint);
CREATE TABLE plain (id bigint PRIMARY KEY, v bigint) ENGINE = MyISAM;
CREATE TABLE bulk (id bigint PRIMARY KEY, v bigint);
CREATE TABLE w_tx (id bigint PRIMARY KEY, client bigint NOT NULL, seq bigint NOT NULL, n_rows bigint NOT NULL, hash bigint NOT NULL);
`

// mysqlEdges are rows of the table types after id and v.
var mysqlEdges = []string{
	strings.Repeat("NULL, ", 24) + "NULL",
	`127, 65535, 8388607, 2147483647, 18446744073709551615, 0.5, 0.1, 999999999999999999999999999999.9999999999,
     b'111111111', 2155, 'pad', 'it''s', 'ä', 'ab', x'00ff5c', '', '', '9999-12-31', '838:59:59', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59',
     '2038-01-19 03:14:07.999999', 'so, "happy"', 'a,b,c', '{"a": [1, null, "é"], "b": 1.5}'`,
	`-128, 0, -8388608, -2147483648, 0, -0.25, -1.5, -999999999999999999999999999999.9999999999,
     b'0', 1901, '', '', '', x'000102030405', x'', 'line\nbreak, "quoted"', x'000a0d', '0000-00-00', '-838:59:59', '0000-00-00 00:00:00', '0000-00-00 00:00:00',
     '1970-01-01 00:00:01', 'sad', '', '{}'`,
	`0, 1, -1, 1, 9223372036854775808, 0, 0, 0,
     b'101010101', 0, '€', '\t', 'x', x'', x'20', '\\N', x'deadbeef', '2010-00-00', '00:00:00.001', '2024-02-29 12:00:00.5', '2010-01-00 01:02:03',
     '2024-02-29 12:00:00.120000', 'ok', 'b', '{"n": 12345678901234567890, "s": "\\u0041"}'`,
	`1, 256, 255, -2, 4294967296, 1024, 123456.75, 0.0000000001,
     b'1', 2024, 'a b', '😀', '\\', x'0000', x'00', '  x  ', x'ff', '1000-01-01', '12:34:56.789', '1000-01-01 00:00:00.000001', '1999-12-31 23:59:59',
     NULL, 'ok', 'a,c', '[]'`,
}

func setupMySQL(ctx context.Context, dsn string) error {
	conn, err := connectMySQL(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect for setup: %w", err)
	}
	defer conn.Close()
	var digits []string
	for n := range 1000 {
		digits = append(digits, fmt.Sprintf("(%d)", n))
	}
	statements := []string{
		mysqlSchema,
		"INSERT INTO numbers VALUES " + strings.Join(digits, ","),
		fmt.Sprintf("INSERT INTO acct SELECT n + 1, %d FROM numbers WHERE n < %d", accountBalance, accounts),
		fmt.Sprintf("INSERT INTO toasty SELECT n, repeat(hex(n * 7919 + 100000), 200), NULL, 0, 1 FROM numbers WHERE n < %d AND n %% 2 = 0", keySpace),
		"INSERT INTO uniq SELECT 'n', n, 1 FROM numbers WHERE n < 50",
		"INSERT INTO part SELECT n, elt(1 + n % 3, 'eu', 'us', 'ap'), 1 FROM numbers WHERE n < 60",
		"INSERT INTO evolve SELECT n, 1, n FROM numbers WHERE n < 50",
		"INSERT INTO redefined SELECT n, 1 FROM numbers WHERE n < 50",
		"INSERT INTO plain SELECT n, 1 FROM numbers WHERE n < 50",
		"INSERT INTO parent SELECT n, 'p', 1 FROM numbers WHERE n < 30",
		"INSERT INTO child SELECT a.n * 10 + b.n, a.n, 1 FROM numbers a CROSS JOIN numbers b WHERE a.n < 30 AND b.n < 3",
	}
	for i, e := range mysqlEdges {
		statements = append(statements, fmt.Sprintf("INSERT INTO types VALUES (%d, 1, %s)", i, e))
	}
	for _, statement := range statements {
		if _, err := conn.SQL(ctx, statement); err != nil {
			return fmt.Errorf("set up workload: %.200s: %w", statement, err)
		}
	}
	return nil
}
