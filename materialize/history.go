package materialize

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"cdc/changelog"
	"cdc/schema"
)

// Version is one version of one row: what it held from one commit to another.
type Version struct {
	// Table is the version that the row is packed in: the one in force when it was written.
	Table *schema.Table
	Row   schema.Row
	// From is the commit that wrote it, To the one that ended it, zero when it still holds at the end of what was asked for.
	From, To changelog.Offset
	// Op wrote it (c, u or r; c when the transaction inserted the row and changed it on), EndOp ended it (u, d, t or r), zero when it still holds or the table ceased to be known.
	Op, EndOp changelog.Op
	// First and Last describe the transactions at From and To.
	First, Last Touch
}

// HistoryOptions say how much of the history is wanted.
type HistoryOptions struct {
	// From and To bound the instants: versions that held at any instant of [From, To]. To is the end of the log when zero.
	From, To changelog.Offset
	Progress func(part float64)
}

// History calls emit with every version of the rows of the table that match where (nil: all), a version when it ends, and at the
// end those that still hold; those that end together come in the order of their beginnings. What a transaction wrote and replaced itself is no version. A Version is valid until emit returns.
// The versions that hold at one time are kept in memory. A table that the log cannot answer for at any instant asked for is an
// *UnanswerableError.
func History(ctx context.Context, log changelog.Log, table schema.TableID, where *Predicate, o HistoryOptions, emit func(*Version) error) error {
	if end := durableEnd(log); o.To == 0 || o.To > end {
		o.To = end
	}
	if o.From > o.To {
		return fmt.Errorf("%w: the history is from offset %d to the earlier offset %d", ErrMoment, o.From, o.To)
	}
	parts := stretchesFrom(stretches(log.Catalog(), table, o.To), log.Bounds().First, o.From)
	if len(parts) == 0 {
		_, err := answerable(ctx, log, table, o.To)
		return err
	}
	id := log.ID()
	h := &historian{
		log: log, table: table, where: where, options: &o, emit: emit, seed: binary.LittleEndian.Uint64(id[:]),
		matches: map[schema.VersionID]*matcher{},
	}
	h.open, h.before, h.counts = h.rowMap(), h.rowMap(), h.rowMap()
	for _, part := range parts {
		if err := h.stretch(ctx, part); err != nil {
			return err
		}
	}
	return h.endAll(&h.open, closing{})
}

// stretchesFrom leaves out what has been trimmed, and what ended before the instant. One that ended with another copy stays when
// that one does: a version that the copy found again began in it.
func stretchesFrom(all []stretch, first, from changelog.Offset) []stretch {
	keep := len(all)
	for keep > 0 {
		s := &all[keep-1]
		if s.begin < first || s.until != 0 && s.until <= from && s.ended != changelog.TableCopied {
			break
		}
		keep--
	}
	return all[keep:]
}

// historian follows the versions of one table.
type historian struct {
	log     changelog.Log
	table   schema.TableID
	where   *Predicate
	options *HistoryOptions
	emit    func(*Version) error
	seed    uint64
	matches map[schema.VersionID]*matcher

	shape *schema.Table
	by    rowIdentity
	// open are the versions that hold; before those that held when the copy being read began; counts how often equal rows of a
	// table without a key are there.
	open, before, counts rowMap
	// copying says that the unit being read belongs to the copy that a stretch begins with.
	copying bool
	// chunked says that the copy was made in chunks, among other changes.
	chunked bool

	key, old, packed []byte
}

// closing is what ends a version; the zero closing ends none.
type closing struct {
	op    changelog.Op
	touch Touch
}

func (h *historian) rowMap() rowMap { return rowMap{seed: h.seed} }

// stretch follows the table from a copy to the end of what follows from it.
func (h *historian) stretch(ctx context.Context, s stretch) error {
	h.before, h.open, h.counts = h.open, h.rowMap(), h.rowMap() // what still holds is what the stretch before had when it ended with this copy
	copied, err := touchAt(ctx, h.log, s.from)
	if err != nil {
		return err
	}
	last := h.options.To
	if s.until != 0 {
		last = min(last, s.until-1)
	}
	cursor, err := h.log.Cursor(changelog.CursorOptions{From: s.begin, To: last, Tables: changelog.NewTableSet(h.table)})
	if err != nil {
		return fmt.Errorf("open cursor: %w", err)
	}
	report := progressOf(cursor, h.options.Progress)
	err = readUnits(ctx, cursor, func(u *changelog.Unit) error {
		report()
		copying := u.Meta.Commit() <= s.from
		if !copying { // an empty copy may have been passed over
			if err := h.endAll(&h.before, closing{op: changelog.OpRead, touch: copied}); err != nil {
				return err
			}
		}
		touch := copied // whatever happened to a row while it was being copied, its version begins with the copy
		if !copying {
			touch = touchOf(&u.Meta)
		}
		h.copying, h.chunked = copying, copying && s.begin != s.from
		return h.unit(ctx, u, touch)
	})
	if err != nil {
		return err
	}
	// What the copy did not find again ended with it.
	if err := h.endAll(&h.before, closing{op: changelog.OpRead, touch: copied}); err != nil {
		return err
	}
	if s.until == 0 || s.until > h.options.To || s.ended == changelog.TableCopied {
		return nil
	}
	// From here on nothing is known, or the table is gone.
	lost, err := touchAt(ctx, h.log, s.until)
	if err != nil {
		return err
	}
	return h.endAll(&h.open, closing{touch: lost})
}

