package present

import (
	"fmt"

	"cdc/schema"
)

// Field is a column of what a verb prints.
type Field struct {
	Name string
	Kind schema.Kind
}

// Shape is the shape of rows of the fields. It panics when a field's kind cannot be stored, which is a bug.
func Shape(fields ...Field) *schema.Table {
	t := &schema.Table{}
	for i, f := range fields {
		t.Columns = append(t.Columns, schema.Column{ID: uint32(i + 1), Name: f.Name, Kind: f.Kind})
	}
	if err := t.Prepare(); err != nil {
		panic(err)
	}
	return t
}

// Record packs the rows of a verb's own shape, one at a time, and prints them. It is for one goroutine.
type Record struct {
	// Printer takes the rows.
	Printer
	shape   *schema.Table
	builder schema.Builder
	packed  []byte
}

// Record makes a record of the shape with a printer of its own.
func (o *Output) Record(shape *schema.Table) (*Record, error) {
	printer, err := o.Printer(shape)
	if err != nil {
		return nil, err
	}
	return &Record{Printer: printer, shape: shape}, nil
}

// Begin starts a row. Columns are set in their order; one that is not set is absent.
func (r *Record) Begin() *schema.Builder {
	r.builder.Reset(r.shape.Layout(), r.packed[:0])
	return &r.builder
}

// End prints the row that Begin started.
func (r *Record) End(marked ...int) error {
	packed, err := r.builder.Finish()
	r.packed = packed
	if err != nil {
		return fmt.Errorf("pack a row to print: %w", err)
	}
	row, err := r.shape.Layout().Row(packed)
	if err != nil {
		return fmt.Errorf("pack a row to print: %w", err)
	}
	return r.Print(row, marked...)
}
