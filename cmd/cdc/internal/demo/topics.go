package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"

	"cdc/cmd/cdc/internal/client"
	"cdc/e2e/testservers"
)

// topicOfOrders is the topic of the shop's orders.
const topicOfOrders = database + ".public.orders"

// shownMessages is how many messages and changes are shown beside each other, and shownColumns how much of each.
const (
	shownMessages = 6
	shownColumns  = 150
)

// startKafka starts the broker of the demo.
func (w *walk) startKafka(ctx context.Context) error {
	began := time.Now()
	var err error
	if w.kafka, err = testservers.StartKafka(ctx, testservers.KafkaOptions{Name: "demo"}); err != nil {
		return err
	}
	w.did(began, "Kafka %s started at %s", w.kafka.Version(), w.kafka.Addrs()[0])
	return nil
}

// sinkURL is where the demo publishes.
func (w *walk) sinkURL() string { return "kafka://" + w.kafka.Addrs()[0] }

// topics shows the messages as a reader of the topic gets them, beside the changes of the log.
func (w *walk) topics(ctx context.Context) error {
	w.heading("From the log into topics", "Lines that begin with log are what 'cdc tail orders' prints, those with topic what Kafka's own console consumer",
		"reads from "+topicOfOrders+" at the same time: what Debezium would have written.")
	reading, stop := context.WithCancel(ctx)
	defer stop()
	consumer, err := w.kafka.Command(reading, testservers.KafkaConsoleConsumer, "--bootstrap-server", w.kafka.Addrs()[0], "--topic", topicOfOrders,
		"--isolation-level", "read_committed")
	if err != nil {
		return err
	}
	messages, err := startLines(consumer)
	if err != nil {
		return err
	}
	defer func() { _ = consumer.Wait() }() // it is ended by its context
	defer stop()
	first, err := messages.next(ctx) // it reads by now
	if err != nil {
		return err
	}
	w.show("cdc tail orders &")
	changes, err := startLines(w.command(reading, "tail", "orders"))
	if err != nil {
		return err
	}
	w.both(first, "")
	for range shownMessages {
		change, err := changes.next(ctx)
		if err != nil {
			return err
		}
		message, err := messages.next(ctx)
		if err != nil {
			return err
		}
		w.both(message, change)
	}
	return nil
}

// both prints a change and a message.
func (w *walk) both(message, change string) {
	if change != "" {
		w.say("%s %s", w.style.Dim("log  "), cut(change))
	}
	w.say("%s %s", w.style.Cyan("topic"), cut(message))
}

func cut(text string) string {
	if runes := []rune(text); len(runes) > shownColumns {
		return string(runes[:shownColumns]) + "…"
	}
	return text
}

// lines are what a program prints while it runs.
type lines struct{ c chan string }

func startLines(cmd *exec.Cmd) (*lines, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	l := &lines{c: make(chan string)}
	go func() {
		defer close(l.c)
		scanner := bufio.NewScanner(out)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			select {
			case l.c <- scanner.Text():
			case <-time.After(stopLimit):
				_, _ = io.Copy(io.Discard, out) // nobody reads any more
				return
			}
		}
	}()
	return l, nil
}

