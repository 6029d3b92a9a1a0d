package mysql

import (
	"context"
	"errors"
	"fmt"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
	"cdc/sources/mysql/value"
)

// relation is a table as the binlog describes it at one place.
type relation struct {
	// table is the version that its rows are packed in, nil when they do not count.
	table *schema.Table
	// description is what it was resolved for.
	description []byte
	decode      *value.Decoder
	width       int
	jsonColumns int
	// defaults is a packed row of the columns' defaults, nil when nobody has asked for them.
	defaults []byte
}

// tableMap finds the table of the row events that follow.
func (st *stream) tableMap(ctx context.Context, e binlog.Event) error {
	m, err := binlog.ParseTableMap(e)
	if err == nil && !st.group.open {
		err = errOutside
	}
	if err != nil {
		return st.corrupt(err)
	}
	if st.group.skip {
		return nil
	}
	r := st.byName[tableName{string(m.Schema), string(m.Name)}]
	if r == nil || string(r.description) != string(m.Description) {
		name := tableName{string(m.Schema), string(m.Name)}
		if r, err = st.guide.resolve(ctx, &described{schema: name.schema, name: name.name, m: &m, format: &st.format}); err != nil {
			return st.corrupt(err)
		}
		r.description = append([]byte(nil), m.Description...)
		st.byName[name] = r
	}
	st.relations[m.Table] = r
	return nil
}

var errOutside = errors.New("a change outside a transaction")

// forget has tables resolved again at their next TABLE_MAP.
func (st *stream) forget() {
	clear(st.byName)
	clear(st.relations)
}

// rows handles a row event.
func (st *stream) rows(ctx context.Context, e binlog.Event) error {
	rows, err := binlog.ParseRows(e, &st.inflater)
	if err == nil && !st.group.open {
		err = errOutside
	}
	if err != nil {
		return st.corrupt(err)
	}
	if rows.Table == binlog.DummyTable || st.group.skip || !st.nextPart() {
		return nil
	}
	r := st.relations[rows.Table]
	if r == nil {
		return st.corrupt(fmt.Errorf("rows of table number %d, which the binlog has not described", rows.Table))
	}
	if r.table == nil {
		return nil
	}
	st.group.parts.last = st.group.parts.n
	if err := st.images(&rows, r); err != nil {
		var stop *sources.Stop
		if errors.Is(err, binlog.ErrMalformed) || errors.Is(err, value.ErrImage) || errors.Is(err, value.ErrCharset) || errors.Is(err, value.ErrUnsupported) {
			return st.corrupt(fmt.Errorf("table %s: %w", r.table.FullName(), err))
		}
		if errors.As(err, &stop) {
			return err
		}
		return fmt.Errorf("table %s: %w", r.table.FullName(), err)
	}
	return ctx.Err()
}

// images hands over the rows of an event.
func (st *stream) images(rows *binlog.Rows, r *relation) error {
	if rows.Width != r.width {
		return fmt.Errorf("%w: rows of %d columns in a table of %d", binlog.ErrMalformed, rows.Width, r.width)
	}
	images := rows.Images(r.jsonColumns)
	for images.Next() {
		im := &images.Image
		dst := &st.before
		if im.After {
			dst = &st.after
		}
		packed, rest, err := st.image(r, (*dst)[:0], im)
		if err != nil {
			return err
		}
		*dst = packed
		present := im.Present
		images.Skip(rest)
		if rows.Kind == binlog.RowsUpdate && !im.After {
			continue
		}
		if err := st.change(rows, r, present); err != nil {
			return err
		}
	}
	return images.Err()
}

// image decodes one image. Differences of JSON values are kept until the old values are at hand.
func (st *stream) image(r *relation, dst []byte, im *binlog.Image) (packed, rest []byte, err error) {
	st.updates = st.updates[:0]
	if !anyBit(im.Partial) {
		return r.decode.Image(dst, im.Present, im.Data)
	}
	packed, rest, st.updates, err = r.decode.PartialImage(dst, im.Present, im.Partial, im.Data, st.updates)
	return packed, rest, err
}

// patch makes the new value of a JSON column from its old one.
func (st *stream) patch(column int, old []byte) (changed []byte, ok bool, err error) {
	for _, u := range st.updates {
		if u.Column == column {
			st.document, err = value.ApplyJSONDiffs(st.document[:0], old, u.Diffs)
			return st.document, true, err
		}
	}
	return nil, false, nil
}

// change hands one row over.
func (st *stream) change(rows *binlog.Rows, r *relation, present []byte) error {
	st.row = sources.Row{Table: r.table}
	switch rows.Kind {
	case binlog.RowsWrite:
		st.row.Op, st.row.After = changelog.OpCreate, st.after
		if imageOf(present, r.width) != changelog.ImageFull {
			whole, err := st.guide.withDefaults(r, st.document[:0], st.after)
			if err != nil {
				return err
			}
			st.document, st.row.After = whole, whole
		}
	case binlog.RowsUpdate:
		st.row.Op, st.row.Before, st.row.After = changelog.OpUpdate, st.before, st.after
		st.row.Image = imageOf(rows.Before, r.width)
		if len(st.updates) > 0 {
			st.row.Patch = st.patch
		}
	case binlog.RowsDelete:
		st.row.Op, st.row.Before = changelog.OpDelete, st.before
		st.row.Image = imageOf(present, r.width)
	default:
		return fmt.Errorf("%w: rows of kind %d", binlog.ErrMalformed, rows.Kind)
	}
	return st.out.Change(&st.row)
}

// imageOf says how much of the old row the server sent.
func imageOf(present []byte, width int) changelog.Image {
	for i := range width {
		if present[i>>3]&(1<<(i&7)) == 0 {
			return changelog.ImageKey
		}
	}
	return changelog.ImageFull
}

func anyBit(bits []byte) bool {
	for _, b := range bits {
		if b != 0 {
			return true
		}
	}
	return false
}
