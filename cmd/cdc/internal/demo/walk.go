package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"cdc/e2e/testservers"
)

// walk is the way through the demo.
type walk struct {
	*player
	server        *testservers.Postgres
	house         *warehouse         // nil where there is none
	kafka         *testservers.Kafka // nil where it is not shown
	shop          *shop
	dsn, houseDSN string
	capture       *capture
	// streamed is when the capture began to stream, before how many transactions had committed by then, and paid how many payments.
	streamed     time.Time
	before, paid int
	subject      subject
}

// run does every step in turn.
func (w *walk) run(ctx context.Context) error {
	if err := w.prepare(ctx); err != nil {
		return err
	}
	steps := []func(context.Context) error{
		w.start, w.live, w.table, w.diff, w.life, w.transaction, w.moment, w.join, w.verify, w.crash, w.sql,
	}
	if w.kafka != nil {
		steps = []func(context.Context) error{w.start, w.topics, w.outage, w.folded}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
		if w.shop == nil {
			continue
		}
		if err := w.shop.err(); err != nil {
			return err
		}
	}
	return nil
}

// close ends the shop and the capture.
func (w *walk) close() (err error) {
	if w.shop != nil {
		err = w.shop.close()
	}
	if w.capture != nil {
		err = errors.Join(err, w.capture.stop())
	}
	return err
}

// start checks the database and starts the capture.
func (w *walk) start(ctx context.Context) error {
	w.heading("Capture", "First a check of what capture needs. Then the tables are copied once, while the shop goes on, and every", "transaction after that is followed.")
	if err := w.cdc(ctx, "doctor", w.dsn, "--publication", publication); err != nil {
		return err
	}
	run := []string{"run", w.dsn}
	if w.house != nil {
		if err := w.cdc(ctx, "doctor", w.houseDSN); err != nil {
			return err
		}
		run = append(run, w.houseDSN)
	}
	w.say("")
	began := time.Now()
	run = append(run, "--publication", publication, "--http", "off")
	if w.kafka != nil {
		run = append(run, "--sink", w.sinkURL())
	}
	if err := w.launch(ctx, run...); err != nil {
		return err
	}
	w.did(began, "copied and streaming")
	w.streamed, w.before = time.Now(), w.shop.count()
	if w.house != nil {
		w.paid = w.house.paid()
	}
	return w.cdc(ctx, "tables")
}

// sources is how many databases are captured.
func (w *walk) sources() int {
	if w.house == nil {
		return 1
	}
	return 2
}

// launch starts a capture in the background and waits until it streams.
func (w *walk) launch(ctx context.Context, args ...string) (err error) {
	w.show("cdc " + quoted(args) + " &")
	if w.capture, err = startCapture(w.player, w.sources(), args...); err != nil {
		return err
	}
	return w.capture.streaming(ctx)
}

// live shows changes as they happen.
func (w *walk) live(ctx context.Context) error {
	text := "Each line is one change of one row, as it is committed: c is an insert, u an update, d a delete."
	if w.house != nil {
		w.heading("Live changes", text, "Both databases go into one log.")
	} else {
		w.heading("Live changes", text)
	}
	return w.cdc(ctx, "tail", "-n", "14")
}

// table shows a table now and as it was.
func (w *walk) table(ctx context.Context) error {
	w.heading("A table now, and "+agoText, "The log holds every change, so it can rebuild any table as of any moment since the copy.")
	wait := fmt.Sprintf("(the shop works on until there are %d seconds to look back on)", int(ago.Seconds()))
	enough := ago + 2*time.Second
	err := w.pause(ctx, wait, func() (bool, error) { return time.Since(w.streamed) >= enough, w.shop.err() })
	if err != nil {
		return err
	}
	if err := w.cdc(ctx, "at", "now", "products"); err != nil {
		return err
	}
	w.say("")
	return w.cdc(ctx, "at", agoText, "products")
}

// diff shows what differs between the two.
func (w *walk) diff(ctx context.Context) error {
	w.heading("What has changed since", "The net difference between two moments, with the last transaction that touched each row.")
	if err := w.cdc(ctx, "diff", "products", "--from", agoText); err != nil || w.house == nil {
		return err
	}
	w.say("\nAnd on the shelves of the warehouse, in %s:", w.house.product())
	return w.cdc(ctx, "diff", "shelves", "--from", agoText)
}

