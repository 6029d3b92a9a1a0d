package rowstate

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"cdc/changelog"
	"cdc/schema"
)

// spillBytes is how much of one transaction's rows is held in memory.
const spillBytes = 16 << 20

// Change is one row change as a source sends it. Rows are packed in Table's version.
type Change struct {
	Op            changelog.Op
	Table         *schema.Table
	Image         changelog.Image
	Before, After []byte
	// Copying says that the table's copy is not complete: a row that the log does not hold yet may stay in part.
	Copying bool
	// Patch, when set, makes the new value of an absent column from the old one; ok is false where that has not changed.
	Patch func(column int, old []byte) (new []byte, ok bool, err error)
	// Scratch is memory that the completed row may be written into.
	Scratch []byte
}

// MissingError says that a column was not sent and the store does not know it. It means that the log does not hold the row's
// earlier value: a source must stop on it, never write a null.
type MissingError struct {
	Table   string
	Columns []string
	Key     string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("table %s: the source left out unchanged column %s of key %s, and the log does not hold its value",
		e.Table, strings.Join(e.Columns, ", "), e.Key)
}

// ErrReadAgain says that the open transaction must be aborted and read from the source again. It changed rows of a table before
// anything told that all of the table's rows would be needed; from here on they are kept.
var ErrReadAgain = errors.New("the transaction is read again, as a column was left out of a row that it may have changed itself")

// Tx is what one open transaction does to the store. It is for one goroutine.
type Tx struct {
	s   *Store
	top *layer
	// touched are the tables of which the transaction has changed rows, last the newest.
	touched map[schema.TableID]bool
	last    schema.TableID

	key, oldKey []byte
	builder     schema.Builder
	converted   []byte
	fromState   []byte
}

// Begin opens a transaction. Transactions of one source do not overlap.
func (s *Store) Begin() *Tx { return &Tx{s: s, top: newLayer(), touched: map[schema.TableID]bool{}} }

// Commit hands the transaction over under the offset of its commit in the log.
func (t *Tx) Commit(n changelog.Offset) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	t.top.commit, t.s.committed = n, n
	if len(t.top.rows) > 0 || len(t.top.truncated) > 0 || t.top.spilled {
		t.s.layers = append(t.s.layers, t.top)
	}
	t.top = nil
}

// Abort forgets the transaction.
func (t *Tx) Abort() {
	if t.top != nil && t.top.spilled {
		// Left-over rows of an aborted transaction must not be seen by the next one; an error shows at the next write.
		if err := t.s.db.DeleteRange([]byte{spaceOpen}, []byte{spaceOpen + 1}, pebble.NoSync); err != nil {
			t.s.mu.Lock()
			t.s.err = errors.Join(t.s.err, err)
			t.s.mu.Unlock()
		}
	}
	t.top = nil
}

// Truncate forgets all rows of a table.
func (t *Tx) Truncate(id schema.TableID) error {
	t.top.truncated[id] = true
	prefix := string(tablePrefix(spaceRows, id)[1:])
	for key := range t.top.rows {
		if strings.HasPrefix(key, prefix) {
			delete(t.top.rows, key)
		}
	}
	if !t.top.spilled {
		return nil
	}
	return t.s.db.DeleteRange(tablePrefix(spaceOpen, id), tablePrefix(spaceOpen, id+1), pebble.NoSync)
}

// Apply completes a change and remembers what later changes may need. When columns of after were absent it returns the completed
// row, in Scratch where that is large enough, and a bitmap of the columns that came from the store (nil when the old row that the
// source sent had them all); both are valid until the next call. When nothing was absent it returns nil, nil.
func (t *Tx) Apply(c Change) (after, fromState []byte, err error) {
	after, fromState, err = t.apply(&c)
	if t.last != c.Table.ID {
		t.last, t.touched[c.Table.ID] = c.Table.ID, true
	}
	return after, fromState, err
}

func (t *Tx) apply(c *Change) (after, fromState []byte, err error) {
	if c.Table.Identity == schema.IdentityNone && c.After == nil {
		return nil, nil, nil
	}
	if c.After == nil {
		return nil, nil, t.forget(c)
	}
	row, err := c.Table.Layout().Row(c.After)
	if err != nil {
		return nil, nil, err
	}
	completed := c.After
	if row.HasAbsent() {
		completed, fromState, err = t.complete(c, row)
		var missing *MissingError
		if errors.As(err, &missing) && !t.s.keepsAll(c.Table.ID) {
			if err = t.s.keepAll(context.Background(), c.Table.ID); err == nil && t.touched[c.Table.ID] {
				return nil, nil, ErrReadAgain
			}
			if err == nil {
				completed, fromState, err = t.complete(c, row)
			}
		}
		if err != nil {
			return nil, nil, err
		}
		after = completed
	}
	if err := t.remember(c, completed, fromState != nil); err != nil {
		return nil, nil, err
	}
	return after, fromState, nil
}

