//go:build e2e && readers

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"cdc/e2e/testservers"
)

// Programs of readers, below e2e/readers, join the topics of orders and customers to a topic, which is compared with the same join at
// the source.

// joinLimit bounds the work of a reader that does not end, whose program takes a while to start.
const joinLimit = 3 * time.Minute

// Kafka Streams joins two topics as tables, by a foreign key.
func TestReaderKafkaStreamsJoinsTopics(t *testing.T) {
	onShops(t, "", func(t *testing.T, s *shop) {
		result := s.kafka.Topic(t, testservers.KafkaTopic{Partitions: 3})
		cmd, err := s.kafka.StreamsCommand(t.Context(), filepath.Join("readers", "streams", "Join.java"),
			s.kafka.Addrs()[0], s.prefix+"orders", s.prefix+"customers", result)
		testservers.RequireServer(t, err)
		s.awaitJoined(cmd, result)
	})
}

// Flink SQL joins two topics as tables of the format debezium-json, for which old rows must be whole. Its client knows no zstd.
func TestReaderFlinkJoinsTopics(t *testing.T) {
	jars, err := filepath.Glob(filepath.Join(testservers.CacheDir(), "flink-*", "flink-sql-connector-kafka-*.jar"))
	must(t, err)
	if len(jars) == 0 {
		testservers.RequireServer(t, fmt.Errorf("find Flink: %w", testservers.ErrNoServer))
	}
	jar := jars[len(jars)-1]
	onShops(t, "&compression=lz4", func(t *testing.T, s *shop) {
		result := s.kafka.Topic(t, testservers.KafkaTopic{Partitions: 3})
		cmd := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(jar), "bin", "python"), filepath.Join("readers", "flink", "join.py"),
			s.kafka.Addrs()[0], s.prefix+"orders", s.prefix+"customers", result, jar)
		s.awaitJoined(cmd, result)
	})
}

// awaitJoined runs a reader, which is a service, until its topic of joined orders is the join.
func (s *shop) awaitJoined(cmd *exec.Cmd, topic string) {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.dir, "reader.log"))
	must(s.t, err)
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	begun := time.Now()
	must(s.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // with its children; it may have ended
	}()
	want, got := s.joined(), map[string]string{}
	for !maps.Equal(got, want) {
		select {
		case err := <-ended:
			s.t.Fatalf("the reader ended by itself, see %s: %v", log.Name(), err)
		case <-time.After(time.Second):
		}
		got = s.foldJoined(topic)
		if time.Since(begun) > joinLimit {
			s.t.Fatalf("the topic still differs from the join of %d rows after %v, see %s:\n%s", len(want), joinLimit, log.Name(), differences(got, want))
		}
	}
	s.t.Logf("%d rows after %v", len(got), time.Since(begun).Round(time.Second))
}

// joined are the orders with the names of their customers, at the source.
func (s *shop) joined() map[string]string {
	return s.rows("orders LEFT JOIN customers ON customer = customers.id", "orders.id", []string{"customer"}, []string{"note", "name"})
}

// foldJoined adds up a topic of joined orders. The last value of a key is its row.
func (s *shop) foldJoined(topic string) map[string]string {
	s.t.Helper()
	records, err := s.kafka.ReadTopic(s.t.Context(), topic, testservers.KafkaReadCommitted)
	must(s.t, err)
	rows := map[string]string{}
	for _, r := range records {
		var key struct{ ID json.Number }
		if err := json.Unmarshal(r.Key, &key); err != nil {
			s.t.Fatalf("%v: %s", err, r.Key)
		}
		if r.Value == nil {
			delete(rows, key.ID.String())
			continue
		}
		rows[key.ID.String()] = shopRow(s.t, r.Value, []string{"id", "customer"}, []string{"note", "name"})
	}
	return rows
}
