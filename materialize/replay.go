package materialize

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"cdc/changelog"
	"cdc/schema"
)

// rowIdentity says what tells the rows of a table apart.
type rowIdentity uint8

const (
	byKey    rowIdentity = iota // the key's columns
	byRow                       // nothing: equal rows count
	byOffset                    // the insert: only inserts are captured
)

func identityOf(t *schema.Table) rowIdentity {
	switch {
	case t.AppendOnly:
		return byOffset
	case len(t.KeyColumns()) > 0:
		return byKey
	case t.Identity == schema.IdentityNone:
		return byOffset
	}
	return byRow
}

// sameIdentity reports whether rows of both versions are told apart by the same bytes.
func sameIdentity(a, b *schema.Table) bool {
	if a == b {
		return true
	}
	how := identityOf(a)
	if how != identityOf(b) {
		return false
	}
	switch how {
	case byKey:
		return schema.SameKey(a, b)
	case byRow:
		if len(a.Columns) != len(b.Columns) {
			return false
		}
		for i := range a.Columns {
			if a.Columns[i].ID != b.Columns[i].ID || a.Columns[i].Kind != b.Columns[i].Kind {
				return false
			}
		}
	case byOffset:
	}
	return true
}

// replay rebuilds one table from its copy on, for the requests that the copy serves.
type replay struct {
	table  schema.TableID
	from   changelog.Offset
	where  *Predicate
	only   *rowMap       // when set, only these keys
	onlyOf *schema.Table // the version that the keys of only are made of
	outs   []*output
	next   int // first of outs not reached yet

	options *Options
	seed    uint64
	shape   *schema.Table // version of the last change: what the store's keys are made of
	by      rowIdentity
	chosen  bool // only is set and holds keys of the shape
	store   *rowStore
	rekeyed converters
	matches map[schema.VersionID]*matcher

	key, old []byte
}

func (r *replay) begin() {
	r.store = newRowStore(r.seed, r.options, r.show)
	r.matches = map[schema.VersionID]*matcher{}
}

// done reports whether all requests have been reached.
func (r *replay) done() bool { return r.next == len(r.outs) }

// reach shows the requests before the commit what they ask for: every unit up to them has been applied, and the next has not.
func (r *replay) reach(ctx context.Context, commit changelog.Offset) error {
	for !r.done() && r.outs[r.next].at < commit {
		if err := r.store.mark(uint64(r.next)); err != nil {
			return err
		}
		r.next++
		if r.done() {
			return r.finish(ctx)
		}
	}
	return nil
}

func (r *replay) finish(ctx context.Context) error {
	if err := r.store.finish(ctx); err != nil {
		return err
	}
	for _, out := range r.outs {
		if err := out.finish(); err != nil {
			return err
		}
	}
	return nil
}

// close gives back what an unfinished replay holds.
func (r *replay) close() error {
	err := r.store.close()
	for _, out := range r.outs {
		err = errors.Join(err, out.runs.Close())
	}
	return err
}

// rekeyMark is the mark at which rows move to a store with keys of another version.
const rekeyMark = 1<<64 - 1

// show is the store's visitor for the marks of requests.
func (r *replay) show(mark uint64, s *rowStore) error { return r.outs[mark].store(s, r) }

// apply applies one change of the table.
func (r *replay) apply(ctx context.Context, c *changelog.Change) error {
	if c.Table != r.shape {
		if err := r.adopt(ctx, c.Table); err != nil {
			return err
		}
	}
	var err error
	switch {
	case c.Op == changelog.OpTruncate:
		err = r.store.clear()
	case r.by == byKey:
		err = r.applyByKey(c)
	case r.by == byRow:
		err = r.applyByRow(c)
	default:
		err = r.applyByOffset(c)
	}
	if err != nil {
		return fmt.Errorf("apply change at offset %d to %s: %w", c.Offset, c.Table.FullName(), err)
	}
	return nil
}

func (r *replay) applyByKey(c *changelog.Change) (err error) {
	if c.Op == changelog.OpDelete {
		if r.old, err = schema.AppendKey(r.old[:0], c.Table, c.Before); err != nil {
			return err
		}
		if !r.wanted(r.old) {
			return nil
		}
		return r.store.remove(r.old)
	}
	if r.key, err = schema.AppendKey(r.key[:0], c.Table, c.After); err != nil {
		return err
	}
	if c.Op == changelog.OpUpdate && c.Image != changelog.ImageNone {
		if r.old, err = schema.AppendKey(r.old[:0], c.Table, c.Before); err != nil {
			return err
		}
		if string(r.old) != string(r.key) && r.wanted(r.old) {
			if err := r.store.remove(r.old); err != nil {
				return err
			}
		}
	}
	if !r.wanted(r.key) {
		return nil
	}
	if !r.match(c.Table, c.After) {
		return r.store.remove(r.key)
	}
	return r.store.put(r.key, uint32(c.Table.Version), c.After.Raw())
}

