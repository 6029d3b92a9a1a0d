//go:build e2e && readers

package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"cdc/e2e/testservers"
)

// debeziumResultsTable is the name of the table in docs/benchmarks.md.
const debeziumResultsTable = "results of Debezium"

// debeziumTwenties is how many transactions of 20 changes the backlog has.
const debeziumTwenties = 30_000

// connectFlags are those with which Kafka's own script starts a worker.
var connectFlags = []string{
	"-server", "-Xms256M", "-Xmx2G", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
	"-XX:+ExplicitGCInvokesConcurrent",
}

// BenchmarkDebezium measures how fast a backlog of a PostgreSQL table comes into a topic of Kafka, and what processor time that takes:
// by cdc, and by Debezium in Kafka Connect. Both write JSON without schemas, compressed by lz4, into as many partitions. Of cdc the
// whole process is measured, with the making of its log; of Debezium the time from a connector's resumption until the last message, in
// a worker that is running and has published before.
func BenchmarkDebezium(b *testing.B) {
	binary, err := program()
	if err != nil {
		b.Fatal(err)
	}
	e := &kafkaBench{
		bench: &bench{
			benchReport: &benchReport{name: debeziumResultsTable}, binary: binary,
			pg: testservers.Start(b, testservers.PostgresOptions{Name: "bench", Settings: serverSettings}),
		},
		kafka: testservers.StartKafkaFor(b, testservers.KafkaOptions{Name: "bench", Settings: kafkaBrokerSettings}),
	}
	d := &debeziumBench{kafkaBench: e, connect: testservers.StartConnectFor(b, testservers.ConnectOptions{
		Kafka: e.kafka, Flags: connectFlags, Settings: map[string]string{
			"key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false", "producer.compression.type": "lz4",
		},
	})}
	complete := measure(b, debeziumMeasurements, d)
	e.publish(b, complete, fmt.Sprintf("PostgreSQL %s, Kafka %s and Debezium %s", e.pg.Version(), e.kafka.Version(), d.connect.DebeziumVersion()))
}

// debeziumMeasurements is the one that there is.
var debeziumMeasurements = []measurement[*debeziumBench]{{"debezium", measureDebezium}}

func TestReaderMeasurementIsDescribed(t *testing.T) {
	wantDescribed(t, names(debeziumMeasurements), debeziumResultsTable)
}

// debeziumBench is what the two sides share.
type debeziumBench struct {
	*kafkaBench
	connect  *testservers.Connect
	database string
}

// debeziumName is the connector of a round, its slot, and the first part of its topic.
func debeziumName(round int) string { return fmt.Sprintf("debezium_%d", round) }

func measureDebezium(b *testing.B, e *debeziumBench) {
	e.database = e.pg.Database(b)
	e.sql(b, e.database, benchSQL+"CREATE PUBLICATION debezium FOR TABLE orders;")
	var captures []*benchCapture
	for round := range benchRounds {
		c := e.capture(b, e.database, "orders")
		c.untilCurrent(b)
		captures = append(captures, c)
		e.openConnector(b, round)
	}
	transactions := scaled(debeziumTwenties)
	e.sql(b, e.database, fmt.Sprintf("SET enable_seqscan = off; CALL change_in_twenties(%d);", transactions))
	messages := transactions * messagesOfTwenty
	var ours, reference []childRun
	for round := range benchRounds {
		reference = append(reference, e.drainConnector(b, round, messages))
		prefix := fmt.Sprintf("cdc_%d", round)
		ours = append(ours, runChild(b, captures[round].command(append(e.sinkTo(prefix), "--until-current")...)))
		e.drop(b, prefix+".public.orders", messages)
	}
	e.dropSlots(b, e.database)
	e.addDebezium(b, messages, ours, reference)
}

// call asks the worker.
func (e *debeziumBench) call(b *testing.B, method, path string, body any) string {
	b.Helper()
	answer, err := e.connect.Call(b.Context(), method, path, body)
	if err != nil {
		b.Fatal(err)
	}
	return string(answer)
}

