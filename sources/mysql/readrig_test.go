package mysql

import (
	"context"
	"strings"
	"testing"

	"cdc/e2e/testservers"
	"cdc/schema"
	"cdc/sources/mysql/binlog"
	"cdc/sources/mysql/value"
)

// readRig reads a database of its own through an account that may do no more than capture needs.
type readRig struct {
	testing.TB
	m  *testservers.MySQL
	db string
	s  *Source
}

// eachReadRig runs a test on both servers, against a database in which the statements have been run.
func eachReadRig(t *testing.T, test func(t *testing.T, r *readRig)) {
	bothFlavours(t, func(t *testing.T, m *testservers.MySQL) { test(t, newReadRig(t, m)) })
}

func newReadRig(t testing.TB, m *testservers.MySQL) *readRig {
	t.Helper()
	r := &readRig{TB: t, m: m, db: m.Database(t)}
	user := m.Role(t, testservers.MySQLCaptureRole{Databases: []string{r.db}})
	s, err := New(Options{DSN: m.DSN(user, r.db), Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	r.s = s
	return r
}

func (r *readRig) maria() bool { return r.m.Flavour() == testservers.FlavourMariaDB }

// sql runs statements as the superuser.
func (r *readRig) sql(statements ...string) string {
	r.Helper()
	out, err := r.m.SQL(context.Background(), r.db, strings.Join(statements, ";\n"))
	if err != nil {
		r.Fatalf("%v", err)
	}
	return out
}

func (r *readRig) session() *session {
	r.Helper()
	c, err := r.s.connect(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(c.close)
	return c
}

// info is a table as the catalogue has it.
func (r *readRig) info(name string) tableInfo {
	r.Helper()
	info, ok, err := r.session().table(r.db, name)
	if err != nil || !ok {
		r.Fatalf("table %s: %v, %v", name, ok, err)
	}
	return info
}

// version is a table's version as the catalogue describes it.
func (r *readRig) version(name string) *schema.Table {
	r.Helper()
	info := r.info(name)
	v, err := info.version("shop", 1, nil)
	if err != nil {
		r.Fatal(err)
	}
	return v
}

// end is the end of the binlog.
func (r *readRig) end() *Position {
	r.Helper()
	c := r.session()
	is, err := c.server()
	if err != nil {
		r.Fatal(err)
	}
	p, err := r.s.current(c, is)
	if err != nil {
		r.Fatal(err)
	}
	return p
}

// tableMaps are the columns of the database's tables as the binlog describes them from a position to its end, the last of each.
func (r *readRig) tableMaps(from *Position) map[string][]value.Column {
	r.Helper()
	is, err := r.session().server()
	if err != nil {
		r.Fatal(err)
	}
	end := r.end().place()
	f, err := r.s.startFeed(r.Context(), is, from)
	if err != nil {
		r.Fatal(err)
	}
	defer f.close()
	maps := map[string][]value.Column{}
	var format binlog.Format
	sum := binlog.ChecksumDetect
	for at := from.place(); end.after(at); {
		raw, err := f.next()
		if err != nil {
			r.Fatal(err)
		}
		e, err := binlog.Split(raw, sum)
		if err != nil {
			r.Fatal(err)
		}
		switch e.Type {
		case binlog.TypeFormatDescription:
			if format, err = binlog.ParseFormat(e); err != nil {
				r.Fatal(err)
			}
			sum = format.Checksum
			continue
		case binlog.TypeTableMap:
			m, err := binlog.ParseTableMap(e)
			if err != nil {
				r.Fatal(err)
			}
			if string(m.Schema) == r.db {
				if maps[string(m.Name)], _, err = m.Columns(&format); err != nil {
					r.Fatal(err)
				}
			}
		}
		if e.NextPos != 0 && e.Flags&binlog.FlagArtificial == 0 && e.Type != binlog.TypeHeartbeat && e.Type != binlog.TypeHeartbeatV2 {
			at.offset = uint64(e.NextPos)
		}
	}
	return maps
}

