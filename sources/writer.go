package sources

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cdc/changelog"
	"cdc/changelog/rowstate"
	"cdc/schema"
)

// DefaultMaxClockSkew is how far a commit time may be ahead of its source's own clock and still move the log's clock.
const DefaultMaxClockSkew = time.Minute

// Writer puts one source's transactions into the log, whole. Its calls build the open transaction, which Commit appends and Abort
// forgets; a transaction over changelog.SpillBytes goes to a side segment as it arrives. It completes columns that the source
// did not send. It is for the goroutine that runs Source.Stream, but for CopyWriter.
type Writer struct {
	log     changelog.Log
	state   *rowstate.Store
	info    changelog.SourceInfo
	maxSkew time.Duration

	unit changelog.UnitBuilder
	side changelog.SideWriter // set by setSide
	// moved is the number of the open transaction's changes that the side segment holds.
	moved uint64
	tx    *rowstate.Tx
	// versions are those that the open transaction has added to its catalog section.
	versions map[schema.VersionID]bool
	// told are the states of tables that it has.
	told []changelog.TableState
	// carried is the version that was last seen to be in the log.
	carried *schema.Table
	// scratch is reused for completed rows.
	scratch []byte
	// sourceTime is the source's own clock as last heard of, in changelog.Micros.
	sourceTime atomic.Int64
	appended   func(changelog.Offset, changelog.Position)

	// turn is held by whoever builds a unit: the open transaction, from its first record to its end, or a chunk of a copy, which
	// other goroutines append between transactions. holding says that the open transaction has it.
	turn    turn
	holding bool
	// copies are the tables that are being copied in chunks; nil when there are none.
	copies atomic.Pointer[copies]

	mu          sync.Mutex // guards interrupted, and side against interrupt
	interrupted bool
}

// WriterOptions are what a Writer needs.
type WriterOptions struct {
	Log   changelog.Log
	State *rowstate.Store
	// Source names the source; ID, Epoch and Identity are those of the log when it knows the source already.
	Source changelog.SourceInfo
	// MaxClockSkew is DefaultMaxClockSkew when zero.
	MaxClockSkew time.Duration
	// Appended, when set, is called with every unit's commit offset and position right after it has been appended.
	Appended func(changelog.Offset, changelog.Position)
}

// NewWriter makes a Writer for one source.
func NewWriter(o WriterOptions) *Writer {
	w := &Writer{turn: newTurn(), log: o.Log, state: o.State, info: o.Source, maxSkew: o.MaxClockSkew, appended: o.Appended}
	if w.maxSkew == 0 {
		w.maxSkew = DefaultMaxClockSkew
	}
	if w.appended == nil {
		w.appended = func(changelog.Offset, changelog.Position) {}
	}
	if known, ok := o.Log.Catalog().Source(o.Source.Name); ok {
		w.info = known
	}
	w.versions = map[schema.VersionID]bool{}
	w.unit.Reset(changelog.UnitTx)
	return w
}

// open takes the turn for the open transaction, which keeps it until Commit or Abort.
func (w *Writer) open() {
	if !w.holding {
		w.turn.take()
		w.holding = true
	}
}

// close gives the turn up.
func (w *Writer) close() {
	if w.holding {
		w.holding = false
		w.turn.give()
	}
}

// Source is the source as the log knows it. Epoch 0 means that the log does not know it yet.
func (w *Writer) Source() changelog.SourceInfo { return w.info }

// Progress is how far the log holds the source.
func (w *Writer) Progress() changelog.SourceProgress { return w.log.Catalog().Progress(w.info.ID) }

// Log is the log that the writer appends to, for reading its catalog.
func (w *Writer) Log() changelog.Log { return w.log }

// TableAt is the newest state of the table, once the open transaction, which may be what tells of it, has been appended; false when none
// has told of it. It may be called by any goroutine.
func (w *Writer) TableAt(ctx context.Context, id schema.TableID) (t changelog.TableAt, ok bool, err error) {
	if err := w.turn.takeWithin(ctx); err != nil {
		return t, false, err
	}
	defer w.turn.give()
	t, ok = w.log.Catalog().TableAt(id, newest)
	return t, ok, nil
}