// life shows every version of one order.
func (w *walk) life(ctx context.Context) error {
	var err error
	if w.subject, err = w.findSubject(ctx); err != nil {
		return err
	}
	w.heading("The life of one row", fmt.Sprintf("Order %d changed %d times in the last seconds: every version, when it held, and for how long.", w.subject.order, w.subject.versions))
	if err := w.cdc(ctx, "history", "orders", "id="+strconv.Itoa(w.subject.order)); err != nil || w.house == nil {
		return err
	}
	w.say("\nAnd its parcel's, in %s:", w.house.product())
	return w.cdc(ctx, "history", "parcels", "order_id="+strconv.Itoa(w.subject.order))
}

// transaction shows all that one transaction did.
func (w *walk) transaction(ctx context.Context) error {
	w.heading("One transaction", fmt.Sprintf("Transaction %d placed that order. All that it did, in all tables, old values beside new ones:", w.subject.tx))
	if w.house == nil {
		return w.cdc(ctx, "show", strconv.FormatUint(w.subject.tx, 10))
	}
	// Two servers may have given the same number.
	return w.cdc(ctx, "show", database+":TX "+strconv.FormatUint(w.subject.tx, 10))
}

// moment shows a table as of a place in each server's own log.
func (w *walk) moment(ctx context.Context) error {
	w.heading("A moment by its LSN", fmt.Sprintf("The server's WAL held that commit up to %s. The order's items exactly then:", w.subject.position))
	err := w.cdc(ctx, "at", "LSN "+w.subject.position, "order_items", "order_id="+strconv.Itoa(w.subject.order))
	if err != nil || w.house == nil {
		return err
	}
	payment, err := w.findPayment(ctx)
	if err != nil {
		return err
	}
	w.heading("A moment by its GTID", fmt.Sprintf("The order was paid when %s had executed %s.", w.house.product(), payment.Position), "The payment exactly then:")
	return w.cdc(ctx, "at", "GTID "+payment.Position, "payments", "order_id="+strconv.Itoa(w.subject.order))
}

// findPayment is the change that brought the payment of the subject.
func (w *walk) findPayment(ctx context.Context) (payment line, err error) {
	err = w.changes(ctx, func(l *line) error {
		var row struct {
			Order int `json:"order_id"`
		}
		if l.Op != "c" {
			return nil
		}
		if err := json.Unmarshal(l.After, &row); err != nil {
			return fmt.Errorf("read changes: %w", err)
		}
		if row.Order == w.subject.order {
			payment = *l
		}
		return nil
	}, "payments", "-n", strconv.Itoa(subjectChanges))
	if err == nil && payment.Position == "" {
		err = fmt.Errorf("order %d has been paid and its payment is not in the log", w.subject.order)
	}
	return payment, err
}

// joinSQL asks whether the two databases agree: an order is paid in MySQL before Postgres says so.
const joinSQL = `
  select o.status, count(*) as orders, sum(o.total) as value, count(p.id) as payments, sum(p.amount) as paid
  from orders o left join payments p on p.order_id = o.id
  group by o.status order by orders desc`

// join asks for both databases at one moment.
func (w *walk) join(ctx context.Context) error {
	if w.house == nil || !w.o.SQL {
		return nil
	}
	text := []string{
		"Orders are in one database and payments in the other, and the shop calls an order paid when its payment has been",
		"committed. So at any moment what is paid and beyond must agree to the cent:",
	}
	if w.house.server.Flavour() == testservers.FlavourMariaDB {
		text = append(text, "(MariaDB's clock has whole seconds: up to a second of payments for new orders may be there already.)")
	}
	w.heading("PostgreSQL and "+w.house.product()+", at one moment", text...)
	if err := w.cdc(ctx, "sql", "--as-of", agoText, joinSQL); err != nil {
		return err
	}
	return w.agree(ctx)
}

// agree checks what the join has shown.
func (w *walk) agree(ctx context.Context) error {
	out, err := w.ask(ctx, "sql", "--format", "csv", "--as-of", agoText,
		"select count(*) from orders o left join payments p on p.order_id = o.id and p.amount = o.total where o.status <> 'new' and p.id is null")
	if err != nil {
		return err
	}
	lines := strings.Fields(string(out))
	if n := lines[len(lines)-1]; n != "0" {
		return fmt.Errorf("%s orders are paid in PostgreSQL and not in %s at that moment", n, w.house.product())
	}
	return nil
}

