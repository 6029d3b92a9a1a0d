//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"cdc/e2e/testservers"
)

// Exit codes of the program.
const (
	exitUsage       = 2
	exitMoment      = 3
	exitUnreachable = 4
	exitUnfit       = 5
	exitStopped     = 6
	exitDiffers     = 7
	exitInUse       = 8
	exitLog         = 9
	exitDisk        = 10
)

// screenLines is what one screen holds.
const screenLines = 25

// refuses asserts that a verb ended with the code and said, on one screen, all
// that helps.
func (r result) refuses(t *testing.T, code int, says ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d: %v", r.code, code, r)
	}
	if lines := strings.Count(r.err, "\n"); lines > screenLines || lines == 0 {
		t.Errorf("%d lines on stderr: %v", lines, r)
	}
	for _, word := range says {
		if !strings.Contains(r.err, word) {
			t.Errorf("stderr does not say %q: %v", word, r)
		}
	}
	for _, noise := range []string{"goroutine ", "panic:", ".go:"} {
		if strings.Contains(r.err, noise) {
			t.Errorf("stderr holds %q: %v", noise, r)
		}
	}
}

// runWith is a run of 'cdc run' with other arguments than the rig's.
func (c *capture) runWith(args ...string) result {
	c.t.Helper()
	return execute(c.t, nil, append([]string{"run", "--data", c.data(), "--http", "off"}, args...)...)
}

// smallRig is a rig with one table of three rows.
func smallRig(t *testing.T, server *testservers.Postgres) *rig {
	t.Helper()
	c := newRig(t, server)
	c.appSQL(`CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a'), (2, 'b'), (3, 'c')`)
	return c
}

// leavesNothing asserts that a refused run made nothing at the source.
func (c *rig) leavesNothing() {
	c.t.Helper()
	if n := c.ask(slotCount); n != "0" {
		c.t.Errorf("%s slots were left at the source", n)
	}
}

// thenWorks proves that nothing was lost by what came before. No process may be
// running.
func (c *capture) thenWorks() {
	c.t.Helper()
	c.appSQL(`INSERT INTO orders SELECT max(id) + 1, 'one more' FROM orders`)
	c.catchUp()
}

func TestBadLoginsAreToldApart(t *testing.T) {
	t.Parallel()
	server := testservers.Shared(t)
	c := smallRig(t, server)
	dsn := c.dsn()
	c.runWith(strings.Replace(dsn, server.Addr(), "127.0.0.1:1", 1)).refuses(t, exitUnreachable, "127.0.0.1", "refused", "check the host and the port")
	c.runWith(strings.Replace(dsn, server.Addr(), "no-such-host.invalid:5432", 1)).refuses(t, exitUnreachable, "no-such-host.invalid")
	c.runWith(strings.Replace(dsn, "/"+c.database+"?", "/no_such_database?", 1)).refuses(t, exitUnreachable, "no_such_database", "does not exist")
	wrong := strings.Replace(dsn, c.role+":", c.role+":wrong", 1)
	r := c.runWith(wrong)
	r.refuses(t, exitUnreachable, "password", c.role)
	if _, secret, _ := strings.Cut(c.password(), "="); strings.Contains(r.err+r.out, secret) {
		t.Errorf("the password is shown: %v", r)
	}
	r.refuses(t, exitUnreachable, "source "+c.database+":", "the DSN and its password come from the command line")
	bare, _ := c.login()
	for _, env := range []string{"PGPASSWORD", "CDC_SHOP_PASSWORD"} {
		for _, verb := range []string{"run", "doctor", "tail"} {
			r := execute(t, []string{env + "=hushhush"}, verb, "--data", c.data(), bare, "--name", "shop")
			r.refuses(t, exitUnreachable, "source shop:", "the DSN comes from the command line, the password from the variable "+env)
			if strings.Contains(r.err+r.out, "hushhush") {
				t.Errorf("the password is shown: %v", r)
			}
		}
	}
	c.runWith("not a dsn").refuses(t, exitUsage, "DSN")
	c.leavesNothing()
	c.thenWorks()
}