// complete fills the absent columns of the new row, first from the old row that the source sent, then from the store.
func (t *Tx) complete(c *Change, row schema.Row) (completed, fromState []byte, err error) {
	var before schema.Row
	if c.Image != changelog.ImageNone {
		if before, err = c.Table.Layout().Row(c.Before); err != nil {
			return nil, nil, err
		}
	}
	stored, err := t.storedRow(c, row, before)
	if err != nil {
		return nil, nil, err
	}
	n := len(c.Table.Columns)
	t.fromState = append(t.fromState[:0], make([]byte, (n+7)/8)...)
	t.builder.Reset(c.Table.Layout(), c.Scratch)
	var missing []string
	for i := range n {
		switch {
		case row.State(i) != schema.Absent:
			t.builder.Copy(i, row, i)
		case !before.IsZero() && before.State(i) != schema.Absent:
			err = t.carry(c.Patch, i, before)
		case !stored.IsZero() && stored.State(i) != schema.Absent:
			err = t.carry(c.Patch, i, stored)
			t.fromState[i>>3] |= 1 << (i & 7)
		default:
			missing = append(missing, c.Table.Columns[i].Name)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("complete column %s of %s: %w", c.Table.Columns[i].Name, c.Table.FullName(), err)
		}
	}
	if missing != nil && !(c.Copying && t.s.keepsAll(c.Table.ID)) {
		return nil, nil, &MissingError{Table: c.Table.FullName(), Columns: missing, Key: fmt.Sprintf("%x", t.oldKey)}
	}
	completed, err = t.builder.Finish()
	if !anySet(t.fromState) {
		return completed, nil, err // all of it came with the old row
	}
	return completed, t.fromState, err
}

// carry takes a column over from an older row, with the difference that the source sent.
func (t *Tx) carry(patch func(int, []byte) ([]byte, bool, error), i int, from schema.Row) error {
	if patch != nil && from.State(i) == schema.Present {
		value, ok, err := patch(i, from.Value(i))
		if err != nil {
			return err
		}
		if ok {
			t.builder.Value(i, value)
			return nil
		}
	}
	t.builder.Copy(i, from, i)
	return nil
}

// storedRow is the row's last known state in the shape of the change's version, or no row.
func (t *Tx) storedRow(c *Change, row, before schema.Row) (schema.Row, error) {
	old := row
	if !before.IsZero() {
		old = before
	}
	key, err := t.rowKey(t.oldKey[:0], c.Table, old)
	if err != nil {
		return schema.Row{}, err
	}
	t.oldKey = key
	value, err := t.get(key)
	if err != nil || value == nil {
		return schema.Row{}, err
	}
	version := t.s.log.Catalog().Version(schema.VersionID(binary.LittleEndian.Uint32(value)))
	if version == nil {
		return schema.Row{}, fmt.Errorf("row state names table version %d, which the log does not hold", binary.LittleEndian.Uint32(value))
	}
	stored, err := version.Layout().Row(value[4:])
	if err != nil || version.Version == c.Table.Version {
		return stored, err
	}
	converter, err := schema.NewConverter(version, c.Table)
	if err != nil {
		return schema.Row{}, err
	}
	if t.converted, err = converter.Convert(t.converted[:0], stored); err != nil {
		return schema.Row{}, err
	}
	if stored, err = c.Table.Layout().Row(t.converted); err != nil {
		return schema.Row{}, err
	}
	// The version may have another key: then what lies under the same bytes can be another row.
	if t.key, err = t.rowKey(t.key[:0], c.Table, stored); err != nil || !bytes.Equal(t.key, key) {
		return schema.Row{}, err
	}
	return stored, nil
}

// remember keeps the completed row when a later change may send it in part, and drops what is no longer so. A table that sends full
// old rows for a while needs nothing kept, but what was kept of it before must not outlive the row.
func (t *Tx) remember(c *Change, after []byte, carried bool) error {
	if len(c.Table.KeyColumns()) == 0 {
		return nil
	}
	needs := carried || t.s.Needs(c.Table, after)
	if !needs && !t.s.MayHold(c.Table.ID) {
		return nil
	}
	row, err := c.Table.Layout().Row(after)
	if err != nil {
		return err
	}
	if t.key, err = t.rowKey(t.key[:0], c.Table, row); err != nil {
		return err
	}
	if c.Image != changelog.ImageNone {
		if err := t.forgetMoved(c); err != nil {
			return err
		}
	}
	if needs {
		return t.put(string(t.key), storedValue(c.Table, after))
	}
	if c.Op == changelog.OpCreate {
		return nil // a new row has no earlier state
	}
	if c.Op == changelog.OpRead {
		return t.renew(c, after)
	}
	return t.drop(t.key)
}

// renew keeps what was read of a row in the place of what is kept of it: the row was wide once, and may have a value out of line still.
func (t *Tx) renew(c *Change, after []byte) error {
	held, err := t.get(t.key)
	if err != nil || held == nil {
		return err
	}
	return t.put(string(t.key), storedValue(c.Table, after))
}

