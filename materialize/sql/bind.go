//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"context"
	"errors"
	"strings"

	"cdc/changelog"
	"cdc/materialize"
	"cdc/schema"
)

// bound is a table of a query with what it means.
type bound struct {
	// catalog, schema and name are how DuckDB will look for it.
	catalog, schema, name string
	table                 *schema.Table
	at                    changelog.Offset
	place                 int // in the original text, for errors
}

// binder resolves the names and moments of one query.
type binder struct {
	log     changelog.Log
	resolve materialize.ResolveOptions
	query   *Rewritten
	shift   int                    // of DuckDB's places against the rewritten text
	asOf    string                 // the session's moment
	moments []materialize.Resolved // each once, whatever the number of tables: the log grows meanwhile
}

// systemSchemas are DuckDB's own.
var systemSchemas = []string{"information_schema", "pg_catalog"}

// bind resolves all tables; those of DuckDB itself are left out.
func (b *binder) bind(ctx context.Context, refs []baseTable) ([]bound, error) {
	var all []bound
	b.resolve.Sources = b.sources(refs)
	for _, r := range refs {
		if isSystem(r) {
			continue
		}
		t, err := b.table(ctx, r)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

func isSystem(r baseTable) bool {
	for _, s := range systemSchemas {
		if strings.EqualFold(r.schema, s) || strings.EqualFold(r.catalog, s) {
			return true
		}
	}
	return false
}

// sources are those that must have passed the moments of the tables.
func (b *binder) sources(refs []baseTable) []string {
	var names []string
	for _, r := range refs {
		if !isSystem(r) {
			names = append(names, b.meant(r).name)
		}
	}
	return materialize.SourcesOf(b.log, names...)
}

// meaning is what the text says about a table.
type meaning struct {
	name, moment    string
	place, momentAt int // in the original text
}

func (b *binder) meant(r baseTable) meaning {
	place := b.query.Original(r.at - b.shift)
	m := meaning{name: b.written(r), moment: b.asOf, place: place, momentAt: place}
	for _, ref := range b.query.Refs {
		if ref.Generated == r.name && r.schema == "" {
			m = meaning{name: ref.Name, moment: ref.Moment, place: ref.At, momentAt: ref.MomentAt}
		}
	}
	if named, ok := momentOfName(r); ok {
		m.name, m.moment = named.name, named.moment
	}
	return m
}

func (b *binder) table(ctx context.Context, r baseTable) (bound, error) {
	m := b.meant(r)
	t := bound{catalog: r.catalog, schema: r.schema, name: r.name, place: m.place}
	resolved, err := b.moment(ctx, m.moment, m.momentAt)
	if err != nil {
		return bound{}, err
	}
	found, err := b.find(ctx, m.name, resolved.Cut)
	if err != nil {
		return bound{}, b.at(t.place, resolved.Moment.Asked(err))
	}
	source, ok := b.log.Catalog().Source(found.Table.Source)
	if !ok {
		return bound{}, errorOf(CodeInternal, "table %s has no source in the catalog", found.Table.FullName())
	}
	t.table, t.at = found.Table, resolved.Cut.At(source.ID)
	return t, nil
}

// find is the table that a name means. Of two parts the first may also be the source, as in "shop@2022-06-10".orders.
func (b *binder) find(ctx context.Context, name string, cut changelog.Cut) (changelog.TableAt, error) {
	found, err := materialize.FindTable(ctx, b.log, name, cut)
	var unknown *materialize.NameError
	if !errors.As(err, &unknown) || len(unknown.Matches) > 0 {
		return found, err
	}
	parts := nameParts(name)
	if len(parts) != 2 {
		return found, err
	}
	source, ok := b.log.Catalog().Source(parts[0])
	if !ok {
		return found, err
	}
	var matches []string
	for _, t := range b.log.Catalog().TablesAt(cut.At(source.ID)) {
		if t.Table.Source == source.Name && t.Table.Name == parts[1] && t.Answerable() {
			matches = append(matches, quoteIdent(source.Name)+"."+quoteIdent(t.Table.Schema)+"."+quoteIdent(parts[1]))
		}
	}
	switch len(matches) {
	case 0:
		return found, err
	case 1:
		return materialize.FindTable(ctx, b.log, matches[0], cut)
	}
	return found, &materialize.NameError{Kind: "table", Name: name, Matches: matches}
}

// nameParts are the parts of a name without their quotes.
func nameParts(name string) (parts []string) {
	tokens, err := lex(name)
	if err != nil {
		return nil
	}
	for _, t := range tokens {
		if t.kind == tokenWord || t.kind == tokenQuoted {
			parts = append(parts, unquoteIdent(name[t.start:t.end]))
		}
	}
	return parts
}

// written is the name as the text has it, with its quotes, which DuckDB's tree has lost.
func (b *binder) written(r baseTable) string {
	parts := []string{r.name}
	if r.schema != "" {
		parts = []string{r.schema, r.name}
	}
	if r.catalog != "" {
		parts = []string{r.catalog, r.schema, r.name}
	}
	spelled := b.spelled(r.at-b.shift, parts)
	if spelled == "" {
		for i := range parts {
			parts[i] = quoteIdent(parts[i])
		}
		spelled = strings.Join(parts, ".")
	}
	return spelled
}

// spelled is the name in the text at a place, when it is the parts; else empty.
func (b *binder) spelled(at int, parts []string) string {
	text := b.query.Text
	if at < 0 || at >= len(text) {
		return ""
	}
	tokens, err := lex(text[at:])
	if err != nil {
		return ""
	}
	var spelled strings.Builder
	for i := 0; i < len(tokens) && len(parts) > 0; i++ {
		part := text[at+tokens[i].start : at+tokens[i].end]
		switch kind := tokens[i].kind; {
		case kind == tokenSpace:
		case kind == tokenPunct && part == "." && spelled.Len() > 0:
			spelled.WriteString(part)
		case (kind == tokenWord || kind == tokenQuoted) && strings.EqualFold(unquoteIdent(part), parts[0]):
			spelled.WriteString(part)
			parts = parts[1:]
		default:
			return ""
		}
	}
	if len(parts) > 0 {
		return ""
	}
	return spelled.String()
}

// namedMoment is a table in a schema or catalog that is named for a moment.
type namedMoment struct{ name, moment string }

// momentOfName splits the moment off the first part of a name, as in "shop@2022-06-10".orders.
func momentOfName(r baseTable) (namedMoment, bool) {
	first, rest := r.schema, []string{r.name}
	if r.catalog != "" {
		first, rest = r.catalog, []string{r.schema, r.name}
	}
	before, moment, ok := strings.Cut(first, "@")
	if !ok || strings.TrimSpace(moment) == "" {
		return namedMoment{}, false
	}
	if before != "" {
		rest = append([]string{before}, rest...)
	}
	for i := range rest {
		rest[i] = quoteIdent(rest[i])
	}
	return namedMoment{name: strings.Join(rest, "."), moment: moment}, true
}

// moment resolves a moment, or finds it among those resolved before.
func (b *binder) moment(ctx context.Context, text string, at int) (*materialize.Resolved, error) {
	m, err := materialize.ParseMoment(text)
	if err != nil {
		e := b.at(at, err)
		e.Code = CodeSQL
		return nil, e
	}
	for i := range b.moments {
		if b.moments[i].Moment == m {
			return &b.moments[i], nil
		}
	}
	resolved, err := materialize.Resolve(ctx, b.log, m, b.resolve)
	if err != nil {
		return nil, b.at(at, err)
	}
	b.moments = append(b.moments, resolved)
	return &b.moments[len(b.moments)-1], nil
}

// at puts an error of the log at a place of the text.
func (b *binder) at(place int, err error) *Error {
	e := classify(err)
	if e.Line == 0 && place >= 0 {
		at := errorAt(b.query.original, place, "%s", e.Message)
		e.Line, e.Col = at.Line, at.Col
	}
	return e
}

// classify says what kind of trouble an error of the log and of what reads it is.
func classify(err error) *Error {
	var known *Error
	var name *materialize.NameError
	var moment *materialize.UnanswerableError
	var damage *changelog.CorruptError
	code := CodeInternal
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &name):
		code = CodeSQL
	case errors.As(err, &moment), errors.Is(err, changelog.ErrTrimmed):
		code = CodeMoment
	case errors.As(err, &damage):
		code = CodeLog
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		code = CodeCanceled
	}
	return &Error{Code: code, Message: err.Error(), cause: err}
}