func TestTLSThatIsRefusedIsSaid(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t)) // has no TLS
	c.runWith(strings.Replace(c.dsn(), "sslmode=disable", "sslmode=require", 1)).refuses(t, exitUnreachable, "TLS", "source "+c.database+":", "the DSN comes from the command line")
	c.leavesNothing()
	server := testservers.Start(t, testservers.PostgresOptions{Name: "tls", TLS: true})
	withTLS := smallRig(t, server)
	withTLS.runWith(fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", withTLS.role, server.Addr(), withTLS.database)).refuses(t, exitUnreachable, "encryption")
	untrusted, _, _ := strings.Cut(withTLS.dsn(), "?")
	withTLS.runWith(untrusted+"?sslmode=verify-full").refuses(t, exitUnreachable, "certificate")
	withTLS.thenWorks()
}

func TestUnfitSourcesAreRefusedWithTheRemedy(t *testing.T) {
	t.Parallel()
	server := testservers.Shared(t)
	c := smallRig(t, server)
	plain := c.role + "_plain"
	if err := server.CreateRole(t.Context(), plain, "secret"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := server.SQL(context.Background(), c.database, "DROP OWNED BY "+plain+"; DROP ROLE "+plain); err != nil {
			t.Logf("drop role: %v", err)
		}
	})
	c.runWith(server.DSN(plain, c.database)).refuses(t, exitUnfit, "REPLICATION", "ALTER ROLE")
	c.sql("ALTER ROLE " + plain + " REPLICATION; GRANT SELECT ON orders TO " + plain)
	c.runWith(server.DSN(plain, c.database)).refuses(t, exitUnfit, "publication", "CREATE PUBLICATION")
	c.runWith(c.dsn(), "--publication", "missing").refuses(t, exitUnfit, `"missing"`, "does not exist", "CREATE PUBLICATION")
	c.appSQL(`CREATE TABLE nameless (a int)`)
	c.runWith(c.dsn(), "--tables", "nameless").refuses(t, exitUnfit, "nameless", "identity", "ALTER TABLE", "--append-only")
	c.runWith(c.dsn(), "--tables", "nothing_like_it").refuses(t, exitUnfit, "nothing_like_it", "no table")
	c.leavesNothing()
	c.thenWorks()
}

func TestServerThatCannotBeCapturedIsRefused(t *testing.T) {
	t.Parallel()
	server := testservers.Start(t, testservers.PostgresOptions{Name: "replica", Settings: map[string]string{"wal_level": "replica"}})
	c := smallRig(t, server)
	c.runWith(c.dsn()).refuses(t, exitUnfit, "wal_level", "ALTER SYSTEM SET wal_level", "restart")
	c.leavesNothing()
}

func TestNoFreeSlotIsSaid(t *testing.T) {
	t.Parallel()
	server := testservers.Start(t, testservers.PostgresOptions{Name: "slots", Settings: map[string]string{"max_replication_slots": "1"}})
	c := smallRig(t, server)
	c.sql(`SELECT pg_create_logical_replication_slot('taken', 'pgoutput')`)
	c.runWith(c.dsn()).refuses(t, exitUnfit, "slot", "max_replication_slots")
	c.sql(`SELECT pg_drop_replication_slot('taken')`)
	// Verify would want a second slot.
	c.start("--until-current").wantExit(0)
	if rows := c.must("at", "now", "orders", "--format", "csv"); strings.Count(rows, "\n") != 4 {
		t.Errorf("orders holds:\n%s", rows)
	}
}

