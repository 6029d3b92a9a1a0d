//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"cdc/e2e/testservers"
)

// mysqlResultsTable is the name of the table in docs/benchmarks.md.
const mysqlResultsTable = "results of MySQL and MariaDB"

// mysqlMeasurements are made on each flavour in turn, those on a quiet disk
// first.
var mysqlMeasurements = []measurement[*mysqlBench]{
	{"mysql-latency", measureMySQLLatency},
	{"mysql-stream", measureMySQLStream},
	{"mysql-copy", measureMySQLCopy},
	{"mysql-size", measureMySQLSize},
	{"mysql-memory", measureMySQLMemory},
}

// mysqlBench is what the measurements on one server share.
type mysqlBench struct {
	*benchReport
	server  *testservers.MySQL
	binary  string
	product string // as people write it
	prefix  string // of the names of its figures
}

// BenchmarkMySQLBudgets is BenchmarkBudgets for MySQL and MariaDB, with a table
// of their own.
func BenchmarkMySQLBudgets(b *testing.B) {
	binary, err := program()
	if err != nil {
		b.Fatal(err)
	}
	report, complete := &benchReport{name: mysqlResultsTable}, true
	var servers []string
	for _, flavour := range testservers.Flavours {
		b.Run(string(flavour), func(b *testing.B) {
			server := testservers.StartMySQLFor(b, testservers.MySQLOptions{Flavour: flavour, Name: "bench", Settings: mysqlSettings(flavour)})
			product := map[testservers.Flavour]string{testservers.FlavourMySQL: "MySQL", testservers.FlavourMariaDB: "MariaDB"}[flavour]
			e := &mysqlBench{benchReport: report, server: server, binary: binary, product: product, prefix: product + ": "}
			complete = measure(b, mysqlMeasurements, e) && complete
			servers = append(servers, product+" "+server.Version())
		})
	}
	report.publish(b, complete && len(servers) == len(testservers.Flavours), strings.Join(servers, " and "))
}

// mysqlSettings make a server that is not what is measured: what it reads is in
// memory, and its own log never makes it wait.
func mysqlSettings(f testservers.Flavour) map[string]string {
	settings := map[string]string{"innodb_buffer_pool_size": "512M", "innodb_redo_log_capacity": "2G"}
	if f == testservers.FlavourMariaDB {
		delete(settings, "innodb_redo_log_capacity")
		settings["innodb_log_file_size"] = "2G"
	}
	return settings
}

// sql runs statements as the superuser.
func (e *mysqlBench) sql(b *testing.B, database, statements string) string {
	b.Helper()
	out, err := e.server.SQL(context.WithoutCancel(b.Context()), database, statements)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// session is a connection of the superuser that lives as long as the benchmark.
func (e *mysqlBench) session(b *testing.B, database string) *testservers.MySQLSession {
	b.Helper()
	s, err := e.server.Open(context.WithoutCancel(b.Context()), e.server.Superuser(), database)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	return s
}

// capture prepares a capture with a role of its own and starts nothing.
func (e *mysqlBench) capture(b *testing.B, database, table, role string) *benchCapture {
	b.Helper()
	return &benchCapture{
		binary: e.binary, dsn: fmt.Sprintf("mysql://%s@%s/%s", role, e.server.Addr(), database), env: []string{"MYSQL_PWD=" + e.server.Password(role)},
		table: database + "." + table, data: filepath.Join(b.TempDir(), "data"),
	}
}

// role makes the user that captures log in as.
func (e *mysqlBench) role(b *testing.B, database string) string {
	b.Helper()
	return e.server.Role(b, testservers.MySQLCaptureRole{Databases: []string{database}})
}

// end is where the binary log ends.
func (e *mysqlBench) end(b *testing.B) testservers.BinlogPosition {
	b.Helper()
	end, err := e.server.BinlogEnd(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return end
}

// rotate makes the binary log go on in a new file and returns where that
// begins, so that what comes then can be measured alone.
func (e *mysqlBench) rotate(b *testing.B) testservers.BinlogPosition {
	b.Helper()
	if err := e.server.RotateBinlog(b.Context()); err != nil {
		b.Fatal(err)
	}
	return e.end(b)
}

// binlogBytes is how much binary log there is since a position.
func (e *mysqlBench) binlogBytes(b *testing.B, since testservers.BinlogPosition) float64 {
	b.Helper()
	total, counts := 0.0, false
	for line := range strings.Lines(e.sql(b, "", "SHOW BINARY LOGS")) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		var size float64
		if _, err := fmt.Sscan(fields[1], &size); err != nil {
			b.Fatal(err)
		}
		if fields[0] == since.File {
			counts, size = true, size-float64(since.Offset)
		}
		if counts {
			total += size
		}
	}
	return total
}

const mysqlPingsSQL = `CREATE TABLE pings (id BIGINT PRIMARY KEY, note VARCHAR(60) NOT NULL)`

// ping is insertPing of MySQL.
func (e *mysqlBench) ping(b *testing.B, database string) insertPing {
	s, ctx := e.session(b, database), b.Context()
	return func(id int64) error {
		_, err := s.SQL(ctx, fmt.Sprintf("INSERT INTO pings VALUES (%d, 'as long as a short note is')", id))
		return err
	}
}

func measureMySQLLatency(b *testing.B, e *mysqlBench) {
	database := e.server.Database(b)
	e.sql(b, database, mysqlPingsSQL)
	e.latency(b, e.prefix, e.capture(b, database, "pings", e.role(b, database)), e.ping(b, database))
}

func measureMySQLMemory(b *testing.B, e *mysqlBench) {
	database := e.server.Database(b)
	e.sql(b, database, mysqlPingsSQL+";"+mysqlNumbersSQL)
	e.memory(b, e.prefix, e.capture(b, database, "pings", e.role(b, database)), e.ping(b, database), func(first, rows int) {
		e.sql(b, database, fmt.Sprintf("INSERT INTO pings SELECT %d + %s, 'as long as a short note is' FROM %s WHERE %[2]s < %[4]d",
			first, mysqlMillions, mysqlMillionsFrom, rows))
	})
}
