//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// kafkaTwenties is how many transactions of 20 changes the backlog has.
	kafkaTwenties = 30_000
	// kafkaTurns is how often the tables take turns in it.
	kafkaTurns = 20
	// messagesOfTwenty is what such a transaction publishes: two of its changes are deletes.
	messagesOfTwenty = changesInTwenty + 2
	// latencyRate is the pace, in transactions a second, and latencyTime how
	// long it is kept up.
	latencyRate = 100
	latencyTime = 20 * time.Second
	// kafkaGiantRows is the size of the transaction in flight.
	kafkaGiantRows = 1_000_000
)

// measureKafkaStream drains a backlog of a database into the log and topics.
func measureKafkaStream(b *testing.B, e *kafkaBench) {
	for _, tables := range []int{1, 6} {
		s := newKafkaBacklog(b, e, tables)
		var ours, reference []childRun
		for round := range benchRounds {
			reference = append(reference, s.drain(b, 2*round))
			ours = append(ours, s.drain(b, 2*round+1, e.sinkTo(s.prefix(round))...))
			s.drop(b, round)
		}
		e.dropSlots(b, s.database)
		s.add(b, ours, reference)
	}
}

// kafkaBacklog is WAL of a few tables, each in a schema of its own, that
// several captures have still to read.
type kafkaBacklog struct {
	e            *kafkaBench
	database     string
	tables       int
	transactions int // a table and turn
	captures     []*benchCapture
}

func newKafkaBacklog(b *testing.B, e *kafkaBench, tables int) *kafkaBacklog {
	b.Helper()
	s := &kafkaBacklog{e: e, database: e.pg.Database(b), tables: tables, transactions: scaled(kafkaTwenties) / tables / kafkaTurns}
	for i := range tables {
		e.sql(b, s.database, fmt.Sprintf("CREATE SCHEMA shop%d; SET search_path = shop%[1]d; %s", i, benchSQL))
	}
	for range 2 * benchRounds {
		c := e.capture(b, s.database, "shop0.orders")
		s.captures = append(s.captures, c)
		s.drain(b, len(s.captures)-1)
	}
	var turn strings.Builder
	turn.WriteString("SET enable_seqscan = off;")
	for i := range tables {
		fmt.Fprintf(&turn, "SET search_path = shop%d; CALL change_in_twenties(%d);", i, s.transactions)
	}
	for range kafkaTurns {
		e.sql(b, s.database, turn.String())
	}
	return s
}

// messages is how many a run publishes of the backlog.
func (s *kafkaBacklog) messages() int {
	return s.tables * kafkaTurns * s.transactions * messagesOfTwenty
}

func (s *kafkaBacklog) prefix(round int) string { return fmt.Sprintf("stream-%d-%d", s.tables, round) }

// drop deletes the topics of a round, which must be complete.
func (s *kafkaBacklog) drop(b *testing.B, round int) {
	b.Helper()
	for i := range s.tables {
		s.e.drop(b, fmt.Sprintf("%s.shop%d.orders", s.prefix(round), i), s.messages()/s.tables)
	}
}

// drain runs a capture to the end of the backlog.
func (s *kafkaBacklog) drain(b *testing.B, capture int, args ...string) childRun {
	b.Helper()
	args = append(args, "--until-current")
	for i := 1; i < s.tables; i++ {
		args = append(args, "--tables", fmt.Sprintf("shop%d.orders", i))
	}
	return runChild(b, s.captures[capture].command(args...))
}

func (s *kafkaBacklog) add(b *testing.B, ours, reference []childRun) {
	b.Helper()
	rate := func(runs []childRun, of func(childRun) time.Duration) float64 {
		return float64(s.messages()) / median(each(runs, of)).Seconds()
	}
	of := fmt.Sprintf("%d tables", s.tables)
	if s.tables == 1 {
		of = "1 table"
	}
	wall, bare := rate(ours, childRun.all), rate(reference, childRun.all)
	s.e.add(b, figure{
		name: "Postgres → Kafka, " + of + ", beside the log alone", ours: rateText(wall, "messages"), reference: rateText(bare, "messages"),
		ratio: wall / bare, value: wall, unit: fmt.Sprintf("kafka-stream-%d-messages/s", s.tables),
	})
	perCPU, bareCPU := rate(ours, childRun.used), rate(reference, childRun.used)
	s.e.add(b, figure{
		name: "the same, messages per CPU-second of the process", ours: countText(perCPU), reference: countText(bareCPU), ratio: perCPU / bareCPU,
		value: perCPU, unit: fmt.Sprintf("kafka-stream-%d-messages/cpu-s", s.tables),
	})
	peak := median(each(ours, func(r childRun) float64 { return r.peak }))
	s.e.add(b, figure{
		name: "the same, peak memory", ours: sizeText(peak), reference: sizeText(median(each(reference, func(r childRun) float64 { return r.peak }))),
		target: "< 256 MiB", met: peak < giantMemory, value: peak / (1 << 20), unit: fmt.Sprintf("kafka-stream-%d-MiB", s.tables),
	})
}