func TestBadConfigurationNamesPlaceAndNearestKey(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	path := filepath.Join(c.dir, "cdc.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("sources:\n  shop:\n    dsn: postgres:///x\n    tabels: [orders]\n")
	c.runWith("-c", path).refuses(t, exitUsage, path+":4", `"tabels"`, `"tables"`)
	write("segment_sise: 1MiB\n")
	c.runWith("-c", path, c.dsn()).refuses(t, exitUsage, path+":1", "segment_size")
	write("min_free_disk: plenty\n")
	c.runWith("-c", path, c.dsn()).refuses(t, exitUsage, "min_free_disk", "plenty")
	c.runWith("-c", filepath.Join(c.dir, "absent.yaml"), c.dsn()).refuses(t, exitUsage, "absent.yaml")
	c.runWith(c.dsn(), "--tabels", "x").refuses(t, exitUsage, "--tabels")
	c.cdc("rnu").refuses(t, exitUsage, "rnu")
	c.runWith().refuses(t, exitUsage, "nothing to capture", "cdc run postgres://")
	c.runWith("mysql://root@127.0.0.1/x", "--slot", "s").refuses(t, exitUsage, "--slot", "PostgreSQL")
	c.runWith("mysql://root@127.0.0.1").refuses(t, exitUsage, "names no database", "--name")
	c.cdc("tables").refuses(t, exitUsage, "no log", "cdc run")
	c.leavesNothing()
	c.thenWorks()
}

func TestBadQuestionsAreRefused(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	c.catchUp()
	c.cdc("at", "yesterday-ish", "orders").refuses(t, exitUsage, "yesterday-ish")
	c.cdc("at", "2022-06-10 12:00:00", "orders").refuses(t, exitUsage, "zone")
	c.cdc("at", "OFFSET 99999999", "orders", "--wait", "0s").refuses(t, exitMoment, "99999999", "latest")
	c.cdc("at", "LSN FFFF/0", "orders", "--wait", "0s").refuses(t, exitMoment, "FFFF/0", "latest")
	c.cdc("at", "2001-01-01", "orders").refuses(t, exitMoment, "earliest")
	c.cdc("at", "TAG nowhere", "orders").refuses(t, exitUsage, "nowhere")
	c.cdc("at", "now", "ordres").refuses(t, exitUsage, "ordres", "orders")
	c.cdc("sql", "SELEKT 1").refuses(t, exitUsage, "SELEKT")
	c.cdc("sql", "SELECT nme FROM orders").refuses(t, exitUsage, "nme")
	c.cdc("sql", "SELECT * FROM orders AS OF 'gestern'").refuses(t, exitUsage, "gestern")
	c.cdc("sql", "SELECT * FROM orders FOR SYSTEM_TIME AS OF TIMESTAMP '2001-01-01 00:00:00Z'").refuses(t, exitMoment, "earliest")
	c.cdc("history", "orders", "ident=1").refuses(t, exitUsage, "ident")
	c.thenWorks()
}

func TestG9SecondWriterIsRefused(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	p := c.run()
	c.runWith(c.dsn()).refuses(t, exitInUse, fmt.Sprint(p.cmd.Process.Pid), c.data(), "--data")
	c.appSQL(`INSERT INTO orders VALUES (4, 'd')`)
	c.awaitCurrent()
	c.verify()
	p.stop()
	c.thenWorks()
}

// A second folder that is told to use the slot of the first must not take what
// the first has not read.
func TestG9SlotOfAnotherFolderIsRefused(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	c.run()
	slot := c.ask(`SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database()`)
	r := execute(t, nil, "run", c.dsn(), "--data", filepath.Join(c.dir, "other"), "--http", "off", "--slot", slot)
	r.refuses(t, exitUnfit, slot)
	c.appSQL(`INSERT INTO orders VALUES (4, 'd')`)
	c.awaitCurrent()
	c.verify()
}

func TestG7DamagedSegmentIsNamedAndTheRestIsKept(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	c.flags = []string{"--segment-size", "64KiB"}
	c.appSQL(`CREATE TABLE filler (id bigserial PRIMARY KEY, note text)`)
	p := c.run()
	for range 6 {
		c.appSQL(`INSERT INTO filler (note) SELECT md5(i::text || random()::text) FROM generate_series(1, 2000) i`)
	}
	c.awaitCurrent()
	p.stop()
	segments, err := filepath.Glob(filepath.Join(c.data(), "log", "*.seg"))
	if err != nil || len(segments) < 3 {
		t.Fatalf("only segments %q: %v", segments, err)
	}
	victim := segments[1]
	original, err := os.ReadFile(victim)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), original...)
	damaged[len(damaged)/3] ^= 0x10
	if err := os.WriteFile(victim, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	c.cdc("log", "verify").refuses(t, exitLog, filepath.Base(victim))
	c.cdc("at", "now", "filler").refuses(t, exitLog, filepath.Base(victim), "cdc log verify")
	if err := os.WriteFile(victim, original, 0o600); err != nil {
		t.Fatal(err)
	}
	c.must("log", "verify")
	c.appSQL(`INSERT INTO orders VALUES (4, 'd')`)
	c.thenWorks()
}

