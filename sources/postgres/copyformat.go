package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"cdc/schema"
)

// rowSink takes packed rows of a table. The row is reused after the call.
type rowSink func(t *schema.Table, row []byte) error

// copyReader packs the rows of a COPY … TO STDOUT as they arrive. It is an io.Writer for the client library, which gives it one
// message after the other.
type copyReader struct {
	table   *schema.Table
	decode  []decoder
	binary  bool
	sink    rowSink
	rows    int64
	bytes   int64
	builder schema.Builder
	packed  []byte
	// rest holds the beginning of a row that a message cut, started whether the header has been read, ended the end.
	rest           []byte
	started, ended bool
	field          []byte
}

var (
	errCopy       = errors.New("bytes are not a COPY stream")
	copySignature = []byte("PGCOPY\n\xff\r\n\x00")
)

// Write takes the next piece.
func (c *copyReader) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	data := p
	if len(c.rest) > 0 {
		c.rest = append(c.rest, p...)
		data = c.rest
	}
	var used int
	var err error
	if c.binary {
		used, err = c.readBinary(data)
	} else {
		used, err = c.readText(data)
	}
	if err != nil {
		return 0, fmt.Errorf("copy %s: %w", c.table.FullName(), err)
	}
	c.rest = append(c.rest[:0], data[used:]...)
	return len(p), nil
}

// finish says whether the stream came to its end.
func (c *copyReader) finish() error {
	if len(c.rest) != 0 || c.binary && !c.ended {
		return fmt.Errorf("copy %s: %w: it ends within a row", c.table.FullName(), errCopy)
	}
	return nil
}

// readBinary packs all whole rows of data and returns the bytes used.
func (c *copyReader) readBinary(data []byte) (used int, err error) {
	if !c.started {
		const fixed = 11 + 4 + 4
		if len(data) < fixed {
			return 0, nil
		}
		extra := int(binary.BigEndian.Uint32(data[15:]))
		if !bytes.HasPrefix(data, copySignature) || extra > maxMessageBytes {
			return 0, errCopy
		}
		if len(data) < fixed+extra {
			return 0, nil
		}
		used, c.started = fixed+extra, true
	}
	for !c.ended {
		n, err := c.binaryRow(data[used:])
		if n == 0 || err != nil {
			return used, err
		}
		used += n
	}
	if used != len(data) {
		return used, fmt.Errorf("%w: bytes after its end", errCopy)
	}
	return used, nil
}

// binaryRow packs the row at the front of data; 0 means that it is not whole.
func (c *copyReader) binaryRow(data []byte) (int, error) {
	if len(data) < 2 {
		return 0, nil
	}
	count := int16(binary.BigEndian.Uint16(data))
	if count == -1 {
		c.ended = true
		return 2, nil
	}
	if int(count) != len(c.decode) {
		return 0, fmt.Errorf("%w: %d columns instead of %d", errCopy, count, len(c.decode))
	}
	at := 2
	c.builder.Reset(c.table.Layout(), c.packed[:0])
	for i, decode := range c.decode {
		if len(data)-at < 4 {
			return 0, nil
		}
		size := int32(binary.BigEndian.Uint32(data[at:]))
		at += 4
		if size == -1 {
			c.builder.Null(i)
			continue
		}
		if size < 0 {
			return 0, errCopy
		}
		if len(data)-at < int(size) {
			return 0, nil
		}
		if err := decode(&c.builder, i, data[at:at+int(size)]); err != nil {
			return 0, fmt.Errorf("column %q: %w", c.table.Columns[i].Name, err)
		}
		at += int(size)
	}
	return at, c.emit()
}

// readText packs all whole lines of data and returns the bytes used.
func (c *copyReader) readText(data []byte) (used int, err error) {
	for {
		end := bytes.IndexByte(data[used:], '\n')
		if end < 0 {
			return used, nil
		}
		if err := c.textRow(data[used : used+end]); err != nil {
			return used, err
		}
		used += end + 1
	}
}

func (c *copyReader) textRow(line []byte) error {
	c.builder.Reset(c.table.Layout(), c.packed[:0])
	for i, decode := range c.decode {
		field := line
		end := bytes.IndexByte(line, '\t')
		if last := i == len(c.decode)-1; last != (end < 0) {
			return fmt.Errorf("%w: a line without %d columns", errCopy, len(c.decode))
		}
		if end >= 0 {
			field, line = line[:end], line[end+1:]
		}
		if string(field) == `\N` {
			c.builder.Null(i)
			continue
		}
		if err := decode(&c.builder, i, c.unescape(field)); err != nil {
			return fmt.Errorf("column %q: %w", c.table.Columns[i].Name, err)
		}
	}
	return c.emit()
}

// unescape undoes the escapes of COPY's text form. The result is valid until the next call.
func (c *copyReader) unescape(field []byte) []byte {
	if bytes.IndexByte(field, '\\') < 0 {
		return field
	}
	c.field = c.field[:0]
	for i := 0; i < len(field); i++ {
		b := field[i]
		if b == '\\' && i+1 < len(field) {
			i++
			switch b = field[i]; b {
			case 'b':
				b = '\b'
			case 'f':
				b = '\f'
			case 'n':
				b = '\n'
			case 'r':
				b = '\r'
			case 't':
				b = '\t'
			case 'v':
				b = '\v'
			}
		}
		c.field = append(c.field, b)
	}
	return c.field
}

func (c *copyReader) emit() error {
	var err error
	if c.packed, err = c.builder.Finish(); err != nil {
		return err
	}
	c.rows++
	return c.sink(c.table, c.packed)
}
