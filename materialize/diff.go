package materialize

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"cdc/changelog"
	"cdc/schema"
)

// DiffKind says what became of a row between two instants.
type DiffKind uint8

// Kinds of differences.
const (
	Added DiffKind = iota + 1
	Removed
	Modified
)

// String is the sign that a diff prints before the row.
func (k DiffKind) String() string {
	switch k {
	case Added:
		return "+"
	case Removed:
		return "-"
	case Modified:
		return "~"
	}
	return "?"
}

// Touch is the last transaction that touched a row. The zero Touch means that it is not known.
type Touch struct {
	Offset changelog.Offset
	XID    uint64
	Time   changelog.Micros
}

// DiffRow is the net difference of one key. Rows are in the shape that the table has at the later instant.
type DiffRow struct {
	Kind  DiffKind
	Table *schema.Table
	// Before and After are zero where there is none.
	Before, After schema.Row
	// Columns are the indexes of the columns that differ, of a modified row.
	Columns []int
	Last    Touch
}

// DiffOptions say how a difference is made.
type DiffOptions struct {
	Options
	Where *Predicate
}

// Diff calls emit with the net difference of the table between two instants, in the order of the keys. A row that was changed and
// changed back is no difference. A DiffRow is valid until emit returns.
//
// Only the changes in between are read, and of the table at the earlier instant those rows whose old values they do not hold. When
// the table was emptied or copied in between, when it has no key or another one, or when what was touched does not fit the
// memory, both tables are rebuilt and compared.
func Diff(ctx context.Context, log changelog.Log, table schema.TableID, from, to changelog.Offset, o DiffOptions, emit func(*DiffRow) error) error {
	if from > to {
		return fmt.Errorf("%w: the difference is from offset %d to the earlier offset %d", ErrMoment, from, to)
	}
	before, err := answerable(ctx, log, table, from)
	if err != nil {
		return err
	}
	after, err := answerable(ctx, log, table, to)
	if err != nil {
		return err
	}
	d := &differ{log: log, table: table, from: from, to: to, options: &o, emit: emit, before: before.Table, after: after.Table}
	id := log.ID()
	for _, m := range []*rowMap{&d.touched, &d.olds, &d.news, &d.unknown} {
		m.seed = binary.LittleEndian.Uint64(id[:])
	}
	d.keyed = before.KnownFrom == after.KnownFrom && identityOf(after.Table) == byKey && sameIdentity(before.Table, after.Table)
	if !d.keyed && before.KnownFrom != after.KnownFrom {
		m, _, err := unitAt(ctx, log, after.KnownFrom)
		if err != nil {
			return err
		}
		d.reset = touchOf(&m)
	}
	if o.Where != nil {
		d.where = o.Where.matcher(after.Table)
	}
	if err := d.readSlice(ctx); err != nil {
		return err
	}
	if d.keyed {
		return d.emitTouched(ctx)
	}
	return d.compare(ctx)
}

func touchOf(m *changelog.UnitMeta) Touch {
	return Touch{Offset: m.Commit(), XID: m.XID, Time: m.CommitTime}
}

// differ makes one difference.
type differ struct {
	log           changelog.Log
	table         schema.TableID
	from, to      changelog.Offset
	options       *DiffOptions
	emit          func(*DiffRow) error
	before, after *schema.Table
	where         *matcher

	// keyed says that the changes in between are enough, with the rows before them.
	keyed bool
	// One seed serves all four, so that a hash does. touched has the last touch of each key. olds and news have the rows of touched
	// keys before and after, unknown the keys of which the changes do not tell the row before.
	touched, olds, news, unknown rowMap
	// shape is the version of the last change, fits says that its keys are those of the later version.
	shape *schema.Table
	fits  bool
	// reset is the last transaction that touched all rows.
	reset    Touch
	key, old []byte
}

