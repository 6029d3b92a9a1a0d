//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"cdc/schema"
)

// answerColumn is a column of an answer: its kind, and how its values leave DuckDB.
type answerColumn struct {
	column schema.Column
	cast   string // the type that DuckDB casts it to first; empty for none
	parse  bool   // its values arrive as text that spells them
}

// answerKinds are the types of DuckDB that need no cast.
var answerKinds = map[string]schema.Kind{
	"BOOLEAN": schema.Bool, "TINYINT": schema.Int8, "SMALLINT": schema.Int16, "INTEGER": schema.Int32, "BIGINT": schema.Int64,
	"UTINYINT": schema.Uint8, "USMALLINT": schema.Uint16, "UINTEGER": schema.Uint32, "UBIGINT": schema.Uint64,
	"FLOAT": schema.Float32, "DOUBLE": schema.Float64, "VARCHAR": schema.Text, "BLOB": schema.Bytes, "DATE": schema.Date,
	"TIME": schema.Time, "TIMESTAMP": schema.Timestamp, "TIMESTAMP WITH TIME ZONE": schema.TimestampTZ, "JSON": schema.JSON,
	"INTERVAL": schema.Interval,
}

// castKinds are the types whose values DuckDB turns into another type for us.
var castKinds = map[string]answerColumn{
	"HUGEINT":             {column: schema.Column{Kind: schema.Decimal}, cast: "VARCHAR", parse: true},
	"UHUGEINT":            {column: schema.Column{Kind: schema.Decimal}, cast: "VARCHAR", parse: true},
	"BIGNUM":              {column: schema.Column{Kind: schema.Decimal}, cast: "VARCHAR", parse: true},
	"UUID":                {column: schema.Column{Kind: schema.UUID}, cast: "VARCHAR", parse: true},
	"BIT":                 {column: schema.Column{Kind: schema.Bit}, cast: "VARCHAR", parse: true},
	"TIME WITH TIME ZONE": {column: schema.Column{Kind: schema.TimeTZ}, cast: "VARCHAR", parse: true},
	"TIME_NS":             {column: schema.Column{Kind: schema.Time}, cast: "TIME"},
	"TIMESTAMP_S":         {column: schema.Column{Kind: schema.Timestamp}, cast: "TIMESTAMP"},
	"TIMESTAMP_MS":        {column: schema.Column{Kind: schema.Timestamp}, cast: "TIMESTAMP"},
	"TIMESTAMP_NS":        {column: schema.Column{Kind: schema.Timestamp}, cast: "TIMESTAMP"},
	`"NULL"`:              {column: schema.Column{Kind: schema.Text}, cast: "VARCHAR"},
}

// answerColumnOf chooses the kind of a column of an answer.
func answerColumnOf(name, duck string, id int) answerColumn {
	a := answerColumn{}
	var precision, scale int32
	switch {
	case answerKinds[duck] != schema.Invalid:
		a.column.Kind = answerKinds[duck]
	case strings.HasPrefix(duck, "DECIMAL(") && !strings.HasSuffix(duck, "]"):
		if _, err := fmt.Sscanf(duck, "DECIMAL(%d,%d)", &precision, &scale); err == nil {
			a.column = schema.Column{Kind: schema.Decimal, Precision: precision, Scale: scale}
		}
	case strings.HasPrefix(duck, "ENUM(") && !strings.HasSuffix(duck, "]"):
		a = answerColumn{column: schema.Column{Kind: schema.Enum}, cast: "VARCHAR"}
	default:
		var known bool
		if a, known = castKinds[duck]; !known { // lists, structs, maps and whatever is new
			a = answerColumn{column: schema.Column{Kind: schema.Raw}, cast: "VARCHAR"}
		}
	}
	a.column.ID, a.column.Name, a.column.SQLType = uint32(id+1), name, duck
	return a
}

// answerQuery wraps a query so that columns are cast on their way out; a query that needs no cast is left alone. shift is where the
// query begins in what it returns.
func answerQuery(text string, columns []answerColumn) (wrapped string, shift int) {
	cast := false
	list, names := make([]string, len(columns)), make([]string, len(columns))
	for i := range columns {
		names[i] = "c" + strconv.Itoa(i)
		list[i] = names[i]
		if columns[i].cast != "" {
			list[i], cast = "CAST("+names[i]+" AS "+columns[i].cast+")", true
		}
	}
	if !cast {
		return text, 0
	}
	before := "SELECT " + strings.Join(list, ", ") + " FROM (\n"
	return before + text + "\n) AS _(" + strings.Join(names, ", ") + ")", len(before)
}

// answerChunkBytes is the size from which on rows are handed over.
const answerChunkBytes = 256 << 10