// openConnector has a connector copy the table and then wait with its slot.
func (e *debeziumBench) openConnector(b *testing.B, round int) {
	b.Helper()
	u, err := url.Parse(e.pg.SuperuserDSN(e.database))
	if err != nil {
		b.Fatal(err)
	}
	password, _ := u.User.Password()
	name := debeziumName(round)
	e.call(b, "POST", "/connectors", map[string]any{"name": name, "config": map[string]string{
		"connector.class":                           "io.debezium.connector.postgresql.PostgresConnector",
		"database.hostname":                         u.Hostname(),
		"database.port":                             u.Port(),
		"database.user":                             u.User.Username(),
		"database.password":                         password,
		"database.dbname":                           e.database,
		"plugin.name":                               "pgoutput",
		"slot.name":                                 name,
		"publication.name":                          "debezium",
		"publication.autocreate.mode":               "disabled",
		"table.include.list":                        "public.orders",
		"topic.prefix":                              name,
		"topic.creation.default.partitions":         fmt.Sprint(kafkaPartitions),
		"topic.creation.default.replication.factor": "-1",
	}})
	rows := strings.TrimSpace(e.sql(b, e.database, "SELECT count(*) FROM orders"))
	awaitFor(b, "the copy of connector "+name, time.Minute, func() bool { return fmt.Sprint(e.published(b, round)) == rows })
	e.call(b, "PUT", "/connectors/"+name+"/stop", nil)
}

// published counts the messages of a connector.
func (e *debeziumBench) published(b *testing.B, round int) (n int) {
	bounds, err := e.kafka.Offsets(b.Context(), debeziumName(round)+".public.orders")
	if err != nil {
		return 0 // there is no topic yet
	}
	for _, p := range bounds {
		n += int(p.Next - p.First)
	}
	return n
}

// drainConnector has a connector publish the backlog.
func (e *debeziumBench) drainConnector(b *testing.B, round, messages int) childRun {
	b.Helper()
	name := debeziumName(round)
	want := e.published(b, round) + messages
	before, pid := e.connect.Used()
	began := time.Now()
	stop, peak := make(chan struct{}), make(chan float64, 1)
	go func() { peak <- watchPeakRSS(pid, stop) }()
	e.call(b, "PUT", "/connectors/"+name+"/resume", nil)
	awaitFor(b, "the backlog of connector "+name, 10*time.Minute, func() bool { return e.published(b, round) >= want })
	run := childRun{whole: time.Since(began)}
	after, _ := e.connect.Used()
	close(stop)
	run.cpu, run.peak = after-before, <-peak
	e.call(b, "DELETE", "/connectors/"+name, nil)
	e.drop(b, name+".public.orders", want)
	return run
}

func (e *debeziumBench) addDebezium(b *testing.B, messages int, ours, reference []childRun) {
	b.Helper()
	rate := func(runs []childRun, of func(childRun) time.Duration) float64 {
		return float64(messages) / median(each(runs, of)).Seconds()
	}
	fast, reached := rate(ours, childRun.all), rate(reference, childRun.all)
	e.add(b, figure{
		name: "Postgres → Kafka, beside Debezium", ours: rateText(fast, "messages"), reference: rateText(reached, "messages"),
		ratio: fast / reached, value: fast, unit: "debezium-messages/s",
	})
	lean, spent := rate(ours, childRun.used), rate(reference, childRun.used)
	e.add(b, figure{
		name: "the same, messages per CPU-second of the process", ours: countText(lean), reference: countText(spent),
		ratio: lean / spent, value: lean, unit: "debezium-messages/cpu-s",
	})
	peak, held := median(each(ours, peakOf)), median(each(reference, peakOf))
	e.add(b, figure{name: "the same, peak memory", ours: sizeText(peak), reference: sizeText(held), value: peak / (1 << 20), unit: "debezium-MiB"})
}

func peakOf(r childRun) float64 { return r.peak }
