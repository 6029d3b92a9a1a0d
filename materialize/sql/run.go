//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"cdc/changelog"
	"cdc/materialize"
	"cdc/schema"
)

// run is one query on its way.
type run struct {
	s    *Session
	st   *statement
	sink Sink

	binder binder
	found  tables
	bounds []bound
	views  views
	loaded []*loaded // by bound
	shift  int       // of DuckDB's places against the rewritten text
}

func (r *run) do(ctx context.Context, asOf string) error {
	d, text := r.s.duck, r.st.query.Text
	tree, failed := d.parse(ctx, text)
	if failed != nil {
		return r.unparsed(failed)
	}
	var err error
	if r.found, err = findTables(tree); err != nil {
		return err
	}
	r.binder = binder{log: r.s.log, resolve: r.s.o.Resolve, query: &r.st.query, asOf: asOf}
	if r.bounds, err = r.binder.bind(ctx, r.found.refs); err != nil {
		return err
	}
	clock, err := r.binder.clock(ctx, r.bounds)
	if err != nil {
		return err
	}
	if err := d.pinClock(ctx, clock); err != nil {
		return err
	}
	// A query that is wrong is told so before the log is read.
	if err := r.views.createEmpty(ctx, d, r.bounds); err != nil {
		return err
	}
	names, err := d.names(ctx, text)
	if err != nil {
		return err
	}
	if err := r.load(ctx, !r.found.all); err != nil {
		return err
	}
	types, err := r.types(ctx)
	if err != nil && !r.found.all && asDuckError(err).Subtype == "COLUMN_NOT_FOUND" {
		// Some column was read without being named: take them all.
		if err := r.load(ctx, false); err != nil {
			return err
		}
		types, err = r.types(ctx)
	}
	if err != nil {
		return r.withNotes(err)
	}
	if len(types) != len(names) {
		return errorOf(CodeInternal, "the query has %d columns and %d types", len(names), len(types))
	}
	if err := r.emit(ctx, names, types); err != nil {
		return r.withNotes(err)
	}
	return nil
}

// notSerialized is what DuckDB says about a statement that is none of the queries it can show the tree of.
const notSerialized = "Only SELECT statements can be serialized"

// unparsed says what is wrong with a text that DuckDB cannot parse as a query.
func (r *run) unparsed(failed *duckError) error {
	original := r.st.query.original
	if strings.HasPrefix(failed.Message, notSerialized) {
		first := r.st.query.Original(0)
		if strings.Contains(strings.ToUpper(r.st.query.Text), "PIVOT") {
			return errorAt(original, first, "PIVOT needs the values of its columns here: ON name IN ('a', 'b')")
		}
		return errorAt(original, first, "expected a query")
	}
	e := r.explainError(failed)
	if failed.at < 0 {
		return e
	}
	switch at := r.st.query.Original(failed.at); {
	case usesAt(original, at):
		e.Remedy = `at is a word of SQL here: write the column as "at"`
	case asOfHere.MatchString(original[at:]):
		e.Remedy = asOfPlace
	case wantsQuotes(original[:at], failed.Message):
		e.Remedy = `a name that is a word of SQL, or has other signs in it than letters, digits, _ and $, stands in double quotes, as in "Order"`
	}
	return e
}

var (
	// nearWord is where DuckDB's parser gave up.
	nearWord = regexp.MustCompile(`^syntax error at or near "(.*)"`)
	// beforeName is what a table's name, or its next part, comes behind.
	beforeName = regexp.MustCompile(`(?i)(\bfrom|\bjoin|[,.])\s*$`)
)

// wantsQuotes reports whether the parser gave up at what may be a name without the quotes that it needs.
func wantsQuotes(before, message string) bool {
	near := nearWord.FindStringSubmatch(message)
	return near != nil && (near[1] == "`" || near[1] == "-" || beforeName.MatchString(before))
}

// asOfHere begins a clause that stands where DuckDB expects none.
var asOfHere = regexp.MustCompile(`^(?i)as\s+of\b`)

// usesAt reports whether the word at, which DuckDB reserves and people call columns, stands at a place or before it.
func usesAt(text string, place int) bool {
	tokens, err := lex(text)
	if err != nil {
		return false
	}
	last := ""
	for _, t := range tokens {
		if t.kind == tokenSpace {
			continue
		}
		if t.start >= place {
			return strings.EqualFold(text[t.start:t.end], "at") || strings.EqualFold(last, "at")
		}
		last = text[t.start:t.end]
	}
	return strings.EqualFold(last, "at")
}

