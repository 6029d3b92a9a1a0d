//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory/mallocator"

	"cdc/changelog"
	"cdc/materialize"
	"cdc/schema"
)

// loadBatchRows is the most rows handed to DuckDB at once: enough that the cost of a statement does not count.
const loadBatchRows = 32 << 10

// streamView is the name under which a batch is shown to DuckDB while it is copied.
const streamView = generatedPrefix + "stream"

// tableKey names a loaded table.
type tableKey struct {
	table   schema.TableID
	version schema.VersionID
	at      changelog.Offset
	columns string // their numbers, comma separated
}

// loaded is a table in DuckDB.
type loaded struct {
	key     tableKey
	name    string // in DuckDB's default schema
	shape   *schema.Table
	columns []column
	notes   []string
	bytes   int64 // packed bytes, as an estimate of its size
	used    uint64
}

// loader copies tables into DuckDB, all in one pass over the log. A batch is shown to DuckDB as an Arrow stream and read with *,
// in the order of its columns: this version of DuckDB answers with the wrong column when a part of a stream's columns is asked for.
type loader struct {
	duck   *duck
	tables []*loaded
	forced []forceText // by table

	// memory is outside of Go's heap: what DuckDB is shown may not hold pointers of Go's.
	memory   *mallocator.Mallocator
	builders []*array.RecordBuilder
	scratch  []byte
}

// mistyped says that a table must be loaded anew with some columns as text.
type mistyped struct {
	table   int
	columns forceText
}

func (m *mistyped) Error() string { return "values do not fit the types of their columns" }

// load fills the tables. Values that do not fit a column's type make that column text, and the pass is made again.
func (l *loader) load(ctx context.Context, log changelog.Log, o materialize.Options) error {
	l.forced, l.memory = make([]forceText, len(l.tables)), mallocator.NewMallocator()
	for {
		err := l.pass(ctx, log, o)
		var m *mistyped
		if !errors.As(err, &m) {
			return err
		}
		if l.forced[m.table] == nil {
			l.forced[m.table] = forceText{}
		}
		maps.Copy(l.forced[m.table], m.columns)
	}
}

