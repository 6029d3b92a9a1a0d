package testservers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// helperMode makes the test binary start a server of that kind, say where, and
// wait to be killed.
const helperMode = "CDC_TESTSERVERS_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperMode) == "" {
		os.Exit(m.Run())
	}
	pid, dir, err := startHelper(os.Getenv(helperMode))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, t := range templates.made {
		fmt.Fprintln(os.Stdout, pid, dir, t.dir)
	}
	select {}
}

func startHelper(kind string) (pid int, dir string, err error) {
	if kind == "postgres" {
		p, err := StartPostgres(context.Background(), PostgresOptions{})
		if err != nil {
			return 0, "", err
		}
		return p.process.pid(), p.dir, nil
	}
	m, err := StartMySQL(context.Background(), MySQLOptions{Flavour: Flavour(kind)})
	if err != nil {
		return 0, "", err
	}
	return m.process.pid(), m.dir, nil
}

func itoa(n int) string { return strconv.Itoa(n) }

// waitFor waits until a condition holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	defer cancel()
	if poll(ctx, func() (bool, error) { return holds(), nil }) != nil {
		t.Fatalf("waited %v for %s", testLimit, what)
	}
}

func query(t *testing.T, p *Postgres, database, text string) string {
	t.Helper()
	out, err := p.SQL(t.Context(), database, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

func expect(t *testing.T, p *Postgres, database, text, want string) {
	t.Helper()
	if got := query(t, p, database, text); got != want {
		t.Errorf("%s: got %q, want %q", text, got, want)
	}
}

func gone(pid int) bool {
	s := processState(pid)
	return s == 0 || s == 'Z'
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist)
}

func TestServerHasTheSettingsOfCapture(t *testing.T) {
	p := Shared(t)
	for setting, want := range map[string]string{
		"wal_level": "logical", "max_replication_slots": "100", "max_wal_senders": "100",
		"max_prepared_transactions": "20", "fsync": "off", "listen_addresses": "127.0.0.1",
		"server_encoding": "UTF8", "TimeZone": "UTC",
	} {
		expect(t, p, "postgres", "SHOW "+setting, want)
	}
}

func TestServerWantsAPassword(t *testing.T) {
	p := Shared(t)
	cmd := p.Command(t.Context(), "postgres", "postgres", "psql", "-c", "SELECT 1")
	cmd.Env = append(cmd.Env, "PGPASSWORD=wrong")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "password authentication failed") {
		t.Errorf("login with a wrong password: %v: %s", err, out)
	}
}

// onFreePort starts a server on a port that is free, and on another when a
// process that looked for one, too, has taken it first.
func onFreePort[S interface{ StopAfter(tb TB) }](t *testing.T, start func(port int) (S, error)) (server S, port int) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		port, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		if server, err = start(port); attempt == portAttempts || !errors.Is(err, errPortTaken) {
			return started(t, server, err), port
		}
	}
}

func TestSettingsAndPortAreThoseAsked(t *testing.T) {
	p, port := onFreePort(t, func(port int) (*Postgres, error) {
		return StartPostgres(t.Context(), PostgresOptions{
			Port: port, Durable: true, Settings: map[string]string{"wal_level": "replica", "application_name": "it's"},
			HBA: []string{"host postgres stranger 127.0.0.1/32 reject"},
		})
	})
	if p.Port() != port {
		t.Errorf("port %d, want %d", p.Port(), port)
	}
	expect(t, p, "postgres", "SHOW wal_level", "replica")
	expect(t, p, "postgres", "SHOW fsync", "on")
	expect(t, p, "postgres", "SELECT setting FROM pg_file_settings WHERE name = 'application_name'", "it's")
	expect(t, p, "postgres", "SELECT auth_method FROM pg_hba_file_rules ORDER BY line_number LIMIT 1", "reject")
	expect(t, p, "postgres", "SHOW port", itoa(port))
}

func TestStartSaysThatThePortIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := StartPostgres(t.Context(), PostgresOptions{Port: l.Addr().(*net.TCPAddr).Port})
	if err == nil {
		p.StopAfter(t)
	}
	if errors.Is(err, ErrNoServer) {
		RequireServer(t, err)
	}
	if !errors.Is(err, errPortTaken) {
		t.Fatalf("start on a taken port: %v", err)
	}
}

func TestStartSaysWhyTheServerRefused(t *testing.T) {
	p, err := StartPostgres(t.Context(), PostgresOptions{Settings: map[string]string{"wal_level": "nonsense"}})
	if err == nil {
		p.StopAfter(t)
	}
	if errors.Is(err, ErrNoServer) {
		RequireServer(t, err)
	}
	if err == nil || !strings.Contains(err.Error(), `"wal_level"`) {
		t.Fatalf("start with a bad setting: %v", err)
	}
}

