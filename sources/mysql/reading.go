package mysql

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cdc/schema"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
	"cdc/sources/mysql/value"
)

type columnDefault struct {
	text                        string
	null, expression, generated bool
}

type tableInfo struct {
	schema, name string
	columns      []value.Column
	defaults     []columnDefault
	key          []string
}

func (t *tableInfo) keyed() bool {
	for _, c := range t.columns {
		if c.Key > 0 {
			return true
		}
	}
	return len(t.key) > 0
}

func (t *tableInfo) version(source string, number uint32, before *schema.Table) (*schema.Table, error) {
	out := &schema.Table{Source: source, Schema: t.schema, Name: t.name, SourceTable: number, Identity: schema.IdentityFull}
	next := uint32(1)
	if before != nil {
		for _, c := range before.Columns {
			next = max(next, c.ID+1)
		}
	}
	for i := range t.columns {
		id := uint32(0)
		if before != nil {
			if j := before.Column(t.columns[i].Name); j >= 0 {
				id = before.Columns[j].ID
			}
		}
		if id == 0 {
			id = next
			next++
		}
		c, err := t.columns[i].Schema(id)
		if err != nil {
			return nil, err
		}
		if c.Key > 0 {
			out.Identity = schema.IdentityKey
		}
		out.Columns = append(out.Columns, c)
	}
	return out, out.Prepare()
}

func (c *session) tables(wants func(tableName) bool) ([]tableInfo, error) {
	rows, err := c.query("SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'")
	if err != nil {
		return nil, err
	}
	var all []tableInfo
	for _, r := range rows {
		if wants(tableName{r[0].s, r[1].s}) {
			t, ok, err := c.table(r[0].s, r[1].s)
			if err != nil {
				return nil, err
			}
			if ok {
				all = append(all, t)
			}
		}
	}
	return all, nil
}

func (c *session) table(schema, name string) (tableInfo, bool, error) {
	q := "SELECT c.column_name, c.data_type, c.column_type, c.character_octet_length, (SELECT id FROM information_schema.collations x WHERE x.collation_name = c.collation_name LIMIT 1), c.numeric_precision, c.numeric_scale, c.datetime_precision, c.is_nullable, (SELECT seq_in_index FROM information_schema.statistics s WHERE s.table_schema=c.table_schema AND s.table_name=c.table_name AND s.index_name='PRIMARY' AND s.column_name=c.column_name), c.column_default, c.extra FROM information_schema.columns c WHERE c.table_schema=" + quoteText(schema) + " AND c.table_name=" + quoteText(name) + " ORDER BY c.ordinal_position"
	rows, err := c.query(q)
	if err != nil || len(rows) == 0 {
		return tableInfo{}, false, err
	}
	t := tableInfo{schema: schema, name: name}
	num := func(x text) uint64 { n, _ := strconv.ParseUint(x.s, 10, 64); return n }
	for _, r := range rows {
		col, err := value.FromInformationSchema(value.Facts{Name: r[0].s, DataType: r[1].s, ColumnType: r[2].s, OctetLength: num(r[3]), Collation: uint16(num(r[4])), Precision: uint16(num(r[5])), Scale: uint16(num(r[6])), Fraction: uint16(num(r[7])), Nullable: r[8].s == "YES", Key: uint16(num(r[9]))})
		if err != nil {
			return t, false, err
		}
		t.columns = append(t.columns, col)
		t.defaults = append(t.defaults, columnDefault{text: strings.Trim(r[10].s, "'"), null: r[10].null || r[10].s == "NULL"})
	}
	return t, true, nil
}

func (s *Source) checkServer(context.Context, *session, server) error { return nil }

func (s *Source) resolveRemedy() string { return "resolve" }

type stubReader struct {
	c       *session
	reached func(string, uint64) bool
}

func (s *Source) openReader(ctx context.Context, reached func(string, uint64) bool) (sources.ChunkReader, error) {
	c, err := s.connect(ctx)
	return &stubReader{c, reached}, err
}
func (r *stubReader) Close() { r.c.close() }
func (r *stubReader) Bound(ctx context.Context, t *schema.Table, after string, rows int) (sources.Range, error) {
	k := quoteName(t.Columns[t.KeyColumns()[0]].Name)
	where := ""
	if after != "" {
		where = " WHERE " + k + " > " + after
	}
	got, err := r.c.query("SELECT " + k + " FROM " + quoteName(t.Schema) + "." + quoteName(t.Name) + where + " ORDER BY " + k + " LIMIT 1 OFFSET " + strconv.Itoa(rows-1))
	if err != nil || len(got) == 0 {
		return sources.Range{After: after, Last: true}, err
	}
	return sources.Range{After: after, UpTo: got[0][0].s}, nil
}

func (r *stubReader) Fill(ctx context.Context, ch *sources.Chunk, rg sources.Range) (sources.Place, error) {
	info, ok, err := r.c.table(ch.Table.Schema, ch.Table.Name)
	if err != nil || !ok {
		return sources.Place{}, errors.Join(err, errors.New("no table"))
	}
	for {
		from, err := ParsePosition(ch.From)
		if err != nil {
			return sources.Place{}, err
		}
		_, _, g, err := r.c.binlogEnd()
		if err != nil {
			return sources.Place{}, err
		}
		if from.Flavour == FlavourMySQL {
			x, _ := binlog.ParseGTIDSet(g)
			if from.GTIDs.IsSubset(x) {
				break
			}
		} else {
			break
		}
	}
	if err := r.c.exec("START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
		return sources.Place{}, err
	}
	defer r.c.exec("COMMIT")
	file, pos, _, err := r.c.binlogEnd()
	if err != nil {
		return sources.Place{}, err
	}
	var exprs []string
	for i := range info.columns {
		exprs = append(exprs, info.columns[i].SelectExpr())
	}
	k := quoteName(ch.Table.Columns[ch.Table.KeyColumns()[0]].Name)
	where := " WHERE 1"
	if rg.After != "" {
		where += " AND " + k + " > " + rg.After
	}
	if !rg.Last {
		where += " AND " + k + " <= " + rg.UpTo
	}
	d, err := value.CompileText(info.columns, ch.Table)
	if err != nil {
		return sources.Place{}, err
	}
	var buf []byte
	err = r.c.each("SELECT "+strings.Join(exprs, ",")+" FROM "+quoteName(ch.Table.Schema)+"."+quoteName(ch.Table.Name)+where+" ORDER BY "+k, func(f [][]byte) error {
		var err error
		if buf, err = d.Row(buf[:0], f); err != nil {
			return err
		}
		_, err = ch.Add(buf)
		return err
	})
	if err != nil {
		return sources.Place{}, fmt.Errorf("fill: %w", err)
	}
	return sources.Place{Cursor: rg.UpTo, Last: rg.Last, Reached: func() bool { return r.reached(file, pos) }}, nil
}

// Verification implements sources.Database.
func (s *Source) Verification(context.Context) (sources.Verification, error) {
	return nil, errors.New("not here yet")
}

// Doctor implements sources.Database.
func (s *Source) Doctor(context.Context) ([]sources.Finding, error) { return nil, nil }

// Drop implements sources.Database. A MySQL server holds nothing for us.
func (s *Source) Drop(context.Context) ([]string, error) { return nil, nil }
