package binlog

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

var record = flag.Bool("record", false, "write what the servers send into testdata")

// server is a server of a test's own: the workload changes its settings.
type server struct {
	testing.TB
	flavor         string
	host, user, pw string
	port           uint16
	conn           *client.Conn
}

// openServer connects to the server that an environment variable names by the URL of its superuser.
func openServer(t testing.TB, flavor, variable string) *server {
	t.Helper()
	dsn := os.Getenv(variable)
	if dsn == "" {
		t.Skipf("%s names no server", variable)
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{TB: t, flavor: flavor, host: u.Hostname(), user: u.User.Username(), port: uint16(port)}
	s.pw, _ = u.User.Password()
	if s.conn, err = client.Connect(u.Host, s.user, s.pw, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.conn.Close() })
	return s
}

func (s *server) exec(query string) *mysql.Result {
	s.Helper()
	r, err := s.conn.Execute(query)
	if err != nil {
		s.Fatalf("%.100s: %v", query, err)
	}
	return r
}

// text is the first field of a query's first row.
func (s *server) text(query string) string {
	s.Helper()
	r := s.exec(query)
	defer r.Close()
	text, err := r.GetString(0, 0)
	if err != nil {
		s.Fatal(err)
	}
	return text
}

func (s *server) files() (names []string) {
	r := s.exec("SHOW BINARY LOGS")
	defer r.Close()
	for i := range r.RowNumber() {
		name, err := r.GetString(i, 0)
		if err != nil {
			s.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// run runs the workload in a fresh file of the log, whose name it returns.
func (s *server) run(load ...[]string) string {
	s.exec("DROP DATABASE IF EXISTS shop")
	s.exec("FLUSH BINARY LOGS")
	file := s.files()[len(s.files())-1]
	for _, query := range slices.Concat(load...) {
		s.exec(query)
	}
	return file
}

// useHeartbeatV2 asks for heartbeats of the second version, as flags of the command that begins a stream.
const useHeartbeatV2 = 2

// events is what the server sends from a file on, until it has nothing more to send and says so.
func (s *server) events(file string) (raws [][]byte) {
	s.Helper()
	syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{
		ServerID: rand.Uint32N(1<<31) + 2, Flavor: s.flavor, Host: s.host, Port: s.port, User: s.user, Password: s.pw,
		RawModeEnabled: true, HeartbeatPeriod: time.Second / 2, DumpCommandFlag: useHeartbeatV2,
	})
	defer syncer.Close()
	stream, err := syncer.StartSync(mysql.Position{Name: file, Pos: 4})
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		ev, err := stream.GetEvent(ctx)
		if err != nil {
			s.Fatal(err)
		}
		raws = append(raws, ev.RawData)
		if t := Type(ev.Header.EventType); t == TypeHeartbeat || t == TypeHeartbeatV2 {
			return raws
		}
	}
}

// What servers send today is read as the client library reads it.
func TestLiveEventsAreReadAsTheClientLibraryReadsThem(t *testing.T) {
	for _, c := range []struct {
		flavor, variable string
		load             []string
	}{{"mysql", "CDC_TEST_MYSQL", mysqlWorkload}, {"mariadb", "CDC_TEST_MARIADB", mariaWorkload}} {
		t.Run(c.flavor, func(t *testing.T) {
			s := openServer(t, c.flavor, c.variable)
			raws := s.events(s.run(commonWorkload, c.load))
			compareWithLibrary(t, c.flavor, raws)
			if *record {
				name := filepath.Join("testdata", c.flavor+".events")
				if err := os.WriteFile(name, slices.Concat(raws...), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// Sets are compared and subtracted as the server does it.
func TestGTIDSetsAreThoseOfTheServer(t *testing.T) {
	s := openServer(t, "mysql", "CDC_TEST_MYSQL")
	random := func() *GTIDSet {
		set := &GTIDSet{}
		for range rand.IntN(40) {
			tag, _ := ParseTag([]string{"", "", "x", "y_1"}[rand.IntN(4)])
			set.Add(GTID{UUID{byte(rand.IntN(2))}, tag, rand.Uint64N(20) + 1})
		}
		return set
	}
	for range 200 {
		a, b := random(), random()
		if rand.IntN(3) == 0 {
			b.Union(a)
		}
		subset := s.text(fmt.Sprintf("SELECT GTID_SUBSET('%s','%s')", a, b))
		minus := strings.ReplaceAll(s.text(fmt.Sprintf("SELECT GTID_SUBTRACT('%s','%s')", a, b)), "\n", "")
		if (subset == "1") != a.IsSubset(b) || minus != a.Minus(b).String() {
			t.Fatalf("%s and %s: subset %t, server %s; minus %q, server %q", a, b, a.IsSubset(b), subset, a.Minus(b), minus)
		}
	}
}

// The GTIDs of a stream, added to the set that the file begins with, give the set that the server says it has executed.
func TestGTIDsOfAStreamGiveTheServersSet(t *testing.T) {
	s := openServer(t, "mysql", "CDC_TEST_MYSQL")
	raws := s.events(s.files()[0])
	set := &GTIDSet{}
	st := stream{}
	st.each = func(e Event, _ []byte) {
		switch e.Type {
		case TypePreviousGTIDs:
			previous, err := ParsePreviousGTIDs(e)
			if err != nil || !set.Empty() && !previous.Equal(set) {
				t.Fatalf("%s begins with %s, %v", set, previous, err)
			}
			set = previous
		case TypeGTID, TypeGTIDTagged:
			g, err := ParseGTID(e)
			if err != nil || !set.Add(g.GTID) {
				t.Fatalf("%s again, %v", g.GTID, err)
			}
		}
	}
	st.read(t, raws)
	if executed := mustSet(t, s.text("SELECT @@gtid_executed")); !set.Equal(executed) {
		t.Errorf("%s, server %s", set, executed)
	}
}

func TestMariaGTIDsOfAStreamGiveTheServersPosition(t *testing.T) {
	s := openServer(t, "mariadb", "CDC_TEST_MARIADB")
	raws := s.events(s.files()[0])
	pos := &MariaPos{}
	st := stream{}
	st.each = func(e Event, _ []byte) {
		switch e.Type {
		case TypeMariaGTIDList:
			list, err := ParseMariaGTIDList(e)
			if err != nil || !pos.Empty() && !list.Pos().Equal(pos) {
				t.Fatalf("%s begins with %v, %v", pos, list, err)
			}
		case TypeMariaGTID:
			g, err := ParseMariaGTIDEvent(e)
			if err != nil {
				t.Fatal(err)
			}
			pos.Add(g.GTID)
		}
	}
	st.read(t, raws)
	if server, err := ParseMariaPos(s.text("SELECT @@gtid_binlog_pos")); err != nil || !pos.Equal(server) {
		t.Errorf("%s, server %s, %v", pos, server, err)
	}
}
