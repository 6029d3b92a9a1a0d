package present

import (
	"bufio"
	"io"

	"cdc/schema"
)

// jsonPrinter prints one object a line.
type jsonPrinter struct {
	w     *bufio.Writer
	shape *schema.Table
	names [][]byte // as JSON strings with their colon
	line  []byte
}

func newJSONPrinter(w io.Writer, shape *schema.Table) *jsonPrinter {
	p := &jsonPrinter{w: newBuffered(w), shape: shape, names: make([][]byte, len(shape.Columns))}
	for i := range shape.Columns {
		p.names[i] = append(schema.AppendJSONString(nil, []byte(shape.Columns[i].Name)), ':')
	}
	return p
}

// Print implements Printer. A column that is absent is left out.
func (p *jsonPrinter) Print(r schema.Row, _ ...int) error {
	p.line = append(appendObject(p.line[:0], p.shape, p.names, r), '\n')
	_, err := p.w.Write(p.line)
	return err
}

// Flush implements Printer.
func (p *jsonPrinter) Flush() error { return p.w.Flush() }

// Close implements Printer.
func (p *jsonPrinter) Close() error { return p.w.Flush() }

func appendObject(dst []byte, shape *schema.Table, names [][]byte, r schema.Row) []byte {
	dst = append(dst, '{')
	first := len(dst)
	for i := range shape.Columns {
		if r.State(i) == schema.Absent {
			continue
		}
		if len(dst) > first {
			dst = append(dst, ',')
		}
		dst = append(dst, names[i]...)
		dst = schema.AppendJSON(dst, &shape.Columns[i], r, i)
	}
	return append(dst, '}')
}

// AppendObject appends the row, of table t, as a JSON object of the columns that it holds, or of those listed only.
func AppendObject(dst []byte, t *schema.Table, r schema.Row, columns ...int) []byte {
	dst = append(dst, '{')
	first := len(dst)
	for i := range t.Columns {
		if r.State(i) == schema.Absent || len(columns) > 0 && !contains(columns, i) {
			continue
		}
		if len(dst) > first {
			dst = append(dst, ',')
		}
		dst = append(schema.AppendJSONString(dst, []byte(t.Columns[i].Name)), ':')
		dst = schema.AppendJSON(dst, &t.Columns[i], r, i)
	}
	return append(dst, '}')
}
