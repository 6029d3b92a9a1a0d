package materialize

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"cdc/schema"
)

// runBlockBytes is the size of the blocks of a sorted run: one of each run is in memory while runs are merged.
const runBlockBytes = 64 << 10

// sortItem is a record to be sorted, with the first bytes of its key at hand.
type sortItem struct {
	prefix uint64
	place  place
}

const sortItemBytes = 16

func sortPrefix(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// sortItems puts the items in the order of their keys, those of equal keys in the order of their rows' bytes.
func (m *rowMap) sortItems(items []sortItem) {
	slices.SortFunc(items, func(a, b sortItem) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		x, y := m.record(a.place), m.record(b.place)
		if c := bytes.Compare(x.key(), y.key()); c != 0 {
			return c
		}
		return bytes.Compare(x.row(), y.row())
	})
}

// sorted is the places of all records in order.
func (m *rowMap) sorted() []sortItem {
	items := make([]sortItem, 0, m.live)
	m.places(func(p place, r record) bool {
		items = append(items, sortItem{prefix: sortPrefix(r.key()), place: p})
		return true
	})
	m.sortItems(items)
	return items
}

// runs are sorted lists of keys and rows in one temporary file.
type runs struct {
	file  *spillFile
	lists []spillList
}

// begin opens the next run.
func (r *runs) begin(dir string) error {
	if r.file == nil {
		file, err := newSpillFile(dir)
		if err != nil {
			return err
		}
		r.file = file
	}
	r.lists = append(r.lists, spillList{})
	return nil
}

// add appends to the open run; key and row must not be before those added to it last.
func (r *runs) add(key, row []byte) error {
	l := &r.lists[len(r.lists)-1]
	b := binary.AppendUvarint(l.buf, uint64(len(key)))
	b = binary.AppendUvarint(b, uint64(len(row)))
	b = append(b, key...)
	l.buf = append(b, row...)
	return l.flush(r.file, runBlockBytes)
}

// end closes the open run.
func (r *runs) end() error {
	l := &r.lists[len(r.lists)-1]
	err := l.flush(r.file, 0)
	l.buf = nil
	return err
}

func (r *runs) Close() error {
	err := r.file.Close()
	r.file, r.lists = nil, nil
	return err
}

// runCursor reads one run.
type runCursor struct {
	reader   spillReader
	rest     []byte
	key, row []byte
}

// next moves to the next pair; io.EOF at the end.
func (c *runCursor) next() error {
	if len(c.rest) == 0 {
		b, err := c.reader.next()
		if err != nil {
			return err
		}
		c.rest = b
	}
	keyLen, n := binary.Uvarint(c.rest)
	if n <= 0 {
		return fmt.Errorf("%w: run", errSpill)
	}
	rowLen, k := binary.Uvarint(c.rest[n:])
	b := c.rest[n+max(k, 0):]
	if k <= 0 || keyLen > uint64(len(b)) || rowLen > uint64(len(b))-keyLen {
		return fmt.Errorf("%w: run", errSpill)
	}
	c.key, c.row, c.rest = b[:keyLen], b[keyLen:keyLen+rowLen], b[keyLen+rowLen:]
	return nil
}

func (c *runCursor) before(o *runCursor) bool {
	if d := bytes.Compare(c.key, o.key); d != 0 {
		return d < 0
	}
	return bytes.Compare(c.row, o.row) < 0
}

// merge streams all runs in order. heap[0] is the cursor with the least pair, which has been handed out when taken is set.
type merge struct {
	heap  []*runCursor
	taken bool
}

