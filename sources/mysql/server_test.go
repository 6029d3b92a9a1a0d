package mysql

import (
	"strings"
	"testing"
	"time"

	"cdc/e2e/testservers"
	"cdc/sources/mysql/binlog"
)

func TestServerSaysWhatItIs(t *testing.T) {
	bothFlavours(t, func(t *testing.T, m *testservers.MySQL) {
		db := m.Database(t)
		c := sessionAt(t, m.DSN(m.Role(t, testservers.MySQLCaptureRole{Databases: []string{db}}), db))
		is, err := c.server()
		if err != nil {
			t.Fatal(err)
		}
		want := flavourMySQL
		if m.Flavour() == testservers.FlavourMariaDB {
			want = flavourMariaDB
		}
		if is.flavour != want || !strings.HasPrefix(is.text, is.version.String()) || is.identity == "" || is.serverID != 1 {
			t.Errorf("%+v", is)
		}
		if !is.binlog || is.format != "ROW" || is.rowImage != "FULL" || is.rowMetadata != "FULL" || !is.gtid || is.checksum == "" {
			t.Errorf("binlog of %+v", is)
		}
		end, err := m.BinlogEnd(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		file, pos, gtids, err := c.binlogEnd()
		if err != nil || file != end.File || pos < end.Offset || gtids == "" {
			t.Errorf("the end is %s %d %q, %v; want %+v", file, pos, gtids, err, end)
		}
		files, err := c.binlogFiles()
		if err != nil || len(files) == 0 || files[len(files)-1].name < end.File {
			t.Errorf("%v %v", files, err)
		}
		now, err := c.now()
		if off := time.Now().UnixMicro() - int64(now); err != nil || off < -1e6 || off > 1e6 {
			t.Errorf("the clock is off by %d: %v", off, err)
		}
	})
}

// The least-privilege account may ask all that the stream asks, and a place of the binlog has the GTIDs that it had when it was the end.
func TestGTIDsOfAServer(t *testing.T) {
	bothFlavours(t, func(t *testing.T, m *testservers.MySQL) {
		db := m.Database(t)
		c := sessionAt(t, m.DSN(m.Role(t, testservers.MySQLCaptureRole{Databases: []string{db}}), db))
		file, pos, before, err := c.binlogEnd()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.SQL(t.Context(), db, "CREATE TABLE t (id int PRIMARY KEY)"); err != nil {
			t.Fatal(err)
		}
		ask := map[string]func() (string, error){"executed": c.gtidExecuted, "purged": c.gtidPurged}
		if m.Flavour() == testservers.FlavourMariaDB {
			ask = map[string]func() (string, error){"binlog": c.gtidBinlogPos, "current": c.gtidCurrentPos, "state": c.gtidBinlogState}
			at, ok, err := c.gtidAt(file, pos)
			if err != nil || !ok || !parsePos(t, before).IsSubset(parsePos(t, at)) {
				t.Errorf("at %s %d: %q %v %v, want %q or more", file, pos, at, ok, err, before)
			}
			if _, ok, err := c.gtidAt("binlog.999999", 4); ok || err != nil {
				t.Errorf("at a place that there is not: %v %v", ok, err)
			}
		}
		for name, f := range ask {
			got, err := f()
			if err != nil || strings.ContainsAny(got, "\n ") || (got == "" || got == before) != (name == "purged") {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	})
}

func parsePos(t *testing.T, text string) *binlog.MariaPos {
	t.Helper()
	p, err := binlog.ParseMariaPos(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