func TestStopRemovesTemporaryFolder(t *testing.T) {
	p := Start(t, PostgresOptions{})
	pid, dir := p.process.pid(), p.Dir()
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !gone(pid) {
		t.Errorf("postmaster %d still runs", pid)
	}
	if !missing(dir) {
		t.Errorf("%s is still there", dir)
	}
}

func TestStopKeepsAFolderThatWasGiven(t *testing.T) {
	parent, err := os.MkdirTemp("", "cdc-testservers-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(parent) })
	if err := os.Chmod(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "given")
	p := Start(t, PostgresOptions{Dir: dir})
	if p.Dir() != dir {
		t.Errorf("folder %s, want %s", p.Dir(), dir)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if missing(filepath.Join(dir, "data", "PG_VERSION")) {
		t.Error("the data are gone")
	}
	if _, err := StartPostgres(t.Context(), PostgresOptions{Dir: dir}); err == nil {
		t.Error("a folder that is not empty was taken")
	}
}

func TestServerEndsWithAKilledProcess(t *testing.T) {
	Shared(t) // skips where there is no server
	killHelper(t, "postgres")
}

// killHelper has another process start a server, kills that process, and
// expects nothing to be left of the server.
func killHelper(t *testing.T, kind string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperMode+"="+kind)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("helper: %v", err)
	}
	var pid int
	var dir, template string
	if _, err := fmt.Sscan(line, &pid, &dir, &template); err != nil {
		t.Fatal(err)
	}
	if gone(pid) || missing(dir) || missing(template) {
		t.Fatalf("helper said %q, but that is not there", line)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("helper ended by itself")
	}
	waitFor(t, "the server to end", func() bool { return gone(pid) })
	waitFor(t, "the folder to go", func() bool { return missing(dir) })
	waitFor(t, "the template to go", func() bool { return missing(template) })
}

func TestPausedServerEndsToo(t *testing.T) {
	p := Start(t, PostgresOptions{})
	pid := p.process.pid()
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := p.watchdog.release(); err != nil {
		t.Fatal(err)
	}
	if !gone(pid) || !missing(p.Dir()) {
		t.Error("a paused server outlived its watchdog's work")
	}
}

func TestRestartKeepsPortAndData(t *testing.T) {
	p := Start(t, PostgresOptions{})
	port := p.Port()
	query(t, p, "postgres", "CREATE TABLE t AS SELECT 1 AS a")
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Port() != port {
		t.Errorf("port %d, was %d", p.Port(), port)
	}
	expect(t, p, "postgres", "SELECT a FROM t", "1")
}

func TestKilledServerRecoversOnRestart(t *testing.T) {
	p := Start(t, PostgresOptions{})
	query(t, p, "postgres", "CREATE TABLE t AS SELECT 1 AS a")
	pids := append(childrenOf(p.process.pid()), p.process.pid())
	if len(pids) < 3 {
		t.Fatalf("found only processes %v", pids)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if !gone(pid) {
			t.Errorf("process %d outlived Kill", pid)
		}
	}
	if err := p.Kill(); err == nil {
		t.Error("a stopped server was killed")
	}
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, p, "postgres", "SELECT a FROM t", "1")
	if !strings.Contains(p.LogTail(50), "automatic recovery in progress") {
		t.Error("the restarted server did no crash recovery, so Kill let it shut down")
	}
}

// session is an open psql; what it is sent is answered line by line.
type session struct {
	in      io.WriteCloser
	answers chan string
}

func openSession(t *testing.T, p *Postgres) *session {
	t.Helper()
	cmd := p.Command(t.Context(), p.super, "postgres", "psql", "-XAtq")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &session{in: in, answers: make(chan string, 16)}
	go func() {
		defer close(s.answers)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.answers <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		in.Close()
		for range s.answers {
		}
		_ = cmd.Wait() // killed with the test's context at the latest
	})
	return s
}

func (s *session) ask(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(s.in, text+";\n"); err != nil {
		t.Fatal(err)
	}
}

func (s *session) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-s.answers:
		if got != want {
			t.Fatalf("answer %q, want %q", got, want)
		}
	case <-time.After(testLimit):
		t.Fatalf("no answer, want %q", want)
	}
}

func TestPauseHoldsAnswersOfOpenSessionsUntilResume(t *testing.T) {
	p := Start(t, PostgresOptions{})
	s := openSession(t, p)
	s.ask(t, "SELECT 1")
	s.expect(t, "1")
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	s.ask(t, "SELECT 2")
	select {
	case got := <-s.answers:
		t.Fatalf("a paused server answered %q", got)
	case <-time.After(quiet):
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "2")
}

