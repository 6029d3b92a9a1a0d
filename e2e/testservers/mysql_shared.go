package testservers

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
)

// sharedMySQL starts the one server of a flavour of this test binary at its
// first use.
var sharedMySQL = map[Flavour]func() (*MySQL, error){
	FlavourMySQL:   sync.OnceValues(func() (*MySQL, error) { return startSharedMySQL(FlavourMySQL) }),
	FlavourMariaDB: sync.OnceValues(func() (*MySQL, error) { return startSharedMySQL(FlavourMariaDB) }),
}

func startSharedMySQL(f Flavour) (*MySQL, error) {
	if dsn := os.Getenv(f.binaries().external); dsn != "" {
		return ExternalMySQL(f, dsn)
	}
	return StartMySQL(context.Background(), MySQLOptions{Flavour: f, Name: "shared " + string(f)})
}

// SharedMySQL is the server of a flavour of this test binary: started at the
// first call and stopped when the process ends, or the server that
// CDC_TEST_MYSQL or CDC_TEST_MARIADB (the URL of a superuser) names. Tests
// share its binary log, users and settings, so each works in a Database of its
// own, and one that restarts, kills, purges or reconfigures a server starts
// its own with StartMySQLFor. Without server binaries the test is skipped, or
// fails if CDC_TEST_REQUIRE=1.
func SharedMySQL(tb TB, f Flavour) *MySQL {
	tb.Helper()
	m, err := sharedMySQL[f]()
	return required(tb, m, err)
}

// StartMySQLFor starts a server of the test's own, by the same rules as
// SharedMySQL, and stops it at the end of the test. The end of the server's
// log is shown with a test that failed.
func StartMySQLFor(tb TB, o MySQLOptions) *MySQL {
	tb.Helper()
	m, err := StartMySQL(tb.Context(), o)
	return started(tb, m, err)
}

// ExternalMySQL describes a running server by the URL of its superuser. What
// works on the server's process (Stop, Kill, Pause …) is refused or does
// nothing.
func ExternalMySQL(f Flavour, dsn string) (*MySQL, error) {
	u, port, err := externalServer(f.binaries().external, dsn, string(f), "3306")
	if err != nil {
		return nil, err
	}
	m := &MySQL{
		daemon: daemon{name: "external", log: slog.New(slog.DiscardHandler), host: u.Hostname(), port: port},
		o:      MySQLOptions{Flavour: f}, super: u.User.Username(), ca: u.Query().Get("tls-ca"),
		passwords: map[string]string{},
	}
	m.password, _ = u.User.Password()
	return m, nil
}

// Database makes an empty database for a test and drops it afterwards,
// together with the sessions and prepared transactions that would hold it.
// Its name is unique on the server, so it also serves as the base of the names
// of users.
func (m *MySQL) Database(tb TB) string {
	tb.Helper()
	name := uniqueName()
	if _, err := m.SQL(tb.Context(), "", "CREATE DATABASE "+name); err != nil {
		tb.Fatalf("create database for %s: %v", tb.Name(), err)
	}
	dropAfter(tb, "database "+name, func(ctx context.Context) error {
		// A client that is still trying can come back between two statements.
		return persist(ctx, func() error { return m.dropDatabase(ctx, name) })
	})
	return name
}

// dropDatabase frees the database of everything that stands against dropping it.
func (m *MySQL) dropDatabase(ctx context.Context, name string) error {
	if err := m.killSessions(ctx, "db = "+quoteMySQLText(name)); err != nil {
		return err
	}
	if err := m.rollbackPrepared(ctx, name); err != nil {
		return err
	}
	_, err := m.SQL(ctx, "", "SET SESSION lock_wait_timeout = 1; DROP DATABASE IF EXISTS "+quoteMySQLName(name))
	return err
}

// killSessions ends the connections that a condition on the list of them holds for.
func (m *MySQL) killSessions(ctx context.Context, condition string) error {
	ids, err := m.SQL(ctx, "", "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND "+condition)
	if err != nil {
		return err
	}
	for _, id := range strings.Fields(ids) {
		if _, err := m.SQL(ctx, "", "KILL "+id); err != nil && !strings.Contains(err.Error(), "Unknown thread id") {
			return err
		}
	}
	return nil
}

// rollbackPrepared ends the prepared XA transactions whose name begins with
// the database's: the server does not say what they have changed.
func (m *MySQL) rollbackPrepared(ctx context.Context, name string) error {
	prepared, err := m.SQL(ctx, "", "XA RECOVER")
	if err != nil {
		return err
	}
	for line := range strings.Lines(prepared) {
		// format|length of the global part|length of the branch|both
		fields := strings.SplitN(strings.TrimSpace(line), "|", 4)
		if len(fields) < 4 || !strings.HasPrefix(fields[3], name) {
			continue
		}
		length, err := strconv.Atoi(fields[1])
		if err != nil || length > len(fields[3]) {
			return fmt.Errorf("read XA RECOVER: %q", line)
		}
		xid := quoteMySQLText(fields[3][:length]) + "," + quoteMySQLText(fields[3][length:]) + "," + fields[0]
		if _, err := m.SQL(ctx, "", "XA ROLLBACK "+xid); err != nil {
			return err
		}
	}
	return nil
}

// Role makes a capture role for a test and drops it afterwards. Without a name
// it has that of its first database and _capture.
func (m *MySQL) Role(tb TB, r MySQLCaptureRole) string {
	tb.Helper()
	if r.Name == "" && len(r.Databases) > 0 {
		r.Name = r.Databases[0] + "_capture"
	}
	r.Password = cmp.Or(r.Password, rand.Text())
	if err := m.CreateCaptureRole(tb.Context(), r); err != nil {
		tb.Fatalf("create role for %s: %v", tb.Name(), err)
	}
	dropAfter(tb, "user "+r.Name, func(ctx context.Context) error { return m.dropUser(ctx, r.Name) })
	return r.Name
}

// Owner makes a user who owns a test's database and drops it afterwards.
func (m *MySQL) Owner(tb TB, database string) string {
	tb.Helper()
	name := database + "_owner"
	if err := m.CreateOwner(tb.Context(), name, rand.Text(), database); err != nil {
		tb.Fatalf("create owner for %s: %v", tb.Name(), err)
	}
	dropAfter(tb, "user "+name, func(ctx context.Context) error { return m.dropUser(ctx, name) })
	return name
}

// dropUser drops a user and then ends the sessions, which could come back
// before.
func (m *MySQL) dropUser(ctx context.Context, name string) error {
	if _, err := m.SQL(ctx, "", "DROP USER IF EXISTS "+mysqlUser(name)); err != nil {
		return err
	}
	return m.killSessions(ctx, "user = "+quoteMySQLText(name))
}
