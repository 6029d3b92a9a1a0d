package present

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"cdc/schema"
	"cdc/sinks/parquet"
)

// ErrTerminal says that a format for files would have gone to a terminal.
var ErrTerminal = errors.New("a Parquet file is not for a terminal: redirect the output, or name a file with --output")

// Output says where output goes and what is at the other end.
type Output struct {
	// Out takes the data, Err everything else that goes with a format for programs.
	Out, Err io.Writer
	Format   Format
	// Terminal says that Out is a terminal, of Width columns (0: not known).
	Terminal bool
	Width    int
	Style    Style
	// Quiet leaves footers out.
	Quiet bool
}

// Printer prints rows of one shape. It is for one goroutine.
type Printer interface {
	// Print prints a row of the printer's shape, which it does not keep. The marked columns stand out where there is colour.
	Print(r schema.Row, marked ...int) error
	// Flush writes out everything printed so far that the format can write: a table settles its widths, a Parquet file goes on
	// in a new row group.
	Flush() error
	// Close writes what is left, and what the format has at its end.
	Close() error
}

// Printer makes the printer of the output's format for rows of the shape.
func (o *Output) Printer(shape *schema.Table) (Printer, error) {
	switch o.Format {
	case Table:
		return newTablePrinter(o, shape), nil
	case CSV:
		return newCSVPrinter(o.Out, shape), nil
	case JSON:
		return newJSONPrinter(o.Out, shape), nil
	case Parquet:
		if o.Terminal {
			return nil, ErrTerminal
		}
		rows, err := parquet.NewRows(o.Out, shape)
		return parquetPrinter{rows}, err
	}
	return nil, fmt.Errorf("there is no format %q", o.Format)
}

// Footer prints a line about the rows: after a table, and beside the data of every other format.
func (o *Output) Footer(format string, args ...any) error {
	if o.Quiet {
		return nil
	}
	_, err := fmt.Fprintln(o.notes(), fmt.Sprintf(format, args...))
	return err
}

// Note prints a line of lesser importance.
func (o *Output) Note(format string, args ...any) error {
	if o.Quiet {
		return nil
	}
	_, err := fmt.Fprintln(o.notes(), o.Style.Dim(Clean(fmt.Sprintf(format, args...))))
	return err
}

// Human reports whether a person reads the output.
func (o *Output) Human() bool { return o.Format == Table }

func (o *Output) notes() io.Writer {
	if o.Human() {
		return o.Out
	}
	return o.Err
}

// outputBuffer is the size of the writes of formats for programs.
const outputBuffer = 64 << 10

func newBuffered(w io.Writer) *bufio.Writer { return bufio.NewWriterSize(w, outputBuffer) }
