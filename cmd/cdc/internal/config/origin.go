package config

import (
	"strings"

	"cdc/sources"
)

// place says for people where a value stands: what a line of the file refers to goes before the line, as what is wrong in the value is
// to be mended there.
func (l *loader) place(v value) string {
	if len(v.refs) > 0 {
		return strings.Join(v.refs, " and ") + " (" + v.origin + ")"
	}
	if _, ok := l.request.LookupEnv(v.origin); ok {
		return theVariable(v.origin)
	}
	if v.origin == commandLine {
		return "the command line"
	}
	return v.origin
}

func theVariable(name string) string { return "the variable " + name }

// referencesOf are the variables and the file that the text of a setting refers to, for people.
func referencesOf(text, key string) (refs []string) {
	if path, ok := strings.CutPrefix(text, "file:"); ok && isSecret(key) {
		return []string{"the file " + path}
	}
	for _, match := range reference.FindAllStringSubmatch(text, -1) {
		if name, ok := strings.CutPrefix(match[1], "env:"); ok {
			refs = append(refs, theVariable(name))
		}
	}
	return refs
}

// isSecret reports whether a key of the file holds a secret.
func isSecret(key string) bool { return strings.HasSuffix(key, "password") }

// passwordVariable is where MySQL's own clients look for a password. What libpq reads is read where its DSNs are.
const passwordVariable = "MYSQL_PWD"

// findPassword finds where the password comes from when no setting says it, and takes the one that MySQL's own clients would take.
func (l *loader) findPassword(s *Source) {
	switch {
	case s.PasswordFrom != "":
	case hasPassword(string(s.DSN)):
		s.PasswordFrom = s.DSNFrom
	case s.DSN.Kind() == KindPostgres:
		s.PasswordFrom = l.passwordOfLibpq(s.DSN)
	case s.DSN.Kind() == KindMySQL:
		if text, ok := l.request.LookupEnv(passwordVariable); ok && text != "" {
			s.Password, s.PasswordFrom = sources.Secret(text), theVariable(passwordVariable)
			l.entry("sources."+s.Name+".password", true, value{texts: []string{text}, origin: passwordVariable})
		}
	}
}

// passwordOfLibpq is where libpq finds a password, if there is one.
func (l *loader) passwordOfLibpq(dsn DSN) string {
	from := "a passfile"
	if text, ok := l.request.LookupEnv("PGPASSWORD"); ok && text != "" {
		from = theVariable("PGPASSWORD")
	} else if path, ok := l.request.LookupEnv("PGPASSFILE"); ok && path != "" {
		from = "the passfile " + path
	}
	if service, _ := l.request.LookupEnv("PGSERVICE"); service != "" || strings.Contains(string(dsn), "service=") {
		return "the service file or else " + from
	}
	return from
}

// Origin says where the source's DSN comes from and, when a password was given, where that comes from: there an operator mends what a
// server refuses.
func (s *Source) Origin(password bool) string {
	switch {
	case !password || s.PasswordFrom == "":
		return "the DSN comes from " + s.DSNFrom
	case s.PasswordFrom == s.DSNFrom:
		return "the DSN and its password come from " + s.DSNFrom
	}
	return "the DSN comes from " + s.DSNFrom + ", the password from " + s.PasswordFrom
}
