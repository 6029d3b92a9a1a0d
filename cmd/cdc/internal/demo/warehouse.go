package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"

	"cdc/e2e/testservers"
)

// warehouseSQL is the other half of the shop's business, in MySQL or MariaDB.
const warehouseSQL = `
CREATE TABLE payments (id INT PRIMARY KEY AUTO_INCREMENT, order_id INT NOT NULL, method ENUM('card', 'transfer', 'voucher') NOT NULL, amount DECIMAL(10,2) NOT NULL, state ENUM('booked', 'refunded') NOT NULL DEFAULT 'booked', KEY (order_id));
CREATE TABLE parcels (order_id INT PRIMARY KEY, carrier ENUM('bike', 'van', 'post') NOT NULL, grams INT UNSIGNED NOT NULL, state VARCHAR(20) NOT NULL);
CREATE TABLE shelves (product_id INT PRIMARY KEY, aisle CHAR(2) NOT NULL, units INT NOT NULL);
INSERT INTO shelves VALUES (1, 'A1', 900), (2, 'A2', 300), (3, 'B1', 150), (4, 'B2', 500), (5, 'C1', 250), (6, 'C2', 2000), (7, 'D1', 200), (8, 'D2', 1200)`

// warehouse is the database that the shop's clients pay and send parcels in.
type warehouse struct {
	server *testservers.MySQL

	mu        sync.Mutex // guards all below
	payments  []uint64   // whose COMMIT has returned, by their ids
	committed int        // transactions, those of payments too
}

// startWarehouse starts a server of MySQL, else of MariaDB; none is installed when it returns none without an error.
func startWarehouse(ctx context.Context) (*warehouse, error) {
	for _, flavour := range []testservers.Flavour{testservers.FlavourMySQL, testservers.FlavourMariaDB} {
		server, err := testservers.StartMySQL(ctx, testservers.MySQLOptions{Flavour: flavour, Name: "demo"})
		if errors.Is(err, testservers.ErrNoServer) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &warehouse{server: server}, nil
	}
	return nil, nil
}

// product is what people call the server.
func (h *warehouse) product() string {
	if h.server.Flavour() == testservers.FlavourMariaDB {
		return "MariaDB"
	}
	return "MySQL"
}

// open makes the tables, and a role for the capture.
func (h *warehouse) open(ctx context.Context) error {
	if _, err := h.server.SQL(ctx, "", "CREATE DATABASE "+warehouseDatabase); err != nil {
		return err
	}
	if _, err := h.server.SQL(ctx, warehouseDatabase, warehouseSQL); err != nil {
		return err
	}
	return h.server.CreateCaptureRole(ctx, testservers.MySQLCaptureRole{Name: role, Password: password, Databases: []string{warehouseDatabase}})
}

// count is how many transactions have committed.
func (h *warehouse) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.committed
}

// paid is how many payments have committed.
func (h *warehouse) paid() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.payments)
}

// since are the ids of the payments that have committed after the first n.
func (h *warehouse) since(n int) []uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]uint64(nil), h.payments[n:]...)
}

// clerk is one client's connection to the warehouse; nil where there is none, and then nothing is done.
type clerk struct {
	house   *warehouse
	session *testservers.MySQLSession
	random  *rand.Rand
}

// clerk connects; it must be closed.
func (h *warehouse) clerk(ctx context.Context, random *rand.Rand) (*clerk, error) {
	session, err := h.server.Open(ctx, h.server.Superuser(), warehouseDatabase)
	if err != nil {
		return nil, fmt.Errorf("connect to the warehouse: %w", err)
	}
	return &clerk{house: h, session: session, random: random}, nil
}

func (c *clerk) close() {
	if c != nil {
		c.session.Close()
	}
}

// become does what has to be done before the shop may say that an order has this status: what Postgres says of an order is never
// ahead of MySQL, and so it must be at any moment that one looks at.
func (c *clerk) become(ctx context.Context, order int, total, status string) error {
	if c == nil {
		return nil
	}
	switch status {
	case "paid":
		return c.pay(ctx, order, total)
	case "packed":
		return c.do(ctx, fmt.Sprintf("INSERT INTO parcels (order_id, carrier, grams, state) VALUES (%d, %d, %d, 'packed'); UPDATE shelves SET units = units - 1 WHERE product_id = %d",
			order, 1+c.random.IntN(3), 200+100*c.random.IntN(60), 1+c.random.IntN(8)))
	case "shipped":
		return c.do(ctx, fmt.Sprintf("UPDATE parcels SET state = 'on its way' WHERE order_id = %d", order))
	case "delivered":
		return c.do(ctx, fmt.Sprintf("UPDATE parcels SET state = 'delivered' WHERE order_id = %d", order))
	case "canceled":
		return c.do(ctx, fmt.Sprintf("UPDATE payments SET state = 'refunded' WHERE order_id = %[1]d; DELETE FROM parcels WHERE order_id = %[1]d", order))
	}
	return nil
}

// pay books a payment.
func (c *clerk) pay(ctx context.Context, order int, total string) error {
	text, err := c.session.SQL(ctx, fmt.Sprintf("INSERT INTO payments (order_id, method, amount) VALUES (%d, %d, %s); SELECT LAST_INSERT_ID()", order, 1+c.random.IntN(3), total))
	if err != nil {
		return err
	}
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return fmt.Errorf("read number of a payment: %w", err)
	}
	c.house.mu.Lock()
	defer c.house.mu.Unlock()
	c.house.payments = append(c.house.payments, id)
	c.house.committed++
	return nil
}

// do runs statements as one transaction.
func (c *clerk) do(ctx context.Context, statements string) error {
	if _, err := c.session.SQL(ctx, "BEGIN; "+statements+"; COMMIT"); err != nil {
		return err
	}
	c.house.mu.Lock()
	defer c.house.mu.Unlock()
	c.house.committed++
	return nil
}
