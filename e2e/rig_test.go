//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"cdc/e2e/testservers"
)

// rig is a database with its least-privileged role, and a data folder.
type rig struct {
	t        *testing.T
	server   *testservers.Postgres
	database string
	// app owns the tables, role captures them.
	app, role string
	// addr is what the program connects to: the server, or a proxy before it.
	addr string
	// dir holds the data folder and the logs of the runs.
	dir string
	// flags are added to every run.
	flags []string
	// runs and moments count those so far.
	runs, moments int

	mu    sync.Mutex // guards admin
	admin *pgx.Conn
}

// newRig makes a database, its roles and an empty folder.
func newRig(t *testing.T, server *testservers.Postgres) *rig {
	t.Helper()
	c := &rig{t: t, server: server, app: "app_" + strings.ToLower(rand.Text()[:10]), addr: server.Addr()}
	if err := server.CreateRole(t.Context(), c.app, rand.Text()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.dropApp(server) })
	c.database = server.Database(t)
	c.sql("ALTER DATABASE " + c.database + " OWNER TO " + c.app)
	c.role = server.Role(t, testservers.CaptureRole{Database: c.database, Owners: []string{c.app}, CreatePublication: true})
	c.makeFolder()
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.admin != nil {
			_ = c.admin.Close(context.Background()) // the test is over
		}
	})
	return c
}

func (c *rig) dropApp(server *testservers.Postgres) {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	if _, err := server.SQL(ctx, "postgres", "DROP ROLE IF EXISTS "+c.app); err != nil {
		c.t.Logf("drop role %s: %v", c.app, err)
	}
}

func (c *rig) makeFolder() {
	dir, err := os.MkdirTemp("", "cdc-e2e-")
	if err != nil {
		c.t.Fatal(err)
	}
	c.dir = dir
	c.t.Cleanup(func() {
		if !c.t.Failed() {
			if err := os.RemoveAll(c.dir); err != nil {
				c.t.Errorf("remove folder: %v", err)
			}
			return
		}
		c.t.Logf("the folder is kept: %s", c.dir)
		logs, _ := filepath.Glob(filepath.Join(c.dir, "run-*.log")) // the pattern is good
		for _, log := range logs[max(0, len(logs)-2):] {
			text, _ := os.ReadFile(log) // shown if it is there
			c.t.Logf("end of %s:\n%s", filepath.Base(log), tail(string(text), logLinesShown))
		}
	})
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// data is the data folder.
func (c *rig) data() string { return filepath.Join(c.dir, "data") }

// dsn is that of the capturing role, with its password.
func (c *rig) dsn() string { return c.server.DSNVia(c.addr, c.role, c.database) }

// login is the DSN without the password, and the variable that holds it.
func (c *rig) login() (dsn, variable string) {
	c.t.Helper()
	u, err := url.Parse(c.dsn())
	if err != nil {
		c.t.Fatal(err)
	}
	password, _ := u.User.Password()
	u.User = url.User(c.role)
	return u.String(), "PGPASSWORD=" + password
}

// password is the variable that holds it.
func (c *rig) password() string {
	_, variable := c.login()
	return variable
}

// appDSN is that of the application.
func (c *rig) appDSN() string { return c.server.DSN(c.app, c.database) }

// sql runs statements as the superuser by psql.
func (c *rig) sql(statements string) string {
	c.t.Helper()
	out, err := c.server.SQL(c.t.Context(), c.database, statements)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// appSQL runs statements as the application.
func (c *rig) appSQL(statements string) string {
	c.t.Helper()
	out, err := c.server.SQLAs(c.t.Context(), c.app, c.database, statements)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// ask is the only value of a quick query, empty for null, no row or a server
// that is away.
func (c *rig) ask(query string, args ...any) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	for range 2 { // the second time on a new connection, as the server may have been restarted
		if c.admin == nil || c.admin.IsClosed() {
			conn, err := pgx.Connect(ctx, c.server.SuperuserDSN(c.database))
			if err != nil {
				return ""
			}
			c.admin = conn
		}
		var answer *string
		err := c.admin.QueryRow(ctx, query, args...).Scan(&answer)
		if err == nil && answer != nil {
			return *answer
		}
		if !c.admin.IsClosed() {
			return ""
		}
	}
	return ""
}

func connect(ctx context.Context, dsn string) (*pgx.Conn, error) { return pgx.Connect(ctx, dsn) }

// Queries about the slot of the capture's database.
const (
	slotActive = `SELECT active::text FROM pg_replication_slots WHERE database = current_database() AND NOT temporary`
	slotRead   = `SELECT (r.state IN ('catchup', 'streaming'))::text FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid
WHERE s.database = current_database() AND NOT s.temporary`
	slotCount  = `SELECT count(*)::text FROM pg_replication_slots WHERE database = current_database()`
	walEnd     = `SELECT pg_current_wal_insert_lsn()::text`
	slotPassed = `SELECT (confirmed_flush_lsn >= $1::text::pg_lsn)::text FROM pg_replication_slots WHERE database = current_database() AND NOT temporary`
)