// rows runs a query and hands its answer over: the header once DuckDB has computed it, so that an error comes instead of an answer
// and not in the middle of one, then the rows in chunks, packed as the columns say.
func (d *duck) rows(ctx context.Context, text string, columns []answerColumn, header *Header, sink Sink) error {
	layout, err := schema.NewLayout(header.Columns)
	if err != nil {
		return errorOf(CodeSQL, "%w", err)
	}
	reader, err := d.arrow.QueryContext(ctx, text)
	if err != nil {
		return err
	}
	defer reader.Release()
	if err := sink.Header(header); err != nil {
		return err
	}
	p := packer{columns: columns, layout: layout, emit: sink.Rows}
	for reader.Next() {
		if err := p.add(reader.RecordBatch()); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if err := reader.Err(); err != nil {
		return err
	}
	return p.flush()
}

// packer turns Arrow batches into packed rows.
type packer struct {
	columns []answerColumn
	layout  *schema.Layout
	emit    func(arena []byte, ends []int) error

	builder schema.Builder
	arena   []byte
	ends    []int
}

func (p *packer) flush() error {
	if len(p.ends) == 0 {
		return nil
	}
	err := p.emit(p.arena, p.ends)
	p.arena, p.ends = p.arena[:0], p.ends[:0]
	return err
}

func (p *packer) add(batch arrow.RecordBatch) error {
	if int(batch.NumCols()) != len(p.columns) {
		return fmt.Errorf("read answer: %d columns, expected %d", batch.NumCols(), len(p.columns))
	}
	for i := range int(batch.NumRows()) {
		p.builder.Reset(p.layout, p.arena)
		for j := range p.columns {
			if err := p.value(j, batch.Column(j), i); err != nil {
				return fmt.Errorf("read answer: column %q: %w", p.columns[j].column.Name, err)
			}
		}
		arena, err := p.builder.Finish()
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		p.arena, p.ends = arena, append(p.ends, len(arena))
		if len(p.arena) >= answerChunkBytes {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *packer) value(j int, values arrow.Array, i int) error {
	if values.IsNull(i) {
		p.builder.Null(j)
		return nil
	}
	switch v := values.(type) {
	case *array.Boolean:
		p.builder.Bool(j, v.Value(i))
	case *array.Int8:
		p.builder.Int(j, int64(v.Value(i)))
	case *array.Int16:
		p.builder.Int(j, int64(v.Value(i)))
	case *array.Int32:
		p.builder.Int(j, int64(v.Value(i)))
	case *array.Int64:
		p.builder.Int(j, v.Value(i))
	case *array.Uint8:
		p.builder.Int(j, int64(v.Value(i)))
	case *array.Uint16:
		p.builder.Int(j, int64(v.Value(i)))
	case *array.Uint32:
		p.builder.Int(j, int64(v.Value(i)))
	case *array.Uint64:
		p.builder.Uint64(j, v.Value(i))
	case *array.Float32:
		p.builder.Float32(j, v.Value(i))
	case *array.Float64:
		p.builder.Float64(j, v.Value(i))
	case *array.String:
		return p.text(j, v.Value(i))
	case *array.LargeString:
		return p.text(j, v.Value(i))
	case *array.Binary:
		p.builder.Bytes(j, v.Value(i))
	case *array.LargeBinary:
		p.builder.Bytes(j, v.Value(i))
	default:
		return p.extended(j, values, i)
	}
	return nil
}

func (p *packer) text(j int, v string) error {
	if !p.columns[j].parse {
		p.builder.String(j, v)
		return nil
	}
	return schema.ParseText(&p.builder, j, &p.columns[j].column, []byte(v))
}

func (p *packer) extended(j int, values arrow.Array, i int) error {
	switch v := values.(type) {
	case *array.Decimal128:
		text := v.Value(i).ToString(p.columns[j].column.Scale)
		return schema.ParseText(&p.builder, j, &p.columns[j].column, []byte(text))
	case *array.Date32:
		p.builder.Int(j, int64(ourDate(int32(v.Value(i)))))
	case *array.Time64:
		p.builder.Int(j, int64(v.Value(i)))
	case *array.Timestamp:
		p.builder.Int(j, ourTimestamp(int64(v.Value(i))))
	case *array.MonthDayNanoInterval:
		m := v.Value(i)
		p.builder.Interval(j, m.Nanoseconds/1000, m.Days, m.Months)
	default:
		return fmt.Errorf("no way to read %s", values.DataType())
	}
	return nil
}

// ourDate is a DuckDB date in days since 2000.
func ourDate(v int32) int32 {
	switch v {
	case duckDateInfinity:
		return schema.DateInfinity
	case -duckDateInfinity:
		return schema.DateMinusInfinity
	}
	return v - epochDays
}

// ourTimestamp is a DuckDB timestamp in µs since 2000.
func ourTimestamp(v int64) int64 {
	switch v {
	case duckInfinity:
		return schema.TimeInfinity
	case -duckInfinity:
		return schema.TimeMinusInfinity
	}
	return v - epochMicros
}
