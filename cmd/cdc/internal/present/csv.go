package present

import (
	"bufio"
	"bytes"
	"io"

	"cdc/schema"
)

// csvPrinter prints comma-separated values.
type csvPrinter struct {
	w      *bufio.Writer
	shape  *schema.Table
	line   []byte
	cell   []byte
	headed bool
}

func newCSVPrinter(w io.Writer, shape *schema.Table) *csvPrinter {
	return &csvPrinter{w: newBuffered(w), shape: shape}
}

// Print implements Printer.
func (p *csvPrinter) Print(r schema.Row, _ ...int) error {
	if err := p.head(); err != nil {
		return err
	}
	line := p.line[:0]
	for i := range p.shape.Columns {
		if i > 0 {
			line = append(line, ',')
		}
		if r.State(i) != schema.Present {
			continue
		}
		p.cell = schema.AppendText(p.cell[:0], &p.shape.Columns[i], r, i)
		line = appendCSV(line, p.cell)
	}
	p.line = append(line, '\n')
	_, err := p.w.Write(p.line)
	return err
}

func (p *csvPrinter) head() error {
	if p.headed {
		return nil
	}
	p.headed = true
	line := p.line[:0]
	for i := range p.shape.Columns {
		if i > 0 {
			line = append(line, ',')
		}
		line = appendCSV(line, []byte(p.shape.Columns[i].Name))
	}
	p.line = append(line, '\n')
	_, err := p.w.Write(p.line)
	return err
}

// Flush implements Printer.
func (p *csvPrinter) Flush() error {
	if err := p.head(); err != nil {
		return err
	}
	return p.w.Flush()
}

// Close implements Printer.
func (p *csvPrinter) Close() error { return p.Flush() }

// appendCSV quotes a value that needs it; empty text is quoted, as an empty cell is null.
func appendCSV(dst, value []byte) []byte {
	if len(value) > 0 && !bytes.ContainsAny(value, ",\"\r\n") {
		return append(dst, value...)
	}
	dst = append(dst, '"')
	for {
		i := bytes.IndexByte(value, '"')
		if i < 0 {
			return append(append(dst, value...), '"')
		}
		dst = append(append(dst, value[:i+1]...), '"')
		value = value[i+1:]
	}
}