// readSlice gathers what the changes in between say.
func (d *differ) readSlice(ctx context.Context) error {
	if d.from == d.to {
		return nil
	}
	read := changelog.CursorOptions{From: d.from + 1, To: d.to, Tables: changelog.NewTableSet(d.table)}
	return eachUnit(ctx, d.log, read, func(u *changelog.Unit) error {
		touch := touchOf(&u.Meta)
		return eachChange(ctx, u, func(c *changelog.Change) error {
			if err := d.change(c, touch); err != nil {
				return fmt.Errorf("compare change at offset %d: %w", c.Offset, err)
			}
			d.bound(touch)
			return nil
		})
	})
}

// bound gives up remembering rows, and then touches, when they do not fit the memory.
func (d *differ) bound(touch Touch) {
	limit := d.options.memory()
	if d.keyed && d.touched.memory()+d.olds.memory()+d.news.memory()+d.unknown.memory() > limit {
		d.unkey()
	}
	if !d.keyed && d.touched.memory() > limit {
		d.forget(touch)
	}
}

// forget gives up the touches up to the given one, so that a row whose last touch was among them has none, rather than an older one.
func (d *differ) forget(upTo Touch) {
	d.touched.clear()
	if d.reset.Offset <= upTo.Offset {
		d.reset = Touch{}
	}
}

func (d *differ) unkey() {
	d.keyed = false
	d.olds.clear()
	d.news.clear()
	d.unknown.clear()
}

func (d *differ) change(c *changelog.Change, touch Touch) (err error) {
	if c.Op == changelog.OpTruncate {
		d.unkey()
		if touch.Offset >= d.reset.Offset {
			d.reset = touch
		}
		return nil
	}
	if c.Table != d.shape {
		d.shape, d.fits = c.Table, sameIdentity(c.Table, d.after)
	}
	if !d.fits { // its key is made of other columns, and could be taken for that of another row
		d.unkey()
		d.forget(touch)
		return nil
	}
	if !c.Before.IsZero() {
		if d.old, err = schema.AppendKey(d.old[:0], c.Table, c.Before); err != nil {
			return err
		}
	}
	if !c.After.IsZero() {
		if d.key, err = schema.AppendKey(d.key[:0], c.Table, c.After); err != nil {
			return err
		}
	}
	whole := c.Image == changelog.ImageFull && !c.Before.HasAbsent()
	switch {
	case c.Op == changelog.OpDelete:
		d.replaced(d.old, c, whole, touch)
		return nil
	case c.Op == changelog.OpCreate:
		d.touch(d.key, touch)
	case c.Op == changelog.OpRead: // read again, it may have been there
		d.replaced(d.key, c, false, touch)
	case c.Image == changelog.ImageNone || string(d.old) == string(d.key):
		d.replaced(d.key, c, whole, touch)
	default: // the row moved to another key, which no row had
		d.replaced(d.old, c, whole, touch)
		d.touch(d.key, touch)
	}
	if d.keyed {
		d.news.put(d.key, d.news.hash(d.key), uint32(c.Table.Version), c.After.Raw())
	}
	return nil
}

// replaced notes that the row of the key is gone or has changed.
func (d *differ) replaced(key []byte, c *changelog.Change, whole bool, touch Touch) {
	first := d.touch(key, touch)
	if !d.keyed {
		return
	}
	hash := d.news.hash(key)
	d.news.remove(key, hash)
	switch {
	case !first:
	case whole:
		d.olds.put(key, hash, uint32(c.Table.Version), c.Before.Raw())
	default:
		d.unknown.put(key, hash, 0, nil)
	}
}

const touchBytes = 24

// touch notes the last touch of a key, and reports whether it is the first.
func (d *differ) touch(key []byte, t Touch) bool {
	var b [touchBytes]byte
	binary.LittleEndian.PutUint64(b[:], uint64(t.Offset))
	binary.LittleEndian.PutUint64(b[8:], t.XID)
	binary.LittleEndian.PutUint64(b[16:], uint64(t.Time))
	before := d.touched.live
	d.touched.put(key, d.touched.hash(key), 0, b[:])
	return d.touched.live > before
}

