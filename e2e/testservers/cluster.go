package testservers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	superuser = "postgres"
	// ownConfig holds our settings; postgresql.conf includes it, so that it can
	// be written anew as a whole.
	ownConfig = "testserver.conf"
	// socketPathLimit leaves room for the name of a socket in sun_path (108).
	socketPathLimit = 80
)

// makeTemplate makes a cluster by initdb.
func makeTemplate(ctx context.Context, inst install, acc account) (*template, error) {
	t, err := newTemplate(acc, watch{executable: inst.path("postgres"), patience: postgresPatience})
	if err != nil {
		return nil, err
	}
	pwfile, err := t.write("password", t.password+"\n")
	if err == nil {
		err = acc.run(ctx, t.runDir(), inst.path("initdb"),
			"--pgdata="+t.data, "--username="+superuser, "--pwfile="+pwfile,
			"--auth-host=scram-sha-256", "--auth-local=scram-sha-256",
			"--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	}
	return t.finish(err)
}

// create makes the data folder from the template.
func (p *Postgres) create(ctx context.Context) error {
	t, err := templates.get(p.install.bin, func() (*template, error) { return makeTemplate(ctx, p.install, p.account) })
	if err != nil {
		return err
	}
	p.password = t.password
	if err := t.copyTo(ctx, &p.daemon); err != nil {
		return err
	}
	if err := p.includeOwnConfig(); err != nil {
		return err
	}
	if !p.o.TLS {
		return nil
	}
	return writeCertificates(p.dir, p.account)
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

// configure writes our settings and pg_hba.conf.
func (p *Postgres) configure() error {
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
		"cluster_name":              p.name,
		"listen_addresses":          loopback,
		"port":                      fmt.Sprint(p.port),
		"unix_socket_directories":   p.socketDir(),
		"wal_level":                 "logical",
		"max_replication_slots":     "100", // for tests side by side, as many as a machine has processors
		"max_wal_senders":           "100",
		"max_connections":           "300",
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

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
