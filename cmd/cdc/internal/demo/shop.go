package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// schemaSQL is the shop. Orders send their old rows whole, so that a tail can say what an update changed; the other tables are as
// most tables are.
const schemaSQL = `
CREATE TABLE customers (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name text NOT NULL, orders int NOT NULL DEFAULT 0, spent numeric(12,2) NOT NULL DEFAULT 0);
CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, price numeric(8,2) NOT NULL, stock int NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, customer_id int NOT NULL REFERENCES customers, status text NOT NULL, total numeric(10,2) NOT NULL, placed_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE order_items (order_id int NOT NULL REFERENCES orders ON DELETE CASCADE, line int NOT NULL, product_id int NOT NULL REFERENCES products, quantity int NOT NULL, PRIMARY KEY (order_id, line));
ALTER TABLE orders REPLICA IDENTITY FULL;
INSERT INTO customers (name) SELECT 'customer ' || n FROM generate_series(1, 500) n;
INSERT INTO products VALUES (1, 'espresso cup', 9.50, 900), (2, 'teapot', 34.00, 300), (3, 'coffee grinder', 79.90, 150), (4, 'milk jug', 14.25, 500),
  (5, 'kettle', 49.00, 250), (6, 'filter papers', 3.80, 2000), (7, 'scale', 24.99, 200), (8, 'beans, 1 kg', 21.00, 1200);
CREATE PUBLICATION shop_cdc FOR TABLE customers, products, orders, order_items;
`

const (
	clients = 3
	// pace is the pause between two transactions of all clients together.
	pace = 10 * time.Millisecond
)

// shop does business on a database, and on its warehouse where there is one, until it is closed.
type shop struct {
	stop      context.CancelFunc
	work      sync.WaitGroup
	warehouse *warehouse // nil where there is none

	mu        sync.Mutex // guards all below
	committed []uint64   // transactions whose COMMIT has returned, by their numbers
	failed    error
}

// openShop makes the tables and starts the clients.
func openShop(ctx context.Context, dsn string, house *warehouse) (*shop, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("connect to the shop: %w", err)
	}
	_, err = conn.Exec(ctx, schemaSQL)
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		return nil, fmt.Errorf("make the shop's tables: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	s := &shop{stop: stop, warehouse: house}
	turns := make(chan struct{})
	s.work.Go(func() { tick(ctx, turns) })
	for i := range clients {
		s.work.Go(func() { s.note(s.client(ctx, dsn, rand.New(rand.NewPCG(1, uint64(i))), turns)) })
	}
	return s, nil
}

// tick hands out turns at the shop's pace.
func tick(ctx context.Context, turns chan<- struct{}) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

// close ends business and returns what went wrong, if anything did.
func (s *shop) close() error {
	s.stop()
	s.work.Wait()
	return s.err()
}

func (s *shop) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func (s *shop) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.failed == nil {
		s.failed = err
	}
}

// count is how many transactions have committed.
func (s *shop) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.committed)
}

// since are the numbers of the transactions that have committed after the first n.
func (s *shop) since(n int) []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]uint64(nil), s.committed[n:]...)
}

// client does one transaction a turn on a connection of its own.
func (s *shop) client(ctx context.Context, dsn string, random *rand.Rand, turns <-chan struct{}) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return over(ctx, fmt.Errorf("connect to the shop: %w", err))
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // the server is private and goes away
	c := &customer{random: random}
	if s.warehouse != nil {
		if c.clerk, err = s.warehouse.clerk(ctx, random); err != nil {
			return over(ctx, err)
		}
		defer c.clerk.close()
	}
	for {
		select {
		case <-turns:
		case <-ctx.Done():
			return nil
		}
		xid, err := c.transaction(ctx, conn)
		if err != nil {
			return over(ctx, fmt.Errorf("do business: %w", err))
		}
		if xid != 0 {
			s.mu.Lock()
			s.committed = append(s.committed, xid)
			s.mu.Unlock()
		}
	}
}

