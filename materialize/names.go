package materialize

import (
	"context"
	"errors"
	"slices"
	"strings"

	"cdc/changelog"
	"cdc/schema"
)

// FindTable is the table that the name means at the cut. A name is table, schema.table or source.schema.table; shorter ones
// resolve while they are unique. A part in double quotes is taken exactly; another one also matches in lower case. An ambiguous
// or unknown name is a *NameError. A table that is not answerable at the cut is an *UnanswerableError.
func FindTable(ctx context.Context, log changelog.Log, name string, cut changelog.Cut) (changelog.TableAt, error) {
	parts, err := splitName(name)
	if err != nil {
		var unread *NameError
		if errors.As(err, &unread) && unread.Why == "" {
			unread.Nearest = pointedTables(log, name)
		}
		return changelog.TableAt{}, err
	}
	live, gone := candidates(log, parts, cut.At)
	switch {
	case len(live) == 1:
		return live[0], nil
	case len(live) > 1:
		return changelog.TableAt{}, &NameError{Kind: "table", Name: name, Matches: fullNames(live)}
	case len(gone) > 0:
		last := gone[len(gone)-1]
		_, err := answerable(ctx, log, last.Table.ID, cutOf(log, &last, cut))
		return last, err
	}
	end := func(changelog.SourceID) changelog.Offset { return durableEnd(log) }
	later, gone := candidates(log, parts, end)
	if later = append(later, gone...); len(later) > 0 {
		t, err := answerable(ctx, log, later[0].Table.ID, cutOf(log, &later[0], cut))
		if err == nil { // it bears the name only since
			err = &NameError{Kind: "table", Name: name, Nearest: []string{t.Table.FullName()}}
		}
		return changelog.TableAt{}, err
	}
	return changelog.TableAt{}, &NameError{Kind: "table", Name: name, Nearest: nearestTables(log, parts)}
}

// cutOf is the cut's offset for the table's source.
func cutOf(log changelog.Log, t *changelog.TableAt, cut changelog.Cut) changelog.Offset {
	s, _ := log.Catalog().Source(t.Table.Source)
	return cut.At(s.ID)
}

// candidates are the tables that the parts of a name may mean, each at its source's instant: those that can be answered for, and
// the others.
func candidates(log changelog.Log, parts []namePart, at func(changelog.SourceID) changelog.Offset) (live, gone []changelog.TableAt) {
	for _, s := range log.Catalog().Sources() {
		for _, t := range log.Catalog().TablesAt(at(s.ID)) {
			if t.Table.Source != s.Name || !nameMatches(parts, t.Table) {
				continue
			}
			if t.Answerable() {
				live = append(live, t)
			} else {
				gone = append(gone, t)
			}
		}
	}
	return live, gone
}

// SourcesOf are the names of the sources that tables of those names can belong to, for ResolveOptions: a source that has stopped
// is then no obstacle to a question about another. It is nil, which is all sources, unless the log's end knows every name.
func SourcesOf(log changelog.Log, tables ...string) []string {
	end := func(changelog.SourceID) changelog.Offset { return durableEnd(log) }
	var sources []string
	for _, name := range tables {
		parts, err := splitName(name)
		if err != nil {
			return nil
		}
		live, gone := candidates(log, parts, end)
		if len(live)+len(gone) == 0 {
			return nil
		}
		for _, t := range append(live, gone...) {
			if !slices.Contains(sources, t.Table.Source) {
				sources = append(sources, t.Table.Source)
			}
		}
	}
	return sources
}

// namePart is one part of a name.
type namePart struct {
	text   string
	quoted bool
}

func (p namePart) matches(name string) bool {
	return p.text == name || !p.quoted && strings.ToLower(p.text) == name
}

// maxNameParts are source, schema and table.
const maxNameParts = 3

func splitName(name string) ([]namePart, error) {
	var parts []namePart
	rest := strings.TrimSpace(name)
	for {
		var part namePart
		if strings.HasPrefix(rest, `"`) {
			text, after, ok := cutQuoted(rest)
			if !ok {
				return nil, &NameError{Kind: "table", Name: name, Why: "a double quote opens a part of the name and none closes it"}
			}
			if after != "" && after[0] != '.' {
				return nil, &NameError{Kind: "table", Name: name, Why: "behind a part in double quotes comes a point or the end; a quote within them is doubled"}
			}
			part, rest = namePart{text: text, quoted: true}, after
		} else {
			end := strings.IndexByte(rest, '.')
			if end < 0 {
				end = len(rest)
			}
			part, rest = namePart{text: rest[:end]}, rest[end:]
		}
		if parts = append(parts, part); part.text == "" || len(parts) > maxNameParts {
			return nil, &NameError{Kind: "table", Name: name}
		}
		if rest == "" {
			return parts, nil
		}
		rest = rest[1:]
	}
}

func nameMatches(parts []namePart, t *schema.Table) bool {
	names := [maxNameParts]string{t.Source, t.Schema, t.Name}
	for i, part := range parts {
		if !part.matches(names[maxNameParts-len(parts)+i]) {
			return false
		}
	}
	return true
}

// Means reports whether a name that FindTable reads means the table.
func Means(name string, t *schema.Table) bool {
	parts, err := splitName(name)
	return err == nil && nameMatches(parts, t)
}

func fullNames(tables []changelog.TableAt) []string {
	names := make([]string, len(tables))
	for i := range tables {
		names[i] = tables[i].Table.FullName()
	}
	return names
}

// nearestTables are names, as long as the one given and quoted where needed, of tables that look like it.
func nearestTables(log changelog.Log, parts []namePart) []string {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = p.text
	}
	name := strings.Join(texts, ".")
	if names := pointedTables(log, name); len(names) > 0 {
		return names
	}
	var plain []string
	written := make(map[string]string)
	for _, t := range log.Catalog().TablesAt(durableEnd(log)) {
		all := []string{t.Table.Source, t.Table.Schema, t.Table.Name}[maxNameParts-len(parts):]
		text := strings.Join(all, ".")
		plain = append(plain, text)
		written[text] = schema.QuotedName(all...)
	}
	near := nearest(name, plain)
	for i, text := range near {
		near[i] = written[text]
	}
	return near
}

// pointedTables are tables whose name would be the text if points within its parts needed no quotes.
func pointedTables(log changelog.Log, text string) (names []string) {
	for _, t := range log.Catalog().TablesAt(durableEnd(log)) {
		all := []string{t.Table.Source, t.Table.Schema, t.Table.Name}
		for i := range all {
			if len(names) < mostNearest && strings.Join(all[i:], ".") == text {
				names = append(names, t.Table.FullName())
			}
		}
	}
	return names
}