// errNoImage says that a change names no row.
var errNoImage = errors.New("the table has no key, and the change does not hold the whole old row")

func (r *replay) applyByRow(c *changelog.Change) error {
	if c.Op == changelog.OpDelete || c.Op == changelog.OpUpdate {
		if c.Image != changelog.ImageFull {
			return errNoImage
		}
		if r.match(c.Table, c.Before) {
			if err := r.store.drop(c.Before.Raw(), 1); err != nil {
				return err
			}
		}
	}
	if c.Op == changelog.OpDelete || !r.match(c.Table, c.After) {
		return nil
	}
	return r.store.add(c.After.Raw(), uint32(c.Table.Version), nil, 1)
}

// applyByOffset keeps inserts. Updates and deletes are not captured of such a table.
func (r *replay) applyByOffset(c *changelog.Change) error {
	if c.Op != changelog.OpCreate && c.Op != changelog.OpRead || !r.match(c.Table, c.After) {
		return nil
	}
	r.key = binary.BigEndian.AppendUint64(r.key[:0], uint64(c.Offset))
	return r.store.put(r.key, uint32(c.Table.Version), c.After.Raw())
}

func (r *replay) wanted(key []byte) bool {
	return !r.chosen || r.only.lookup(key, r.only.hash(key)) != nil
}

// take makes t the shape of the store's keys. Keys of another shape than that of only's cannot be looked up there: until the shape
// fits, all rows are kept.
func (r *replay) take(t *schema.Table) {
	r.shape, r.by = t, identityOf(t)
	r.chosen = r.only != nil && sameIdentity(t, r.onlyOf)
}

func (r *replay) match(t *schema.Table, row schema.Row) bool {
	if r.where == nil {
		return true
	}
	m := r.matches[t.Version]
	if m == nil {
		m = r.where.matcher(t)
		r.matches[t.Version] = m
	}
	return m.match(row)
}

// adopt makes t the version of the table. When its rows are told apart by other bytes, the store is made anew.
func (r *replay) adopt(ctx context.Context, t *schema.Table) error {
	if r.shape == nil || sameIdentity(r.shape, t) {
		r.take(t)
		return nil
	}
	// The shape stays until what was spilled under the old keys has been shown.
	store := newRowStore(r.seed, r.options, r.show)
	move := converters{to: t, versions: r.rekeyed.versions}
	count := uint64(0)
	r.store.visit = func(mark uint64, s *rowStore) error {
		if mark != rekeyMark {
			return r.show(mark, s)
		}
		return r.move(s, store, &move, &count)
	}
	if err := errors.Join(r.store.mark(rekeyMark), r.store.finish(ctx)); err != nil {
		return errors.Join(err, store.close())
	}
	r.store = store
	r.take(t)
	return nil
}

// move adds the rows of one store to another under the keys of the version that move converts to.
func (r *replay) move(from, to *rowStore, move *converters, moved *uint64) error {
	t, by := move.to, identityOf(move.to)
	var row, key []byte
	var err error
	from.rows.each(func(rec record) bool {
		if row, err = move.append(row[:0], rec.version(), r.raw(rec)); err != nil {
			return false
		}
		for range rec.count() {
			switch by {
			case byKey:
				var view schema.Row
				if view, err = t.Layout().Row(row); err == nil {
					key, err = schema.AppendKey(key[:0], t, view)
				}
				if err == nil {
					err = to.put(key, uint32(t.Version), row)
				}
			case byRow:
				err = to.add(row, uint32(t.Version), nil, 1)
			case byOffset: // before any offset: moved rows have none of their own
				*moved++
				key = binary.BigEndian.AppendUint64(append(key[:0], 0), *moved)
				err = to.put(key, uint32(t.Version), row)
			}
			if err != nil {
				return false
			}
		}
		if to.memory() > to.limit {
			err = to.spill()
		}
		return err == nil
	})
	return err
}

// raw is the packed row of a record.
func (r *replay) raw(rec record) []byte {
	if r.by == byRow {
		return rec.key()
	}
	return rec.row()
}
