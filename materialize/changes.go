package materialize

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"cdc/changelog"
	"cdc/schema"
)

// ChangesOptions say which changes are wanted.
type ChangesOptions struct {
	// Tables keeps changes of these tables only; nil keeps all.
	Tables []schema.TableID
	// Where keeps changes only whose row, old or new, matches; it needs exactly one table.
	Where *Predicate
	// From and To bound the offsets, both included; zero is the first and the last.
	From, To changelog.Offset
	// Within, when set, keeps changes of those units only.
	Within func(*changelog.UnitMeta) bool
	// Limit keeps the last that many; zero keeps all.
	Limit int
	// Follow goes on with what is appended until the context is done; it is for streams without a limit.
	Follow   bool
	Progress func(part float64)
}

// ChangeRow is a change with the transaction that it belongs to.
type ChangeRow struct {
	changelog.Change
	// Unit is the transaction or copy; its Position is loaded.
	Unit *changelog.UnitMeta
}

// Changes calls emit with the changes, oldest first. A ChangeRow is valid until emit returns.
func Changes(ctx context.Context, log changelog.Log, o ChangesOptions, emit func(*ChangeRow) error) error {
	if o.Where != nil && len(o.Tables) != 1 {
		return errWhereTables
	}
	if o.Limit <= 0 {
		return o.scan(ctx, log, o.From, emit)
	}
	ring := changeRing{limit: o.Limit}
	if o.Follow {
		return errFollowLimit
	}
	if err := o.lastStretch(ctx, log, &ring); err != nil {
		return err
	}
	return ring.each(emit)
}

var (
	errWhereTables = errors.New("a condition needs exactly one table")
	errFollowLimit = errors.New("following takes no limit")
)

// firstStretch is how far from the end the last changes are looked for at first, stretchGrowth how much further each time.
const (
	firstStretch  = 1 << 14
	stretchGrowth = 8
)

// lastStretch fills the ring from ever longer stretches of the log's end, until it is full or the beginning has been reached.
func (o *ChangesOptions) lastStretch(ctx context.Context, log changelog.Log, ring *changeRing) error {
	last := durableEnd(log)
	if o.To != 0 {
		last = min(last, o.To)
	}
	least := max(o.From, log.Bounds().First)
	for length := changelog.Offset(firstStretch); ; length *= stretchGrowth {
		from := least
		if last > length && last-length > least {
			from = last - length
		}
		ring.reset()
		if err := o.scan(ctx, log, from, ring.add); err != nil {
			return err
		}
		if from == least || ring.full() {
			return nil
		}
	}
}

// scan calls emit with the changes from an offset on.
func (o *ChangesOptions) scan(ctx context.Context, log changelog.Log, from changelog.Offset, emit func(*ChangeRow) error) error {
	read := changelog.CursorOptions{From: from, To: o.To, Follow: o.Follow}
	if o.Tables != nil {
		read.Tables = changelog.NewTableSet(o.Tables...)
	}
	cursor, err := log.Cursor(read)
	if err != nil {
		return fmt.Errorf("open cursor: %w", err)
	}
	report := progressOf(cursor, o.Progress)
	matches := map[schema.VersionID]*matcher{}
	return readUnits(ctx, cursor, func(u *changelog.Unit) error {
		report()
		if o.Within != nil && !o.Within(&u.Meta) {
			return nil
		}
		u.LoadPosition()
		return unitChanges(ctx, u, func(c *ChangeRow) error {
			if c.Offset < from || o.Where != nil && !matchEither(o.Where, matches, &c.Change) {
				return nil
			}
			return emit(c)
		})
	})
}

// matchEither reports whether the old or the new row of a change matches.
func matchEither(where *Predicate, matches map[schema.VersionID]*matcher, c *changelog.Change) bool {
	if c.Table == nil {
		return false
	}
	m := matches[c.Table.Version]
	if m == nil {
		m = where.matcher(c.Table)
		matches[c.Table.Version] = m
	}
	return c.Op == changelog.OpTruncate || !c.After.IsZero() && m.match(c.After) ||
		!c.Before.IsZero() && m.match(c.Before)
}

// unitChanges calls emit with the changes of a unit whose position has been loaded.
func unitChanges(ctx context.Context, u *changelog.Unit, emit func(*ChangeRow) error) error {
	row := ChangeRow{Unit: &u.Meta}
	return eachChange(ctx, u, func(c *changelog.Change) error {
		row.Change = *c
		return emit(&row)
	})
}

