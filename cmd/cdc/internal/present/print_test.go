package present

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/parquet-go/parquet-go"

	"cdc/schema"
)

// TestPrint prints the rows that a script describes in every format. A script gives a shape, one column a line (name kind
// [precision scale]), and rows, one a line with | between the cells; \N is null and a cell of - is absent.
func TestPrint(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		script := &printScript{}
		datadriven.RunTest(t, path, script.run)
	})
}

type printScript struct {
	shape *schema.Table
	rows  []string
}

func (s *printScript) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "shape":
		s.shape = parseShape(t, d.Input)
		return ""
	case "rows":
		s.rows = strings.Split(d.Input, "\n")
		return ""
	case "print":
		return s.print(t, d)
	}
	t.Fatalf("unknown command %s", d.Cmd)
	return ""
}

func (s *printScript) print(t *testing.T, d *datadriven.TestData) string {
	var out, notes bytes.Buffer
	o := &Output{Out: &out, Err: &notes}
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "format":
			o.Format = Format(arg.Vals[0])
		case "width":
			o.Terminal = true
			o.Width, _ = strconv.Atoi(arg.Vals[0])
		case "color":
			o.Style.Color = true
		}
	}
	if err := s.printTo(t, o); err != nil {
		return "error: " + err.Error()
	}
	text := out.String()
	if o.Format == Parquet {
		text = dumpParquet(t, out.Bytes())
	}
	return strings.ReplaceAll(text, "\x1b", "<esc>")
}

func (s *printScript) printTo(t *testing.T, o *Output) error {
	printer, err := o.Printer(s.shape)
	if err != nil {
		return err
	}
	for _, line := range s.rows {
		if line == "" {
			continue
		}
		if err := printer.Print(packRow(t, s.shape, line)); err != nil {
			return err
		}
	}
	return printer.Close()
}

func parseShape(t *testing.T, text string) *schema.Table {
	t.Helper()
	shape := &schema.Table{}
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		c := schema.Column{ID: uint32(i + 1), Name: strings.Trim(fields[0], `"`), Kind: kindNamed(t, fields[1])}
		if len(fields) > 3 {
			precision, _ := strconv.Atoi(fields[2])
			scale, _ := strconv.Atoi(fields[3])
			c.Precision, c.Scale = int32(precision), int32(scale)
		}
		shape.Columns = append(shape.Columns, c)
	}
	if err := shape.Prepare(); err != nil {
		t.Fatal(err)
	}
	return shape
}

func kindNamed(t *testing.T, name string) schema.Kind {
	t.Helper()
	for k := schema.Bool; k.Valid(); k++ {
		if k.String() == name {
			return k
		}
	}
	t.Fatalf("unknown kind %s", name)
	return schema.Invalid
}

func packRow(t *testing.T, shape *schema.Table, line string) schema.Row {
	t.Helper()
	var b schema.Builder
	b.Reset(shape.Layout(), nil)
	for i, cell := range strings.Split(line, "|") {
		switch cell {
		case `\N`:
			b.Null(i)
		case "-":
		default:
			text, err := strconv.Unquote(`"` + strings.ReplaceAll(cell, `"`, `\"`) + `"`)
			if err != nil {
				t.Fatalf("cell %s: %v", cell, err)
			}
			if err := schema.ParseText(&b, i, &shape.Columns[i], []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	packed, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	row, err := shape.Layout().Row(packed)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// dumpParquet reads a file back: its schema, then its rows.
func dumpParquet(t *testing.T, file []byte) string {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintln(&b, f.Schema())
	for _, group := range f.RowGroups() {
		rows := group.Rows()
		for {
			buffer := make([]parquet.Row, 16)
			n, err := rows.ReadRows(buffer)
			for _, row := range buffer[:n] {
				for i, v := range row {
					if i > 0 {
						b.WriteString(" | ")
					}
					writeValue(&b, v)
				}
				b.WriteString("\n")
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func writeValue(b *strings.Builder, v parquet.Value) {
	switch {
	case v.IsNull():
		b.WriteString("null")
	case v.Kind() == parquet.FixedLenByteArray:
		fmt.Fprintf(b, "%x", v.ByteArray())
	case v.Kind() == parquet.ByteArray:
		fmt.Fprintf(b, "%q", v.ByteArray())
	default:
		b.WriteString(v.String())
	}
}

// A query can answer with any number of rows: what a printer holds is bounded, and a row is not kept.
func TestTableHoldsABoundedNumberOfRows(t *testing.T) {
	var out bytes.Buffer
	o := &Output{Out: &out, Format: Table}
	shape := Shape(Field{"id", schema.Int64}, Field{"name", schema.Text})
	record, err := o.Record(shape)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(sampleRows * 3) {
		b := record.Begin()
		b.Int(0, i)
		b.String(1, "row")
		if err := record.End(); err != nil {
			t.Fatal(err)
		}
		if held := len(record.Printer.(*tablePrinter).held); held >= sampleRows {
			t.Fatalf("%d rows are held", held)
		}
	}
	if err := record.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != sampleRows*3+2 || lines[len(lines)-1] != " 2999 | row" {
		t.Fatalf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestParquetIsRefusedOnATerminal(t *testing.T) {
	o := &Output{Out: io.Discard, Format: Parquet, Terminal: true}
	if _, err := o.Printer(Shape(Field{"id", schema.Int64})); !errors.Is(err, ErrTerminal) {
		t.Fatalf("err = %v", err)
	}
}

// Scripts read the standard output: footers and notes stay off it, but for tables, which people read.
func TestOnlyDataGoesToTheOutputOfProgramFormats(t *testing.T) {
	for _, format := range Formats() {
		var out, notes bytes.Buffer
		o := &Output{Out: &out, Err: &notes, Format: format}
		if err := o.Footer("(%d rows)", 0); err != nil {
			t.Fatal(err)
		}
		if got := out.String() == "(0 rows)\n"; got != (format == Table) {
			t.Errorf("%s: the output holds %q", format, out.String())
		}
		if got := notes.String() == "(0 rows)\n"; got != (format != Table) {
			t.Errorf("%s: the notes hold %q", format, notes.String())
		}
	}
	var out bytes.Buffer
	quiet := &Output{Out: &out, Err: &out, Format: CSV, Quiet: true}
	if err := errors.Join(quiet.Footer("x"), quiet.Note("x")); err != nil || out.Len() != 0 {
		t.Errorf("quiet printed %q (%v)", out.String(), err)
	}
}
