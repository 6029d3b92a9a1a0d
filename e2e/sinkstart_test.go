//go:build e2e

package e2e

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cdc/e2e/testservers"
)

// Goal: a sink goes on in topics where another program has stopped.
//
// Method: a topic holds what another program has written, keyed as ours. The sink starts behind the place up to which that program
// has published, and adds what was committed later, once: also after its checkpoint is lost.
func TestG3SinkStartsWhereAnotherProgramStopped(t *testing.T) {
	k := testservers.SharedKafka(t)
	t.Run("postgres", func(t *testing.T) {
		c := newRig(t, testservers.Shared(t))
		takeOver(t, k, c.capture, c.source+".public.orders", "LSN ")
	})
	for _, f := range []testservers.Flavour{testservers.FlavourMySQL, testservers.FlavourMariaDB} {
		t.Run(string(f), func(t *testing.T) {
			c := newMySQLRig(t, testservers.SharedMySQL(t, f))
			takeOver(t, k, c.capture, c.source+"."+c.database+".orders", "GTID ")
		})
	}
}

func takeOver(t *testing.T, k *testservers.Kafka, c *capture, topic, word string) {
	c.appSQL("CREATE TABLE orders (id int PRIMARY KEY, n int)")
	c.appSQL("INSERT INTO orders VALUES (1, 1)")
	early := c.origin.end()
	c.appSQL("INSERT INTO orders VALUES (2, 1)")
	c.start("--until-current").wantExit(0)
	c.appSQL("INSERT INTO orders VALUES (3, 1)")
	c.appSQL("UPDATE orders SET n = 2 WHERE id = 1")
	stopped := c.origin.end()
	c.appSQL("INSERT INTO orders VALUES (4, 1)")
	c.appSQL("DELETE FROM orders WHERE id = 3")

	must(t, k.CreateTopic(t.Context(), testservers.KafkaTopic{Name: topic, Partitions: 1}))
	for _, value := range []string{"r 1", "r 2", "c 3", "u 1"} {
		must(t, k.Produce(t.Context(), testservers.KafkaRecord{Topic: topic, Key: []byte(`{"id":` + value[2:] + `}`), Value: []byte(`"other ` + value + `"`)}))
	}
	start := func(moment string, code int) *process {
		p := c.start("--until-current", "--sink", "kafka://"+strings.Join(k.Addrs(), ",")+"?start="+url.QueryEscape(moment))
		p.wantExit(code)
		return p
	}
	if p := start(word+early, 3); !strings.Contains(p.text(), "before the first position") {
		t.Errorf("a sink that starts before the log: %s", tail(p.text(), logLinesShown))
	}
	want := []string{"other r 1", "other r 2", "other c 3", "other u 1", "c 4", "d 3", "tombstone"}
	start(word+stopped, 0)
	wantMessages(t, k, topic, want)

	c.appSQL("UPDATE orders SET n = 3 WHERE id = 2")
	start(word+early, 0) // what it says is for a sink that has not begun
	must(t, os.Remove(filepath.Join(c.data(), "sinks", "kafka", "checkpoint.json")))
	c.appSQL("UPDATE orders SET n = 4 WHERE id = 2")
	start(word+stopped, 0)
	wantMessages(t, k, topic, append(want, "u 2", "u 2"))
}

// A table that was dropped before the place behind which a new sink begins does not keep another one from their topic; for a sink that
// publishes from the log's beginning it does.
func TestTableDroppedBeforeTheStartIsNoRival(t *testing.T) {
	c := newRig(t, testservers.Shared(t))
	c.appSQL(`CREATE TABLE "a b" (id int PRIMARY KEY)`)
	c.appSQL(`INSERT INTO "a b" VALUES (1)`)
	c.start("--until-current").wantExit(0)
	c.appSQL(`DROP TABLE "a b"`)
	p := c.run()
	c.awaitStreaming(p)
	until(t, "the drop to be known", func() bool {
		return strings.Contains(c.cdc("tables", "--format", "csv").out, "dropped")
	})
	p.stop()
	c.appSQL("CREATE TABLE other (id int PRIMARY KEY)")
	c.start("--until-current").wantExit(0)
	moment := "LSN " + c.origin.end()
	c.appSQL("CREATE TABLE a_b (id int PRIMARY KEY)")
	p = c.run()
	c.awaitStreaming(p)
	until(t, "the table to be found and copied", func() bool { return c.cdc("snapshot", "a_b", "--wait").code == 0 })
	p.stop()
	all, late := filepath.Join(c.dir, "all"), filepath.Join(c.dir, "late")
	c.appSQL("INSERT INTO a_b VALUES (2)")
	c.start("--until-current", "--sink", "file:"+all).wantExit(exitStopped)
	for range 2 {
		c.start("--until-current", "--sink", "file:"+late+"?name=late&start="+url.QueryEscape(moment)).wantExit(0)
	}
	if lines := linesBelow(t, late); len(lines) == 0 || strings.Contains(strings.Join(lines, ""), `"a b"`) {
		t.Errorf("the sink that starts behind the drop has published %q", lines)
	}
}