func (r *runs) merge() (*merge, error) {
	m := &merge{}
	for i := range r.lists {
		c := &runCursor{reader: spillReader{f: r.file, blocks: r.lists[i].blocks}}
		err := c.next()
		if errors.Is(err, io.EOF) {
			continue
		}
		if err != nil {
			return nil, err
		}
		m.heap = append(m.heap, c)
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	return m, nil
}

// next is the next pair in order, valid until the following call; io.EOF at the end.
func (m *merge) next() (key, row []byte, err error) {
	if m.taken {
		m.taken = false
		err := m.heap[0].next()
		switch {
		case errors.Is(err, io.EOF):
			last := len(m.heap) - 1
			m.heap[0] = m.heap[last]
			m.heap = m.heap[:last]
		case err != nil:
			return nil, nil, err
		}
		if len(m.heap) > 0 {
			m.sink(0)
		}
	}
	if len(m.heap) == 0 {
		return nil, nil, io.EOF
	}
	m.taken = true
	return m.heap[0].key, m.heap[0].row, nil
}

func (m *merge) sink(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(m.heap); child++ {
			if m.heap[child].before(m.heap[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		m.heap[i], m.heap[least] = m.heap[least], m.heap[i]
		i = least
	}
}

// Sorter puts rows of one table version in the order of their keys, in bounded memory. It is for one goroutine.
type Sorter struct {
	table *schema.Table
	dir   string
	limit int64
	arena rowMap // as a store of records only
	items []sortItem
	runs  runs
	key   []byte
}

// NewSorter makes a sorter for rows of t. It must be closed. Of the options, it uses MemoryBytes and SpillDir.
func NewSorter(t *schema.Table, o Options) *Sorter {
	return &Sorter{table: t, dir: o.SpillDir, limit: o.memory()}
}

// Add adds a row, which is copied.
func (s *Sorter) Add(r schema.Row) error {
	key, err := schema.AppendKey(s.key[:0], s.table, r)
	if err != nil {
		return err
	}
	s.key = key
	return s.addPair(key, r.Raw())
}

func (s *Sorter) addPair(key, row []byte) error {
	p := s.arena.write(key, 0, 0, row, 1)
	s.items = append(s.items, sortItem{prefix: sortPrefix(key), place: p})
	if s.arena.memory()+int64(cap(s.items))*sortItemBytes <= s.limit {
		return nil
	}
	return s.writeRun()
}

func (s *Sorter) writeRun() error {
	s.arena.sortItems(s.items)
	if err := s.runs.begin(s.dir); err != nil {
		return err
	}
	for _, item := range s.items {
		r := s.arena.record(item.place)
		if err := s.runs.add(r.key(), r.row()); err != nil {
			return err
		}
	}
	s.arena.clear()
	s.items = s.items[:0]
	return s.runs.end()
}

// pairs ends the adding and streams keys and rows in order.
func (s *Sorter) pairs() (*sortedPairs, error) {
	if len(s.runs.lists) == 0 {
		s.arena.sortItems(s.items)
		return &sortedPairs{sorter: s}, nil
	}
	if err := s.writeRun(); err != nil {
		return nil, err
	}
	m, err := s.runs.merge()
	if err != nil {
		return nil, err
	}
	return &sortedPairs{sorter: s, merge: m}, nil
}

// Rows ends the adding and streams the rows in order. Closing the stream closes the sorter.
func (s *Sorter) Rows() (RowStream, error) {
	pairs, err := s.pairs()
	if err != nil {
		return nil, err
	}
	return &sortedRows{pairs: pairs}, nil
}

// Close removes what the sorter holds.
func (s *Sorter) Close() error {
	s.arena.clear()
	s.items = nil
	return s.runs.Close()
}

// sortedPairs streams what a sorter holds, from memory or from its runs.
type sortedPairs struct {
	sorter *Sorter
	merge  *merge
	taken  int
}

// next is the next pair, valid until the following call; io.EOF at the end.
func (s *sortedPairs) next() (key, row []byte, err error) {
	if s.merge != nil {
		return s.merge.next()
	}
	if s.taken == len(s.sorter.items) {
		return nil, nil, io.EOF
	}
	r := s.sorter.arena.record(s.sorter.items[s.taken].place)
	s.taken++
	return r.key(), r.row(), nil
}

// sortedRows are a sorter's rows as a RowStream.
type sortedRows struct{ pairs *sortedPairs }

// Next implements RowStream.
func (s *sortedRows) Next() ([]byte, schema.Row, error) {
	key, raw, err := s.pairs.next()
	if err != nil {
		return nil, schema.Row{}, err
	}
	row, err := s.pairs.sorter.table.Layout().Row(raw)
	return key, row, err
}

// Close implements RowStream.
func (s *sortedRows) Close() error { return s.pairs.sorter.Close() }
