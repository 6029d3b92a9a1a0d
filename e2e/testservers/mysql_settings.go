package testservers

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const mysqlSuperuser = "root"

// fixedAtCreation are settings that a data folder keeps for life, so that each
// of their values has a template of its own.
var fixedAtCreation = []string{"innodb_page_size", "innodb_undo_tablespaces", "lower_case_table_names"}

// mysqlFlags writes settings as arguments, in the order of their names.
func mysqlFlags(settings map[string]string) []string {
	var flags []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		flags = append(flags, "--"+name+"="+settings[name])
	}
	return flags
}

// arguments are those of the server.
func (m *MySQL) arguments() []string {
	settings := m.defaultSettings()
	maps.Copy(settings, m.o.Settings)
	flags := append([]string{"--no-defaults"}, mysqlFlags(settings)...)
	if m.o.NoBinlog && m.o.Flavour == FlavourMySQL {
		flags = append(flags, "--skip-log-bin")
	}
	return flags
}

func (m *MySQL) defaultSettings() map[string]string {
	settings := m.install.baseSettings()
	maps.Copy(settings, map[string]string{
		"datadir":              m.dataDir(),
		"bind_address":         loopback,
		"port":                 fmt.Sprint(m.port),
		"socket":               m.socketPath(),
		"pid_file":             filepath.Join(m.runDir(), "server.pid"),
		"tmpdir":               m.runDir(), // MariaDB removes, as it starts, what others have in a folder that they share
		"server_id":            fmt.Sprint(m.o.ServerID),
		"default_time_zone":    "+00:00",
		"character_set_server": "utf8mb4",
		"skip_name_resolve":    "ON",
		"secure_file_priv":     "",
		"relay_log":            "relay",
	})
	if !m.o.NoBinlog {
		maps.Copy(settings, m.binlogSettings())
	}
	if m.o.Durable {
		settings["innodb_flush_log_at_trx_commit"], settings["innodb_doublewrite"] = "1", "ON"
		settings["innodb_flush_method"] = "fsync"
	}
	if m.o.TLS {
		settings["require_secure_transport"] = "ON"
		settings["ssl_ca"] = filepath.Join(m.dir, caFile)
		settings["ssl_cert"] = filepath.Join(m.dir, certFile)
		settings["ssl_key"] = filepath.Join(m.dir, keyFile)
	}
	return settings
}

// baseSettings make a server small and quick; they hold for the making of its
// data, too. Its log goes to the kernel at each commit and is not forced to the
// disk: a killed server keeps all that its binary log has shown, and only a
// machine that loses power would not.
func (i mysqlInstall) baseSettings() map[string]string {
	settings := map[string]string{
		"innodb_buffer_pool_size":             "32M",
		"innodb_buffer_pool_dump_at_shutdown": "OFF",
		"innodb_buffer_pool_load_at_startup":  "OFF",
		"innodb_doublewrite":                  "OFF",
		"innodb_flush_log_at_trx_commit":      "2",
		"innodb_flush_method":                 "nosync",
		// The kernel's places for asynchronous I/O are few, and shared by all servers of the machine.
		"innodb_use_native_aio": "OFF",
		"performance_schema":    "OFF",
	}
	if i.flavour == FlavourMariaDB {
		settings["innodb_log_file_size"] = "16M"
		return settings
	}
	settings["innodb_redo_log_capacity"] = "16M"
	settings["innodb_autoextend_increment"] = "1"
	settings["log_timestamps"] = "UTC"
	settings["mysqlx"] = "OFF"
	if i.home != "" {
		share := filepath.Join(i.home, "share", "mysql")
		settings["basedir"] = i.home
		settings["plugin_dir"] = filepath.Join(i.home, "lib", "mysql", "plugin")
		settings["lc_messages_dir"] = share
		settings["character_sets_dir"] = filepath.Join(share, "charsets")
	}
	return settings
}

