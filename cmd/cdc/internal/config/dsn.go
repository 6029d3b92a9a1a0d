package config

import (
	"log/slog"
	"net/url"
	"strings"

	"cdc/sources"
)

// DSN says where a database is. It may hold a password, which it never prints.
type DSN string

// Kinds of sources.
const (
	KindPostgres = "postgres"
	KindMySQL    = "mysql"
)

// String is the DSN without its password's text.
func (d DSN) String() string {
	if hidden, ok := d.hideAll(); ok {
		return hidden
	}
	return d.replacePassword(sources.Redacted)
}

// hideAll is the DSN without anything that stands before its last @, when a / or ? that a password may hold has cut it in the wrong
// place: then the @ does not stand where the user and the hosts are.
func (d DSN) hideAll() (string, bool) {
	p, ok := d.url()
	if !ok || p.hasUser {
		return "", false
	}
	odd := strings.Contains(p.path, "@")
	for _, q := range p.query {
		key, _, _ := strings.Cut(q, "=")
		odd = odd || strings.Contains(key, "@")
	}
	if !odd {
		return "", false
	}
	return p.scheme + "://" + sources.Redacted + string(d)[strings.LastIndexByte(string(d), '@'):], true
}

// GoString is String.
func (d DSN) GoString() string { return d.String() }

// LogValue is String.
func (d DSN) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalText is String.
func (d DSN) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// WithoutPassword is the DSN as a folder may keep it.
func (d DSN) WithoutPassword() string { return d.replacePassword("") }

// Kind is KindPostgres, KindMySQL, or nothing for what is neither.
func (d DSN) Kind() string {
	scheme, _, ok := strings.Cut(string(d), "://")
	switch {
	case !ok && strings.Contains(string(d), "="):
		return KindPostgres
	case !ok:
		return ""
	}
	switch strings.ToLower(scheme) {
	case "postgres", "postgresql":
		return KindPostgres
	case "mysql", "mariadb":
		return KindMySQL
	}
	return ""
}

// Database is the database's name as the DSN says it. In PostgreSQL that is its own, else that of the user, as libpq has it; a MySQL
// server is asked for all of its databases when the DSN names none, and then there is no name.
func (d DSN) Database(lookup func(string) (string, bool)) string {
	if p, ok := d.url(); ok && d.Kind() == KindMySQL {
		return unescape(p.path)
	}
	var name, user string
	if p, ok := d.url(); ok {
		user, _, _ = strings.Cut(p.user, ":")
		name = unescape(p.path)
		for _, q := range p.query {
			if key, v, _ := strings.Cut(q, "="); key == "dbname" {
				name = unescape(v)
			}
		}
		user = unescape(user)
	} else {
		for _, k := range d.keywords() {
			switch k.name {
			case "dbname":
				name = k.value
			case "user":
				user = k.value
			}
		}
	}
	for _, variable := range []string{"PGDATABASE", "", "PGUSER"} {
		if name == "" && variable == "" {
			name = user
		}
		if v, ok := lookup(variable); name == "" && variable != "" && ok {
			name = v
		}
	}
	return name
}

func unescape(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// hasPassword reports whether a password stands in the text.
func hasPassword(text string) bool { return DSN(text).WithoutPassword() != text }

// secretKeys are the parameters of a DSN that hold secrets.
var secretKeys = map[string]bool{"password": true, "sslpassword": true}

// replacePassword puts text in the place of every password; with an empty text they go altogether.
func (d DSN) replacePassword(text string) string {
	p, ok := d.url()
	if !ok {
		return d.replaceKeywords(text)
	}
	if user, password, ok := strings.Cut(p.user, ":"); ok && password != "" {
		p.user = user
		if text != "" {
			p.user += ":" + text
		}
	}
	kept := p.query[:0:0]
	for _, q := range p.query {
		key, _, _ := strings.Cut(q, "=")
		secret := secretKeys[strings.ToLower(key)]
		if secret && text == "" {
			continue
		}
		if secret {
			q = key + "=" + text
		}
		kept = append(kept, q)
	}
	p.query = kept
	return p.String()
}

// dsnURL is a DSN in the form of a URL, cut as libpq cuts it: several hosts are one text here.
type dsnURL struct {
	scheme, user, hosts, path string
	hasUser, hasPath          bool
	query                     []string
}

func (d DSN) url() (p dsnURL, ok bool) {
	var rest string
	if p.scheme, rest, ok = strings.Cut(string(d), "://"); !ok {
		return p, false
	}
	rest, query, hasQuery := strings.Cut(rest, "?")
	if hasQuery && query != "" {
		p.query = strings.Split(query, "&")
	}
	rest, p.path, p.hasPath = strings.Cut(rest, "/")
	p.hosts = rest
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		p.user, p.hosts, p.hasUser = rest[:i], rest[i+1:], true
	}
	return p, true
}

func (p dsnURL) String() string {
	text := p.scheme + "://"
	if p.hasUser {
		text += p.user + "@"
	}
	text += p.hosts
	if p.hasPath {
		text += "/" + p.path
	}
	if len(p.query) > 0 {
		text += "?" + strings.Join(p.query, "&")
	}
	return text
}

// keyword is one pair of a DSN of keywords and values; text is the pair as it stands.
type keyword struct{ name, value, text string }

// keywords splits a DSN of the form "host=/tmp dbname='my shop'".
func (d DSN) keywords() (all []keyword) {
	const blank = " \t\n\r\f\v"
	for rest := strings.TrimLeft(string(d), blank); rest != ""; rest = strings.TrimLeft(rest, blank) {
		whole := rest
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			return append(all, keyword{text: rest})
		}
		k := keyword{name: strings.TrimRight(name, blank)}
		k.value, rest = cutKeywordValue(strings.TrimLeft(after, blank))
		k.text = strings.TrimRight(whole[:len(whole)-len(rest)], blank)
		all = append(all, k)
	}
	return all
}

// cutKeywordValue cuts the value off the front: quoted with ' or up to a blank, with \ before what is meant as it is.
func cutKeywordValue(text string) (value, rest string) {
	var b strings.Builder
	quoted := strings.HasPrefix(text, "'")
	i := 0
	if quoted {
		i = 1
	}
	for ; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case quoted && c == '\'':
			return b.String(), text[i+1:]
		case !quoted && strings.IndexByte(" \t\n\r\f\v", c) >= 0:
			return b.String(), text[i:]
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

func (d DSN) replaceKeywords(text string) string {
	all := d.keywords()
	found := false
	kept := make([]string, 0, len(all))
	for _, k := range all {
		if !secretKeys[k.name] || k.value == "" {
			kept = append(kept, k.text)
			continue
		}
		found = true
		if text != "" {
			kept = append(kept, k.name+"="+text)
		}
	}
	if !found {
		return string(d)
	}
	return strings.Join(kept, " ")
}
