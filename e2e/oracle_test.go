//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"cdc/e2e/checker"
)

// oracleGUCs make the source print values as the program does.
const oracleGUCs = `SET datestyle = 'ISO'; SET timezone = 'UTC'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex';
SET extra_float_digits = 3; SET client_encoding = 'UTF8';`

// diffRowsShown is how many differing rows go with a failure.
const diffRowsShown = 6

// moment is what the source's tables held at one place of its log.
type moment struct {
	number int
	at     string // as the program is asked for it
	dir    string // of the tables as CSV
	want   map[string]checker.Digest
}

// takeMoment reads the tables at the exact place where a new slot begins: its
// exported snapshot holds all that was committed before, and nothing else.
func (c *rig) takeMoment(ctx context.Context, number int, tables []string) (*moment, error) {
	config, err := pgconn.ParseConfig(c.server.SuperuserDSN(c.database))
	if err != nil {
		return nil, err
	}
	reader, err := pgconn.ConnectConfig(ctx, config.Copy())
	if err != nil {
		return nil, err
	}
	defer reader.Close(ctx)
	config.RuntimeParams["replication"] = "database"
	walsender, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer walsender.Close(ctx)
	results, err := walsender.Exec(ctx, fmt.Sprintf("CREATE_REPLICATION_SLOT moment_%s_%d TEMPORARY LOGICAL pgoutput (SNAPSHOT 'export')", c.database, number)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("export a snapshot: %w", err)
	}
	row := results[0].Rows[0]
	m := &moment{number: number, at: "LSN " + string(row[1]), want: map[string]checker.Digest{}, dir: filepath.Join(c.dir, fmt.Sprintf("moment-%02d", number))}
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		return nil, err
	}
	_, err = reader.Exec(ctx, oracleGUCs+"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '"+string(row[2])+"'").ReadAll()
	if err != nil {
		return nil, fmt.Errorf("import the snapshot: %w", err)
	}
	for _, table := range tables {
		if m.want[table], err = copyTable(ctx, reader, table, m.file(table)); err != nil {
			return nil, fmt.Errorf("read %s at %s: %w", table, m.at, err)
		}
	}
	return m, nil
}

func (m *moment) file(table string) string { return filepath.Join(m.dir, table+".csv") }

// copyTable writes a table to a file as CSV.
func copyTable(ctx context.Context, conn *pgconn.PgConn, table, path string) (d checker.Digest, err error) {
	f, err := os.Create(path)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	in, out := io.Pipe()
	go func() {
		_, err := conn.CopyTo(ctx, io.MultiWriter(f, out), "COPY (SELECT * FROM "+table+") TO STDOUT (FORMAT csv, HEADER)")
		out.CloseWithError(err)
	}()
	d, err = checker.DigestCSV(in)
	return d, errors.Join(err, in.Close())
}

// check asks the program for the tables at the moment.
func (m *moment) check(t *testing.T, c *capture, tables []string) {
	t.Helper()
	for _, table := range tables {
		if _, asked := m.want[table]; !asked {
			continue
		}
		path := filepath.Join(m.dir, table+".got.csv")
		got, err := c.tableAt(m.at, table, path)
		if err != nil && (strings.Contains(err.Error(), "the source rewrote the table") || strings.Contains(err.Error(), "the table is being copied")) {
			// The honest answer until the table has been copied again.
			t.Logf("%s at moment %d is refused: it was rewritten", table, m.number)
			continue
		}
		if err != nil {
			t.Errorf("%s at moment %d, %s: %v", table, m.number, m.at, err)
			continue
		}
		if want := m.want[table]; got != want {
			t.Errorf("%s at moment %d, %s:\ngot  %v\nwant %v\n%s", table, m.number, m.at, got, want, diffFiles(m.file(table), path))
		}
	}
}

// tableAt writes a table at a moment, as the program prints it, to a file.
func (c *capture) tableAt(when, table, path string) (d checker.Digest, err error) {
	f, err := os.Create(path)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	ctx, cancel := context.WithTimeout(context.Background(), verbLimit)
	defer cancel()
	cmd := command(c.t, ctx, "at", when, table, "--data", c.data(), "--format", "csv", "--wait", "60s")
	var problems strings.Builder
	cmd.Stdout, cmd.Stderr = f, &problems
	if err := cmd.Run(); err != nil {
		return d, fmt.Errorf("cdc at %q %s: %w\n%s", when, table, err, tail(problems.String(), logLinesShown))
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return d, err
	}
	return checker.DigestCSV(f)
}

func diffFiles(want, got string) string {
	w, err := os.Open(want)
	if err != nil {
		return err.Error()
	}
	defer w.Close()
	g, err := os.Open(got)
	if err != nil {
		return err.Error()
	}
	defer g.Close()
	lines, err := checker.DiffCSV(w, g, diffRowsShown)
	if err != nil {
		lines = append(lines, err.Error())
	}
	return strings.Join(lines, "\n")
}
