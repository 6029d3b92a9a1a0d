package present

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"cdc/schema"
)

// Limits of what a Parquet file holds in memory until it goes on in a new row group.
const (
	rowGroupRows  = 1 << 17
	rowGroupBytes = 64 << 20
)

// Decimals of so many digits are stored as integers of 32, 64 and 128 bits.
const (
	digits32  = 9
	digits64  = 18
	digits128 = 38
)

const microsPerDay = 24 * 60 * 60 * 1000000

// parquetPrinter writes a Parquet file. Every column is optional, as a row of another time may lack it.
type parquetPrinter struct {
	w      *parquet.GenericWriter[any]
	shape  *schema.Table
	values []parquet.Row // one, used again
	bytes  int
	rows   int
	fixed  []byte
}

func newParquetPrinter(w io.Writer, shape *schema.Table) (*parquetPrinter, error) {
	if len(shape.Columns) == 0 {
		return nil, fmt.Errorf("write Parquet: a file needs at least one column")
	}
	group := orderedGroup{Group: parquet.Group{}}
	for i := range shape.Columns {
		c := &shape.Columns[i]
		name := uniqueName(group.Group, c.Name)
		group.Group[name] = parquet.Compressed(parquet.Optional(parquetNode(c)), &parquet.Zstd)
		group.order = append(group.order, name)
	}
	p := &parquetPrinter{shape: shape, values: []parquet.Row{make(parquet.Row, len(shape.Columns))}}
	p.w = parquet.NewGenericWriter[any](w, parquet.NewSchema("rows", group), parquet.CreatedBy("cdc", "", ""))
	return p, nil
}

// orderedGroup keeps its fields in the order of the columns, where a plain group sorts them by name.
type orderedGroup struct {
	parquet.Group
	order []string
}

// Fields implements parquet.Node.
func (g orderedGroup) Fields() []parquet.Field {
	fields := g.Group.Fields()
	slices.SortFunc(fields, func(a, b parquet.Field) int {
		return slices.Index(g.order, a.Name()) - slices.Index(g.order, b.Name())
	})
	return fields
}

// uniqueName is the column's name, with a number when an earlier column of a query has the same.
func uniqueName(taken parquet.Group, name string) string {
	unique := name
	for n := 1; taken[unique] != nil; n++ {
		unique = name + "_" + strconv.Itoa(n)
	}
	return unique
}

// parquetNode is the type of a column in the file. What Parquet has no type for is text, as the source prints it.
func parquetNode(c *schema.Column) parquet.Node {
	switch c.Kind {
	case schema.Bool:
		return parquet.Leaf(parquet.BooleanType)
	case schema.Int8, schema.Int16, schema.Int32, schema.Int64:
		return parquet.Int(8 << (c.Kind - schema.Int8))
	case schema.Uint8, schema.Uint16, schema.Uint32, schema.Uint64:
		return parquet.Uint(8 << (c.Kind - schema.Uint8))
	case schema.Float32:
		return parquet.Leaf(parquet.FloatType)
	case schema.Float64:
		return parquet.Leaf(parquet.DoubleType)
	case schema.Decimal:
		return decimalNode(c)
	case schema.Bytes, schema.Geometry:
		return parquet.Leaf(parquet.ByteArrayType)
	case schema.Date, schema.CalendarDate:
		return parquet.Date()
	case schema.Time:
		return parquet.TimeAdjusted(parquet.Microsecond, false)
	case schema.Timestamp, schema.CalendarTimestamp:
		return parquet.TimestampAdjusted(parquet.Microsecond, false)
	case schema.TimestampTZ, schema.CalendarTimestampTZ:
		return parquet.Timestamp(parquet.Microsecond)
	case schema.UUID:
		return parquet.UUID()
	case schema.JSON:
		return parquet.JSON()
	}
	return parquet.String()
}

// decimalNode is text for decimals that have no precision or too much of it.
func decimalNode(c *schema.Column) parquet.Node {
	precision, scale := int(c.Precision), int(c.Scale)
	if !parquetDecimal(c) {
		return parquet.String()
	}
	switch {
	case precision <= digits32:
		return parquet.Decimal(scale, precision, parquet.Int32Type)
	case precision <= digits64:
		return parquet.Decimal(scale, precision, parquet.Int64Type)
	}
	return parquet.Decimal(scale, precision, parquet.FixedLenByteArrayType(16))
}

func parquetDecimal(c *schema.Column) bool {
	return c.Precision >= 1 && c.Precision <= digits128 && c.Scale >= 0 && c.Scale <= c.Precision
}

// Print implements Printer.
func (p *parquetPrinter) Print(r schema.Row, _ ...int) error {
	row := p.values[0]
	p.fixed = p.fixed[:0]
	for i := range row {
		value, err := parquet.NullValue(), error(nil)
		level := 0
		if r.State(i) == schema.Present {
			if value, err = p.value(&p.shape.Columns[i], r, i); err != nil {
				return err
			}
			level = 1
		}
		row[i] = value.Level(0, level, i)
	}
	if _, err := p.w.WriteRows(p.values); err != nil {
		return fmt.Errorf("write Parquet: %w", err)
	}
	p.rows++
	p.bytes += len(r.Raw())
	if p.rows < rowGroupRows && p.bytes < rowGroupBytes {
		return nil
	}
	return p.Flush()
}

