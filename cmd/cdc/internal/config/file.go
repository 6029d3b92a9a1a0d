package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxFileBytes bounds the file and each secret that it names.
const maxFileBytes = 1 << 20

// file is what the configuration file says.
type file struct {
	values  map[string]value // of the program, by key
	sources []fileEntry
	sinks   []fileEntry
}

// fileEntry is one source or sink of the file.
type fileEntry struct {
	name, where string
	values      map[string]value
}

// value is the text of a setting, with where it stands.
type value struct {
	texts  []string
	origin string
	bad    bool     // it has been complained about
	shared bool     // it is for every source that it fits
	refs   []string // what the line refers to, for people
}

// readFile reads the file, if there is one, strictly: a key that means nothing is a problem, as is one that stands twice.
func (l *loader) readFile() {
	if l.request.File == "" {
		return
	}
	root, err := parseFile(l.request.File)
	if err != nil {
		l.fail(problem{where: l.request.File, what: err.Error()})
		return
	}
	if root == nil {
		return
	}
	l.file.values = l.readMapping(root, keysOf(globals()), map[string]func(*yaml.Node){
		"sources": func(n *yaml.Node) { l.file.sources = l.readEntries(n, keysOf(perSource())) },
		"sinks":   func(n *yaml.Node) { l.file.sinks = l.readEntries(n, keysOf(perSink())) },
	})
}

// parseFile is the file's top node, nil for an empty file.
func parseFile(path string) (*yaml.Node, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the file cannot be read: %w", errors.Unwrap(err))
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("the file cannot be read: %w", err)
	}
	if len(b) > maxFileBytes {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxFileBytes)
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, nil
	}
	var document yaml.Node
	if err := yaml.Unmarshal(b, &document); err != nil {
		return nil, fmt.Errorf("the file is no YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if document.Kind == yaml.DocumentNode && len(document.Content) == 1 {
		return document.Content[0], nil
	}
	return nil, nil
}

func keysOf[T any](settings []setting[T]) (keys []string) {
	for _, s := range settings {
		keys = append(keys, s.key)
	}
	return keys
}

// readMapping reads the keys of a mapping; the values of the keys in special are given to its functions.
func (l *loader) readMapping(node *yaml.Node, keys []string, special map[string]func(*yaml.Node)) map[string]value {
	values := map[string]value{}
	l.eachKey(node, func(key string, at, v *yaml.Node) {
		if read := special[key]; read != nil {
			read(v)
			return
		}
		if slices.Contains(keys, key) {
			l.readValue(values, key, v)
			return
		}
		known := append(slices.Sorted(maps.Keys(special)), keys...)
		l.fail(problem{where: l.at(at), what: fmt.Sprintf("unknown key %q", key), remedy: didYouMean(key, known)})
	})
	return values
}

// eachKey calls f with each key of a mapping.
func (l *loader) eachKey(node *yaml.Node, f func(key string, at, v *yaml.Node)) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return
	}
	if node.Kind != yaml.MappingNode {
		l.fail(problem{where: l.at(node), what: "want keys with values here"})
		return
	}
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, v := node.Content[i], node.Content[i+1]
		if first := seen[key.Value]; first != nil {
			l.fail(problem{where: l.at(key), what: fmt.Sprintf("key %q stands a second time", key.Value), remedy: fmt.Sprintf("the first is on line %d", first.Line)})
			continue
		}
		seen[key.Value] = key
		f(key.Value, key, v)
	}
}

// readEntries reads named entries, each a mapping of the keys.
func (l *loader) readEntries(node *yaml.Node, keys []string) (entries []fileEntry) {
	l.eachKey(node, func(name string, at, v *yaml.Node) {
		entries = append(entries, fileEntry{name: name, where: l.at(at), values: l.readMapping(v, keys, nil)})
	})
	return entries
}

// readValue reads one text, or a list of them.
func (l *loader) readValue(values map[string]value, key string, node *yaml.Node) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	v := value{origin: l.at(node)}
	items := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		items = node.Content
	}
	values[key] = value{origin: v.origin, bad: true}
	for _, item := range items {
		if item.Kind == yaml.AliasNode {
			item = item.Alias
		}
		if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
			l.fail(problem{where: l.at(item), what: key + ": want a text"})
			return
		}
		text, ok := l.expand(item.Value, l.at(item), key)
		if !ok {
			return
		}
		v.texts, v.refs = append(v.texts, text), append(v.refs, referencesOf(item.Value, key)...)
	}
	values[key] = v
}

var reference = regexp.MustCompile(`\$\{([^}]*)\}`)

// expand puts the values of variables in the place of ${env:NAME}; secrets must come from there or from a file of their own.
func (l *loader) expand(text, where, key string) (string, bool) {
	secret := isSecret(key)
	if path, ok := strings.CutPrefix(text, "file:"); ok && secret {
		return l.readSecret(path, where)
	}
	literal := reference.ReplaceAllString(text, "")
	if secret && strings.TrimSpace(literal) != "" || key == "dsn" && hasPassword(reference.ReplaceAllString(text, "")) {
		l.fail(problem{where: where, what: key + ": a secret stands in the file", remedy: "write ${env:NAME} or, for a password, file:PATH"})
		return "", false
	}
	good := true
	expanded := reference.ReplaceAllStringFunc(text, func(match string) string {
		name, ok := strings.CutPrefix(match[2:len(match)-1], "env:")
		if !ok {
			l.fail(problem{where: where, what: fmt.Sprintf("%s: %s is no reference", key, match), remedy: "write ${env:NAME}"})
			good = false
			return ""
		}
		v, ok := l.request.LookupEnv(name)
		if !ok {
			l.fail(problem{where: where, what: fmt.Sprintf("%s: the variable %s is not set", key, name)})
			good = false
		}
		return v
	})
	return expanded, good
}

// readSecret reads a file that holds nothing but a secret.
func (l *loader) readSecret(path, where string) (string, bool) {
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxFileBytes || !info.Mode().IsRegular() {
		l.fail(problem{where: where, what: fmt.Sprintf("the secret's file %s cannot be read", path), remedy: "it must exist and be readable by this user"})
		return "", false
	}
	b, err := os.ReadFile(path)
	if err != nil {
		l.fail(problem{where: where, what: fmt.Sprintf("the secret's file cannot be read: %v", err)})
		return "", false
	}
	if info.Mode().Perm()&0o077 != 0 {
		l.warn("%s: others may read the secret's file %s; run 'chmod 600 %s'", where, path, path)
	}
	return strings.TrimRight(string(b), "\r\n"), true
}

// at is a place in the file.
func (l *loader) at(node *yaml.Node) string { return l.request.File + ":" + strconv.Itoa(node.Line) }
