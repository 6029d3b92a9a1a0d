package parquet

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"cdc/schema"
)

// rowsGroupBytes is the size of packed rows from which on Rows goes on in a new row group.
const rowsGroupBytes = 64 << 20

// Rows writes rows to a Parquet file, with nothing but their columns. Every column is optional, as a row of another time may lack it. It is
// for one goroutine.
type Rows struct {
	w     *parquet.GenericWriter[any]
	shape *schema.Table
	row   []parquet.Row // one, used again
	text  []byte        // bytes that values of the row point to
	rows  int           // of the row group
	bytes int
}

// NewRows begins a file of rows that are packed as the table's are. Columns of one name get a number.
func NewRows(w io.Writer, shape *schema.Table) (*Rows, error) {
	if len(shape.Columns) == 0 {
		return nil, errors.New("write Parquet: a file needs at least one column")
	}
	file, taken := newGroup(), map[string]bool{}
	for i := range shape.Columns {
		c := &shape.Columns[i]
		file.add(uniqueName(taken, c.Name), parquet.Optional(columnNode(c)))
	}
	return &Rows{
		w:     parquet.NewGenericWriter[any](w, parquet.NewSchema("rows", file), parquet.CreatedBy("cdc", "", ""), parquet.Compression(&parquet.Zstd)),
		shape: shape, row: []parquet.Row{make(parquet.Row, len(shape.Columns))},
	}, nil
}

// UnfitError says that a column's type in the file cannot hold a value, which is never replaced by null or by another one.
type UnfitError struct {
	Column *schema.Column
	Text   string // the value, as its source prints it
}

func (e *UnfitError) Error() string {
	return fmt.Sprintf("write Parquet: column %q cannot hold %s", e.Column.Name, e.Text)
}

// Write adds a row. An *UnfitError leaves it out.
func (p *Rows) Write(r schema.Row) error {
	row := p.row[0]
	p.text = p.text[:0]
	for i := range row {
		v, level := parquet.NullValue(), 0
		if r.State(i) == schema.Present {
			c, ok := &p.shape.Columns[i], false
			v, p.text, ok = value(p.text, c, r, i)
			if !ok && (c.Kind != schema.Time || r.Int(i) != microsPerDay) { // 24:00:00 is there: many readers take it
				return &UnfitError{Column: c, Text: string(unfitText(c, r, i))}
			}
			level = 1
		}
		row[i] = v.Level(0, level, i)
	}
	if _, err := p.w.WriteRows(p.row); err != nil {
		return fmt.Errorf("write Parquet: %w", err)
	}
	p.rows++
	p.bytes += len(r.Raw())
	if p.rows < rowGroupRows && p.bytes < rowsGroupBytes {
		return nil
	}
	return p.Flush()
}

// Flush ends the row group.
func (p *Rows) Flush() error {
	if p.rows == 0 {
		return nil
	}
	p.rows, p.bytes = 0, 0
	if err := p.w.Flush(); err != nil {
		return fmt.Errorf("write Parquet: %w", err)
	}
	return nil
}

// Close writes the file's end.
func (p *Rows) Close() error {
	if err := p.w.Close(); err != nil {
		return fmt.Errorf("write Parquet: %w", err)
	}
	return nil
}
