//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cdc/e2e/testservers"
)

const (
	shopCustomers = 20
	// shopBatches are committed while the tables are copied, and as many while their changes are streamed.
	shopBatches = 15
	shopBatch   = 40
)

// What the console consumer puts between what it prints. Its own tabs and line ends may stand in the header cdc.id, which is bytes.
const (
	partEnd     = "<part>"
	recordEnd   = "<record>"
	nullPrinted = "<null>"
)

// shop is two tables of a database, orders and customers, that a client changes, and the topics that the program makes of them.
type shop struct {
	*capture
	kafka  *testservers.Kafka
	random *rand.Rand
	// run runs statements as the application. hex is the digits of a text's UTF-8 in capitals, in the database's SQL.
	run func(ctx context.Context, statements string) error
	hex string
	// settings of the sink are added to its URL, prefix is that of the topics.
	settings, prefix string
	// orders counts the numbers that were given to orders.
	orders int
}

// onShops runs a test for shops whose topics are complete. Old rows are whole, as readers ask for that retract what they replace: the
// sink completes them, as PostgreSQL sends no more than keys.
func onShops(t *testing.T, settings string, test func(t *testing.T, s *shop)) {
	t.Run("postgres", func(t *testing.T) {
		c := newRig(t, testservers.Shared(t))
		s := &shop{capture: c.capture, settings: settings, prefix: c.source + ".public.", hex: "upper(encode(convert_to(%s, 'UTF8'), 'hex'))"}
		s.run = func(ctx context.Context, statements string) error {
			_, err := c.server.SQLAs(ctx, c.app, c.database, statements)
			return err
		}
		s.open()
		s.publish()
		test(t, s)
	})
	t.Run("mysql", func(t *testing.T) {
		c := newMySQLRig(t, testservers.SharedMySQL(t, testservers.FlavourMySQL))
		s := &shop{capture: c.capture, settings: settings, prefix: c.source + "." + c.database + ".", hex: "hex(%s)"}
		s.run = func(ctx context.Context, statements string) error {
			_, err := c.server.SQLAs(ctx, c.app, c.database, statements)
			return err
		}
		s.open()
		s.publish()
		test(t, s)
	})
}

// open makes the tables.
func (s *shop) open() {
	s.t.Helper()
	n := seed(s.t)
	s.t.Logf("seed %d", n)
	s.random = seeded(n)
	s.appSQL(`CREATE TABLE customers (id int PRIMARY KEY, name varchar(100) NOT NULL);
		CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, note varchar(100))`)
	for id := range shopCustomers {
		s.appSQL(fmt.Sprintf("INSERT INTO customers VALUES (%d, %s)", id, s.text()))
	}
}

// publish feeds the topics while the tables change, by a run that is killed and one that completes them.
func (s *shop) publish() {
	s.t.Helper()
	s.kafka = testservers.SharedKafka(s.t)
	s.flags = []string{"--sink", "kafka://" + strings.Join(s.kafka.Addrs(), ",") + "?partitions=3&before=full" + s.settings}
	s.change()
	p := s.start()
	s.change()
	s.awaitStreaming(p)
	s.change()
	p.kill()
	s.start("--until-current").wantExit(0)
}

// change commits batches of changes of all kinds.
func (s *shop) change() {
	s.t.Helper()
	for range shopBatches {
		var batch strings.Builder
		for range shopBatch {
			batch.WriteString(s.statement())
		}
		must(s.t, s.run(s.t.Context(), batch.String()))
	}
}

