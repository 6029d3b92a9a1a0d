package testservers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// each runs a test for both flavours side by side: most of a server's start is
// waiting.
func each(t *testing.T, f func(t *testing.T, flavour Flavour)) {
	t.Helper()
	for _, flavour := range Flavours {
		t.Run(string(flavour), func(t *testing.T) {
			t.Parallel()
			f(t, flavour)
		})
	}
}

func ask(t *testing.T, m *MySQL, database, text string) string {
	t.Helper()
	out, err := m.SQL(t.Context(), database, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

func want(t *testing.T, m *MySQL, database, text, want string) {
	t.Helper()
	if got := ask(t, m, database, text); got != want {
		t.Errorf("%s: got %q, want %q", text, got, want)
	}
}

func TestMySQLHasTheSettingsOfCapture(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := SharedMySQL(t, f)
		settings := map[string]string{
			"log_bin": "1", "binlog_format": "ROW", "binlog_row_image": "FULL", "binlog_row_metadata": "FULL",
			"server_id": "1", "time_zone": "+00:00", "bind_address": "127.0.0.1", "character_set_server": "utf8mb4",
			"sync_binlog": "0", "innodb_flush_log_at_trx_commit": "2",
		}
		if f == FlavourMariaDB {
			settings["gtid_domain_id"], settings["log_slave_updates"] = "0", "1"
		} else {
			settings["gtid_mode"], settings["enforce_gtid_consistency"] = "ON", "ON"
		}
		for name, value := range settings {
			want(t, m, "", "SELECT @@global."+name, value)
		}
		want(t, m, "", "SELECT substring_index(@@version, '-', 1)", m.Version())
		if m.Flavour() != f {
			t.Errorf("flavour %s", m.Flavour())
		}
	})
}

func TestMySQLWantsAPassword(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := SharedMySQL(t, f)
		other := &MySQL{daemon: daemon{name: "other", host: m.host, port: m.port}, super: m.super, password: "wrong"}
		if _, err := other.SQL(t.Context(), "", "SELECT 1"); err == nil || !strings.Contains(err.Error(), "Access denied") {
			t.Errorf("login with a wrong password: %v", err)
		}
		want(t, m, "", "SELECT group_concat(host ORDER BY host) FROM mysql.user WHERE user IN ('root', '')", "%,localhost")
	})
}

func TestMySQLAnswersAsTheServerWrites(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := SharedMySQL(t, f)
		db := m.Database(t)
		want(t, m, db, `
CREATE TABLE t (a decimal(5,2), b text, c datetime(3));
INSERT INTO t VALUES (1.50, 'it''s 日本 😀', '2024-02-29 12:00:00.120'), (NULL, '', NULL);
SELECT * FROM t;
SELECT 1e0, database();
`, "1.50|it's 日本 😀|2024-02-29 12:00:00.120\n||\n1|"+db)
		out, err := m.SQL(t.Context(), db, "SELECT 1; SELECT nonsense; SELECT 3")
		if err == nil || out != "" || !strings.Contains(err.Error(), "nonsense") {
			t.Errorf("a statement in the middle that fails: %q, %v", out, err)
		}
	})
}

func TestMySQLSessionHoldsATransaction(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := SharedMySQL(t, f)
		db := m.Database(t)
		ask(t, m, db, "CREATE TABLE t (a int)")
		s, err := m.Open(t.Context(), m.Superuser(), db)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.SQL(t.Context(), "BEGIN; INSERT INTO t VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		want(t, m, db, "SELECT count(*) FROM t", "0")
		want(t, m, "", fmt.Sprintf("SELECT db FROM information_schema.processlist WHERE id = %d", s.ID()), db)
		if _, err := s.SQL(t.Context(), "COMMIT"); err != nil {
			t.Fatal(err)
		}
		want(t, m, db, "SELECT count(*) FROM t", "1")
	})
}

