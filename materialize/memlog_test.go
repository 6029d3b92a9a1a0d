package materialize

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"cdc/changelog"
	"cdc/schema"
)

// memLog is a Log in memory, with every unit durable at once unless hold is set.
type memLog struct {
	mu      sync.Mutex
	catalog *changelog.Catalog
	units   [][]byte
	commits []changelog.Offset
	clocks  map[changelog.SourceID]changelog.Micros
	next    changelog.Offset
	grown   chan struct{} // closed and made anew when the log grows
}

func newMemLog() *memLog {
	return &memLog{
		catalog: changelog.NewCatalog(), clocks: map[changelog.SourceID]changelog.Micros{}, next: 1, grown: make(chan struct{}),
	}
}

var _ changelog.Log = (*memLog)(nil)

func (l *memLog) ID() [16]byte                { return [16]byte{1, 2, 3, 4, 5, 6, 7, 8} }
func (l *memLog) Catalog() *changelog.Catalog { return l.catalog }
func (l *memLog) Close() error                { return nil }

func (l *memLog) Bounds() changelog.Bounds {
	l.mu.Lock()
	defer l.mu.Unlock()
	return changelog.Bounds{First: 1, Next: l.next}
}

func (l *memLog) Append(_ context.Context, u *changelog.UnitBuilder) (changelog.Offset, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u.Meta.First = l.next
	if u.Meta.Kind != changelog.UnitControl {
		u.Meta.Clock = max(u.Meta.Clock, l.clocks[u.Meta.Source])
		l.clocks[u.Meta.Source] = u.Meta.Clock
	}
	b, err := u.AppendUnit(nil)
	if err != nil {
		return 0, err
	}
	if err := l.catalog.Apply(&u.Meta, u.CatalogSection); err != nil {
		return 0, err
	}
	l.units = append(l.units, b)
	l.commits = append(l.commits, u.Meta.Commit())
	l.next = u.Meta.Commit() + 1
	close(l.grown)
	l.grown = make(chan struct{})
	return u.Meta.Commit(), nil
}

func (l *memLog) WaitDurable(ctx context.Context, n changelog.Offset) error {
	for {
		l.mu.Lock()
		done, grown := n < l.next, l.grown
		l.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-grown:
		}
	}
}

func (l *memLog) NewSide() (changelog.SideWriter, error) { return nil, errors.New("no side segments") }

func (l *memLog) Cursor(o changelog.CursorOptions) (changelog.Cursor, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.To == 0 && !o.Follow {
		o.To = l.next - 1
	}
	if o.To == 0 {
		o.To = endOfLog
	}
	at, _ := slices.BinarySearch(l.commits, o.From)
	return &memCursor{log: l, o: o, at: at}, nil
}

type memCursor struct {
	log *memLog
	o   changelog.CursorOptions
	at  int
	u   changelog.Unit
}

func (c *memCursor) Next(ctx context.Context) (*changelog.Unit, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for {
		c.log.mu.Lock()
		units, commits, next := c.log.units, c.log.commits, c.log.next
		c.log.mu.Unlock()
		if c.at < len(units) {
			if commits[c.at] > c.o.To {
				return nil, io.EOF
			}
			if _, err := changelog.DecodeUnit(units[c.at], &c.u); err != nil {
				return nil, err
			}
			c.at++
			if holds, err := c.wanted(); err != nil {
				return nil, err
			} else if !holds { // a cursor may pass over such units, and a reader must not count on them
				continue
			}
			c.u.Attach(c.log.catalog, c.o.Tables, nil)
			return &c.u, nil
		}
		if !c.o.Follow {
			return nil, io.EOF
		}
		if err := c.log.WaitDurable(ctx, next); err != nil {
			return nil, err
		}
	}
}

// wanted reports whether the unit holds a change of the tables that are read.
func (c *memCursor) wanted() (found bool, err error) {
	if c.o.Tables == nil {
		return true, nil
	}
	err = c.u.ChangeVersions(func(v schema.VersionID) {
		t := c.log.catalog.Version(v)
		found = found || t != nil && c.o.Tables.Has(t.ID)
	})
	return found, err
}

func (c *memCursor) Progress() float64 { return float64(c.at) / float64(len(c.log.units)) }
func (c *memCursor) Close() error      { return nil }

func (l *memLog) Search(ctx context.Context, source changelog.SourceID, epoch changelog.Epoch, after func(*changelog.UnitMeta) bool) (changelog.Offset, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var metas []changelog.UnitMeta
	for _, b := range l.units {
		var u changelog.Unit
		if _, err := changelog.DecodeUnit(b, &u); err != nil {
			return 0, err
		}
		u.LoadPosition()
		if u.Meta.Kind != changelog.UnitControl && u.Meta.Source == source && (epoch == 0 || u.Meta.Epoch == epoch) {
			metas = append(metas, u.Meta)
		}
	}
	// A true binary search: callers must not count on being asked about every unit.
	lo, hi := 0, len(metas)
	for lo < hi {
		mid := (lo + hi) / 2
		if after(&metas[mid]) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	if lo == len(metas) {
		return l.next, nil
	}
	return metas[lo].Commit(), nil
}