// statement changes a random row, if it is there.
func (s *shop) statement() string {
	customer, order := s.random.IntN(shopCustomers), s.random.IntN(s.orders+1)
	switch s.random.IntN(9) {
	case 0, 1, 2:
		s.orders++
		return fmt.Sprintf("INSERT INTO orders VALUES (%d, %d, %s);\n", s.orders, customer, s.text())
	case 3:
		s.orders++
		return fmt.Sprintf("UPDATE orders SET id = %d WHERE id = %d;\n", s.orders, order)
	case 4:
		return fmt.Sprintf("UPDATE orders SET note = NULL WHERE id = %d;\n", order)
	case 5:
		return fmt.Sprintf("DELETE FROM orders WHERE id = %d;\n", order)
	case 6:
		return fmt.Sprintf("UPDATE customers SET name = %s WHERE id = %d;\n", s.text(), customer)
	case 7:
		back := s.random.IntN(shopCustomers)
		return fmt.Sprintf("DELETE FROM customers WHERE id IN (%d, %d);\nINSERT INTO customers VALUES (%d, %s);\n", customer, back, back, s.text())
	default:
		return fmt.Sprintf("UPDATE orders SET customer = %d, note = %s WHERE id = %d;\n", customer, s.text(), order)
	}
}

// text is a literal of what readers may trip over.
func (s *shop) text() string {
	odd := []string{"plain", "null", "tab\tand\nline", `"quoted", {"json":1}`, "Grüße 東京 🚚", "it''s", ""}
	return fmt.Sprintf("'%s %d'", odd[s.random.IntN(len(odd))], s.random.IntN(1000))
}

// rows is the answer to SELECT of an id, numbers and texts, as shopRow writes rows.
func (s *shop) rows(from, id string, numbers, texts []string) map[string]string {
	s.t.Helper()
	columns := slices.Concat([]string{id}, numbers)
	for _, text := range texts {
		columns = append(columns, "coalesce("+fmt.Sprintf(s.hex, text)+", '-')")
	}
	rows := map[string]string{}
	for line := range strings.Lines(s.appSQL("SELECT concat(" + strings.Join(columns, ", '|', ") + ") FROM " + from)) {
		id, _, _ := strings.Cut(line, "|")
		if _, err := strconv.Atoi(id); err == nil { // else a heading
			rows[id] = strings.TrimSpace(line)
		}
	}
	return rows
}

func (s *shop) ordersTable() map[string]string {
	return s.rows("orders", "id", []string{"customer"}, []string{"note"})
}

func (s *shop) customersTable() map[string]string {
	return s.rows("customers", "id", nil, []string{"name"})
}

// shopRow is a row of a topic: the numbers and then the texts in hexadecimal digits.
func shopRow(t *testing.T, value []byte, numbers, texts []string) string {
	t.Helper()
	var row map[string]json.RawMessage
	if err := json.Unmarshal(value, &row); err != nil {
		t.Fatalf("%v: %s", err, value)
	}
	var out []string
	for _, name := range numbers {
		out = append(out, string(row[name]))
	}
	for _, name := range texts {
		var text *string
		if err := json.Unmarshal(row[name], &text); err != nil {
			t.Fatalf("%s: %v: %s", name, err, value)
		}
		if text == nil {
			out = append(out, "-")
		} else {
			out = append(out, fmt.Sprintf("%X", *text))
		}
	}
	return strings.Join(out, "|")
}

// Goal: what Kafka's own console consumer prints of the topics is the tables of the source.
//
// Method: clients change two tables while the program copies them and streams their changes, and is killed. The lines of the
// consumer, applied one by one, are then compared with the tables.
func TestConsoleConsumerReadsTables(t *testing.T) {
	onShops(t, "", func(t *testing.T, s *shop) {
		orders := consume(t, s, "orders", []string{"id", "customer"}, []string{"note"})
		if want := s.ordersTable(); !maps.Equal(orders, want) {
			t.Errorf("orders differ from the table:\n%s", differences(orders, want))
		}
		customers := consume(t, s, "customers", []string{"id"}, []string{"name"})
		if want := s.customersTable(); !maps.Equal(customers, want) {
			t.Errorf("customers differ from the table:\n%s", differences(customers, want))
		}
	})
}