// over is err, or nothing when the shop has been closed, which ends statements midway.
func over(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// customer is one client and the orders that it has open.
type customer struct {
	random *rand.Rand
	clerk  *clerk // nil without a warehouse
	open   []openOrder
}

type openOrder struct {
	id    int
	total string
	next  int // index into statuses
}

var statuses = []string{"new", "paid", "packed", "shipped", "delivered"}

// maxOpen is how many orders a client has open; then it deals with them first.
const maxOpen = 40

// transaction does one piece of business and returns the number of the transaction, zero when it wrote nothing.
func (c *customer) transaction(ctx context.Context, conn *pgx.Conn) (xid uint64, err error) {
	do := c.choose()
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := do(ctx, tx); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT pg_current_xact_id()::text::bigint").Scan(&xid)
	})
	return xid, err
}

// choose picks what to do: mostly orders and their progress, now and then a return, a delivery or a new customer.
func (c *customer) choose() func(context.Context, pgx.Tx) error {
	roll := c.random.IntN(100)
	switch {
	case len(c.open) > maxOpen || roll < 55 && len(c.open) > 0:
		return c.progress
	case roll < 60 && len(c.open) > 0:
		return c.cancel
	case roll < 66:
		return c.restock
	case roll < 68:
		return c.reprice
	case roll < 70:
		return c.join
	}
	return c.order
}

// order places an order: rows in three tables, and what they take from two more.
func (c *customer) order(ctx context.Context, tx pgx.Tx) error {
	var id int
	buyer := 1 + c.random.IntN(500)
	err := tx.QueryRow(ctx, "INSERT INTO orders (customer_id, status, total) VALUES ($1, $2, 0) RETURNING id", buyer, statuses[0]).Scan(&id)
	if err != nil {
		return err
	}
	// Products are taken in the order of their ids by everyone, so that two orders never wait for each other.
	product := 0
	for line := 1; line <= 1+c.random.IntN(3); line++ {
		product += 1 + c.random.IntN(3)
		if product > 8 {
			break
		}
		quantity := 1 + c.random.IntN(3)
		batch := &pgx.Batch{}
		batch.Queue("INSERT INTO order_items VALUES ($1, $2, $3, $4)", id, line, product, quantity)
		batch.Queue("UPDATE products SET stock = stock - $2 WHERE id = $1", product, quantity)
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
	}
	var total string
	err = tx.QueryRow(ctx, "UPDATE orders SET total = (SELECT sum(quantity * price) FROM order_items JOIN products ON products.id = product_id WHERE order_id = $1) WHERE id = $1 RETURNING total::text", id).Scan(&total)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "UPDATE customers SET orders = orders + 1, spent = spent + $2::numeric WHERE id = $1", buyer, total); err != nil {
		return err
	}
	c.open = append(c.open, openOrder{id: id, total: total, next: 1})
	return nil
}

// progress moves an open order on.
func (c *customer) progress(ctx context.Context, tx pgx.Tx) error {
	i := c.random.IntN(len(c.open))
	o := &c.open[i]
	if err := c.clerk.become(ctx, o.id, o.total, statuses[o.next]); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "UPDATE orders SET status = $2 WHERE id = $1", o.id, statuses[o.next])
	if o.next++; o.next == len(statuses) {
		c.forget(i)
	}
	return err
}

// cancel deletes an open order with its items.
func (c *customer) cancel(ctx context.Context, tx pgx.Tx) error {
	i := c.random.IntN(len(c.open))
	if err := c.clerk.become(ctx, c.open[i].id, "", "canceled"); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "DELETE FROM orders WHERE id = $1", c.open[i].id)
	c.forget(i)
	return err
}

func (c *customer) forget(i int) { c.open = append(c.open[:i], c.open[i+1:]...) }

func (c *customer) restock(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "UPDATE products SET stock = stock + 60 WHERE id = $1", 1+c.random.IntN(8))
	return err
}

func (c *customer) reprice(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "UPDATE products SET price = round(price * $2::numeric, 2) WHERE id = $1", 1+c.random.IntN(8), []string{"0.95", "1.05"}[c.random.IntN(2)])
	return err
}

func (c *customer) join(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "INSERT INTO customers (name) VALUES ('customer of ' || to_char(now(), 'HH24:MI:SS'))")
	return err
}
