package mysql

import (
	"context"
	"slices"
	"strings"

	"cdc/schema"
	"cdc/sources/mysql/value"
)

// fillMissing gives added columns the value that older rows read, and says in what way the server has changed stored rows without
// sending them, if it has.
func (g *tables) fillMissing(ctx context.Context, before, next *schema.Table, info *tableInfo) (lost string, err error) {
	defaults := info
	for i := range next.Columns {
		c := &next.Columns[i]
		j := before.ColumnByID(c.ID)
		if j >= 0 {
			if why := changedValues(&before.Columns[j], c); why != "" {
				lost = why
			}
			continue
		}
		if defaults.defaults == nil {
			found, ok, err := g.c.table(info.schema, info.name)
			if err != nil {
				return "", err
			}
			if !ok {
				return "the table is gone, and the default of its new column " + c.Name + " with it", nil
			}
			defaults = &found
		}
		if !fillDefault(c, defaults) {
			lost = "column " + c.Name + " was added with a value that is not known for each row"
		}
	}
	return lost, next.Prepare()
}

// changedValues says how a change of a column may have changed stored values.
func changedValues(a, b *schema.Column) string {
	switch {
	case a.Kind != b.Kind || a.Scale != b.Scale || b.Precision < a.Precision:
	case a.NotNull != b.NotNull && b.NotNull:
		return "column " + b.Name + " does not allow nulls any more"
	case a.SQLType == b.SQLType, widened(a, b):
		return ""
	}
	return "column " + b.Name + " changed from " + a.SQLType + " to " + b.SQLType
}

// widened reports whether every value of a is the same value of b: a longer text or decimal, or an enum with more labels at its end.
func widened(a, b *schema.Column) bool {
	switch a.Kind {
	case schema.Decimal:
		return true // same scale, more digits
	case schema.Geometry:
		return true // the server refuses to make one class of another
	case schema.Text, schema.Bytes:
		family, length, rest := cutType(a.SQLType)
		family2, length2, rest2 := cutType(b.SQLType)
		return family == family2 && rest == rest2 && (strings.HasPrefix(family, "var") && length <= length2 || family == "char" && length <= length2)
	case schema.Enum, schema.Set:
		before, _, rest := cutLabels(a.SQLType)
		after, _, rest2 := cutLabels(b.SQLType)
		return rest == rest2 && strings.HasPrefix(after, before+",")
	}
	return false
}

// cutType splits varchar(20) character set x.
func cutType(t string) (family string, length int, rest string) {
	family, after, ok := strings.Cut(t, "(")
	if !ok {
		return t, 0, ""
	}
	digits, rest, _ := strings.Cut(after, ")")
	for _, d := range digits {
		if d < '0' || d > '9' {
			return family, 0, after
		}
		length = length*10 + int(d-'0')
	}
	return family, length, rest
}

// cutLabels splits enum('a','b') character set x.
func cutLabels(t string) (labels, family, rest string) {
	open, end := strings.IndexByte(t, '('), strings.LastIndexByte(t, ')')
	if open < 0 || end < open {
		return "", t, ""
	}
	return t[open+1 : end], t[:open], t[end+1:]
}

// fillDefault sets the value that rows have which were there before the column, and reports whether it is the same for all.
func fillDefault(c *schema.Column, info *tableInfo) bool {
	i := slices.IndexFunc(info.columns, func(v value.Column) bool { return v.Name == c.Name })
	if i < 0 {
		return false // changed again since
	}
	d := info.defaults[i]
	if d.expression || d.generated {
		return false
	}
	if d.null {
		if !c.NotNull {
			return true
		}
		d.text = implicitDefault(c)
	}
	return packDefault(c, &info.columns[i], d.text)
}

// implicitDefault is what a column without a default has that must not be null.
func implicitDefault(c *schema.Column) string {
	switch c.Kind {
	case schema.Int8, schema.Int16, schema.Int32, schema.Int64, schema.Uint8, schema.Uint16, schema.Uint32, schema.Uint64,
		schema.Float32, schema.Float64, schema.Decimal:
		return "0"
	case schema.CalendarDate:
		return "0000-00-00"
	case schema.CalendarTimestamp, schema.CalendarTimestampTZ:
		return "0000-00-00 00:00:00"
	case schema.Time:
		return "00:00:00"
	}
	return ""
}

// packDefault packs the text of a default as a text row does it. Kinds whose text rows are not the default's own text are left.
func packDefault(c *schema.Column, v *value.Column, text string) bool {
	switch c.Kind {
	case schema.Int8, schema.Int16, schema.Int32, schema.Int64, schema.Uint8, schema.Uint16, schema.Uint32, schema.Uint64,
		schema.Float32, schema.Float64, schema.Decimal, schema.CalendarDate, schema.CalendarTimestamp, schema.Time:
	case schema.Text:
		if strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 }) {
			return false // it is in the catalogue's character set, not in the column's
		}
	default:
		return false
	}
	one := &schema.Table{Columns: []schema.Column{*c}}
	one.Columns[0].Key, one.Columns[0].Missing, one.Columns[0].HasMissing = 0, nil, false
	if err := one.Prepare(); err != nil {
		return false
	}
	decode, err := value.CompileText([]value.Column{*v}, one)
	if err != nil {
		return false
	}
	packed, err := decode.Row(nil, [][]byte{[]byte(text)})
	if err != nil {
		return false
	}
	row, err := one.Layout().Row(packed)
	if err != nil {
		return false
	}
	c.Missing, c.HasMissing = append([]byte(nil), row.Value(0)...), true
	return true
}