// consume adds up the lines of the console consumer to a table.
func consume(t *testing.T, s *shop, table string, numbers, texts []string) map[string]string {
	t.Helper()
	topic := s.prefix + table
	all, err := s.kafka.ReadTopic(t.Context(), topic, testservers.KafkaReadCommitted)
	must(t, err)
	args := []string{
		"--bootstrap-server", s.kafka.Addrs()[0], "--topic", topic, "--from-beginning", "--isolation-level", "read_committed",
		"--max-messages", strconv.Itoa(len(all)), "--timeout-ms", strconv.FormatInt(waitLimit.Milliseconds(), 10),
	}
	for _, property := range []string{
		"print.headers=true", "print.key=true", "null.literal=" + nullPrinted, "key.separator=" + partEnd, "line.separator=" + recordEnd,
	} {
		args = append(args, "--formatter-property", property)
	}
	out, err := s.kafka.Run(t.Context(), testservers.KafkaConsoleConsumer, args...)
	must(t, err)
	f := lineFold{t: t, rows: map[string]string{}, deleted: map[string]bool{}, numbers: numbers, texts: texts}
	for line := range strings.SplitSeq(strings.TrimSuffix(out, recordEnd), recordEnd) {
		f.add(line)
	}
	t.Logf("%s: %d lines, %d tombstones, %d moved rows, %d rows", table, f.lines, f.tombstones, f.moved, len(f.rows))
	if f.lines != len(all) || f.tombstones == 0 || table == "orders" && f.moved == 0 || len(f.deleted) > 0 {
		t.Errorf("%s: %d of %d lines, %d tombstones, %d moved rows, deletes without a tombstone: %v", table, f.lines, len(all), f.tombstones, f.moved, f.deleted)
	}
	return f.rows
}

// lineFold adds up lines of the console consumer.
type lineFold struct {
	t              *testing.T
	numbers, texts []string
	// rows of the table by id. deleted has the keys whose tombstone is still to come.
	rows                     map[string]string
	deleted                  map[string]bool
	lines, tombstones, moved int
}

func (f *lineFold) add(line string) {
	f.t.Helper()
	f.lines++
	fields := strings.Split(line, partEnd)
	if len(fields) != 3 {
		f.t.Fatalf("line of %d fields: %s", len(fields), line)
	}
	headers, key, value := fields[0], fields[1], fields[2]
	var id struct{ ID json.Number }
	if err := json.Unmarshal([]byte(key), &id); err != nil {
		f.t.Fatalf("%v: %s", err, line)
	}
	if value == nullPrinted {
		if !f.deleted[key] {
			f.t.Fatalf("a tombstone without a delete: %s", line)
		}
		delete(f.deleted, key)
		f.tombstones++
		return
	}
	if f.deleted[key] {
		f.t.Fatalf("a change between a delete and its tombstone: %s", line)
	}
	if strings.Contains(headers, "__debezium.newkey:") {
		f.moved++
	}
	var envelope struct {
		Op            string
		Before, After json.RawMessage
	}
	if err := json.Unmarshal([]byte(value), &envelope); err != nil {
		f.t.Fatalf("%v: %s", err, line)
	}
	switch envelope.Op {
	case "r", "c", "u":
		f.rows[id.ID.String()] = shopRow(f.t, envelope.After, f.numbers, f.texts)
	case "d":
		// A row that is deleted before the copy comes to it is unknown here.
		before, row := shopRow(f.t, envelope.Before, f.numbers, f.texts), f.rows[id.ID.String()]
		if row != "" && before != row {
			f.t.Errorf("the delete of %s has before %s, it was %s", key, before, row)
		}
		delete(f.rows, id.ID.String())
		f.deleted[key] = true
	default:
		f.t.Fatalf("op %q: %s", envelope.Op, line)
	}
}

// differences are the rows that only one side has.
func differences(got, want map[string]string) string {
	var all []string
	for id, row := range got {
		if want[id] != row {
			all = append(all, "+ "+row)
		}
	}
	for id, row := range want {
		if got[id] != row {
			all = append(all, "- "+row)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}
