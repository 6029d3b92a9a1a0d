package testservers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

const (
	loopback  = "127.0.0.1"
	superuser = "postgres"
	// ownConfig holds our settings; postgresql.conf includes it, so that it can
	// be written anew as a whole.
	ownConfig = "testserver.conf"
	// socketPathLimit leaves room for the name of a socket in sun_path (108).
	socketPathLimit = 80
)

// template is a cluster fresh from initdb, copied for each server: copying
// takes a tenth of the time of initdb.
type template struct {
	dir      string // its data folder
	password string
	watchdog *watchdog
}

// templates holds one template per binaries and account for the life of the
// process; the watchdogs remove them at its end.
var templates = templateCache{made: map[string]*template{}}

type templateCache struct {
	mu   sync.Mutex // guards made, and keeps two callers from making the same
	made map[string]*template
}

func (c *templateCache) get(ctx context.Context, inst install, acc account) (*template, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.made[inst.bin]; t != nil {
		return t, nil
	}
	t, err := makeTemplate(ctx, inst, acc)
	if err != nil {
		return nil, fmt.Errorf("make template cluster: %w", err)
	}
	c.made[inst.bin] = t
	return t, nil
}

func makeTemplate(ctx context.Context, inst install, acc account) (*template, error) {
	dir, err := tempDir(acc)
	if err != nil {
		return nil, err
	}
	t := &template{dir: filepath.Join(dir, "data"), password: rand.Text()}
	t.watchdog, err = startWatchdog(watch{account: acc, executable: inst.path("postgres"), data: t.dir, remove: dir})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	pwfile := filepath.Join(dir, "run", "password")
	if err = os.WriteFile(pwfile, []byte(t.password+"\n"), 0o600); err == nil {
		err = acc.own(pwfile)
	}
	if err == nil {
		err = acc.run(ctx, filepath.Join(dir, "run"), inst.path("initdb"),
			"--pgdata="+t.dir, "--username="+superuser, "--pwfile="+pwfile,
			"--auth-host=scram-sha-256", "--auth-local=scram-sha-256",
			"--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	}
	if err != nil {
		return nil, errors.Join(err, t.watchdog.release())
	}
	return t, nil
}

// run executes a program as the account in dir; what it wrote is in the error.
func (a account) run(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = a.environment(dir)
	cmd.SysProcAttr = a.sysProcAttr()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %s: %w: %s", filepath.Base(program), err, lastLines(string(out), 10))
	}
	return nil
}

// create makes the data folder from the template.
func (p *Postgres) create(ctx context.Context) error {
	t, err := templates.get(ctx, p.install, p.account)
	if err != nil {
		return err
	}
	p.password = t.password
	if err := p.account.run(ctx, p.runDir(), "cp", "-a", "--reflink=auto", t.dir, p.dataDir()); err != nil {
		return err
	}
	if err := p.includeOwnConfig(); err != nil {
		return err
	}
	if !p.o.TLS {
		return nil
	}
	return p.writeCertificates()
}

// includeOwnConfig makes postgresql.conf end with our file.
func (p *Postgres) includeOwnConfig() error {
	f, err := os.OpenFile(filepath.Join(p.dataDir(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "\ninclude '%s'\n", ownConfig)
	return errors.Join(err, f.Close())
}

// writeConfig writes our settings and pg_hba.conf.
func (p *Postgres) writeConfig() error {
	settings := p.defaultSettings()
	maps.Copy(settings, p.o.Settings)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	if err := p.writeDataFile(ownConfig, b.String()); err != nil {
		return err
	}
	hostKind := "host"
	if p.o.TLS {
		hostKind = "hostssl"
	}
	hba := append(slices.Clone(p.o.HBA), "local all all scram-sha-256", "local replication all scram-sha-256")
	for _, database := range []string{"all", "replication"} {
		hba = append(hba, fmt.Sprintf("%s %s all %s/32 scram-sha-256", hostKind, database, loopback))
	}
	return p.writeDataFile("pg_hba.conf", strings.Join(hba, "\n")+"\n")
}

func (p *Postgres) writeDataFile(name, text string) error {
	path := filepath.Join(p.dataDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return p.account.own(path)
}

func (p *Postgres) defaultSettings() map[string]string {
	settings := map[string]string{
		"cluster_name":              p.o.Name,
		"listen_addresses":          loopback,
		"port":                      fmt.Sprint(p.port),
		"unix_socket_directories":   p.socketDir(),
		"wal_level":                 "logical",
		"max_replication_slots":     "20",
		"max_wal_senders":           "20",
		"max_prepared_transactions": "20",
		"fsync":                     onOff(p.o.Durable),
		// In the data folder, so that a killed server leaves nothing in /dev/shm.
		"dynamic_shared_memory_type": "mmap",
		"password_encryption":        "scram-sha-256",
		"lc_messages":                "C",
		"timezone":                   "UTC",
		"log_timezone":               "UTC",
		"log_line_prefix":            "%m [%p] %q%u@%d ",
	}
	if p.o.TLS {
		settings["ssl"] = "on"
		settings["ssl_ca_file"] = filepath.Join(p.dir, caFile)
		settings["ssl_cert_file"] = filepath.Join(p.dir, certFile)
		settings["ssl_key_file"] = filepath.Join(p.dir, keyFile)
	}
	return settings
}

// socketDir is where the Unix socket goes; "" (none) when the path is too long
// for one.
func (p *Postgres) socketDir() string {
	if len(p.runDir()) > socketPathLimit {
		return ""
	}
	return p.runDir()
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// freePort asks the kernel for a port that is free at this moment.
func freePort() (int, error) {
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		return 0, fmt.Errorf("find free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