// lastTouch is the last touch of a key.
func (d *differ) lastTouch(key []byte) Touch {
	r := d.touched.lookup(key, d.touched.hash(key))
	if r == nil {
		return d.reset
	}
	b := r.row()
	t := Touch{
		Offset: changelog.Offset(binary.LittleEndian.Uint64(b)), XID: binary.LittleEndian.Uint64(b[8:]),
		Time: changelog.Micros(binary.LittleEndian.Uint64(b[16:])),
	}
	if t.Offset < d.reset.Offset {
		return d.reset
	}
	return t
}

// emitTouched compares the rows of the touched keys.
func (d *differ) emitTouched(ctx context.Context) error {
	if d.unknown.live > 0 {
		q := Request{Table: d.table, At: d.from, only: &d.unknown}
		err := Tables(ctx, d.log, []Request{q}, d.options.Options, func(b *Batch) error {
			for i := range b.Len() {
				var err error
				if d.key, err = schema.AppendKey(d.key[:0], b.Table, b.Row(i)); err != nil {
					return err
				}
				hash := d.olds.hash(d.key)
				if d.unknown.lookup(d.key, hash) != nil {
					d.olds.put(d.key, hash, uint32(b.Table.Version), b.Raw(i))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	olds := converters{to: d.after, versions: d.log.Catalog()}
	news := converters{to: d.after, versions: d.log.Catalog()}
	var row DiffRow
	var columns []int
	var buffers [2][]byte
	for _, item := range d.touched.sorted() {
		key := d.touched.record(item.place).key()
		var err error
		row = DiffRow{Table: d.after}
		if row.Before, err = d.rowOf(&d.olds, &olds, key, &buffers[0]); err != nil {
			return err
		}
		if row.After, err = d.rowOf(&d.news, &news, key, &buffers[1]); err != nil {
			return err
		}
		switch before, after := !row.Before.IsZero(), !row.After.IsZero(); {
		case before && after:
			if columns = differing(columns[:0], d.after, row.Before, row.After); len(columns) == 0 {
				continue
			}
			row.Kind, row.Columns = Modified, columns
		case before:
			row.Kind = Removed
		case after:
			row.Kind = Added
		default:
			continue
		}
		if err := d.show(key, &row); err != nil {
			return err
		}
	}
	return nil
}

// rowOf is the row of the key, in the later version; zero when there is none.
func (d *differ) rowOf(rows *rowMap, convert *converters, key []byte, buf *[]byte) (schema.Row, error) {
	r := rows.lookup(key, rows.hash(key))
	if r == nil {
		return schema.Row{}, nil
	}
	raw, err := convert.append((*buf)[:0], r.version(), r.row())
	if err != nil {
		return schema.Row{}, err
	}
	*buf = raw
	return d.after.Layout().Row(raw)
}

// show emits a row unless the condition leaves it out.
func (d *differ) show(key []byte, row *DiffRow) error {
	if d.where != nil && (row.Before.IsZero() || !d.where.match(row.Before)) &&
		(row.After.IsZero() || !d.where.match(row.After)) {
		return nil
	}
	row.Last = d.lastTouch(key)
	return d.emit(row)
}

// compare rebuilds both tables and merges them.
func (d *differ) compare(ctx context.Context) (err error) {
	o := d.options.Options
	o.MemoryBytes = o.memory() / 2
	left := OrderedRows(ctx, d.log, Request{Table: d.table, At: d.from, as: d.after}, o)
	defer func() { err = errors.Join(err, left.Close()) }()
	right := OrderedRows(ctx, d.log, Request{Table: d.table, At: d.to, as: d.after}, o)
	defer func() { err = errors.Join(err, right.Close()) }()
	m := merger{table: d.after, left: side{rows: left}, right: side{rows: right}}
	for {
		row, err := m.next()
		if row == nil || err != nil {
			return err
		}
		if row.Kind == 0 {
			continue
		}
		key := m.left.key
		if row.Before.IsZero() {
			key = m.right.key
		}
		if err := d.show(key, row); err != nil {
			return err
		}
	}
}
