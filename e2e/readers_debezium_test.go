//go:build e2e && readers

package e2e

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdc/e2e/testservers"
)

// Goal: the program goes on in the topics of a real Debezium, as docs/moving-from-debezium.md says.
//
// Method: a connector of Debezium in a worker of Kafka Connect publishes a table of counters, whose application notes what each of its
// transactions does to each row. The program captures beside it, by the translation of the connector's configuration; the connector is
// stopped in the middle of its work, and its own offsets say where the program's sink starts. Then each row's messages must be those
// changes in their order: the connector's, and behind them the program's, that may repeat the connector's last transaction and
// nothing else. Key, partition, schema and headers must not change where one ends and the other begins.
func TestReaderTopicsOfDebeziumGoOn(t *testing.T) {
	k := testservers.SharedKafka(t)
	connect := testservers.StartConnectFor(t, testservers.ConnectOptions{
		Kafka: k, Settings: map[string]string{"offset.flush.interval.ms": strconv.FormatInt(offsetsWritten.Milliseconds(), 10)},
	})
	t.Logf("Debezium %s in Kafka Connect %s", connect.DebeziumVersion(), connect.Version())
	_, err := program() // is built before there are clocks to look at
	must(t, err)
	withoutGTIDs := testservers.StartMySQLFor(t, testservers.MySQLOptions{
		Name: "without GTIDs", Settings: map[string]string{"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"},
	})
	for _, source := range []struct {
		name string
		open func(t *testing.T) *handover
	}{
		{"postgres", postgresHandover},
		{"mysql", func(t *testing.T) *handover {
			return mysqlHandover(t, testservers.SharedMySQL(t, testservers.FlavourMySQL))
		}},
		{"mysql without GTIDs", func(t *testing.T) *handover {
			h := mysqlHandover(t, withoutGTIDs)
			maps.DeleteFunc(h.properties, func(key, _ string) bool { return strings.Contains(key, ".converter") }) // schemas are the default
			return h
		}},
	} {
		for _, test := range []struct {
			name string
			run  func(h *handover)
		}{
			{"busy", (*handover).busy},
			{"cut transaction", (*handover).cutTransaction},
			{"quiet", (*handover).quiet},
			{"lagging", (*handover).lagging},
			{"unstreamed", (*handover).unstreamed},
			{"killed", (*handover).killed},
		} {
			t.Run(source.name+"/"+test.name, func(t *testing.T) {
				h := source.open(t)
				h.kafka, h.connect = k, connect
				h.publish()
				test.run(h)
			})
		}
	}
}

const (
	// offsetsWritten is how often the worker writes the offsets down while its connectors run; Connect's default is a minute.
	offsetsWritten = 2 * time.Second
	// busyMessages are published while the table is written to before the connector is stopped.
	busyMessages = 2000
	// cutRows are changed by the transaction in whose middle the connector is stopped.
	cutRows = 30000
	// cutFirst is the number of the first of them, which no other counter has.
	cutFirst = 1000
)

// busy stops the connector while the table is written to.
func (h *handover) busy() {
	stop := h.keepCounting()
	h.captureBeside()
	h.awaitMessages(h.awaitAll() + busyMessages)
	h.stopConnector()
	h.process.stop()
	h.process = h.runFile(h.startingBehind(h.stopped.moment()))
	h.awaitMessages(h.messages() + busyMessages)
	stop()
	h.process.stop()
	h.finish(h.stopped.moment())
	h.wantGoneOn(func(repeated int) bool { return repeated > 0 })
}