func (h *historian) unit(ctx context.Context, u *changelog.Unit, touch Touch) error {
	return eachChange(ctx, u, func(c *changelog.Change) error {
		if err := h.change(c, touch); err != nil {
			return fmt.Errorf("follow change at offset %d: %w", c.Offset, err)
		}
		return nil
	})
}

func (h *historian) change(c *changelog.Change, touch Touch) error {
	if c.Table != h.shape {
		if err := h.adopt(c.Table); err != nil {
			return err
		}
	}
	if c.Op == changelog.OpTruncate {
		h.counts = h.rowMap()
		return h.endAll(&h.open, closing{op: c.Op, touch: touch})
	}
	op := c.Op
	if c.Op == changelog.OpDelete || c.Op == changelog.OpUpdate {
		key, err := h.oldKey(c)
		if err != nil {
			return err
		}
		if r := h.open.lookup(key, h.open.hash(key)); r != nil && openedAt(r) == touch.Offset {
			op = changelog.Op(r.row()[0])
		}
		if err := h.end(&h.open, key, closing{op: c.Op, touch: touch}); err != nil {
			return err
		}
	}
	if h.by == byOffset && c.Op == changelog.OpUpdate || c.Op == changelog.OpDelete || !h.match(c.Table, c.After) {
		return nil
	}
	key, err := h.newKey(c)
	if err != nil {
		return err
	}
	return h.begin(key, c, op, touch)
}

// oldKey names the row that an update or a delete ends.
func (h *historian) oldKey(c *changelog.Change) (key []byte, err error) {
	switch h.by {
	case byKey:
		row := c.Before
		if c.Image == changelog.ImageNone {
			row = c.After
		}
		h.old, err = schema.AppendKey(h.old[:0], c.Table, row)
	case byRow:
		if c.Image != changelog.ImageFull {
			return nil, errNoImage
		}
		h.old = h.countedKey(h.old[:0], c.Before.Raw(), false)
	case byOffset:
		h.old = h.old[:0]
	}
	return h.old, err
}

func (h *historian) newKey(c *changelog.Change) (key []byte, err error) {
	switch h.by {
	case byKey:
		h.key, err = schema.AppendKey(h.key[:0], c.Table, c.After)
	case byRow:
		h.key = h.countedKey(h.key[:0], c.After.Raw(), true)
	case byOffset:
		h.key = binary.BigEndian.AppendUint64(h.key[:0], uint64(c.Offset))
	}
	return h.key, err
}

// countedKey tells equal rows apart by how many there were before them, and counts one more, or one less.
func (h *historian) countedKey(dst, raw []byte, more bool) []byte {
	hash := h.counts.hash(raw)
	n := uint32(0)
	if r := h.counts.lookup(raw, hash); r != nil {
		n = r.count()
	}
	switch {
	case more:
		h.counts.add(raw, hash, 0, nil, 1)
		n++
	case n > 0:
		h.counts.drop(raw, hash, 1)
	}
	return binary.BigEndian.AppendUint32(append(dst, raw...), n)
}

func (h *historian) match(t *schema.Table, row schema.Row) bool {
	if h.where == nil {
		return true
	}
	m := h.matches[t.Version]
	if m == nil {
		m = h.where.matcher(t)
		h.matches[t.Version] = m
	}
	return m.match(row)
}

// An open version is held as what opened it and then its packed row.
const openHeader = 25

// openedAt is the commit that opened the version.
func openedAt(r record) changelog.Offset {
	return changelog.Offset(binary.LittleEndian.Uint64(r.row()[1:]))
}

// same reports whether an open version holds the change's new row.
func same(r record, c *changelog.Change) bool {
	return r.version() == uint32(c.Table.Version) && bytes.Equal(r.row()[openHeader:], c.After.Raw())
}

