//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/schema"
)

// world writes made-up sources to a log on disk, from lines of text.
type world struct {
	log     *disklog.Log
	dir     string
	sources map[string]changelog.SourceID
	source  string
	tables  map[string]*schema.Table
	numbers map[string]uint32
	unit    changelog.UnitBuilder
	xid     uint64
	out     strings.Builder
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	log, err := disklog.Open(dir, disklog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	w := &world{log: log, dir: dir, sources: map[string]changelog.SourceID{}, tables: map[string]*schema.Table{}, numbers: map[string]uint32{}}
	w.unit.Reset(changelog.UnitTx)
	return w
}

// run executes lines:
//
//	source NAME KIND
//	table [SCHEMA.]NAME COLUMN:TYPE[:key] …      the table, or its next version
//	insert|update|delete TABLE VALUE|VALUE|…     \N is null
//	commit TIME, tick TIME, tag NAME OFFSET
func (w *world) run(lines string) (string, error) {
	w.out.Reset()
	for line := range strings.Lines(lines) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if err := w.line(fields, strings.TrimSpace(line)); err != nil {
			return "", fmt.Errorf("%s: %w", strings.TrimSpace(line), err)
		}
	}
	return w.out.String(), nil
}

func (w *world) line(f []string, line string) error {
	switch f[0] {
	case "source":
		return w.addSource(f[1], f[2])
	case "table":
		return w.addTable(f[1], f[2:])
	case "insert", "update", "delete":
		return w.change(f[0], f[1], strings.TrimSpace(strings.SplitN(line, " ", 3)[2]))
	case "commit":
		return w.append(changelog.UnitTx, f[1])
	case "tick":
		return w.append(changelog.UnitTick, f[1])
	case "tag":
		n, err := strconv.ParseUint(f[2], 10, 64)
		if err != nil {
			return err
		}
		w.unit.Reset(changelog.UnitControl)
		w.unit.AddTag(changelog.Tag{Name: f[1], Offset: changelog.Offset(n)})
		return w.flush()
	}
	return fmt.Errorf("unknown line")
}

func (w *world) addSource(name, kind string) error {
	id := w.log.Catalog().NextSource(name)
	w.sources[name], w.source = id, name
	w.unit.Reset(changelog.UnitControl)
	w.unit.Meta.Source, w.unit.Meta.Epoch = id, 1
	w.unit.AddSource(changelog.SourceInfo{ID: id, Epoch: 1, Name: name, Kind: kind})
	return w.flush()
}

func (w *world) addTable(name string, columns []string) error {
	space, short, ok := strings.Cut(name, ".")
	if !ok {
		space, short = "public", name
	}
	full := w.source + "." + space + "." + short
	_, known := w.numbers[full]
	if !known {
		w.numbers[full] = uint32(1000 + len(w.numbers))
	}
	t := &schema.Table{Source: w.source, Schema: space, Name: short, SourceTable: w.numbers[full], Identity: schema.IdentityKey}
	for i, c := range columns {
		parts := strings.Split(c, ":")
		column := columnOfType(parts[1])
		column.ID, column.Name = uint32(i+1), parts[0]
		if len(parts) > 2 {
			column.Key = 1
		}
		t.Columns = append(t.Columns, column)
	}
	if err := t.Prepare(); err != nil {
		return err
	}
	t = w.log.Catalog().Register(1, t)
	w.tables[short], w.tables[space+"."+short] = t, t
	w.unit.AddTable(t)
	if !known {
		w.unit.AddTableState(changelog.TableState{Table: t.ID, State: changelog.TableEmpty})
	}
	return nil
}