// Introduce records the source, or its next epoch, with what identifies it, and makes it durable. Nothing may be open.
func (w *Writer) Introduce(ctx context.Context, kind string, identity []changelog.Fact) error {
	next := changelog.SourceInfo{
		ID: w.log.Catalog().NextSource(w.info.Name), Epoch: w.info.Epoch + 1, Name: w.info.Name, Kind: kind, Identity: identity,
	}
	var unit changelog.UnitBuilder
	unit.Reset(changelog.UnitControl)
	unit.Meta.Source, unit.Meta.Epoch = next.ID, next.Epoch
	unit.AddSource(next)
	n, err := w.log.Append(ctx, &unit)
	if err != nil {
		return fmt.Errorf("record source %s: %w", next.Name, err)
	}
	w.info = next
	return w.log.WaitDurable(ctx, n)
}

// Register makes sure that the version of the table is known and travels with the open transaction when it is new. The returned
// version is the one to pack rows in. t must be prepared.
func (w *Writer) Register(t *schema.Table) *schema.Table {
	t = w.log.Catalog().Register(w.info.Epoch, t)
	w.carry(t)
	return t
}

// carry adds the version to the open transaction unless a unit before it, or the transaction itself, has it.
func (w *Writer) carry(t *schema.Table) {
	w.open() // a chunk that is being appended uses what is looked at here
	if t == w.carried {
		return
	}
	if w.log.Catalog().Logged(t.Version) {
		w.carried = t
		return
	}
	if w.versions[t.Version] {
		return
	}
	w.versions[t.Version] = true
	w.unit.AddTable(t)
}

// TableState adds the state of a table to the open transaction.
func (w *Writer) TableState(s changelog.TableState) {
	w.open()
	w.unit.AddTableState(s)
	w.told = append(w.told, s)
	w.upset(s.Table)
}

// Row is one row change as a source sends it. The packed rows are copied.
type Row struct {
	Op    changelog.Op
	Table *schema.Table
	// Image says how much of the old row was sent.
	Image changelog.Image
	// Before and After are packed in Table's version; nil when there is none. After may have absent columns, which are
	// completed.
	Before, After []byte
	// Patch, when set, makes the new value of an absent column from the old one, where the source sent a difference; ok is false
	// for a column whose value has not changed. Values are packed.
	Patch func(column int, old []byte) (new []byte, ok bool, err error)
}

// Change adds a row change to the open transaction.
func (w *Writer) Change(r *Row) error {
	w.open()
	w.carry(r.Table)
	after, fromState, err := w.complete(r)
	if err != nil {
		return err
	}
	w.unit.RowChange(r.Op, r.Table, r.Image, r.Before, after, fromState)
	if err := w.unit.Err(); err != nil {
		return err
	}
	if copying := w.copyOf(r.Table.ID); copying != nil {
		if err := copying.note(r, after); err != nil {
			return err
		}
	}
	return w.spill()
}

// complete fills the columns that the source did not send from the row's state.
func (w *Writer) complete(r *Row) (after, fromState []byte, err error) {
	if w.tx == nil {
		w.tx = w.state.Begin()
	}
	change := rowstate.Change{Op: r.Op, Table: r.Table, Image: r.Image, Before: r.Before, After: r.After, Patch: r.Patch, Scratch: w.scratch[:0]}
	out, fromState, err := w.tx.Apply(change)
	if err != nil {
		if out, fromState, err = w.lacking(r, change, err); err != nil {
			return nil, nil, err
		}
	}
	if out == nil {
		return r.After, nil, nil
	}
	w.scratch = out
	return out, fromState, nil
}