// types are the types of the query's columns, which are known when its tables are loaded.
func (r *run) types(ctx context.Context) ([]string, error) {
	r.shift = len(describeBefore)
	types, err := r.s.duck.types(ctx, r.st.query.Text)
	if err == nil {
		r.shift = 0
	}
	return types, err
}

// load loads what is missing and points the query's names at it.
func (r *run) load(ctx context.Context, prune bool) error {
	l := loader{duck: r.s.duck}
	r.loaded = make([]*loaded, len(r.bounds))
	for i := range r.bounds {
		key, shape, err := r.key(&r.bounds[i], prune)
		if err != nil {
			return err
		}
		t := r.s.tables[key]
		if t == nil {
			for _, other := range l.tables {
				if other.key == key {
					t = other
				}
			}
		}
		if t == nil {
			r.s.counter++
			t = &loaded{key: key, name: fmt.Sprintf("%stable %d", generatedPrefix, r.s.counter), shape: shape}
			l.tables = append(l.tables, t)
		}
		r.loaded[i] = t
	}
	if len(l.tables) > 0 {
		o := materialize.Options{SpillDir: r.s.o.TempDir, Progress: r.s.o.Progress}
		if err := l.load(ctx, r.s.log, o); err != nil {
			return err
		}
	}
	for _, t := range r.loaded {
		r.s.counter++
		t.used = r.s.counter
		r.s.tables[t.key] = t
	}
	return r.views.create(ctx, r.s.duck, r.bounds, r.loaded)
}

// key names what must be loaded of a table: the columns whose names occur in the query, at least one.
func (r *run) key(b *bound, prune bool) (tableKey, *schema.Table, error) {
	key := tableKey{table: b.table.ID, version: b.table.Version, at: b.at}
	request := materialize.Request{Table: b.table.ID, At: b.at}
	if prune {
		for i := range b.table.Columns {
			if name := b.table.Columns[i].Name; r.found.reads(name) {
				request.Columns = append(request.Columns, name)
				key.columns += fmt.Sprintf("%d,", i)
			}
		}
		if len(request.Columns) == 0 && len(b.table.Columns) > 0 {
			request.Columns, key.columns = []string{b.table.Columns[0].Name}, "0,"
		}
		if len(request.Columns) == len(b.table.Columns) {
			request.Columns, key.columns = nil, ""
		}
	}
	shape, err := materialize.Shape(r.s.log, request)
	if err != nil {
		return key, nil, r.binder.at(b.place, err)
	}
	return key, shape, nil
}

func (r *run) emit(ctx context.Context, names, types []string) error {
	text := r.st.query.Text
	if r.st.explain != "" {
		names, types = []string{"explain_key", "explain_value"}, []string{"VARCHAR", "VARCHAR"}
	}
	columns := make([]answerColumn, len(names))
	header := Header{AsOf: r.s.asOf, Columns: make([]schema.Column, len(names)), Notes: r.notes()}
	for i := range columns {
		columns[i] = answerColumnOf(names[i], types[i], i)
		header.Columns[i] = columns[i].column
	}
	header.Moments = append(header.Moments, r.binder.moments...)
	if r.st.explain != "" {
		text, r.shift = r.st.explain+text, len(r.st.explain)
	} else {
		text, r.shift = answerQuery(text, columns)
	}
	return r.s.duck.rows(ctx, text, columns, &header, r.sink)
}

// notes are those of the tables read, each once.
func (r *run) notes() []string {
	var notes []string
	seen := map[string]bool{}
	for _, t := range r.loaded {
		for _, n := range t.notes {
			if !seen[n] {
				notes, seen[n] = append(notes, n), true
			}
		}
	}
	return notes
}

// withNotes adds to an error what is unusual about the types, which may be its reason.
func (r *run) withNotes(err error) error {
	e := r.explainError(err)
	if e.Remedy == "" && e.Code == CodeSQL {
		e.Remedy = strings.Join(r.notes(), "; ")
	}
	return e
}

// explainError gives an error of DuckDB its place in the user's text.
func (r *run) explainError(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	var log *materialize.UnanswerableError
	var name *materialize.NameError
	var damage *changelog.CorruptError
	if errors.As(err, &log) || errors.As(err, &name) || errors.As(err, &damage) {
		return classify(err)
	}
	d := asDuckError(err)
	e := &Error{Code: d.kind, Message: d.Message, cause: err}
	if d.at >= r.shift && d.kind == CodeSQL && d.at-r.shift <= len(r.st.query.Text) {
		e.Line, e.Col = place(r.st.query.original, r.st.query.Original(d.at-r.shift))
	}
	return e
}