// wantMessages compares a topic of one partition with messages in short.
func wantMessages(t *testing.T, k *testservers.Kafka, topic string, want []string) {
	t.Helper()
	records, err := k.ReadTopic(t.Context(), topic, testservers.KafkaReadCommitted)
	must(t, err)
	var got []string
	for _, r := range records {
		got = append(got, inShort(t, r))
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("topic %s holds\n%s\nwant\n%s", topic, strings.Join(got, ", "), strings.Join(want, ", "))
	}
}

// inShort is the op and the key of a message, or the text that another program has written.
func inShort(t *testing.T, r testservers.KafkaRecord) string {
	t.Helper()
	var text string
	if json.Unmarshal(r.Value, &text) == nil {
		return text
	}
	if r.Value == nil {
		return "tombstone"
	}
	var value struct {
		Op            string
		Before, After struct{ ID json.Number }
	}
	must(t, json.Unmarshal(r.Value, &value))
	if value.Op == "d" {
		value.After = value.Before
	}
	return value.Op + " " + value.After.ID.String()
}

// A moment that the log has not passed is waited for, but not at the end of what there is.
func TestSinkThatStartsInTheFutureWaits(t *testing.T) {
	c := newRig(t, testservers.Shared(t))
	c.appSQL("CREATE TABLE orders (id int PRIMARY KEY)")
	dir := filepath.Join(c.dir, "out")
	sink := "file:" + dir + "?start=" + url.QueryEscape("LSN FFFF/0")
	p := c.start("--until-current", "--sink", sink)
	p.wantExit(3)
	if text := p.text(); !strings.Contains(text, "it cannot start") || !strings.Contains(text, "only up to") {
		t.Errorf("the reason is not named: %s", tail(text, logLinesShown))
	}
	p = c.start("--sink", "file:"+dir+"?start="+url.QueryEscape("LSN here"))
	p.wantExit(2)
	if text := p.text(); !strings.Contains(text, `"LSN here"`) || !strings.Contains(text, "name a moment") {
		t.Errorf("what is no LSN is not named: %s", tail(text, logLinesShown))
	}
	c.flags = []string{"--sink", sink}
	p = c.run()
	c.appSQL("INSERT INTO orders VALUES (1)")
	c.awaitCurrent()
	if status := c.must("status", "--json"); !strings.Contains(status, `"phase":"opening"`) || !strings.Contains(status, `"messages":0`) {
		t.Errorf("a sink that waits for its start: %s", status)
	}
	p.stop()
}

// A sink that has come to a named stop goes on when an operator has mended what it names, and says so, while the capture runs on.
func TestStoppedSinkIsTriedAgain(t *testing.T) {
	k := testservers.SharedKafka(t)
	c := newRig(t, testservers.Shared(t))
	topic := c.source + ".public.orders"
	c.appSQL("CREATE TABLE orders (id int PRIMARY KEY)")
	c.appSQL("INSERT INTO orders VALUES (1)")
	p := c.run("--sink", "kafka://"+strings.Join(k.Addrs(), ",")+"?partitions=1")
	published := func(want int) func() bool {
		return func() bool {
			records, err := k.ReadTopic(t.Context(), topic, testservers.KafkaReadCommitted)
			return err == nil && len(records) == want
		}
	}
	until(t, "the first row to be published", published(1))
	if r := c.cdc("resolve", "kafka", "--retry"); r.code != 2 || !strings.Contains(r.err, "is in no named stop") {
		t.Error(r)
	}
	if r := c.cdc("resolve", "kafkaa", "--retry"); r.code != 2 || !strings.Contains(r.err, "this run has kafka") {
		t.Error(r)
	}
	must(t, k.DeleteTopic(t.Context(), topic))
	stopped := func() bool {
		c.appSQL("INSERT INTO orders SELECT max(id) + 1 FROM orders")
		return strings.Contains(c.must("status", "--json"), `"phase":"stopped"`)
	}
	until(t, "the sink to stop", stopped)
	must(t, os.Remove(filepath.Join(c.data(), "sinks", "kafka", "checkpoint.json")))
	c.must("resolve", "kafka", "--retry")
	rows, err := strconv.Atoi(strings.TrimSpace(c.sql("SELECT count(*) FROM orders")))
	must(t, err)
	until(t, "all rows to be published", published(rows))
	p.stop()
	if r := c.cdc("resolve", "kafka", "--retry"); r.code != 2 || !strings.Contains(r.err, "not running") {
		t.Error(r)
	}
}
