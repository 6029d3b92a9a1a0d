package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"cdc/cmd/cdc/internal/exit"
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
		l.addSource(c)
	}
	l.checkPatterns(seen)
	l.checkShared()
}

// checkPatterns refuses patterns for sources that there are not, or that know no such patterns, which would match nothing without a
// word.
func (l *loader) checkPatterns(named map[string]string) {
	for _, s := range perSource() {
		if !s.list {
			continue
		}
		for _, text := range l.request.Flags[flagOf(s.key)] {
			source, ok := sourceOfPattern(text)
			if !ok || strings.ContainsAny(source, "*?") || len(named) == 0 {
				continue
			}
			p := problem{where: "--" + flagOf(s.key), remedy: "the sources are " + strings.Join(slices.Sorted(maps.Keys(named)), ", ")}
			other := func(c Source) bool { return c.Name == source && !s.fits(c.DSN.Kind()) }
			switch {
			case named[source] == "":
				p.what = fmt.Sprintf("pattern %q is for a source %q, which there is not", text, source)
				l.fail(p)
			case slices.ContainsFunc(l.config.Sources, other):
				p.what = fmt.Sprintf("pattern %q is for source %s: %s", text, source, s.unfit())
				l.fail(p)
			}
		}
	}
}

// checkShared refuses flags and variables for all sources that fit none, and one value for several sources where each needs its own.
func (l *loader) checkShared() {
	for _, s := range perSource() {
		v, isFlag := l.flagValue(s)
		ok := isFlag
		if !isFlag {
			v, ok = l.variableValue(s)
		}
		if !ok || s.kind == "" && !s.single || len(l.config.Sources) == 0 {
			continue
		}
		fitting := 0
		for _, source := range l.config.Sources {
			if s.fits(source.DSN.Kind()) {
				fitting++
			}
		}
		switch {
		case fitting == 0:
			l.fail(problem{where: v.origin, what: s.unfit(), remedy: "leave it out: there is no such source"})
		case s.single && fitting > 1 && isFlag:
			l.fail(problem{
				where: v.origin, what: fmt.Sprintf("one %s for %d sources", strings.ReplaceAll(s.key, "_", " "), fitting),
				remedy: "give each its own in a file or in CDC_<SOURCE>_" + strings.ToUpper(s.key) + ", or run one source at a time",
			})
		}
	}
}

// fits reports whether the setting is one of sources of the kind.
func (s setting[T]) fits(kind string) bool { return s.kind == "" || s.kind == kind }

// unfit says what the setting is for.
func (s setting[T]) unfit() string {
	return s.key + " is a setting of " + kindNames[s.kind] + " sources"
}

// Fits is an error of usage when the setting is not one of the source's kind.
func Fits(key string, source *Source) error {
	for _, s := range perSource() {
		if s.key == key && !s.fits(source.DSN.Kind()) {
			return &exit.Error{Code: exit.Usage, What: s.unfit(), Where: "source " + source.Name, Remedy: "leave it out"}
		}
	}
	return nil
}

// flagValue is what a flag says for all sources.
func (l *loader) flagValue(s setting[Source]) (value, bool) {
	texts := l.request.Flags[flagOf(s.key)]
	return value{texts: texts, origin: "--" + flagOf(s.key), shared: true}, len(texts) > 0 && s.key != "dsn" && !s.secret
}

// variableValue is what the variable without a source's name says for all sources.
func (l *loader) variableValue(s setting[Source]) (value, bool) {
	text, _ := l.request.LookupEnv(variableOf(s.key))
	return value{texts: splitVariable(text, s.list), origin: variableOf(s.key), shared: true}, text != "" && s.key != "dsn" && !s.secret
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
			l.warn("a password on the command line can be read by every user of this machine; better are %s%s",
				sourceVariable(c.name, "password"), otherPasswords[DSN(dsn).Kind()])
		}
		all = append(all, c)
	}
	return all
}