// lacking decides about a row that lacks columns which the state does not know: of a table whose copy is not complete it may stay so,
// else the source stops.
func (w *Writer) lacking(r *Row, change rowstate.Change, err error) (out, fromState []byte, _ error) {
	var missing *rowstate.MissingError
	if errors.As(err, &missing) && w.isCopying(r.Table.ID) {
		change.Copying = true
		if out, fromState, err = w.tx.Apply(change); err == nil {
			err = w.checkMove(r, out)
		}
		if r.Patch != nil {
			w.upset(r.Table.ID) // there is nothing to patch yet: chunks being read must be read again
		}
	}
	if errors.As(err, &missing) {
		// Table stays zero: the whole source stops, and must not go on by itself after a restart.
		err = &Stop{TableName: missing.Table, Stop: changelog.Stop{
			Kind: changelog.StopCorrupt, Detail: missing.Error(),
			Remedy: "run 'cdc resolve " + w.info.Name + " --recopy' to copy the source again",
		}}
	}
	return out, fromState, err
}

// Truncate adds a truncate to the open transaction.
func (w *Writer) Truncate(t *schema.Table, o changelog.TruncateOptions) error {
	w.open()
	w.carry(t)
	w.upset(t.ID)
	if w.tx == nil {
		w.tx = w.state.Begin()
	}
	if err := w.tx.Truncate(t.ID); err != nil {
		return err
	}
	w.unit.Truncate(t, o)
	return w.spill()
}

// Message adds a logical message to the open transaction.
func (w *Writer) Message(prefix, content []byte) error {
	w.open()
	w.unit.Message(prefix, content)
	return w.spill()
}

// spill moves the changes so far to the side segment once the transaction is too large for the main log.
func (w *Writer) spill() error {
	if w.unit.ChangeBytes() < changelog.SpillBytes && (w.side == nil || w.unit.ChangeBytes() < sideChunkBytes) {
		return nil
	}
	return w.moveToSide()
}

// sideChunkBytes is the size of the pieces in which a spilled transaction reaches its side segment.
const sideChunkBytes = 1 << 20

func (w *Writer) moveToSide() error {
	if w.side == nil {
		side, err := w.log.NewSide()
		if err != nil {
			return fmt.Errorf("open side segment: %w", err)
		}
		w.setSide(side)
	}
	total := w.unit.Changes()
	if err := w.side.Write(w.unit.TakeChanges(), total-w.moved); err != nil {
		return fmt.Errorf("write side segment: %w", err)
	}
	w.moved = total
	return nil
}

// setSide changes the side segment of the open transaction.
func (w *Writer) setSide(side changelog.SideWriter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.side = side
	if side != nil && w.interrupted {
		side.Interrupt()
	}
}

// interrupt makes the writer wait for space no more. Calls with a context end by that; those that fill a side segment have none.
func (w *Writer) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.interrupted = true
	if w.side != nil {
		w.side.Interrupt()
	}
}

// Commit is what a source says about a transaction when it commits.
type Commit struct {
	// Kind is UnitTx when zero.
	Kind     changelog.UnitKind
	Position changelog.Position
	XID      uint64
	Time     changelog.Micros
}

// Commit appends the open transaction and opens the next. A transaction without any change that concerns us is appended as
// nothing at all, and Commit returns 0.
func (w *Writer) Commit(ctx context.Context, c Commit) (changelog.Offset, error) {
	if !w.holding {
		w.Moved() // nothing has been added; what is being built is a chunk's
		return 0, nil
	}
	n, err := w.commit(ctx, c)
	if err == nil {
		w.committed()
		w.close()
	}
	return n, err
}

func (w *Writer) commit(ctx context.Context, c Commit) (changelog.Offset, error) {
	if w.unit.IsEmpty() {
		return 0, nil
	}
	if w.side != nil {
		if err := w.sealSide(); err != nil {
			return 0, err
		}
	}
	m := &w.unit.Meta
	if c.Kind != 0 {
		m.Kind = c.Kind
	}
	m.Source, m.Epoch, m.XID, m.Position, m.CommitTime = w.info.ID, w.info.Epoch, c.XID, c.Position, c.Time
	m.Clock = w.believed(c.Time, m)
	n, err := w.log.Append(ctx, &w.unit)
	if err != nil {
		return 0, fmt.Errorf("append transaction at %q: %w", c.Position, err)
	}
	if w.tx != nil {
		w.tx.Commit(n)
		w.tx = nil
	}
	w.setSide(nil)
	w.reset()
	w.appended(n, c.Position)
	return n, nil
}

