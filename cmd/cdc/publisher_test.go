package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cdc/changelog/disklog"
	"cdc/cmd/cdc/internal/config"
	"cdc/sinks"
)

// A sink that an operator has tried again, and that cannot be made any more, stays in its stop: it does not end the run.
func TestRetryOfASinkThatCannotBeMade(t *testing.T) {
	log, err := disklog.Open(t.TempDir(), disklog.Options{SegmentBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	c := &capture{app: &App{}, log: log, logger: slog.New(slog.DiscardHandler)}
	c.app.Data = t.TempDir()
	p := &publisher{
		spec:  config.Sink{Name: "orders", URL: "kafka://k.example", Kafka: config.KafkaSettings{CA: ca}},
		again: make(chan struct{}, 1), phase: sinks.PhaseStopped,
	}
	c.publishers = []*publisher{p}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.awaitRetry(ctx, p) }()
	if err := c.retry("orders"); err != nil {
		t.Fatal(err)
	}
	for why := ""; !strings.Contains(why, ca); {
		select {
		case err := <-done:
			t.Fatalf("the sink ends the run: %v", err)
		case <-time.After(time.Millisecond):
		}
		p.mu.Lock()
		if p.failure != nil {
			why = p.failure.Error()
		}
		p.mu.Unlock()
	}
	if !p.stopped() {
		t.Error("the sink is in no stop")
	}
	p.spec.Kafka.CA = ""
	if err := c.retry("orders"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("a sink that can be made again: %v", err)
	}
}
