package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"cdc/sources"
)

// dsnVariable holds the DSN of a run that names no source otherwise.
const dsnVariable = "CDC_DSN"

// candidate is a source with what names it.
type candidate struct {
	name, where string
	values      map[string]value
	onCommand   bool
}

// commandLine is the origin of what stands there.
const commandLine = "command line"

// addSources puts the sources together: those of the command line and those of the file; without a file's, also those that the
// folder knows.
func (l *loader) addSources() {
	candidates := l.fromCommandLine()
	for _, s := range l.file.sources {
		candidates = append(candidates, candidate{name: s.name, where: s.where, values: s.values})
	}
	if text, ok := l.request.LookupEnv(dsnVariable); ok && len(candidates) == 0 && text != "" {
		for _, dsn := range strings.Fields(text) {
			candidates = append(candidates, l.named(dsn, "", dsnVariable))
		}
	}
	candidates = l.addKnown(candidates)
	seen := map[string]string{}
	for _, c := range candidates {
		if first, ok := seen[c.name]; ok && c.name != "" {
			l.fail(problem{
				where: c.where, what: fmt.Sprintf("a second source is named %s, as in %s", c.name, first),
				remedy: "give the DSNs names with --name, once for each and in their order",
			})
			continue
		}
		seen[c.name] = c.where
		l.addSource(c, len(candidates))
	}
	l.checkPatterns(seen)
}

// checkPatterns refuses patterns for sources that there are not, which would match nothing without a word.
func (l *loader) checkPatterns(named map[string]string) {
	for _, key := range []string{"tables", "append-only"} {
		for _, text := range l.request.Flags[key] {
			source, ok := sourceOfPattern(text)
			if ok && !strings.ContainsAny(source, "*?") && named[source] == "" && len(named) > 0 {
				l.fail(problem{
					where: "--" + key, what: fmt.Sprintf("pattern %q is for a source %q, which there is not", text, source),
					remedy: "the sources are " + strings.Join(slices.Sorted(maps.Keys(named)), ", "),
				})
			}
		}
	}
}

func (l *loader) fromCommandLine() (all []candidate) {
	if len(l.request.Names) > len(l.request.DSNs) {
		l.fail(problem{where: "--name", what: fmt.Sprintf("%d names for %d DSNs", len(l.request.Names), len(l.request.DSNs))})
	}
	for i, dsn := range l.request.DSNs {
		name := ""
		if i < len(l.request.Names) {
			name = l.request.Names[i]
		}
		c := l.named(dsn, name, commandLine)
		c.onCommand = true
		if hasPassword(dsn) {
			l.warn("a password on the command line can be read by every user of this machine; better are %s, PGPASSWORD or a passfile",
				sourceVariable(c.name, "password"))
		}
		all = append(all, c)
	}
	return all
}

// named makes a candidate of a DSN, named after its database unless a name is given.
func (l *loader) named(dsn, name, where string) candidate {
	if name == "" {
		name = DSN(dsn).Database(l.request.LookupEnv)
	}
	return candidate{name: name, where: where, values: map[string]value{"dsn": {texts: []string{dsn}, origin: where}}}
}

// addKnown adds what the folder knows. A file that names sources names all of them: what it leaves out is said.
func (l *loader) addKnown(candidates []candidate) []candidate {
	for _, k := range l.request.Known {
		if slices.ContainsFunc(candidates, func(c candidate) bool { return c.name == k.Name }) {
			continue
		}
		if len(l.file.sources) > 0 {
			l.warn("source %s of this folder is not in %s: it is not captured and its slot holds WAL at the server; name it, or run 'cdc drop %s'",
				k.Name, l.request.File, k.Name)
			continue
		}
		candidates = append(candidates, candidate{name: k.Name, where: "the folder", values: k.values()})
	}
	return candidates
}

