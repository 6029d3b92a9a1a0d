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
