//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cdc/changelog"
)

// The backlog: a little of everything that costs, most of it in transactions of
// the size that applications make.
const (
	streamTwenties = 27_000
	streamSingles  = 60_000
)

// streamChanges is how many changes the backlog has.
func streamChanges() float64 {
	return float64(scaled(streamTwenties)*changesInTwenty + scaled(streamSingles))
}

// timedRun is what one run of a program took.
type timedRun struct {
	// streaming is the time from the moment when the server began to serve the
	// slot to the end of the process, whole that of the process.
	streaming, whole, cpu time.Duration
}

// measureStream brings a backlog into the log, beside pg_recvlogical reading
// the same WAL with the same options into nothing.
func measureStream(b *testing.B, e *bench) {
	s := newBacklog(b, e)
	var ours, reference []timedRun
	s.ours(b, benchRounds) // brings the WAL into memory for both, and shows the options
	s.readOptions(b)
	for round := range benchRounds {
		reference = append(reference, s.reference(b, round))
		ours = append(ours, s.ours(b, round))
	}
	b.Logf("options of the plugin: %s", strings.Join(s.options, ", "))
	s.check(b)
	rate := func(t []timedRun) float64 { return streamChanges() / medianOf(t, timedRun.streamed).Seconds() }
	perCPU := func(t []timedRun) float64 { return streamChanges() / medianOf(t, timedRun.used).Seconds() }
	ratio := rate(ours) / rate(reference)
	e.add(b, figure{
		name: "stream → durable log, beside pg_recvlogical", ours: rateText(rate(ours), "changes"), reference: rateText(rate(reference), "changes"),
		ratio: ratio, target: "ratio ≥ 0.95", met: ratio >= 0.95, value: ratio, unit: "stream-ratio",
	})
	whole := medianOf(reference, timedRun.all).Seconds() / medianOf(ours, timedRun.all).Seconds()
	e.add(b, figure{
		name: "the same, with start and end of the processes", ours: secondText(medianOf(ours, timedRun.all)),
		reference: secondText(medianOf(reference, timedRun.all)), ratio: whole,
	})
	e.add(b, figure{
		name: "stream, changes per CPU-second of the process", ours: countText(perCPU(ours)), reference: countText(perCPU(reference)),
		ratio: perCPU(ours) / perCPU(reference), target: "≥ 250 k", met: perCPU(ours) >= 250e3,
		value: perCPU(ours), unit: "stream-changes/cpu-s",
	})
}

func (t timedRun) streamed() time.Duration { return t.streaming }
func (t timedRun) all() time.Duration      { return t.whole }
func (t timedRun) used() time.Duration     { return t.cpu }

func medianOf(runs []timedRun, of func(timedRun) time.Duration) time.Duration {
	values := make([]time.Duration, len(runs))
	for i, run := range runs {
		values[i] = of(run)
	}
	return median(values)
}

// backlog is WAL that several captures, each with a slot and a folder of its
// own, have still to read: every run reads the same, and for the first time.
type backlog struct {
	e        *bench
	database string
	captures []*benchCapture
	slots    []string
	end      string
	marks    int // transactions after the end
	// options are those that the program asks the plugin for.
	options []string
}

func newBacklog(b *testing.B, e *bench) *backlog {
	s := &backlog{e: e, database: e.newWorkload(b)}
	for range benchRounds + 1 {
		c := e.capture(b, s.database, "orders")
		c.untilCurrent(b)
		s.captures, s.slots = append(s.captures, c), append(s.slots, e.newestSlot(b, s.database, s.slots))
	}
	e.change(b, s.database, scaled(streamTwenties), scaled(streamSingles))
	s.end = e.sql(b, s.database, "SELECT pg_current_wal_insert_lsn()")
	return s
}

// mark commits one more transaction, so that the WAL ends with something that
// is captured and no reader waits for a keepalive to learn that it is there.
func (s *backlog) mark(b *testing.B) {
	b.Helper()
	s.marks++
	s.e.sql(b, s.database, fmt.Sprintf("INSERT INTO orders VALUES (%d, 0, 0, '', '', now())", -1_000_000-s.marks))
}

// reference runs pg_recvlogical on a copy of a round's slot.
func (s *backlog) reference(b *testing.B, round int) timedRun {
	b.Helper()
	slot := fmt.Sprintf("%s_reference_%d", s.database, round)
	s.e.copySlot(b, s.database, s.slots[round], slot)
	args := []string{"--dbname", s.database, "--slot", slot, "--start", "--file", "/dev/null", "--no-loop", "--endpos", s.end}
	for _, option := range s.options {
		args = append(args, "--option", option)
	}
	return s.time(b, slot, s.e.pg.Command(b.Context(), s.e.super, s.database, "pg_recvlogical", args...))
}

var (
	startCommand = regexp.MustCompile(`START_REPLICATION SLOT "([^"]+)" LOGICAL \S+ \((.*)\)`)
	pluginOption = regexp.MustCompile(`(\w+) '([^']*)'`)
)

// readOptions finds in the server's log what the program asked the plugin for.
func (s *backlog) readOptions(b *testing.B) {
	b.Helper()
	s.options = nil
	for _, command := range startCommand.FindAllStringSubmatch(s.e.pg.LogTail(logLinesSearched), -1) {
		if !slices.Contains(s.slots, command[1]) {
			continue
		}
		s.options = nil
		for _, option := range pluginOption.FindAllStringSubmatch(command[2], -1) {
			s.options = append(s.options, option[1]+"="+option[2])
		}
	}
	if len(s.options) == 0 {
		b.Fatal("the server's log does not say what the program asked the plugin for")
	}
}

// logLinesSearched of the server's log hold the last start of a stream.
const logLinesSearched = 200

// ours runs a round's capture.
func (s *backlog) ours(b *testing.B, round int) timedRun {
	b.Helper()
	return s.time(b, s.slots[round], s.captures[round].command("--until-current"))
}

// time runs a program that reads the slot to the end of the backlog.
func (s *backlog) time(b *testing.B, slot string, cmd *exec.Cmd) timedRun {
	b.Helper()
	var out bytes.Buffer
	cmd.Stderr = &out
	watch := s.e.connect(b, s.database)
	s.mark(b)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	awaitFor(b, "the slot is read", captureLimit, func() bool {
		var active bool
		row := watch.QueryRow(b.Context(), "SELECT active FROM pg_replication_slots WHERE slot_name = $1", slot)
		return len(ended) > 0 || row.Scan(&active) == nil && active
	})
	active := time.Now()
	if err := <-ended; err != nil {
		b.Fatalf("%s: %v\n%s", filepath.Base(cmd.Path), err, out.Bytes())
	}
	now := time.Now()
	return timedRun{
		streaming: now.Sub(active), whole: now.Sub(began), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
	}
}

// check makes sure that the logs hold the whole backlog.
func (s *backlog) check(b *testing.B) {
	b.Helper()
	for round := range benchRounds {
		// Whoever was later has read more of the transactions after the end.
		least, most := int(streamChanges()), int(streamChanges())+s.marks
		if n := countChanges(b, s.captures[round].data, changelog.UnitTx); n < least || n > most {
			b.Fatalf("the log of round %d holds %d changes of the backlog, not %d", round, n, least)
		}
	}
	s.e.dropSlots(b, s.database)
}
