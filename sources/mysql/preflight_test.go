package mysql

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"cdc/e2e/testservers"
	"cdc/sources"
)

// preflight connects and checks.
func preflight(t testing.TB, s *Source) error {
	t.Helper()
	c, err := s.connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	is, err := c.server()
	if err != nil {
		t.Fatal(err)
	}
	g, err := c.grants(is)
	if err != nil {
		t.Fatal(err)
	}
	return s.checkServer(is, g)
}

// Each privilege of the least-privilege account is taken away in turn: the error must name that one and no other, and the statement that
// it holds, run as it stands, must mend it.
func TestEachMissingPrivilegeIsNamedWithItsStatement(t *testing.T) {
	bothFlavours(t, func(t *testing.T, m *testservers.MySQL) {
		db := m.Database(t)
		role := m.Role(t, testservers.MySQLCaptureRole{Databases: []string{db}})
		s := sourceAt(t, m.DSN(role, db))
		if err := preflight(t, s); err != nil {
			t.Fatalf("with all privileges: %v", err)
		}
		client := privilegeClient
		if m.Flavour() == testservers.FlavourMariaDB {
			client = privilegeMonitor
		}
		account := quoteText(role) + "@'%'"
		for _, privilege := range []struct{ name, object string }{{privilegeSlave, "*.*"}, {client, "*.*"}, {privilegeSelect, onDatabase(db)}} {
			if _, err := m.SQL(t.Context(), "", "REVOKE "+privilege.name+" ON "+privilege.object+" FROM "+account); err != nil {
				t.Fatal(err)
			}
			err := preflight(t, s)
			var unfit *sources.Unfit
			if !errors.As(err, &unfit) || strings.Count(err.Error(), "lacks") != 1 || !strings.Contains(unfit.Detail, "lacks "+privilege.name) {
				t.Fatalf("without %s: %v", privilege.name, err)
			}
			if _, err := m.SQL(t.Context(), "", strings.TrimPrefix(unfit.Remedy, "run: ")); err != nil {
				t.Fatal(err)
			}
			if err := preflight(t, s); err != nil {
				t.Fatalf("with %s again: %v", privilege.name, err)
			}
		}
	})
}

func TestPrivilegesMayComeFromARole(t *testing.T) {
	bothFlavours(t, func(t *testing.T, m *testservers.MySQL) {
		db := m.Database(t)
		user, role := db+"_user", db+"_role"
		client := privilegeClient
		if m.Flavour() == testservers.FlavourMariaDB {
			client = privilegeMonitor
		}
		t.Cleanup(func() {
			_, _ = m.SQL(context.Background(), "", "DROP ROLE IF EXISTS "+role+"; DROP USER IF EXISTS "+user)
		})
		err := m.CreateUser(t.Context(), user, secretWord, "CREATE ROLE "+role, "GRANT "+privilegeSlave+", "+client+" ON *.* TO "+role,
			"GRANT SELECT ON "+onDatabase(db)+" TO "+role, "GRANT "+role+" TO "+user)
		if err != nil {
			t.Fatal(err)
		}
		s := sourceAt(t, m.DSN(user, db))
		if err := preflight(t, s); err == nil || !strings.Contains(err.Error(), "SET DEFAULT ROLE") {
			t.Fatalf("with a role that is not in force: %v", err)
		}
		statement := "SET DEFAULT ROLE " + role + " TO " + user
		if m.Flavour() == testservers.FlavourMariaDB {
			statement = "SET DEFAULT ROLE " + role + " FOR " + user
		}
		if _, err := m.SQL(t.Context(), "", statement); err != nil {
			t.Fatal(err)
		}
		if err := preflight(t, s); err != nil {
			t.Fatalf("with the role in force: %v", err)
		}
	})
}

// fit is a server that lacks nothing.
var fit = server{
	flavour: flavourMySQL, text: "8.4.3", version: 8_04_03, serverID: 1, binlog: true, format: "ROW", rowImage: "FULL", rowMetadata: "FULL", gtid: true,
	gtidMode: "ON", checksum: "CRC32", keepSeconds: 7 * 86400,
}