func (m *MySQL) binlogSettings() map[string]string {
	settings := map[string]string{
		"log_bin":             "binlog",
		"binlog_format":       "ROW",
		"binlog_row_image":    "FULL",
		"binlog_row_metadata": "FULL",
		"sync_binlog":         "0",
	}
	if m.o.Durable {
		settings["sync_binlog"] = "1"
	}
	if m.o.Flavour == FlavourMariaDB {
		settings["log_slave_updates"] = "ON"
		settings["log_bin_compress"] = strings.ToUpper(onOff(m.o.CompressBinlog))
		return settings
	}
	settings["gtid_mode"] = "ON"
	settings["enforce_gtid_consistency"] = "ON"
	settings["binlog_transaction_compression"] = strings.ToUpper(onOff(m.o.CompressBinlog))
	return settings
}

// socketPath is where the server puts its socket: out of the way, and out of
// reach, when the path would be too long. A server without one does not start.
func (m *MySQL) socketPath() string {
	if m.socketDir() == "" {
		return "mysql.sock"
	}
	return filepath.Join(m.socketDir(), "mysql.sock")
}

// create makes the data folder from a template.
func (m *MySQL) create(ctx context.Context) error {
	fixed := map[string]string{}
	for _, name := range fixedAtCreation {
		if value, ok := m.o.Settings[name]; ok {
			fixed[name] = value
		}
	}
	key := strings.Join(append([]string{m.install.server}, mysqlFlags(fixed)...), " ")
	t, err := templates.get(key, func() (*template, error) { return makeMySQLTemplate(ctx, m.install, m.account, fixed) })
	if err != nil {
		return err
	}
	m.password = t.password
	if err := t.copyTo(ctx, &m.daemon); err != nil {
		return err
	}
	if !m.o.TLS {
		return nil
	}
	return writeCertificates(m.dir, m.account)
}

// makeMySQLTemplate makes a data folder with one superuser, who may come from
// anywhere with the password and in no other way.
func makeMySQLTemplate(ctx context.Context, inst mysqlInstall, acc account, fixed map[string]string) (*template, error) {
	t, err := newTemplate(acc, watch{executable: inst.executable})
	if err != nil {
		return nil, err
	}
	settings := inst.baseSettings()
	maps.Copy(settings, fixed)
	settings["datadir"], settings["tmpdir"] = t.data, t.runDir() // as in settings
	fill := makeMySQLData
	if inst.flavour == FlavourMariaDB {
		fill = makeMariaDBData
	}
	return t.finish(fill(ctx, t, inst, append([]string{"--no-defaults"}, mysqlFlags(settings)...)))
}

func makeMySQLData(ctx context.Context, t *template, inst mysqlInstall, flags []string) error {
	file, err := t.write("init.sql", fmt.Sprintf(`ALTER USER 'root'@'localhost' IDENTIFIED BY '%[1]s';
CREATE USER 'root'@'%%' IDENTIFIED BY '%[1]s';
GRANT ALL ON *.* TO 'root'@'%%' WITH GRANT OPTION;
`, t.password))
	if err != nil {
		return err
	}
	flags = append(flags, "--initialize-insecure", "--skip-log-bin", "--init-file="+file)
	if err := t.account.run(ctx, t.runDir(), inst.server, flags...); err != nil {
		return err
	}
	// It names the server; a copy must make one of its own.
	return os.Remove(filepath.Join(t.data, "auto.cnf"))
}

func makeMariaDBData(ctx context.Context, t *template, inst mysqlInstall, flags []string) error {
	file, err := t.write("init.sql", fmt.Sprintf(`DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';
DELETE FROM mysql.proxies_priv WHERE Host <> 'localhost';
FLUSH PRIVILEGES;
ALTER USER 'root'@'localhost' IDENTIFIED BY '%[1]s';
CREATE USER 'root'@'%%' IDENTIFIED BY '%[1]s';
GRANT ALL ON *.* TO 'root'@'%%' WITH GRANT OPTION;
`, t.password))
	if err != nil {
		return err
	}
	flags = append(flags, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", "--extra-file="+file)
	return t.account.run(ctx, t.runDir(), inst.program("mariadb-install-db"), flags...)
}
