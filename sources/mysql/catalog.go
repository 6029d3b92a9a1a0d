package mysql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cdc/sources/mysql/value"
)

// tableInfo is a table as the catalogue has it. Its columns are those that TABLE_MAP lists, in that order, as tried on MySQL 9.7 and
// MariaDB 10.11: generated columns of every kind, virtual ones too, are there with their values; so are invisible columns, MySQL's
// generated invisible primary key, and both columns with which MariaDB's system versioning marks a row's time, named in the
// definition or not. Hidden columns of MySQL's functional indexes are not.
type tableInfo struct {
	schema, name string
	columns      []value.Column
	defaults     []columnDefault // one for each column
	// charsets and collations of the columns in the words of the server; empty for those that are no text.
	charsets, collations []string
	engine               string
	// versioned tables of MariaDB keep the rows of former times, which the binlog has as rows of their own.
	versioned bool
	// key is the columns that name a row, in the order of index, which has descending[i] for columns that it orders downwards. Without
	// a primary key the server takes a unique index whose columns are whole and not null in its place, and so do we.
	key        []string
	index      string
	descending []bool
	// cascade is a foreign key that changes rows without a word in the binlog, empty when there is none.
	cascade string
	// rows and rowBytes are estimates.
	rows, rowBytes int64

	// catalogued says that the catalogue has been read, and not only TABLE_MAP.
	catalogued bool
	// hidden says that the binlog has columns which nobody can read; err is a column that cannot be decoded.
	hidden     bool
	unreadable []string
	err        error
}

// columnDefault is what a column has in rows that do not name it.
type columnDefault struct {
	text string // of a literal
	null bool
	// expression says that the default is computed, generated that the column always is.
	expression, generated bool
}

// keyed reports whether rows of the table can be told apart.
func (t *tableInfo) keyed() bool { return len(t.key) > 0 }

// obstacle says why the table cannot be captured, empty when it can.
func (t *tableInfo) obstacle() string {
	switch {
	case t.err != nil:
		return t.err.Error()
	case t.hidden:
		return "a unique index over a long column gives it a hidden column, which nobody can read"
	case t.cascade != "":
		return "the rows that its foreign key " + t.cascade + " changes by CASCADE or SET NULL are not in the server's binlog"
	case len(t.unreadable) > 0:
		return "the account may not read " + strings.Join(t.unreadable, ", ")
	}
	return ""
}

// snapshots reports whether a transaction sees the table as it was at its beginning.
func (t *tableInfo) snapshots() bool {
	return strings.EqualFold(t.engine, "InnoDB") || strings.EqualFold(t.engine, "ROCKSDB")
}

func (t *tableInfo) quoted() string { return quoteName(t.schema) + "." + quoteName(t.name) }

// from is the table for FROM, with every row that the binlog has brought.
func (t *tableInfo) from() string {
	if t.versioned {
		return t.quoted() + " FOR SYSTEM_TIME ALL"
	}
	return t.quoted()
}

// tables are the base tables that are wanted, in the order of their names: no views, sequences, temporary tables, nor tables of the
// system. Partitions are no tables.
func (c *session) tables(wanted func(tableName) bool) ([]tableInfo, error) {
	k, err := c.openCatalog()
	if err != nil {
		return nil, err
	}
	names, err := k.names("TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'ndbinfo')")
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(n tableName) bool { return !wanted(n) })
	var all []tableInfo
	for len(names) > 0 {
		n := 1
		for n < len(names) && names[n].schema == names[0].schema {
			n++
		}
		some, err := k.describe(names[0].schema, names[:n])
		if err != nil {
			return nil, err
		}
		all, names = append(all, some...), names[n:]
	}
	return all, nil
}

// table is the named table, if it exists and is one that tables would give.
func (c *session) table(schema, name string) (tableInfo, bool, error) {
	k, err := c.openCatalog()
	if err != nil {
		return tableInfo{}, false, err
	}
	all, err := k.describe(schema, []tableName{{schema, name}})
	if err != nil || len(all) == 0 {
		return tableInfo{}, false, err
	}
	return all[0], true, nil
}

