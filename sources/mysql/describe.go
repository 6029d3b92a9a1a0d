package mysql

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cdc/sources/mysql/value"
)

// description is tables of one schema that are being read.
type description struct {
	*catalog
	all     []tableInfo
	place   map[string]*tableInfo
	indexes map[*tableInfo][]indexInfo
}

// indexInfo is a unique index.
type indexInfo struct {
	name       string
	columns    []string
	descending []bool
	// whole says that its columns are whole and cannot be null, ordered that the server reads it in its order.
	whole, ordered bool
}

const primary = "PRIMARY"

// fold is the name under which a table is found again: the catalogue compares names by rules of its own.
func (d *description) fold(name string) string {
	if d.foldCase {
		return strings.ToLower(name)
	}
	return name
}

// read fills in the tables that the condition selects; those that nobody has asked for are left out.
func (d *description) read(where string) error {
	if err := d.readTables(where); err != nil {
		return fmt.Errorf("read tables: %w", err)
	}
	if err := d.readIndexes(where); err != nil {
		return fmt.Errorf("read indexes: %w", err)
	}
	if err := d.readForeignKeys(where); err != nil {
		return fmt.Errorf("read foreign keys: %w", err)
	}
	documents, err := d.readDocuments(where)
	if err != nil {
		return fmt.Errorf("read check constraints: %w", err)
	}
	if err := d.readColumns(where, documents); err != nil {
		return fmt.Errorf("read columns: %w", err)
	}
	return nil
}

func (d *description) readTables(where string) error {
	rows, err := d.query("SELECT TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_ROWS, AVG_ROW_LENGTH FROM information_schema.TABLES WHERE " + where + " AND " + baseTables)
	for _, r := range rows {
		if t := d.place[d.fold(r[0].s)]; t != nil {
			t.catalogued, t.versioned = true, r[1].s == "SYSTEM VERSIONED"
			t.engine, t.rows, t.rowBytes = r[2].s, int64(number(r[3])), int64(number(r[4]))
		}
	}
	return err
}

func (d *description) readIndexes(where string) error {
	visible := "TRUE"
	if d.visible != "" {
		visible = d.visible
	}
	rows, err := d.query("SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART IS NULL AND NULLABLE <> 'YES', COLLATION = 'D', INDEX_TYPE = 'BTREE', " +
		visible + " FROM information_schema.STATISTICS WHERE " + where + " AND NON_UNIQUE = 0 ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX")
	for _, r := range rows {
		t := d.place[d.fold(r[0].s)]
		if t == nil {
			continue
		}
		all := d.indexes[t]
		if len(all) == 0 || all[len(all)-1].name != r[1].s {
			all = append(all, indexInfo{name: r[1].s, whole: true, ordered: true})
		}
		at := &all[len(all)-1]
		at.columns = append(at.columns, r[2].s)
		at.descending = append(at.descending, r[4].s == "1")
		at.whole = at.whole && !r[2].null && r[3].s == "1"
		at.ordered = at.ordered && r[5].s == "1" && r[6].s == "1"
		d.indexes[t] = all
	}
	return err
}

// cascadesLogged is the first version of MySQL that has in its binlog the rows that a foreign key changes. MariaDB's has them in none.
const cascadesLogged version = 9_06_00

// readForeignKeys finds the tables of which rows are changed by foreign keys without a word in the binlog.
func (d *description) readForeignKeys(where string) error {
	if v, err := parseVersion(d.conn.GetServerVersion()); err == nil && !d.maria && v >= cascadesLogged {
		return nil
	}
	rows, err := d.query("SELECT DISTINCT TABLE_SCHEMA, TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE " + where + " AND REFERENCED_TABLE_NAME IS NOT NULL")
	if err != nil {
		return err
	}
	for _, r := range rows {
		t := d.place[d.fold(r[1].s)]
		if t == nil {
			continue
		}
		// The catalogue tells the rules of a foreign key only to who may write to the table.
		made, err := d.query("SHOW CREATE TABLE " + quoteName(r[0].s) + "." + quoteName(r[1].s))
		if err != nil {
			return err
		}
		if found := silentKey.FindStringSubmatch(made[0][1].s); found != nil {
			t.cascade = found[1]
		}
	}
	return nil
}

