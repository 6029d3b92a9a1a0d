package kafka

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestOptionsNameAllTheirProblems(t *testing.T) {
	err := (&Options{
		Brokers: []string{"nohost"}, Partitions: -1, ReplicationFactor: 1 << 20, MaxInFlightBytes: 5, RequestTimeout: time.Millisecond,
		Compression: "rar", SASL: &SASL{Mechanism: "KERBEROS", User: "u"},
	}).Validate()
	for _, want := range []string{"nohost", "no name", "a log", "-1", "1048576", "5", "1ms", "rar", "KERBEROS"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	h := newHistory()
	if err := (&Options{Brokers: []string{"h:9092"}, Name: "n", Log: h, Encoder: h, Logger: slog.New(slog.DiscardHandler)}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	s := SASL{Mechanism: Plain, User: "u", Password: "hunter2"}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", s, s, s, s.Password), slog.Any("s", s.Password).String()} {
		if strings.Contains(text, "hunter2") {
			t.Error(text)
		}
	}
}
