package present

import (
	"bufio"
	"bytes"
	"slices"

	"cdc/schema"
)

// Limits of what a table holds back until it knows how wide its columns are.
const (
	sampleRows  = 1000
	sampleBytes = 1 << 20
)

// minShrunk is the width below which a column is not cut to fit a terminal.
const minShrunk = 8

// nullText stands for null, so that it cannot be taken for an empty text.
const nullText = "∅"

const columnGap = " | "

// tablePrinter prints aligned columns. It holds the first rows back to learn their widths and then prints as it goes; a later value
// that is wider pushes its line out of shape, and is cut on a terminal.
type tablePrinter struct {
	o      *Output
	w      *bufio.Writer
	shape  *schema.Table
	right  []bool // columns aligned to the right
	widths []int
	cut    []bool // columns that are cut to their width

	settled bool
	held    []heldRow
	bytes   int
	line    []byte
	text    []byte
}

// heldRow is the cleaned text of a row's cells.
type heldRow struct {
	text   []byte
	ends   []int
	nulls  []bool
	marked []int
}

func newTablePrinter(o *Output, shape *schema.Table) *tablePrinter {
	p := &tablePrinter{o: o, w: newBuffered(o.Out), shape: shape}
	n := len(shape.Columns)
	p.right, p.widths, p.cut = make([]bool, n), make([]int, n), make([]bool, n)
	for i := range shape.Columns {
		p.right[i] = aligned(shape.Columns[i].Kind)
		p.widths[i] = textWidth(appendClean(nil, []byte(shape.Columns[i].Name)))
	}
	return p
}

// aligned reports whether values of the kind are compared by eye, digit below digit.
func aligned(k schema.Kind) bool {
	return k >= schema.Int8 && k <= schema.Decimal
}

// Print implements Printer.
func (p *tablePrinter) Print(r schema.Row, marked ...int) error {
	row := p.cells(r, marked)
	if p.settled {
		return p.write(&row)
	}
	row.text, row.ends, row.nulls = slices.Clone(row.text), slices.Clone(row.ends), slices.Clone(row.nulls)
	row.marked = slices.Clone(marked)
	start := 0
	for i, end := range row.ends {
		p.widths[i] = max(p.widths[i], textWidth(row.text[start:end]))
		start = end
	}
	p.held = append(p.held, row)
	if p.bytes += len(row.text); len(p.held) < sampleRows && p.bytes < sampleBytes {
		return nil
	}
	return p.settle()
}

// cells is the text of the row's cells, in memory that the next call uses again.
func (p *tablePrinter) cells(r schema.Row, marked []int) heldRow {
	row := heldRow{text: p.line[:0], marked: marked}
	for i := range p.shape.Columns {
		state := r.State(i)
		switch state {
		case schema.Present:
			p.text = schema.AppendText(p.text[:0], &p.shape.Columns[i], r, i)
			row.text = appendClean(row.text, p.text)
		case schema.Null:
			row.text = append(row.text, nullText...)
		case schema.Absent:
		}
		row.ends, row.nulls = append(row.ends, len(row.text)), append(row.nulls, state == schema.Null)
	}
	p.line = row.text
	return row
}

// settle fixes the widths and prints what was held back.
func (p *tablePrinter) settle() error {
	p.settled = true
	p.fit()
	if err := p.header(); err != nil {
		return err
	}
	for i := range p.held {
		if err := p.write(&p.held[i]); err != nil {
			return err
		}
	}
	p.held = nil
	return nil
}

// fit cuts the widest columns of text so that a line fits the terminal, the first one, which mostly names the row, after all others.
// Numbers and times are never cut.
func (p *tablePrinter) fit() {
	if !p.o.Terminal || p.o.Width <= 0 {
		return
	}
	total := 2 + (len(p.widths)-1)*len(columnGap)
	most := 0
	for i, w := range p.widths {
		total += w
		if p.shape.Columns[i].Kind.Variable() && !p.right[i] {
			p.cut[i] = true
			most = max(most, w)
		}
	}
	for _, first := range []int{1, 0} {
		for limit := most - 1; total > p.o.Width && limit >= minShrunk; limit-- {
			for i := first; i < len(p.widths); i++ {
				if p.cut[i] && p.widths[i] > limit {
					p.widths[i]--
					total--
				}
			}
		}
	}
}

func (p *tablePrinter) header() error {
	row := heldRow{}
	for i := range p.shape.Columns {
		row.text = appendClean(row.text, []byte(p.shape.Columns[i].Name))
		row.ends, row.nulls = append(row.ends, len(row.text)), append(row.nulls, false)
	}
	for i := range p.shape.Columns {
		row.marked = append(row.marked, i)
	}
	if err := p.write(&row); err != nil {
		return err
	}
	rule := []byte{}
	for i, w := range p.widths {
		if i > 0 {
			rule = append(rule, '+')
		}
		for range w + 2 {
			rule = append(rule, '-')
		}
	}
	_, err := p.w.Write(append(rule, '\n'))
	return err
}

// write prints a row with its cells padded, cut and coloured.
func (p *tablePrinter) write(row *heldRow) error {
	var line []byte
	start := 0
	for i, end := range row.ends {
		cell, width := row.text[start:end], 0
		start = end
		if i > 0 {
			line = append(line, columnGap...)
		} else {
			line = append(line, ' ')
		}
		if p.cut[i] {
			cell, width = cut(nil, cell, p.widths[i])
		} else {
			width = textWidth(cell)
		}
		if p.right[i] {
			line = pad(line, p.widths[i]-width)
		}
		line = append(line, p.colour(row, i, string(cell))...)
		if !p.right[i] && i < len(row.ends)-1 {
			line = pad(line, p.widths[i]-width)
		}
	}
	_, err := p.w.Write(append(bytes.TrimRight(line, " "), '\n'))
	return err
}

func (p *tablePrinter) colour(row *heldRow, column int, cell string) string {
	switch {
	case contains(row.marked, column):
		return p.o.Style.Bold(cell)
	case row.nulls[column]:
		return p.o.Style.Dim(cell)
	}
	return cell
}

// Flush implements Printer.
func (p *tablePrinter) Flush() error {
	if !p.settled {
		if err := p.settle(); err != nil {
			return err
		}
	}
	return p.w.Flush()
}

// Close implements Printer.
func (p *tablePrinter) Close() error { return p.Flush() }

func pad(dst []byte, n int) []byte {
	for ; n > 0; n-- {
		dst = append(dst, ' ')
	}
	return dst
}

func contains(columns []int, column int) bool { return slices.Contains(columns, column) }
