package materialize

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// rowStore is a rowMap that spills. In memory it answers at once. Once spilled it writes what is asked of it to a partition of a
// temporary file, by hash of the key, and finish plays each partition into a store of its own, which may spill in turn. Marks go
// the same way: at each one the visitor sees every row as it was then, store by store.
type rowStore struct {
	rows  rowMap
	depth int // how often the keys have been partitioned already
	limit int64
	dir   string
	visit func(mark uint64, s *rowStore) error

	file  *spillFile
	parts []spillList
}

// Partitions of a spill.
const (
	partitionBits = 6
	partitions    = 1 << partitionBits
	// maxSpillDepth bounds how often partitions are partitioned; deeper, rows stay in memory. It is past any disk.
	maxSpillDepth = 4
	// Blocks of a partition, in bytes.
	minPartitionBlock = 4 << 10
	maxPartitionBlock = 256 << 10
)

// Entries of a partition: the op, and for all but clear and mark the version, the count, the lengths of key and row and both.
const (
	entryPut byte = iota + 1
	entryAdd
	entryDrop
	entryRemove
	entryClear
	entryMark
)

func newRowStore(seed uint64, o *Options, visit func(uint64, *rowStore) error) *rowStore {
	return &rowStore{rows: rowMap{seed: seed}, limit: o.memory(), dir: o.SpillDir, visit: visit}
}

func (s *rowStore) spilled() bool { return s.file != nil }

// memory is the bytes held.
func (s *rowStore) memory() int64 {
	if !s.spilled() {
		return s.rows.memory()
	}
	n := int64(0)
	for i := range s.parts {
		n += int64(cap(s.parts[i].buf))
	}
	return n
}

func (s *rowStore) put(key []byte, version uint32, row []byte) error {
	hash := s.rows.hash(key)
	if s.spilled() {
		return s.entry(entryPut, hash, version, 1, key, row)
	}
	s.rows.put(key, hash, version, row)
	return nil
}

func (s *rowStore) add(key []byte, version uint32, row []byte, n uint32) error {
	hash := s.rows.hash(key)
	if s.spilled() {
		return s.entry(entryAdd, hash, version, n, key, row)
	}
	s.rows.add(key, hash, version, row, n)
	return nil
}

func (s *rowStore) drop(key []byte, n uint32) error {
	hash := s.rows.hash(key)
	if s.spilled() {
		return s.entry(entryDrop, hash, 0, n, key, nil)
	}
	s.rows.drop(key, hash, n)
	return nil
}

func (s *rowStore) remove(key []byte) error {
	hash := s.rows.hash(key)
	if s.spilled() {
		return s.entry(entryRemove, hash, 0, 0, key, nil)
	}
	s.rows.remove(key, hash)
	return nil
}

func (s *rowStore) clear() error {
	if s.spilled() {
		return s.everywhere(entryClear, 0)
	}
	s.rows.clear()
	return nil
}

// mark shows the rows as they are at this place of the sequence to the visitor: at once, or when finish comes by.
func (s *rowStore) mark(id uint64) error {
	if s.spilled() {
		return s.everywhere(entryMark, id)
	}
	return s.visit(id, s)
}

func (s *rowStore) entry(op byte, hash uint64, version, count uint32, key, row []byte) error {
	part := &s.parts[hash>>(32+partitionBits*s.depth)&(partitions-1)]
	b := append(part.buf, op)
	b = binary.AppendUvarint(b, uint64(version))
	b = binary.AppendUvarint(b, uint64(count))
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = binary.AppendUvarint(b, uint64(len(row)))
	b = append(b, key...)
	part.buf = append(b, row...)
	return part.flush(s.file, s.blockBytes())
}

func (s *rowStore) everywhere(op byte, id uint64) error {
	for i := range s.parts {
		part := &s.parts[i]
		part.buf = binary.AppendUvarint(append(part.buf, op), id)
		if err := part.flush(s.file, s.blockBytes()); err != nil {
			return err
		}
	}
	return nil
}

func (s *rowStore) blockBytes() int {
	return int(min(max(s.limit/partitions/4, minPartitionBlock), maxPartitionBlock))
}

// spill moves the rows to a temporary file.
func (s *rowStore) spill() error {
	if s.spilled() || s.depth >= maxSpillDepth {
		return nil
	}
	file, err := newSpillFile(s.dir)
	if err != nil {
		return err
	}
	s.file, s.parts = file, make([]spillList, partitions)
	s.rows.each(func(r record) bool {
		err = s.entry(entryAdd, s.rows.hash(r.key()), r.version(), r.count(), r.key(), r.row())
		return err == nil
	})
	s.rows.clear()
	return err
}

// finish plays what was spilled, partition by partition. The store is closed afterwards.
func (s *rowStore) finish(ctx context.Context) error {
	if !s.spilled() {
		s.rows.clear()
		return nil
	}
	for i := range s.parts {
		if err := s.parts[i].flush(s.file, 0); err != nil {
			return err
		}
		s.parts[i].buf = nil
	}
	for i := range s.parts {
		if err := s.play(ctx, s.parts[i].blocks); err != nil {
			return err
		}
	}
	return s.close()
}

func (s *rowStore) play(ctx context.Context, blocks []spillBlock) (err error) {
	child := &rowStore{rows: rowMap{seed: s.rows.seed}, depth: s.depth + 1, limit: s.limit, dir: s.dir, visit: s.visit}
	defer func() { err = errors.Join(err, child.close()) }()
	reader := spillReader{f: s.file, blocks: blocks}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		block, err := reader.next()
		if errors.Is(err, io.EOF) {
			return child.finish(ctx)
		}
		if err != nil {
			return err
		}
		if err := child.playBlock(block); err != nil {
			return err
		}
		if child.memory() > child.limit && child.rows.live > 1 { // one key cannot be partitioned
			if err := child.spill(); err != nil {
				return err
			}
		}
	}
}

func (s *rowStore) playBlock(b []byte) error {
	for len(b) > 0 {
		op := b[0]
		var err error
		if op == entryClear || op == entryMark {
			id, n := binary.Uvarint(b[1:])
			if n <= 0 {
				return fmt.Errorf("%w: mark", errSpill)
			}
			b = b[1+n:]
			if op == entryClear {
				err = s.clear()
			} else {
				err = s.mark(id)
			}
		} else {
			b, err = s.playEntry(op, b[1:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *rowStore) playEntry(op byte, b []byte) ([]byte, error) {
	var head [4]uint64
	for i := range head {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, fmt.Errorf("%w: entry", errSpill)
		}
		head[i], b = v, b[n:]
	}
	version, count, keyLen, rowLen := uint32(head[0]), uint32(head[1]), head[2], head[3]
	if keyLen > uint64(len(b)) || rowLen > uint64(len(b))-keyLen {
		return nil, fmt.Errorf("%w: entry longer than its block", errSpill)
	}
	key, row, rest := b[:keyLen], b[keyLen:keyLen+rowLen], b[keyLen+rowLen:]
	switch op {
	case entryPut:
		return rest, s.put(key, version, row)
	case entryAdd:
		return rest, s.add(key, version, row, count)
	case entryDrop:
		return rest, s.drop(key, count)
	case entryRemove:
		return rest, s.remove(key)
	}
	return nil, fmt.Errorf("%w: op %d", errSpill, op)
}

// close gives back what the store holds. It may be called more than once.
func (s *rowStore) close() error {
	file := s.file
	s.file, s.parts = nil, nil
	s.rows.clear()
	return file.Close()
}