func TestStandbyFollowsAndTakesOver(t *testing.T) {
	p := Start(t, PostgresOptions{})
	query(t, p, "postgres", `
CREATE TABLE t (a int);
INSERT INTO t VALUES (1);
SELECT pg_create_logical_replication_slot('stays_behind', 'pgoutput')`)
	s, err := p.Standby(t.Context(), StandbyOptions{Slot: "standby"})
	if err != nil {
		t.Fatal(err)
	}
	s.StopAfter(t)
	expect(t, s, "postgres", "SELECT count(*) FROM pg_replication_slots", "0")
	expect(t, p, "postgres", "SELECT active FROM pg_replication_slots WHERE slot_name = 'standby'", "t")
	query(t, p, "postgres", "INSERT INTO t VALUES (2)")
	if err := s.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "postgres", "SELECT sum(a) FROM t", "3")
	if _, err := s.SQL(t.Context(), "postgres", "INSERT INTO t VALUES (3)"); err == nil {
		t.Error("a standby took a write")
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	query(t, s, "postgres", "INSERT INTO t VALUES (3)")
	expect(t, s, "postgres", "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8), sum(a) FROM t", "00000002|6")
}

func TestTLSServerRefusesPlaintext(t *testing.T) {
	p := Start(t, PostgresOptions{TLS: true})
	expect(t, p, "postgres", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", "t")
	if dsn := p.SuperuserDSN("postgres"); !strings.Contains(dsn, "sslmode=verify-full") {
		t.Errorf("DSN %s does not verify the server", dsn)
	}
	cmd := p.Command(t.Context(), "postgres", "postgres", "psql", "-c", "SELECT 1")
	cmd.Env = append(cmd.Env, "PGSSLMODE=disable")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no encryption") {
		t.Errorf("login without TLS: %v: %s", err, out)
	}
}

func TestStandbyOfTLSServerStreams(t *testing.T) {
	p := Start(t, PostgresOptions{TLS: true})
	s, err := p.Standby(t.Context(), StandbyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.StopAfter(t)
	expect(t, s, "postgres", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", "t")
}

func TestDSNLeadsThroughAProxy(t *testing.T) {
	p := Shared(t)
	proxy := startProxy(t, p.Addr())
	cmd := exec.CommandContext(t.Context(), p.Bin("psql"), "-XAtc", "SELECT 1", p.DSNVia(proxy.Addr(), "postgres", "postgres"))
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "1\n" {
		t.Fatalf("psql: %v: %s", err, out)
	}
	if stats := proxy.Stats(); stats.Accepted == 0 || stats.ToClient == 0 {
		t.Errorf("nothing went through the proxy: %+v", stats)
	}
}

func TestBinariesThatTheServerCannotReachAreNamed(t *testing.T) {
	acc, err := serverAccount()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() // below a folder that only its owner enters
	if !acc.switches { // the server runs as this user, who is the owner
		if err := acc.enters(dir); err != nil {
			t.Error(err)
		}
		return
	}
	if err := acc.enters(dir); err == nil || !strings.Contains(err.Error(), "cannot enter") {
		t.Errorf("enter %s as %s: %v", dir, acc.name, err)
	}
	if err := acc.enters("/usr/bin"); err != nil {
		t.Error(err)
	}
}

func TestNewerMajorStarts(t *testing.T) {
	p := Start(t, PostgresOptions{Major: "18"})
	if !strings.HasPrefix(p.Version(), "18.") {
		t.Errorf("version %s", p.Version())
	}
	if got := query(t, p, "postgres", "SHOW server_version"); got != p.Version() {
		t.Errorf("server says %s, binaries %s", got, p.Version())
	}
	expect(t, p, "postgres", "SELECT slot_name FROM pg_create_logical_replication_slot('s', 'pgoutput')", "s")
	s, err := p.Standby(t.Context(), StandbyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.StopAfter(t)
	expect(t, s, "postgres", "SELECT pg_is_in_recovery()", "t")
}

func TestUnknownMajorIsNoServer(t *testing.T) {
	if _, err := StartPostgres(t.Context(), PostgresOptions{Major: "7"}); !errors.Is(err, ErrNoServer) {
		t.Errorf("start PostgreSQL 7: %v", err)
	}
}

func TestVersionsCompareAsNumbers(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"9.6", "15.2", -1}, {"15.18", "15.2", 1}, {"16", "16.0", 0}, {"18beta1", "17.4", -1}} {
		if got := compareVersions(c.a, c.b); got < 0 != (c.want < 0) || got > 0 != (c.want > 0) {
			t.Errorf("compare %s with %s: %d, want the sign of %d", c.a, c.b, got, c.want)
		}
	}
}

func TestInterruptOfTheGroupDoesNotReachTheServer(t *testing.T) {
	p := Shared(t)
	own, err := syscall.Getpgid(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{p.process.pid(), p.watchdog.process.pid()} {
		group, err := syscall.Getpgid(pid)
		if err != nil {
			t.Fatal(err)
		}
		if group == own {
			t.Errorf("process %d shares the group of the test", pid)
		}
	}
}
