//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"cdc/changelog"
	"cdc/e2e/testservers"
)

// Budgets of the stream: beside a loop that only decodes, and in processor time.
const (
	mysqlStreamRatio = 3
	mysqlStreamCPU   = 1.5e6 // narrow rows a second
)

// measureMySQLStream brings backlogs into the log, beside a loop over the usual
// library that decodes them and does nothing more, and the server's own program
// that only stores the bytes.
func measureMySQLStream(b *testing.B, e *mysqlBench) {
	database := e.newShapes(b)
	role := e.role(b, database)
	for i := range mysqlShapes {
		s := &mysqlStream{e: e, shape: &mysqlShapes[i], database: database, role: role}
		s.measure(b)
	}
}

// mysqlStream is the backlog of one shape.
type mysqlStream struct {
	e              *mysqlBench
	shape          *mysqlShape
	database, role string
	captures       []*benchCapture
	begin, end     testservers.BinlogPosition
}

func (s *mysqlStream) measure(b *testing.B) {
	s.shape.make(b, s.e, s.database)
	for range benchRounds {
		c := s.e.capture(b, s.database, s.shape.name, s.role)
		c.untilCurrent(b)
		s.captures = append(s.captures, c)
	}
	s.begin = s.e.rotate(b)
	s.shape.fill(b, s.e, s.database)
	s.end = s.e.end(b)
	bytes := s.e.binlogBytes(b, s.begin)

	s.store(b) // brings the binary log into memory for all
	var ours, decoded, stored []timedRun
	for _, c := range s.captures {
		stored = append(stored, s.store(b))
		decoded = append(decoded, s.decode(b))
		ours = append(ours, s.time(b, c.command("--until-current")))
	}
	s.check(b)
	s.add(b, ours, decoded, stored)
	log := sealedBytes(b, s.captures[0].data)
	s.e.add(b, figure{
		name: s.name("sealed log a byte of binlog"), ours: sizeText(log), reference: sizeText(bytes) + " of binlog", ratio: log / bytes,
		target: "ratio ≤ 0.35", met: log/bytes <= sizeTarget, value: log / bytes, unit: s.unit("log/binlog"),
	})
}

func (s *mysqlStream) name(what string) string {
	return s.e.prefix + s.shape.name + " rows, " + what
}

func (s *mysqlStream) unit(what string) string { return metric(s.e.prefix) + s.shape.name + "-" + what }

func (s *mysqlStream) add(b *testing.B, ours, decoded, stored []timedRun) {
	n := float64(s.shape.changes())
	rate := func(t []timedRun) float64 { return n / medianOf(t, timedRun.streamed).Seconds() }
	perCPU := func(t []timedRun) float64 { return n / medianOf(t, timedRun.used).Seconds() }
	ratio := rate(ours) / rate(decoded)
	s.e.add(b, figure{
		name: s.name("binlog → durable log, beside a go-mysql loop"), ours: rateText(rate(ours), "changes"), reference: rateText(rate(decoded), "changes"),
		ratio: ratio, target: fmt.Sprintf("ratio ≥ %d", mysqlStreamRatio), met: ratio >= mysqlStreamRatio, value: ratio, unit: s.unit("stream-ratio"),
	})
	s.e.add(b, figure{
		name: s.name("the same beside mysqlbinlog --raw"), ours: rateText(rate(ours), "changes"), reference: rateText(rate(stored), "changes"),
		ratio: rate(ours) / rate(stored), value: rate(ours) / rate(stored), unit: s.unit("raw-ratio"),
	})
	f := figure{
		name: s.name("changes per CPU-second, beside a go-mysql loop"), ours: countText(perCPU(ours)), reference: countText(perCPU(decoded)),
		ratio: perCPU(ours) / perCPU(decoded), value: perCPU(ours), unit: s.unit("changes/cpu-s"),
	}
	if s.shape.name == "narrow" {
		f.target, f.met = "≥ 1.5 M", perCPU(ours) >= mysqlStreamCPU
	}
	s.e.add(b, f)
}

// store lets the server's own program write the backlog into files.
func (s *mysqlStream) store(b *testing.B) timedRun {
	b.Helper()
	program := map[testservers.Flavour]string{testservers.FlavourMySQL: "mysqlbinlog", testservers.FlavourMariaDB: "mariadb-binlog"}[s.e.server.Flavour()]
	return s.time(b, s.e.server.Command(b.Context(), s.role, program,
		"--raw", "--read-from-remote-server", "--to-last-log", "--result-file="+b.TempDir()+string(filepath.Separator), s.begin.File))
}

