package rowstate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cdc/changelog"
	"cdc/schema"
)

// Key spaces of the key-value store of Rows, besides spaceMeta and spaceRows, where a row's key has the table and the generation in
// front.
const (
	spaceTables = 0x03 // where a table's rows are: its generation, and the version that their keys are made of
	spaceUndo   = 0x04 // what a key held before a unit, by the unit's commit and a number
	spaceDead   = 0x05 // generations that nobody reads once the unit of the commit has arrived
)

var (
	rowsOrigin   = []byte{spaceMeta, 'o'} // the form, the log and the scope
	rowsPosition = []byte{spaceMeta, 'p'}
	rowsFloor    = []byte{spaceMeta, 'f'}
)

// rowsForm is the form of what is stored; another one is made again from the log.
const rowsForm = 1

// Bounds of what lies between two looks at the disk.
const (
	undoBytes    = 32 << 20 // written while the log is read, before what it was needed for is forgotten
	flushOffsets = checkpointOffsets
	// filterBits of a key tell, for almost all keys that are not there, that they are not.
	filterBits = 10
	// memTables is how many are filled before writes wait for the disk: it is known to be full before that.
	memTables = 4
)

// RowsOptions say what Rows keeps. Log is required.
type RowsOptions struct {
	// Dir is the folder of the rows, made when missing. Empty keeps them in memory.
	Dir string
	Log changelog.Log
	// Wanted reports whether rows of a table version are kept; nil for all. A table that has once been wanted is followed under all of
	// its names. Scope says in words what Wanted does: when it changes, the rows are taken from the log again.
	Wanted func(*schema.Table) bool
	Scope  string
	// Reading, when set, is told before units of the log after one offset and up to another are read to bring the rows there.
	Reading func(from, to changelog.Offset)
}

// Rows keeps the latest row of every key, of all sources, as of an offset, and completes the old rows of the changes that follow it.
// Unlike a Store it can be taken back: for whatever has not arrived yet it holds what was there before. So whoever publishes changes
// can read them again from where its destination stands, and completes them as the first time.
//
// It is for one goroutine, but for Arrived.
type Rows struct {
	o   RowsOptions
	fs  vfs.FS
	dir string
	db  *pebble.DB
	// room is of the disk on which db is.
	room    *room
	opening *opening // nil unless a Seek whose context ended has left one behind

	tables     map[schema.TableID]*keptTable
	unwanted   map[schema.VersionID]bool
	reading    bool                                      // the log is read to bring the rows on, and nobody asks for old ones
	converters map[[2]schema.VersionID]*schema.Converter // nil: rows of the one cannot be read as the other

	// What follows is of the unit that is read.
	unit    *changelog.Unit
	seq     uint64
	blind   map[schema.TableID]bool // their stored rows change without being sent
	leaving map[schema.TableID]bool // their rows are forgotten after it
	written bool
	batch   *pebble.Batch
	// Memory of a change.
	key, oldKey, old, replaced, value, converted, completed, recordKey, record []byte
	builder                                                                    schema.Builder

	mu       sync.Mutex       // guards the fields below
	position changelog.Offset // all units up to here have been applied, and perhaps some of the next
	floor    changelog.Offset // the least offset that they can be taken back to
	flushed  changelog.Offset // up to where they have last been told to go to the disk
	undoable changelog.Offset // the last unit that has undo records
	undone   int              // bytes written since floor
	dead     bool             // spaceDead may hold something
	bad      bool             // something could not be read or written: the rows are to be made again
}

// keptTable says where rows of a table are.
type keptTable struct {
	generation uint64
	shape      *schema.Table // what keys are made of
	fits       *schema.Table // the last version with the same keys
}

// NewRows makes Rows, which Seek opens.
func NewRows(o RowsOptions) *Rows {
	if o.Dir == "" {
		return &Rows{o: o, fs: vfs.NewMem(), dir: "rows"}
	}
	return &Rows{o: o, fs: vfs.Default, dir: o.Dir}
}