// changeRing keeps copies of the last changes.
type changeRing struct {
	limit int
	rows  []ChangeRow
	next  int
	unit  *changelog.UnitMeta
}

func (r *changeRing) reset()     { r.rows, r.next, r.unit = r.rows[:0], 0, nil }
func (r *changeRing) full() bool { return len(r.rows) == r.limit }

func (r *changeRing) add(c *ChangeRow) error {
	if r.unit == nil || r.unit.First != c.Unit.First {
		unit := *c.Unit
		r.unit = &unit
	}
	kept, err := cloneChange(&c.Change)
	if err != nil {
		return err
	}
	row := ChangeRow{Change: kept, Unit: r.unit}
	if !r.full() {
		r.rows = append(r.rows, row)
		return nil
	}
	r.rows[r.next] = row
	r.next = (r.next + 1) % r.limit
	return nil
}

func (r *changeRing) each(emit func(*ChangeRow) error) error {
	for i := range r.rows {
		if err := emit(&r.rows[(r.next+i)%len(r.rows)]); err != nil {
			return err
		}
	}
	return nil
}

// cloneChange copies a change, so that it outlives its unit.
func cloneChange(c *changelog.Change) (changelog.Change, error) {
	out := *c
	var err error
	for _, row := range []*schema.Row{&out.Before, &out.After} {
		if row.IsZero() {
			continue
		}
		if *row, err = c.Table.Layout().Row(bytes.Clone(row.Raw())); err != nil {
			return out, err
		}
	}
	out.FromState, out.Prefix, out.Content = bytes.Clone(c.FromState), bytes.Clone(c.Prefix), bytes.Clone(c.Content)
	return out, nil
}

// Transaction describes the unit that holds the offset and calls emit (nil: not) with its changes, in order. An offset outside
// the log is an *UnanswerableError.
func Transaction(ctx context.Context, log changelog.Log, at changelog.Offset, emit func(*ChangeRow) error) (m changelog.UnitMeta, err error) {
	b := log.Bounds()
	if at < b.First || at >= b.Next {
		return m, &UnanswerableError{
			Moment: AtOffset(at).String(), Why: "the log holds " + b.String(),
			Earliest: Instant{Offset: b.First}, Latest: Instant{Offset: b.Next - 1},
		}
	}
	cursor, err := log.Cursor(changelog.CursorOptions{From: at})
	if err != nil {
		return m, fmt.Errorf("open cursor: %w", err)
	}
	defer func() { err = errors.Join(err, cursor.Close()) }()
	u, err := cursor.Next(ctx)
	if err != nil {
		return m, fmt.Errorf("read log: %w", err)
	}
	u.LoadPosition()
	m = u.Meta
	if emit == nil {
		return m, nil
	}
	return m, unitChanges(ctx, u, emit)
}

// LastTransaction is the last transaction or copy in the cut, of the given source (of any, when zero): its commit, or zero when there
// is none. What a moment resolves to is often a tick, which holds no changes.
func LastTransaction(ctx context.Context, log changelog.Log, cut changelog.Cut, source changelog.SourceID) (changelog.Offset, error) {
	least, to := log.Bounds().First, cut.Max()
	var found changelog.Offset
	for length := changelog.Offset(firstStretch); found == 0 && to >= least; length *= stretchGrowth {
		from := least
		if to > length {
			from = max(from, to-length)
		}
		err := eachUnit(ctx, log, changelog.CursorOptions{From: from, To: to}, func(u *changelog.Unit) error {
			m := &u.Meta
			full := m.Kind == changelog.UnitTx || m.Kind == changelog.UnitCopy
			if full && (source == 0 || m.Source == source) && m.Commit() <= cut.At(m.Source) {
				found = m.Commit()
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
		if from == least {
			break
		}
		to = from - 1
	}
	return found, nil
}

// FindTx is the unit of the transaction with that number in the newest epoch of the named source (of any source, when empty). Two
// matches, or none, are a *NameError.
func FindTx(ctx context.Context, log changelog.Log, source string, xid uint64) (changelog.UnitMeta, error) {
	found, err := findTx(ctx, log, source, xid, 0, durableEnd(log))
	if err != nil {
		return changelog.UnitMeta{}, err
	}
	name := Moment{Kind: MomentTx, Source: source, XID: xid}
	if len(found) == 0 {
		return changelog.UnitMeta{}, &NameError{Kind: "transaction", Name: name.String()}
	}
	return oneTx(log, name, found)
}