// time runs a program that reads the binary log to its end, from the moment
// when the server is seen to send it.
func (s *mysqlStream) time(b *testing.B, cmd *exec.Cmd) timedRun {
	b.Helper()
	var out bytes.Buffer
	cmd.Stderr = &out
	watch := s.e.session(b, "")
	known := s.sending(b, watch)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	awaitFor(b, "the binary log is sent", captureLimit, func() bool {
		return len(ended) > 0 || slices.ContainsFunc(s.sending(b, watch), func(id string) bool { return !slices.Contains(known, id) })
	})
	active := time.Now()
	if err := <-ended; err != nil {
		b.Fatalf("%s: %v\n%s", filepath.Base(cmd.Path), err, out.Bytes())
	}
	now := time.Now()
	return timedRun{streaming: now.Sub(active), whole: now.Sub(began), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
}

// sending are the connections that the server sends its binary log on; it
// notices late that a reader has gone.
func (s *mysqlStream) sending(b *testing.B, watch *testservers.MySQLSession) (ids []string) {
	b.Helper()
	list, err := watch.SQL(b.Context(), "SHOW PROCESSLIST")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(list) {
		if id, rest, _ := strings.Cut(line, "|"); strings.Contains(rest, "|Binlog Dump") {
			ids = append(ids, id)
		}
	}
	return ids
}

// decodingServerID is that of the loop as a replica.
const decodingServerID = 4_000_001

// decode reads the backlog with the library in this process.
func (s *mysqlStream) decode(b *testing.B) timedRun {
	b.Helper()
	host, port, err := net.SplitHostPort(s.e.server.Addr())
	if err != nil {
		b.Fatal(err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		b.Fatal(err)
	}
	loop := decodeLoop{file: s.begin.File, end: s.end, done: make(chan struct{})}
	syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{
		ServerID: decodingServerID, Flavor: string(s.e.server.Flavour()), Host: host, Port: uint16(number),
		User: s.role, Password: s.e.server.Password(s.role), VerifyChecksum: true, SynchronousEventHandler: &loop,
	})
	defer syncer.Close()
	began, cpu := time.Now(), cpuOfSelf(b)
	if _, err := syncer.StartSync(mysql.Position{Name: s.begin.File, Pos: uint32(s.begin.Offset)}); err != nil {
		b.Fatal(err)
	}
	deadline := time.NewTimer(captureLimit)
	defer deadline.Stop()
	select {
	case <-loop.done:
	case <-deadline.C:
		b.Fatal("the loop over the library has not come to the end of the backlog")
	}
	took := time.Since(began)
	if want := s.shape.changes(); loop.changes != want {
		b.Fatalf("the loop over the library saw %d changes, not %d", loop.changes, want)
	}
	return timedRun{streaming: took, whole: took, cpu: cpuOfSelf(b) - cpu}
}

// decodeLoop counts what the library decodes, up to the end.
type decodeLoop struct {
	file    string
	end     testservers.BinlogPosition
	changes int
	done    chan struct{} // closed at the end
	over    bool
}

// HandleEvent implements replication.EventHandler.
func (l *decodeLoop) HandleEvent(e *replication.BinlogEvent) error {
	switch event := e.Event.(type) {
	case *replication.RotateEvent:
		l.file = string(event.NextLogName)
	case *replication.RowsEvent:
		n := len(event.Rows)
		if event.Type() == replication.EnumRowsEventTypeUpdate {
			n /= 2 // images
		}
		l.changes += n
	}
	if !l.over && l.file == l.end.File && uint64(e.Header.LogPos) >= l.end.Offset {
		l.over = true
		close(l.done)
	}
	return nil
}

// check makes sure that the logs hold the whole backlog.
func (s *mysqlStream) check(b *testing.B) {
	b.Helper()
	for round, c := range s.captures {
		if n := countChanges(b, c.data, changelog.UnitTx); n != s.shape.changes() {
			b.Fatalf("the log of round %d holds %d changes of the backlog, not %d", round, n, s.shape.changes())
		}
	}
}