// sealSide moves what is left to the side segment and makes it durable.
func (w *Writer) sealSide() error {
	if err := w.moveToSide(); err != nil {
		return err
	}
	ref, err := w.side.Seal()
	if err != nil {
		return fmt.Errorf("seal side segment: %w", err)
	}
	w.unit.SetSide(ref)
	return nil
}

// believed is the commit time as far as it moves the clock: no more than maxSkew ahead of the source's own time.
func (w *Writer) believed(t changelog.Micros, m *changelog.UnitMeta) changelog.Micros {
	now := changelog.Micros(w.sourceTime.Load())
	if now == 0 || t <= now+changelog.Micros(w.maxSkew.Microseconds()) {
		return t
	}
	m.Flags |= changelog.FlagSkew
	return now
}

// SourceTime tells the writer the source's own clock, as its keepalives or events show it.
func (w *Writer) SourceTime(t changelog.Micros) {
	w.sourceTime.Store(max(w.sourceTime.Load(), int64(t)))
}

// Abort forgets the open transaction. Copies in chunks end with it: the connection is gone that made their chunks fit the stream.
func (w *Writer) Abort() error {
	w.open() // a chunk that is being appended goes first
	defer w.close()
	w.endCopies()
	return w.forget()
}

// Rollback forgets the changes of the open transaction, which the source has rolled back. What it has told of tables stays for the next
// Commit: it was read from the source's catalogue, to which rolling back does nothing. Copies go on.
func (w *Writer) Rollback() error {
	if !w.holding {
		return nil // nothing has been added; what is being built is a chunk's
	}
	if all := w.copies.Load(); all != nil {
		for _, c := range all.byTable {
			c.drop()
		}
	}
	versions, told := slices.Sorted(maps.Keys(w.versions)), w.told
	if err := w.forget(); err != nil {
		w.close()
		return err
	}
	for _, id := range versions {
		w.carry(w.log.Catalog().Version(id))
	}
	for _, s := range told {
		w.TableState(s)
	}
	if w.unit.IsEmpty() {
		w.close()
	}
	return nil
}

// forget drops what has been built.
func (w *Writer) forget() error {
	var err error
	if w.side != nil {
		err = w.side.Discard()
		w.setSide(nil)
	}
	if w.tx != nil {
		w.tx.Abort()
		w.tx = nil
	}
	w.reset()
	return err
}

func (w *Writer) reset() {
	w.unit.Reset(changelog.UnitTx)
	w.moved = 0
	clear(w.versions)
	w.told = nil
	if cap(w.scratch) > changelog.SpillBytes {
		w.scratch = nil // of one enormous row
	}
}

// Tick records that the source's stream has reached the position at the time with nothing in flight. Nothing may be open.
func (w *Writer) Tick(ctx context.Context, p changelog.Position, t changelog.Micros) (changelog.Offset, error) {
	w.SourceTime(t)
	w.open()
	defer w.close()
	var unit changelog.UnitBuilder
	unit.Reset(changelog.UnitTick)
	unit.Meta = changelog.UnitMeta{
		Kind: changelog.UnitTick, Source: w.info.ID, Epoch: w.info.Epoch, Position: p, CommitTime: t, Clock: t,
	}
	n, err := w.log.Append(ctx, &unit)
	if err != nil {
		return 0, fmt.Errorf("append tick at %q: %w", p, err)
	}
	w.state.Begin().Commit(n) // it changes nothing, and moves the checkpoint of a source that is idle
	w.appended(n, p)
	w.Moved()
	return n, nil
}

// Control appends catalog records of this source as one unit of its own and returns its offset: table versions and states that
// no transaction carries, for instance. Nothing may be open.
func (w *Writer) Control(ctx context.Context, add func(*changelog.UnitBuilder)) (changelog.Offset, error) {
	w.open()
	defer w.close()
	var unit changelog.UnitBuilder
	unit.Reset(changelog.UnitControl)
	unit.Meta.Source, unit.Meta.Epoch = w.info.ID, w.info.Epoch
	add(&unit)
	n, err := w.log.Append(ctx, &unit)
	if err != nil {
		return 0, fmt.Errorf("append control record: %w", err)
	}
	return n, nil
}
