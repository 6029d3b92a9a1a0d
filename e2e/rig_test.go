//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"cdc/e2e/testservers"
)

// rig is a database of PostgreSQL with its least-privileged role, and a data
// folder.
type rig struct {
	*capture
	server *testservers.Postgres
	// app owns the tables, role captures them.
	app, role string
	// addr is what the program connects to: the server, or a proxy before it.
	addr string

	mu    sync.Mutex // guards admin
	admin *pgx.Conn
}

// newRig makes a database, its roles and an empty folder.
func newRig(t *testing.T, server *testservers.Postgres) *rig {
	t.Helper()
	c := &rig{capture: &capture{t: t}, server: server, app: "app_" + strings.ToLower(rand.Text()[:10]), addr: server.Addr()}
	c.origin = c
	if err := server.CreateRole(t.Context(), c.app, rand.Text()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.dropApp(server) })
	c.database = server.Database(t)
	c.source = c.database
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

// dsn implements origin.
func (c *rig) dsn() string { return c.server.DSNVia(c.addr, c.role, c.database) }

func (c *rig) passwordVariable() string { return "PGPASSWORD" }

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

// read implements origin.
func (c *rig) read() bool { return c.ask(slotRead) == "true" }

// end implements origin.
func (c *rig) end() string { return c.ask(walEnd) }

// passed implements origin: the program acknowledges what it has.
func (c *rig) passed(end string) bool { return c.ask(slotPassed, end) == "true" }

// probe implements origin.
func (c *rig) probe() { c.ask(`SELECT pg_logical_emit_message(false, 'e2e', 'probe')::text`) }

// sortable implements origin: positions of PostgreSQL are encoded so.
func (c *rig) sortable(position string) string { return position }

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
