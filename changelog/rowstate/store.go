package rowstate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cdc/changelog"
	"cdc/schema"
)

// What lies between two checkpoints at most; a restart replays the log from the last one. Rows that need not be kept count as offsets
// only, as they have to be read again all the same.
const (
	checkpointBytes   = 64 << 20
	checkpointOffsets = 1 << 20
)

// Key spaces of the key-value store.
const (
	spaceMeta = 0x00
	spaceRows = 0x01
	spaceOpen = 0x02 // rows of the open transaction that did not fit in memory
)

var checkpointKey = []byte{spaceMeta, 'c'}

// Options say where a Store lives.
type Options struct {
	// Dir is the folder of the store, made when missing. Empty keeps it in memory.
	Dir string
	// Log is what the store is derived from, and Source the source whose units it follows: each source has a store of its own.
	Log    changelog.Log
	Source changelog.SourceID
	// AnyColumn says that the source may leave any unchanged column out of a change, as MySQL does where binlog_row_image is
	// MINIMAL; otherwise only values that Postgres stores out of line.
	AnyColumn bool
}

// Store keeps rows by table and key. Only effects of durable units reach its files; what is newer waits in layers above them, so
// that a crash can never leave it ahead of the log. It is safe for concurrent use, but for transactions of one source, which
// follow one another.
type Store struct {
	db     *pebble.DB
	room   *room
	log    changelog.Log
	source changelog.SourceID
	// anyColumn is Options.AnyColumn.
	anyColumn bool
	// anyWhole says that whole is not empty.
	anyWhole atomic.Bool
	// anyHeld says that holds is not empty: most sources' rows need no look-up.
	anyHeld atomic.Bool

	mu        sync.Mutex              // guards the fields below
	holds     map[schema.TableID]bool // tables that may have a row here; all others need no look-up
	whole     map[schema.TableID]bool // tables of which all rows are kept, see keep.go
	layers    []*layer                // committed and not durable, oldest first
	committed changelog.Offset        // up to which the source's transactions have been handed over
	marked    changelog.Offset        // of the last checkpoint
	taken     int                     // bytes since then
	err       error                   // the first failed write, which sticks
}

// layer is what one transaction changes: rows by key (nil: gone) over tables emptied first.
type layer struct {
	commit    changelog.Offset
	truncated map[schema.TableID]bool
	rows      map[string][]byte
	bytes     int
	spilled   bool // rows of the transaction lie in spaceOpen as well
}

func newLayer() *layer {
	return &layer{truncated: map[schema.TableID]bool{}, rows: map[string][]byte{}}
}

// Open opens the store and brings it up to the log's end. A store that cannot be read is made again from the log. What has been
// appended of the source must become durable first: nobody would bring it to this store later.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := o.Log.WaitDurable(ctx, o.Log.Catalog().Progress(o.Source).Commit); err != nil {
		return nil, fmt.Errorf("open row state: %w", err)
	}
	s, err := open(ctx, o)
	var unread *logError
	if err == nil || o.Dir == "" || ctx.Err() != nil || errors.As(err, &unread) {
		return s, err
	}
	if removeErr := os.RemoveAll(o.Dir); removeErr != nil {
		return nil, errors.Join(err, removeErr)
	}
	return open(ctx, o)
}

// logError is an error of reading the log: the store is not to blame, and may be all that is left of a part that is damaged.
type logError struct{ error }

func (e *logError) Unwrap() error { return e.error }

func open(ctx context.Context, o Options) (*Store, error) {
	if o.Dir == "" {
		return openOn(ctx, o, vfs.NewMem(), "rowstate")
	}
	return openOn(ctx, o, vfs.Default, o.Dir)
}

func openOn(ctx context.Context, o Options, disk vfs.FS, dir string) (*Store, error) {
	room, fs := watchRoom(disk, dir)
	db, err := pebble.Open(dir, &pebble.Options{FS: fs, DisableWAL: true, Logger: silent{}, MemTableStopWritesThreshold: memTables})
	if err != nil {
		return nil, fmt.Errorf("open row state: %w", err)
	}
	s := &Store{db: db, room: room, log: o.Log, source: o.Source, anyColumn: o.AnyColumn, holds: map[schema.TableID]bool{}, whole: map[schema.TableID]bool{}}
	if err := s.catchUp(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("rebuild row state: %w", err), s.Close())
	}
	return s, nil
}

// silent keeps the key-value store's own messages out of ours; its errors come back through its calls.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

// catchUp applies the units after the checkpoint.
func (s *Store) catchUp(ctx context.Context) error {
	if err := s.db.DeleteRange([]byte{spaceOpen}, []byte{spaceOpen + 1}, pebble.NoSync); err != nil {
		return err
	}
	if err := errors.Join(s.findTables(), s.findWhole()); err != nil {
		return err
	}
	from, err := s.checkpoint()
	if err != nil {
		return err
	}
	bounds := s.log.Bounds()
	s.committed, s.marked = from, from
	if from+1 >= bounds.Next {
		return nil
	}
	cursor, err := s.log.Cursor(changelog.CursorOptions{From: from + 1, To: bounds.Next - 1})
	if err != nil {
		return &logError{err}
	}
	defer cursor.Close()
	for {
		unit, err := cursor.Next(ctx)
		if errors.Is(err, io.EOF) {
			s.committed = bounds.Next - 1
			return s.settleUpTo(s.committed)
		}
		if err != nil {
			return &logError{err}
		}
		if unit.Meta.Source != s.source {
			continue
		}
		if err := s.replay(unit); err != nil {
			return err
		}
	}
}

