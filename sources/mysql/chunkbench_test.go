package mysql

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/e2e/testservers"
	"cdc/schema"
)

// copiedRows is how many rows the benchmark's table has.
const copiedRows = 1 << 21

// BenchmarkCopy copies a table of narrow rows into a log, beside a client of the library that reads the same rows into values of its
// own and does nothing with them.
func BenchmarkCopy(b *testing.B) {
	for _, f := range []testservers.Flavour{testservers.FlavourMySQL, testservers.FlavourMariaDB} {
		m := testservers.SharedMySQL(b, f)
		r := newReadRig(b, m)
		r.sql("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a BIGINT, b VARCHAR(30), c DATETIME(6), d DECIMAL(12,2))",
			"INSERT INTO t (a, b, c, d) VALUES (123456789012, 'a narrow row', '2024-02-29 12:34:56.789', 1234567.89)")
		for n := 1; n < copiedRows; n *= 2 {
			r.sql("INSERT INTO t (a, b, c, d) SELECT a + id, b, c, d FROM t")
		}
		version := r.version("t")
		b.Run("server="+string(f)+"/by=chunks", func(b *testing.B) { benchmarkChunks(b, newLogged(b, r), version) })
		b.Run("server="+string(f)+"/by=client", func(b *testing.B) { benchmarkClient(b, r, "SELECT * FROM t") })
		b.Run("server="+string(f)+"/by=client-streaming", func(b *testing.B) { benchmarkStreaming(b, r, "SELECT * FROM t") })
	}
}

// meter tells what processor time a benchmark takes, here and at the server: on a busy machine the clock says little.
type meter struct {
	r           *readRig
	own, server time.Duration
}

func (r *readRig) meter() meter {
	m := meter{r: r}
	m.own, m.server = m.now()
	return m
}

func (m meter) now() (own, server time.Duration) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		m.r.Fatal(err)
	}
	pid, err := os.ReadFile(m.r.sql("SELECT @@GLOBAL.pid_file"))
	if err != nil {
		return time.Duration(u.Utime.Nano() + u.Stime.Nano()), 0
	}
	stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
	if err != nil {
		m.r.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')'):]))
	for _, f := range fields[12:14] { // utime and stime, in hundredths
		n, _ := strconv.Atoi(f)
		server += time.Duration(n) * 10 * time.Millisecond
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), server
}

func (m meter) report(b *testing.B) {
	own, server := m.now()
	rows := float64(b.N) * copiedRows
	b.ReportMetric(rows/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(rows/(own-m.own).Seconds(), "rows/cpu-s")
	b.ReportMetric(rows/(server-m.server).Seconds(), "rows/server-cpu-s")
}

func newLogged(b *testing.B, r *readRig) *logged {
	return (&readRig{TB: b, m: r.m, db: r.db, s: r.s}).openLog()
}

func benchmarkChunks(b *testing.B, l *logged, version *schema.Table) {
	w := l.standing()
	m := l.meter()
	for b.Loop() {
		copied := 0
		c := l.copier(w, DefaultCopyReaders, copyRows)
		c.Appended = func(_ *schema.Table, rows int) { copied += rows }
		if err := c.Copy(b.Context(), version, ""); err != nil {
			b.Fatal(err)
		}
		if err := l.log.WaitDurable(context.Background(), w.Progress().Commit); err != nil {
			b.Fatal(err)
		}
		if copied < copiedRows {
			b.Fatalf("%d rows copied", copied)
		}
	}
	m.report(b)
}

func (r *readRig) client(b *testing.B) *client.Conn {
	c, err := client.Connect(r.m.Addr(), r.m.Superuser(), r.m.Password(r.m.Superuser()), r.db)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

func benchmarkClient(b *testing.B, r *readRig, sql string) {
	c := r.client(b)
	m := r.meter()
	for b.Loop() {
		result, err := c.Execute(sql)
		if err != nil {
			b.Fatal(err)
		}
		if result.RowNumber() < copiedRows {
			b.Fatalf("%d rows read", result.RowNumber())
		}
		result.Close()
	}
	m.report(b)
}

func benchmarkStreaming(b *testing.B, r *readRig, sql string) {
	c := r.client(b)
	m := r.meter()
	for b.Loop() {
		rows := 0
		var result mysql.Result
		if err := c.ExecuteSelectStreaming(sql, &result, func([]mysql.FieldValue) error { rows++; return nil }, nil); err != nil {
			b.Fatal(err)
		}
		if rows < copiedRows {
			b.Fatalf("%d rows read", rows)
		}
	}
	m.report(b)
}
