//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sources/mysql"
)

// mysqlRig is a database of MySQL or MariaDB with its least-privileged user, and
// a data folder.
type mysqlRig struct {
	*capture
	server *testservers.MySQL
	// app owns the database, role captures it.
	app, role string
	// addr is what the program connects to: the server, or a proxy before it.
	addr string

	mu    sync.Mutex // guards admin
	admin *testservers.MySQLSession
}

// newMySQLRig makes a database, its users and an empty folder.
func newMySQLRig(t *testing.T, server *testservers.MySQL) *mysqlRig {
	t.Helper()
	c := &mysqlRig{capture: &capture{t: t}, server: server, addr: server.Addr()}
	c.origin = c
	c.database = server.Database(t)
	c.source = c.database
	c.app = server.Owner(t, c.database)
	c.role = server.Role(t, testservers.MySQLCaptureRole{Databases: []string{c.database}})
	if server.Flavour() == testservers.FlavourMySQL {
		c.sql("GRANT XA_RECOVER_ADMIN ON *.* TO " + c.app) // for applications that lose their connection
	}
	c.makeFolder()
	t.Cleanup(c.forgetAdmin)
	return c
}

// bothFlavours runs a test for MySQL and MariaDB side by side.
func bothFlavours(t *testing.T, test func(t *testing.T, f testservers.Flavour)) {
	t.Parallel()
	for _, f := range testservers.Flavours {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			test(t, f)
		})
	}
}

// dsn implements origin. MariaDB is given by the name of MySQL, as most do.
func (c *mysqlRig) dsn() string {
	_, rest, _ := strings.Cut(c.server.DSNVia(c.addr, c.role, c.database), "://")
	return "mysql://" + strings.Replace(rest, "tls-ca=", "tls_ca=", 1)
}

func (c *mysqlRig) appDSN() string { return c.server.DSN(c.app, c.database) }

func (c *mysqlRig) passwordVariable() string { return "MYSQL_PWD" }

func (c *mysqlRig) sql(statements string) string {
	c.t.Helper()
	out, err := c.server.SQL(c.t.Context(), c.database, statements)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

func (c *mysqlRig) appSQL(statements string) string {
	c.t.Helper()
	out, err := c.server.SQLAs(c.t.Context(), c.app, c.database, statements)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// ask is what a quick query prints, empty when the server is away.
func (c *mysqlRig) ask(query string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	for range 2 { // the second time on a new connection, as the server may have been restarted
		if c.admin == nil {
			conn, err := c.server.Open(ctx, c.server.Superuser(), "")
			if err != nil {
				return ""
			}
			c.admin = conn
		}
		out, err := c.admin.SQL(ctx, query)
		if err == nil {
			return out
		}
		c.admin.Close()
		c.admin = nil
	}
	return ""
}

// forgetAdmin makes the next question go to the server of the moment.
func (c *mysqlRig) forgetAdmin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.admin != nil {
		c.admin.Close()
		c.admin = nil
	}
}

// read implements origin. The server is not asked: it takes a while to notice
// that a reader is gone.
func (c *mysqlRig) read() bool {
	status := c.status()
	return status.streams()
}

// end implements origin.
func (c *mysqlRig) end() string {
	if c.server.Flavour() == testservers.FlavourMariaDB {
		return c.ask("SELECT @@global.gtid_binlog_pos")
	}
	if gtids := c.ask("SELECT replace(@@global.gtid_executed, '\n', '')"); gtids != "" {
		return gtids
	}
	fields := strings.Split(c.ask("SHOW BINARY LOG STATUS"), "|")
	if len(fields) < 2 {
		return ""
	}
	return fields[0] + ":" + fields[1]
}

// passed implements origin: a server is told nothing, so the program is asked.
// What it has of a table counts when it has all of it.
func (c *mysqlRig) passed(end string) bool {
	status := c.status()
	if !status.copied() || end == "" {
		return false
	}
	want, err := mysql.ParseMoment(end)
	if err != nil {
		c.t.Fatal(err)
	}
	// The position is written for people as moments are.
	has, err := mysql.ParseMoment(status.Position)
	return err == nil && mysql.Reached(want, has)
}

// probe implements origin: a statement that changes nothing takes a place in the
// binlog like any other.
func (c *mysqlRig) probe() { c.ask("DROP TABLE IF EXISTS " + c.database + ".no_such_table") }

// sortable implements origin, for one server: its files are numbered.
func (c *mysqlRig) sortable(position string) string {
	if position == "" { // of a record of our own
		return ""
	}
	p, err := mysql.ParsePosition(changelog.Position(position))
	if err != nil {
		c.t.Fatal(err)
	}
	return fmt.Sprintf("%04d%s%020d", len(p.File), p.File, p.Offset)
}

// smallMySQLRig is a rig with one table of three rows.
func smallMySQLRig(t *testing.T, server *testservers.MySQL) *mysqlRig {
	t.Helper()
	c := newMySQLRig(t, server)
	c.appSQL("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a'), (2, 'b'), (3, 'c')")
	return c
}