func TestMySQLSessionIsLostWithItsContext(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := SharedMySQL(t, f)
		for name, run := range map[string]func(ctx context.Context, s *MySQLSession) error{
			"statements": func(ctx context.Context, s *MySQLSession) error {
				_, err := s.SQL(ctx, "SELECT SLEEP(600)")
				return err
			},
			"a query": func(ctx context.Context, s *MySQLSession) error {
				return s.Each(ctx, "SELECT SLEEP(600)", func([][]byte) {})
			},
		} {
			s, err := m.Open(t.Context(), m.Superuser(), "")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), quiet)
			if err := run(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := s.SQL(t.Context(), "SELECT 1"); err == nil {
				t.Errorf("%s: the session went on", name)
			}
			cancel()
			s.Close()
		}
	})
}

func TestMySQLSettingsAndPortAreThoseAsked(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m, port := onFreePort(t, func(port int) (*MySQL, error) {
			return StartMySQL(t.Context(), MySQLOptions{
				Flavour: f, Port: port, ServerID: 7, Durable: true, CompressBinlog: true,
				Settings: map[string]string{"binlog_row_image": "MINIMAL", "lower_case_table_names": "1", "init_connect": "SET @x = 'it''s \"x\"'"},
			})
		})
		want(t, m, "", "SELECT @@port, @@server_id, @@lower_case_table_names, @@binlog_row_image", fmt.Sprintf("%d|7|1|MINIMAL", port))
		want(t, m, "", "SELECT @@sync_binlog, @@innodb_flush_log_at_trx_commit, @@init_connect", `1|1|SET @x = 'it''s "x"'`)
		compression := "log_bin_compress"
		if f == FlavourMySQL {
			compression = "binlog_transaction_compression"
		}
		want(t, m, "", "SELECT @@global."+compression, "1")
		if m.Port() != port {
			t.Errorf("port %d, want %d", m.Port(), port)
		}
		if err := m.RestartWith(t.Context(), map[string]string{"binlog_row_image": "NOBLOB"}); err != nil {
			t.Fatal(err)
		}
		want(t, m, "", "SELECT @@port, @@server_id, @@binlog_row_image", fmt.Sprintf("%d|7|NOBLOB", port))
	})
}

func TestMySQLSaysThatThePortIsTaken(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		l, err := net.Listen("tcp", loopback+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		m, err := StartMySQL(t.Context(), MySQLOptions{Flavour: f, Port: l.Addr().(*net.TCPAddr).Port})
		if err == nil {
			m.StopAfter(t)
		}
		if errors.Is(err, ErrNoServer) {
			RequireServer(t, err)
		}
		if !errors.Is(err, errPortTaken) {
			t.Fatalf("start on a taken port: %v", err)
		}
	})
}

func TestMySQLSaysWhyItRefused(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m, err := StartMySQL(t.Context(), MySQLOptions{Flavour: f, Settings: map[string]string{"no_such_setting": "1"}})
		if err == nil {
			m.StopAfter(t)
		}
		if errors.Is(err, ErrNoServer) {
			RequireServer(t, err)
		}
		if err == nil || !strings.Contains(err.Error(), "no_such_setting") && !strings.Contains(err.Error(), "no-such-setting") {
			t.Fatalf("start with a bad setting: %v", err)
		}
	})
}

func TestMySQLWithoutBinlogStopsAndIsGone(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := StartMySQLFor(t, MySQLOptions{Flavour: f, NoBinlog: true})
		want(t, m, "", "SELECT @@log_bin", "0")
		if _, err := m.BinlogEnd(t.Context()); err == nil {
			t.Error("a server without binary log says where it ends")
		}
		pid, dir, socket := m.process.pid(), m.Dir(), m.Socket()
		if missing(socket) {
			t.Errorf("no socket %s", socket)
		}
		if err := m.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !gone(pid) || !missing(dir) {
			t.Error("something is left of a stopped server")
		}
	})
}

// A folder that was given is kept, and may have a longer name than a socket can.
func TestMySQLStopKeepsAFolderThatWasGiven(t *testing.T) {
	parent, err := os.MkdirTemp("", "cdc-testservers-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(parent) })
	if err := os.Chmod(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, f Flavour) {
		dir := filepath.Join(parent, strings.Repeat("long", 20)+string(f))
		m := StartMySQLFor(t, MySQLOptions{Flavour: f, Dir: dir})
		want(t, m, "", "SELECT 1", "1")
		if m.Socket() != "" {
			t.Errorf("socket %s", m.Socket())
		}
		if err := m.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if missing(filepath.Join(dir, "data", "binlog.000001")) {
			t.Error("the data are gone")
		}
	})
}

