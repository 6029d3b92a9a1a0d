package mysql

import (
	"strings"
	"testing"
	"time"

	"cdc/e2e/testservers"
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
