//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cdc/e2e/testservers"
)

const (
	itemKills      = 12
	itemKillsShort = 6
	itemRows       = 30
	// itemBytes is the size of a value that PostgreSQL stores out of line, and does not send again.
	itemBytes = 3000
)

// items is a table that a client changes in all ways, in the shape of both kinds of database.
type items struct {
	run    func(ctx context.Context, statements string) error
	random *rand.Rand
	ids    int // given so far
}

// batch is a transaction of some changes, of which several may be of one row.
func (i *items) batch() string {
	var b strings.Builder
	b.WriteString("BEGIN;\n")
	for range 1 + i.random.IntN(8) {
		id := i.random.IntN(i.ids + 1)
		switch i.random.IntN(8) {
		case 0, 1:
			i.ids++
			fmt.Fprintf(&b, "INSERT INTO items VALUES (%d, 0, %s);\n", i.ids, i.wide())
		case 2:
			i.ids++
			fmt.Fprintf(&b, "UPDATE items SET id = %d WHERE id = %d;\n", i.ids, id)
		case 3:
			fmt.Fprintf(&b, "DELETE FROM items WHERE id = %d;\n", id)
		case 4:
			fmt.Fprintf(&b, "UPDATE items SET wide = %s WHERE id = %d;\n", i.wide(), id)
		default:
			fmt.Fprintf(&b, "UPDATE items SET n = n + 1 WHERE id BETWEEN %d AND %d;\n", id, id+3)
		}
	}
	b.WriteString("COMMIT;\n")
	return b.String()
}

func (i *items) wide() string {
	return fmt.Sprintf("'%d %s'", i.random.IntN(1000), strings.Repeat("x", i.random.IntN(2)*itemBytes))
}

// keepChanging changes the table until the function that it returns is called.
func (i *items) keepChanging(t *testing.T) (quiet func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	var failure error
	wg.Go(func() {
		for ctx.Err() == nil && failure == nil {
			failure = i.run(ctx, i.batch())
		}
	})
	stop := sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		if failure != nil && !errors.Is(failure, context.Canceled) && ctx.Err() == nil {
			t.Errorf("change items: %v", failure)
		}
	})
	t.Cleanup(stop)
	return stop
}

// onItems runs a test on a database that sends no more of old rows than their keys.
func onItems(t *testing.T, test func(t *testing.T, c *capture, i *items, topic string)) {
	start := func(t *testing.T, c *capture, i *items) {
		n := seed(t)
		t.Logf("seed %d", n)
		i.random = seeded(n)
		c.appSQL("CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, wide text)")
		for range itemRows {
			i.ids++
			must(t, i.run(t.Context(), fmt.Sprintf("INSERT INTO items VALUES (%d, 0, %s)", i.ids, i.wide())))
		}
	}
	t.Run("postgres", func(t *testing.T) {
		c := newRig(t, testservers.Shared(t))
		i := &items{run: func(ctx context.Context, statements string) error {
			_, err := c.server.SQLAs(ctx, c.app, c.database, statements)
			return err
		}}
		start(t, c.capture, i)
		c.appSQL("ALTER TABLE items ALTER wide SET STORAGE EXTERNAL")
		test(t, c.capture, i, c.source+".public.items")
	})
	t.Run("mysql", func(t *testing.T) {
		c := newMySQLRig(t, testservers.SharedMySQL(t, testservers.FlavourMySQL))
		i := &items{run: func(ctx context.Context, statements string) error {
			_, err := c.server.SQL(ctx, c.database, "SET SESSION binlog_row_image = 'MINIMAL';\n"+statements)
			return err
		}}
		start(t, c.capture, i)
		test(t, c.capture, i, c.source+"."+c.database+".items")
	})
}

// Goal: with before=full the old row of each message is the new row of the message before it with that key, whatever is killed.
//
// Method: a client changes a table in all ways, key changes and values out of line among them, while runs of the program are killed.
// Then the topic is added up by key.
func TestG3OldRowsAreWholeWhateverIsKilled(t *testing.T) {
	onItems(t, func(t *testing.T, c *capture, i *items, topic string) {
		k := testservers.SharedKafka(t)
		c.flags = []string{"--sink", "kafka://" + strings.Join(k.Addrs(), ",") + "?partitions=3&before=full"}
		c.start("--until-current").wantExit(0) // a row that is changed before it is copied has an old row that nobody knows
		quiet := i.keepChanging(t)
		for range sized(itemKills, itemKillsShort) {
			p := c.start()
			c.awaitStreaming(p)
			select {
			case <-time.After(lifeMin + time.Duration(rand.Int64N(int64(5*lifeMax)))):
			case <-p.done:
				t.Fatalf("the run ended by itself with code %d:\n%s", p.code(), p.text())
			}
			p.kill()
		}
		quiet()
		c.start("--until-current").wantExit(0)
		records, err := k.ReadTopic(t.Context(), topic, testservers.KafkaReadCommitted)
		must(t, err)
		f := newItemFold(t)
		for _, r := range records {
			f.add(r.Key, r.Value)
		}
		f.check(c, len(records))
	})
}

