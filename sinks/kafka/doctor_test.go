package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sinks"
)

// diagnose is what the doctor of a sink with the options finds, a line a finding.
func diagnose(t *testing.T, o Options, topics []string, saved sinks.Checkpoint) string {
	t.Helper()
	var wanted []sinks.Topic
	for _, name := range topics {
		wanted = append(wanted, sinks.Topic{Name: name, Keyless: strings.Contains(name, "keyless")})
	}
	var b strings.Builder
	for _, f := range open(t, o).Doctor(t.Context(), wanted, saved) {
		fmt.Fprintf(&b, "%s %s: %s", f.Severity, f.Check, f.Detail)
		if f.Remedy != "" {
			fmt.Fprintf(&b, " -> %s", f.Remedy)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func says(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("nothing says %q:\n%s", w, text)
		}
	}
}

func saysNot(t *testing.T, text string, unwanted ...string) {
	t.Helper()
	for _, w := range unwanted {
		if strings.Contains(text, w) {
			t.Errorf("something says %q:\n%s", w, text)
		}
	}
}

// clusterTopics are all topics of a cluster, those of Kafka itself included.
func clusterTopics(t *testing.T, o *Options) (names []string) {
	t.Helper()
	c := newCluster(&open(t, *o).o)
	defer func() { must(t, c.close()) }()
	res, err := c.describe(t.Context(), nil)
	must(t, err)
	for _, topic := range res.Topics {
		names = append(names, topic.Name)
	}
	slices.Sort(names)
	return names
}

// Goal: the doctor tells before the first message what a sink lacks, and leaves the cluster as it was.
//
// Method: a cluster of its own, whose topics are compared before and after; then the sink publishes, is looked at while it runs, and
// goes on.
func TestDoctorLooksAndChangesNothing(t *testing.T) {
	k := testservers.StartKafkaFor(t, testservers.KafkaOptions{})
	h, topics := newHistory(), topicNames(t, 2)
	h.grow(20, topics...)
	o := h.options(k)
	made := clusterTopics(t, &o)
	text := diagnose(t, o, topics, sinks.Checkpoint{})
	says(t, text, "ok cluster: 1 broker, not encrypted", "ok topics: 0 of 2 topics there", "ok rights")
	saysNot(t, text, "problem", "warning")
	if names := clusterTopics(t, &o); !slices.Equal(names, made) {
		t.Fatalf("the doctor has made topics: there are %v, and were %v", names, made)
	}
	o.AllowCreate = false
	says(t, diagnose(t, o, topics, sinks.Checkpoint{}), "problem topics: topics ", "may not create topics", "kafka-topics.sh --bootstrap-server "+k.Addrs()[0]+" --create --topic")
	o.AllowCreate, o.ReplicationFactor = true, 3
	says(t, diagnose(t, o, topics, sinks.Checkpoint{}), "problem topics: topics ", "cannot be made: Kafka error 38", "choose a replication factor that the brokers can give")
	o.ReplicationFactor = 0

	sink := open(t, o)
	must(t, publish(t.Context(), sink, h, sinks.Checkpoint{}))
	before := clusterTopics(t, &o)
	text = diagnose(t, o, append(topics, "missing"), sink.Arrived())
	says(t, text, "ok topics: 2 of 3 topics there", "ok transactional id: the sink may be "+o.TransactionalID(), "ok rights: the sink's principal may do",
		"warning settings: topics ", "have one replica: with its broker, messages are lost")
	saysNot(t, text, "problem")
	if after := clusterTopics(t, &o); !slices.Equal(after, before) {
		t.Errorf("topics were %v and are %v", before, after)
	}
	done := len(h.units)
	h.grow(20, topics...)
	for _, meta := range h.units[done:] { // by the session from before, which nobody has fenced
		must(t, sink.Write(t.Context(), &changelog.Unit{Meta: meta}))
	}
	must(t, sink.Flush(t.Context()))
	h.check(t, k, topics...)

	must(t, k.DeleteTopic(t.Context(), topics[0]))
	wait(t, func() bool { return !slices.Contains(clusterTopics(t, &o), topics[0]) })
	says(t, diagnose(t, o, nil, sink.Arrived()), "problem topics: DIVERGED: topic "+topics[0]+" has been deleted since this sink wrote to it")
}

func TestDoctorSeesSettingsThatLoseMessages(t *testing.T) {
	k := testservers.SharedKafka(t)
	name := topicNames(t, 1)[0] + "-keyless"
	must(t, k.CreateTopic(t.Context(), testservers.KafkaTopic{Name: name, Partitions: 2}))
	must(t, k.SetTopicConfig(t.Context(), name, map[string]string{"cleanup.policy": "compact", "unclean.leader.election.enable": "true"}))
	o := newHistory().options(k)
	says(t, diagnose(t, o, []string{name}, sinks.Checkpoint{}), "problem settings: topic "+name+" is compacted", "set cleanup.policy=delete",
		"unclean.leader.election.enable=true: messages that have arrived can be lost")
	recorded := state{Topics: map[string]topicState{name: {Ends: []int64{1}, Last: []changelog.Offset{1}}}}
	says(t, diagnose(t, o, nil, sinks.Checkpoint{Offset: 1, State: recorded.encode()}), "problem partitions: DIVERGED: topic "+name+" has 2 partitions, and had 1")
	says(t, diagnose(t, o, nil, sinks.Checkpoint{State: []byte("{")}), "problem checkpoint: CORRUPT")
}

func TestDoctorOfNobody(t *testing.T) {
	o := newHistory().options(testservers.SharedKafka(t))
	o.Brokers = []string{"127.0.0.1:1"}
	text := diagnose(t, o, nil, sinks.Checkpoint{})
	says(t, text, "problem cluster: ", "connection refused", "check that the brokers run")
	if strings.Count(text, "\n") != 1 {
		t.Errorf("more than one finding:\n%s", text)
	}
}

// Goal: what a principal lacks is named, right by right, on topics that are there and on topics that are not.
func TestDoctorNamesMissingRights(t *testing.T) {
	k := testservers.StartKafkaFor(t, testservers.KafkaOptions{
		Security: testservers.KafkaSASLSSL, Authorize: true,
		Users: []testservers.KafkaUser{{Name: "admin", Password: "right", Super: true}, {Name: "app", Password: "secret"}},
	})
	pem, err := os.ReadFile(k.CAFile())
	must(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	h := newHistory()
	h.grow(5, "shop.there")
	admin := h.options(k)
	admin.TLS, admin.SASL = &tls.Config{RootCAs: pool}, &SASL{Mechanism: Plain, User: "admin", Password: "right"}
	must(t, publish(t.Context(), open(t, admin), h, sinks.Checkpoint{})) // makes a topic, and that of transactions
	o := admin
	o.SASL = &SASL{Mechanism: ScramSHA512, User: "app", Password: "secret"}
	topics := []string{"shop.there", "shop.missing"}

	says(t, diagnose(t, o, topics, sinks.Checkpoint{}),
		"ok cluster: 1 broker, encrypted, logged in as app by SCRAM-SHA-512",
		"problem transactional id: the sink's principal lacks Describe on "+o.TransactionalID(),
		"--allow-principal User:app --transactional-id "+o.TransactionalID()+" --operation Write --operation Describe",
		"problem rights: the sink's principal lacks Write, Read, Describe, Create on topics shop.missing, shop.there",
		"--resource-pattern-type prefixed --topic shop. --operation Write --operation Read --operation Describe --operation Create")

	allow := func(g testservers.KafkaGrant) { must(t, k.Allow(t.Context(), "app", g)) }
	allow(testservers.KafkaGrant{Operations: []string{"DESCRIBE"}, TransactionalIDs: []string{"cdc-"}, Prefixed: true})
	allow(testservers.KafkaGrant{Operations: []string{"DESCRIBE"}, Topics: []string{"shop."}, Prefixed: true})
	settled(t, o, topics, "lacks Write on "+o.TransactionalID(), "lacks Write on topic shop.there; Read on topics shop.missing, shop.there; Create on topic shop.missing")
	allow(testservers.KafkaGrant{Operations: []string{"WRITE"}, TransactionalIDs: []string{"cdc-"}, Prefixed: true})
	settled(t, o, topics, "ok transactional id", "lacks Write, Read on topics shop.missing, shop.there; Create on topic shop.missing")
	allow(testservers.KafkaGrant{Operations: []string{"WRITE"}, Topics: []string{"shop."}, Prefixed: true})
	settled(t, o, topics, "lacks Read on topics shop.missing, shop.there; Create on topic shop.missing")
	allow(testservers.KafkaGrant{Operations: []string{"READ", "CREATE"}, Topics: []string{"shop."}, Prefixed: true})
	text := settled(t, o, topics, "ok rights: the sink's principal may do")
	says(t, text, "ok settings: not all of them are known")
	saysNot(t, text, "problem")

	o.SASL.Password = "wrong"
	text = diagnose(t, o, topics, sinks.Checkpoint{})
	says(t, text, "problem cluster: ", "log in", "-> correct the user or the password")
	saysNot(t, text, "wrong")
	o.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	says(t, diagnose(t, o, topics, sinks.Checkpoint{}), "problem cluster: the TLS handshake", "the certificate of the authority")
}

// settled diagnoses until the texts are said: brokers learn of grants a moment later.
func settled(t *testing.T, o Options, topics []string, want ...string) (text string) {
	t.Helper()
	deadline := time.Now().Add(patience / 2)
	wait(t, func() bool {
		text = diagnose(t, o, topics, sinks.Checkpoint{})
		missing := slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(text, w) })
		return !missing || time.Now().After(deadline)
	})
	says(t, text, want...)
	return text
}

// Kafka makes its topic of transactions when it is first asked about one, so the doctor does not ask.
func TestDoctorLeavesAClusterWithoutTransactions(t *testing.T) {
	k := testservers.StartKafkaFor(t, testservers.KafkaOptions{})
	must(t, k.DeleteTopic(t.Context(), transactionTopic))
	o := newHistory().options(k)
	wait(t, func() bool { return len(clusterTopics(t, &o)) == 0 })
	text := diagnose(t, o, []string{"missing"}, sinks.Checkpoint{})
	says(t, text, "nobody has begun a transaction in this cluster yet", "ok rights: none is known to be lacking")
	saysNot(t, text, "problem", "warning")
	if made := clusterTopics(t, &o); len(made) > 0 {
		t.Errorf("the doctor has made topics %v", made)
	}
}
