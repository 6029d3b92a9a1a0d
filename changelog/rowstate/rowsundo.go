package rowstate

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"cdc/changelog"
)

// What a key held before a unit lies under the unit's commit and a number that grows within it: a byte that says whether there was
// anything, the length of the key, the key, and what it held. A unit is undone by putting back what its records say, the last one first.
// The records of a change are written with what it does to the rows in one batch, which is on the disk as a whole or not at all.

// batchBytes bounds a batch of many rows.
const batchBytes = 1 << 20

func undoKey(dst []byte, commit changelog.Offset, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(appendOffset(append(dst, spaceUndo), commit), seq)
}

// write puts a value under the key, nil to remove it, into the batch of the change. before is what was there, which undo keeps.
func (r *Rows) write(key, value, before []byte, found, undo bool) error {
	if value == nil && !found {
		return nil
	}
	if undo {
		if err := r.keep(key, before, found); err != nil {
			return err
		}
	}
	if value == nil {
		return r.batch.Delete(key, nil)
	}
	return r.batch.Set(key, value, nil)
}

// Whether there was anything under a key. Stored; do not change them.
const (
	undoNothing = 0
	undoValue   = 1
)

// keep adds an undo record to the batch.
func (r *Rows) keep(key, before []byte, found bool) error {
	record := append(r.record[:0], undoNothing)
	record = append(binary.AppendUvarint(record, uint64(len(key))), key...)
	if found {
		record[0] = undoValue
		record = append(record, before...)
	}
	r.record = record
	r.recordKey = undoKey(r.recordKey[:0], r.unit.Meta.Commit(), r.seq)
	r.seq++
	return r.batch.Set(r.recordKey, record, nil)
}

// commit writes the batch of the change.
func (r *Rows) commit() error {
	if r.batch.Empty() {
		return nil
	}
	size := r.batch.Len()
	if err := r.room.check(); err != nil {
		r.batch.Reset()
		return fmt.Errorf("write old rows: %w", err)
	}
	if err := r.batch.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("write old rows: %w", err)
	}
	r.batch.Reset()
	r.written = true
	r.mu.Lock()
	defer r.mu.Unlock()
	r.undone += size
	r.undoable = r.unit.Meta.Commit()
	return nil
}

// takeBack undoes all units after the offset, down to which there are undo records, and what there is of one that was not finished.
func (r *Rows) takeBack(to changelog.Offset) error {
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: undoKey(nil, to+1, 0), UpperBound: []byte{spaceUndo + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	batch := r.db.NewBatch()
	defer batch.Close()
	// With the position go all undo records above it, at a crash or an error in the middle too.
	r.mu.Lock()
	r.position, r.flushed, r.undoable = to, min(r.flushed, to), to
	r.mu.Unlock()
	if err := batch.Set(rowsPosition, appendOffset(nil, to), nil); err != nil {
		return err
	}
	for ok := it.Last(); ok; ok = it.Prev() {
		if err := undo(batch, it.Key(), it.Value()); err != nil {
			return err
		}
		if batch.Len() < batchBytes {
			continue
		}
		if err := r.room.check(); err != nil {
			return err
		}
		if err := batch.Commit(pebble.NoSync); err != nil {
			return err
		}
		batch.Reset()
	}
	return errors.Join(it.Error(), batch.Commit(pebble.NoSync))
}

// undo puts back what a record says, and removes the record.
func undo(batch *pebble.Batch, recordKey, record []byte) error {
	if len(record) < 2 {
		return errUndo
	}
	length, n := binary.Uvarint(record[1:])
	if n <= 0 || length > uint64(len(record)-1-n) {
		return errUndo
	}
	key, before := record[1+n:1+n+int(length)], record[1+n+int(length):]
	if err := batch.Delete(recordKey, nil); err != nil {
		return err
	}
	if record[0] == undoNothing {
		return batch.Delete(key, nil)
	}
	return batch.Set(key, before, nil)
}

var errUndo = errors.New("an undo record of another form")
