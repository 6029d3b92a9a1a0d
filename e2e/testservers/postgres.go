// Package testservers starts private database servers for tests and for the
// demo, and a TCP proxy that breaks their connections on purpose.
//
// There are few types: [Postgres] is one running server in a folder of its
// own, listening on a free loopback port, with its own superuser password;
// [CaptureRole] is the least privilege that capture needs; [Proxy] stands
// between a client and any server and injects network faults. [Shared] is the
// way in for most tests: one server per test binary, a fresh database per test.
//
// A server never outlives the process that started it, not even when that
// process is killed with SIGKILL: a small shell, the watchdog, holds the read
// end of a pipe, sees it close, ends the server and removes its folder.
//
// The package imports the standard library only and does not import testing,
// so that tests of any package and the program itself can use it. It reads
// /proc and so works on Linux only.
package testservers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// startLimit bounds the wait for a server to accept connections. Recovery
	// after Kill is part of it.
	startLimit = 60 * time.Second
	// stopLimit bounds a fast shutdown; after it the server is killed.
	stopLimit = 20 * time.Second
	// killLimit bounds the wait for killed or stopped processes to be so.
	killLimit = 10 * time.Second
	// pollInterval is the pause between two looks at a condition.
	pollInterval = 5 * time.Millisecond
	// portAttempts is how often a start is retried because another process
	// took the probed port first.
	portAttempts = 5
)

var (
	// ErrNoServer is returned when the binaries of a server are not installed.
	ErrNoServer = errors.New("no server binaries found; run 'make setup'")
	// ErrExternal is returned by operations on the process of a server that
	// this package did not start.
	ErrExternal = errors.New("server was not started here")

	errPortTaken = errors.New("port already in use")
)

// PostgresOptions says how to start a server. The zero value starts the newest
// installed Debian PostgreSQL in a temporary folder on a free port, with
// logical decoding on and fsync off.
type PostgresOptions struct {
	Name     string            // shown in logs and used as cluster_name; "" = postgres
	Major    string            // "15", "18"; "" = the newest from Debian, else the newest at all
	Dir      string            // kept after Stop; "" = a temporary folder, removed by Stop
	Port     int               // 0 = a free one
	Settings map[string]string // postgresql.conf, over the defaults of this package
	HBA      []string          // lines of pg_hba.conf, before the defaults
	TLS      bool              // own CA and certificate; plaintext over TCP is then refused
	Durable  bool              // fsync on
	Log      *slog.Logger      // what is done to the server; nil = nothing
}

// Postgres is a server. Its methods may be called concurrently; those that
// change its state run one at a time.
type Postgres struct {
	o        PostgresOptions
	install  install
	account  account
	dir      string // holds data, run, the log and the certificates
	host     string // 127.0.0.1 unless external
	port     int
	password string            // of the superuser
	super    string            // name of the superuser
	params   map[string]string // of every DSN
	watchdog *watchdog         // nil for an external server
	primary  *Postgres         // of a standby

	mu      sync.Mutex // guards process, and keeps state changes apart
	process *process   // nil when stopped

	rolesMu   sync.Mutex // guards passwords
	passwords map[string]string
}

// StartPostgres starts a server and returns when it accepts connections. The
// server lives until Stop or until this process ends; ctx bounds the start only.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	p, err := preparePostgres(o)
	if err != nil {
		return nil, err
	}
	if err := p.create(ctx); err != nil {
		p.discard()
		return nil, fmt.Errorf("create cluster in %s: %w", p.dir, err)
	}
	if err := p.firstStart(ctx); err != nil {
		p.discard()
		return nil, err
	}
	return p, nil
}

// preparePostgres finds the binaries, makes the folder and its watchdog, and
// starts nothing.
func preparePostgres(o PostgresOptions) (*Postgres, error) {
	if o.Name == "" {
		o.Name = "postgres"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	inst, err := findInstall(o.Major)
	if err != nil {
		return nil, err
	}
	acc, err := serverAccount()
	if err != nil {
		return nil, err
	}
	if err := acc.enters(inst.bin); err != nil {
		return nil, fmt.Errorf("use binaries of PostgreSQL %s: %w; set CDC_CACHE to a public folder", inst.version, err)
	}
	dir, temporary, err := serverDir(o.Dir, acc)
	if err != nil {
		return nil, err
	}
	p := &Postgres{
		o: o, install: inst, account: acc, dir: dir, port: o.Port,
		host: loopback, super: superuser,
		params: map[string]string{"sslmode": "disable"}, passwords: map[string]string{},
	}
	if o.TLS {
		p.params = map[string]string{"sslmode": "verify-full", "sslrootcert": filepath.Join(dir, caFile)}
	}
	p.watchdog, err = startWatchdog(watch{
		account: acc, executable: inst.path("postgres"), data: p.dataDir(), remove: removable(dir, temporary),
	})
	if err != nil {
		if temporary {
			err = errors.Join(err, os.RemoveAll(dir))
		}
		return nil, err
	}
	return p, nil
}

// firstStart chooses the port and starts the server.
func (p *Postgres) firstStart(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for attempt := 1; ; attempt++ {
		if p.o.Port == 0 {
			port, err := freePort()
			if err != nil {
				return err
			}
			p.port = port
		}
		if err := p.writeConfig(); err != nil {
			return err
		}
		err := p.start(ctx)
		if err == nil || p.o.Port != 0 || attempt == portAttempts || !errors.Is(err, errPortTaken) {
			return err
		}
	}
}

// Stop ends the server by a fast shutdown and removes its folder when that is
// temporary; if ctx ends first, it kills the server and says so. A second Stop does nothing; an external server is left alone.
func (p *Postgres) Stop(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.stop(ctx)
	if p.watchdog != nil {
		err = errors.Join(err, p.watchdog.release())
	}
	return err
}

// Restart stops the server if it runs, and starts it on the same port with the
// same files. After Kill it is the way back.
func (p *Postgres) Restart(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watchdog == nil {
		return fmt.Errorf("restart %s: %w", p.o.Name, ErrExternal)
	}
	if err := p.stop(ctx); err != nil {
		return err
	}
	return p.start(ctx)
}

// discard gives up a server whose creation went wrong.
func (p *Postgres) discard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process != nil {
		_ = p.process.kill() // the watchdog finishes what is left
		p.process = nil
	}
	_ = p.watchdog.release()
}

