//go:build e2e && readers

package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cdc/e2e/testservers"
)

// handover is a database whose table counters is published by a connector, from which the program takes over.
type handover struct {
	*capture
	kafka   *testservers.Kafka
	connect *testservers.Connect
	// properties are the connector's, topic that of the table.
	properties map[string]string
	topic      string
	// newer are fields of the block source that this Debezium has and ours, of Debezium 3.5, has not.
	newer []string
	// run runs statements as the application.
	run func(ctx context.Context, statements string) error
	// flushed is what the connector's slot holds for it, nil where there are no slots.
	flushed func() json.Number

	// configuration is the translation of the connector's, stopped what the connector said of its offsets.
	configuration string
	stopped       connectorOffset
	process       *process // of the capture
	// anyRepeated says that more may be repeated than the connector's last transaction.
	anyRepeated bool

	mu      sync.Mutex // guards history
	history map[int][]counterEvent
}

// counterEvent is what a transaction did to a row: the op, and for all but a delete the new count.
type counterEvent struct{ what, tx string }

// connectorOffset is what a connector's offsets may say. Of PostgreSQL, only LSN is there until something has been streamed.
type connectorOffset struct {
	Commit json.Number `json:"lsn_commit"`
	LSN    json.Number `json:"lsn"`
	Tx     json.Number `json:"txId"`
	GTIDs  string      `json:"gtids"`
	File   string      `json:"file"`
	Pos    json.Number `json:"pos"`
}

const (
	counterWriters   = 3
	countersOfWriter = 8
	// counterBatch transactions are sent at once.
	counterBatch = 20
	// counterPause is the pause behind them: the connector shall keep up.
	counterPause = 20 * time.Millisecond
)

func postgresHandover(t *testing.T) *handover {
	c := newRig(t, testservers.Shared(t))
	h := &handover{capture: c.capture, topic: c.source + ".public.counters", newer: []string{"origin", "origin_lsn"}}
	h.run = func(ctx context.Context, statements string) error {
		_, err := c.server.SQLAs(ctx, c.app, c.database, statements)
		return err
	}
	h.flushed = func() json.Number {
		const query = `SELECT (confirmed_flush_lsn - '0/0')::text FROM pg_replication_slots WHERE slot_name = $1`
		return json.Number(c.ask(query, "debezium_"+c.database))
	}
	h.properties = map[string]string{
		"connector.class":             "io.debezium.connector.postgresql.PostgresConnector",
		"database.dbname":             c.database,
		"plugin.name":                 "pgoutput",
		"slot.name":                   "debezium_" + c.database,
		"publication.name":            "debezium_" + c.database,
		"publication.autocreate.mode": "filtered",
		"table.include.list":          "public.counters",
	}
	return h
}

func mysqlHandover(t *testing.T, server *testservers.MySQL) *handover {
	c := newMySQLRig(t, server)
	// Debezium locks tables as it copies them.
	c.role = server.Role(t, testservers.MySQLCaptureRole{
		Name: c.database + "_debezium", Databases: []string{c.database}, Global: []string{"RELOAD", "LOCK TABLES", "SHOW DATABASES"},
	})
	h := &handover{capture: c.capture, topic: c.source + "." + c.database + ".counters"}
	h.run = func(ctx context.Context, statements string) error {
		_, err := c.server.SQLAs(ctx, c.app, c.database, statements)
		return err
	}
	h.properties = map[string]string{
		"connector.class":                                 "io.debezium.connector.mysql.MySqlConnector",
		"database.server.id":                              strconv.Itoa(1000 + rand.IntN(1<<30)),
		"database.include.list":                           c.database,
		"key.converter":                                   "org.apache.kafka.connect.json.JsonConverter",
		"key.converter.schemas.enable":                    "false",
		"value.converter":                                 "org.apache.kafka.connect.json.JsonConverter",
		"value.converter.schemas.enable":                  "false",
		"schema.history.internal.kafka.topic":             "history." + c.database,
		"schema.history.internal.kafka.bootstrap.servers": "KAFKA:9092",
	}
	return h
}

// call asks the worker of Kafka Connect.
func (h *handover) call(method, path string, body any) []byte {
	h.t.Helper()
	answer, err := h.connect.Call(h.t.Context(), method, path, body)
	must(h.t, err)
	return answer
}

