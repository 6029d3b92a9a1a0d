package postgres

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"cdc/schema"
)

// unknownColumn is the first number for columns that the catalogue no longer has; attribute numbers are smaller.
const unknownColumn = 1 << 16

// reshape compares a table's version with what the stream says of it. It returns nil when nothing has changed, else the new
// version, and in lost why rows of the old version cannot be read as rows of the new one, if so.
//
// The stream tells names and types; the rest comes from the catalogue, which is later than the stream. Where both disagree the table
// has changed again since, and counts as rewritten. numbered is the highest column number that is known to have been given by then.
func (c *catalog) reshape(ctx context.Context, old *schema.Table, m *relationMessage, numbered uint32) (next *schema.Table, lost string, err error) {
	declared, err := c.declaredTypes(ctx, m)
	if err != nil {
		return nil, "", err
	}
	infos, err := c.byOID(ctx, []uint32{m.oid})
	if err != nil {
		return nil, "", err
	}
	r := reshaping{c: c, old: old, m: m, declared: declared, numbered: numbered}
	for i := range old.Columns {
		r.numbered = max(r.numbered, old.Columns[i].ID)
	}
	if len(infos) == 1 {
		r.info = infos[0]
	}
	if sameAs(old, m, declared) && r.sameNumbers() {
		return nil, "", nil
	}
	return r.run(ctx)
}

// sameNumbers reports whether columns of the same names are the same columns, and not ones that were dropped and made again. They
// are when no column has been made since, whatever they have come to be called: numbers are not given twice.
func (r *reshaping) sameNumbers() bool {
	if r.info == nil {
		return true // the table is gone, and with it the question
	}
	if r.info.attributes <= r.numbered {
		return true
	}
	for i, m := range r.m.columns {
		if info := r.find(m); info == nil || info.number != r.old.Columns[i].ID {
			return false
		}
	}
	return true
}

// declaredTypes are the SQL types of the message's columns.
func (c *catalog) declaredTypes(ctx context.Context, m *relationMessage) ([]string, error) {
	types, mods := make([]uint32, len(m.columns)), "{"
	for i, column := range m.columns {
		types[i] = column.typ
		if i > 0 {
			mods += ","
		}
		mods += strconv.Itoa(int(column.mod))
	}
	rows, err := c.query(ctx, `
SELECT pg_catalog.format_type(t.t, t.m) FROM unnest($1::oid[], $2::int4[]) WITH ORDINALITY AS t(t, m, place) ORDER BY place`,
		oidArray(types), mods+"}")
	if err != nil {
		return nil, fmt.Errorf("read types of table %s: %w", quoteTable(m.schema, m.name), err)
	}
	declared := make([]string, len(rows))
	for i, r := range rows {
		declared[i] = r[0].text()
	}
	return declared, nil
}

// sameAs reports whether the stream describes the version.
func sameAs(t *schema.Table, m *relationMessage, declared []string) bool {
	if t.Schema != m.schema || t.Name != m.name || len(t.Columns) != len(m.columns) || t.Identity != m.identityKind() && !t.AppendOnly {
		return false
	}
	for i, column := range m.columns {
		known := &t.Columns[i]
		if known.Name != column.name || known.SourceType != column.typ || known.SQLType != declared[i] {
			return false
		}
	}
	return sameKey(t, m)
}

// sameKey reports whether the stream names rows by the version's key. With full rows it does not say what the key is.
func sameKey(t *schema.Table, m *relationMessage) bool {
	if id := m.identityKind(); id != schema.IdentityKey && id != schema.IdentityUniq {
		return true
	}
	for i, column := range m.columns {
		if i < len(t.Columns) && column.key != (t.Columns[i].Key > 0) {
			return false
		}
	}
	return true
}

// reshaping makes one new version.
type reshaping struct {
	c        *catalog
	old      *schema.Table
	m        *relationMessage
	declared []string
	info     *tableInfo // nil when the table is gone
	numbered uint32
	lost     string
}

func (r *reshaping) run(ctx context.Context) (*schema.Table, string, error) {
	next := &schema.Table{
		Source: r.old.Source, Schema: r.m.schema, Name: r.m.name, SourceTable: r.m.oid, Identity: r.m.identityKind(), AppendOnly: r.old.AppendOnly,
	}
	for i := range r.m.columns {
		column, err := r.column(ctx, i)
		if err != nil {
			return nil, "", err
		}
		next.Columns = append(next.Columns, column)
	}
	if r.info != nil && r.lost == "" && !r.certain(next) {
		r.lose("its columns were renamed or made again while the log was behind")
	}
	r.setKey(next)
	if err := next.Prepare(); err != nil {
		return nil, "", fmt.Errorf("describe table %s: %w", next.FullName(), err)
	}
	if r.lost == "" && !sameKeyColumns(r.old, next) {
		r.lose("the columns that name its rows have changed")
	}
	next.ID = r.old.ID
	return next, r.lost, nil
}

// certain reports whether the columns of next are those that the stream means. The catalogue finds them by name and type, and may be
// later than the stream: names may have moved to other columns since. The stream names columns in the order of their numbers, and every
// column with a number below one that it names must have been there too, unless it was dropped before.
func (r *reshaping) certain(next *schema.Table) bool {
	named, made := map[uint32]bool{}, map[string]bool{}
	highest := uint32(0)
	for i := range next.Columns {
		c := &next.Columns[i]
		if c.ID <= highest {
			return false
		}
		named[c.ID], highest = true, c.ID
		if c.ID > r.numbered {
			made[c.Name+" "+c.SQLType] = true
		}
	}
	for n := uint32(1); n < highest; n++ {
		if named[n] {
			continue
		}
		before := r.old.ColumnByID(n)
		i := slices.IndexFunc(r.info.columns, func(c columnInfo) bool { return c.number == n })
		switch {
		case i >= 0 && r.info.columns[i].generated:
		case n > r.numbered, i >= 0 && before >= 0:
			return false
		case before >= 0 && made[r.old.Columns[before].Name+" "+r.old.Columns[before].SQLType]:
			return false // the stream may mean the one that was dropped
		}
	}
	return true
}

