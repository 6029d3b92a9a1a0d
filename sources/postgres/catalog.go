package postgres

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"cdc/schema"
)

// catalog asks one session about tables and types.
type catalog struct {
	*session
	types   *typeCache
	version int // major
}

// tableInfo is a table as the catalogue has it.
type tableInfo struct {
	oid          uint32
	schema, name string
	owner        string
	partitioned  bool
	// identity is pg_class.relreplident: d, n, f or i.
	identity             byte
	estimate             float64 // rows
	pages                int64
	readable, rowSecured bool
	heap                 bool
	node                 uint32 // relfilenode as the session's snapshot sees it
	attributes           uint32 // the highest attribute number, dropped ones included
	columns              []columnInfo
	// primary and replica are the attribute numbers of the primary key and of the index chosen as replica identity.
	primary, replica []int
	// filter is the row filter of the publication, empty for none.
	filter string
}

type columnInfo struct {
	number                 uint32
	name                   string
	typ                    uint32
	mod                    int32
	notNull, readable      bool
	hasDefault, hasMissing bool
	// generated columns do not travel; identity columns are filled when they are added.
	generated, identity bool
	sqlType             string
}

func (t *tableInfo) quoted() string { return quoteTable(t.schema, t.name) }

// fullName is the table's of a source for messages.
func (t *tableInfo) fullName(source string) string {
	return schema.QuotedName(source, t.schema, t.name)
}

// usable says which old rows the server sends for the table; IdentityNone means that it cannot tell which row changed.
func (t *tableInfo) usable() schema.Identity {
	switch {
	case t.identity == 'f':
		return schema.IdentityFull
	case t.identity == 'i' && len(t.replica) > 0:
		return schema.IdentityUniq
	case t.identity == 'd' && len(t.primary) > 0:
		return schema.IdentityKey
	}
	return schema.IdentityNone
}

// key is the attribute numbers that name a row, in key order.
func (t *tableInfo) key() []int {
	if t.usable() == schema.IdentityUniq {
		return t.replica
	}
	return t.primary
}

const systemSchemas = `n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_toast%' AND n.nspname NOT LIKE 'pg\_temp%'`

const tablesSQL = `
SELECT c.oid, n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner), c.relkind = 'p', c.relreplident, c.reltuples, c.relpages,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT'),
       pg_catalog.row_security_active(c.oid), coalesce(a.amname = 'heap', false), c.relfilenode, c.relnatts
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam
WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND `

const columnsSQL = `
SELECT attrelid, attnum, attname, atttypid, atttypmod, attnotnull, attgenerated <> '', atthasdef, atthasmissing, attidentity <> '',
       pg_catalog.format_type(atttypid, atttypmod), pg_catalog.has_column_privilege(attrelid, attnum, 'SELECT')
FROM pg_catalog.pg_attribute
WHERE attrelid = ANY($1::oid[]) AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum`

const keysSQL = `
SELECT i.indrelid, i.indisprimary, i.indisreplident, k.attnum
FROM pg_catalog.pg_index i, LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
WHERE i.indrelid = ANY($1::oid[]) AND (i.indisprimary OR i.indisreplident) AND i.indisvalid AND i.indimmediate
  AND k.place <= i.indnkeyatts
ORDER BY i.indrelid, i.indexrelid, k.place`

// candidates are all tables that could be captured: permanent, outside system schemas, partitions standing behind their roots.
func (c *catalog) candidates(ctx context.Context) ([]*tableInfo, error) {
	return c.tables(ctx, `NOT c.relispartition AND `+systemSchemas+` ORDER BY n.nspname, c.relname`)
}

// byOID are the tables with these numbers, as far as they exist.
func (c *catalog) byOID(ctx context.Context, oids []uint32) ([]*tableInfo, error) {
	return c.tables(ctx, `c.oid = ANY($1::oid[]) ORDER BY n.nspname, c.relname`, oidArray(oids))
}

func (c *catalog) tables(ctx context.Context, where string, args ...string) ([]*tableInfo, error) {
	rows, err := c.query(ctx, tablesSQL+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read tables: %w", err)
	}
	tables := make([]*tableInfo, len(rows))
	byOID := make(map[uint32]*tableInfo, len(rows))
	oids := make([]uint32, len(rows))
	for i, r := range rows {
		t := &tableInfo{
			oid: uint32(r[0].int()), schema: r[1].text(), name: r[2].text(), owner: r[3].text(), partitioned: r[4].bool(),
			identity: r[5][0], estimate: max(r[6].float(), 0), pages: r[7].int(), readable: r[8].bool(), rowSecured: r[9].bool(),
			heap: r[10].bool(), node: uint32(r[11].int()), attributes: uint32(r[12].int()),
		}
		tables[i], byOID[t.oid], oids[i] = t, t, t.oid
	}
	if err := c.addColumns(ctx, byOID, oids); err != nil {
		return nil, err
	}
	return tables, c.addKeys(ctx, byOID, oids)
}

