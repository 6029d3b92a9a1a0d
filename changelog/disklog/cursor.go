package disklog

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cdc/changelog"
	"cdc/schema"
)

// cursor reads units in order. See changelog.Cursor.
type cursor struct {
	l        *Log
	o        changelog.CursorOptions
	from, to changelog.Offset
	at       changelog.Offset // the next unit's first offset
	wanted   changelog.Offset // units that end before it are passed over
	units    *unitsReader     // of the segment that holds at; nil before the first read and between segments
	raw      []byte           // of the current frame, from the next unit on
	unit     changelog.Unit
	versions versions
	side     sideReader
	closed   bool
}

var (
	_ changelog.Cursor     = (*cursor)(nil)
	_ changelog.Progressor = (*cursor)(nil)
)

// maxOffset stands for no end.
const maxOffset = ^changelog.Offset(0)

// Cursor implements changelog.Log.
func (l *Log) Cursor(o changelog.CursorOptions) (changelog.Cursor, error) {
	if l.o.ReadOnly {
		if err := l.refresh(); err != nil {
			return nil, err
		}
	}
	bounds := l.Bounds()
	c := &cursor{l: l, o: o, from: o.From, to: o.To, versions: versions{catalog: l.catalog}, side: sideReader{l: l}}
	if c.from == 0 {
		c.from = bounds.First
	}
	if c.from < bounds.First {
		return nil, fmt.Errorf("open cursor at offset %d, the first is %d: %w", c.from, bounds.First, changelog.ErrTrimmed)
	}
	if c.to == 0 {
		c.to = maxOffset
		if !o.Follow {
			c.to = bounds.Next - 1
		}
	}
	c.at = c.from
	return c, nil
}

// Next implements changelog.Cursor.
func (c *cursor) Next(ctx context.Context) (*changelog.Unit, error) {
	if c.closed {
		return nil, errors.New("read log: cursor is closed")
	}
	for {
		if len(c.raw) == 0 {
			if err := c.nextFrame(ctx); err != nil {
				return nil, err
			}
		}
		u := &c.unit
		size, err := changelog.DecodeUnit(c.raw, u)
		if err == nil && u.Meta.First != c.at {
			err = fmt.Errorf("%w: a unit of offset %d where %d is next", changelog.ErrUnit, u.Meta.First, c.at)
		}
		if err != nil {
			return nil, c.broken(c.units.corrupt(err))
		}
		if u.Meta.Commit() > c.to {
			return nil, io.EOF
		}
		wanted := u.Meta.Commit() >= c.wanted
		if wanted {
			if err := c.side.attach(u, &c.versions, c.o.Tables); err != nil {
				return nil, c.broken(err)
			}
		}
		c.raw = c.raw[size:]
		c.at += changelog.Offset(u.Meta.Count)
		if wanted {
			return u, nil
		}
	}
}

// nextFrame reads the next frame that is durable and within the cursor's end; io.EOF when there is none.
func (c *cursor) nextFrame(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.at > c.to {
			return io.EOF
		}
		ready, err := c.ready(ctx)
		if err != nil {
			return err
		}
		if !ready {
			continue
		}
		raw, err := c.units.read(c.at)
		if err != nil {
			return c.broken(err)
		}
		if raw == nil {
			if c.units.at > c.at { // blocks passed over
				c.at = c.units.at
			}
			if err := c.leave(); err != nil {
				return err
			}
			continue
		}
		// The frame may begin before the unit wanted: with others, or with those read already when the form has changed.
		c.raw, c.wanted, c.at = raw, c.at, c.units.first
		return nil
	}
}

// ready turns to the segment that holds c.at and reports whether anything may be read there; else it has waited for a change.
func (c *cursor) ready(ctx context.Context) (bool, error) {
	if u := c.units; u != nil && (u.sealed() || u.pos < u.limit) {
		return true, nil
	}
	c.l.mu.Lock()
	durable, closing := c.l.durable, c.l.closing
	s := c.l.segments[c.l.segmentAt(c.at)]
	damage, end := s.damage, s.next
	changed := c.l.changed.wait()
	c.l.mu.Unlock()
	switch {
	case c.at >= durable && !c.o.Follow:
		return false, io.EOF
	case c.at >= durable && closing:
		return false, changelog.ErrClosed
	case c.at >= durable:
		return false, c.l.await(ctx, changed)
	case c.units != nil && c.units.s == s:
		c.units.extend()
		if err := c.pastEnd(end, damage); err != nil || c.units.pos < c.units.limit {
			return err == nil, err
		}
		return false, c.leave() // it has been sealed: the rest is in the other form
	}
	if err := c.leave(); err != nil {
		return false, err
	}
	var err error
	if c.units, err = c.l.openUnits(s, c.at); err != nil {
		return false, err
	}
	c.units.tables = c.o.Tables
	if !c.units.sealed() && c.units.pos >= c.units.limit {
		return false, c.pastEnd(c.at, damage)
	}
	return true, c.pastEnd(end, damage)
}

// pastEnd is the error for an offset that the log has given and its segment does not hold.
func (c *cursor) pastEnd(end changelog.Offset, damage error) error {
	if c.at < end {
		return nil
	}
	if damage != nil {
		return damage
	}
	return &changelog.CorruptError{File: c.units.r.Name(), Offset: c.at, What: "the segment ends before the next one begins"}
}

// leave closes the segment being read.
func (c *cursor) leave() error {
	if c.units == nil {
		return nil
	}
	err := c.units.close()
	c.units, c.raw = nil, nil
	return err
}

// broken is an error of reading at c.at, where the next call reads again: units behind damage are not to be had by asking twice.
func (c *cursor) broken(err error) error { return errors.Join(err, c.leave()) }

// Close implements changelog.Cursor.
func (c *cursor) Close() error {
	c.closed = true
	return errors.Join(c.leave(), c.side.close())
}

// Progress implements changelog.Progressor.
func (c *cursor) Progress() float64 {
	to := c.to
	if to == maxOffset {
		to = c.l.Bounds().Next - 1
	}
	if c.at > to || to < c.from {
		return 1
	}
	return float64(c.at-c.from) / float64(to-c.from+1)
}

// versions is the catalog's table versions without its lock for those seen before.
type versions struct {
	catalog *changelog.Catalog
	known   []*schema.Table
}

// Version implements changelog.Versions.
func (v *versions) Version(id schema.VersionID) *schema.Table {
	if int(id) < len(v.known) && v.known[id] != nil {
		return v.known[id]
	}
	t := v.catalog.Version(id)
	if t == nil {
		return nil
	}
	for int(id) >= len(v.known) {
		v.known = append(v.known, nil)
	}
	v.known[id] = t
	return t
}
