//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	parquetgo "github.com/parquet-go/parquet-go"

	"cdc/e2e/testservers"
)

const (
	// The program is killed a hundred times in all, the broker after every fifth.
	publisherKillsPostgres = 60
	publisherKillsMySQL    = 40
	publisherKillsShort    = 10
	brokerKillEvery        = 5
	counters               = 40
)

// Goal: each change is in its topic exactly once and in order, whatever is
// killed.
//
// Method: clients count rows of a table up, one by one, while runs of the program
// and now and then the broker are killed. In the end the topic holds 0, 1, 2, …
// of every row, and its last value of each row is the table.
func TestG3KafkaTopicsHoldEachChangeOnceWhateverIsKilled(t *testing.T) {
	t.Run("postgres", func(t *testing.T) {
		c := newRig(t, testservers.Shared(t))
		killPublishers(t, c.capture, func(ctx context.Context, sql string) error {
			_, err := c.server.SQLAs(ctx, c.app, c.database, sql)
			return err
		}, c.source+".public.counters", publisherKillsPostgres)
	})
	t.Run("mysql", func(t *testing.T) {
		c := newMySQLRig(t, testservers.SharedMySQL(t, testservers.FlavourMySQL))
		killPublishers(t, c.capture, func(ctx context.Context, sql string) error {
			_, err := c.server.SQLAs(ctx, c.app, c.database, sql)
			return err
		}, c.source+"."+c.database+".counters", publisherKillsMySQL)
	})
}

func killPublishers(t *testing.T, c *capture, sql func(context.Context, string) error, topic string, kills int) {
	k := testservers.StartKafkaFor(t, testservers.KafkaOptions{})
	s := seed(t)
	random := seeded(s)
	must(t, sql(t.Context(), "CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL)"))
	c.flags = []string{"--sink", "kafka://" + strings.Join(k.Addrs(), ",") + "?partitions=3"}
	quiet := countUp(t, rand.New(rand.NewPCG(s, 1)), sql)
	for i := range sized(kills, publisherKillsShort) {
		p := c.start()
		c.awaitStreaming(p)
		if i%brokerKillEvery == brokerKillEvery-1 {
			must(t, k.Brokers()[0].Kill())
			must(t, k.Brokers()[0].Restart(t.Context()))
		}
		select {
		case <-time.After(lifeMin + time.Duration(random.Int64N(int64(2*lifeMax)))):
		case <-p.done:
			t.Fatalf("run %d ended by itself with code %d:\n%s", i, p.code(), p.text())
		}
		p.kill()
	}
	quiet()
	c.start("--until-current").wantExit(0)
	records, err := k.ReadTopic(t.Context(), topic, testservers.KafkaReadCommitted)
	must(t, err)
	got := checkCounters(t, records)
	if want := tableOfCounters(c); !maps.Equal(got, want) {
		t.Errorf("the topic adds up to %v, the table is %v", got, want)
	}
	t.Logf("%d messages of %d rows", len(records), len(got))
}

// countUp inserts the counters at 0 and counts them up at random until the function that it returns is called.
func countUp(t *testing.T, random *rand.Rand, sql func(context.Context, string) error) (quiet func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	var failure error
	wg.Go(func() {
		for id := range counters {
			if failure = sql(ctx, fmt.Sprintf("INSERT INTO counters VALUES (%d, 0)", id)); failure != nil {
				return
			}
		}
		for ctx.Err() == nil {
			var batch strings.Builder
			for range 25 {
				fmt.Fprintf(&batch, "UPDATE counters SET n = n + 1 WHERE id = %d;\n", random.IntN(counters))
			}
			batch.WriteString("UPDATE counters SET n = n + 1;\n")
			if failure = sql(ctx, batch.String()); failure != nil {
				return
			}
		}
	})
	stop := sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		if failure != nil && !errors.Is(failure, context.Canceled) && ctx.Err() == nil {
			t.Errorf("count up: %v", failure)
		}
	})
	t.Cleanup(stop)
	return stop
}

// checkCounters makes sure that each row's values go up one by one in the order of its partition, from wherever the capture began, and
// returns the last of each. A row of a copy beside the stream repeats what its last change has made of it.
func checkCounters(t *testing.T, records []testservers.KafkaRecord) map[int]int {
	t.Helper()
	last, partition := map[int]int{}, map[int]int32{}
	for _, r := range records {
		var value struct {
			Op    string
			After struct{ ID, N int }
		}
		if err := json.Unmarshal(r.Value, &value); err != nil {
			t.Fatalf("offset %d of partition %d: %v: %s", r.Offset, r.Partition, err, r.Value)
		}
		id, n := value.After.ID, value.After.N
		before, seen := last[id]
		switch {
		case seen && partition[id] != r.Partition:
			t.Fatalf("row %d is in partitions %d and %d", id, partition[id], r.Partition)
		case seen && value.Op == "r" && n != before, seen && value.Op != "r" && n != before+1:
			t.Fatalf("row %d: %s of %d comes after %d, at offset %d of partition %d", id, value.Op, n, before, r.Offset, r.Partition)
		case !bytes.Contains(r.Key, []byte(strconv.Itoa(id))):
			t.Fatalf("row %d has the key %s", id, r.Key)
		}
		last[id], partition[id] = n, r.Partition
	}
	return last
}