func (c *catalog) addColumns(ctx context.Context, byOID map[uint32]*tableInfo, oids []uint32) error {
	rows, err := c.query(ctx, columnsSQL, oidArray(oids))
	if err != nil {
		return fmt.Errorf("read columns: %w", err)
	}
	var types []uint32
	for _, r := range rows {
		t := byOID[uint32(r[0].int())]
		column := columnInfo{
			number: uint32(r[1].int()), name: r[2].text(), typ: uint32(r[3].int()), mod: int32(r[4].int()), notNull: r[5].bool(),
			generated: r[6].bool(), hasDefault: r[7].bool(), hasMissing: r[8].bool(), identity: r[9].bool(), sqlType: r[10].text(),
			readable: r[11].bool(),
		}
		t.columns = append(t.columns, column)
		types = append(types, column.typ)
	}
	return c.types.load(ctx, types)
}

func (c *catalog) addKeys(ctx context.Context, byOID map[uint32]*tableInfo, oids []uint32) error {
	rows, err := c.query(ctx, keysSQL, oidArray(oids))
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	for _, r := range rows {
		t, number := byOID[uint32(r[0].int())], int(r[3].int())
		if r[1].bool() {
			t.primary = append(t.primary, number)
		}
		if r[2].bool() {
			t.replica = append(t.replica, number)
		}
	}
	return nil
}

// captured are the columns that travel.
func (t *tableInfo) captured() []columnInfo {
	return slices.DeleteFunc(slices.Clone(t.columns), func(c columnInfo) bool { return c.generated })
}

// table makes the table version that the catalogue describes now.
func (c *catalog) table(source string, t *tableInfo, appendOnly bool) (*schema.Table, error) {
	version := &schema.Table{
		Source: source, Schema: t.schema, Name: t.name, SourceTable: t.oid, Identity: t.usable(), AppendOnly: appendOnly,
	}
	key := t.key()
	for _, info := range t.captured() {
		version.Columns = append(version.Columns, c.column(info, key))
	}
	if err := version.Prepare(); err != nil {
		return nil, fmt.Errorf("describe table %s: %w", t.quoted(), err)
	}
	return version, nil
}

func (c *catalog) column(info columnInfo, key []int) schema.Column {
	column := schema.Column{
		ID: info.number, Name: info.name, SQLType: info.sqlType, NotNull: info.notNull,
		Key: uint16(slices.Index(key, int(info.number)) + 1),
	}
	c.types.describe(&column, info.typ, info.mod)
	return column
}

// missingValue reads what rows written before the column was added hold for it, as the text of one value; nil for null. The
// catalogue keeps it as an array with one element.
func (c *catalog) missingValue(ctx context.Context, oid uint32, column columnInfo) ([]byte, error) {
	r, err := c.one(ctx, `SELECT attmissingval::text FROM pg_catalog.pg_attribute WHERE attrelid = $1::oid AND attnum = $2::int2`,
		strconv.FormatUint(uint64(oid), 10), strconv.FormatUint(uint64(column.number), 10))
	if err != nil {
		return nil, fmt.Errorf("read missing value of column %q: %w", column.name, err)
	}
	value, ok := onlyElement(r[0])
	if !ok {
		return nil, fmt.Errorf("read missing value of column %q: %q is not an array of one element", column.name, r[0].text())
	}
	return value, nil
}

// onlyElement is the one element of an array's text; nil for null.
func onlyElement(text []byte) (value []byte, ok bool) {
	if len(text) < 3 || text[0] != '{' || text[len(text)-1] != '}' {
		return nil, false
	}
	text = text[1 : len(text)-1]
	if text[0] != '"' {
		if string(text) == "NULL" {
			return nil, true
		}
		return text, true
	}
	if len(text) < 2 || text[len(text)-1] != '"' {
		return nil, false
	}
	value = []byte{}
	for i := 1; i < len(text)-1; i++ {
		if text[i] == '\\' && i+1 < len(text)-1 {
			i++
		}
		value = append(value, text[i])
	}
	return value, true
}

// openCatalog opens a session and reads what all later questions need.
func (s *Source) openCatalog(ctx context.Context) (*catalog, error) {
	session, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	c := &catalog{session: session, types: &typeCache{session: session, types: map[uint32]typeInfo{}}}
	if err := c.prepare(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// prepare reads the server's version and how many digits its money values have, which depends on the locale that they were written
// under; only afterwards is the locale pinned that they are printed under.
func (c *catalog) prepare(ctx context.Context) error {
	r, err := c.one(ctx, `
SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.encode(pg_catalog.cash_send('1'::pg_catalog.money), 'hex'),
       pg_catalog.set_config('lc_monetary', 'C', false)`)
	if err != nil {
		return err
	}
	c.version = int(r[0].int() / 10000)
	unit, err := strconv.ParseUint(r[1].text(), 16, 64)
	if err != nil {
		return fmt.Errorf("read money's unit: %w", err)
	}
	for ; unit >= 10; unit /= 10 {
		c.types.moneyDigits++
	}
	return nil
}
