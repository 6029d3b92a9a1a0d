package rowstate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"cdc/changelog"
	"cdc/schema"
)

// change completes the old row of a change that has been read, and applies the change.
func (r *Rows) change(c *changelog.Change) error { return r.failed(r.apply(c)) }

func (r *Rows) apply(c *changelog.Change) error {
	t := r.tables[c.Table.ID]
	if t == nil && !r.wants(c.Table) || r.blind[c.Table.ID] {
		return nil
	}
	if t == nil || t.fits != c.Table {
		var err error
		if t, err = r.adopt(t, c); err != nil {
			return fmt.Errorf("take rows of %s to another key: %w", c.Table.FullName(), err)
		}
	}
	switch {
	case c.Op == changelog.OpTruncate:
		return r.empty(uint64(c.Offset), c.Table.ID)
	case !keyed(c.Table):
		return nil
	}
	if err := r.replace(t, c); err != nil {
		return fmt.Errorf("apply change at offset %d to the old rows of %s: %w", c.Offset, c.Table.FullName(), err)
	}
	return nil
}

// wants reports whether rows of the table are to be kept, and remembers it.
func (r *Rows) wants(t *schema.Table) bool {
	unwanted, known := r.unwanted[t.Version]
	if !known {
		unwanted = r.o.Wanted != nil && !r.o.Wanted(t)
		r.unwanted[t.Version] = unwanted
	}
	return !unwanted
}

// keyed reports whether the latest row of a key can be known.
func keyed(t *schema.Table) bool { return !t.AppendOnly && len(t.KeyColumns()) > 0 }

// replace completes the old row and puts the new one in its place.
func (r *Rows) replace(t *keptTable, c *changelog.Change) error {
	row := c.Before
	if c.Image == changelog.ImageNone {
		row = c.After
	}
	var err error
	if r.oldKey, err = r.rowKey(r.oldKey[:0], t, c.Table, row); errors.Is(err, schema.ErrAbsent) {
		return nil // the source does not say which row it was
	}
	if err != nil {
		return err
	}
	found := false
	if c.Op != changelog.OpRead || !r.born(t.generation) { // else there is none yet
		if r.old, found, err = r.lookup(r.old[:0], r.oldKey); err != nil {
			return err
		}
	}
	if err := r.swap(t, c, found); err != nil {
		return err
	}
	if !found || r.reading || c.Op != changelog.OpUpdate && c.Op != changelog.OpDelete {
		return nil
	}
	return r.complete(c)
}

// swap removes the row under the old key when the change has moved or deleted it, and writes the new one.
func (r *Rows) swap(t *keptTable, c *changelog.Change, found bool) error {
	undo, err := !r.born(t.generation), error(nil)
	target, replaced := r.oldKey, r.old
	if c.Image != changelog.ImageNone {
		target = nil
		if !c.After.IsZero() {
			if r.key, err = r.rowKey(r.key[:0], t, c.Table, c.After); err == nil {
				target = r.key
			} else if !errors.Is(err, schema.ErrAbsent) {
				return err
			}
		}
		if !bytes.Equal(target, r.oldKey) {
			if err := r.write(r.oldKey, nil, r.old, found, undo); err != nil {
				return err
			}
			if r.replaced, found, err = r.lookup(r.replaced[:0], target); err != nil {
				return err
			}
			replaced = r.replaced
		}
	}
	if target != nil {
		r.value = append(binary.LittleEndian.AppendUint32(r.value[:0], uint32(c.Table.Version)), c.After.Raw()...)
		if err := r.write(target, r.value, replaced, found, undo); err != nil {
			return err
		}
	}
	return r.commit()
}

// complete fills in what the source did not send of the old row. One that is not known as a whole stays as it was sent.
func (r *Rows) complete(c *changelog.Change) error {
	if c.Image == changelog.ImageFull && !c.Before.HasAbsent() {
		return nil
	}
	stored, ok, err := r.stored(c.Table, r.old)
	if !ok || err != nil {
		return err
	}
	whole := stored
	if c.Image != changelog.ImageNone {
		r.builder.Reset(c.Table.Layout(), r.completed[:0])
		for i := range c.Table.Columns {
			from := c.Before
			if from.State(i) == schema.Absent {
				from = stored
			}
			r.builder.Copy(i, from, i)
		}
		if r.completed, err = r.builder.Finish(); err != nil {
			return err
		}
		if whole, err = c.Table.Layout().Row(r.completed); err != nil {
			return err
		}
	}
	if !whole.HasAbsent() {
		c.Before, c.Image = whole, changelog.ImageFull
	}
	return nil
}

// stored is a stored row in the shape of the version; false when it cannot be read so.
func (r *Rows) stored(t *schema.Table, value []byte) (row schema.Row, ok bool, err error) {
	if len(value) < 4 {
		return row, false, fmt.Errorf("a stored row of %d bytes", len(value))
	}
	id := schema.VersionID(binary.LittleEndian.Uint32(value))
	version := r.o.Log.Catalog().Version(id)
	if version == nil {
		return row, false, fmt.Errorf("a stored row names table version %d, which the log does not hold", id)
	}
	if row, err = version.Layout().Row(value[4:]); err != nil || id == t.Version {
		return row, err == nil, err
	}
	converter := r.converter(version, t)
	if converter == nil {
		return row, false, nil
	}
	if r.converted, err = converter.Convert(r.converted[:0], row); err != nil {
		return row, false, err
	}
	row, err = t.Layout().Row(r.converted)
	return row, err == nil, err
}

