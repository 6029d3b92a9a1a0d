package materialize

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cdc/changelog"
	"cdc/schema"
)

// stretch is a run of instants for which the log can answer for a table.
type stretch struct {
	// begin is where reading begins, from the first instant that can be answered: later where a copy was made in chunks.
	begin, from changelog.Offset
	// until is the instant that ends it, zero when it reaches the end of the log; ended says how.
	until changelog.Offset
	ended changelog.TableStateKind
}

// stretches are those of the table up to the instant, in order.
func stretches(c *changelog.Catalog, id schema.TableID, last changelog.Offset) []stretch {
	var all []stretch
	var until changelog.Offset
	var ended changelog.TableStateKind
	for n := last; ; {
		t, ok := c.TableAt(id, n)
		if !ok || t.StateSince == 0 {
			break
		}
		if t.State.State.Known() {
			all = append(all, stretch{begin: t.From, from: t.StateSince, until: until, ended: ended})
		}
		until, ended, n = t.StateSince, t.State.State, t.StateSince-1
	}
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return all
}

// durableEnd is the last durable offset.
func durableEnd(log changelog.Log) changelog.Offset { return log.Bounds().Next - 1 }

// answerable is the table at the instant, or an *UnanswerableError that says what the log can answer for.
func answerable(ctx context.Context, log changelog.Log, id schema.TableID, at changelog.Offset) (changelog.TableAt, error) {
	end := durableEnd(log)
	t, known := log.Catalog().TableAt(id, at)
	if known && t.Answerable() && at <= end && t.From >= log.Bounds().First {
		return t, nil
	}
	e := &UnanswerableError{Table: tableName(log.Catalog(), id), Moment: AtOffset(at).String(), Why: whyNot(log, &t, at)}
	if !known {
		if _, ever := log.Catalog().TableAt(id, end); !ever {
			e.Why = unknownTable(id)
		}
	}
	return t, e.bound(ctx, log, id)
}

// bound names the earliest and latest moment that can be answered.
func (e *UnanswerableError) bound(ctx context.Context, log changelog.Log, id schema.TableID) error {
	end := durableEnd(log)
	for _, s := range stretches(log.Catalog(), id, end) {
		if s.begin < log.Bounds().First {
			continue
		}
		last := end
		if s.until != 0 {
			last = s.until - 1
		}
		var err error
		if e.Earliest.IsZero() {
			if e.Earliest, err = instantOf(ctx, log, s.from); err != nil {
				return err
			}
		}
		if e.Latest, err = instantOf(ctx, log, last); err != nil {
			return err
		}
	}
	return e
}

func whyNot(log changelog.Log, t *changelog.TableAt, at changelog.Offset) string {
	switch {
	case at > durableEnd(log):
		return fmt.Sprintf("the log ends at offset %d", durableEnd(log))
	case t.Table == nil || t.KnownFrom == 0 && t.StateSince == 0:
		return "the table is known only from a later moment"
	case t.KnownFrom != 0 && t.From < log.Bounds().First:
		return "the copy that the table begins with has been trimmed from the log"
	}
	since := fmt.Sprintf("since offset %d", t.StateSince)
	if t.State.Detail != "" {
		since += " (" + t.State.Detail + ")"
	}
	switch t.State.State {
	case changelog.TableUntracked:
		return "the table is not captured " + since
	case changelog.TableDropped:
		return "the table is dropped " + since
	case changelog.TableCopying:
		return "the table is being copied " + since
	case changelog.TableRewritten:
		return "the source rewrote the table without sending its rows, and it has not been copied again " + since
	default:
		return "the table is known only from a later moment"
	}
}

func unknownTable(id schema.TableID) string {
	return fmt.Sprintf("the log holds no table number %d", id)
}

// tableName is the newest name of the table.
func tableName(c *changelog.Catalog, id schema.TableID) string {
	if t, ok := c.TableAt(id, endOfLog); ok {
		return t.Table.FullName()
	}
	return ""
}

// unitAt reads the description of the unit that holds the offset; false when it is not in the log.
func unitAt(ctx context.Context, log changelog.Log, n changelog.Offset) (m changelog.UnitMeta, ok bool, err error) {
	b := log.Bounds()
	if n < b.First || n >= b.Next {
		return m, false, nil
	}
	cursor, err := log.Cursor(changelog.CursorOptions{From: n})
	if err != nil {
		return m, false, fmt.Errorf("open cursor: %w", err)
	}
	defer func() { err = errors.Join(err, cursor.Close()) }()
	u, err := cursor.Next(ctx)
	if errors.Is(err, io.EOF) {
		return m, false, nil
	}
	if err != nil {
		return m, false, fmt.Errorf("read log at offset %d: %w", n, err)
	}
	u.LoadPosition()
	return u.Meta, true, nil
}

// touchAt is the unit that holds the offset, as a touch.
func touchAt(ctx context.Context, log changelog.Log, n changelog.Offset) (Touch, error) {
	m, ok, err := unitAt(ctx, log, n)
	if err != nil || !ok {
		return Touch{Offset: n}, err
	}
	return touchOf(&m), nil
}

// instantOf is the offset with its clock.
func instantOf(ctx context.Context, log changelog.Log, n changelog.Offset) (Instant, error) {
	m, ok, err := unitAt(ctx, log, n)
	if err != nil || !ok {
		return Instant{Offset: n}, err
	}
	return Instant{Offset: n, Clock: m.Clock}, nil
}
