package materialize

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cdc/changelog"
)

// commitBefore is the last commit at or before the offset, zero when there is none.
func commitBefore(ctx context.Context, log changelog.Log, n changelog.Offset) (changelog.Offset, error) {
	b := log.Bounds()
	if n+1 <= b.First || n+1 >= b.Next {
		return min(n, b.Next-1), nil // units end at both places
	}
	m, ok, err := unitAt(ctx, log, n)
	if err != nil {
		return 0, err
	}
	if !ok || m.Commit() == n {
		return n, nil
	}
	return m.First - 1, nil // the log is dense: the unit before ends there
}

// lastUnit is the last unit of the source (in the epoch, unless it is 0) whose commit is at or before the offset; false when
// there is none. Log.Search finds the first unit after a place only; the last before it is found by halving, helped by what
// Search asks about on its way.
func lastUnit(ctx context.Context, log changelog.Log, source changelog.SourceID, epoch changelog.Epoch, n changelog.Offset) (changelog.UnitMeta, bool, error) {
	n = min(n, durableEnd(log))
	if p := log.Catalog().Progress(source); p.Commit != 0 && p.Commit <= n { // most questions are about the end
		m, ok, err := unitAt(ctx, log, p.Commit)
		if err != nil || ok && (epoch == 0 || m.Epoch == epoch) {
			return m, ok, err
		}
	}
	var best changelog.Offset // the last commit seen that is not after n
	from := func(least changelog.Offset) (changelog.Offset, error) {
		found, err := log.Search(ctx, source, epoch, func(m *changelog.UnitMeta) bool {
			if c := m.Commit(); c <= n {
				best = max(best, c)
			}
			return m.Commit() >= least
		})
		if err != nil {
			return 0, fmt.Errorf("search log: %w", err)
		}
		if found <= n && found < log.Bounds().Next {
			best = max(best, found)
		}
		return found, nil
	}
	if _, err := from(n + 1); err != nil {
		return changelog.UnitMeta{}, false, err
	}
	for high := n + 1; best+1 < high; { // no unit of the source commits in [high, n]
		next, err := from(best + 1)
		if err != nil {
			return changelog.UnitMeta{}, false, err
		}
		if next > n {
			break
		}
		middle := best + (high-best)/2
		if next, err = from(middle); err != nil {
			return changelog.UnitMeta{}, false, err
		}
		if next > n {
			high = middle
		}
	}
	if best == 0 {
		return changelog.UnitMeta{}, false, nil
	}
	return unitAt(ctx, log, best)
}

// cancelEvery is how many changes are read between two looks at the context: one unit can hold a whole table.
const cancelEvery = 1 << 10

// eachChange calls f with every change of the unit. The change is valid until f returns.
func eachChange(ctx context.Context, u *changelog.Unit, f func(*changelog.Change) error) error {
	var c changelog.Change
	for n := 0; ; n++ {
		if n%cancelEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		ok, err := u.Next(&c)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if !ok {
			return nil
		}
		if err := f(&c); err != nil {
			return err
		}
	}
}

// eachUnit calls f with every unit of a stretch of the log.
func eachUnit(ctx context.Context, log changelog.Log, o changelog.CursorOptions, f func(*changelog.Unit) error) error {
	cursor, err := log.Cursor(o)
	if err != nil {
		return fmt.Errorf("open cursor: %w", err)
	}
	return readUnits(ctx, cursor, f)
}

// readUnits calls f with every unit that the cursor reads, and closes it.
func readUnits(ctx context.Context, cursor changelog.Cursor, f func(*changelog.Unit) error) (err error) {
	defer func() { err = errors.Join(err, cursor.Close()) }()
	for {
		u, err := cursor.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if err := f(u); err != nil {
			return err
		}
	}
}
