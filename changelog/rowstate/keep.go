package rowstate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"cdc/changelog"
	"cdc/schema"
)

// Needs judges a row by its width, which is enough for rows that the log has followed from their insert. A row that was wide once,
// had a value stored out of line then, and was narrow when it was copied looks like any narrow row, and its next update leaves the
// value out. When that happens, the whole table's rows are taken from the log, once, and from then on every row is kept that could
// have a value out of line whatever its width.
//
// A source that may leave out any column does so for few tables, and nothing tells which: of such a source nothing is kept until a
// column is missed, and then every row of that table.

// externalMin is the size from which on Postgres may store a value out of line: what is shorter is not larger than the pointer that
// would replace it.
const externalMin = 16

// couldBeLeftOut reports whether a change may leave out any value of the row.
func (s *Store) couldBeLeftOut(t *schema.Table, row []byte) bool {
	if s.anyColumn {
		return true
	}
	r, err := t.Layout().Row(row)
	if err != nil {
		return false
	}
	for i := range t.Columns {
		if t.Columns[i].Kind.Variable() && r.State(i) == schema.Present && valueWidth(&t.Columns[i], r, i) > externalMin {
			return true
		}
	}
	return false
}

// Needs reports whether the store has to keep the row, packed in version t, as a later change may leave a column of it out. It is
// safe for concurrent use and cheap: it is asked about every row.
func (s *Store) Needs(t *schema.Table, row []byte) bool {
	if !s.anyColumn && Needs(t, row) {
		return true
	}
	return s.anyWhole.Load() && s.keepsAll(t.ID) && s.couldBeLeftOut(t, row)
}

func (s *Store) keepsAll(id schema.TableID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.whole[id]
}

func wholeKey(id schema.TableID) []byte {
	return binary.BigEndian.AppendUint32([]byte{spaceMeta, 'w'}, uint32(id))
}

// loading is what stands under a table's wholeKey while its rows are being taken from the log. Found at the next Open it means that some
// of them may be older than the checkpoint.
var loading = []byte{1}

// findWhole notes the tables of which all rows are kept, and forgets those of which a crash left only some.
func (s *Store) findWhole() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceMeta, 'w'}, UpperBound: []byte{spaceMeta, 'w' + 1}})
	if err != nil {
		return err
	}
	var partial []schema.TableID
	for ok := it.First(); ok; ok = it.Next() {
		if len(it.Key()) != 6 {
			continue
		}
		id := schema.TableID(binary.BigEndian.Uint32(it.Key()[2:]))
		if len(it.Value()) > 0 {
			partial = append(partial, id)
			continue
		}
		s.whole[id] = true
		s.anyWhole.Store(true)
	}
	err = errors.Join(it.Error(), it.Close())
	for _, id := range partial {
		err = errors.Join(err, s.forgetTable(id))
	}
	return err
}

// forgetTable removes the table's rows, which can be taken from the log again.
func (s *Store) forgetTable(id schema.TableID) error {
	batch := s.db.NewBatch()
	defer batch.Close()
	return errors.Join(batch.DeleteRange(tablePrefix(spaceRows, id), tablePrefix(spaceRows, id+1), nil),
		batch.Delete(wholeKey(id), nil), batch.Commit(pebble.NoSync))
}

// keepAll takes the table's rows from the log and keeps all of them from now on. What has been appended must become durable first;
// the open transaction's own rows lie above and stay. When it fails, nothing of the table is left in the store, as it could be old.
func (s *Store) keepAll(ctx context.Context, id schema.TableID) error {
	if last := s.log.Catalog().Progress(s.source).Commit; last != 0 {
		if err := s.log.WaitDurable(ctx, last); err != nil {
			return err
		}
		if err := s.settleUpTo(last); err != nil {
			return err
		}
	}
	err := s.db.Set(wholeKey(id), loading, pebble.NoSync)
	if err == nil {
		err = s.loadTable(ctx, id)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("take table %d from the log: %w", id, err), s.forgetTable(id))
	}
	s.mu.Lock()
	s.whole[id] = true
	s.hold(id)
	s.mu.Unlock()
	s.anyWhole.Store(true)
	return s.db.Set(wholeKey(id), nil, pebble.NoSync)
}

// loadTable replaces the store's rows of a table by those of the durable log.
func (s *Store) loadTable(ctx context.Context, id schema.TableID) error {
	l := &loader{s: s, id: id, batch: s.db.NewBatch()}
	defer l.batch.Close()
	if err := l.clear(); err != nil {
		return err
	}
	cursor, err := s.log.Cursor(changelog.CursorOptions{Tables: changelog.NewTableSet(id)})
	if err != nil {
		return err
	}
	defer cursor.Close()
	for {
		unit, err := cursor.Next(ctx)
		if errors.Is(err, io.EOF) {
			return l.batch.Commit(pebble.NoSync)
		}
		if err != nil {
			return err
		}
		if err := l.unit(unit); err != nil {
			return err
		}
	}
}

// loader writes one table's rows as the log tells them.
type loader struct {
	s     *Store
	id    schema.TableID
	batch *pebble.Batch
	key   []byte
}

func (l *loader) clear() error {
	return l.batch.DeleteRange(tablePrefix(spaceRows, l.id), tablePrefix(spaceRows, l.id+1), nil)
}

func (l *loader) unit(unit *changelog.Unit) error {
	err := unit.CatalogRecords(func(_ changelog.Offset, record []byte) error {
		if state, ok := changelog.AsTableState(record); ok && state.Replaces() && state.Table == l.id {
			return l.clear()
		}
		return nil
	})
	if err != nil {
		return err
	}
	var c changelog.Change
	for {
		ok, err := unit.Next(&c)
		if !ok || err != nil {
			return err
		}
		if err := l.change(&c); err != nil {
			return err
		}
		if l.batch.Len() < spillBytes {
			continue
		}
		if err := l.batch.Commit(pebble.NoSync); err != nil {
			return err
		}
		l.batch.Reset()
	}
}

func (l *loader) change(c *changelog.Change) error {
	if c.Op == changelog.OpTruncate {
		return l.clear()
	}
	if !c.Before.IsZero() {
		if err := l.put(c.Table, c.Before, nil); err != nil {
			return err
		}
	}
	if c.After.IsZero() {
		return nil
	}
	if !l.s.couldBeLeftOut(c.Table, c.After.Raw()) {
		return l.put(c.Table, c.After, nil)
	}
	return l.put(c.Table, c.After, storedValue(c.Table, c.After.Raw()))
}

// put writes the value under the row's key, nil to say that there is none.
func (l *loader) put(t *schema.Table, row schema.Row, value []byte) (err error) {
	l.key = binary.BigEndian.AppendUint32(l.key[:0], uint32(t.ID))
	if l.key, err = schema.AppendKey(l.key, t, row); err != nil {
		return err
	}
	return putRow(l.batch, spaceRows, string(l.key), value)
}

// storedValue is what the store holds for a row: the number of its table version, then the row.
func storedValue(t *schema.Table, row []byte) []byte {
	value := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(row)), uint32(t.Version))
	return append(value, row...)
}