// forgetMoved drops the state under the old key when the change moved the row to another.
func (t *Tx) forgetMoved(c *Change) error {
	before, err := c.Table.Layout().Row(c.Before)
	if err != nil {
		return err
	}
	if t.oldKey, err = t.rowKey(t.oldKey[:0], c.Table, before); err != nil {
		return err
	}
	if string(t.oldKey) == string(t.key) {
		return nil
	}
	return t.drop(t.oldKey)
}

// forget drops a deleted row's state.
func (t *Tx) forget(c *Change) error {
	if c.Image == changelog.ImageNone || !t.s.MayHold(c.Table.ID) {
		return nil
	}
	before, err := c.Table.Layout().Row(c.Before)
	if err != nil {
		return err
	}
	if t.key, err = t.rowKey(t.key[:0], c.Table, before); err != nil {
		return err
	}
	return t.drop(t.key)
}

// replay applies a change of the log, whose rows are complete.
func (t *Tx) replay(c *changelog.Change) error {
	switch c.Op {
	case changelog.OpMessage:
		return nil
	case changelog.OpTruncate:
		return t.Truncate(c.Table.ID)
	case changelog.OpDelete:
		return t.forget(&Change{Op: c.Op, Table: c.Table, Image: c.Image, Before: c.Before.Raw()})
	}
	change := Change{Op: c.Op, Table: c.Table, Image: c.Image, After: c.After.Raw()}
	if c.Image != changelog.ImageNone {
		change.Before = c.Before.Raw()
	}
	return t.remember(&change, change.After, anySet(c.FromState))
}

func (t *Tx) rowKey(dst []byte, table *schema.Table, row schema.Row) ([]byte, error) {
	dst = binary.BigEndian.AppendUint32(dst, uint32(table.ID))
	return schema.AppendKey(dst, table, row)
}

// get looks a key up through the open transaction, the layers that wait for the disk, and the store.
func (t *Tx) get(key []byte) ([]byte, error) {
	id := schema.TableID(binary.BigEndian.Uint32(key))
	if row, ok := t.top.rows[string(key)]; ok {
		return row, nil
	}
	if t.top.spilled {
		if row, ok, err := t.s.lookup(spaceOpen, key); ok || err != nil {
			return row, err
		}
	}
	if t.top.truncated[id] {
		return nil, nil
	}
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for i := len(t.s.layers) - 1; i >= 0; i-- {
		l := t.s.layers[i]
		if row, ok := l.rows[string(key)]; ok {
			return row, nil
		}
		if l.spilled {
			if row, ok, err := t.s.lookup(spaceOpen, key); ok || err != nil {
				return row, err
			}
		}
		if l.truncated[id] {
			return nil, nil
		}
	}
	row, _, err := t.s.lookup(spaceRows, key)
	return row, err
}

// lookup reads one key of one space; a row that is gone is found as nil.
func (s *Store) lookup(space byte, key []byte) (row []byte, ok bool, err error) {
	value, closer, err := s.db.Get(append([]byte{space}, key...))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read row state: %w", err)
	}
	defer closer.Close()
	if len(value) < 4 {
		return nil, true, nil
	}
	return append([]byte(nil), value...), true, nil
}

// drop notes that a row is gone, if there may be one below.
func (t *Tx) drop(key []byte) error {
	row, err := t.get(key)
	if err != nil || row == nil {
		return err
	}
	return t.put(string(key), nil)
}

// put notes a row, and moves the transaction's rows out of memory when they are too many.
func (t *Tx) put(key string, row []byte) error {
	if row != nil {
		t.s.mu.Lock()
		t.s.hold(schema.TableID(binary.BigEndian.Uint32([]byte(key))))
		t.s.mu.Unlock()
	}
	t.top.rows[key] = row
	t.top.bytes += len(key) + len(row)
	if t.top.bytes < spillBytes {
		return nil
	}
	if err := t.waitForSpace(); err != nil {
		return err
	}
	batch := t.s.db.NewBatch()
	defer batch.Close()
	for k, r := range t.top.rows {
		if err := putRow(batch, spaceOpen, k, r); err != nil {
			return err
		}
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("spill row state: %w", err)
	}
	clear(t.top.rows)
	t.top.bytes, t.top.spilled = 0, true
	return nil
}

// waitForSpace waits until no earlier transaction holds the space that rows are spilled to.
func (t *Tx) waitForSpace() error {
	if t.top.spilled {
		return nil
	}
	for {
		commit, busy := t.s.spilledLayer()
		if !busy {
			return nil
		}
		if err := t.s.log.WaitDurable(context.Background(), commit); err != nil {
			return err
		}
		if err := t.s.settleUpTo(commit); err != nil {
			return err
		}
	}
}

func (s *Store) spilledLayer() (changelog.Offset, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.layers {
		if l.spilled {
			return l.commit, true
		}
	}
	return 0, false
}

func anySet(bitmap []byte) bool {
	for _, b := range bitmap {
		if b != 0 {
			return true
		}
	}
	return false
}
