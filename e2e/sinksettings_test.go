//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cdc/e2e/testservers"
)

// What a sink's URL says of the schema registry and of messages is what they are.
func TestSettingsOfSinksReachTheirMessages(t *testing.T) {
	k, registry := testservers.SharedKafka(t), testservers.SharedRegistry(t)
	c := newRig(t, testservers.Shared(t))
	c.appSQL(`CREATE TABLE "odd-names" (id int PRIMARY KEY, "a b" int)`)
	c.appSQL(`INSERT INTO "odd-names" VALUES (1, 2)`)
	kafka := "kafka://" + strings.Join(k.Addrs(), ",") + "?format=debezium-avro&key_subjects=record&avro_names=avro_unicode&registry=" + registry.URL()

	p := c.start("--sink", kafka+"&register_schemas=false")
	until(t, "the schema to be missed", func() bool {
		return strings.Contains(p.text(), "odd_u002dnames.Key") && strings.Contains(p.text(), "register the schema")
	})
	p.stop()
	dir := filepath.Join(c.dir, "out")
	p = c.start("--sink", kafka, "--sink", "file:"+dir+"?heartbeats=true&context_headers=false&rotate_time=1s")
	c.awaitStreaming(p)
	until(t, "a heartbeat", func() bool {
		return slices.ContainsFunc(linesBelow(t, dir), func(line string) bool {
			return strings.Contains(line, "__debezium-heartbeat."+c.source) || strings.Contains(line, `"serverName":"`+c.source+`"`)
		})
	})
	key, value := strings.ReplaceAll(c.source, "_", "_u005f")+".public.odd_u002dnames.Key", c.source+".public.odd-names-value"
	until(t, "the registry to have the schemas "+key+" and "+value, func() bool {
		subjects := subjectsOf(t, registry)
		return slices.Contains(subjects, key) && slices.Contains(subjects, value)
	})
	p.stop()
	for _, line := range linesBelow(t, dir) {
		if strings.Contains(line, "__debezium.context") {
			t.Errorf("a message has headers that were to be left out: %s", line)
		}
	}
}

// Before the first run, while one publishes, and without the log's writer, the doctor sees the topics that the sink is about, and makes
// none.
func TestDoctorLooksAtSinks(t *testing.T) {
	k, registry := testservers.SharedKafka(t), testservers.SharedRegistry(t)
	c := newRig(t, testservers.Shared(t))
	c.appSQL("CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE bare (id int); ALTER TABLE bare REPLICA IDENTITY FULL")
	c.appSQL("INSERT INTO orders VALUES (1)")
	c.appSQL("INSERT INTO bare VALUES (1)")
	dsn, password := c.login()
	sink := "kafka://" + strings.Join(k.Addrs(), ",") + "?format=debezium-avro&registry=" + registry.URL()
	doctor := func() result {
		return execute(t, []string{password}, "doctor", dsn, "--name", c.source, "--data", c.data(), "--format", "csv", "--sink", sink, "--sink", "file:"+filepath.Join(c.dir, "files"))
	}
	says := func(r result, code int, words ...string) {
		t.Helper()
		for _, word := range words {
			if !strings.Contains(r.out, word) {
				t.Errorf("the doctor does not say %q: %v", word, r)
			}
		}
		if r.code != code {
			t.Errorf("exit code %d, want %d: %v", r.code, code, r)
		}
	}
	says(doctor(), 0, ",cluster,ok,", ",topics,ok,0 of 2 topics there,", ",schema registry,ok,", "can be made in "+c.dir, c.source+",server,ok,")
	if topics := c.topicsOf(k); len(topics) > 0 {
		t.Fatalf("the doctor has made %v", topics)
	}
	c.start("--sink", sink, "--until-current").wantExit(0)
	p := c.start("--sink", sink)
	c.awaitStreaming(p)
	says(doctor(), 0, ",topics,ok,2 of 2 topics there,", ",settings,warning,", "one replica")
	must(t, k.SetTopicConfig(t.Context(), c.source+".public.bare", map[string]string{"cleanup.policy": "compact"}))
	p.stop()
	until(t, "the setting to be known", func() bool { return doctor().code == exitUnfit })
	says(doctor(), exitUnfit, ",settings,problem,\"topic "+c.source+".public.bare is compacted")
	must(t, k.SetTopicConfig(t.Context(), c.source+".public.bare", map[string]string{"cleanup.policy": "delete"}))
	c.appSQL("INSERT INTO bare VALUES (2)")
	c.start("--sink", sink, "--until-current").wantExit(0)
}

// topicsOf are the topics of the rig's source.
func (c *rig) topicsOf(k *testservers.Kafka) (names []string) {
	c.t.Helper()
	for _, table := range []string{"orders", "bare"} {
		if records, err := k.ReadTopic(c.t.Context(), c.source+".public."+table, testservers.KafkaReadCommitted); err == nil {
			names = append(names, fmt.Sprintf("%s with %d messages", table, len(records)))
		}
	}
	return names
}

func subjectsOf(t *testing.T, r *testservers.Registry) (subjects []string) {
	t.Helper()
	response, err := http.Get(r.URL() + "/subjects")
	must(t, err)
	defer response.Body.Close()
	must(t, json.NewDecoder(response.Body).Decode(&subjects))
	return subjects
}

// A registry that does not take a table's new schema stops the sink, which says what is new; nothing is skipped, and it goes on when the
// subject takes it.
func TestRefusedSchemaStopsTheSinkUntilTheSubjectTakesIt(t *testing.T) {
	k, registry := testservers.SharedKafka(t), testservers.SharedRegistry(t)
	c := newRig(t, testservers.Shared(t))
	c.appSQL("CREATE TABLE orders (id int PRIMARY KEY)")
	c.appSQL("INSERT INTO orders VALUES (1)")
	topic := c.source + ".public.orders"
	c.flags = []string{"--sink", "kafka://" + strings.Join(k.Addrs(), ",") + "?partitions=1&format=debezium-avro&registry=" + registry.URL()}
	c.start("--until-current").wantExit(0)
	configureSubject(t, registry, topic+"-value", "BACKWARD")
	p := c.run()
	c.appSQL("ALTER TABLE orders ADD COLUMN qty int NOT NULL DEFAULT 5")
	c.appSQL("INSERT INTO orders VALUES (2, 7)")
	until(t, "the sink to stop", func() bool { return strings.Contains(c.must("status", "--json"), `"phase":"stopped"`) || p.ended() })
	status := c.must("status", "--json")
	for _, want := range []string{"SCHEMA", "qty", "/config/" + topic + "-value"} {
		if !strings.Contains(status, want) {
			t.Errorf("the stop does not say %q: %s", want, status)
		}
	}
	c.appSQL("INSERT INTO orders VALUES (3, 8)")
	c.awaitCurrent()                                         // the capture goes on
	configureSubject(t, registry, topic+"-value", "FORWARD") // NONE would leave the level of the registry
	c.must("resolve", "kafka", "--retry")
	until(t, "all rows to be published", func() bool {
		records, err := k.ReadTopic(t.Context(), topic, testservers.KafkaReadCommitted)
		return err == nil && len(records) == 3
	})
	p.stop()
}

func configureSubject(t *testing.T, r *testservers.Registry, subject, level string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, r.URL()+"/config/"+subject, strings.NewReader(`{"compatibility": "`+level+`"}`))
	must(t, err)
	request.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("set %s to %s: %s", subject, level, response.Status)
	}
}
