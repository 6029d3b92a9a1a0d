package config

import (
	"fmt"
	"slices"
	"strings"

	"cdc/sources"
)

// setGlobals decides the settings of the program: flag, variable, file, default.
func (l *loader) setGlobals() {
	for _, s := range globals() {
		v := l.lookupGlobal(s)
		if v.bad {
			continue
		}
		if err := s.set(l.config, v.texts); err != nil {
			l.fail(problem{where: v.origin, what: s.key + ": " + err.Error()})
			continue
		}
		if s.key == "http" {
			l.config.HTTPGiven = v.origin != defaultOrigin
		}
		l.entry(s.key, s.secret, v)
	}
}

const defaultOrigin = "default"

func (l *loader) lookupGlobal(s setting[Config]) value {
	if texts := l.request.Flags[flagOf(s.key)]; len(texts) > 0 && texts[0] != "" {
		return value{texts: texts, origin: "--" + flagOf(s.key)}
	}
	if text, ok := l.request.LookupEnv(variableOf(s.key)); ok && text != "" {
		return value{texts: []string{text}, origin: variableOf(s.key)}
	}
	if v, ok := l.file.values[s.key]; ok {
		return v
	}
	return value{texts: []string{s.preset}, origin: defaultOrigin}
}

// entry notes an effective value. Secrets are not shown, wherever they stand.
func (l *loader) entry(key string, secret bool, v value) {
	text := strings.Join(v.texts, ", ")
	switch {
	case secret:
		text = sources.Redacted
	case strings.HasSuffix(key, ".dsn"):
		text = DSN(text).String()
	case strings.HasSuffix(key, ".url"):
		text = SinkURL(text).String()
	}
	l.config.Entries = append(l.config.Entries, Entry{Key: key, Value: text, Origin: v.origin})
}

// otherVariables are those that mean something to other parts of the program.
var otherVariables = []string{"CDC_DATA", "CDC_FORMAT", "CDC_CONFIG", dsnVariable}

// otherPrefixes are those of variables for tests and for the demo.
var otherPrefixes = []string{"CDC_TEST_", "CDC_DEMO_", "CDC_PG_"}

// checkVariables warns of variables that begin like ours and mean nothing.
func (l *loader) checkVariables() {
	known := slices.Clone(otherVariables)
	for _, s := range globals() {
		known = append(known, variableOf(s.key))
	}
	for _, s := range perSource() {
		if !s.secret {
			known = append(known, variableOf(s.key))
		}
		for _, source := range l.config.Sources {
			known = append(known, sourceVariable(source.Name, s.key))
		}
	}
	for _, s := range perSink() {
		for _, sink := range l.config.Sinks {
			known = append(known, sourceVariable(sink.Name, s.key))
		}
	}
	for _, text := range l.request.Environ {
		name, _, _ := strings.Cut(text, "=")
		other := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		if !strings.HasPrefix(name, "CDC_") || slices.Contains(known, name) || slices.ContainsFunc(otherPrefixes, other) || ofAnySource(name) {
			continue
		}
		hint := "'cdc run --help' lists those that do"
		if near := nearest(name, known); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		l.warn("the variable %s means nothing here; %s", name, hint)
	}
}

// ofAnySource reports whether the variable can be a source's, one that does not take part at the moment included.
func ofAnySource(name string) bool {
	return slices.ContainsFunc(perSource(), func(s setting[Source]) bool { return strings.HasSuffix(name, "_"+strings.ToUpper(s.key)) })
}