// tableOfCounters is the table at the source.
func tableOfCounters(c *capture) map[int]int {
	c.t.Helper()
	rows := map[int]int{}
	for line := range strings.Lines(c.origin.appSQL("SELECT concat(id, ' ', n) FROM counters")) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue
		}
		id, err := strconv.Atoi(fields[0])
		if err != nil {
			continue // a heading
		}
		rows[id], _ = strconv.Atoi(fields[1])
	}
	return rows
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Several sinks of one log advance on their own: one whose broker is away keeps no other waiting, and is complete once it is back.
func TestSeveralSinksOfOneLog(t *testing.T) {
	c := newRig(t, testservers.Shared(t))
	k := testservers.StartKafkaFor(t, testservers.KafkaOptions{})
	dir := t.TempDir()
	c.appSQL("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders SELECT i, 'first' FROM generate_series(1, 1000) i")
	c.flags = []string{"--sink", "kafka://" + k.Addrs()[0], "--sink", "file:" + dir + "?rotate_time=1s&format=flat-json"}
	p := c.run()
	topic := c.source + ".public.orders"
	arrived := func() int {
		records, _ := k.ReadTopic(t.Context(), topic, testservers.KafkaReadCommitted)
		return len(records)
	}
	until(t, "the first copy in the topic", func() bool { return arrived() == 1000 })
	must(t, k.Brokers()[0].Kill())
	c.appSQL("UPDATE orders SET note = 'second' WHERE id <= 500")
	until(t, "the changes in the files", func() bool { return len(linesBelow(t, dir)) == 1500 })
	if status := c.must("status", "--json"); !strings.Contains(status, `"name":"kafka"`) || !strings.Contains(status, `"name":"file"`) {
		t.Errorf("status:\n%s", status)
	}
	must(t, k.Brokers()[0].Restart(t.Context()))
	until(t, "the changes in the topic", func() bool { return arrived() == 1500 })
	p.stop()
}

// A run until current leaves everything at its sinks, those whose files are finished by the clock as well; a later run adds what is
// new and nothing else.
func TestFilesOfARunUntilCurrent(t *testing.T) {
	c := newRig(t, testservers.Shared(t))
	lines, parquet := t.TempDir(), t.TempDir()
	c.appSQL("CREATE TABLE orders (id int PRIMARY KEY, total numeric(10,2)); INSERT INTO orders SELECT i, i * 1.25 FROM generate_series(1, 1000) i")
	c.flags = []string{"--sink", "file:" + lines + "?name=lines", "--sink", "file:" + parquet + "?name=columns&format=parquet"}
	c.start("--until-current").wantExit(0)
	c.appSQL("UPDATE orders SET total = 0 WHERE id <= 10; DELETE FROM orders WHERE id = 1000")
	c.start("--until-current").wantExit(0)
	if n := len(linesBelow(t, lines)); n != 1000+10+1+1 { // with the tombstone
		t.Errorf("%d lines", n)
	}
	ops := map[string]int{}
	must(t, filepath.WalkDir(parquet, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".parquet" {
			return err
		}
		rows, err := parquetgo.ReadFile[struct {
			Op string `parquet:"__op"`
		}](path)
		for _, r := range rows {
			ops[r.Op]++
		}
		return err
	}))
	if want := map[string]int{"r": 1000, "u": 10, "d": 1}; !maps.Equal(ops, want) {
		t.Errorf("the files hold %v, want %v", ops, want)
	}
}

// A sink that was never reached is an error of how it was named; the message says what to do.
func TestBadSinksAreRefused(t *testing.T) {
	c := newRig(t, testservers.Shared(t))
	for _, test := range []struct {
		sink string
		code int
		want []string
	}{
		{"kafka://127.0.0.1:1", 4, []string{"sink kafka", "127.0.0.1:1", "check"}},
		{"kafka://127.0.0.1:9092?formt=native", 2, []string{`did you mean "format"?`}},
		{"amqp://x", 2, []string{"is no sink", "kafka://host:9092"}},
		{"file:/dev/null/x", 4, []string{"sink file", "/dev/null"}},
	} {
		p := c.start("--sink", test.sink)
		p.wantExit(test.code)
		for _, want := range test.want {
			if !strings.Contains(p.text(), want) {
				t.Errorf("--sink %s does not say %q:\n%s", test.sink, want, p.text())
			}
		}
	}
}

// linesBelow are the lines of all finished files below a folder.
func linesBelow(t *testing.T, dir string) (lines []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".jsonl" {
			return err
		}
		text, err := os.ReadFile(path)
		lines = append(lines, slices.Collect(strings.Lines(string(text)))...)
		return err
	}))
	return lines
}
