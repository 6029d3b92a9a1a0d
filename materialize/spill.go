package materialize

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// spillFile is a temporary file of checksummed blocks. It has no name from the start, so that nothing is left behind whatever ends
// the process. It is for one goroutine.
type spillFile struct {
	f  *os.File
	at int64
}

// spillBlock is where a block lies.
type spillBlock struct {
	at   int64
	size int
	sum  uint32
}

var errSpill = errors.New("temporary file does not hold what was written to it")

var spillSums = crc32.MakeTable(crc32.Castagnoli)

func newSpillFile(dir string) (*spillFile, error) {
	f, err := os.CreateTemp(dir, "cdc-spill-*")
	if err != nil {
		return nil, fmt.Errorf("create temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("unlink temporary file: %w", err), f.Close())
	}
	return &spillFile{f: f}, nil
}

func (s *spillFile) write(b []byte) (spillBlock, error) {
	block := spillBlock{at: s.at, size: len(b), sum: crc32.Checksum(b, spillSums)}
	if _, err := s.f.WriteAt(b, s.at); err != nil {
		return spillBlock{}, fmt.Errorf("write temporary file: %w", err)
	}
	s.at += int64(len(b))
	return block, nil
}

// read reads a block into buf, which it grows when it must.
func (s *spillFile) read(block spillBlock, buf []byte) ([]byte, error) {
	if cap(buf) < block.size {
		buf = make([]byte, block.size)
	}
	buf = buf[:block.size]
	if _, err := s.f.ReadAt(buf, block.at); err != nil {
		return nil, fmt.Errorf("read temporary file: %w", err)
	}
	if crc32.Checksum(buf, spillSums) != block.sum {
		return nil, fmt.Errorf("%w: block at %d", errSpill, block.at)
	}
	return buf, nil
}

func (s *spillFile) Close() error {
	if s == nil {
		return nil
	}
	return s.f.Close()
}

// spillList is a list of entries in a spillFile: whole entries are gathered into blocks.
type spillList struct {
	blocks []spillBlock
	buf    []byte
}

// flush writes what has been gathered once it is at least least bytes.
func (l *spillList) flush(f *spillFile, least int) error {
	if len(l.buf) == 0 || len(l.buf) < least {
		return nil
	}
	block, err := f.write(l.buf)
	if err != nil {
		return err
	}
	l.blocks = append(l.blocks, block)
	l.buf = l.buf[:0]
	return nil
}

// spillReader reads a list back, block by block.
type spillReader struct {
	f      *spillFile
	blocks []spillBlock
	buf    []byte
}

// next is the next block; it is valid until the following call.
func (r *spillReader) next() ([]byte, error) {
	if len(r.blocks) == 0 {
		return nil, io.EOF
	}
	b, err := r.f.read(r.blocks[0], r.buf)
	if err != nil {
		return nil, err
	}
	r.blocks, r.buf = r.blocks[1:], b
	return b, nil
}
