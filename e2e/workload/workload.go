//go:build e2e

package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"cdc/e2e/checker"
)

// Options say what a workload does. DSN is required.
type Options struct {
	DSN  string
	Seed uint64
	// Clients work at the same time; 0 = 4.
	Clients int
	// Pause is between two transactions of a client.
	Pause time.Duration
	// DDLEvery is how often the first client changes a table's columns; 0 = never.
	DDLEvery time.Duration
	// BigValues is how long the longest values are; 0 = 200 kB.
	BigValues int
}

// Workload is a set of clients. Its methods may be called concurrently.
type Workload struct {
	o     Options
	begun time.Time

	// steady is held for reading by a client that changes what snapshots do not
	// protect: a table's columns, or all of its rows at once.
	steady sync.RWMutex

	mu       sync.Mutex // guards the fields below
	outcomes []checker.Outcome
	seqs     map[int64]int64
}

// New makes a workload that does nothing yet.
func New(o Options) *Workload {
	if o.Clients == 0 {
		o.Clients = 4
	}
	if o.BigValues == 0 {
		o.BigValues = 200_000
	}
	return &Workload{o: o, begun: time.Now(), seqs: map[int64]int64{}}
}

// Outcomes are those so far.
func (w *Workload) Outcomes() []checker.Outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]checker.Outcome(nil), w.outcomes...)
}

// Unjudged are tables whose changes do not count: a table that changes its shape
// faster than its changes are read may be copied instead.
func (w *Workload) Unjudged() []string {
	if w.o.DDLEvery == 0 {
		return nil
	}
	return []string{evolving}
}

// Count is the number of transactions with a result.
func (w *Workload) Count(r checker.Result) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.outcomes {
		if o.Result == r {
			n++
		}
	}
	return n
}

// Steady calls f while no table changes its columns or loses all rows.
func (w *Workload) Steady(f func() error) error {
	w.steady.Lock()
	defer w.steady.Unlock()
	return f()
}

// Run keeps all clients busy until ctx ends. It can be called again. Its error
// is a bug of the workload; lost connections and refused transactions are not.
func (w *Workload) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range w.o.Clients {
		group.Go(func() error {
			c := w.client(int64(i))
			defer c.close()
			return c.run(ctx)
		})
	}
	return group.Wait()
}

// Bulk inserts many rows in one transaction, as one client more.
func (w *Workload) Bulk(ctx context.Context, rows int) error {
	c := w.client(int64(w.o.Clients))
	defer c.close()
	if err := c.connect(ctx); err != nil {
		return err
	}
	var err error
	c.transact(ctx, func(ctx context.Context, t *tx) error {
		err = t.bulk(ctx, rows)
		return err
	}, endCommit)
	return err
}

// client makes a client with the choices that the seed gives it. Each run makes
// others.
func (w *Workload) client(number int64) *client {
	w.mu.Lock()
	defer w.mu.Unlock()
	return &client{w: w, number: number, random: rand.New(rand.NewPCG(w.o.Seed, uint64(number)<<32+uint64(w.seqs[number])))}
}

func (w *Workload) clock() int64 { return int64(time.Since(w.begun)) }

// client is one connection that runs one transaction after the other.
type client struct {
	w       *Workload
	number  int64
	random  *rand.Rand
	conn    *pgx.Conn
	ddlLast time.Time
}

// closeLimit bounds the end of a connection.
const closeLimit = 2 * time.Second

func (c *client) close() {
	if c.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	_ = c.conn.Close(ctx) // nothing is left to do with it
	c.conn = nil
}

// reconnectPause is between two attempts to reach a server that is away.
const reconnectPause = 50 * time.Millisecond