// converter is nil when a column is stored in another way: then the log does not know what the rows became.
func (r *Rows) converter(from, to *schema.Table) *schema.Converter {
	pair := [2]schema.VersionID{from.Version, to.Version}
	c, known := r.converters[pair]
	if !known {
		c, _ = schema.NewConverter(from, to)
		r.converters[pair] = c
	}
	return c
}

func (r *Rows) rowKey(dst []byte, t *keptTable, table *schema.Table, row schema.Row) ([]byte, error) {
	return schema.AppendKey(appendGeneration(dst, table.ID, t.generation), table, row)
}

// appendGeneration appends what all keys of a table's rows begin with.
func appendGeneration(dst []byte, id schema.TableID, generation uint64) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, spaceRows), uint32(id))
	return binary.BigEndian.AppendUint64(dst, generation)
}

// afterPrefix is the first key after all those that begin with the prefix, whose last byte counts bytes that are not all 0xff.
func afterPrefix(prefix []byte) []byte {
	next := append([]byte(nil), prefix...)
	for i := len(next) - 1; ; i-- {
		if next[i]++; next[i] != 0 {
			return next
		}
	}
}

// born reports whether the generation began in the unit that is read. Its rows need no undo records: taken back before the unit, nobody
// reads them, and when the unit is read again they are removed first.
func (r *Rows) born(generation uint64) bool { return generation >= uint64(r.unit.Meta.First) }

// adopt takes the table's rows to the keys of the change's version.
func (r *Rows) adopt(t *keptTable, c *changelog.Change) (*keptTable, error) {
	if t != nil && keyed(t.shape) == keyed(c.Table) && (!keyed(c.Table) || schema.SameKey(t.shape, c.Table)) {
		t.fits = c.Table
		return t, nil
	}
	generation := uint64(c.Offset)
	if err := r.begin(c.Table.ID, generation); err != nil {
		return nil, err
	}
	if t != nil && keyed(t.shape) && keyed(c.Table) && c.Op != changelog.OpTruncate {
		if err := r.rekey(t, c.Table, generation); err != nil {
			return nil, err
		}
	}
	return r.turn(t, &keptTable{generation: generation, shape: c.Table, fits: c.Table})
}

// empty forgets the rows of a table.
func (r *Rows) empty(generation uint64, id schema.TableID) error {
	t := r.tables[id]
	if t == nil {
		return nil
	}
	if err := r.begin(id, generation); err != nil {
		return err
	}
	if t.generation == generation {
		return nil
	}
	_, err := r.turn(t, &keptTable{generation: generation, shape: t.shape, fits: t.fits})
	return err
}

// begin makes sure that a generation has no rows, of an earlier time that the unit was read.
func (r *Rows) begin(id schema.TableID, generation uint64) error {
	prefix := appendGeneration(nil, id, generation)
	return r.db.DeleteRange(prefix, afterPrefix(prefix), pebble.NoSync)
}

// turn has a table's rows read from another generation.
func (r *Rows) turn(old, t *keptTable) (*keptTable, error) {
	id := t.shape.ID
	key := binary.BigEndian.AppendUint32([]byte{spaceTables}, uint32(id))
	before, found, err := r.lookup(nil, key)
	if err != nil {
		return nil, err
	}
	value := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, t.generation), uint32(t.shape.Version))
	if err := r.write(key, value, before, found, true); err != nil {
		return nil, err
	}
	if old != nil {
		dead := appendOffset([]byte{spaceDead}, r.unit.Meta.Commit())
		dead = append(dead, appendGeneration(nil, id, old.generation)[1:]...)
		if err := r.write(dead, []byte{}, nil, false, true); err != nil {
			return nil, err
		}
	}
	if err := r.commit(); err != nil {
		return nil, err
	}
	r.tables[id] = t
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = r.dead || old != nil
	return t, nil
}

// rekey copies a table's rows to a generation with keys of the version. Rows that cannot be read so are left out.
func (r *Rows) rekey(from *keptTable, to *schema.Table, generation uint64) error {
	prefix := appendGeneration(nil, to.ID, from.generation)
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: afterPrefix(prefix)})
	if err != nil {
		return err
	}
	defer it.Close()
	next := &keptTable{generation: generation}
	for ok := it.First(); ok; ok = it.Next() {
		row, ok, err := r.stored(to, it.Value())
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		r.key, err = r.rowKey(r.key[:0], next, to, row)
		if errors.Is(err, schema.ErrAbsent) {
			continue
		}
		if err == nil {
			r.value = append(binary.LittleEndian.AppendUint32(r.value[:0], uint32(to.Version)), row.Raw()...)
			err = r.batch.Set(r.key, r.value, nil)
		}
		if err == nil && r.batch.Len() >= batchBytes {
			err = r.commit()
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(it.Error(), r.commit())
}
