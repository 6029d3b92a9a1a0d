package sources

import (
	"fmt"
	"slices"
	"strings"
)

// Pattern names tables: [source.][schema.]table, with * for any run of characters and ? for one. A bare name is of any schema, a
// name in double quotes is meant exactly, and a leading ! excludes what matches.
type Pattern struct {
	text          string
	exclude       bool
	source        namePattern
	schema, table namePattern
}

// namePattern matches one name; the zero value matches all.
type namePattern struct {
	set, quoted bool
	text        string
}

// ParsePattern reads a pattern.
func ParsePattern(text string) (Pattern, error) {
	p := Pattern{text: text}
	rest, exclude := strings.CutPrefix(text, "!")
	p.exclude = exclude
	var parts []namePattern
	for {
		part, after, err := cutName(rest)
		if err != nil {
			return Pattern{}, fmt.Errorf("parse pattern %q: %w", text, err)
		}
		parts = append(parts, part)
		if after == "" {
			break
		}
		rest = after[1:]
	}
	switch n := len(parts); {
	case n > 3:
		return Pattern{}, fmt.Errorf("parse pattern %q: want [source.][schema.]table", text)
	case n == 3:
		p.source = parts[0]
		fallthrough
	case n == 2:
		p.schema = parts[n-2]
		fallthrough
	default:
		p.table = parts[n-1]
	}
	return p, nil
}

// cutName splits the first name off text; rest is empty or begins with the point.
func cutName(text string) (name namePattern, rest string, err error) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexByte(text, '.')
		if end < 0 {
			end = len(text)
		}
		if end == 0 || strings.Contains(text[:end], `"`) {
			return name, "", fmt.Errorf("an empty name, or a quote within one")
		}
		return namePattern{set: true, text: text[:end]}, text[end:], nil
	}
	var exact strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != '"' {
			exact.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			exact.WriteByte('"')
			i++
			continue
		}
		if rest = text[i+1:]; rest != "" && rest[0] != '.' || exact.Len() == 0 {
			break
		}
		return namePattern{set: true, quoted: true, text: exact.String()}, rest, nil
	}
	return name, "", fmt.Errorf(`want "name" closed by a quote`)
}

// Matches reports whether the pattern names the table, whether it includes or excludes.
func (p Pattern) Matches(source, schema, table string) bool {
	return p.source.matches(source) && p.schema.matches(schema) && p.table.matches(table)
}

// String is the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Excludes reports whether the pattern excludes what it matches.
func (p Pattern) Excludes() bool { return p.exclude }

// Exact reports whether the pattern asks for a table by its name, without wildcards.
func (p Pattern) Exact() bool {
	return (p.table.quoted || !strings.ContainsAny(p.table.text, "*?")) && !p.exclude
}

func (n namePattern) matches(name string) bool {
	switch {
	case !n.set:
		return true
	case n.quoted:
		return n.text == name
	}
	return glob(n.text, name)
}

// glob matches * and ?, by walking back to the last star.
func glob(pattern, name string) bool {
	p, n := []rune(pattern), []rune(name)
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(n) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == n[j]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// PatternSet is what the user asked for: patterns that include and patterns that exclude.
type PatternSet struct {
	source           string
	include, exclude []Pattern
}

// ParsePatterns reads the patterns of a source.
func ParsePatterns(source string, texts []string) (*PatternSet, error) {
	s := &PatternSet{source: source}
	for _, text := range texts {
		p, err := ParsePattern(text)
		switch {
		case err != nil:
			return nil, err
		case p.exclude:
			s.exclude = append(s.exclude, p)
		default:
			s.include = append(s.include, p)
		}
	}
	return s, nil
}

// Wants reports whether a pattern includes the table, as no pattern at all does with every table, and none excludes it.
func (s *PatternSet) Wants(schema, table string) bool {
	return (len(s.include) == 0 || s.any(s.include, schema, table)) && !s.any(s.exclude, schema, table)
}

// Includes reports whether a pattern includes the table and none excludes it.
func (s *PatternSet) Includes(schema, table string) bool {
	return len(s.include) > 0 && s.Wants(schema, table)
}

// Names reports whether the table is wanted and a pattern without wildcards asks for it.
func (s *PatternSet) Names(schema, table string) bool {
	exact := func(p Pattern) bool { return p.Exact() && p.Matches(s.source, schema, table) }
	return slices.ContainsFunc(s.include, exact) && s.Wants(schema, table)
}

// Including are the patterns that include. Without any, every table is wanted.
func (s *PatternSet) Including() []Pattern { return s.include }

// All are the patterns of the set.
func (s *PatternSet) All() []Pattern { return slices.Concat(s.include, s.exclude) }

func (s *PatternSet) any(patterns []Pattern, schema, table string) bool {
	return slices.ContainsFunc(patterns, func(p Pattern) bool { return p.Matches(s.source, schema, table) })
}