// verify compares the log with the databases.
func (w *walk) verify(ctx context.Context) error {
	w.heading("Is it true?", "Every table as of a snapshot's exact place in the stream, compared row by row with that snapshot, while the", "shop goes on.")
	return w.cdc(ctx, "verify")
}

// pauseOfCrash is how long nobody captures after the crash.
const pauseOfCrash = 1500 * time.Millisecond

// crash kills the capture and starts it again.
func (w *walk) crash(ctx context.Context) error {
	w.heading("kill -9", "The capture dies without a chance to say goodbye, and the shop goes on without it.")
	w.show(fmt.Sprintf("kill -9 %d", w.capture.pid()))
	missed := w.committed()
	died := time.Now()
	if err := w.capture.kill(); err != nil {
		return err
	}
	err := w.pause(ctx, "(nobody captures)", func() (bool, error) { return time.Since(died) >= pauseOfCrash, w.shop.err() })
	if err != nil {
		return err
	}
	missed = w.committed() - missed
	began := time.Now()
	if err := w.launch(ctx, "run", "--http", "off"); err != nil {
		return err
	}
	w.did(began, "streaming again; %d transactions committed meanwhile", missed)
	if err := w.cdc(ctx, "verify"); err != nil {
		return err
	}
	return w.ledger(ctx)
}

// committed is how many transactions have committed in both databases.
func (w *walk) committed() int {
	if w.house == nil {
		return w.shop.count()
	}
	return w.shop.count() + w.house.count()
}

// ledger compares the log with what the shop's clients were told: each transaction whose COMMIT returned must be there, once.
func (w *walk) ledger(ctx context.Context) error {
	began := time.Now()
	payments, err := w.payments(ctx)
	if err != nil {
		return err
	}
	committed := w.shop.since(w.before)
	end, err := w.server.SQL(ctx, database, "SELECT pg_current_wal_insert_lsn()")
	if err != nil {
		return err
	}
	if err := w.exactlyOnce(ctx, committed, "LSN "+end); err != nil {
		return err
	}
	if w.house == nil {
		w.did(began, "%d transactions whose COMMIT returned: each is in the log once", len(committed))
		return nil
	}
	w.did(began, "%d transactions and %d payments whose COMMIT returned: each is in the log once", len(committed), payments)
	return nil
}

// payments looks for each payment whose COMMIT returned, and says how many there are.
func (w *walk) payments(ctx context.Context) (int, error) {
	if w.house == nil {
		return 0, nil
	}
	committed := w.house.since(w.paid)
	end, err := w.house.server.BinlogEnd(ctx)
	if err != nil {
		return 0, err
	}
	return len(committed), w.bookedOnce(ctx, committed, "GTID "+end.GTIDs)
}

// bookedOnce looks for the payments in the log up to a moment that comes after them, which is waited for.
func (w *walk) bookedOnce(ctx context.Context, committed []uint64, to string) error {
	booked := map[uint64]int{}
	err := w.changes(ctx, func(l *line) error {
		var key struct{ ID uint64 }
		if l.Op != "c" {
			return nil
		}
		if err := json.Unmarshal(l.Key, &key); err != nil {
			return fmt.Errorf("read changes: %w", err)
		}
		booked[key.ID]++
		return nil
	}, "payments", "-n", "0", "--to", to)
	if err != nil {
		return err
	}
	for _, id := range committed {
		if n := booked[id]; n != 1 {
			return fmt.Errorf("payment %d is in the log %d times", id, n)
		}
	}
	return nil
}

// exactlyOnce looks for the transactions in the log up to a moment that comes after them, which is waited for.
func (w *walk) exactlyOnce(ctx context.Context, committed []uint64, to string) error {
	commits := map[uint64]map[uint64]bool{}
	err := w.changes(ctx, func(l *line) error {
		if l.TX != 0 && strings.HasPrefix(l.Table, "public.") { // the number is of this server
			if commits[l.TX] == nil {
				commits[l.TX] = map[uint64]bool{}
			}
			commits[l.TX][l.Commit] = true
		}
		return nil
	}, "-n", "0", "--to", to)
	if err != nil {
		return err
	}
	for _, xid := range committed {
		if n := len(commits[xid]); n != 1 {
			return fmt.Errorf("transaction %d is in the log %d times", xid, n)
		}
	}
	return nil
}