func (l *loader) pass(ctx context.Context, log changelog.Log, o materialize.Options) (err error) {
	defer l.release()
	defer func() {
		if err != nil {
			err = errors.Join(err, l.drop())
		}
	}()
	var requests []materialize.Request
	for i, t := range l.tables {
		if err := l.create(ctx, t, l.forced[i]); err != nil {
			return err
		}
		names := make([]string, len(t.columns))
		for j := range t.columns {
			names[j] = t.columns[j].schema.Name
		}
		requests = append(requests, materialize.Request{Table: t.key.table, At: t.key.at, Columns: names})
	}
	o.BatchRows = loadBatchRows
	err = materialize.Tables(ctx, log, requests, o, func(b *materialize.Batch) error { return l.add(ctx, b) })
	if err != nil {
		return err
	}
	for _, t := range l.tables {
		if err := l.settle(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// create makes the empty table.
func (l *loader) create(ctx context.Context, t *loaded, forced forceText) error {
	t.columns, t.notes, t.bytes = columnsOf(t.shape, forced), nil, 0
	fields := make([]arrow.Field, len(t.columns))
	for i := range t.columns {
		k := &t.columns[i]
		fields[i] = arrow.Field{Name: fmt.Sprintf("c%d", i), Type: k.arrow, Nullable: true}
		if k.text != "" {
			t.notes = append(t.notes, fmt.Sprintf("%s.%s is text: %s", t.shape.Name, k.schema.Name, k.text))
		}
		if k.name != k.schema.Name {
			t.notes = append(t.notes, fmt.Sprintf("%s.%s is called %s here, as names that differ in case only are one to DuckDB",
				t.shape.Name, k.schema.Name, k.name))
		}
	}
	l.builders = append(l.builders, array.NewRecordBuilder(l.memory, arrow.NewSchema(fields, nil)))
	return l.duck.exec(ctx, createTable(t.name, t.columns))
}

func createTable(name string, columns []column) string {
	var b strings.Builder
	b.WriteString("CREATE TABLE " + quoteIdent(name) + " (")
	for i := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoteIdent(columns[i].name) + " " + columns[i].duck)
	}
	return b.String() + ")"
}

// columnsOf chooses the types of a table's columns, and other names for those that DuckDB would take for one.
func columnsOf(t *schema.Table, forced forceText) []column {
	taken := map[string]bool{}
	for i := range t.Columns {
		taken[t.Columns[i].Name] = true
	}
	folded := map[string]bool{}
	columns := make([]column, len(t.Columns))
	for i := range t.Columns {
		k := columnOf(&t.Columns[i], i, forced)
		for n := 1; folded[strings.ToLower(k.name)]; n++ {
			if other := fmt.Sprintf("%s_%d", k.schema.Name, n); !taken[other] {
				k.name = other
			}
		}
		folded[strings.ToLower(k.name)] = true
		columns[i] = k
	}
	return columns
}

// add copies a batch.
func (l *loader) add(ctx context.Context, b *materialize.Batch) error {
	t, builder := l.tables[b.Request], l.builders[b.Request]
	unfit := forceText{} // all of the batch, as each reason to load anew costs a pass
	for i := range b.Len() {
		row := b.Row(i)
		t.bytes += int64(len(row.Raw()))
		for j := range t.columns {
			if unfit[j] != "" {
				continue
			}
			var err error
			l.scratch, err = t.columns[j].appendValue(builder.Field(j), row, l.scratch)
			var m *misfit
			switch {
			case errors.As(err, &m):
				unfit[j] = m.why
			case err != nil:
				return err
			}
		}
	}
	if len(unfit) > 0 {
		return &mistyped{table: b.Request, columns: unfit}
	}
	batch := builder.NewRecordBatch()
	defer batch.Release()
	err := l.duck.insert(ctx, t.name, batch)
	if err == nil || ctx.Err() != nil {
		return err
	}
	for j := range t.columns {
		// JSON is the only type whose cast from text may be refused.
		if t.columns[j].duck == "JSON" && l.refused(ctx, batch, j) {
			return &mistyped{table: b.Request, columns: forceText{j: "DuckDB does not take all of it for JSON"}}
		}
	}
	return fmt.Errorf("load table %s: %w", t.shape.FullName(), err)
}

// probeTable takes one column of a batch, to see whether DuckDB does.
const probeTable = generatedPrefix + "probe"

// refused reports whether DuckDB refuses the values of a column of a batch as JSON.
func (l *loader) refused(ctx context.Context, batch arrow.RecordBatch, j int) bool {
	if l.duck.exec(ctx, "CREATE OR REPLACE TABLE "+quoteIdent(probeTable)+" (j JSON)") != nil {
		return true
	}
	one := array.NewRecordBatch(arrow.NewSchema(batch.Schema().Fields()[j:j+1], nil), batch.Columns()[j:j+1], batch.NumRows())
	defer one.Release()
	err := l.duck.insert(ctx, probeTable, one)
	return l.duck.exec(ctx, "DROP TABLE "+quoteIdent(probeTable)) != nil || err != nil
}

// settle gives measured decimals their type.
func (l *loader) settle(ctx context.Context, t *loaded) error {
	for i := range t.columns {
		k := &t.columns[i]
		if k.measured == nil {
			continue
		}
		duck, why := k.measured.chosen()
		if why != "" {
			t.notes = append(t.notes, fmt.Sprintf("%s.%s is text: %s", t.shape.Name, k.schema.Name, why))
			continue
		}
		if k.measured.scaleMin != k.measured.scaleMax {
			t.notes = append(t.notes, fmt.Sprintf("%s.%s is %s: its values have %d to %d decimals", t.shape.Name, k.schema.Name, duck,
				k.measured.scaleMin, k.measured.scaleMax))
		}
		err := l.duck.exec(ctx, fmt.Sprintf("ALTER TABLE %s ALTER %s TYPE %s", quoteIdent(t.name), quoteIdent(k.name), duck))
		if err != nil {
			return err
		}
		k.duck = duck
	}
	return nil
}

func (l *loader) release() {
	for _, b := range l.builders {
		b.Release()
	}
	l.builders = nil
}

// drop removes what a pass made before it failed.
func (l *loader) drop() (err error) {
	for _, t := range l.tables {
		err = errors.Join(err, l.duck.exec(context.Background(), "DROP TABLE IF EXISTS "+quoteIdent(t.name)))
	}
	return err
}
