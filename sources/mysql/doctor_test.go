package mysql

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"cdc/e2e/testservers"
	"cdc/sources"
)

// find gives the findings of a check.
func find(found []sources.Finding, check string) (of []sources.Finding) {
	for _, f := range found {
		if f.Check == check {
			of = append(of, f)
		}
	}
	return of
}

func TestDoctorFindsNothingWrongWithAServerThatIsFit(t *testing.T) {
	bothFlavours(t, func(t *testing.T, m *testservers.MySQL) {
		db := m.Database(t)
		if _, err := m.SQL(t.Context(), db, "CREATE TABLE t (id int PRIMARY KEY); CREATE VIEW v AS SELECT * FROM t"); err != nil {
			t.Fatal(err)
		}
		s := sourceAt(t, m.DSN(m.Role(t, testservers.MySQLCaptureRole{Databases: []string{db}}), db))
		s.o.ServerID = 555 // of no other test
		found, err := s.Doctor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if f.Severity != sources.SeverityOK {
				t.Errorf("%+v", f)
			}
		}
		for _, check := range []string{"server", "server id", "binlog", "binlog_format", "binlog_row_image", "binlog_row_metadata", "gtid_mode", "binlog_checksum", "login", "privileges", "binlog retention", "disk", "server id in use", "tables"} {
			if len(find(found, check)) != 1 {
				t.Errorf("no finding, or several, of %q: %+v", check, found)
			}
		}
		if f := find(found, "tables"); !strings.HasPrefix(f[0].Detail, "1 ") {
			t.Errorf("%+v", f)
		}
		if dropped, err := s.Drop(t.Context()); dropped != nil || err != nil {
			t.Errorf("%v %v", dropped, err)
		}
	})
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	for _, f := range []testservers.Flavour{testservers.FlavourMySQL, testservers.FlavourMariaDB} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			settings := map[string]string{"binlog_format": "MIXED", "binlog_row_image": "MINIMAL", "binlog_row_metadata": "MINIMAL", "binlog_checksum": "NONE"}
			if f == testservers.FlavourMySQL {
				settings["gtid_mode"], settings["enforce_gtid_consistency"], settings["binlog_expire_logs_seconds"] = "OFF", "OFF", "3600"
			} else {
				settings["expire_logs_days"] = "0.5"
			}
			m := testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f, Settings: settings})
			s := sourceAt(t, account(t, m, "_weak", withPassword))
			found, err := s.Doctor(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for check, want := range map[string]sources.Severity{
				"binlog_format": sources.SeverityProblem, "privileges": sources.SeverityProblem, "binlog_row_image": sources.SeverityWarning,
				"binlog_row_metadata": sources.SeverityWarning, "binlog_checksum": sources.SeverityWarning, "binlog retention": sources.SeverityWarning, "tables": sources.SeverityWarning,
			} {
				if !slices.ContainsFunc(find(found, check), func(f sources.Finding) bool { return f.Severity == want }) {
					t.Errorf("no %s of %q: %+v", want, check, find(found, check))
				}
			}
			if f == testservers.FlavourMySQL && find(found, "gtid_mode")[0].Severity != sources.SeverityWarning {
				t.Errorf("%+v", find(found, "gtid_mode"))
			}
			mend(t, m, s, found)
		})
	}
}

// mend runs the statements of the findings as they stand, after which nothing but the tables is left to find.
func mend(t *testing.T, m *testservers.MySQL, s *Source, found []sources.Finding) {
	t.Helper()
	for _, f := range found {
		_, statement, ok := strings.Cut(f.Remedy, "run: ")
		if strings.Contains(f.Remedy, "wait after each") {
			_, statement, ok = strings.Cut(f.Remedy, "is 0: ")
		}
		if !ok {
			continue
		}
		statement = statement[:strings.LastIndexByte(statement, ';')+1]
		if _, err := m.SQL(t.Context(), "", statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	found, err := s.Doctor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Severity != sources.SeverityOK && f.Check != "tables" {
			t.Errorf("after the statements: %+v", f)
		}
	}
}

func TestDoctorSeesThatTheServerWritesNoBinlog(t *testing.T) {
	m := testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: testservers.FlavourMariaDB, NoBinlog: true})
	s := sourceAt(t, account(t, m, "_none", withPassword))
	found, err := s.Doctor(t.Context())
	if err != nil || len(find(found, "binlog")) != 1 || find(found, "binlog")[0].Severity != sources.SeverityProblem {
		t.Errorf("%+v, %v", found, err)
	}
	c := sessionAt(t, m.SuperuserDSN(""))
	if _, _, _, err := c.binlogEnd(); err == nil {
		t.Error("a binlog that there is not has an end")
	}
}

func TestDoctorSeesAnotherReaderWithOurNumber(t *testing.T) {
	m := testservers.SharedMySQL(t, testservers.FlavourMySQL)
	db := m.Database(t)
	s := sourceAt(t, m.DSN(m.Role(t, testservers.MySQLCaptureRole{Databases: []string{db}}), db))
	s.o.ServerID = 556
	reader := sessionAt(t, s.o.DSN)
	// COM_REGISTER_SLAVE: number, host, user, password, port, rank, number of the master.
	if err := reader.send(0x15, append([]byte{0x2c, 2, 0, 0, 0, 0, 0}, make([]byte, 10)...)); err != nil {
		t.Fatal(err)
	}
	if err := reader.packet(); err != nil || reader.buf[0] != 0 {
		t.Fatal(err, reader.buf)
	}
	found, err := s.Doctor(t.Context())
	if f := find(found, "server id in use"); err != nil || len(f) != 1 || f[0].Severity != sources.SeverityWarning {
		t.Errorf("%+v, %v", f, err)
	}
}

// On RDS, what the server's variables say of the binlog's age is not what holds.
func TestRetentionOfAService(t *testing.T) {
	m := testservers.SharedMySQL(t, testservers.FlavourMySQL)
	c := sessionAt(t, account(t, m, "_rds", withPassword))
	d := &doctor{s: sourceAt(t, "mysql://u@localhost/"), c: c, is: server{binlog: true, cloud: "RDS", keepSeconds: 1 << 20}}
	if err := d.retention(); err != nil || len(d.findings) != 1 || !strings.Contains(d.findings[0].Remedy, "rds_set_configuration") {
		t.Errorf("%+v, %v", d.findings, err)
	}
}

func TestDoctorSaysThatItCouldNotAsk(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if found, err := sourceAt(t, "mysql://u@127.0.0.1:1/").Doctor(ctx); err == nil || found != nil {
		t.Errorf("%v %v", found, err)
	}
}