// Seek makes the rows those of the units up to n. Rows that are of no use for that are taken from the log from its beginning.
func (r *Rows) Seek(ctx context.Context, n changelog.Offset) error {
	err := r.ready(ctx)
	if err == nil {
		err = r.room.check()
	}
	if err != nil {
		return err
	}
	r.unit = nil
	if n < r.floor {
		if err := r.clear(ctx); err != nil {
			return err
		}
	}
	err = r.takeBack(min(n, r.position))
	if err == nil {
		err = r.loadTables()
	}
	if err != nil {
		return fmt.Errorf("take old rows back to offset %d: %w", n, r.failed(err))
	}
	if r.position == n {
		return nil
	}
	if err := r.readOn(ctx, n); err != nil {
		return fmt.Errorf("read old rows up to offset %d: %w", n, err)
	}
	return nil
}

// ready opens what is there, or makes it anew.
func (r *Rows) ready(ctx context.Context) error {
	if !r.bad {
		if r.db != nil {
			return nil
		}
		if err := r.open(ctx); err == nil || ctx.Err() != nil || errors.Is(err, errRoom) {
			return err // what is there is not to blame
		}
	}
	return r.clear(ctx)
}

// clear makes the rows anew, without any.
func (r *Rows) clear(ctx context.Context) error {
	if r.db != nil {
		r.room.close()
		_ = errors.Join(r.batch.Close(), r.db.Close()) // what it holds is of no use
		r.db = nil
	}
	r.bad = false
	if err := r.fs.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("make old rows anew: %w", err)
	}
	return r.open(ctx)
}

// errOrigin says that what is stored is of another log, or of other tables.
var errOrigin = errors.New("old rows are of another origin")

func (r *Rows) open(ctx context.Context) error {
	if r.opening == nil {
		if lacksRoom(r.fs, r.fs.PathDir(r.dir)) {
			return fmt.Errorf("open old rows: %w", errRoom)
		}
		r.opening = openRows(r.fs, r.dir)
	}
	select {
	case <-r.opening.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	db, room, err := r.opening.db, r.opening.room, r.opening.err
	r.opening = nil
	if err != nil {
		return fmt.Errorf("open old rows: %w", err)
	}
	r.db, r.room, r.batch = db, room, db.NewBatch()
	r.converters, r.unwanted = map[[2]schema.VersionID]*schema.Converter{}, map[schema.VersionID]bool{}
	if err := r.load(); err != nil {
		r.db = nil
		room.close()
		return errors.Join(fmt.Errorf("open old rows: %w", err), r.batch.Close(), db.Close())
	}
	return nil
}

// opening is a key-value store that is being opened, which takes as long as the disk is full and cannot be given up in between.
type opening struct {
	done chan struct{} // closed when what follows is there
	db   *pebble.DB
	room *room
	err  error
}

func openRows(disk vfs.FS, dir string) *opening {
	room, fs := watchRoom(disk, dir)
	options := &pebble.Options{FS: fs, DisableWAL: true, Logger: silent{}, MemTableStopWritesThreshold: memTables}
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(filterBits)
	}
	o := &opening{done: make(chan struct{}), room: room}
	go func() {
		defer close(o.done)
		o.db, o.err = pebble.Open(dir, options)
	}()
	return o
}

// load reads where the rows stand.
func (r *Rows) load() error {
	id := r.o.Log.ID()
	origin := string(append([]byte{rowsForm}, id[:]...)) + r.o.Scope
	stored, found, err := r.lookup(nil, rowsOrigin)
	if err == nil && !found {
		stored = []byte(origin)
		err = r.db.Set(rowsOrigin, stored, pebble.NoSync)
	}
	if err == nil && string(stored) != origin {
		err = errOrigin
	}
	position, err1 := r.offset(rowsPosition)
	floor, err2 := r.offset(rowsFloor)
	if err == nil && position >= max(r.o.Log.Bounds().Next, 1) {
		err = fmt.Errorf("they are of offset %d, which is after the log's end", position)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.position, r.floor, r.flushed, r.undoable, r.undone, r.dead = position, floor, position, position, 0, true
	return errors.Join(err, err1, err2)
}

func (r *Rows) offset(key []byte) (changelog.Offset, error) {
	value, found, err := r.lookup(nil, key)
	if err != nil || !found {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("an offset of %d bytes", len(value))
	}
	return changelog.Offset(binary.BigEndian.Uint64(value)), nil
}

func appendOffset(dst []byte, n changelog.Offset) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(n))
}

