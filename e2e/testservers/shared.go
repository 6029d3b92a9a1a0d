package testservers

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// superuserDatabase is where the superuser works on the server as a whole.
const superuserDatabase = "postgres"

// sharedPostgres starts the one server of this test binary at its first use.
var sharedPostgres = sync.OnceValues(func() (*Postgres, error) {
	if dsn := os.Getenv("CDC_TEST_POSTGRES"); dsn != "" {
		return ExternalPostgres(dsn)
	}
	return StartPostgres(context.Background(), PostgresOptions{Name: "shared"})
})

// Shared is the server of this test binary: started at the first call and
// stopped when the process ends, or the server that CDC_TEST_POSTGRES (the URL
// of a superuser) names. Tests share its slots, roles and settings, so their
// names must differ between tests; Database gives one that does. A test that
// restarts, kills or reconfigures a server starts its own with StartPostgres.
// Without server binaries the test is skipped, or fails if CDC_TEST_REQUIRE=1.
func Shared(tb TB) *Postgres {
	tb.Helper()
	p, err := sharedPostgres()
	return required(tb, p, err)
}

// Start starts a server of the test's own, by the same rules as Shared, and
// stops it at the end of the test. The end of the server's log is shown with a
// test that failed.
func Start(tb TB, o PostgresOptions) *Postgres {
	tb.Helper()
	p, err := StartPostgres(tb.Context(), o)
	return started(tb, p, err)
}

// ExternalPostgres describes a running server by the URL of its superuser.
// What works on the server's process (Stop, Kill, Pause …) is refused or does
// nothing.
func ExternalPostgres(dsn string) (*Postgres, error) {
	u, port, err := externalServer("CDC_TEST_POSTGRES", dsn, "postgres", "5432")
	if err != nil {
		return nil, err
	}
	p := &Postgres{
		daemon: daemon{name: "external", log: slog.New(slog.DiscardHandler), host: u.Hostname(), port: port}, super: u.User.Username(),
		params: map[string]string{}, passwords: map[string]string{},
	}
	p.password, _ = u.User.Password()
	for name, values := range u.Query() {
		p.params[name] = values[0]
	}
	return p, nil
}

// Database makes an empty database for a test and drops it afterwards,
// together with the slots and prepared transactions that would hold it. Its
// name is unique on the server, so it also serves as the base of the names of
// slots and roles.
func (p *Postgres) Database(tb TB) string {
	tb.Helper()
	name := uniqueName()
	if _, err := p.SQL(tb.Context(), superuserDatabase, "CREATE DATABASE "+name); err != nil {
		tb.Fatalf("create database for %s: %v", tb.Name(), err)
	}
	dropAfter(tb, "database "+name, func(ctx context.Context) error {
		// A slot can be taken again between two statements by a client that is still trying.
		return persist(ctx, func() error { return p.dropDatabase(ctx, name) })
	})
	return name
}

// dropDatabase frees the database of everything that stands against dropping it.
func (p *Postgres) dropDatabase(ctx context.Context, name string) error {
	text := quoteText(name)
	prepared, err := p.SQL(ctx, superuserDatabase,
		"SELECT format('ROLLBACK PREPARED %L;', gid) FROM pg_prepared_xacts WHERE database = "+text)
	if err != nil {
		return err
	}
	if prepared != "" {
		if _, err := p.SQL(ctx, name, prepared); err != nil {
			return err
		}
	}
	_, err = p.SQL(ctx, superuserDatabase, fmt.Sprintf(`
SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE database = %[1]s AND active;
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %[1]s;
DROP DATABASE IF EXISTS %[2]s WITH (FORCE);
`, text, quoteName(name)))
	return err
}

// Role makes a capture role for a test's database and drops it afterwards. It
// must be called after Database, whose cleanup then runs later; so the role's
// own privileges are taken away first.
func (p *Postgres) Role(tb TB, r CaptureRole) string {
	tb.Helper()
	if r.Name == "" {
		r.Name = r.Database + "_capture"
	}
	if r.Password == "" {
		r.Password = rand.Text()
	}
	if err := p.CreateCaptureRole(tb.Context(), r); err != nil {
		tb.Fatalf("create role for %s: %v", tb.Name(), err)
	}
	dropAfter(tb, "role "+r.Name, func(ctx context.Context) error { return p.dropRole(ctx, r) })
	return r.Name
}

// dropRole ends the role's sessions, and drops it with what it owns.
func (p *Postgres) dropRole(ctx context.Context, r CaptureRole) error {
	role := quoteName(r.Name)
	_, err := p.SQL(ctx, r.Database, fmt.Sprintf(`
ALTER ROLE %[1]s NOLOGIN;
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %[2]s;
DROP OWNED BY %[1]s;
DROP ROLE %[1]s;
`, role, quoteText(r.Name)))
	return err
}
