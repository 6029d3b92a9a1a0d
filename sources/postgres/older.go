package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

// awaitOlder makes sure that chunks are held against all that the stream has handed over before it began to be noted.
//
// Before the first chunk it waits for the end of every transaction that is open: one of them may have changed the table before the
// publication held it, or have been discarded. Afterwards, all that changed the table is in the log: only those are noted that have
// committed there and are open still.
func (k *chunkCopy) awaitOlder(ctx context.Context, b begun) error {
	switch _, standby, err := k.c.replayed(ctx); {
	case err != nil:
		return err
	case standby && b.cursor == "":
		return k.awaitOlderOnPrimary(ctx)
	case standby:
		return nil // it shows what it has replayed, and streams nothing else
	case b.cursor == "":
		return k.awaitOpen(ctx)
	}
	return k.noteOpen(ctx, b.version.ID)
}

// noteOpen notes the transactions that the log holds changes of the table of, and that are open at the server.
func (k *chunkCopy) noteOpen(ctx context.Context, t schema.TableID) error {
	xids, err := k.openInLog(ctx, t)
	k.passed.add(xids)
	return err
}

// awaitOlderOnPrimary makes and drops a slot, for which the server waits for the transactions that are open at its primary.
func (k *chunkCopy) awaitOlderOnPrimary(ctx context.Context) error {
	ws, err := k.s.connectWalsender(ctx)
	if err != nil {
		return err
	}
	defer closeConn(ws.PgConn)
	_, err = createSlot(ctx, ws, randomName("cdc_copy_"), true, k.c.version)
	return err
}

// openXIDs are the transactions of the database that have written something and are open. Each holds a lock on its own number until
// what it did can be seen, also when it has committed and waits for a standby.
func (c *catalog) openXIDs(ctx context.Context) (map[uint32]bool, error) {
	rows, err := c.query(ctx, `
SELECT l.transactionid FROM pg_catalog.pg_locks l
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = l.transactionid
WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
  AND coalesce(a.datname, p.database, pg_catalog.current_database()) = pg_catalog.current_database()`)
	if err != nil {
		return nil, fmt.Errorf("read open transactions: %w", err)
	}
	open := map[uint32]bool{}
	for _, r := range rows {
		open[uint32(r[0].int())] = true
	}
	return open, nil
}

// awaitOpen waits until all transactions have ended that are open now.
func (k *chunkCopy) awaitOpen(ctx context.Context) error {
	older, err := k.c.openXIDs(ctx)
	begun := time.Now()
	for pause := 5 * time.Millisecond; err == nil && len(older) > 0; pause = min(2*pause, viewPauseMax) {
		if time.Since(begun) > sayAfter {
			k.held(fmt.Sprintf("%d transactions that are open since before the copy, %d among them", len(older), slices.Min(slices.Collect(maps.Keys(older)))))
		}
		if err := sources.Pause(ctx, pause); err != nil {
			return err
		}
		var open map[uint32]bool
		open, err = k.c.openXIDs(ctx)
		maps.DeleteFunc(older, func(xid uint32, _ bool) bool { return !open[xid] })
	}
	return err
}

// openInLog are the transactions that the log holds changes of the table of, and that are open at the server.
func (k *chunkCopy) openInLog(ctx context.Context, t schema.TableID) ([]uint64, error) {
	last := k.g.w.Progress().Commit
	if err := k.g.w.Log().WaitDurable(ctx, last); err != nil {
		return nil, err
	}
	open, err := k.c.openXIDs(ctx)
	if err != nil || len(open) == 0 {
		return nil, err
	}
	v, _, err := k.c.viewed(ctx)
	if err != nil {
		return nil, err
	}
	most, err := k.c.transactionsMost(ctx)
	if err != nil {
		return nil, err
	}
	xids := make([]uint64, 0, len(open))
	for xid := range open {
		xids = append(xids, extendXID(v.xmax, xid))
	}
	tail := logTail{log: k.g.w.Log(), source: k.g.w.Source(), table: t, last: last}
	return tail.find(ctx, xids, most)
}

// transactionsMost is how many transactions can be open at once.
func (c *catalog) transactionsMost(ctx context.Context) (int, error) {
	r, err := c.one(ctx, `SELECT sum(setting::bigint) FROM pg_catalog.pg_settings WHERE name IN
('max_connections', 'max_prepared_transactions', 'max_worker_processes', 'autovacuum_max_workers', 'autovacuum_worker_slots', 'max_wal_senders')`)
	if err != nil {
		return 0, err
	}
	const auxiliary = 16 // processes of the server itself
	return int(r[0].int()) + auxiliary, nil
}

// tailOffsets is how much of the log's end is looked at first for transactions.
const tailOffsets = 1 << 16

// logTail is what the log holds of a table, from an offset back.
type logTail struct {
	log    changelog.Log
	source changelog.SourceInfo
	table  schema.TableID
	last   changelog.Offset
}

// find are those of the transactions that the log holds. It reads back until it has met more transactions with numbers below all of
// these than can be open at once: one that committed before those got its number before any of these.
func (l logTail) find(ctx context.Context, xids []uint64, most int) ([]uint64, error) {
	first := l.log.Bounds().First
	for back := changelog.Offset(tailOffsets); ; back *= 8 {
		from := first
		if l.last > first+back {
			from = l.last - back
		}
		found, older, err := l.findFrom(ctx, xids, from)
		if err != nil || older > most || from == first {
			return found, err
		}
	}
}

// findFrom reads the end of the log, and counts the transactions in it with numbers below all of the wanted.
func (l logTail) findFrom(ctx context.Context, xids []uint64, from changelog.Offset) (found []uint64, older int, err error) {
	cursor, err := l.log.Cursor(changelog.CursorOptions{From: from, To: l.last, Tables: changelog.NewTableSet(l.table)})
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, cursor.Close()) }()
	least := slices.Min(xids)
	for {
		u, err := cursor.Next(ctx)
		if errors.Is(err, io.EOF) {
			return found, older, nil
		}
		if err != nil {
			return nil, 0, err
		}
		m := &u.Meta
		switch {
		case m.Source != l.source.ID || m.Epoch != l.source.Epoch || m.XID == 0:
		case m.XID < least:
			older++
		case slices.Contains(xids, m.XID):
			found = append(found, m.XID)
		}
	}
}
