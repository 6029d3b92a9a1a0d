//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cdc/e2e/checker"
	"cdc/e2e/testservers"
)

// takeMoment reads the tables at a place of the binlog that the server itself
// names: MariaDB says where a consistent snapshot stands; MySQL is kept from
// committing for as long as it takes to begin one.
func (c *mysqlRig) takeMoment(ctx context.Context, number int, tables []string) (*moment, error) {
	conn, err := c.server.Open(ctx, c.server.Superuser(), c.database)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	gtids, err := c.beginSnapshot(ctx, conn)
	if err != nil {
		return nil, err
	}
	m := &moment{number: number, at: "GTID " + gtids, want: map[string]checker.Digest{}, dir: filepath.Join(c.dir, fmt.Sprintf("moment-%02d", number))}
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		return nil, err
	}
	for _, table := range tables {
		if m.want[table], err = c.copyTable(ctx, conn, table, m.file(table)); err != nil {
			return nil, fmt.Errorf("read %s at %s: %w", table, m.at, err)
		}
	}
	return m, nil
}

// beginSnapshot begins a transaction that sees exactly what the GTIDs stand for.
func (c *mysqlRig) beginSnapshot(ctx context.Context, conn *testservers.MySQLSession) (gtids string, err error) {
	const begin = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET SESSION time_zone = '+00:00'; START TRANSACTION WITH CONSISTENT SNAPSHOT"
	if c.server.Flavour() == testservers.FlavourMySQL {
		return conn.SQL(ctx, "FLUSH TABLES WITH READ LOCK; "+begin+"; SELECT replace(@@global.gtid_executed, '\n', ''); UNLOCK TABLES")
	}
	out, err := conn.SQL(ctx, begin+"; SHOW STATUS LIKE 'Binlog_snapshot_file'; SHOW STATUS LIKE 'Binlog_snapshot_position'")
	if err != nil {
		return "", err
	}
	file, position, _ := strings.Cut(out, "\n")
	_, file, _ = strings.Cut(file, "|")
	_, position, _ = strings.Cut(position, "|")
	return conn.SQL(ctx, "SELECT BINLOG_GTID_POS('"+file+"', "+position+")")
}

// rowsAtOnce of a table are read by one query.
const rowsAtOnce = 50_000

// copyTable writes a table to a file as CSV, in the program's own words.
func (c *mysqlRig) copyTable(ctx context.Context, conn *testservers.MySQLSession, table, path string) (d checker.Digest, err error) {
	names, texts, err := c.columnTexts(ctx, conn, table)
	if err != nil {
		return d, err
	}
	f, err := os.Create(path)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriter(f)
	fmt.Fprintln(out, strings.Join(names, ","))
	// Every table has an id that is unique.
	for last := ""; ; {
		where := ""
		if last != "" {
			where = " WHERE id > " + last
		}
		n := 0
		err := conn.Each(ctx, fmt.Sprintf("SELECT %s, id FROM %s%s ORDER BY id LIMIT %d", strings.Join(texts, ", "), table, where, rowsAtOnce), func(row [][]byte) {
			n, last = n+1, string(row[len(row)-1])
			writeCSV(out, row[:len(row)-1])
		})
		if err != nil {
			return d, err
		}
		if n < rowsAtOnce {
			break
		}
	}
	if err := out.Flush(); err != nil {
		return d, err
	}
	if _, err := f.Seek(0, 0); err != nil {
		return d, err
	}
	return checker.DigestCSV(f)
}

// writeCSV writes a record in which null is an empty cell without quotes.
func writeCSV(out *bufio.Writer, row [][]byte) {
	for i, cell := range row {
		if i > 0 {
			out.WriteByte(',')
		}
		if cell != nil {
			out.WriteString(`"` + strings.ReplaceAll(string(cell), `"`, `""`) + `"`)
		}
	}
	out.WriteByte('\n')
}

// columnTexts are the names of a table's columns, and for each an expression
// that prints its value as the program does: bytes in hexadecimal, times
// without trailing zeros, and with a zone where the column has one.
func (c *mysqlRig) columnTexts(ctx context.Context, conn *testservers.MySQLSession, table string) (names, texts []string, err error) {
	err = conn.Each(ctx, `SELECT column_name, data_type, coalesce(datetime_precision, 0), coalesce(numeric_precision, 0) FROM information_schema.columns
WHERE table_schema = database() AND table_name = '`+table+`' ORDER BY ordinal_position`, func(row [][]byte) {
		name, kind := string(row[0]), strings.ToLower(string(row[1]))
		fraction := string(row[2]) != "0"
		expression := "`" + name + "`"
		switch kind {
		case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
			expression = `concat('\\x', lower(hex(` + expression + `)))`
		case "bit":
			expression = "lpad(bin(" + expression + "), " + string(row[3]) + ", '0')"
		case "year":
			expression += " + 0"
		case "time", "datetime", "timestamp":
			if fraction {
				expression = "trim(TRAILING '.' FROM trim(TRAILING '0' FROM cast(" + expression + " AS char)))"
			}
			if kind == "timestamp" {
				expression = "concat(" + expression + ", '+00')"
			}
		}
		names, texts = append(names, name), append(texts, expression)
	})
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("table %s is not there", table)
	}
	return names, texts, err
}
