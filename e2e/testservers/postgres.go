// Package testservers starts private servers for tests and for the demo, and a
// TCP proxy that breaks their connections on purpose.
//
// There are few types: [Postgres] and [MySQL] (which is MariaDB, too) are one
// running server in a folder of its own, listening on a free loopback port,
// with its own superuser password; [Kafka] is a cluster of one or more
// [KafkaBroker], and [Registry] a registry of schemas beside it; [CaptureRole]
// and [MySQLCaptureRole] are the least privilege that capture needs; [Proxy]
// stands between a client and any database and injects network faults. [Shared],
// [SharedMySQL], [SharedKafka] and [SharedRegistry] are the way in for most
// tests: one server per test binary, a fresh database or topic per test.
//
// A server never outlives the process that started it, not even when that
// process is killed with SIGKILL: a small shell, the watchdog, holds the read
// end of a pipe, sees it close, ends the server and removes its folder.
//
// Beyond the standard library the package imports a client of MySQL and one of
// Kafka, whose own client programs take longer to start than to answer; no type
// of theirs leaves it, and neither is what the product uses. It does not import
// testing, so that tests of any package and the program itself can use it. It
// reads /proc and so works on Linux only.
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
	"syscall"
	"time"
)

const (
	// startLimit bounds the wait for a server to accept connections. Recovery
	// after Kill is part of it, and a machine with more to do than it can.
	startLimit = 90 * time.Second
	// stopLimit bounds a fast shutdown, which alone may take MySQL nine
	// seconds; after it the server is killed.
	stopLimit = 90 * time.Second
	// killLimit bounds the wait for killed or stopped processes to be so; one
	// that waits for the disk is not before the disk answers.
	killLimit = 60 * time.Second
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

// Postgres is a PostgreSQL server. Its methods may be called concurrently; those
// that change its state run one at a time.
type Postgres struct {
	daemon
	o        PostgresOptions
	install  install
	password string            // of the superuser
	super    string            // name of the superuser
	params   map[string]string // of every DSN
	primary  *Postgres         // of a standby

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
	p := &Postgres{
		o: o, install: inst, super: superuser,
		params: map[string]string{"sslmode": "disable"}, passwords: map[string]string{},
	}
	p.daemon = daemon{
		kind: p, name: o.Name, version: inst.version, log: o.Log, account: acc, host: loopback,
		port: o.Port, choosePort: o.Port == 0, stopSignal: syscall.SIGINT,
	}
	if err := p.open(o.Dir, watch{executable: inst.path("postgres"), patience: postgresPatience}); err != nil {
		return nil, err
	}
	if o.TLS {
		p.params = map[string]string{"sslmode": "verify-full", "sslrootcert": p.CAFile()}
	}
	return p, nil
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

// Bin is the path of a program such as psql, pgbench or pg_waldump: the
// server's own, else the newest installed. It is the bare name when there is
// none, so that running it says what is missing.
func (p *Postgres) Bin(name string) string { return findProgram(p.install, name) }

func (p *Postgres) command() *exec.Cmd {
	return exec.Command(p.install.path("postgres"), "-D", p.dataDir())
}

func (p *Postgres) pidFile() string { return filepath.Join(p.dataDir(), "postmaster.pid") }

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
