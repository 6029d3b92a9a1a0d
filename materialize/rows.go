package materialize

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"

	"cdc/changelog"
	"cdc/schema"
)

// RowStream yields rows one by one, each with its key as schema.AppendKey writes it. It is for one goroutine.
type RowStream interface {
	// Next returns io.EOF at the end. Key and row are valid until the following call.
	Next() (key []byte, r schema.Row, err error)
	Close() error
}

// OrderedRows is a stream over one request's rows in the order of their keys, to be compared with another. The key is that of the
// whole row, whatever columns are asked for. It must be closed.
func OrderedRows(ctx context.Context, log changelog.Log, q Request, o Options) RowStream {
	o.Ordered, o.keepKeys = true, true
	s := &batchRows{}
	s.pull, s.stop = iter.Pull(func(yield func(*Batch) bool) {
		err := Tables(ctx, log, []Request{q}, o, func(b *Batch) error {
			if !yield(b) {
				return errStopped
			}
			return nil
		})
		if !errors.Is(err, errStopped) {
			s.err = err
		}
	})
	return s
}

var errStopped = errors.New("the reader went away")

// batchRows takes rows out of batches that it pulls.
type batchRows struct {
	pull  func() (*Batch, bool)
	stop  func()
	err   error
	batch *Batch
	next  int
}

// Next implements RowStream.
func (s *batchRows) Next() ([]byte, schema.Row, error) {
	for s.batch == nil || s.next == s.batch.Len() {
		var ok bool
		if s.batch, ok = s.pull(); !ok {
			s.batch = nil
			if s.err != nil {
				return nil, schema.Row{}, s.err
			}
			return nil, schema.Row{}, io.EOF
		}
		s.next = 0
	}
	s.next++
	return s.batch.key(s.next - 1), s.batch.Row(s.next - 1), nil
}

// Close implements RowStream.
func (s *batchRows) Close() error {
	s.stop()
	return s.err
}

// Comparison counts how two ordered streams of rows differ.
type Comparison struct {
	// Equal rows, rows only in the left or only in the right stream, and rows whose keys agree and whose values do not.
	Equal, OnlyLeft, OnlyRight, Different uint64
	Left, Right                           Checksum
}

// Same reports whether both streams held the same rows.
func (c *Comparison) Same() bool { return c.OnlyLeft == 0 && c.OnlyRight == 0 && c.Different == 0 }

// CompareRows merges two streams of rows of t, in order, and calls emit (nil: not) with the first limit differences, all when it
// is negative; Before is of the left stream, After of the right. Rows are the same when their checksums are. It closes neither.
func CompareRows(t *schema.Table, left, right RowStream, limit int, emit func(*DiffRow) error) (Comparison, error) {
	m := merger{table: t, left: side{rows: left, sums: true}, right: side{rows: right, sums: true}}
	var c Comparison
	for {
		d, err := m.next()
		if err != nil {
			return c, err
		}
		if d == nil {
			c.Left, c.Right = m.left.sum, m.right.sum
			return c, nil
		}
		switch d.Kind {
		case Added:
			c.OnlyRight++
		case Removed:
			c.OnlyLeft++
		case Modified:
			c.Different++
		default:
			c.Equal++
			continue
		}
		if emit == nil || limit == 0 {
			continue
		}
		if limit > 0 {
			limit--
		}
		if err := emit(d); err != nil {
			return c, err
		}
	}
}

// merger pairs the rows of two ordered streams.
type merger struct {
	table       *schema.Table
	left, right side
	diff        DiffRow
	columns     []int
}

// side is one stream of a merger with the row that it stands at.
type side struct {
	rows   RowStream
	key    []byte
	row    schema.Row
	sum    Checksum
	sums   bool // whether sum is wanted
	loaded bool
	ended  bool
}

func (s *side) load(t *schema.Table) error {
	if s.loaded || s.ended {
		return nil
	}
	var err error
	s.key, s.row, err = s.rows.Next()
	if errors.Is(err, io.EOF) {
		s.ended = true
		return nil
	}
	if err != nil {
		return err
	}
	s.loaded = true
	if s.sums {
		s.sum.Add(t, s.row)
	}
	return nil
}

// next is the next pair, of Kind 0 when both are the same; nil at the end.
func (m *merger) next() (*DiffRow, error) {
	if err := errors.Join(m.left.load(m.table), m.right.load(m.table)); err != nil {
		return nil, err
	}
	if m.left.ended && m.right.ended {
		return nil, nil
	}
	order := m.order()
	m.diff = DiffRow{Table: m.table}
	if order <= 0 {
		m.diff.Before, m.left.loaded = m.left.row, false
	}
	if order >= 0 {
		m.diff.After, m.right.loaded = m.right.row, false
	}
	switch {
	case order < 0:
		m.diff.Kind = Removed
	case order > 0:
		m.diff.Kind = Added
	default:
		m.columns = differing(m.columns[:0], m.table, m.left.row, m.right.row)
		if m.diff.Columns = m.columns; len(m.columns) > 0 {
			m.diff.Kind = Modified
		}
	}
	return &m.diff, nil
}

func (m *merger) order() int {
	switch {
	case m.left.ended:
		return 1
	case m.right.ended:
		return -1
	}
	if c := bytes.Compare(m.left.key, m.right.key); c != 0 || len(m.table.KeyColumns()) > 0 {
		return c
	}
	if m.columns = differing(m.columns[:0], m.table, m.left.row, m.right.row); len(m.columns) == 0 {
		return 0
	}
	return bytes.Compare(m.left.row.Raw(), m.right.row.Raw()) // nothing but the whole row tells them apart
}

// differing appends the indexes of the columns in which the rows, of the same version, differ.
func differing(dst []int, t *schema.Table, a, b schema.Row) []int {
	for i := range t.Columns {
		if a.State(i) != b.State(i) || a.State(i) == schema.Present && !sameValue(&t.Columns[i], a, b, i) {
			dst = append(dst, i)
		}
	}
	return dst
}

// sameValue compares decimals by value, takes all NaNs for the same, as a Checksum does, and compares all else by its bytes.
func sameValue(c *schema.Column, a, b schema.Row, i int) bool {
	x, y := a.Value(i), b.Value(i)
	if bytes.Equal(x, y) {
		return true
	}
	switch c.Kind {
	case schema.Decimal:
		return schema.CompareDecimal(x, y) == 0
	case schema.Float32:
		return a.Float32(i) != a.Float32(i) && b.Float32(i) != b.Float32(i)
	case schema.Float64:
		return a.Float64(i) != a.Float64(i) && b.Float64(i) != b.Float64(i)
	default:
		return false
	}
}