// path is that of the connector in the worker's API.
func (h *handover) path(rest string) string { return "/connectors/" + h.database + rest }

// publish makes the table and starts the connector, which copies it.
func (h *handover) publish() {
	h.t.Helper()
	h.history = map[int][]counterEvent{}
	h.appSQL("CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL, tx varchar(40))")
	for id := range counterWriters * countersOfWriter {
		h.appSQL(fmt.Sprintf("INSERT INTO counters VALUES (%d, 0, 'copy')", id))
		h.history[id] = []counterEvent{{"r 0", "copy"}}
	}
	u, err := url.Parse(h.dsn())
	must(h.t, err)
	password, _ := u.User.Password()
	maps.Copy(h.properties, map[string]string{
		"database.hostname":                         u.Hostname(),
		"database.port":                             u.Port(),
		"database.user":                             u.User.Username(),
		"database.password":                         password,
		"topic.prefix":                              h.source,
		"topic.creation.default.partitions":         "3",
		"topic.creation.default.replication.factor": "-1",
	})
	for key, value := range h.properties {
		h.properties[key] = strings.Replace(value, "KAFKA:9092", h.kafka.AdminAddrs()[0], 1)
	}
	h.t.Setenv("DATABASE_PASSWORD", password)
	h.call("POST", "/connectors", map[string]any{"name": h.database, "config": h.properties})
	h.awaitMessages(len(h.history))
}

// awaitMessages waits until the topic has so many messages.
func (h *handover) awaitMessages(n int) {
	h.t.Helper()
	until(h.t, fmt.Sprintf("%d messages in %s", n, h.topic), func() bool { return h.messages() >= n })
}

// awaitAll waits for a message of every change so far, and returns their number.
func (h *handover) awaitAll() (total int) {
	h.t.Helper()
	h.mu.Lock()
	for _, events := range h.history {
		total += len(events)
	}
	h.mu.Unlock()
	h.awaitMessages(total)
	return total
}

// messages counts those of the topic.
func (h *handover) messages() int {
	bounds, err := h.kafka.Offsets(h.t.Context(), h.topic)
	if err != nil {
		return 0 // there is none yet
	}
	var n int64
	for _, b := range bounds {
		n += b.Next - b.First
	}
	return int(n)
}

// captureBeside runs the program without its sink, by the translation of the connector's configuration, until it has the copy.
func (h *handover) captureBeside() {
	h.t.Helper()
	file := filepath.Join(h.dir, "connector.json")
	must(h.t, os.WriteFile(file, h.call("GET", h.path(""), nil), 0o600))
	r := execute(h.t, nil, "import-debezium", file)
	for line := range strings.Lines(r.err) {
		if strings.HasPrefix(line, "unknown") && !strings.Contains(line, " bootstrap.servers ") {
			h.t.Errorf("a property that Debezium knows: %s", line)
		}
	}
	h.configuration = strings.Replace(r.out, "KAFKA:9092", h.kafka.Addrs()[0], 1)
	if id := h.properties["database.server.id"]; id != "" { // both run
		h.configuration = strings.Replace(h.configuration, "    server_id: "+id+"\n", "", 1)
	}
	source, _, _ := strings.Cut(h.configuration, "sinks:\n")
	h.process = h.runFile(source)
	until(h.t, "the copy", func() bool {
		status := h.status()
		return status.copied() || h.process.ended()
	})
	if h.process.ended() {
		h.t.Fatalf("cdc run ended:\n%s", tail(h.process.text(), logLinesShown))
	}
}

// runFile starts the program with a configuration.
func (h *handover) runFile(configuration string, flags ...string) *process {
	h.t.Helper()
	file := filepath.Join(h.dir, "cdc.yaml")
	must(h.t, os.WriteFile(file, []byte(configuration), 0o600))
	return startProcess(h.capture, append([]string{"run", "-c", file, "--data", h.data(), "--http", "off"}, flags...)...)
}

// stopConnector stops it and keeps its offsets.
func (h *handover) stopConnector() {
	h.t.Helper()
	h.call("PUT", h.path("/stop"), nil)
	h.askOffsets()
}