func TestPausedMySQLAnswersLaterAndEndsToo(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := StartMySQLFor(t, MySQLOptions{Flavour: f})
		s, err := m.Open(t.Context(), m.Superuser(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := m.Pause(); err != nil {
			t.Fatal(err)
		}
		answer := make(chan error, 1)
		go func() {
			_, err := s.SQL(t.Context(), "SELECT 1")
			answer <- err
		}()
		ctx, cancel := context.WithTimeout(t.Context(), quiet)
		defer cancel()
		if _, err := m.SQL(ctx, "", "SELECT 1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a paused server greeted a client: %v", err)
		}
		select {
		case err := <-answer:
			t.Fatalf("a paused server answered: %v", err)
		default:
		}
		if err := m.Resume(); err != nil {
			t.Fatal(err)
		}
		if err := <-answer; err != nil {
			t.Fatal(err)
		}
		pid := m.process.pid()
		if err := m.Pause(); err != nil {
			t.Fatal(err)
		}
		if err := m.watchdog.release(); err != nil {
			t.Fatal(err)
		}
		if !gone(pid) || !missing(m.Dir()) {
			t.Error("a paused server outlived its watchdog's work")
		}
	})
}

func TestTLSMySQLRefusesPlaintext(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := StartMySQLFor(t, MySQLOptions{Flavour: f, TLS: true})
		if out := ask(t, m, "", "SHOW STATUS LIKE 'Ssl_version'"); !strings.HasPrefix(out, "Ssl_version|TLSv1.") {
			t.Errorf("the connection has %q", out)
		}
		if dsn := m.SuperuserDSN("d"); !strings.Contains(dsn, "tls=verify-full") {
			t.Errorf("DSN %s does not verify the server", dsn)
		}
		plain, err := ExternalMySQL(f, strings.Split(m.SuperuserDSN(""), "?")[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := plain.SQL(t.Context(), "", "SELECT 1"); err == nil {
			t.Error("login without TLS worked")
		}
		clientProgramConnects(t, m)
		if err := m.RestartWith(t.Context(), map[string]string{"require_secure_transport": "OFF"}); err != nil {
			t.Fatal(err)
		}
		want(t, plain, "", "SELECT 1", "1")
		want(t, m, "", "SELECT 1", "1")
	})
}

func TestMySQLClientProgramConnects(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) { clientProgramConnects(t, SharedMySQL(t, f)) })
}

func clientProgramConnects(t *testing.T, m *MySQL) {
	t.Helper()
	program := "mysql"
	if m.Flavour() == FlavourMariaDB {
		program = "mariadb"
	}
	out, err := m.Command(t.Context(), m.Superuser(), program, "-Ne", "SELECT 42").CombinedOutput()
	if err != nil || string(out) != "42\n" {
		t.Errorf("%s: %v: %s", program, err, out)
	}
}

func TestMySQLEndsWithAKilledProcess(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		SharedMySQL(t, f) // skips where there is no server
		killHelper(t, string(f))
	})
}