func (l *lines) next(ctx context.Context) (string, error) {
	timer := time.NewTimer(streamingLimit)
	defer timer.Stop()
	select {
	case line, ok := <-l.c:
		if !ok {
			return "", errors.New("the program has ended")
		}
		return line, nil
	case <-timer.C:
		return "", fmt.Errorf("nothing was printed within %s", streamingLimit)
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// outage kills the broker, and then the capture, and shows that neither loses or repeats anything.
func (w *walk) outage(ctx context.Context) error {
	w.heading("Kafka dies", "The capture goes on: what Kafka has not taken waits in the log, and no slot or binlog is held back by it.")
	broker := w.kafka.Brokers()[0]
	w.show("kill -9 <the broker>")
	died, before := time.Now(), w.shop.count()
	if err := broker.Kill(); err != nil {
		return err
	}
	err := w.pause(ctx, "(no broker)", func() (bool, error) { return time.Since(died) >= pauseOfCrash, w.shop.err() })
	if err != nil {
		return err
	}
	if err := w.cdc(ctx, "status"); err != nil {
		return err
	}
	began := time.Now()
	if err := broker.Restart(ctx); err != nil {
		return err
	}
	w.did(began, "Kafka started again; %d transactions committed meanwhile", w.shop.count()-before)
	w.heading("And so does the capture", "kill -9 in the middle of publishing. It asks the topics themselves where they stand before it goes on.")
	w.show(fmt.Sprintf("kill -9 %d", w.capture.pid()))
	if err := w.capture.kill(); err != nil {
		return err
	}
	began = time.Now()
	if err := w.launch(ctx, "run", "--http", "off", "--sink", w.sinkURL()); err != nil {
		return err
	}
	w.did(began, "streaming and publishing again")
	return nil
}

// folded compares the topic with the table that it comes from, once the shop has closed.
func (w *walk) folded(ctx context.Context) error {
	w.heading("Is it true?", "The shop closes. Read from its beginning to its end, the topic must give the table, row by row.")
	shop := w.shop
	w.shop = nil
	if err := shop.close(); err != nil {
		return err
	}
	began := time.Now()
	if err := w.published(ctx); err != nil {
		return err
	}
	records, err := w.kafka.ReadTopic(ctx, topicOfOrders, testservers.KafkaReadCommitted)
	if err != nil {
		return err
	}
	status := map[int]string{}
	for _, r := range records {
		var key struct{ ID int }
		var value struct{ After *struct{ Status string } }
		if err := errors.Join(json.Unmarshal(r.Key, &key), unmarshalUnlessNull(r.Value, &value)); err != nil {
			return fmt.Errorf("read message at offset %d: %w", r.Offset, err)
		}
		delete(status, key.ID)
		if value.After != nil {
			status[key.ID] = value.After.Status
		}
	}
	table, err := w.server.SQL(ctx, database, "SELECT id || ' ' || status FROM orders")
	if err != nil {
		return err
	}
	rows := strings.Split(strings.TrimSpace(table), "\n")
	for _, row := range rows {
		var id int
		var want string
		if _, err := fmt.Sscanf(row, "%d %s", &id, &want); err != nil {
			return fmt.Errorf("read table: %w", err)
		}
		if status[id] != want {
			return fmt.Errorf("order %d is %q in the topic and %q in the table", id, status[id], want)
		}
	}
	if len(status) != len(rows) {
		return fmt.Errorf("the topic gives %d orders, the table has %d", len(status), len(rows))
	}
	w.did(began, "%d messages in %s add up to the %d rows of the table", len(records), topicOfOrders, len(rows))
	w.say("\n%s", w.style.Green(fmt.Sprintf("All steps worked, in %.0f s.", time.Since(w.started).Seconds())))
	return nil
}

func unmarshalUnlessNull(text []byte, into any) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil // a tombstone
	}
	return json.Unmarshal(text, into)
}

// published waits until the log has all of the database and the topics have all of the log.
func (w *walk) published(ctx context.Context) error {
	server := client.New(w.data)
	defer server.Close()
	end, err := w.server.SQL(ctx, database, "SELECT pg_current_wal_insert_lsn()")
	if err != nil {
		return err
	}
	if _, err := w.ask(ctx, "at", "LSN "+strings.TrimSpace(end), "orders", "--format", "csv"); err != nil { // waits for the moment
		return err
	}
	reached := uint64(0)
	return w.pause(ctx, "(the topics catch up)", func() (bool, error) {
		status, err := server.Status(ctx)
		if err != nil {
			return false, err
		}
		if reached == 0 {
			reached = uint64(status.Durable)
		}
		return slices.ContainsFunc(status.Sinks, func(s client.Sink) bool { return uint64(s.Offset) >= reached }), nil
	})
}

// stopKafka stops the broker, if one has started.
func (w *walk) stopKafka(ctx context.Context) error {
	if w.kafka == nil {
		return nil
	}
	return cleanly(ctx, w.kafka.Stop)
}