// connect makes sure that there is a connection, however long it takes, and
// ends what the last one left prepared.
func (c *client) connect(ctx context.Context) error {
	for c.conn == nil || c.conn.IsClosed() {
		conn, err := pgx.Connect(ctx, c.w.o.DSN)
		if err == nil {
			c.conn = conn
			if err = c.endPrepared(ctx); err == nil {
				return nil
			}
			c.close()
		}
		if err := wait(ctx, reconnectPause); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) endPrepared(ctx context.Context) error {
	rows, err := c.conn.Query(ctx, `SELECT gid FROM pg_prepared_xacts WHERE database = current_database() AND gid LIKE $1`,
		fmt.Sprintf("e2e-%d-%%", c.number))
	if err != nil {
		return err
	}
	gids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, gid := range gids {
		if _, err := c.conn.Exec(ctx, "COMMIT PREPARED '"+gid+"'"); err != nil {
			return err
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (c *client) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := c.connect(ctx); err != nil {
			return nil
		}
		if err := c.step(ctx); err != nil {
			return err
		}
		if err := wait(ctx, c.w.o.Pause); err != nil {
			return nil
		}
	}
	return nil
}

// step runs one transaction. It is not cut short by the end of ctx, so that a
// quiet end has no unknown outcomes.
func (c *client) step(ctx context.Context) error {
	if c.number == 0 && c.w.o.DDLEvery > 0 && time.Since(c.ddlLast) > c.w.o.DDLEvery {
		c.ddlLast = time.Now()
		return c.unsteady(ctx, (*tx).alter)
	}
	if c.random.IntN(150) == 0 {
		return c.unsteady(ctx, (*tx).truncate)
	}
	return c.transact(context.WithoutCancel(ctx), c.choose(), c.chooseEnd())
}

func (c *client) unsteady(ctx context.Context, do operation) error {
	c.w.steady.RLock()
	defer c.w.steady.RUnlock()
	return c.transact(context.WithoutCancel(ctx), func(ctx context.Context, t *tx) error { return do(t, ctx) }, endCommit)
}

// ending is how a transaction ends.
type ending int

const (
	endCommit ending = iota
	endRollback
	endCommitPrepared
	endRollbackPrepared
)

func (c *client) chooseEnd() ending {
	switch n := c.random.IntN(40); n {
	case 0, 1:
		return endRollback
	case 2, 3:
		return endCommitPrepared
	case 4:
		return endRollbackPrepared
	}
	return endCommit
}

// idsPerClient keeps the ledger ids of clients apart.
const idsPerClient = 1_000_000_000

// transact runs one transaction and notes its outcome. The error is one that no
// busy database explains.
func (c *client) transact(ctx context.Context, do func(context.Context, *tx) error, end ending) error {
	o := c.begin()
	var err error
	o.Result, err = c.attempt(ctx, o, do, end)
	o.Ended = c.w.clock()
	c.w.mu.Lock()
	c.w.outcomes = append(c.w.outcomes, o)
	c.w.mu.Unlock()
	return err
}

func (c *client) begin() checker.Outcome {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.seqs[c.number]++
	seq := c.w.seqs[c.number]
	return checker.Outcome{ID: c.number*idsPerClient + seq, Client: c.number, Seq: seq, Began: c.w.clock()}
}

func (c *client) attempt(ctx context.Context, o checker.Outcome, do func(context.Context, *tx) error, end ending) (checker.Result, error) {
	t := &tx{client: c, conn: c.conn, random: c.random}
	if err := t.exec(ctx, "BEGIN"); err != nil {
		return checker.Failed, c.abandon(ctx, err)
	}
	if err := do(ctx, t); err != nil {
		return checker.Failed, c.abandon(ctx, err)
	}
	if err := t.writeLedger(ctx, o); err != nil {
		return checker.Failed, c.abandon(ctx, err)
	}
	gid := fmt.Sprintf("e2e-%d-%d", o.Client, o.Seq)
	switch end {
	case endRollback:
		return checker.Failed, c.abandon(ctx, t.exec(ctx, "ROLLBACK"))
	case endCommitPrepared, endRollbackPrepared:
		if err := t.exec(ctx, "PREPARE TRANSACTION '"+gid+"'"); err != nil {
			return checker.Unknown, c.abandon(ctx, err)
		}
	}
	var err error
	switch end {
	case endRollbackPrepared:
		if err = t.exec(ctx, "ROLLBACK PREPARED '"+gid+"'"); err == nil {
			return checker.Failed, nil
		}
	case endCommitPrepared:
		err = t.exec(ctx, "COMMIT PREPARED '"+gid+"'")
	default:
		err = t.exec(ctx, "COMMIT")
	}
	if err != nil {
		return checker.Unknown, c.abandon(ctx, err)
	}
	return checker.Committed, nil
}

// abandon ends a transaction that went wrong, and forgives what happens on a
// busy database or one that goes away.
func (c *client) abandon(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	expected := expectedError(err)
	if c.conn.IsClosed() {
		c.conn = nil
		return nil
	}
	if _, rollback := c.conn.Exec(ctx, "ROLLBACK"); rollback != nil {
		c.close()
		return nil
	}
	if expected {
		return nil
	}
	return fmt.Errorf("client %d: %w", c.number, err)
}

// expectedError tells errors of contention from those of the workload itself.
func expectedError(err error) bool {
	var server interface{ SQLState() string }
	if !errors.As(err, &server) {
		return true // the connection
	}
	switch state := server.SQLState(); state[:2] {
	case "40", "08", "57": // deadlock, serialization; connection; shutdown
		return true
	case "23": // two clients chose one key, or a parent has gone
		return true
	default:
		return state == "53300" // too many connections
	}
}