func TestG8FullDiskPausesAndGoesOn(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	disk := c.smallDisk(48)
	c.runWith(c.dsn()).refuses(t, exitDisk, "free", c.data(), "--min-free-disk")
	c.flags = []string{"--min-free-disk", "1MiB", "--segment-size", "4MiB"}
	c.appSQL(`CREATE TABLE filler (id bigserial PRIMARY KEY, note text)`)
	p := c.run()
	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	c.appSQL(`INSERT INTO filler (note) SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 1000) i, generate_series(1, 300) j GROUP BY i`)
	end := c.ask(walEnd)
	until(t, "the program to say that the disk is full", func() bool {
		text := p.text()
		return strings.Contains(text, "space") || p.ended()
	})
	if p.ended() {
		t.Fatalf("cdc run ended with code %d on a full disk:\n%s", p.code(), tail(p.text(), logLinesShown))
	}
	if c.ask(slotPassed, end) == "true" {
		t.Error("what is not on the disk was acknowledged")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if !within(recoverLimit, func() bool { return c.ask(slotPassed, end) == "true" }) {
		t.Fatalf("did not go on within %v of there being space:\n%s", recoverLimit, tail(p.text(), logLinesShown))
	}
	c.verify()
}

// The rows by which a sink completes old ones do not fit on the disk any more. The capture goes on, and so does the sink when there is
// space.
func TestG8FullDiskUnderTheRowsOfASink(t *testing.T) {
	t.Parallel()
	c := smallRig(t, testservers.Shared(t))
	disk, out := c.smallDisk(96), filepath.Join(c.dir, "out")
	c.flags = []string{"--min-free-disk", "1MiB", "--segment-size", "4MiB"}
	const rows = 300_000
	c.appSQL(`CREATE TABLE filler (id bigint PRIMARY KEY, n int NOT NULL, note text NOT NULL)`)
	c.appSQL(`INSERT INTO filler SELECT i, 0, md5(i::text) FROM generate_series(1, ` + strconv.Itoa(rows) + `) i`)
	c.start("--until-current").wantExit(0)
	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	must(t, os.Truncate(ballast, fileSize(t, ballast)-8<<20))

	c.flags = append(c.flags, "--sink", "file:"+out+"?before=full&rotate_time=1s")
	p := c.run()
	lacking := func() bool { return strings.Contains(p.text(), "no space left") || p.ended() }
	until(t, "the sink to lack space", lacking)
	p.stop() // which needs no space
	p = c.run()
	until(t, "the sink to lack space again", lacking)
	c.appSQL(`UPDATE filler SET n = 1 WHERE id <= 10`)
	c.awaitCurrent()
	must(t, os.Remove(ballast))
	updates := func() (lines []string) {
		return slices.DeleteFunc(linesBelow(t, out), func(line string) bool { return !strings.Contains(line, `"op":"u"`) })
	}
	until(t, "the updates to be published", func() bool { return p.ended() || len(updates()) == 10 })
	if p.ended() {
		t.Fatalf("cdc run ended with code %d on a full disk:\n%s", p.code(), tail(p.text(), logLinesShown))
	}
	for _, line := range updates() {
		if strings.Contains(line, `"before":null`) {
			t.Errorf("an old row is not whole: %s", line)
		}
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Size()
}

// smallDisk mounts a file system of so many MiB at the data folder.
func (c *capture) smallDisk(megabytes int) string {
	c.t.Helper()
	dir := c.data()
	if err := os.Mkdir(dir, 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		c.t.Fatalf("mount a small file system, which needs root and CAP_SYS_ADMIN: %v", err)
	}
	c.t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			c.t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill writes a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	cmd := exec.Command("dd", "if=/dev/zero", "of="+path, "bs=64k")
	if out, err := cmd.CombinedOutput(); !strings.Contains(string(out), "No space left") {
		t.Fatalf("fill the disk: %v: %s", err, out)
	}
}