// Whatever the binary log has shown must survive a kill, or a capture would be
// ahead of its source in every test that kills one.
func TestMySQLKeepsWhatItCommitted(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := StartMySQLFor(t, MySQLOptions{Flavour: f})
		port := m.Port()
		ask(t, m, "", "CREATE DATABASE d; CREATE TABLE d.t (a int PRIMARY KEY)")
		for i := range 3 {
			ask(t, m, "d", fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
			if i == 1 {
				if err := m.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		before, err := m.BinlogEnd(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pid := m.process.pid()
		if err := m.Kill(); err != nil {
			t.Fatal(err)
		}
		if !gone(pid) {
			t.Errorf("process %d outlived Kill", pid)
		}
		if err := m.Kill(); err == nil {
			t.Error("a stopped server was killed")
		}
		if err := m.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, m, "d", "SELECT group_concat(a ORDER BY a) FROM t", "0,1,2")
		after, err := m.BinlogEnd(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if after.GTIDs != before.GTIDs || after.File <= before.File || m.Port() != port {
			t.Errorf("port %d at %+v, was %d at %+v", m.Port(), after, port, before)
		}
		if !strings.Contains(m.LogTail(100), "rash recovery") {
			t.Error("the restarted server did no crash recovery, so Kill let it shut down")
		}
	})
}

func TestMySQLCaptureRoleMayOnlyCapture(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := SharedMySQL(t, f)
		db, other := m.Database(t), m.Database(t)
		// Without escape its underscore would stand for any letter.
		lookalike := strings.Replace(db, "_", "x", 1)
		ask(t, m, "", "CREATE DATABASE "+lookalike)
		dropAfter(t, lookalike, func(ctx context.Context) error { return m.dropDatabase(ctx, lookalike) })
		for _, name := range []string{db, other, lookalike} {
			ask(t, m, name, "CREATE TABLE before_role (a int)")
		}
		role := m.Role(t, MySQLCaptureRole{Databases: []string{db}})
		ask(t, m, db, "CREATE TABLE after_role (a int)")
		status := "SHOW BINARY LOG STATUS"
		if f == FlavourMariaDB {
			status = "SHOW MASTER STATUS"
		}
		for statement, allowed := range map[string]bool{
			"SELECT * FROM before_role":                           true,
			"SELECT * FROM after_role":                            true,
			status:                                                true,
			"SHOW BINARY LOGS":                                    true,
			"SHOW CREATE TABLE before_role":                       true,
			"START TRANSACTION WITH CONSISTENT SNAPSHOT":          true,
			"SELECT * FROM " + other + ".before_role":             false,
			"SELECT * FROM " + lookalike + ".before_role":         false,
			"SELECT * FROM mysql.user":                            false,
			"INSERT INTO before_role VALUES (1)":                  false,
			"CREATE TABLE " + db + ".x (a int)":                   false,
			"FLUSH TABLES WITH READ LOCK":                         false,
			"SET GLOBAL binlog_row_image = 'MINIMAL'":             false,
			"PURGE BINARY LOGS TO 'binlog.000001'":                false,
			"CREATE USER " + db + "_x":                            false,
			"SELECT 1 FROM before_role INTO OUTFILE '" + db + "'": false,
		} {
			_, err := m.SQLAs(t.Context(), role, db, statement)
			if (err == nil) != allowed {
				t.Errorf("%s: %v, want allowed = %v", statement, err, allowed)
			}
		}
	})
}

func TestMySQLCaptureRoleReceivesTheBinlog(t *testing.T) {
	m := SharedMySQL(t, FlavourMySQL)
	role := m.Role(t, MySQLCaptureRole{Databases: []string{m.Database(t)}})
	out, err := m.Command(t.Context(), role, "mysqlbinlog", "--read-from-remote-server", "binlog.000001").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Previous-GTIDs") {
		t.Errorf("mysqlbinlog: %v: %.500s", err, out)
	}
}

func TestMySQLOwnerOwnsOneDatabase(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := SharedMySQL(t, f)
		db, other := m.Database(t), m.Database(t)
		owner := m.Owner(t, db)
		if _, err := m.SQLAs(t.Context(), owner, db, "CREATE TABLE t (a int); ALTER TABLE t ADD b int; DROP TABLE t"); err != nil {
			t.Error(err)
		}
		if _, err := m.SQLAs(t.Context(), owner, "", "CREATE TABLE "+other+".t (a int)"); err == nil {
			t.Error("an owner made a table in a database of another")
		}
	})
}

