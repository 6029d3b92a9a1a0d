package testservers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// recorder is a TB that notes how a test would have ended, and runs its
// cleanups when told.
type recorder struct {
	testing.TB
	ended    string
	logs     []string
	cleanups []func()
}

func (r *recorder) Skipf(format string, args ...any) {
	r.ended = "skip: " + fmt.Sprintf(format, args...)
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.ended = "fatal: " + fmt.Sprintf(format, args...)
}

func (r *recorder) Logf(format string, args ...any) {
	r.logs = append(r.logs, fmt.Sprintf(format, args...))
}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) finish() {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
}

func TestMissingServerSkipsUnlessRequired(t *testing.T) {
	for _, c := range []struct {
		require string
		err     error
		want    string
	}{
		{"", nil, ""},
		{"1", nil, ""},
		{"", fmt.Errorf("find: %w", ErrNoServer), "skip:"},
		{"1", fmt.Errorf("find: %w", ErrNoServer), "fatal:"},
		{"", errors.New("broken server"), "fatal:"},
	} {
		t.Setenv("CDC_TEST_REQUIRE", c.require)
		r := &recorder{TB: t}
		RequireServer(r, c.err)
		if kind, _, _ := strings.Cut(r.ended, " "); kind != c.want {
			t.Errorf("require=%q, %v: test ended with %q, want %q", c.require, c.err, r.ended, c.want)
		}
	}
}

func TestStartStopsTheServerWithTheTest(t *testing.T) {
	r := &recorder{TB: t}
	p := Start(r, PostgresOptions{})
	pid := p.process.pid()
	r.finish()
	if !gone(pid) || !missing(p.Dir()) {
		t.Error("the server outlived its test")
	}
}

func TestSharedIsOneServer(t *testing.T) {
	first, second := Shared(t), Shared(t)
	if first != second {
		t.Error("two calls gave two servers")
	}
}

func TestDatabaseIsDroppedDespiteSlotAndPreparedTransaction(t *testing.T) {
	p := Shared(t)
	r := &recorder{TB: t}
	db := p.Database(r)
	query(t, p, db, fmt.Sprintf(`
CREATE TABLE t (a int);
SELECT pg_create_logical_replication_slot('%[1]s_idle', 'pgoutput');
SELECT pg_create_logical_replication_slot('%[1]s_busy', 'test_decoding');
BEGIN;
INSERT INTO t VALUES (1);
PREPARE TRANSACTION '%[1]s';
`, db))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader := p.Command(ctx, p.super, db, "pg_recvlogical", "-d", db, "--slot", db+"_busy", "--start", "-f", "/dev/null", "--no-loop")
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the slot to be in use", func() bool {
		return query(t, p, db, "SELECT active FROM pg_replication_slots WHERE slot_name = '"+db+"_busy'") == "t"
	})
	r.finish()
	_ = reader.Wait() // ended by the server
	if len(r.logs) > 0 {
		t.Errorf("cleanup said %q", r.logs)
	}
	expect(t, p, "postgres", "SELECT count(*) FROM pg_database WHERE datname = '"+db+"'", "0")
	expect(t, p, "postgres", "SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE '"+db+"%'", "0")
	expect(t, p, "postgres", "SELECT count(*) FROM pg_prepared_xacts", "0")
}

func TestCaptureRoleReadsAndReplicatesAndNothingElse(t *testing.T) {
	p := Shared(t)
	db := p.Database(t)
	query(t, p, db, `CREATE SCHEMA shop; CREATE TABLE shop.before (a int); CREATE TABLE public.other (a int)`)
	role := p.Role(t, CaptureRole{Database: db, Schemas: []string{"shop"}})
	query(t, p, db, `CREATE TABLE shop.after (a int); INSERT INTO shop.after VALUES (7)`)

	for statement, allowed := range map[string]bool{
		"SELECT * FROM shop.before":                                            true,
		"SELECT * FROM shop.after":                                             true,
		"SELECT * FROM public.other":                                           false,
		"INSERT INTO shop.after VALUES (1)":                                    false,
		"CREATE TABLE shop.mine (a int)":                                       false,
		"CREATE PUBLICATION p FOR TABLE shop.before":                           false,
		"CREATE ROLE " + db + "_x":                                             false,
		"SELECT rolpassword FROM pg_authid":                                    false,
		"COPY shop.before TO PROGRAM 'true'":                                   false,
		"SELECT slot_name FROM pg_replication_slots":                           true,
		"SELECT pg_create_logical_replication_slot('" + db + "_r','pgoutput')": true,
	} {
		_, err := p.SQLAs(t.Context(), role, db, statement)
		if (err == nil) != allowed {
			t.Errorf("%s: %v, want allowed = %v", statement, err, allowed)
		}
	}
	cmd := p.Command(t.Context(), role, db, "psql", "-XAtc", "IDENTIFY_SYSTEM", "replication=database dbname="+db)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "|"+db) {
		t.Errorf("replication connection: %v: %s", err, out)
	}
}

func TestCaptureRoleMakesPublicationWhenAsked(t *testing.T) {
	p := Shared(t)
	db := p.Database(t)
	owner := db + "_owner"
	if err := p.CreateRole(t.Context(), owner, "secret"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := p.SQL(context.Background(), db, "DROP OWNED BY "+owner+" CASCADE; DROP ROLE "+owner); err != nil {
			t.Error(err)
		}
	})
	query(t, p, db, `CREATE SCHEMA shop AUTHORIZATION `+owner)
	if _, err := p.SQLAs(t.Context(), owner, db, "CREATE TABLE shop.t (a int)"); err != nil {
		t.Fatal(err)
	}
	role := p.Role(t, CaptureRole{
		Database: db, Schemas: []string{"shop"}, Owners: []string{owner}, CreatePublication: true,
	})
	if _, err := p.SQLAs(t.Context(), role, db, "CREATE PUBLICATION p FOR TABLE shop.t"); err != nil {
		t.Error(err)
	}
}

func TestExternalServerIsUsedButNotTouched(t *testing.T) {
	own := Shared(t)
	p, err := ExternalPostgres(own.SuperuserDSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	db := p.Database(t)
	expect(t, p, db, "SELECT current_database()", db)
	if p.SuperuserDSN(db) != own.SuperuserDSN(db) {
		t.Errorf("DSN %s, want %s", p.SuperuserDSN(db), own.SuperuserDSN(db))
	}
	for verb, f := range map[string]func() error{
		"kill": p.Kill, "pause": p.Pause, "resume": p.Resume,
		"restart": func() error { return p.Restart(t.Context()) },
	} {
		if err := f(); !errors.Is(err, ErrExternal) {
			t.Errorf("%s: %v, want ErrExternal", verb, err)
		}
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("stop: %v", err)
	}
	expect(t, own, "postgres", "SELECT 1", "1")
}

func TestBadExternalDSNIsAnError(t *testing.T) {
	for _, dsn := range []string{"host=localhost", "postgres://localhost/x", "postgres://u@h:port/"} {
		if _, err := ExternalPostgres(dsn); err == nil {
			t.Errorf("%q was accepted", dsn)
		}
	}
}
