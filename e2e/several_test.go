//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"cdc/e2e/testservers"
)

// several are databases of all kinds in one folder.
type several struct {
	*capture // of the first
	all      []*capture
}

// newSeveral makes a table of a part of the same orders in each database.
func newSeveral(t *testing.T) *several {
	t.Helper()
	pg := newRig(t, testservers.Shared(t))
	s := &several{capture: pg.capture, all: []*capture{pg.capture}}
	pg.appSQL("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'pg'), (2, 'pg')")
	for _, f := range testservers.Flavours {
		c := newMySQLRig(t, testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f, Name: "several " + string(f)}))
		c.appSQL("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, '" + string(f) + "'), (2, '" + string(f) + "')")
		s.all = append(s.all, c.capture)
	}
	for i, c := range s.all { // all are asked about one folder
		c.dir, c.source = s.dir, sourceNames[i]
	}
	return s
}

// sourceNames are those of the three.
var sourceNames = []string{"shop", "stock", "billing"}

// mysqlOf is the rig of the second or third.
func (s *several) mysqlOf(i int) *mysqlRig { return s.all[i].origin.(*mysqlRig) }

func (s *several) start() *process {
	s.t.Helper()
	args := []string{"run"}
	for _, c := range s.all {
		args = append(args, c.dsn())
	}
	for _, name := range sourceNames {
		args = append(args, "--name", name)
	}
	return startProcess(s.capture, append(args, "--data", s.data(), "--http", "127.0.0.1:0", "--log-level", "info")...)
}

// await waits until a source's table holds a row, by what SQL answers.
func (s *several) await(p *process, source, note string) {
	s.t.Helper()
	until(s.t, source+" to hold "+note, func() bool {
		r := s.cdc("sql", "SELECT count(*) AS n FROM "+source+"."+s.schemaOf(source)+".orders WHERE note = '"+note+"'", "--format", "csv")
		return r.code == 0 && !strings.Contains(r.out, "\n0") || p.ended()
	})
	if p.ended() {
		s.t.Fatalf("cdc run ended with code %d:\n%s", p.code(), tail(p.text(), logLinesShown))
	}
}

// schemaOf is the source's own name of the place of its tables.
func (s *several) schemaOf(source string) string {
	for _, c := range s.all[1:] {
		if c.source == source {
			return c.database
		}
	}
	return "public"
}

// Goal: one log holds databases of all kinds, SQL joins them as of one moment,
// and what happens to one does not stop the others.
func TestSeveralSourcesInOneLog(t *testing.T) {
	t.Parallel()
	s := newSeveral(t)
	p := s.start()
	for _, c := range s.all {
		until(t, c.source+" to be copied", func() bool { status := c.status(); return status.copied() || p.ended() })
	}
	if p.ended() {
		t.Fatalf("cdc run ended with code %d:\n%s", p.code(), tail(p.text(), logLinesShown))
	}
	for _, c := range s.all {
		c.appSQL("INSERT INTO orders VALUES (3, 'third')")
	}
	for _, name := range sourceNames {
		s.await(p, name, "third")
	}
	join := fmt.Sprintf(`SELECT a.id, a.note AS a, b.note AS b, c.note AS c FROM shop.public.orders a
JOIN stock.%s.orders b USING (id) JOIN billing.%s.orders c USING (id) ORDER BY id`, s.schemaOf("stock"), s.schemaOf("billing"))
	if out := s.must("sql", join, "--format", "csv"); out != "id,a,b,c\n1,pg,mysql,mariadb\n2,pg,mysql,mariadb\n3,third,third,third\n" {
		t.Errorf("the join holds:\n%s", out)
	}
	s.must("tag", "before")
	for _, c := range s.all {
		c.appSQL("DELETE FROM orders WHERE id = 2")
		c.appSQL("INSERT INTO orders VALUES (4, 'fourth')")
	}
	for _, name := range sourceNames {
		s.await(p, name, "fourth")
	}
	if out := s.must("sql", "--as-of", "TAG before", join, "--format", "csv"); strings.Count(out, "\n") != 4 || strings.Contains(out, "fourth") {
		t.Errorf("as of the tag the join holds:\n%s", out)
	}
	if out := s.must("sql", join, "--format", "csv"); out != "id,a,b,c\n1,pg,mysql,mariadb\n3,third,third,third\n4,fourth,fourth,fourth\n" {
		t.Errorf("now the join holds:\n%s", out)
	}
	s.oneIsDown(p)
	s.oneIsStopped(p)
}

// oneIsDown has one server die: the others go on, and it does when it is back.
func (s *several) oneIsDown(p *process) {
	s.t.Helper()
	stock := s.mysqlOf(1)
	if err := stock.server.Kill(); err != nil {
		s.t.Fatal(err)
	}
	until(s.t, "the loss to be noticed", func() bool { status := stock.status(); return !status.streams() })
	s.all[0].appSQL("INSERT INTO orders VALUES (5, 'while one is down')")
	s.all[2].appSQL("INSERT INTO orders VALUES (5, 'while one is down')")
	s.await(p, "shop", "while one is down")
	s.await(p, "billing", "while one is down")
	if ready := s.get(p, "/readyz"); !strings.Contains(ready, "stock") {
		s.t.Errorf("/readyz does not tell of the source that is down:\n%s", ready)
	}
	metrics := s.get(p, "/metrics")
	for _, name := range sourceNames {
		if !strings.Contains(metrics, `source="`+name+`"`) {
			s.t.Errorf("/metrics has nothing of %s", name)
		}
	}
	if err := stock.server.Restart(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	stock.forgetAdmin()
	stock.appSQL("INSERT INTO orders VALUES (5, 'back')")
	s.await(p, "stock", "back")
}

// oneIsStopped brings one source into a named stop: the others go on, and it
// does when an operator has decided.
func (s *several) oneIsStopped(p *process) {
	s.t.Helper()
	billing := s.mysqlOf(2)
	billing.sql("SET SESSION binlog_format = 'STATEMENT'; UPDATE orders SET note = 'by a statement'")
	until(s.t, "the source to stop", func() bool { return len(billing.status().Stops) > 0 || p.ended() })
	s.all[0].appSQL("INSERT INTO orders VALUES (6, 'while one is stopped')")
	s.all[1].appSQL("INSERT INTO orders VALUES (6, 'while one is stopped')")
	s.await(p, "shop", "while one is stopped")
	s.await(p, "stock", "while one is stopped")
	s.must("resolve", "billing", "--recopy")
	until(s.t, "the source to go on", func() bool { status := billing.status(); return status.copied() && len(status.Stops) == 0 || p.ended() })
	s.await(p, "billing", "by a statement")
	var passwords []string
	for _, c := range s.all {
		_, password, _ := strings.Cut(c.password(), "=")
		passwords = append(passwords, "CDC_"+strings.ToUpper(c.source)+"_PASSWORD="+password)
	}
	if r := execute(s.t, passwords, "verify", "--data", s.data()); r.code != 0 {
		s.t.Errorf("tables differ from their sources: %v", r)
	}
	p.stop()
}

// get asks the program's HTTP listener.
func (s *several) get(p *process, path string) string {
	s.t.Helper()
	address := s.statusField("http")
	ctx, cancel := context.WithTimeout(s.t.Context(), answerLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, tail(p.text(), logLinesShown))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// statusField is a text of the folder's status.
func (s *several) statusField(name string) string {
	_, rest, _ := strings.Cut(s.must("status", "--json"), `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}