// Goal: a sink that has published can be asked for whole old rows from then on, and its rows can be removed.
func TestOldRowsAreWholeFromWhereTheyAreAskedFor(t *testing.T) {
	onItems(t, func(t *testing.T, c *capture, i *items, _ string) {
		dir := t.TempDir()
		read := func() (lines []string) { return linesBelow(t, dir) }
		change := func() {
			for range 20 {
				must(t, i.run(t.Context(), i.batch()))
			}
		}
		change()
		c.flags = []string{"--sink", "file:" + dir}
		c.start("--until-current").wantExit(0)
		f := newItemFold(t)
		f.rough = true
		change()
		c.start("--until-current").wantExit(0)
		f.addLines(read())
		before := f.messages
		f.rough = false
		c.flags = []string{"--sink", "file:" + dir + "?before=full"}
		rows := filepath.Join(c.data(), "sinks", "file", "rows")
		for range 2 {
			change()
			p := c.start("--until-current")
			p.wantExit(0)
			if !strings.Contains(p.text(), "reading the log for old rows") {
				t.Errorf("the log does not say that it is read:\n%s", p.text())
			}
			f.addLines(read())
			must(t, os.RemoveAll(rows))
		}
		f.check(c, f.messages-before)
		c.flags = []string{"--sink", "file:" + dir}
		c.start("--until-current").wantExit(0)
		if _, err := os.Stat(rows); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("rows that nobody asks for are kept: %v", err)
		}
	})
}

// itemFold adds up messages and compares each old row with what there was.
type itemFold struct {
	t *testing.T
	// rough says that old rows may be as the source sends them.
	rough bool
	last  map[string]string // new rows by key
	// messages are all so far, updates and deletes those with an old row that was compared, large those whose value out of line stayed.
	messages, updates, deletes, large int
}

func newItemFold(t *testing.T) *itemFold { return &itemFold{t: t, last: map[string]string{}} }

// addLines adds the lines of files that are new: those of one table are in order.
func (f *itemFold) addLines(lines []string) {
	f.t.Helper()
	for _, line := range lines[f.messages:] {
		var m struct{ Key, Value json.RawMessage }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			f.t.Fatalf("%v: %s", err, line)
		}
		if string(m.Value) == "null" {
			m.Value = nil
		}
		f.add(m.Key, m.Value)
	}
}

func (f *itemFold) add(key, value []byte) {
	f.t.Helper()
	f.messages++
	if value == nil {
		return
	}
	var m struct {
		Op            string
		Before, After json.RawMessage
	}
	if err := json.Unmarshal(value, &m); err != nil {
		f.t.Fatalf("%v: %s", err, value)
	}
	known, seen := f.last[string(key)]
	if !seen && (m.Op == "u" || m.Op == "d") {
		f.t.Fatalf("message %d, %s of %s, is of a row that no message has made", f.messages, m.Op, key)
	}
	if !f.rough && (m.Op == "u" || m.Op == "d") {
		if string(m.Before) != known {
			f.t.Fatalf("message %d, %s of %s, has the old row\n%.200s\nand the row was\n%.200s", f.messages, m.Op, key, m.Before, known)
		}
		switch {
		case m.Op == "d":
			f.deletes++
		case len(m.Before) > itemBytes && len(m.After) > itemBytes:
			f.large++
			fallthrough
		default:
			f.updates++
		}
	}
	f.last[string(key)] = string(m.After)
	if m.Op == "d" {
		delete(f.last, string(key))
	}
}

// check compares what is left with the table, and makes sure that there was something to compare.
func (f *itemFold) check(c *capture, messages int) {
	f.t.Helper()
	f.t.Logf("%d messages, %d updates and %d deletes compared, %d updates of rows with a large value", messages, f.updates, f.deletes, f.large)
	if f.updates < messages/10 || f.deletes == 0 || f.large == 0 {
		f.t.Errorf("of %d messages %d updates and %d deletes were compared, %d with a large value", messages, f.updates, f.deletes, f.large)
	}
	got := map[string]bool{}
	for _, row := range f.last {
		var r struct{ ID, N int }
		if err := json.Unmarshal([]byte(row), &r); err != nil {
			f.t.Fatalf("%v: %s", err, row)
		}
		got[strconv.Itoa(r.ID)+" "+strconv.Itoa(r.N)] = true
	}
	want := 0
	for line := range strings.Lines(c.appSQL("SELECT concat(id, ' ', n) FROM items")) {
		if len(strings.Fields(line)) != 2 || line[0] < '0' || line[0] > '9' {
			continue // a heading
		}
		want++
		if !got[strings.TrimSpace(line)] {
			f.t.Errorf("the messages do not add up to the row %s", line)
		}
	}
	if want != len(got) {
		f.t.Errorf("the messages add up to %d rows, the table has %d", len(got), want)
	}
}
