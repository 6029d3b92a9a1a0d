package mysql

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sources"
	"cdc/sources/sourcetest"
)

// TestMain has more tests side by side than there are processors: they wait for servers most of the time.
func TestMain(m *testing.M) {
	flag.Parse()
	const sideBySide = 8
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set(strconv.Itoa(sideBySide))
	}
	os.Exit(m.Run())
}

// rig captures a database of its own into a log of its own, as the account that capture needs and by way of a proxy.
type rig struct {
	*sourcetest.Capture
	m      *testservers.MySQL
	db     string
	user   string
	proxy  *testservers.Proxy
	o      Options
	open   *testSession
	source *Source
}

// newRig makes a database with the statements run in it. Nothing is captured yet.
func newRig(t testing.TB, m *testservers.MySQL, statements ...string) *rig {
	t.Helper()
	r := &rig{m: m, db: m.Database(t)}
	r.user = m.Role(t, testservers.MySQLCaptureRole{Databases: []string{r.db}})
	var err error
	if r.proxy, err = testservers.StartProxy(m.Addr()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.proxy.Close() })
	r.o = Options{DSN: m.DSNVia(r.proxy.Addr(), r.user, r.db), Name: sourcetest.Name}
	r.Capture = sourcetest.NewCapture(t, r.newSource)
	r.AnyColumn = true
	r.open = r.session()
	r.sql(statements...)
	return r
}

func (r *rig) newSource(log changelog.Log, logger *slog.Logger) (sources.Source, error) {
	o := r.o
	o.LogID, o.Logger = log.ID(), logger
	s, err := New(o)
	r.source = s
	return s, err
}

func (r *rig) maria() bool { return r.m.Flavour() == testservers.FlavourMariaDB }

// sql runs statements in a session that stays open.
func (r *rig) sql(statements ...string) {
	r.Helper()
	r.open.Do(statements...)
}

// again opens the session anew, and waits until the server has ended the one before.
func (r *rig) again() {
	r.Helper()
	id := strconv.FormatUint(uint64(r.open.s.ID()), 10)
	r.open.s.Close()
	r.open = r.session()
	for r.open.ask("SELECT count(*) FROM information_schema.processlist WHERE id = "+id) != "0" {
		runtime.Gosched()
	}
}

// testSession is a session of the superuser that stays open. It is for one goroutine.
type testSession struct {
	testing.TB
	s *testservers.MySQLSession
}

func (r *rig) session() *testSession {
	r.Helper()
	s, err := r.m.Open(context.Background(), r.m.Superuser(), r.db)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(s.Close)
	return &testSession{TB: r.TB, s: s}
}

// Do runs statements one after the other.
func (s *testSession) Do(statements ...string) {
	s.Helper()
	for _, sql := range statements {
		s.ask(sql)
	}
}

// ask returns what a statement prints.
func (s *testSession) ask(sql string) string {
	s.Helper()
	out, err := s.s.SQL(context.Background(), sql)
	if err != nil {
		s.Fatalf("%.200s: %v", sql, err)
	}
	return out
}

// rows are a table's rows at the server as sourcetest.RowText writes them, of types that both write alike.
func (r *rig) rows(table string) []string {
	r.Helper()
	columns := r.open.ask("SELECT group_concat(concat('ifnull(convert(`', column_name, '` using utf8mb4), ''\\\\\\\\N'')') ORDER BY ordinal_position SEPARATOR ',')" +
		" FROM information_schema.columns WHERE table_schema = '" + r.db + "' AND table_name = '" + table + "'")
	if columns == "" {
		r.Fatalf("the server has no table %s", table)
	}
	out := r.open.ask("SELECT concat_ws('|'," + columns + ") FROM `" + table + "`")
	if out == "" {
		return nil
	}
	return strings.Split(out, "\n")
}

// same compares tables of the log with those of the server.
func (r *rig) same(tables ...string) {
	r.Helper()
	for _, name := range tables {
		r.Same(name, r.rows(name))
	}
}

// eachRig runs a test on the shared server of each flavour.
func eachRig(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	t.Parallel()
	bothFlavours(t, func(t *testing.T, m *testservers.MySQL) { test(t, newRig(t, m)) })
}

// alone is the server of each flavour whose settings and binlog tests change. Its server_id differs from the shared one's.
var alone = map[testservers.Flavour]*aloneServer{testservers.FlavourMySQL: {}, testservers.FlavourMariaDB: {}}

type aloneServer struct {
	turn sync.Mutex // of the test that has the server
	m    *testservers.MySQL
}

// aloneMySQL is a server that no other test uses until the end of this one. What a test changes it changes back.
func aloneMySQL(t testing.TB, f testservers.Flavour) *testservers.MySQL {
	t.Helper()
	a := alone[f]
	a.turn.Lock()
	t.Cleanup(a.turn.Unlock)
	if a.m == nil {
		m, err := testservers.StartMySQL(context.Background(), testservers.MySQLOptions{Flavour: f, Name: "alone " + string(f), ServerID: 7})
		testservers.RequireServer(t, err)
		a.m = m
	}
	return a.m
}

// eachAlone runs a test on a server of each flavour that no other test uses. Such tests follow one another, before those that are
// parallel, so that none waits for a server in the place of another that could run.
func eachAlone(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	for _, f := range testservers.Flavours {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			test(t, newRig(t, aloneMySQL(t, f)))
		})
	}
}

// global sets a variable of the server until the end of the test.
func (r *rig) global(name, value string) {
	r.Helper()
	before := r.open.ask("SELECT @@global." + name)
	if _, err := strconv.Atoi(before); err != nil {
		before = "'" + before + "'"
	}
	r.Cleanup(func() {
		if _, err := r.m.SQL(context.Background(), "", "SET GLOBAL "+name+" = "+before); err != nil {
			r.Errorf("%v", err)
		}
	})
	r.sql("SET GLOBAL " + name + " = " + value)
}
