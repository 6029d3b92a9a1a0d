package main

import (
	"bytes"
	"slices"
	"strings"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/present"
	"cdc/schema"
)

// maxValueColumns is how much of one value a line about a row shows.
const maxValueColumns = 40

const (
	nullSign  = "∅"
	arrowSign = " → "
)

// describer writes rows and changes as text for people.
type describer struct{ style present.Style }

// value is one column's value, quoted where its end would not be seen.
func (d describer) value(t *schema.Table, r schema.Row, i int) string {
	switch r.State(i) {
	case schema.Null:
		return nullSign
	case schema.Absent:
		return "?"
	case schema.Present:
	}
	text := present.Shorten(string(schema.AppendText(nil, &t.Columns[i], r, i)), maxValueColumns)
	if text == "" || strings.ContainsAny(text, " ='") && t.Columns[i].Kind.Variable() {
		return "'" + text + "'"
	}
	return text
}

// key is the columns that name the row; all of them when the table has no key.
func (d describer) key(t *schema.Table, r schema.Row) string {
	if r.IsZero() {
		return ""
	}
	columns := t.KeyColumns()
	if len(columns) == 0 {
		return d.columns(t, r, nil)
	}
	parts := make([]string, len(columns))
	for n, i := range columns {
		parts[n] = present.Clean(t.Columns[i].Name) + "=" + d.value(t, r, i)
	}
	return strings.Join(parts, " ")
}

// columns is the row's values, but for the columns left out and those that are absent.
func (d describer) columns(t *schema.Table, r schema.Row, without []int) string {
	var parts []string
	for i := range t.Columns {
		if r.State(i) != schema.Absent && !slices.Contains(without, i) {
			parts = append(parts, present.Clean(t.Columns[i].Name)+"="+d.value(t, r, i))
		}
	}
	return strings.Join(parts, " ")
}

// values is the row without its key; nothing when the table has no key, as the key says it all then.
func (d describer) values(t *schema.Table, r schema.Row) string {
	if len(t.KeyColumns()) == 0 {
		return ""
	}
	return d.columns(t, r, t.KeyColumns())
}

// difference is what became of each of the columns.
func (d describer) difference(t *schema.Table, before, after schema.Row, columns []int) string {
	parts := make([]string, len(columns))
	for n, i := range columns {
		parts[n] = present.Clean(t.Columns[i].Name) + " " + d.style.Red(d.value(t, before, i)) + arrowSign + d.style.Green(d.value(t, after, i))
	}
	return strings.Join(parts, "  ")
}

// summary says what a change did to its row, the key left out.
func (d describer) summary(c *changelog.Change, before schema.Row) string {
	switch c.Op {
	case changelog.OpCreate, changelog.OpRead:
		return d.values(c.Table, c.After)
	case changelog.OpDelete:
		if before.IsZero() {
			before = c.Before
		}
		if values := d.values(c.Table, before); values != "" {
			return "was " + values
		}
		return ""
	case changelog.OpUpdate:
		return d.update(c, before)
	case changelog.OpTruncate:
		return "all rows removed"
	case changelog.OpMessage:
		return present.Shorten(string(c.Prefix)+": "+string(c.Content), 2*maxValueColumns)
	}
	return ""
}

// update shows what has changed where the old row is known, else the new row.
func (d describer) update(c *changelog.Change, before schema.Row) string {
	if before.IsZero() && c.Image == changelog.ImageFull {
		before = c.Before
	}
	if !before.IsZero() {
		changed := changedColumns(before, c.After)
		if len(changed) == 0 {
			return "nothing changed"
		}
		return d.difference(c.Table, before, c.After, changed)
	}
	text := d.values(c.Table, c.After)
	if c.Image == changelog.ImageKey {
		text = "was " + d.key(c.Table, c.Before) + "  " + text
	}
	return text
}

// changedColumns are the columns of which both rows, of one version, hold something else.
func changedColumns(before, after schema.Row) (columns []int) {
	for i := range after.Layout().Columns() {
		was, is := before.State(i), after.State(i)
		if was == schema.Absent || is == schema.Absent {
			continue
		}
		if was != is || !bytes.Equal(before.Value(i), after.Value(i)) {
			columns = append(columns, i)
		}
	}
	return columns
}

// rowOf is the row that names what a change is about.
func rowOf(c *changelog.Change) schema.Row {
	if c.After.IsZero() {
		return c.Before
	}
	return c.After
}

// sign is the op as a diff writes it, in its colour.
func (d describer) sign(op changelog.Op) string {
	switch op {
	case changelog.OpCreate, changelog.OpRead:
		return d.style.Green("+")
	case changelog.OpUpdate:
		return d.style.Yellow("~")
	case changelog.OpDelete, changelog.OpTruncate:
		return d.style.Red("-")
	case changelog.OpMessage:
	}
	return "*"
}

// letter is the op as the log writes it, in its colour.
func (d describer) letter(op changelog.Op) string {
	text := string(rune(op))
	switch op {
	case changelog.OpCreate:
		return d.style.Green(text)
	case changelog.OpUpdate:
		return d.style.Yellow(text)
	case changelog.OpDelete, changelog.OpTruncate:
		return d.style.Red(text)
	case changelog.OpRead, changelog.OpMessage:
	}
	return text
}

// shortName is the table's name without its source, and without the schema that everyone uses.
func shortName(t *schema.Table) string {
	if t.Schema == "public" {
		return present.Clean(t.Name)
	}
	return present.Clean(t.Schema + "." + t.Name)
}
