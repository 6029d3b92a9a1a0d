//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestUntrustedTextIsRefused asks for what a query has no business with: files, other databases, extensions, settings, the
// environment. Each must be refused, and leave the session as it was.
func TestUntrustedTextIsRefused(t *testing.T) {
	w := smallWorld(t)
	s := newSession(t, w)
	secret := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(secret, []byte("a\nsecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for _, text := range []string{
		"SELECT * FROM read_csv('SECRET')", "SELECT * FROM 'SECRET'", "SELECT * FROM read_text('SECRET')", "SELECT * FROM read_blob('SECRET')",
		"SELECT * FROM read_parquet('SECRET')", "SELECT * FROM read_json('SECRET')", "SELECT * FROM sniff_csv('SECRET')", "SELECT * FROM glob('/etc/*')",
		"SELECT * FROM read_duckdb('SECRET')", "SELECT * FROM parquet_metadata('SECRET')", "FROM \"SECRET\"", "SELECT (FROM read_text('SECRET') SELECT content)",
		"WITH x AS (SELECT * FROM read_csv('SECRET')) SELECT * FROM x", "SELECT * FROM read_csv('http://127.0.0.1/x')", "SELECT * FROM 's3://bucket/x.parquet'",
		"DESCRIBE SELECT * FROM read_csv('SECRET')", "DESCRIBE 'SECRET'", "EXPLAIN ANALYZE SELECT * FROM read_csv('SECRET')", "SUMMARIZE 'SECRET'",
		"PIVOT 'SECRET' ON a", "PIVOT read_csv('SECRET') ON a IN ('x')", "TABLE 'SECRET'",
		"COPY (SELECT 1) TO 'OUT'", "COPY t TO 'OUT'", "COPY t FROM 'SECRET'", "EXPORT DATABASE 'OUT'", "IMPORT DATABASE 'OUT'",
		"ATTACH 'OUT' AS x", "ATTACH ':memory:' AS x", "DETACH memory", "USE memory", "INSTALL httpfs", "LOAD httpfs", "FORCE INSTALL httpfs",
		"SET memory_limit = '100GB'", "SET GLOBAL threads = 64", "RESET memory_limit", "SET enable_external_access = true", "SET cdc.other = 1",
		"PRAGMA memory_limit = '100GB'", "PRAGMA database_list", "CALL enable_logging(storage = 'file', storage_path = 'OUT')",
		"SELECT * FROM enable_logging(storage = 'file', storage_path = 'OUT')", "SELECT * FROM enable_profiling()", "SELECT * FROM checkpoint()",
		"CHECKPOINT", "VACUUM", "ANALYZE", "SELECT getenv('HOME')", "SELECT * FROM duckdb_secrets()", "SELECT * FROM which_secret('a', 'b')",
		"CREATE TABLE x (a INT)", "CREATE OR REPLACE VIEW t AS SELECT 1", "CREATE MACRO now() AS 1", "CREATE SECRET x (TYPE s3)", "DROP TABLE t", "ALTER TABLE t ADD COLUMN c INT",
		"INSERT INTO t VALUES (9, 'x')", "UPDATE t SET note = 'x'", "DELETE FROM t", "TRUNCATE t", "MERGE INTO t USING t u ON true WHEN MATCHED THEN DELETE",
		"WITH x AS (INSERT INTO t VALUES (9, 'x') RETURNING *) SELECT * FROM x", "EXPLAIN ANALYZE INSERT INTO t VALUES (9, 'x')", "EXPLAIN COPY t TO 'OUT'",
		"BEGIN", "COMMIT", "PREPARE p AS SELECT 1", "EXECUTE p", "DEALLOCATE p", "SELECT 1; DROP TABLE t", "SELECT * FROM query('DROP TABLE t')", "SELECT * FROM query_table('t')",
		"SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))", "SELECT * FROM arrow_scan(1, 2, 3)", "SELECT * FROM seq_scan('t')",
		"SHOW DATABASES", "SELECT * FROM \"cdc@stream\"", "SELECT * FROM \"cdc@table 1\"", "SELECT * FROM \"cdc@table 2\"", "SELECT * FROM memory.main.\"cdc@table 1\"",
		"DESCRIBE \"cdc@stream\"", "",
		strings.Repeat("(", 10_000) + "SELECT 1" + strings.Repeat(")", 10_000), "SELECT " + strings.Repeat("(", 10_000) + "1" + strings.Repeat(")", 10_000),
		"SELECT '" + strings.Repeat("x", MaxTextBytes) + "'",
	} {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "SECRET", secret), "OUT", out)
		var p printer
		err := s.Query(context.Background(), text, "", &p)
		if err == nil {
			t.Errorf("%.100s: answered\n%s", text, p.String())
		} else if codeOf(err) != CodeSQL {
			t.Errorf("%.100s: refused with %s: %v", text, codeOf(err), err)
		}
		if strings.Contains(p.String(), "secret") {
			t.Errorf("%.100s: gave a secret away", text)
		}
		if got := ask(s, "SELECT count(*) AS n FROM t", "", false); got != "n\n3\n" {
			t.Fatalf("after %.100s: %s", text, got)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("something was written to disk")
	}
}

// TestSettingsAreLocked goes past our own checks, straight to DuckDB.
func TestSettingsAreLocked(t *testing.T) {
	s := newSession(t, smallWorld(t))
	for _, text := range []string{
		"SET memory_limit = '100GB'", "SET enable_external_access = true", "SET lock_configuration = false", "SET autoload_known_extensions = true",
		"SELECT * FROM read_csv('/etc/passwd')", "COPY (SELECT 1) TO '/tmp/cdc-sql-test-out'", "ATTACH '/tmp/cdc-sql-test.db' AS x", "INSTALL httpfs", "LOAD httpfs",
	} {
		if err := s.duck.exec(context.Background(), text); err == nil {
			t.Errorf("%s: done", text)
		}
	}
}

// TestGreedyQueriesAreCut runs queries that would take all memory or for ever.
func TestGreedyQueriesAreCut(t *testing.T) {
	s := newSession(t, smallWorld(t))
	for _, c := range []struct {
		text string
		want Code
	}{
		{"SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000000) c WHERE hash(a.range + b.range, c.range) = 1", CodeCanceled},
		{endless, CodeCanceled},
		{"SELECT list(repeat('x', 1000)) FROM range(10000000)", CodeLimit},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		if c.want == CodeLimit {
			ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
		}
		start := time.Now()
		err := s.Query(ctx, c.text, "", &printer{})
		cancel()
		if codeOf(err) != c.want {
			t.Errorf("%s: got %s %v after %s", c.text, codeOf(err), err, time.Since(start))
		}
	}
	if got := ask(s, "SELECT count(*) AS n FROM t", "", false); got != "n\n3\n" {
		t.Errorf("afterwards: %s", got)
	}
}