// begin opens a version, written by op. One that is read again and found unchanged goes on.
func (h *historian) begin(key []byte, c *changelog.Change, op changelog.Op, touch Touch) error {
	hash := h.open.hash(key)
	if h.copying {
		if r := h.before.lookup(key, hash); r != nil {
			if same(r, c) {
				h.open.put(key, hash, r.version(), r.row())
				h.before.remove(key, hash)
				return nil
			}
			if err := h.end(&h.before, key, closing{op: changelog.OpRead, touch: touch}); err != nil {
				return err
			}
		}
	}
	if r := h.open.lookup(key, hash); r != nil && c.Op == changelog.OpRead && same(r, c) {
		return nil
	}
	if err := h.end(&h.open, key, closing{op: c.Op, touch: touch}); err != nil {
		return err
	}
	if h.chunked {
		op = changelog.OpRead
	}
	b := append(h.packed[:0], byte(op))
	b = binary.LittleEndian.AppendUint64(b, uint64(touch.Offset))
	b = binary.LittleEndian.AppendUint64(b, touch.XID)
	b = binary.LittleEndian.AppendUint64(b, uint64(touch.Time))
	h.packed = append(b, c.After.Raw()...)
	h.open.put(key, hash, uint32(c.Table.Version), h.packed)
	return nil
}

// end closes the version of the key, if there is one.
func (h *historian) end(rows *rowMap, key []byte, by closing) error {
	hash := rows.hash(key)
	r := rows.lookup(key, hash)
	if r == nil {
		return nil
	}
	err := h.closed(r, by)
	rows.remove(key, hash)
	return err
}

// endAll closes all versions, in the order of their beginnings.
func (h *historian) endAll(rows *rowMap, by closing) error {
	if rows.live == 0 {
		return nil
	}
	type opened struct {
		from  changelog.Offset
		place place
	}
	all := make([]opened, 0, rows.live)
	rows.places(func(p place, r record) bool {
		all = append(all, opened{from: openedAt(r), place: p})
		return true
	})
	slices.SortFunc(all, func(a, b opened) int {
		return cmp.Or(cmp.Compare(a.from, b.from), bytes.Compare(rows.record(a.place).key(), rows.record(b.place).key()))
	})
	for _, o := range all {
		if err := h.closed(rows.record(o.place), by); err != nil {
			return err
		}
	}
	*rows = h.rowMap()
	return nil
}

// closed emits a version, unless the transaction that began it has ended it too, or it is out of the bounds.
func (h *historian) closed(r record, by closing) error {
	b := r.row()
	v := Version{Op: changelog.Op(b[0]), To: by.touch.Offset, EndOp: by.op, Last: by.touch}
	v.First = Touch{
		Offset: openedAt(r), XID: binary.LittleEndian.Uint64(b[9:]),
		Time: changelog.Micros(binary.LittleEndian.Uint64(b[17:])),
	}
	v.From = v.First.Offset
	if v.From == v.To || v.To != 0 && v.To <= h.options.From {
		return nil
	}
	v.Table = h.log.Catalog().Version(schema.VersionID(r.version()))
	if v.Table == nil {
		return fmt.Errorf("version %d of table %d is not in the catalog", r.version(), h.table)
	}
	var err error
	if v.Row, err = v.Table.Layout().Row(b[openHeader:]); err != nil {
		return err
	}
	return h.emit(&v)
}

// adopt makes t the version of the table. When its rows are told apart by other bytes, the open versions are found by those.
func (h *historian) adopt(t *schema.Table) error {
	before := h.shape
	h.shape = t
	if before == nil || sameIdentity(before, t) {
		h.by = identityOf(t)
		return nil
	}
	h.by = identityOf(t)
	convert := converters{to: t, versions: h.log.Catalog(), retype: true}
	for _, rows := range []*rowMap{&h.before, &h.open} { // the counts of open are those that stay
		h.counts = h.rowMap()
		moved := h.rowMap()
		var raw []byte
		var err error
		n := uint64(0)
		rows.each(func(r record) bool {
			if raw, err = convert.append(raw[:0], r.version(), r.row()[openHeader:]); err != nil {
				return false
			}
			switch h.by {
			case byKey:
				var view schema.Row
				if view, err = t.Layout().Row(raw); err == nil {
					h.key, err = schema.AppendKey(h.key[:0], t, view)
				}
			case byRow:
				h.key = h.countedKey(h.key[:0], raw, true)
			case byOffset:
				n++
				h.key = binary.BigEndian.AppendUint64(append(h.key[:0], 0), n)
			}
			if err == nil {
				moved.put(h.key, moved.hash(h.key), r.version(), r.row())
			}
			return err == nil
		})
		if err != nil {
			return err
		}
		*rows = moved
	}
	return nil
}