var sourceName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$`)

// shown is a text that should have been a DSN, or a part of one: what stands before its @ may be a password.
func shown(text string) string {
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		return sources.Redacted + text[i:]
	}
	return text
}

func (l *loader) addSource(c candidate, count int) {
	if dsn := c.values["dsn"]; len(dsn.texts) == 1 && DSN(dsn.texts[0]).Kind() == "" {
		l.fail(problem{where: dsn.origin, what: fmt.Sprintf("%q is no DSN", shown(dsn.texts[0])), remedy: "write postgres://user@host:port/database"})
		return
	}
	if !sourceName.MatchString(c.name) {
		l.fail(problem{where: c.where, what: fmt.Sprintf("%q is no name for a source: want up to 63 letters, digits, _ and -", shown(c.name)), remedy: "give it one with --name"})
		return
	}
	s, complained := Source{Name: c.name}, false
	for _, setting := range perSource() {
		v, ok := l.lookupForSource(setting, c, count)
		if !ok || v.bad {
			complained = complained || v.bad
			continue
		}
		if err := setting.set(&s, v.texts); err != nil {
			l.fail(problem{where: v.origin, what: fmt.Sprintf("%s of source %s: %v", setting.key, c.name, err)})
			continue
		}
		l.entry("sources."+c.name+"."+setting.key, setting.secret, v)
	}
	switch {
	case complained:
	case s.DSN == "":
		l.fail(problem{where: c.where, what: "source " + c.name + " has no dsn", remedy: "write dsn: postgres://user@host/database below its name"})
	case s.DSN.Kind() == "": // a variable's
		l.fail(problem{where: c.where, what: fmt.Sprintf("%q is no DSN", shown(string(s.DSN))), remedy: "write postgres://user@host:port/database"})
	}
	l.config.Sources = append(l.config.Sources, s)
}

// lookupForSource finds the value of a source's setting: flag, variable of the source, variable of all, then where the source
// was named.
func (l *loader) lookupForSource(s setting[Source], c candidate, count int) (value, bool) {
	fixed := s.key == "dsn" && c.onCommand
	flag := flagOf(s.key)
	if texts := l.request.Flags[flag]; len(texts) > 0 && s.key != "dsn" && !s.secret {
		if s.key == "slot" && count > 1 {
			l.fail(problem{where: "--slot", what: fmt.Sprintf("one slot for %d sources", count), remedy: "name the slots in a file, or run one source at a time"})
		}
		if texts = forSource(s, texts, c.name); len(texts) > 0 {
			return value{texts: texts, origin: "--" + flag}, true
		}
	}
	variables := []string{sourceVariable(c.name, s.key)}
	if s.key != "dsn" && !s.secret {
		variables = append(variables, variableOf(s.key))
	}
	for _, name := range variables {
		if text, ok := l.request.LookupEnv(name); ok && text != "" && !fixed {
			return value{texts: forSource(s, splitVariable(text, s.list), c.name), origin: name}, true
		}
	}
	if v, ok := c.values[s.key]; ok {
		return v, true
	}
	if s.preset != "" {
		return value{texts: []string{s.preset}, origin: "default"}, true
	}
	return value{}, false
}

// splitVariable is a variable's value, one text a line where there may be several.
func splitVariable(text string, list bool) (texts []string) {
	if !list {
		return []string{text}
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			texts = append(texts, line)
		}
	}
	return texts
}

// forSource keeps the patterns that do not name another source.
func forSource(s setting[Source], texts []string, source string) []string {
	if !s.list {
		return texts
	}
	return slices.DeleteFunc(slices.Clone(texts), func(text string) bool {
		named, ok := sourceOfPattern(text)
		return ok && !strings.ContainsAny(named, "*?") && named != source
	})
}

// sourceOfPattern is the source's name in front of a pattern of three names.
func sourceOfPattern(text string) (name string, ok bool) {
	text = strings.TrimPrefix(text, "!")
	dots, first, quoted := 0, 0, false
	for i := range len(text) {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == '.' && !quoted:
			if dots++; dots == 1 {
				first = i
			}
		}
	}
	if dots != 2 {
		return "", false
	}
	return strings.Trim(text[:first], `"`), true
}
