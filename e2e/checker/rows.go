package checker

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Marks in a canonical record; no text of a database holds them.
const (
	fieldEnd = '\x00'
	nullMark = '\x01'
)

// Digest stands for the rows of a table, whatever their order.
type Digest struct {
	// Header is the first record.
	Header string
	Rows   int64
	Sum    [2]uint64
}

// String is for messages.
func (d Digest) String() string {
	return fmt.Sprintf("%d rows, checksum %016x%016x, columns %s", d.Rows, d.Sum[0], d.Sum[1], readable(d.Header))
}

// DigestCSV reads CSV with a header, in which an empty cell without quotes is
// null.
func DigestCSV(r io.Reader) (Digest, error) {
	var d Digest
	err := eachRecord(r, func(n int, record []byte) {
		if n == 0 {
			d.Header = string(record)
			return
		}
		d.Rows++
		sum := sha256.Sum256(record)
		d.Sum[0] += binary.BigEndian.Uint64(sum[:])
		d.Sum[1] += binary.BigEndian.Uint64(sum[8:])
	})
	return d, err
}

// DiffCSV names up to limit rows that only one side has, - for want and + for
// got, the header being one of them.
func DiffCSV(want, got io.Reader, limit int) ([]string, error) {
	count := map[string]int{}
	note := func(by int) func(int, []byte) {
		return func(_ int, record []byte) { count[string(record)] += by }
	}
	err := errors.Join(eachRecord(want, note(-1)), eachRecord(got, note(1)))
	var lines []string
	for record, n := range count {
		sign := "+ "
		if n < 0 {
			sign, n = "- ", -n
		}
		for range n {
			lines = append(lines, sign+readable(record))
		}
	}
	slices.SortFunc(lines, func(a, b string) int {
		if order := strings.Compare(a[2:], b[2:]); order != 0 {
			return order
		}
		return strings.Compare(b, a)
	})
	return lines[:min(limit, len(lines))], err
}

// cellShown is how much of a cell is worth showing.
const cellShown = 60

func readable(record string) string {
	cells := strings.Split(strings.TrimSuffix(record, string(fieldEnd)), string(fieldEnd))
	for i, cell := range cells {
		switch {
		case cell == string(nullMark):
			cells[i] = "null"
		case len(cell) > cellShown:
			cells[i] = fmt.Sprintf("%q… (%d bytes)", cell[:cellShown], len(cell))
		default:
			cells[i] = fmt.Sprintf("%q", cell)
		}
	}
	return strings.Join(cells, " ")
}

var errCSV = errors.New("text is not CSV")

// eachRecord calls f with each record in canonical form, valid for that call.
func eachRecord(r io.Reader, f func(n int, record []byte)) error {
	in := bufio.NewReaderSize(r, 1<<16)
	p := recordParser{}
	for n := 0; ; {
		b, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			if p.inQuotes || len(p.record) > 0 || p.cell > 0 || p.quoted {
				return fmt.Errorf("%w: it ends within record %d", errCSV, n)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if p.add(b) {
			f(n, p.record)
			p.record = p.record[:0]
			n++
		}
	}
}

// recordParser makes canonical records of bytes: each cell ends with fieldEnd.
type recordParser struct {
	record []byte
	cell   int // bytes of the open cell
	// quoted says that the cell began with a quote, inQuotes that it has not
	// ended, closed that the last byte was a quote within it.
	quoted, inQuotes, closed bool
}

// add takes a byte and reports whether it ends the record.
func (p *recordParser) add(b byte) bool {
	if p.inQuotes && b != '"' {
		p.put(b)
		return false
	}
	switch {
	case b == '"' && p.inQuotes:
		p.inQuotes, p.closed = false, true
	case b == '"' && p.closed: // a doubled quote
		p.inQuotes, p.closed = true, false
		p.put(b)
	case b == '"' && p.cell == 0:
		p.quoted, p.inQuotes = true, true
	case b == ',':
		p.endCell()
	case b == '\n':
		p.endCell()
		return true
	default:
		p.put(b)
	}
	return false
}

func (p *recordParser) put(b byte) {
	p.record = append(p.record, b)
	p.cell++
}

func (p *recordParser) endCell() {
	if p.cell == 0 && !p.quoted {
		p.record = append(p.record, nullMark)
	}
	p.record = append(p.record, fieldEnd)
	p.cell, p.quoted, p.inQuotes, p.closed = 0, false, false, false
}