// catalog reads information_schema, of which the servers' versions have different columns.
type catalog struct {
	*session
	maria      bool
	foldCase   bool
	visible    string // the column of STATISTICS that says whether an index is used, with the value for yes; empty when there is none
	collations map[string]uint16
}

// openCatalog makes ready for questions, once in a session.
func (c *session) openCatalog() (*catalog, error) {
	if c.catalog != nil {
		return c.catalog, nil
	}
	is, err := c.server()
	if err != nil {
		return nil, err
	}
	k := &catalog{session: c, maria: is.flavour == flavourMariaDB, foldCase: is.foldCase, collations: map[string]uint16{}}
	rows, err := c.query(`SELECT CONCAT(TABLE_NAME, '.', COLUMN_NAME) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema'
 AND TABLE_NAME IN ('STATISTICS', 'COLLATION_CHARACTER_SET_APPLICABILITY') AND COLUMN_NAME IN ('IS_VISIBLE', 'IGNORED', 'FULL_COLLATION_NAME')`)
	if err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	collations := "SELECT COLLATION_NAME, ID FROM information_schema.COLLATIONS"
	for _, r := range rows {
		switch strings.ToUpper(r[0].s) {
		case "STATISTICS.IS_VISIBLE":
			k.visible = "IS_VISIBLE = 'YES'"
		case "STATISTICS.IGNORED":
			k.visible = "IGNORED = 'NO'"
		case "COLLATION_CHARACTER_SET_APPLICABILITY.FULL_COLLATION_NAME":
			collations = "SELECT FULL_COLLATION_NAME, ID FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
		}
	}
	if rows, err = c.query(collations); err != nil {
		return nil, fmt.Errorf("read collations: %w", err)
	}
	for _, r := range rows {
		k.collations[r[0].s] = uint16(number(r[1]))
	}
	c.catalog = k
	return k, nil
}

// number reads a number of the catalogue, zero for null and for what is larger than we care for.
func number(t text) uint64 {
	n, _ := strconv.ParseUint(t.s, 10, 64)
	return n
}

// baseTables are the kinds of tables that hold rows of their own.
const baseTables = "TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"

// names lists tables by what costs the server little: it need not open them.
func (k *catalog) names(where string) ([]tableName, error) {
	rows, err := k.query("SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE " + where + " AND " + baseTables)
	if err != nil {
		return nil, fmt.Errorf("read tables: %w", err)
	}
	names := make([]tableName, len(rows))
	for i, r := range rows {
		names[i] = tableName{r[0].s, r[1].s}
	}
	slices.SortFunc(names, func(a, b tableName) int {
		if by := strings.Compare(a.schema, b.schema); by != 0 {
			return by
		}
		return strings.Compare(a.name, b.name)
	})
	return names, nil
}

// singly is how many tables of a schema are asked for one by one: MySQL 5.7 and MariaDB find a table by its two names, and otherwise
// open all tables of the schema.
const singly = 8

// describe reads the named tables of a schema, as far as they exist. The names are in order.
func (k *catalog) describe(schema string, names []tableName) ([]tableInfo, error) {
	in := "TABLE_SCHEMA = " + quoteText(schema)
	d := description{catalog: k, all: make([]tableInfo, len(names)), place: make(map[string]*tableInfo, len(names)), indexes: map[*tableInfo][]indexInfo{}}
	for i, n := range names {
		d.all[i] = tableInfo{schema: n.schema, name: n.name}
		d.place[d.fold(n.name)] = &d.all[i]
	}
	if len(names) > singly {
		if err := d.read(in); err != nil {
			return nil, err
		}
	} else {
		for _, n := range names {
			if err := d.read(in + " AND TABLE_NAME = " + quoteText(n.name)); err != nil {
				return nil, err
			}
		}
	}
	d.all = slices.DeleteFunc(d.all, func(t tableInfo) bool { return len(t.columns) == 0 || t.engine == "" }) // dropped meanwhile, or broken
	return d.all, nil
}
