package binlog

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
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

	"cdc/e2e/testservers"
)

var record = flag.Bool("record", false, "write what the servers send into testdata")

// server is a server of a test's own: the workload changes its settings.
type server struct {
	testing.TB
	*testservers.MySQL
	conn *client.Conn
}

// open starts a server.
func open(t testing.TB, flavour testservers.Flavour) *server {
	t.Helper()
	settings := map[string]string{"binlog_rows_query_log_events": "ON"}
	if flavour == testservers.FlavourMariaDB {
		settings = map[string]string{"binlog_annotate_row_events": "ON"}
	}
	s := &server{TB: t, MySQL: testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: flavour, Settings: settings})}
	var err error
	if s.conn, err = client.Connect(s.Addr(), s.Superuser(), s.Password(s.Superuser()), ""); err != nil {
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
	host, text, err := net.SplitHostPort(s.Addr())
	if err != nil {
		s.Fatal(err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		s.Fatal(err)
	}
	syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{
		ServerID: rand.Uint32N(1<<31) + 2, Flavor: string(s.Flavour()), Host: host, Port: uint16(port),
		User: s.Superuser(), Password: s.Password(s.Superuser()), Logger: slog.New(slog.DiscardHandler), RawModeEnabled: true, HeartbeatPeriod: time.Second / 2, DumpCommandFlag: useHeartbeatV2,
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

func TestMySQLStream(t *testing.T) {
	s := open(t, testservers.FlavourMySQL)
	t.Run("is read as the client library reads it", func(t *testing.T) { s.compareStream(t, mysqlWorkload) })
	t.Run("has the GTIDs that the server has executed", s.compareExecuted)
	t.Run("has sets that the server computes alike", s.compareArithmetic)
}

func TestMariaDBStream(t *testing.T) {
	s := open(t, testservers.FlavourMariaDB)
	t.Run("is read as the client library reads it", func(t *testing.T) { s.compareStream(t, mariaWorkload) })
	t.Run("has the GTIDs of the server's position", s.comparePosition)
}

func (s *server) compareStream(t *testing.T, load []string) {
	raws := s.events(s.run(commonWorkload, load))
	compareWithLibrary(t, string(s.Flavour()), raws)
	if *record {
		name := filepath.Join("testdata", string(s.Flavour())+".events")
		if err := os.WriteFile(name, slices.Concat(raws...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// compareArithmetic lets the server compare and subtract sets.
func (s *server) compareArithmetic(t *testing.T) {
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

// compareExecuted adds the GTIDs of the whole log to the set that each file begins with.
func (s *server) compareExecuted(t *testing.T) {
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
	st.read(t, s.events(s.files()[0]))
	if executed := mustSet(t, s.text("SELECT @@gtid_executed")); !set.Equal(executed) {
		t.Errorf("%s, server %s", set, executed)
	}
}

// comparePosition follows the GTIDs of the whole log.
func (s *server) comparePosition(t *testing.T) {
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
	st.read(t, s.events(s.files()[0]))
	if server, err := ParseMariaPos(s.text("SELECT @@gtid_binlog_pos")); err != nil || !pos.Equal(server) {
		t.Errorf("%s, server %s, %v", pos, server, err)
	}
}