// lookup appends what the key holds.
func (r *Rows) lookup(dst, key []byte) (value []byte, found bool, err error) {
	value, closer, err := r.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, fmt.Errorf("read old rows: %w", err)
	}
	dst = append(dst, value...)
	return dst, true, closer.Close()
}

// loadTables reads where the rows of each table are.
func (r *Rows) loadTables() error {
	r.tables = map[schema.TableID]*keptTable{}
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceTables}, UpperBound: []byte{spaceTables + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if len(it.Key()) != 5 || len(it.Value()) != 12 {
			return errors.Join(errors.New("a table's entry has another form"), it.Close())
		}
		version := schema.VersionID(binary.BigEndian.Uint32(it.Value()[8:]))
		shape := r.o.Log.Catalog().Version(version)
		if shape == nil {
			return errors.Join(fmt.Errorf("table version %d is not in the log", version), it.Close())
		}
		r.tables[schema.TableID(binary.BigEndian.Uint32(it.Key()[1:]))] = &keptTable{
			generation: binary.BigEndian.Uint64(it.Value()), shape: shape, fits: shape,
		}
	}
	return errors.Join(it.Error(), it.Close())
}

// readOn applies the units of the log up to n.
func (r *Rows) readOn(ctx context.Context, n changelog.Offset) error {
	from := max(r.position+1, r.o.Log.Bounds().First)
	if r.o.Reading != nil {
		r.o.Reading(r.position, n)
	}
	cursor, err := r.o.Log.Cursor(changelog.CursorOptions{From: from, To: n})
	if err != nil {
		return err
	}
	defer cursor.Close()
	r.reading = true
	defer func() { r.reading = false }()
	for {
		u, err := cursor.Next(ctx)
		if errors.Is(err, io.EOF) {
			r.mu.Lock()
			r.position = n
			r.mu.Unlock()
			return r.Arrived(n)
		}
		if err == nil {
			err = r.Begin(u)
		}
		if err == nil {
			err = r.Finish(ctx)
		}
		if err == nil && r.undone >= undoBytes {
			err = r.Arrived(r.position)
		}
		if err != nil {
			return err
		}
	}
}

// Begin has u's changes completed and applied as they are read, those included that u itself leaves out. Finish must follow, or Seek.
func (r *Rows) Begin(u *changelog.Unit) error {
	r.unit, r.seq, r.written, r.blind, r.leaving = u, 0, false, nil, nil
	err := u.CatalogRecords(func(n changelog.Offset, record []byte) error {
		if s, ok := changelog.AsTableState(record); ok {
			return r.state(n, &s)
		}
		return nil
	})
	if err != nil {
		return r.failed(err)
	}
	u.Complete(r.change)
	return nil
}

// state forgets rows that a table does not have any more, or that the log does not know.
func (r *Rows) state(n changelog.Offset, s *changelog.TableState) error {
	switch {
	case s.Replaces(), s.State == changelog.TableEmpty:
		delete(r.blind, s.Table)
	case s.State == changelog.TableRewritten:
		// Whether a change of the unit came before the rows were stored anew, or after it, is not known.
		mark(&r.blind, s.Table)
	case s.State == changelog.TableDropped, s.State == changelog.TableUntracked:
		mark(&r.leaving, s.Table) // the unit may have changed it before
		return nil
	default:
		return nil
	}
	delete(r.leaving, s.Table)
	return r.empty(uint64(n), s.Table)
}

func mark(set *map[schema.TableID]bool, id schema.TableID) {
	if *set == nil {
		*set = map[schema.TableID]bool{}
	}
	(*set)[id] = true
}

// contextChanges is how many changes are read between two looks at the context.
const contextChanges = 1 << 10