var kindsByType = map[string]schema.Kind{
	"boolean": schema.Bool, "smallint": schema.Int16, "integer": schema.Int32, "bigint": schema.Int64, "ubigint": schema.Uint64,
	"real": schema.Float32, "double": schema.Float64, "text": schema.Text, "bytea": schema.Bytes, "date": schema.Date,
	"time": schema.Time, "timetz": schema.TimeTZ, "timestamp": schema.Timestamp, "timestamptz": schema.TimestampTZ,
	"interval": schema.Interval, "uuid": schema.UUID, "json": schema.JSON, "enum": schema.Enum, "bit": schema.Bit,
	"raw": schema.Raw, "numeric": schema.Decimal, "geometry": schema.Geometry, "cdate": schema.CalendarDate,
	"datetime": schema.CalendarTimestamp, "utcdatetime": schema.CalendarTimestampTZ,
}

func columnOfType(sqlType string) schema.Column {
	base, rest, _ := strings.Cut(sqlType, "(")
	c := schema.Column{Kind: kindsByType[base], SQLType: sqlType}
	if rest != "" {
		_, _ = fmt.Sscanf(rest, "%d,%d)", &c.Precision, &c.Scale)
	}
	return c
}

func (w *world) change(op, table, values string) error {
	t := w.tables[table]
	if t == nil {
		return fmt.Errorf("no such table")
	}
	var b schema.Builder
	b.Reset(t.Layout(), nil)
	for i, v := range strings.Split(values, "|") {
		if v == `\N` {
			b.Null(i)
			continue
		}
		if err := schema.ParseText(&b, i, &t.Columns[i], []byte(v)); err != nil {
			return err
		}
	}
	raw, err := b.Finish()
	if err != nil {
		return err
	}
	switch op {
	case "insert":
		w.unit.RowChange(changelog.OpCreate, t, changelog.ImageNone, nil, raw, nil)
	case "update":
		w.unit.RowChange(changelog.OpUpdate, t, changelog.ImageNone, nil, raw, nil)
	case "delete":
		w.unit.RowChange(changelog.OpDelete, t, changelog.ImageKey, raw, nil, nil)
	}
	return nil
}

func (w *world) append(kind changelog.UnitKind, at string) error {
	when, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return err
	}
	w.xid++
	m := &w.unit.Meta
	m.Kind, m.Source, m.Epoch, m.XID = kind, w.sources[w.source], 1, w.xid
	m.CommitTime, m.Clock = changelog.MicrosOf(when), changelog.MicrosOf(when)
	m.Position = changelog.Position(fmt.Sprintf("%016x", w.log.Bounds().Next))
	return w.flush()
}

func (w *world) flush() error {
	n, err := w.log.Append(context.Background(), &w.unit)
	if err != nil {
		return err
	}
	fmt.Fprintf(&w.out, "%d ", n)
	w.unit.Reset(changelog.UnitTx)
	return w.log.WaitDurable(context.Background(), n)
}

// printer is a sink that prints an answer.
type printer struct {
	out    strings.Builder
	header *Header
	layout *schema.Layout
	rows   int
	types  bool // print the columns' kinds
}

func (p *printer) Header(h *Header) (err error) {
	p.header = h
	for i := range h.Columns {
		if i > 0 {
			p.out.WriteString("|")
		}
		p.out.WriteString(h.Columns[i].Name)
		if p.types {
			fmt.Fprintf(&p.out, ":%s", h.Columns[i].Kind)
		}
	}
	p.out.WriteString("\n")
	p.layout, err = schema.NewLayout(h.Columns)
	return err
}

func (p *printer) Rows(arena []byte, ends []int) error {
	start := 0
	for _, end := range ends {
		row, err := p.layout.Row(arena[start:end])
		if err != nil {
			return err
		}
		start = end
		p.rows++
		for i := range p.header.Columns {
			if i > 0 {
				p.out.WriteString("|")
			}
			if row.State(i) == schema.Present {
				p.out.Write(schema.AppendText(nil, &p.header.Columns[i], row, i))
			} else {
				p.out.WriteString(`\N`)
			}
		}
		p.out.WriteString("\n")
	}
	return nil
}

// String is the answer with its notes.
func (p *printer) String() string {
	var b strings.Builder
	b.WriteString(p.out.String())
	if p.header == nil {
		return b.String()
	}
	for _, n := range p.header.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return b.String()
}