func (r *reshaping) lose(reason string) {
	if r.lost == "" {
		r.lost = reason
	}
}

// column makes column i and finds out what older rows hold for it.
func (r *reshaping) column(ctx context.Context, i int) (schema.Column, error) {
	m := r.m.columns[i]
	column := schema.Column{Name: m.name, SQLType: r.declared[i]}
	r.c.types.describe(&column, m.typ, m.mod)
	info := r.find(m)
	switch {
	case info != nil:
		column.ID, column.NotNull = info.number, info.notNull
	default:
		r.lose(fmt.Sprintf("column %q has changed again since", m.name))
		column.ID = unknownColumn + uint32(i)
	}
	if j := r.old.ColumnByID(column.ID); j >= 0 {
		before := &r.old.Columns[j]
		if !keepsValues(before, &column) {
			r.lose(fmt.Sprintf("column %q was changed from %s to %s", m.name, before.SQLType, column.SQLType))
			return column, nil
		}
		column.Missing, column.HasMissing = before.Missing, before.HasMissing
		return column, nil
	}
	if info == nil {
		return column, nil
	}
	return column, r.added(ctx, &column, info)
}

// find is the catalogue's column of that name and type.
func (r *reshaping) find(m relationColumn) *columnInfo {
	if r.info == nil {
		return nil
	}
	i := slices.IndexFunc(r.info.columns, func(c columnInfo) bool { return c.name == m.name && c.typ == m.typ && c.mod == m.mod })
	if i < 0 {
		return nil
	}
	return &r.info.columns[i]
}

// added finds out what rows from before a new column hold for it: a constant that the catalogue keeps, null, or values that were
// written into every row and never sent.
func (r *reshaping) added(ctx context.Context, column *schema.Column, info *columnInfo) error {
	switch {
	case info.hasMissing:
		text, err := r.c.missingValue(ctx, r.m.oid, *info)
		if err != nil {
			return err
		}
		if text == nil {
			return nil
		}
		packed, err := r.c.pack(column, text)
		if err != nil {
			return err
		}
		column.Missing, column.HasMissing = packed, true
	case info.hasDefault || info.identity || info.notNull:
		r.lose(fmt.Sprintf("column %q was added with a value for each row", column.Name))
	}
	return nil
}

// pack is the packed value that the text spells.
func (c *catalog) pack(column *schema.Column, text []byte) ([]byte, error) {
	layout, err := schema.NewLayout([]schema.Column{*column})
	if err != nil {
		return nil, err
	}
	var b schema.Builder
	b.Reset(layout, nil)
	if err := c.types.textDecoder(column)(&b, 0, text); err != nil {
		return nil, fmt.Errorf("pack value of column %q: %w", column.Name, err)
	}
	packed, err := b.Finish()
	if err != nil {
		return nil, err
	}
	row, err := layout.Row(packed)
	if err != nil {
		return nil, err
	}
	return append([]byte{}, row.Value(0)...), nil
}

// setKey numbers the key's columns: in the catalogue's order where it agrees with the stream, else in the order of the columns.
func (r *reshaping) setKey(next *schema.Table) {
	var key []int
	if r.info != nil && r.info.usable() == next.Identity {
		key = r.info.key()
	}
	if next.Identity == schema.IdentityNone {
		key = nil
	}
	agrees := true
	for i := range next.Columns {
		inKey := slices.Contains(key, int(next.Columns[i].ID))
		agrees = agrees && (next.Identity == schema.IdentityFull || inKey == r.m.columns[i].key)
	}
	place := uint16(0)
	for i := range next.Columns {
		c := &next.Columns[i]
		switch {
		case agrees:
			c.Key = uint16(slices.Index(key, int(c.ID)) + 1)
		case r.m.columns[i].key:
			place++
			c.Key = place
		}
	}
}

func sameKeyColumns(a, b *schema.Table) bool {
	ka, kb := a.KeyColumns(), b.KeyColumns()
	return slices.EqualFunc(ka, kb, func(i, j int) bool { return a.Columns[i].ID == b.Columns[j].ID })
}

// keepsValues reports whether a change of a column's type leaves every stored value as it was, so that the server has sent nothing
// and nothing is lost.
func keepsValues(old, now *schema.Column) bool {
	if old.SQLType == now.SQLType && old.SourceType == now.SourceType {
		return true
	}
	if old.Kind != now.Kind || old.Fold != now.Fold {
		return false
	}
	switch now.Kind {
	case schema.Text:
		return isVarying(old.SourceType) && isVarying(now.SourceType)
	case schema.Decimal:
		// More digits before the point change nothing; another scale rounds, or shows more zeros.
		return old.SourceType == oidNumeric && now.SourceType == oidNumeric &&
			(now.Precision == 0 || old.Precision != 0 && old.Scale == now.Scale && now.Precision >= old.Precision)
	}
	return false
}

// isVarying reports whether the type is text or varchar: a shorter limit than before is refused by the server unless all values
// keep to it.
func isVarying(oid uint32) bool { return oid == oidText || oid == oidVarchar }