func TestMySQLDatabaseIsDroppedWhateverHoldsIt(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := SharedMySQL(t, f)
		r := &recorder{TB: t}
		db := m.Database(r)
		ask(t, m, db, "CREATE TABLE t (a int PRIMARY KEY)")
		ask(t, m, db, fmt.Sprintf("XA START '%[1]s','b'; INSERT INTO t VALUES (1); XA END '%[1]s','b'; XA PREPARE '%[1]s','b'", db))
		s, err := m.Open(t.Context(), m.Superuser(), db)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.SQL(t.Context(), "BEGIN; SELECT * FROM t"); err != nil {
			t.Fatal(err)
		}
		r.finish()
		want(t, m, "", "SHOW DATABASES LIKE '"+db+"'", "")
		if strings.Contains(ask(t, m, "", "XA RECOVER"), db) {
			t.Error("the prepared transaction is left")
		}
		if len(r.logs) > 0 {
			t.Error(r.logs)
		}
	})
}

func TestMySQLBinlogIsPurgedAndReset(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := StartMySQLFor(t, MySQLOptions{Flavour: f})
		ask(t, m, "", "CREATE DATABASE d")
		start, err := m.BinlogEnd(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if start.File != "binlog.000001" || start.Offset == 0 || start.GTIDs == "" {
			t.Errorf("binlog ends at %+v", start)
		}
		if err := m.PurgeBinlog(t.Context()); err != nil {
			t.Fatal(err)
		}
		files, err := m.BinlogFiles(t.Context())
		if err != nil || !slices.Equal(files, []string{"binlog.000002"}) {
			t.Errorf("files %q, %v", files, err)
		}
		if err := m.ResetBinlog(t.Context()); err != nil {
			t.Fatal(err)
		}
		end, err := m.BinlogEnd(t.Context())
		if err != nil || end.File != "binlog.000001" || end.GTIDs != "" {
			t.Errorf("binlog ends at %+v, %v", end, err)
		}
	})
}

func TestMySQLDSNLeadsThroughAProxy(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		m := SharedMySQL(t, f)
		proxy := startProxy(t, m.Addr())
		through, err := ExternalMySQL(f, m.DSNVia(proxy.Addr(), m.Superuser(), ""))
		if err != nil {
			t.Fatal(err)
		}
		want(t, through, "", "SELECT 1", "1")
		if stats := proxy.Stats(); stats.Accepted == 0 || stats.ToClient == 0 {
			t.Errorf("nothing went through the proxy: %+v", stats)
		}
	})
}

func TestExternalMySQLIsUsedButNotTouched(t *testing.T) {
	own := SharedMySQL(t, FlavourMariaDB)
	m, err := ExternalMySQL(FlavourMariaDB, own.SuperuserDSN("x"))
	if err != nil {
		t.Fatal(err)
	}
	db := m.Database(t)
	want(t, m, db, "SELECT database()", db)
	for verb, f := range map[string]func() error{
		"kill": m.Kill, "pause": m.Pause, "resume": m.Resume,
		"restart": func() error { return m.Restart(t.Context()) },
	} {
		if err := f(); !errors.Is(err, ErrExternal) {
			t.Errorf("%s: %v, want ErrExternal", verb, err)
		}
	}
	if err := m.Stop(t.Context()); err != nil {
		t.Errorf("stop: %v", err)
	}
	want(t, own, "", "SELECT 1", "1")
	for _, dsn := range []string{"root@localhost", "mysql://localhost/x", "mysql://u@h:port/"} {
		if _, err := ExternalMySQL(FlavourMySQL, dsn); err == nil {
			t.Errorf("%q was accepted", dsn)
		}
	}
}

func TestUnknownVersionOfMySQLIsNoServer(t *testing.T) {
	each(t, func(t *testing.T, f Flavour) {
		if _, err := StartMySQL(t.Context(), MySQLOptions{Flavour: f, Version: "3.23"}); !errors.Is(err, ErrNoServer) {
			t.Errorf("start %s 3.23: %v", f, err)
		}
	})
}

// Packages that are tested side by side make their servers' data at the same time. MariaDB removes, as it starts, what another one has
// in a folder for temporary files that both use.
func TestDataIsMadeSideBySide(t *testing.T) {
	inst, err := findMySQL(FlavourMariaDB, "")
	RequireServer(t, err)
	acc, err := serverAccount()
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			made, err := makeMySQLTemplate(t.Context(), inst, acc, nil)
			if err != nil {
				return err
			}
			return made.watchdog.release()
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}
