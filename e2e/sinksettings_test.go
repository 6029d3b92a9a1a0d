//go:build e2e

package e2e

import (
	"encoding/json"
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
	p.stop()
	for _, line := range linesBelow(t, dir) {
		if strings.Contains(line, "__debezium.context") {
			t.Errorf("a message has headers that were to be left out: %s", line)
		}
	}
	subjects := subjectsOf(t, registry)
	key, value := strings.ReplaceAll(c.source, "_", "_u005f")+".public.odd_u002dnames.Key", c.source+".public.odd-names-value"
	if !slices.Contains(subjects, key) || !slices.Contains(subjects, value) {
		t.Errorf("the registry has %v, and not %s and %s", subjects, key, value)
	}
}

func subjectsOf(t *testing.T, r *testservers.Registry) (subjects []string) {
	t.Helper()
	response, err := http.Get(r.URL() + "/subjects")
	must(t, err)
	defer response.Body.Close()
	must(t, json.NewDecoder(response.Body).Decode(&subjects))
	return subjects
}