// cutTransaction stops the connector when a part of a transaction is in the topic.
func (h *handover) cutTransaction() {
	h.captureBeside()
	h.count(0, seeded(1), counterBatch)
	before := h.awaitAll()
	var large strings.Builder
	large.WriteString("BEGIN;\n")
	for id := cutFirst; id < cutFirst+cutRows; id++ {
		h.add(id, counterEvent{"c 1", "large"})
		fmt.Fprintf(&large, "INSERT INTO counters VALUES (%d, 1, 'large');\n", id)
	}
	large.WriteString("COMMIT;\n")
	must(h.t, h.run(h.t.Context(), large.String()))
	h.awaitMessages(before + 1)
	h.stopConnector()
	part := h.messages() - before
	if part == cutRows {
		h.t.Error("the connector has published the whole transaction")
	}
	h.count(0, seeded(2), counterBatch)
	h.process.stop()
	h.finish(h.stopped.moment())
	h.wantGoneOn(func(repeated int) bool { return repeated == part })
}

// quiet stops the connector when all that there was is in the topic, and names its last transaction.
func (h *handover) quiet() {
	h.captureBeside()
	h.count(0, seeded(1), counterBatch)
	h.awaitAll()
	h.stopConnector()
	h.count(0, seeded(2), counterBatch)
	h.process.stop()
	if moment := h.whole(); moment != "" {
		h.finish(moment)
		h.wantGoneOn(func(repeated int) bool { return repeated == 0 })
		return
	}
	h.finish(h.stopped.moment())
	h.wantGoneOn(func(repeated int) bool { return repeated > 0 })
}

// lagging has the program begin while the connector is behind, which must go on until it has passed the program's copy.
func (h *handover) lagging() {
	h.count(0, seeded(1), counterBatch)
	h.awaitAll()
	h.call("PUT", h.path("/pause"), nil)
	h.count(0, seeded(2), counterBatch)
	h.captureBeside()
	h.stopConnector()
	h.process.stop()
	h.refuses(h.stopped.moment())
	h.call("PUT", h.path("/resume"), nil)
	h.count(0, seeded(3), counterBatch)
	h.awaitAll()
	h.stopConnector()
	h.finish(h.stopped.moment())
	h.wantGoneOn(func(repeated int) bool { return repeated > 0 })
}

// refuses has the program refuse a moment that is before its copy.
func (h *handover) refuses(moment string) {
	h.t.Helper()
	p := h.runFile(h.startingBehind(moment), "--until-current")
	p.wantExit(3)
	if !strings.Contains(p.text(), "let it go on until it is behind") {
		h.t.Errorf("what to do is not said: %s", tail(p.text(), logLinesShown))
	}
}

// unstreamed stops the connector when it has copied, and streamed nothing. By its GTIDs or files MySQL is where the program began;
// PostgreSQL's slot was made before.
func (h *handover) unstreamed() {
	h.captureBeside()
	h.stopConnector()
	h.process.stop()
	if h.stopped.LSN != "" {
		h.refuses(h.stopped.moment())
		h.call("PUT", h.path("/resume"), nil)
		h.count(0, seeded(1), 2)
		h.awaitAll()
		h.stopConnector()
	}
	h.count(0, seeded(2), counterBatch)
	h.finish(h.stopped.moment())
	h.wantGoneOn(func(int) bool { return true })
}

// killed kills the worker while the table is written to. What it had published since it wrote its offsets down comes once more.
func (h *handover) killed() {
	stop := h.keepCounting()
	h.captureBeside()
	h.awaitAll()
	for began := time.Now(); time.Since(began) < 2*offsetsWritten; { // they are behind the copy by then
		h.awaitMessages(h.messages() + 1)
	}
	must(h.t, h.connect.Kill())
	stop()
	must(h.t, h.connect.Restart(h.t.Context()))
	h.call("POST", "/connectors", map[string]any{"name": h.database, "config": h.properties, "initial_state": "STOPPED"})
	h.askOffsets()
	moment := h.stopped.moment()
	if h.flushed != nil {
		moment = "LSN " + h.flushed().String()
	}
	h.anyRepeated = true
	h.process.stop()
	h.finish(moment)
	h.wantGoneOn(func(repeated int) bool { return repeated > 0 })
}
