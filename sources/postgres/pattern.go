package postgres

import (
	"fmt"
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

// exact reports whether the pattern names one table by its full name.
func (p Pattern) exact() bool {
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

// patternSet is what the user asked for.
type patternSet struct {
	source             string
	include, exclude   []Pattern
	appendOnly, notApp []Pattern
}

// wanted is how a table stands to the patterns.
type wanted struct {
	include bool
	// named says that a pattern without wildcards asked for it.
	named      bool
	appendOnly bool
}

func newPatternSet(o Options) (*patternSet, error) {
	s := &patternSet{source: o.Name}
	add := func(texts []string, include, exclude *[]Pattern) error {
		for _, text := range texts {
			p, err := ParsePattern(text)
			if err != nil {
				return err
			}
			if p.exclude {
				*exclude = append(*exclude, p)
			} else {
				*include = append(*include, p)
			}
		}
		return nil
	}
	if err := add(o.Tables, &s.include, &s.exclude); err != nil {
		return nil, err
	}
	return s, add(o.AppendOnly, &s.appendOnly, &s.notApp)
}

func (s *patternSet) wants(schema, table string) wanted {
	w := wanted{include: len(s.include) == 0}
	for _, p := range s.include {
		if p.Matches(s.source, schema, table) {
			w.include = true
			w.named = w.named || p.exact()
		}
	}
	w.appendOnly = s.any(s.appendOnly, schema, table) && !s.any(s.notApp, schema, table)
	if s.any(s.exclude, schema, table) {
		return wanted{}
	}
	return w
}

func (s *patternSet) any(patterns []Pattern, schema, table string) bool {
	for _, p := range patterns {
		if p.Matches(s.source, schema, table) {
			return true
		}
	}
	return false
}