// otherPasswords are the places that a kind's own clients look for a password in.
var otherPasswords = map[string]string{KindPostgres: ", PGPASSWORD or a passfile", KindMySQL: " or MYSQL_PWD"}

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
			held := ""
			if DSN(k.DSN).Kind() == KindPostgres {
				held = " and its slot holds WAL at the server"
			}
			l.warn("source %s of this folder is not in %s: it is not captured%s; name it, or run 'cdc drop %s'", k.Name, l.request.File, held, k.Name)
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

// dsnExamples say how DSNs are written.
const dsnExamples = "write postgres://user@host:port/database or mysql://user@host:port/database"

func (l *loader) addSource(c candidate) {
	dsn := c.values["dsn"]
	if len(dsn.texts) == 1 && DSN(dsn.texts[0]).Kind() == "" {
		l.fail(problem{where: dsn.origin, what: fmt.Sprintf("%q is no DSN", shown(dsn.texts[0])), remedy: dsnExamples})
		return
	}
	if c.name == "" && len(dsn.texts) == 1 {
		l.fail(problem{
			where: c.where, what: DSN(dsn.texts[0]).String() + " names no database that the source could be named after",
			remedy: "give the source a name with --name, once for each DSN and in their order, or in a file",
		})
		return
	}
	if !sourceName.MatchString(c.name) {
		l.fail(problem{where: c.where, what: fmt.Sprintf("%q is no name for a source: want up to 63 letters, digits, _ and -", shown(c.name)), remedy: "give it one with --name"})
		return
	}
	s, complained := Source{Name: c.name}, false
	for _, setting := range perSource() {
		v, ok := l.lookupForSource(setting, c, s.DSN.Kind())
		if !ok || v.bad {
			complained = complained || v.bad
			continue
		}
		if err := setting.set(&s, v.texts); err != nil {
			l.fail(problem{where: v.origin, what: fmt.Sprintf("%s of source %s: %v", setting.key, c.name, err)})
			continue
		}
		l.entry("sources."+c.name+"."+setting.key, setting.secret, v)
		switch setting.key {
		case "dsn":
			s.DSNFrom = l.place(v)
		case "password":
			s.PasswordFrom = l.place(v)
		}
	}
	l.findPassword(&s)
	switch {
	case complained:
	case s.DSN == "":
		l.fail(problem{where: c.where, what: "source " + c.name + " has no dsn", remedy: "below its name write dsn: postgres://user@host/database or mysql://user@host/database"})
	case s.DSN.Kind() == "": // a variable's
		l.fail(problem{where: c.where, what: fmt.Sprintf("%q is no DSN", shown(string(s.DSN))), remedy: dsnExamples})
	}
	l.config.Sources = append(l.config.Sources, s)
}

// lookupForSource finds the value of a source's setting: flag, variable of the source, variable of all, then where the source was
// named. What is for all sources passes over those of another kind; a value that is for this source alone must fit it.
func (l *loader) lookupForSource(s setting[Source], c candidate, kind string) (value, bool) {
	v, ok := l.valueForSource(s, c)
	if !ok || s.fits(kind) || kind == "" {
		return v, ok
	}
	if !v.shared && !v.bad {
		l.fail(problem{where: v.origin, what: fmt.Sprintf("%s, and %s is one of %s", s.unfit(), c.name, kindNames[kind]), remedy: "leave it out"})
	}
	return value{}, false
}

func (l *loader) valueForSource(s setting[Source], c candidate) (value, bool) {
	if v, ok := l.flagValue(s); ok {
		if v.texts = forSource(s, v.texts, c.name); len(v.texts) > 0 {
			return v, true
		}
	}
	own := sourceVariable(c.name, s.key)
	if text, ok := l.request.LookupEnv(own); ok && text != "" && (s.key != "dsn" || !c.onCommand) {
		return value{texts: forSource(s, splitVariable(text, s.list), c.name), origin: own}, true
	}
	if v, ok := l.variableValue(s); ok {
		v.texts = forSource(s, v.texts, c.name)
		return v, true
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
