package materialize

import (
	"bytes"
	"fmt"

	"cdc/schema"
)

// Compare is how a column is compared with a constant.
type Compare uint8

// Comparisons. All but IsNull are false for null.
const (
	Equal Compare = iota + 1
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
	IsNull
	IsNotNull
)

// Predicate is a conjunction of comparisons of columns with constants. The zero value is true. Values compare as keys do: numbers
// by value, text by its bytes.
type Predicate struct {
	terms []term
}

// term compares one column, named by its id so that it means the same in every version of the table.
type term struct {
	column uint32
	op     Compare
	of     *schema.Column // as it is in the version that the term was made for: what values are read as
	value  []byte         // as schema.AppendKeyValue writes it
	// missing is what rows without the column read, as value; nil for null.
	missing []byte
}

// And adds a comparison of the named column of t with a constant, given as the source prints it; text is ignored by IsNull and
// IsNotNull. An unknown column is a *NameError.
func (p *Predicate) And(t *schema.Table, column string, op Compare, text string) error {
	i, err := findColumn(t, column)
	if err != nil {
		return err
	}
	c := &t.Columns[i]
	x := term{column: c.ID, op: op, missing: missingKey(t, i), of: c}
	if op != IsNull && op != IsNotNull {
		x.value, err = keyOf(t, i, func(b *schema.Builder) error { return schema.ParseText(b, i, c, []byte(text)) })
		if err != nil {
			return fmt.Errorf("compare column %s: %w", c.Name, err)
		}
	}
	p.terms = append(p.terms, x)
	return nil
}

// keyOf is the value that fill gives column i, as schema.AppendKeyValue writes it.
func keyOf(t *schema.Table, i int, fill func(*schema.Builder) error) ([]byte, error) {
	var b schema.Builder
	b.Reset(t.Layout(), nil)
	if err := fill(&b); err != nil {
		return nil, err
	}
	raw, err := b.Finish()
	if err != nil {
		return nil, err
	}
	row, err := t.Layout().Row(raw)
	if err != nil {
		return nil, err
	}
	return schema.AppendKeyValue(nil, &t.Columns[i], row, i), nil
}

// missingKey is what rows from before column i was added read, nil for null.
func missingKey(t *schema.Table, i int) []byte {
	if !t.Columns[i].HasMissing {
		return nil
	}
	key, err := keyOf(t, i, func(b *schema.Builder) error { b.Value(i, t.Columns[i].Missing); return nil })
	if err != nil {
		return nil // Table.Prepare has checked the value
	}
	return key
}

// AndRow adds a comparison of column i of t with the value that the row, of the same version, holds for it.
func (p *Predicate) AndRow(t *schema.Table, i int, op Compare, r schema.Row) {
	c := &t.Columns[i]
	p.terms = append(p.terms, term{
		column: c.ID, op: op, of: c, value: schema.AppendKeyValue(nil, c, r, i), missing: missingKey(t, i),
	})
}

// Match reports whether a row of version t matches. For many rows of one version, Tables is faster.
func (p *Predicate) Match(t *schema.Table, r schema.Row) bool { return p.matcher(t).match(r) }

// matcher is a predicate that has found its columns in one version. It is for one goroutine.
type matcher struct {
	terms   []matchTerm
	never   bool
	scratch []byte
}

type matchTerm struct {
	*term
	index  int
	retype *retyper // to the term's column alone, when the version stores the column in another type
}

// matcher finds the columns in version t. What a row lacks is null, or the value that the version says such rows read.
func (p *Predicate) matcher(t *schema.Table) *matcher {
	m := &matcher{}
	for i := range p.terms {
		x := &p.terms[i]
		if at := t.ColumnByID(x.column); at >= 0 {
			m.terms = append(m.terms, matchTerm{term: x, index: at, retype: x.retyper(t, at)})
			continue
		}
		m.never = m.never || !x.holds(x.missing)
	}
	return m
}

// retyper reads column at of version t as the column that the term was made for; nil when both are of one type.
func (x *term) retyper(t *schema.Table, at int) *retyper {
	if t.Columns[at].Kind == x.of.Kind {
		return nil
	}
	alone := &schema.Table{Columns: []schema.Column{*x.of}}
	alone.Columns[0].Key = 0
	if alone.Prepare() != nil {
		return nil // it has been prepared as part of its own table
	}
	return newRetyper(t, alone)
}

func (m *matcher) match(r schema.Row) bool {
	if m.never {
		return false
	}
	for i := range m.terms {
		x := &m.terms[i]
		switch {
		case r.State(x.index) != schema.Present:
			if !x.holds(nil) {
				return false
			}
		case x.retype != nil:
			if !m.matchRetyped(x, r) {
				return false
			}
		default:
			m.scratch = schema.AppendKeyValue(m.scratch[:0], x.of, r, x.index)
			if !x.holds(m.scratch) {
				return false
			}
		}
	}
	return true
}

// matchRetyped is for a value of another type. One that means nothing in the term's type is no value that it could equal.
func (m *matcher) matchRetyped(x *matchTerm, r schema.Row) bool {
	raw, err := x.retype.append(m.scratch[:0], r)
	m.scratch = raw
	if err != nil {
		return false
	}
	row, err := x.retype.to.Layout().Row(raw)
	if err != nil {
		return false
	}
	if row.State(0) != schema.Present {
		return x.op == NotEqual || x.op == IsNotNull
	}
	return x.holds(schema.AppendKeyValue(nil, x.of, row, 0))
}

// holds compares a value, as schema.AppendKeyValue writes it, nil for null.
func (x *term) holds(value []byte) bool {
	if x.op == IsNull || x.op == IsNotNull || value == nil {
		return x.op == IsNull && value == nil || x.op == IsNotNull && value != nil
	}
	order := bytes.Compare(value, x.value)
	switch x.op {
	case Equal:
		return order == 0
	case NotEqual:
		return order != 0
	case Less:
		return order < 0
	case LessEqual:
		return order <= 0
	case Greater:
		return order > 0
	case GreaterEqual:
		return order >= 0
	case IsNull, IsNotNull:
	}
	return false
}