// childRun is what a whole process took.
type childRun struct {
	whole, cpu time.Duration
	peak       float64 // resident memory, in bytes
}

func (r childRun) all() time.Duration  { return r.whole }
func (r childRun) used() time.Duration { return r.cpu }

// runChild runs a program to its end.
func runChild(b *testing.B, cmd *exec.Cmd) childRun {
	b.Helper()
	var problems bytes.Buffer
	cmd.Stderr = &problems
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	stop, peak := make(chan struct{}), make(chan float64, 1)
	go func() { peak <- watchPeakRSS(cmd.Process.Pid, stop) }()
	err := cmd.Wait()
	whole := time.Since(began)
	close(stop)
	if err != nil {
		b.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, problems.Bytes())
	}
	return childRun{whole, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), <-peak}
}

// measureKafkaLatency measures the time from COMMIT's return at the client
// until a consumer has the message.
func measureKafkaLatency(b *testing.B, e *kafkaBench) {
	database := e.pg.Database(b)
	e.sql(b, database, pingsSQL)
	c, topic := e.capture(b, database, "pings"), "latency.public.pings"
	e.topic(b, topic)
	c.more = e.sinkTo("latency")
	run := c.start(b)
	ping := e.connect(b, database).ping(b)
	if err := ping(0); err != nil { // the first message waits until the topic has been fenced
		b.Fatal(err)
	}
	consumer, err := kgo.NewClient(kgo.SeedBrokers(e.kafka.Addrs()...), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		b.Fatal(err)
	}
	defer consumer.Close()
	awaitPings(b, consumer, map[int64]time.Time{}, 1)
	lasting := max(time.Duration(scaled(int(latencyTime))), 2*time.Second)
	n := latencyRate * int(lasting.Seconds())
	seen, done := map[int64]time.Time{}, make(chan struct{})
	go func() {
		defer close(done)
		awaitPings(b, consumer, seen, n)
	}()
	committed := ping.pace(b, 1, latencyRate, lasting)
	<-done
	run.stop(b)
	e.dropSlots(b, database)
	took := make([]time.Duration, 0, n)
	for i, at := range committed {
		took = append(took, seen[int64(i)+1].Sub(at))
	}
	slices.Sort(took)
	for _, p := range []int{50, 99} {
		e.add(b, figure{
			name: fmt.Sprintf("commit → consumer at %d tx/s, p%d", latencyRate, p), ours: milliText(percentile(took, p)),
			value: float64(percentile(took, p)) / 1e6, unit: fmt.Sprintf("consumer-p%d-ms", p),
		})
	}
}

// awaitPings notes when pings arrive, until there are so many.
func awaitPings(b *testing.B, consumer *kgo.Client, seen map[int64]time.Time, n int) {
	for len(seen) < n {
		fetches := consumer.PollFetches(b.Context())
		now := time.Now()
		if err := fetches.Err(); err != nil {
			b.Error(err)
			return
		}
		fetches.EachRecord(func(r *kgo.Record) {
			var key struct{ ID int64 }
			if err := json.Unmarshal(r.Key, &key); err != nil {
				b.Error(err)
			}
			if _, again := seen[key.ID]; !again {
				seen[key.ID] = now
			}
		})
	}
}

// measureKafkaMemory measures the most memory that a run has had resident
// while it brings one giant transaction into the log and to Kafka.
func measureKafkaMemory(b *testing.B, e *kafkaBench) {
	database, rows := e.pg.Database(b), scaled(kafkaGiantRows)
	e.sql(b, database, pingsSQL)
	c := e.capture(b, database, "pings")
	c.more = append(e.sinkTo("memory"), "--until-current")
	before := runChild(b, c.command()).peak
	e.sql(b, database, fmt.Sprintf("INSERT INTO pings SELECT n, 'as long as a short note is' FROM generate_series(1, %d) n", rows))
	peak := runChild(b, c.command()).peak
	e.drop(b, "memory.public.pings", rows)
	e.dropSlots(b, database)
	e.add(b, figure{
		name: fmt.Sprintf("peak memory, publishing a transaction of %s rows", countText(float64(rows))), ours: sizeText(peak),
		reference: sizeText(before) + " before", target: "< 256 MiB", met: peak < giantMemory, value: peak / (1 << 20), unit: "kafka-giant-MiB",
	})
}
