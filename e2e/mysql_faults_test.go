//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"cdc/e2e/testservers"
	"cdc/e2e/workload"
)

// mysqlFaultRig is a rig under load whose connections go through a proxy.
func mysqlFaultRig(t *testing.T, server *testservers.MySQL) (*mysqlRig, *testservers.Proxy, *workload.Workload, func()) {
	t.Helper()
	c := newMySQLRig(t, server)
	proxy, err := testservers.StartProxy(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() }) // the test is over
	c.addr = proxy.Addr()
	w := c.prepareWorkload(workload.Options{Seed: seed(t), Clients: 2, Pause: 20 * time.Millisecond, BigValues: 20_000, Transacted: true})
	return c, proxy, w, c.keepBusy(w)
}

// endsWell asserts that the process is alive, and that after the load the log
// holds what happened.
func (c *mysqlRig) endsWell(p *process, w *workload.Workload, quiet func()) {
	c.t.Helper()
	if p.ended() {
		c.t.Fatalf("cdc run ended with code %d:\n%s", p.code(), tail(p.text(), logLinesShown))
	}
	quiet()
	c.awaitCurrent()
	c.verify()
	c.judge(w)
}

// A connection is cut within one large transaction, again and again, each time
// somewhat later: the transaction is in the log once and whole.
func TestG3G5DisconnectInTheMiddleOfATransaction(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := smallMySQLRig(t, testservers.SharedMySQL(t, f))
		proxy, err := testservers.StartProxy(c.server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = proxy.Close() }) // the test is over
		c.addr = proxy.Addr()
		c.appSQL("CREATE TABLE wide (id int PRIMARY KEY, note varchar(600))")
		p := c.run()
		c.awaitCurrent()
		const rows, size, cuts = 2000, 600, 24
		random := seeded(seed(t))
		proxy.SetPlan(func(n int64) testservers.Plan {
			// A stream gets past the end of the transaction when nothing is cut any more.
			after := int64(1500) + random.Int64N(rows*size)
			return testservers.Plan{ToClient: testservers.Stream{Cut: testservers.Cut{Kind: testservers.CutReset, After: after}}}
		})
		proxy.Cut(testservers.CutReset)
		var values []string
		for i := range rows {
			values = append(values, fmt.Sprintf("(%d, repeat('%c', %d))", i, 'a'+i%26, size))
		}
		accepted := proxy.Stats().Accepted
		c.appSQL("START TRANSACTION; INSERT INTO wide VALUES " + strings.Join(values, ",") + "; INSERT INTO orders VALUES (4, 'with them'); COMMIT")
		until(t, "connections to be cut", func() bool { return proxy.Stats().Accepted > accepted+cuts || p.ended() || c.hasRows("wide", rows) })
		proxy.SetPlan(func(int64) testservers.Plan { return testservers.Plan{} })
		proxy.Cut(testservers.CutReset)
		c.resumes("the last cut")
		c.verify()
		if n := c.transactionsOf("wide"); n != 1 {
			t.Errorf("the transaction is in the log %d times", n)
		}
		t.Logf("%d connections", proxy.Stats().Accepted-accepted)
		if p.ended() {
			t.Fatalf("cdc run ended with code %d:\n%s", p.code(), tail(p.text(), logLinesShown))
		}
	})
}

// hasRows reports whether a table has so many rows by now.
func (c *capture) hasRows(table string, rows int) bool {
	r := c.cdc("sql", "SELECT count(*) AS n FROM "+table, "--format", "csv")
	return r.code == 0 && strings.TrimSpace(r.out) == fmt.Sprintf("n\n%d", rows)
}

// Connections are reset after random numbers of bytes in both directions, while
// tables are copied and while they stream.
func TestG3G8ResetsOfMySQLAtRandomBytesLoseNothing(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c, proxy, w, quiet := mysqlFaultRig(t, testservers.SharedMySQL(t, f))
		random := seeded(seed(t))
		const resets = 16
		var cuts [resets]int64
		for i := range cuts {
			cuts[i] = random.Int64N(60_000)
		}
		proxy.SetPlan(func(n int64) testservers.Plan {
			switch {
			case n%5 == 0:
				return testservers.Plan{}
			case n%4 == 0:
				return testservers.Plan{ToServer: testservers.Stream{Cut: testservers.Cut{Kind: testservers.CutReset, After: cuts[n%resets] / 60}}}
			}
			return testservers.Plan{ToClient: testservers.Stream{Cut: testservers.Cut{Kind: testservers.CutReset, After: cuts[n%resets]}}}
		})
		p := c.start()
		until(t, "some connections", func() bool {
			if p.ended() { // a server that was never reached is an error of its name
				p = c.start()
			}
			return proxy.Stats().Accepted > 2*resets
		})
		proxy.SetPlan(func(int64) testservers.Plan { return testservers.Plan{} })
		proxy.Cut(testservers.CutReset)
		c.awaitStreaming(p)
		c.resumes("the last reset")
		c.endsWell(p, w, quiet)
	})
}