// start runs the postmaster and waits until it accepts connections. The caller
// holds mu.
func (p *Postgres) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	began := p.logSize()
	proc, err := p.launch()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.o.Name, err)
	}
	p.process = proc
	err = poll(ctx, func() (bool, error) {
		select {
		case <-proc.done:
			return false, p.startFailure(began)
		default:
			return p.accepting(proc.pid()), nil
		}
	})
	if err != nil {
		_ = proc.kill() // err says why
		p.process = nil
		return fmt.Errorf("start %s: %w", p.o.Name, err)
	}
	p.o.Log.Info("server started", "server", p.o.Name, "version", p.install.version, "port", p.port, "dir", p.dir)
	return nil
}

// launch starts the postmaster as our child.
func (p *Postgres) launch() (*process, error) {
	logFile, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	if err := p.account.own(p.logFile()); err != nil {
		return nil, err
	}
	cmd := exec.Command(p.install.path("postgres"), "-D", p.dataDir())
	cmd.Dir = p.dataDir()
	cmd.Env = p.account.environment(p.runDir())
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = p.account.sysProcAttr()
	return startProcess(cmd)
}

// startFailure explains a postmaster that ended by itself, from what it wrote
// to its log since began.
func (p *Postgres) startFailure(began int64) error {
	text, err := os.ReadFile(p.logFile())
	if err != nil {
		return err
	}
	text = text[min(began, int64(len(text))):]
	if strings.Contains(string(text), "Address already in use") {
		return fmt.Errorf("%w: %d", errPortTaken, p.port)
	}
	return fmt.Errorf("server ended: %s", lastLines(string(text), 10))
}

// stop shuts the postmaster down and waits for it. The caller holds mu.
func (p *Postgres) stop(ctx context.Context) error {
	if p.process == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	err := p.process.interrupt(ctx)
	p.process = nil
	if err != nil {
		return fmt.Errorf("stop %s: %w", p.o.Name, err)
	}
	p.o.Log.Info("server stopped", "server", p.o.Name)
	return nil
}

// accepting reports whether the postmaster says in its pid file that it is
// ready, as a primary or as a standby that can be read. A file left by a killed
// server names another process; it stays, because the new server frees the
// shared memory that it names.
func (p *Postgres) accepting(pid int) bool {
	text, err := os.ReadFile(p.pidFile())
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	const statusLine = 7 // stable since PostgreSQL 10
	if len(lines) <= statusLine || strings.TrimSpace(lines[0]) != fmt.Sprint(pid) {
		return false
	}
	return strings.TrimSpace(lines[statusLine]) == "ready"
}

// Dir is the folder of the server: data, log and, with TLS, the certificates.
func (p *Postgres) Dir() string { return p.dir }

// Port is the TCP port on 127.0.0.1.
func (p *Postgres) Port() int { return p.port }

// Version is the full version, such as 15.18.
func (p *Postgres) Version() string { return p.install.version }

// Bin is the path of a program such as psql, pgbench or pg_waldump: the
// server's own, else the newest installed. It is the bare name when there is
// none, so that running it says what is missing.
func (p *Postgres) Bin(name string) string { return findProgram(p.install, name) }

// LogTail is the last n lines of the server's log.
func (p *Postgres) LogTail(n int) string {
	text, err := os.ReadFile(p.logFile())
	if err != nil {
		return ""
	}
	return lastLines(string(text), n)
}

func (p *Postgres) dataDir() string { return filepath.Join(p.dir, "data") }
func (p *Postgres) runDir() string  { return filepath.Join(p.dir, "run") }
func (p *Postgres) logFile() string { return filepath.Join(p.dir, "server.log") }
func (p *Postgres) pidFile() string { return filepath.Join(p.dataDir(), "postmaster.pid") }

func (p *Postgres) logSize() int64 {
	info, err := os.Stat(p.logFile())
	if err != nil {
		return 0
	}
	return info.Size()
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// poll calls f until it says done, fails, or ctx ends.
func poll(ctx context.Context, f func() (done bool, err error)) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		done, err := f()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