// Finish reads what is left of the unit; from then on the rows are those after it.
func (r *Rows) Finish(ctx context.Context) error {
	var c changelog.Change
	for i := 0; ; i++ {
		if i%contextChanges == contextChanges-1 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		ok, err := r.unit.Next(&c)
		if err != nil {
			return err
		}
		if !ok {
			return r.failed(r.end())
		}
	}
}

// end makes the unit the last one that was applied.
func (r *Rows) end() error {
	m := &r.unit.Meta
	for id := range r.leaving {
		if err := r.empty(uint64(m.Commit()), id); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unit, r.position = nil, m.Commit()
	if !r.written {
		return nil
	}
	return r.db.Set(rowsPosition, appendOffset(nil, r.position), pebble.NoSync)
}

// failed notes that the rows are of no use when something could not be done to them.
func (r *Rows) failed(err error) error {
	if err != nil && !errors.Is(err, errRoom) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bad = true
	}
	return err
}

// Arrived says that Seek will not be asked for less than n, which must be known for good, so that what was there before can be forgotten. It
// may be called by any goroutine.
func (r *Rows) Arrived(n changelog.Offset) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = min(n, r.position)
	if r.db == nil || n <= r.floor {
		return nil
	}
	if err := r.room.check(); err != nil {
		return fmt.Errorf("write old rows: %w", err)
	}
	batch := r.db.NewBatch()
	defer batch.Close()
	err := errors.Join(
		batch.Set(rowsPosition, appendOffset(nil, r.position), nil),
		batch.Set(rowsFloor, appendOffset(nil, n), nil),
	)
	if r.undoable > r.floor {
		err = errors.Join(err, batch.DeleteRange(undoKey(nil, r.floor+1, 0), undoKey(nil, n+1, 0), nil))
	}
	if err == nil && r.dead {
		err = r.bury(batch, n)
	}
	if err == nil {
		err = batch.Commit(pebble.NoSync)
	}
	if err == nil && n >= r.flushed+flushOffsets {
		r.flushed = n
		_, err = r.db.AsyncFlush() // nobody waits for it: what is written later does not reach the disk before it
	}
	if err != nil {
		r.bad = true
		return fmt.Errorf("write old rows: %w", err)
	}
	r.floor, r.undone = n, 0
	return nil
}

// bury removes the generations that nobody reads any more.
func (r *Rows) bury(batch *pebble.Batch, n changelog.Offset) error {
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceDead}, UpperBound: []byte{spaceDead + 1}})
	if err != nil {
		return err
	}
	r.dead = false
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		key := it.Key()
		if len(key) != 1+8+12 || changelog.Offset(binary.BigEndian.Uint64(key[1:])) > n {
			r.dead = true
			break
		}
		generation := append([]byte{spaceRows}, key[9:]...)
		err = errors.Join(batch.DeleteRange(generation, afterPrefix(generation), nil), batch.Delete(key, nil))
	}
	return errors.Join(err, it.Error(), it.Close())
}

// Close closes the rows. The next Seek opens them again. On a full disk they stay as they are: closing would write.
func (r *Rows) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unit = nil
	if r.db == nil {
		return nil
	}
	var err error
	if !r.bad { // else they are made again
		if err = r.flush(); errors.Is(err, errRoom) {
			return nil // they are used again, or taken from the log from where they are on the disk
		}
	}
	db := r.db
	r.db = nil
	r.room.close()
	closeErr := errors.Join(r.batch.Close(), db.Close())
	if r.bad {
		return nil
	}
	return errors.Join(err, closeErr)
}

// flushLook is the pause between two looks at whether the disk has become full.
const flushLook = 50 * time.Millisecond

// flush waits until all there is has been written to the disk, as long as that has space.
func (r *Rows) flush() error {
	if err := r.room.check(); err != nil {
		return err
	}
	err := r.db.Set(rowsPosition, appendOffset(nil, r.position), pebble.NoSync)
	if err != nil {
		return err
	}
	flushed, err := r.db.AsyncFlush()
	if err != nil {
		return err
	}
	ticker := time.NewTicker(flushLook)
	defer ticker.Stop()
	for {
		select {
		case <-flushed:
			return nil
		case <-ticker.C:
		}
		if err := r.room.check(); err != nil {
			return err
		}
	}
}
