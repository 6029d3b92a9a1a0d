package testservers

import (
	"context"
	"os"
	"strings"
	"sync"
)

// sharedKafka starts the one cluster of this test binary at its first use.
var sharedKafka = sync.OnceValues(func() (*Kafka, error) {
	if addrs := os.Getenv("CDC_TEST_KAFKA"); addrs != "" {
		return ExternalKafka(addrs), nil
	}
	return StartKafka(context.Background(), KafkaOptions{Name: "shared kafka"})
})

// SharedKafka is the cluster of one broker of this test binary: started at the
// first call and stopped when the process ends, or the one that CDC_TEST_KAFKA
// (host:port,…) names, where this package needs no password. Tests share its
// settings, groups and transactional ids, so each works in a Topic of its own
// and one that restarts, kills or pauses a broker starts its own cluster with
// StartKafkaFor. Without Kafka the test is skipped, or fails if
// CDC_TEST_REQUIRE=1.
func SharedKafka(tb TB) *Kafka {
	tb.Helper()
	k, err := sharedKafka()
	return required(tb, k, err)
}

// StartKafkaFor starts a cluster of the test's own, by the same rules as
// SharedKafka, and stops it at the end of the test.
func StartKafkaFor(tb TB, o KafkaOptions) *Kafka {
	tb.Helper()
	k, err := StartKafka(tb.Context(), o)
	return started(tb, k, err)
}

// ExternalKafka describes a running cluster by the addresses of its brokers,
// with commas between them. It has no Brokers to kill.
func ExternalKafka(addrs string) *Kafka { return &Kafka{addrs: strings.Split(addrs, ",")} }