// askOffsets asks for the offsets of a connector that is stopped. Its slot is not behind them: nothing is gone that they ask for.
func (h *handover) askOffsets() {
	h.t.Helper()
	answer := h.call("GET", h.path("/offsets"), nil)
	h.t.Logf("offsets of the connector: %s", answer)
	var offsets struct {
		Offsets []struct{ Offset connectorOffset }
	}
	must(h.t, json.Unmarshal(answer, &offsets))
	if len(offsets.Offsets) != 1 {
		h.t.Fatal("there is not one offset")
	}
	h.stopped = offsets.Offsets[0].Offset
	if h.flushed == nil {
		return
	}
	flushed, err := h.flushed().Int64()
	must(h.t, err)
	at, err := cmp.Or(h.stopped.Commit, h.stopped.LSN).Int64()
	must(h.t, err)
	h.t.Logf("its slot: %d", flushed)
	if flushed > at {
		h.t.Errorf("the slot is at %d, behind the offsets", flushed)
	}
}

// moment is where the connector would read on.
func (o connectorOffset) moment() string {
	switch {
	case o.Commit != "":
		return "LSN " + o.Commit.String()
	case o.LSN != "":
		return "LSN " + o.LSN.String()
	case o.GTIDs != "":
		return "GTID " + o.GTIDs
	}
	return "GTID " + o.File + ":" + o.Pos.String()
}

// whole is the moment that has the connector's last transaction, too; empty when it has no name.
func (h *handover) whole() string {
	if h.stopped.Tx != "" {
		return "TX " + h.stopped.Tx.String()
	}
	if h.stopped.GTIDs == "" {
		return ""
	}
	last := h.lastOfConnector(h.read())
	var value struct{ Source struct{ GTID string } }
	payload(h.t, last.record.Value, &value)
	return "GTID " + h.stopped.GTIDs + "," + value.Source.GTID
}

// startingBehind is the configuration of a sink that starts behind a moment.
func (h *handover) startingBehind(moment string) string {
	return h.configuration + "    start: " + strconv.Quote(moment) + "\n"
}

// finish has the program publish all that there is behind a moment.
func (h *handover) finish(moment string) {
	h.t.Helper()
	h.runFile(h.startingBehind(moment), "--until-current").wantExit(0)
	h.call("DELETE", h.path(""), nil)
}

// keepCounting changes counters in the background until the returned function is called.
func (h *handover) keepCounting() (stop func()) {
	n := seed(h.t)
	h.t.Logf("seed %d", n)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for writer := range counterWriters {
		wg.Go(func() {
			for random := seeded(n + uint64(writer)); ctx.Err() == nil; {
				h.count(writer, random, counterBatch)
				select {
				case <-ctx.Done():
				case <-time.After(counterPause):
				}
			}
		})
	}
	stop = func() {
		cancel()
		wg.Wait()
	}
	h.t.Cleanup(stop)
	return stop
}

func (h *handover) add(id int, e counterEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.history[id] = append(h.history[id], e)
}

// count commits transactions of a writer, which change some of its counters.
func (h *handover) count(writer int, random *rand.Rand, transactions int) {
	var batch strings.Builder
	for range transactions {
		tx := fmt.Sprintf("%d %x", writer, random.Uint64())
		batch.WriteString("BEGIN;\n")
		for range 1 + random.IntN(5) {
			id := writer*countersOfWriter + random.IntN(countersOfWriter)
			h.mu.Lock()
			events := h.history[id]
			h.mu.Unlock()
			n := len(events)
			if random.IntN(5) > 0 {
				h.add(id, counterEvent{fmt.Sprint("u ", n), tx})
				fmt.Fprintf(&batch, "UPDATE counters SET n = %d, tx = '%s' WHERE id = %d;\n", n, tx, id)
				continue
			}
			for _, what := range []string{"d", "tombstone", fmt.Sprint("c ", n)} {
				h.add(id, counterEvent{what, tx})
			}
			fmt.Fprintf(&batch, "DELETE FROM counters WHERE id = %d;\nINSERT INTO counters VALUES (%[1]d, %d, '%s');\n", id, n, tx)
		}
		batch.WriteString("COMMIT;\n")
	}
	if err := h.run(context.Background(), batch.String()); err != nil {
		h.t.Error(err)
	}
}