// value is the column's value; its bytes are in use until the row is written.
func (p *parquetPrinter) value(c *schema.Column, r schema.Row, i int) (parquet.Value, error) {
	switch c.Kind {
	case schema.Bool:
		return parquet.BooleanValue(r.Bool(i)), nil
	case schema.Int8, schema.Int16, schema.Int32, schema.Uint8, schema.Uint16, schema.Uint32:
		return parquet.Int32Value(int32(r.Int(i))), nil
	case schema.Int64:
		return parquet.Int64Value(r.Int(i)), nil
	case schema.Uint64:
		return parquet.Int64Value(int64(r.Uint64(i))), nil
	case schema.Float32:
		return parquet.FloatValue(r.Float32(i)), nil
	case schema.Float64:
		return parquet.DoubleValue(r.Float64(i)), nil
	case schema.Decimal:
		return p.decimal(c, r, i)
	case schema.Bytes, schema.Geometry, schema.JSON:
		return parquet.ByteArrayValue(r.Bytes(i)), nil
	case schema.UUID:
		return parquet.FixedLenByteArrayValue(r.Slot(i)), nil
	case schema.Date, schema.Time, schema.Timestamp, schema.TimestampTZ:
		return timeValue(c, r, i)
	case schema.CalendarDate, schema.CalendarTimestamp, schema.CalendarTimestampTZ:
		return calendarValue(c, r, i)
	}
	start := len(p.fixed)
	p.fixed = schema.AppendText(p.fixed, c, r, i)
	return parquet.ByteArrayValue(p.fixed[start:]), nil
}

func (p *parquetPrinter) decimal(c *schema.Column, r schema.Row, i int) (parquet.Value, error) {
	if !parquetDecimal(c) {
		start := len(p.fixed)
		p.fixed = schema.AppendText(p.fixed, c, r, i)
		return parquet.ByteArrayValue(p.fixed[start:]), nil
	}
	if c.Precision <= digits64 {
		v, exact := schema.DecimalInt64(r.Bytes(i), int(c.Scale))
		switch {
		case !exact:
			return parquet.Value{}, unfit(c, r, i)
		case c.Precision <= digits32:
			return parquet.Int32Value(int32(v)), nil
		}
		return parquet.Int64Value(v), nil
	}
	hi, lo, exact := schema.DecimalInt128(r.Bytes(i), int(c.Scale))
	if !exact {
		return parquet.Value{}, unfit(c, r, i)
	}
	start := len(p.fixed)
	p.fixed = binary.BigEndian.AppendUint64(p.fixed, uint64(hi))
	p.fixed = binary.BigEndian.AppendUint64(p.fixed, lo)
	return parquet.FixedLenByteArrayValue(p.fixed[start:]), nil
}

// daysTo1970 and schema.UnixEpoch2000 lead from our epoch to Parquet's.
const daysTo1970 = int32(schema.UnixEpoch2000 / microsPerDay)

func timeValue(c *schema.Column, r schema.Row, i int) (parquet.Value, error) {
	v := r.Int(i)
	switch c.Kind {
	case schema.Date:
		days := int32(v)
		if days == schema.DateInfinity || days == schema.DateMinusInfinity || days > schema.DateInfinity-daysTo1970 {
			return parquet.Value{}, unfit(c, r, i)
		}
		return parquet.Int32Value(days + daysTo1970), nil
	case schema.Time:
		if v < 0 || v > microsPerDay {
			return parquet.Value{}, unfit(c, r, i)
		}
		return parquet.Int64Value(v), nil
	}
	if v == schema.TimeInfinity || v == schema.TimeMinusInfinity || v > schema.TimeInfinity-schema.UnixEpoch2000 {
		return parquet.Value{}, unfit(c, r, i)
	}
	return parquet.Int64Value(v + schema.UnixEpoch2000), nil
}

// calendarValue is the day that the fields name.
func calendarValue(c *schema.Column, r schema.Row, i int) (parquet.Value, error) {
	if c.Kind == schema.CalendarDate {
		days, ok := schema.RegularDate(r.Int(i))
		if !ok {
			return parquet.Value{}, unfit(c, r, i)
		}
		return parquet.Int32Value(days + daysTo1970), nil
	}
	micros, ok := schema.RegularTimestamp(r.Int(i))
	if !ok {
		return parquet.Value{}, unfit(c, r, i)
	}
	return parquet.Int64Value(micros + schema.UnixEpoch2000), nil
}

// unfit says that a value cannot be written: it is never replaced by null or by another one.
func unfit(c *schema.Column, r schema.Row, i int) error {
	name := strings.TrimPrefix(c.Kind.String(), "calendar") // Parquet has one kind of dates
	return fmt.Errorf("write Parquet: column %q holds %s, which a Parquet %s cannot; leave the column out, cast it to text with 'cdc sql', or use --format csv or json",
		c.Name, schema.AppendText(nil, c, r, i), name)
}

// Flush implements Printer.
func (p *parquetPrinter) Flush() error {
	if p.rows == 0 {
		return nil
	}
	p.rows, p.bytes = 0, 0
	if err := p.w.Flush(); err != nil {
		return fmt.Errorf("write Parquet: %w", err)
	}
	return nil
}

// Close implements Printer.
func (p *parquetPrinter) Close() error {
	if err := p.w.Close(); err != nil {
		return fmt.Errorf("write Parquet: %w", err)
	}
	return nil
}
