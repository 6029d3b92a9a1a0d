package mysql

import (
	"fmt"
	"slices"
	"strings"

	"cdc/schema"
	"cdc/sources"
	"cdc/sources/mysql/value"
)

// copySettings are what a session that reads tables must not take from the server's configuration.
var copySettings = []string{
	// Under another isolation level, a consistent snapshot is none; a predicate may call anything.
	"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
	"SET autocommit = 1, sql_select_limit = 18446744073709551615, sql_big_selects = 1",
	// Rows wait for the log, and the session for its next chunk; a table that is being altered is not waited for.
	"SET wait_timeout = 28800, net_write_timeout = 600, lock_wait_timeout = 10",
}

// readyForCopy sets the session up for reading tables.
func (c *session) readyForCopy(maria bool) error {
	limit := "SET max_execution_time = 0"
	if maria {
		limit = "SET max_statement_time = 0"
	}
	for _, sql := range append(copySettings, limit) {
		if err := c.exec(sql); err != nil {
			return fmt.Errorf("set the session up for reading tables: %w", err)
		}
	}
	return nil
}

// tableReader reads the rows of one table into packed rows of one version.
type tableReader struct {
	*session
	info    tableInfo
	table   *schema.Table
	selects string // SELECT … FROM …
	decode  *value.TextDecoder
	row     []byte
}

// readerOf makes a reader. The error is a sources.ErrStale when the table does not have the version's columns.
func (c *session) readerOf(t *schema.Table) (*tableReader, error) {
	info, ok, err := c.table(t.Schema, t.Name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("table %s is gone: %w", t.FullName(), sources.ErrStale)
	}
	r := &tableReader{session: c, info: info, table: t}
	columns := make([]value.Column, len(t.Columns))
	exprs := make([]string, len(t.Columns))
	for i := range t.Columns {
		at := slices.IndexFunc(info.columns, func(c value.Column) bool { return c.Name == t.Columns[i].Name })
		if at < 0 || info.columns[at].Name == "" {
			return nil, fmt.Errorf("table %s has no column %s: %w", t.FullName(), t.Columns[i].Name, sources.ErrStale)
		}
		columns[i] = info.columns[at]
		now, err := columns[i].Schema(t.Columns[i].ID)
		if err != nil {
			return nil, err
		}
		if now.SQLType != t.Columns[i].SQLType || now.Kind != t.Columns[i].Kind {
			return nil, fmt.Errorf("table %s has another type of column %s: %w", t.FullName(), t.Columns[i].Name, sources.ErrStale)
		}
		exprs[i] = columns[i].SelectExpr()
	}
	if r.decode, err = value.CompileText(columns, t); err != nil {
		return nil, err
	}
	r.selects = "SELECT " + strings.Join(exprs, ", ") + " FROM " + info.from()
	return r, nil
}

// pack packs a row as the server sends it. The packed row is valid until the next one.
func (r *tableReader) pack(fields [][]byte) ([]byte, error) {
	packed, err := r.decode.Row(r.row[:0], fields)
	r.row = packed
	return packed, err
}
