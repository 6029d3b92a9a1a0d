package parquet

import (
	"encoding/binary"

	"cdc/changelog"
	"cdc/schema"
)

// queue is changes of one table version that wait, packed one after the other.
type queue struct {
	bytes   []byte
	changes int
}

// waitingChange is a change of a queue.
type waitingChange struct {
	op            changelog.Op
	image         changelog.Image
	offset        changelog.Offset
	commit        changelog.Offset
	time          changelog.Micros
	before, after schema.Row
}

// waitingHeader is what comes before a change's rows: op, image, which rows there are, offset, commit, time, and the rows' sizes.
const waitingHeader = 3 + 3*8 + 2*4

// Bits for which rows there are.
const (
	hasBefore = 1 << iota
	hasAfter
)

// add copies a change.
func (q *queue) add(m *changelog.UnitMeta, c *changelog.Change) {
	var rows byte
	if !c.Before.IsZero() {
		rows |= hasBefore
	}
	if !c.After.IsZero() {
		rows |= hasAfter
	}
	b, le := append(q.bytes, byte(c.Op), byte(c.Image), rows), binary.LittleEndian
	b = le.AppendUint64(b, uint64(c.Offset))
	b = le.AppendUint64(b, uint64(m.Commit()))
	b = le.AppendUint64(b, uint64(m.CommitTime))
	b = le.AppendUint32(b, uint32(len(c.Before.Raw())))
	b = le.AppendUint32(b, uint32(len(c.After.Raw())))
	q.bytes = append(append(b, c.Before.Raw()...), c.After.Raw()...)
	q.changes++
}

// each calls f with the changes in order.
func (q *queue) each(t *schema.Table, f func(*waitingChange) error) error {
	le := binary.LittleEndian
	for b := q.bytes; len(b) > 0; {
		c := waitingChange{
			op: changelog.Op(b[0]), image: changelog.Image(b[1]), offset: changelog.Offset(le.Uint64(b[3:])),
			commit: changelog.Offset(le.Uint64(b[11:])), time: changelog.Micros(le.Uint64(b[19:])),
		}
		rows, before, after := b[2], int(le.Uint32(b[27:])), int(le.Uint32(b[31:]))
		b = b[waitingHeader:]
		var err error
		if rows&hasBefore != 0 {
			if c.before, err = t.Layout().Row(b[:before]); err != nil {
				return err
			}
		}
		if rows&hasAfter != 0 {
			if c.after, err = t.Layout().Row(b[before : before+after]); err != nil {
				return err
			}
		}
		b = b[before+after:]
		if err := f(&c); err != nil {
			return err
		}
	}
	return nil
}

// reset empties the queue. Its memory is let go: tables that have much at once take turns.
func (q *queue) reset() { *q = queue{} }