// findTables notes the tables that have rows in the store.
func (s *Store) findTables() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceRows}, UpperBound: []byte{spaceRows + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok && len(it.Key()) >= 5; {
		id := schema.TableID(binary.BigEndian.Uint32(it.Key()[1:]))
		s.hold(id)
		ok = it.SeekGE(tablePrefix(spaceRows, id+1))
	}
	return it.Error()
}

// hold notes that the table may have a row here.
func (s *Store) hold(id schema.TableID) {
	s.holds[id] = true
	s.anyHeld.Store(true)
}

// MayHold reports whether the store or an open transaction may have a row of the table.
func (s *Store) MayHold(id schema.TableID) bool {
	if !s.anyHeld.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holds[id]
}

// replay applies one unit of the log, whose rows are complete.
func (s *Store) replay(unit *changelog.Unit) error {
	tx := s.Begin()
	err := unit.CatalogRecords(func(_ changelog.Offset, record []byte) error {
		if state, ok := changelog.AsTableState(record); ok && state.Replaces() {
			return tx.Truncate(state.Table)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var c changelog.Change
	for {
		ok, err := unit.Next(&c)
		if err != nil {
			return &logError{err}
		}
		if !ok {
			break
		}
		if err := tx.replay(&c); err != nil {
			return err
		}
	}
	tx.Commit(unit.Meta.Commit())
	return s.settleUpTo(unit.Meta.Commit())
}

// checkpoint is the offset of the log that the store's files reach at least.
func (s *Store) checkpoint() (changelog.Offset, error) {
	value, closer, err := s.db.Get(checkpointKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer closer.Close()
	log := s.log.ID()
	if len(value) != 8+len(log) || [16]byte(value[8:]) != log {
		return 0, errors.New("checkpoint is of another log")
	}
	n := changelog.Offset(binary.LittleEndian.Uint64(value))
	if n >= s.log.Bounds().Next {
		return 0, fmt.Errorf("checkpoint %d is after the log's end %d", n, s.log.Bounds().Next)
	}
	return n, nil
}

// Durable says that the log is durable up to n: what was committed up to there may reach the store's files. While their disk is full it
// stays in memory, which is no more than what the log, too, has room for.
func (s *Store) Durable(n changelog.Offset) error {
	if s.room.check() != nil {
		return nil
	}
	return s.settleUpTo(n)
}

func (s *Store) settleUpTo(n changelog.Offset) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	for len(s.layers) > 0 && s.layers[0].commit <= n {
		if s.err = s.settle(s.layers[0]); s.err != nil {
			return fmt.Errorf("write row state: %w", s.err)
		}
		s.taken += s.layers[0].bytes
		s.layers = s.layers[1:]
	}
	// A transaction may be durable before it is handed over: only what has been is settled.
	n = min(n, s.committed)
	if s.taken < checkpointBytes && n < s.marked+checkpointOffsets {
		return nil
	}
	if s.err = s.mark(n); s.err != nil {
		return fmt.Errorf("checkpoint row state: %w", s.err)
	}
	s.marked, s.taken = n, 0
	return nil
}

// mark has everything so far go to the disk, with the offset that it reaches and the log that it came from. Nobody waits for it, as that
// takes until there is space: nothing that is written later is on the disk before it.
func (s *Store) mark(n changelog.Offset) error {
	log := s.log.ID()
	if err := s.db.Set(checkpointKey, append(binary.LittleEndian.AppendUint64(nil, uint64(n)), log[:]...), pebble.NoSync); err != nil {
		return err
	}
	_, err := s.db.AsyncFlush()
	return err
}

// settle moves a layer down into the store.
func (s *Store) settle(l *layer) error {
	batch := s.db.NewBatch()
	defer batch.Close()
	for id := range l.truncated {
		if err := batch.DeleteRange(tablePrefix(spaceRows, id), tablePrefix(spaceRows, id+1), nil); err != nil {
			return err
		}
	}
	if l.spilled {
		if err := batch.Commit(pebble.NoSync); err != nil {
			return err
		}
		if err := s.settleSpilled(); err != nil {
			return err
		}
		batch.Reset()
	}
	for key, row := range l.rows {
		if err := putRow(batch, spaceRows, key, row); err != nil {
			return err
		}
	}
	return batch.Commit(pebble.NoSync)
}

// settleSpilled moves what a transaction spilled from spaceOpen to spaceRows, in batches of bounded size.
func (s *Store) settleSpilled() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceOpen}, UpperBound: []byte{spaceOpen + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	batch := s.db.NewBatch()
	defer batch.Close()
	for ok := it.First(); ok; ok = it.Next() {
		row := it.Value()
		if len(row) == 0 {
			row = nil
		}
		if err := putRow(batch, spaceRows, string(it.Key()[1:]), row); err != nil {
			return err
		}
		if batch.Len() < spillBytes {
			continue
		}
		if err := batch.Commit(pebble.NoSync); err != nil {
			return err
		}
		batch.Reset()
	}
	if err := it.Error(); err != nil {
		return err
	}
	if err := batch.DeleteRange([]byte{spaceOpen}, []byte{spaceOpen + 1}, nil); err != nil {
		return err
	}
	return batch.Commit(pebble.NoSync)
}

// putRow writes a row, or that it is gone: in spaceRows by deleting it, in spaceOpen as an empty value, which hides a row below.
func putRow(batch *pebble.Batch, space byte, key string, row []byte) error {
	full := append([]byte{space}, key...)
	if row == nil && space == spaceRows {
		return batch.Delete(full, nil)
	}
	return batch.Set(full, row, nil)
}

// Close closes the store. What is not in a checkpoint is taken from the log again at the next Open.
func (s *Store) Close() error {
	s.room.close()
	return s.db.Close()
}

// tablePrefix is what all keys of a table begin with.
func tablePrefix(space byte, id schema.TableID) []byte {
	return binary.BigEndian.AppendUint32([]byte{space}, uint32(id))
}