// line is what is read of a change in the form for programs.
type line struct {
	Offset   uint64          `json:"offset"`
	Commit   uint64          `json:"commit_offset"`
	Position string          `json:"position"`
	TX       uint64          `json:"tx"`
	Table    string          `json:"table"`
	Op       string          `json:"op"`
	Key      json.RawMessage `json:"key"`
	After    json.RawMessage `json:"after"`
}

// changes reads changes, chosen by the arguments, and calls f with each.
func (w *walk) changes(ctx context.Context, f func(*line) error, args ...string) error {
	out, err := w.ask(ctx, append([]string{"changes", "--format", "json", "--quiet"}, args...)...)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("read changes: %w", err)
		}
		if err := f(&l); err != nil {
			return err
		}
	}
	return lines.Err()
}

// subject is the order that the demo looks at, with the transaction that placed it.
type subject struct {
	order, versions int
	tx              uint64
	position        string
	items           int
}

// subjectChanges is how many of the latest changes the subject is looked for in.
const subjectChanges = 6000

// findSubject looks for an order with a rich life among the latest changes.
func (w *walk) findSubject(ctx context.Context) (subject, error) {
	orders, placed, items := map[int]*subject{}, map[uint64]*subject{}, map[uint64]int{}
	err := w.changes(ctx, func(l *line) error {
		switch l.Table {
		case "public.order_items":
			if l.Op == "c" {
				items[l.TX]++
			}
			return nil
		case "public.orders":
		default:
			return nil
		}
		var key struct{ ID int }
		if err := json.Unmarshal(l.Key, &key); err != nil {
			return fmt.Errorf("read changes: %w", err)
		}
		if l.Op == "c" {
			orders[key.ID] = &subject{order: key.ID, tx: l.TX, position: l.Position}
			placed[l.TX] = orders[key.ID]
		}
		if s := orders[key.ID]; s != nil && l.TX != s.tx {
			s.versions++
		}
		return nil
	}, "-n", strconv.Itoa(subjectChanges))
	if err != nil {
		return subject{}, err
	}
	best := subject{}
	for tx, s := range placed {
		s.items = items[tx]
		if s.richer(&best) {
			best = *s
		}
	}
	if best.order == 0 {
		return best, errors.New("no order was placed")
	}
	return best, nil
}

// richer reports whether the order shows more; of two that show as much, the newer one is taken.
func (s *subject) richer(o *subject) bool {
	switch {
	case s.versions != o.versions:
		return s.versions > o.versions
	case s.items != o.items:
		return s.items > o.items
	}
	return s.order > o.order
}

// sql leaves the user with a prompt, or asks one question where there is nobody.
func (w *walk) sql(ctx context.Context) error {
	if !w.o.SQL {
		w.say("\nThis build has no SQL (it needs cgo). All steps worked, in %.0f s.", time.Since(w.started).Seconds())
		return nil
	}
	w.heading("SQL, at any moment", "Every table is there under its name, each at the moment that the query says.")
	err := w.cdc(ctx, "sql", "select count(*) as orders, count(*) - (select count(*) from orders as of '"+agoText+"') as more, sum(total) as value from orders")
	if err != nil {
		return err
	}
	w.say("\n%s", w.style.Green(fmt.Sprintf("All steps worked, in %.0f s.", time.Since(w.started).Seconds())))
	if !w.o.Terminal || w.o.In == nil {
		return nil
	}
	example := `  select name, stock from products order by stock limit 3;`
	if w.house != nil {
		example = `  select o.id, o.status, p.state as parcel from orders o join parcels p on p.order_id = o.id order by o.id desc limit 5;`
	}
	w.say("%s", strings.Join([]string{
		"\nThe shop goes on. Try, for example:", example,
		`  \asof 10 seconds ago`,
		`  select count(*) from orders;`,
		"Leave with \\q; everything is then stopped and removed.\n",
	}, "\n"))
	err = w.prompt(ctx, "sql")
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