// The server goes away without a word, and another time is frozen: that is
// noticed, and work goes on.
func TestG8SilentServerIsNoticed(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		server := testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f, Name: "silent " + string(f)})
		c, proxy, w, quiet := mysqlFaultRig(t, server)
		p := c.run()
		c.resumesWithin(waitLimit, "the start")
		proxy.Cut(testservers.CutBlackhole)
		c.resumesWithin(silenceLimit+recoverLimit, "the black hole")
		if err := server.Pause(); err != nil {
			t.Fatal(err)
		}
		// A question to the server may have to be given up first.
		const noticeLimit = silenceLimit + recoverLimit
		noticed := within(noticeLimit, func() bool { return !c.read() })
		if err := server.Resume(); err != nil {
			t.Fatal(err)
		}
		if !noticed {
			t.Errorf("the frozen server was not noticed within %v", noticeLimit)
		}
		c.resumes("the freeze")
		c.endsWell(p, w, quiet)
	})
}

// The server is killed and comes back by crash recovery; then it is restarted
// in an orderly way.
func TestG8MySQLKilledAndRestarted(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		server := testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f, Name: "killed " + string(f), Durable: true})
		c, _, w, quiet := mysqlFaultRig(t, server)
		p := c.run()
		for range 2 {
			c.resumesWithin(waitLimit, "the start")
			if err := server.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.forgetAdmin()
			c.resumes("the server's recovery")
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.forgetAdmin()
		c.resumes("the server's restart")
		c.endsWell(p, w, quiet)
	})
}

// The program is frozen for longer than the server waits for a reader, as a
// machine that sleeps is.
func TestG8FrozenReaderOfMySQLResumes(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		server := testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f, Name: "frozen " + string(f), Settings: map[string]string{"net_write_timeout": "1"}})
		c, _, w, quiet := mysqlFaultRig(t, server)
		c.appSQL("CREATE TABLE filler (id int AUTO_INCREMENT PRIMARY KEY, note longtext)")
		p := c.run()
		c.resumesWithin(waitLimit, "the start")
		p.signal(syscall.SIGSTOP)
		until(t, "the server to give the connection up", func() bool {
			// More than the connection's buffers hold.
			c.appSQL("INSERT INTO filler (note) VALUES (repeat('x', 2000000))")
			return c.ask("SELECT count(*) FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'") == "0"
		})
		p.signal(syscall.SIGCONT)
		c.resumes("the freeze")
		c.endsWell(p, w, quiet)
	})
}

// The binlog goes on in another file many times a second.
func TestG1RotationStorm(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		server := testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f, Name: "rotation " + string(f)})
		c := newMySQLRig(t, server)
		w := c.prepareWorkload(workload.Options{Seed: seed(t), Clients: 2, Pause: 10 * time.Millisecond, BigValues: 10_000})
		quiet := c.keepBusy(w)
		p := c.run()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for i := range 60 {
			<-tick.C
			c.sql("FLUSH BINARY LOGS")
			if i%20 == 19 {
				p.kill()
				p = c.run()
			}
		}
		c.endsWell(p, w, quiet)
	})
}

// A row of more than a packet of the protocol, and of as much as the server
// takes.
func TestRowLargerThanAPacket(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		server := testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f, Name: "packet " + string(f), Settings: map[string]string{"max_allowed_packet": "64M"}})
		c := smallMySQLRig(t, server)
		c.appSQL("CREATE TABLE huge (id int PRIMARY KEY, v longtext); INSERT INTO huge VALUES (1, repeat('copied ', 3000000))")
		c.run()
		c.appSQL("INSERT INTO huge VALUES (2, repeat('streamed ', 3500000)), (3, repeat('x', 16777215)), (4, repeat('y', 16777216)); UPDATE huge SET v = concat(v, '!')")
		c.awaitCurrent()
		c.verify()
		c.equalNow([]string{"huge"})
	})
}