// silentKey is a foreign key, as SHOW CREATE TABLE writes it, that changes rows.
var silentKey = regexp.MustCompile("(?m)^ *CONSTRAINT `(.+)` FOREIGN KEY .* ON (?:DELETE|UPDATE) (?:CASCADE|SET NULL|SET DEFAULT)")

// readDocuments are the columns that MariaDB has from a declaration as JSON: texts with a check of their own.
func (d *description) readDocuments(where string) (map[string]bool, error) {
	documents := map[string]bool{}
	if !d.maria {
		return documents, nil
	}
	where = strings.Replace(where, "TABLE_SCHEMA", "CONSTRAINT_SCHEMA", 1)
	rows, err := d.query("SELECT TABLE_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE " + where + " AND CHECK_CLAUSE LIKE 'json_valid(%'")
	for _, r := range rows {
		documents[d.fold(r[0].s)+"\x00"+r[1].s] = true
	}
	return documents, err
}

func (d *description) readColumns(where string, documents map[string]bool) error {
	rows, err := d.query(`SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_OCTET_LENGTH, COLLATION_NAME, CHARACTER_SET_NAME,
 NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, IS_NULLABLE = 'YES', COLUMN_DEFAULT, EXTRA, COALESCE(GENERATION_EXPRESSION, ''),
 ORDINAL_POSITION, FIND_IN_SET('select', PRIVILEGES) > 0
 FROM information_schema.COLUMNS WHERE ` + where + " ORDER BY TABLE_NAME, ORDINAL_POSITION")
	if err != nil {
		return err
	}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n][0] == rows[0][0] {
			n++
		}
		if t := d.place[d.fold(rows[0][0].s)]; t != nil {
			if err := d.fill(t, rows[:n], documents); err != nil {
				return err
			}
		}
		rows = rows[n:]
	}
	return nil
}

// fill describes the columns of one table.
func (d *description) fill(t *tableInfo, rows [][]text, documents map[string]bool) error {
	server, own, err := d.keys(t)
	if err != nil {
		return err
	}
	if own != nil {
		t.key, t.index, t.descending = own.columns, own.name, own.descending
	}
	marked := false
	for i, r := range rows {
		f := value.Facts{
			Name: r[1].s, DataType: r[2].s, ColumnType: r[3].s, OctetLength: number(r[4]), Collation: d.collations[r[5].s],
			Precision: uint16(number(r[7])), Scale: uint16(number(r[8])), Fraction: uint16(number(r[9])), Nullable: r[10].s == "1",
			JSON: documents[d.fold(t.name)+"\x00json_valid("+quoteName(r[1].s)+")"],
		}
		if server != nil {
			f.Key = uint16(slices.Index(server.columns, f.Name) + 1)
		}
		if !r[5].null && f.Collation == 0 && t.err == nil {
			t.err = fmt.Errorf("column %q has collation %s, which the server does not number", f.Name, r[5].s)
		}
		column, err := value.FromInformationSchema(f)
		if err != nil && t.err == nil {
			t.err = err
		}
		column.Name = f.Name
		t.columns = append(t.columns, column)
		t.charsets, t.collations = append(t.charsets, r[6].s), append(t.collations, r[5].s)
		t.defaults = append(t.defaults, d.defaultOf(&column, r[11], r[12].s, r[13].s))
		marked = marked || r[13].s == "ROW START"
		if number(r[14]) != uint64(i+1) {
			t.unreadable = append(t.unreadable, "all columns")
		} else if r[15].s != "1" {
			t.unreadable = append(t.unreadable, f.Name)
		}
	}
	if t.versioned && !marked {
		t.addRowTimes(server)
	}
	return nil
}

