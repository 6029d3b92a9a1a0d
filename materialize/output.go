package materialize

import (
	"errors"
	"io"

	"cdc/changelog"
	"cdc/schema"
)

// output takes the rows of one request from the stores and hands them over in batches.
type output struct {
	at      changelog.Offset
	options *Options
	emit    func(*Batch) error
	// final is the version in force at the instant, whole.
	final *schema.Table
	batch Batch
	shape converters // to batch.Table
	whole converters // to final
	runs  runs       // of stores that hold a part of the rows
	raw   []byte
}

// store takes all rows of the store. A replay whose store has spilled calls it once for each part.
func (o *output) store(s *rowStore, r *replay) error {
	if !o.options.Ordered {
		return o.unordered(s, r)
	}
	if r.by != byKey || r.shape == nil || !sameIdentity(r.shape, o.final) {
		return o.resorted(s, r)
	}
	if s.depth > 0 {
		if err := o.runs.begin(o.options.SpillDir); err != nil {
			return err
		}
	}
	for _, item := range s.rows.sorted() {
		rec := s.rows.record(item.place)
		raw, err := o.shape.append(o.raw[:0], rec.version(), rec.row())
		if err != nil {
			return err
		}
		o.raw = raw
		if err := o.put(s, rec.key(), raw); err != nil {
			return err
		}
	}
	if s.depth > 0 {
		return o.runs.end()
	}
	return nil
}

func (o *output) unordered(s *rowStore, r *replay) (err error) {
	s.rows.each(func(rec record) bool {
		for range rec.count() {
			b := &o.batch
			if b.arena, err = o.shape.append(b.arena, rec.version(), r.raw(rec)); err == nil {
				err = o.added(nil)
			}
			if err != nil {
				return false
			}
		}
		return true
	})
	return err
}

// resorted takes rows in order that lie in the store under other bytes than those they are ordered by.
func (o *output) resorted(s *rowStore, r *replay) (err error) {
	sorter := &Sorter{dir: o.options.SpillDir, limit: o.options.memory()}
	defer func() { err = errors.Join(err, sorter.Close()) }()
	var whole, key []byte
	s.rows.each(func(rec record) bool {
		if whole, key, err = o.orderKey(whole[:0], key[:0], rec.version(), r.raw(rec)); err != nil {
			return false
		}
		if o.raw, err = o.shape.append(o.raw[:0], rec.version(), r.raw(rec)); err != nil {
			return false
		}
		for range rec.count() {
			if err = sorter.addPair(key, o.raw); err != nil {
				return false
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	pairs, err := sorter.pairs()
	if err != nil {
		return err
	}
	if s.depth > 0 {
		if err := o.runs.begin(o.options.SpillDir); err != nil {
			return err
		}
	}
	if err := o.putAll(s, pairs.next); err != nil {
		return err
	}
	if s.depth > 0 {
		return o.runs.end()
	}
	return nil
}

// orderKey is the row in the final version, and its key.
func (o *output) orderKey(whole, key []byte, version uint32, raw []byte) ([]byte, []byte, error) {
	whole, err := o.whole.append(whole, version, raw)
	if err != nil {
		return whole, key, err
	}
	row, err := o.final.Layout().Row(whole)
	if err != nil {
		return whole, key, err
	}
	key, err = schema.AppendKey(key, o.final, row)
	return whole, key, err
}

func (o *output) putAll(s *rowStore, next func() (key, row []byte, err error)) error {
	for {
		key, row, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := o.put(s, key, row); err != nil {
			return err
		}
	}
}

// put takes the next row in order: of the whole, or of a part that will be merged with others.
func (o *output) put(s *rowStore, key, row []byte) error {
	if s != nil && s.depth > 0 {
		return o.runs.add(key, row)
	}
	o.batch.arena = append(o.batch.arena, row...)
	return o.added(key)
}

// added counts the row that has been appended to the batch, and hands a full batch over.
func (o *output) added(key []byte) error {
	b := &o.batch
	b.ends = append(b.ends, len(b.arena))
	if o.options.keepKeys {
		b.keys = append(b.keys, key...)
		b.keyEnds = append(b.keyEnds, len(b.keys))
	}
	if len(b.ends) < o.options.batchRows() && len(b.arena) < batchBytes {
		return nil
	}
	return o.flush()
}

func (o *output) flush() error {
	b := &o.batch
	if len(b.ends) == 0 {
		return nil
	}
	err := o.emit(b)
	b.arena, b.ends, b.keys, b.keyEnds = b.arena[:0], b.ends[:0], b.keys[:0], b.keyEnds[:0]
	return err
}

// finish merges the parts, if there are any, and hands over the last batch.
func (o *output) finish() error {
	if len(o.runs.lists) > 0 {
		m, err := o.runs.merge()
		if err != nil {
			return err
		}
		if err := o.putAll(nil, m.next); err != nil {
			return err
		}
		if err := o.runs.Close(); err != nil {
			return err
		}
	}
	return o.flush()
}
