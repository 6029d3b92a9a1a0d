//go:build e2e

package workload

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"cdc/e2e/checker"
)

// Options say what a workload does. DSN is required; its scheme tells the kind
// of the database.
type Options struct {
	DSN  string
	Seed uint64
	// Clients work at the same time; 0 = 4.
	Clients int
	// Pause is between two transactions of a client.
	Pause time.Duration
	// DDLEvery is how often the first client changes a table's columns; 0 = never.
	DDLEvery time.Duration
	// OnePhase leaves out transactions that are prepared before they end.
	OnePhase bool
	// Transacted leaves out tables whose engine knows no transactions: a server that crashes damages them.
	Transacted bool
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
// faster than its changes are read may be copied instead, and some statements
// of MySQL cannot share a transaction with a ledger entry.
func (w *Workload) Unjudged() []string {
	var all []string
	if isMySQL(w.o.DSN) {
		all = append(all, mysqlUnjudged...)
	}
	if w.o.DDLEvery > 0 {
		all = append(all, evolving)
	}
	return all
}

// Tables are those of the workload.
func (w *Workload) Tables() []string {
	if isMySQL(w.o.DSN) {
		return mysqlTables
	}
	return postgresTables
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
	if err := c.transact(ctx, work{action: actBulk, rows: rows}, endCommit); err != nil {
		return err
	}
	all := w.Outcomes()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Client == c.number && all[i].Result == checker.Committed {
			return nil
		}
	}
	return fmt.Errorf("a transaction of %d rows was not committed", rows)
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
	conn    session // nil when there is none
	ddlLast time.Time
}

// action is what a transaction does.
type action int

const (
	actAny      action = iota // drawn at random
	actTruncate               // of all rows of a table
	actAlter                  // of a table's columns
	actBulk                   // of very many rows
)

type work struct {
	action action
	rows   int // of actBulk
}

// session is a client's connection to one kind of database.
type session interface {
	// begin opens a transaction that will end so.
	begin(ctx context.Context, w work, o checker.Outcome, end ending) error
	// act does the work, with the ledger entry as its last change.
	act(ctx context.Context, w work, o checker.Outcome) error
	commit(ctx context.Context) error
	rollback(ctx context.Context) error
	// prepare is the first phase of two; the second decides about what was
	// prepared last.
	prepare(ctx context.Context) error
	commitPrepared(ctx context.Context) error
	rollbackPrepared(ctx context.Context) error
	// contention tells errors that a busy database explains, or one that goes
	// away, from those of the workload itself.
	contention(err error) bool
	lost() bool
	close()
}

// open connects to the kind of database that the DSN names, and ends what the
// client's last connection left prepared.
func (c *client) open(ctx context.Context) (session, error) {
	if isMySQL(c.w.o.DSN) {
		return openMySQL(ctx, c)
	}
	return openPostgres(ctx, c)
}

// closeLimit bounds the end of a connection.
const closeLimit = 2 * time.Second

func (c *client) close() {
	if c.conn != nil {
		c.conn.close()
		c.conn = nil
	}
}

// reconnectPause is between two attempts to reach a server that is away.
const reconnectPause = 50 * time.Millisecond

// connect makes sure that there is a connection, however long it takes.
func (c *client) connect(ctx context.Context) error {
	for c.conn == nil || c.conn.lost() {
		conn, err := c.open(ctx)
		if err == nil {
			c.conn = conn
			return nil
		}
		if err := wait(ctx, reconnectPause); err != nil {
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
		return c.unsteady(ctx, actAlter)
	}
	if c.random.IntN(150) == 0 {
		return c.unsteady(ctx, actTruncate)
	}
	return c.transact(context.WithoutCancel(ctx), work{}, c.chooseEnd())
}

func (c *client) unsteady(ctx context.Context, do action) error {
	c.w.steady.RLock()
	defer c.w.steady.RUnlock()
	return c.transact(context.WithoutCancel(ctx), work{action: do}, endCommit)
}

// ending is how a transaction ends.
type ending int

const (
	endCommit ending = iota
	endRollback
	endCommitPrepared
	endRollbackPrepared
)

// twoPhase reports whether the transaction is prepared before it ends.
func (e ending) twoPhase() bool { return e == endCommitPrepared || e == endRollbackPrepared }

func (c *client) chooseEnd() ending {
	switch n := c.random.IntN(40); {
	case n < 2:
		return endRollback
	case n < 5 && c.w.o.OnePhase:
		return endCommit
	case n < 4:
		return endCommitPrepared
	case n < 5:
		return endRollbackPrepared
	}
	return endCommit
}

// idsPerClient keeps the ledger ids of clients apart.
const idsPerClient = 1_000_000_000

// transact runs one transaction and notes its outcome. The error is one that no
// busy database explains.
func (c *client) transact(ctx context.Context, do work, end ending) error {
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

func (c *client) attempt(ctx context.Context, o checker.Outcome, do work, end ending) (checker.Result, error) {
	if err := c.conn.begin(ctx, do, o, end); err != nil {
		return checker.Failed, c.abandon(ctx, err)
	}
	if err := c.conn.act(ctx, do, o); err != nil {
		return checker.Failed, c.abandon(ctx, err)
	}
	if end.twoPhase() {
		if err := c.conn.prepare(ctx); err != nil {
			return checker.Unknown, c.abandon(ctx, err)
		}
	}
	var err error
	switch end {
	case endRollback:
		return checker.Failed, c.abandon(ctx, c.conn.rollback(ctx))
	case endRollbackPrepared:
		if err = c.conn.rollbackPrepared(ctx); err == nil {
			return checker.Failed, nil
		}
	case endCommitPrepared:
		err = c.conn.commitPrepared(ctx)
	default:
		err = c.conn.commit(ctx)
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
	expected := c.conn.contention(err)
	if c.conn.lost() {
		c.close()
		return nil
	}
	if rollback := c.conn.rollback(ctx); rollback != nil {
		c.close()
		return nil
	}
	if expected {
		return nil
	}
	return fmt.Errorf("client %d: %w", c.number, err)
}

// long is a text that does not compress, of any order of magnitude.
func (c *client) long() string {
	size := 1000 * math.Pow(float64(c.w.o.BigValues)/1000, c.random.Float64())
	b := make([]byte, int(size)/2)
	for i := range b {
		b[i] = byte(c.random.Uint32())
	}
	return hex.EncodeToString(b)
}
