package sources_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/rowstate"
	"cdc/changelog/vfs"
	"cdc/schema"
	"cdc/sources"
)

// Goal: whatever crashes when, the log holds each transaction of the source once, in order, whole, and the source never forgets
// one that the log has not made durable.
//
// Method: a server that forgets what has been acknowledged, a file system that loses what has not been synced, and connections
// that break at a random transaction. The order of Append, fsync and Ack in Ingest is what makes it hold: acknowledging before
// the log is durable fails on the first cases.

// server is a database of transactions 1, 2, 3 …, each inserting its own number.
type server struct {
	mu        sync.Mutex
	committed uint64
	forgotten uint64 // transactions up to this one are gone
}

func position(n uint64) changelog.Position {
	return changelog.Position(binary.BigEndian.AppendUint64(nil, n))
}

func number(p changelog.Position) uint64 {
	if p == "" {
		return 0
	}
	return binary.BigEndian.Uint64([]byte(p))
}

// connection is one source on the server; it breaks after a number of transactions.
type connection struct {
	s       *server
	breakAt uint64
	crash   context.CancelFunc
	tries   int
}

var errBroken = errors.New("connection broken")

func (c *connection) Stream(ctx context.Context, w *sources.Writer) error {
	if c.tries++; c.tries > 3 {
		c.crash()
		<-ctx.Done()
		return ctx.Err()
	}
	if w.Source().Epoch == 0 {
		if err := w.Introduce(ctx, "test", nil); err != nil {
			return err
		}
	}
	table := w.Register(numbers())
	from := number(w.Progress().Position) + 1
	c.s.mu.Lock()
	forgotten, committed := c.s.forgotten, c.s.committed
	c.s.mu.Unlock()
	if from <= forgotten {
		return &sources.Stop{Stop: changelog.Stop{Kind: changelog.StopGap, Detail: fmt.Sprintf("transaction %d is gone, the server begins after %d", from, forgotten)}}
	}
	var b schema.Builder
	for n := from; n <= committed; n++ {
		b.Reset(table.Layout(), nil)
		b.Int(0, int64(n))
		row, err := b.Finish()
		if err != nil {
			return err
		}
		for range 1 + n%3 { // rows of one transaction
			if err := w.Change(&sources.Row{Op: changelog.OpCreate, Table: table, After: row}); err != nil {
				return err
			}
		}
		if n%uint64(c.breakAt) == 0 {
			return errBroken // in the middle of a transaction
		}
		if _, err := w.Commit(ctx, sources.Commit{Position: position(n), XID: n, Time: changelog.Micros(n)}); err != nil {
			return err
		}
	}
	c.crash()
	<-ctx.Done()
	return ctx.Err()
}

func (c *connection) Ack(p changelog.Position) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.forgotten = max(c.s.forgotten, number(p))
}

func (c *connection) Progress() sources.Progress { return sources.Progress{} }

func (c *connection) Current(context.Context) (func(changelog.Position) bool, error) {
	return func(changelog.Position) bool { return true }, nil
}

func numbers() *schema.Table {
	t := &schema.Table{
		Source: "test", Schema: "public", Name: "numbers", SourceTable: 1, Identity: schema.IdentityKey,
		Columns: []schema.Column{{ID: 1, Name: "n", Kind: schema.Int64, SQLType: "bigint", Key: 1}},
	}
	if err := t.Prepare(); err != nil {
		panic(err)
	}
	return t
}

// session runs Ingest on the files until the connection is used up, and then loses power.
func session(t *rapid.T, files *vfs.Mem, s *server, breakAt uint64, seed uint64) *vfs.Mem {
	log, err := disklog.Open("data/log", disklog.Options{FS: files, SegmentBytes: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	state, err := rowstate.Open(t.Context(), rowstate.Options{Log: log, Source: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, crash := context.WithCancel(t.Context())
	defer crash()
	err = sources.Ingest(ctx, sources.IngestOptions{
		Log: log, State: state, Name: "test", Logger: slog.New(slog.DiscardHandler), FirstPause: time.Microsecond,
		Source: &connection{s: s, breakAt: breakAt, crash: crash},
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("ingest ended with %v", err)
	}
	survived := files.Crash(rand.New(rand.NewPCG(seed, 1)), int(seed%101))
	if err := errors.Join(state.Close(), log.Close()); err != nil {
		t.Fatal(err)
	}
	return survived
}

func TestG1G3IngestLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &server{}
		files := vfs.NewMem()
		for range rapid.IntRange(1, 6).Draw(t, "sessions") {
			s.committed += rapid.Uint64Range(0, 40).Draw(t, "commits")
			files = session(t, files, s, rapid.Uint64Range(2, 50).Draw(t, "break"), rapid.Uint64().Draw(t, "seed"))
		}
		files = session(t, files, s, 1<<62, 0)
		checkOnceInOrder(t, files, s)
	})
}

// checkOnceInOrder reads the log and compares it with the server.
func checkOnceInOrder(t *rapid.T, files *vfs.Mem, s *server) {
	log, err := disklog.Open("data/log", disklog.Options{FS: files})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cursor, err := log.Cursor(changelog.CursorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer cursor.Close()
	last := uint64(0)
	for {
		unit, err := cursor.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if unit.Meta.Kind != changelog.UnitTx {
			continue
		}
		if unit.Meta.XID != last+1 {
			t.Fatalf("transaction %d after %d", unit.Meta.XID, last)
		}
		last = unit.Meta.XID
		checkWhole(t, unit)
	}
	if last < s.forgotten {
		t.Fatalf("the log ends at transaction %d, the server has forgotten up to %d", last, s.forgotten)
	}
}

func checkWhole(t *rapid.T, unit *changelog.Unit) {
	var c changelog.Change
	rows := uint64(0)
	for {
		ok, err := unit.Next(&c)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if got := uint64(c.After.Int(0)); got != unit.Meta.XID {
			t.Fatalf("transaction %d holds row %d", unit.Meta.XID, got)
		}
		rows++
	}
	if rows != 1+unit.Meta.XID%3 {
		t.Fatalf("transaction %d has %d rows, want %d", unit.Meta.XID, rows, 1+unit.Meta.XID%3)
	}
}
