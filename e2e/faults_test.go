//go:build e2e

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"cdc/e2e/testservers"
	"cdc/e2e/workload"
)

// recoverLimit is how soon work resumes by itself after a fault has ended (G8).
const recoverLimit = 30 * time.Second

// faultRig is a rig under load whose connections go through a proxy.
func faultRig(t *testing.T, server *testservers.Postgres) (*rig, *testservers.Proxy, *workload.Workload, func()) {
	t.Helper()
	c := newRig(t, server)
	proxy, err := testservers.StartProxy(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() }) // the test is over
	c.addr = proxy.Addr()
	w := c.prepareWorkload(workload.Options{Seed: seed(t), Clients: 2, Pause: 20 * time.Millisecond, BigValues: 20_000})
	return c, proxy, w, c.keepBusy(w)
}

// silenceLimit is how long a server may be silent before its connection counts
// as lost: a fault that is nothing but silence ends when it is noticed.
const silenceLimit = time.Minute

// resumes asserts that what is committed by now is acknowledged soon.
func (c *capture) resumes(what string) {
	c.t.Helper()
	c.resumesWithin(recoverLimit, what)
}

func (c *capture) resumesWithin(limit time.Duration, what string) {
	c.t.Helper()
	c.origin.probe() // so that there is something to pass
	end := c.origin.end()
	if !within(limit, func() bool { return c.origin.passed(end) }) {
		c.t.Fatalf("work had not resumed %v after %s", limit, what)
	}
}

// Connections are reset after random numbers of bytes in both directions.
func TestG3G8ResetsAtRandomBytesLoseNothing(t *testing.T) {
	t.Parallel()
	c, proxy, w, quiet := faultRig(t, testservers.Shared(t))
	random := seeded(seed(t))
	p := c.run()
	const resets = 12
	var cuts [resets]int64
	for i := range cuts {
		cuts[i] = random.Int64N(60_000)
	}
	proxy.SetPlan(func(n int64) testservers.Plan {
		if n > 4*resets {
			return testservers.Plan{}
		}
		plan := testservers.Plan{ToClient: testservers.Stream{Cut: testservers.Cut{Kind: testservers.CutReset, After: cuts[n%resets]}}}
		if n%4 == 0 {
			plan = testservers.Plan{ToServer: testservers.Stream{Cut: testservers.Cut{Kind: testservers.CutReset, After: cuts[n%resets] / 60}}}
		}
		return plan
	})
	accepted := proxy.Stats().Accepted
	proxy.Cut(testservers.CutReset)
	until(t, "some connections", func() bool { return proxy.Stats().Accepted > accepted+resets/2 || p.ended() })
	proxy.SetPlan(func(int64) testservers.Plan { return testservers.Plan{} })
	proxy.Cut(testservers.CutReset)
	c.resumes("the last reset")
	if p.ended() {
		t.Fatalf("cdc run ended with code %d", p.code())
	}
	quiet()
	c.awaitCurrent()
	c.verify()
	c.judge(w)
}

// The server goes away without a word: that is noticed, and another connection
// is made.
func TestG8BlackHoleIsNoticed(t *testing.T) {
	t.Parallel()
	server := testservers.Start(t, testservers.PostgresOptions{Name: "blackhole", Settings: map[string]string{"wal_sender_timeout": "2s"}})
	c, proxy, w, quiet := faultRig(t, server)
	p := c.run()
	c.resumesWithin(waitLimit, "the start")
	proxy.Cut(testservers.CutBlackhole)
	c.resumesWithin(silenceLimit+recoverLimit, "the black hole")
	if p.ended() {
		t.Fatalf("cdc run ended with code %d", p.code())
	}
	quiet()
	c.awaitCurrent()
	c.verify()
	c.judge(w)
}

// The server is killed and comes back by crash recovery; then it is restarted
// in an orderly way.
func TestG8ServerKilledAndRestarted(t *testing.T) {
	t.Parallel()
	server := testservers.Start(t, testservers.PostgresOptions{Name: "killed", Durable: true})
	c, _, w, quiet := faultRig(t, server)
	p := c.run()
	for range 2 {
		c.resumesWithin(waitLimit, "the start")
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.resumes("the server's recovery")
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.resumes("the server's restart")
	if p.ended() {
		t.Fatalf("cdc run ended with code %d:\n%s", p.code(), tail(p.text(), logLinesShown))
	}
	quiet()
	c.awaitCurrent()
	c.verify()
	c.judge(w)
}

// The program is frozen for longer than the server waits, as a machine that
// sleeps is.
func TestG8FrozenProgramResumes(t *testing.T) {
	t.Parallel()
	server := testservers.Start(t, testservers.PostgresOptions{Name: "frozen", Settings: map[string]string{"wal_sender_timeout": "2s"}})
	c, _, w, quiet := faultRig(t, server)
	p := c.run()
	c.resumesWithin(waitLimit, "the start")
	p.signal(syscall.SIGSTOP)
	until(t, "the server to give the connection up", func() bool { return c.ask(slotActive) == "false" })
	p.signal(syscall.SIGCONT)
	c.resumes("the freeze")
	if p.ended() {
		t.Fatalf("cdc run ended with code %d", p.code())
	}
	quiet()
	c.awaitCurrent()
	c.verify()
	c.judge(w)
}

// The first copy is interrupted again and again and begins anew each time.
func TestG8InterruptedCopyEndsWhole(t *testing.T) {
	t.Parallel()
	c, proxy, w, quiet := faultRig(t, testservers.Shared(t))
	c.appSQL(`CREATE TABLE large AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 100000) i; ALTER TABLE large ADD PRIMARY KEY (id)`)
	proxy.SetPlan(func(n int64) testservers.Plan {
		if n > 40 {
			return testservers.Plan{}
		}
		return testservers.Plan{ToClient: testservers.Stream{Cut: testservers.Cut{Kind: testservers.CutReset, After: 100_000 * n}}}
	})
	p := c.start()
	for range 3 {
		until(t, "the copy to begin", func() bool { return c.ask(slotCount) != "0" || p.ended() })
		p.kill()
		p = c.start()
	}
	proxy.SetPlan(func(int64) testservers.Plan { return testservers.Plan{} })
	c.awaitStreaming(p)
	quiet()
	c.awaitCurrent()
	p.stop()
	c.catchUp()
	c.judge(w)
	// The server drops what was for one connection when it notices its end.
	if !within(waitLimit, func() bool { return c.ask(slotCount) == "1" }) {
		t.Errorf("%s slots are at the source:\n%s", c.ask(slotCount), strings.TrimSpace(c.sql(`SELECT slot_name, active FROM pg_replication_slots`)))
	}
}