// addRowTimes adds the columns that system versioning gives a table whose definition does not name them. They follow the others in
// the binlog, and the end of the row's time is the last column of each unique index, which the catalogue does not say either.
func (t *tableInfo) addRowTimes(server *indexInfo) {
	for _, name := range []string{"row_start", "row_end"} {
		column, err := value.FromInformationSchema(value.Facts{Name: name, DataType: "timestamp", ColumnType: "timestamp(6)", Fraction: 6})
		if err != nil && t.err == nil {
			t.err = err
		}
		t.columns = append(t.columns, column)
		t.charsets, t.collations = append(t.charsets, ""), append(t.collations, "")
		t.defaults = append(t.defaults, columnDefault{generated: true})
	}
	if server != nil {
		t.columns[len(t.columns)-1].Key = uint16(len(server.columns) + 1)
	}
	if t.keyed() {
		t.key = append(slices.Clone(t.key), "row_end")
		t.descending = append(slices.Clone(t.descending), false)
	}
}

// keys finds the index that the server takes for the table's primary key, in the binlog too, and the one that names rows for us: the
// same, unless it has only prefixes of columns.
func (d *description) keys(t *tableInfo) (server, own *indexInfo, err error) {
	all := d.indexes[t]
	var candidates []*indexInfo
	for i := range all {
		at := &all[i]
		if at.name == primary {
			server = at
		}
		t.hidden = t.hidden || d.maria && !at.ordered && at.name != primary && !strings.EqualFold(t.engine, "MEMORY")
		if at.whole && (at.ordered || at.name == primary) {
			candidates = append(candidates, at)
		}
	}
	if len(candidates) > 1 && (server == nil || !server.whole) {
		if err := d.sortByTable(t, candidates); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case server != nil && server.whole:
		return server, server, nil
	case len(candidates) == 0:
		return server, nil, nil
	case server == nil:
		server = candidates[0]
	}
	return server, candidates[0], nil
}

// sortByTable sorts indexes in the order in which the table has them, which information_schema does not tell: the server takes the
// first for the primary key.
func (d *description) sortByTable(t *tableInfo, indexes []*indexInfo) error {
	rows, err := d.query("SHOW INDEX FROM " + t.quoted())
	if err != nil {
		return err
	}
	place := func(at *indexInfo) int {
		return slices.IndexFunc(rows, func(r []text) bool { return r[2].s == at.name })
	}
	slices.SortStableFunc(indexes, func(a, b *indexInfo) int { return place(a) - place(b) })
	return nil
}

// defaultOf reads a default. MySQL has the text of a literal and says of the column that it is generated when it is not one; MariaDB
// has an expression.
func (d *description) defaultOf(c *value.Column, def text, extra, generation string) columnDefault {
	switch {
	case generation != "" || strings.Contains(strings.ToLower(extra), "auto_increment"):
		return columnDefault{generated: true}
	case def.null:
		return columnDefault{null: true}
	case d.maria:
		return mariaDefault(def.s)
	case strings.Contains(extra, "DEFAULT_GENERATED"), isTemporal(c.Type) && strings.HasPrefix(strings.ToUpper(def.s), "CURRENT_TIMESTAMP"):
		return columnDefault{expression: true}
	}
	return columnDefault{text: def.s}
}

func isTemporal(t value.Type) bool { return t == value.TypeTimestamp2 || t == value.TypeDateTime2 }

func mariaDefault(s string) columnDefault {
	switch {
	case strings.EqualFold(s, "NULL"):
		return columnDefault{null: true}
	case len(s) >= 2 && s[0] == '\'':
		if literal, ok := unquote(s); ok {
			return columnDefault{text: literal}
		}
		return columnDefault{expression: true}
	case s != "" && strings.Trim(s, "0123456789.-") == "":
		return columnDefault{text: s}
	}
	return columnDefault{expression: true}
}

// unquote reads a text that is one literal.
func unquote(s string) (literal string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'' && i == len(s)-1:
			return b.String(), true
		case c == '\'' && s[i+1] == '\'':
			b.WriteByte('\'')
			i++
		case c == '\'':
			return "", false
		case c == '\\' && i+1 < len(s)-1:
			i++
			b.WriteString(escaped(s[i]))
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

func escaped(c byte) string {
	switch c {
	case '0':
		return "\x00"
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	}
	return string(c)
}