func TestWhatTheServerLacksIsSaidWithItsStatement(t *testing.T) {
	s := sourceAt(t, "mysql://u@localhost/")
	s.o.ServerID = 99
	able := grantsOf("GRANT ALL PRIVILEGES ON *.* TO `u`@`%`")
	if err := s.checkServer(fit, able); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		change  func(*server)
		problem bool
		mention string
	}{
		{"old MySQL", func(is *server) { is.version, is.text = 5_06_51, "5.6.51" }, true, "5.7.0 or newer"},
		{"old MariaDB", func(is *server) { is.flavour, is.version = flavourMariaDB, 10_04_30 }, true, "10.5.0 or newer"},
		{"another product", func(is *server) { is.text = "8.0.11-TiDB-v7.5.0" }, true, "no MySQL"},
		{"no binlog", func(is *server) { is.binlog = false }, true, "log_bin = binlog"},
		{"MIXED", func(is *server) { is.format = "MIXED" }, true, "SET GLOBAL binlog_format = 'ROW';"},
		{"STATEMENT", func(is *server) { is.format = "STATEMENT" }, true, "binlog_format is STATEMENT"},
		{"same server id", func(is *server) { is.serverID = 99 }, true, "another server_id"},
		{"MINIMAL image", func(is *server) { is.rowImage = "MINIMAL" }, false, "SET GLOBAL binlog_row_image = 'FULL';"},
		{"partial JSON", func(is *server) { is.partialJSON = true }, false, "PARTIAL_JSON"},
		{"MINIMAL metadata", func(is *server) { is.rowMetadata = "MINIMAL" }, false, "SET GLOBAL binlog_row_metadata = 'FULL';"},
		{"no metadata", func(is *server) { is.rowMetadata = "" }, false, "upgrade"},
		{"no GTIDs", func(is *server) { is.gtid, is.gtidMode = false, "OFF" }, false, "SET GLOBAL gtid_mode = ON;"},
		{"no checksums", func(is *server) { is.checksum = "NONE" }, false, "SET GLOBAL binlog_checksum = CRC32;"},
	} {
		is := fit
		test.change(&is)
		err := s.checkServer(is, able)
		var unfit *sources.Unfit
		if errors.As(err, &unfit) != test.problem || test.problem && !strings.Contains(err.Error(), test.mention) {
			t.Errorf("%s: %v", test.name, err)
		}
		severity := sources.SeverityWarning
		if test.problem {
			severity = sources.SeverityProblem
		}
		if !slices.ContainsFunc(s.checkSettings(is), func(f sources.Finding) bool {
			return f.Severity == severity && strings.Contains(f.Detail+f.Remedy, test.mention)
		}) {
			t.Errorf("%s: no %s mentions %q", test.name, severity, test.mention)
		}
	}
	broken := fit
	broken.format, broken.version = "MIXED", 5_06_00
	if err := s.checkServer(broken, grants{account: "'u'@'%'"}); err == nil || !strings.Contains(err.Error(), "MIXED") ||
		!strings.Contains(err.Error(), "5.6.0") || strings.Count(err.Error(), "GRANT ") != 3 {
		t.Errorf("not everything at once: %v", err)
	}
}

func TestVariablesOfServers(t *testing.T) {
	base := map[string]string{"version": "5.7.44-log", "server_uuid": "u-1", "log_bin": "ON", "expire_logs_days": "1", "server_id": "5", "port": "3306"}
	is, err := serverOf(base)
	if err != nil || is.version != 5_07_44 || is.flavour != flavourMySQL || is.identity != "u-1" || is.keepSeconds != 86400 || !is.binlog {
		t.Errorf("%+v, %v", is, err)
	}
	maria := map[string]string{
		"version": "11.4.2-MariaDB", "server_id": "5", "hostname": "db1", "port": "3306", "binlog_expire_logs_seconds": "3600", "expire_logs_days": "0.041667",
		"log_bin_compress": "ON", "lower_case_table_names": "1", "max_binlog_total_size": "1048576",
	}
	is, err = serverOf(maria)
	if err != nil || is.flavour != flavourMariaDB || is.identity != "5/db1:3306" || is.keepSeconds != 3600 || !is.gtid || !is.compressed || !is.foldCase || is.binlogMax != 1<<20 {
		t.Errorf("%+v, %v", is, err)
	}
	maria["server_uid"] = "hash="
	if is, _ = serverOf(maria); is.identity != "5/hash=" {
		t.Errorf("identity %q", is.identity)
	}
	for _, bad := range []map[string]string{{"version": ""}, {"version": "x"}, {"version": "8.400.1"}, {"version": "8.0.1", "server_id": "x"}, {"version": "8.0.1", "expire_logs_days": "-1"}} {
		if _, err := serverOf(bad); err == nil {
			t.Errorf("%v is read", bad)
		}
	}
}
