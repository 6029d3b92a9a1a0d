package cdc_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const module = "cdc"

// The names that may stand at the top of the repository. A new one is a
// decision, not an accident.
var topLevel = []string{
	"ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md",
	"changelog", "cmd", "compose", "docs", "e2e", "materialize", "schema", "scripts", "sinks", "sources", "tools",
	"doc.go", "go.mod", "go.sum", "staticcheck.conf",
	"repo_test.go", "repo_docs_test.go", "repo_go_test.go", "repo_imports_test.go", "repo_rules_test.go",
	".ci", ".dockerignore", ".editorconfig", ".gitattributes", ".github", ".gitignore",
}

func checkTopLevel(t *tree) (problems []string) {
	for name := range t.names {
		if !strings.Contains(name, "/") && !slices.Contains(topLevel, name) {
			problems = append(problems, name+": not a known top-level name; put it in a folder, or add it to topLevel in repo_imports_test.go")
		}
	}
	slices.Sort(problems)
	return problems
}

// mayImport says for each layer which other layers it builds on. The three in
// the middle never see each other: what they share is the log.
var mayImport = map[string][]string{
	"":            {},
	"schema":      {},
	"changelog":   {"schema"},
	"sources":     {"schema", "changelog"},
	"materialize": {"schema", "changelog"},
	"sinks":       {"schema", "changelog"},
	"cmd":         {"schema", "changelog", "sources", "materialize", "sinks"},
	"e2e":         {"schema", "changelog", "sources", "materialize", "sinks", "cmd"},
}

// testservers starts real servers, so it is a leaf that every test may use,
// and the demo with them.
const (
	testservers = "e2e/testservers"
	demo        = "cmd/cdc/internal/demo"
)

func checkImportDirections(t *tree) (problems []string) {
	for _, file := range t.files {
		for _, imported := range importsOf(file) {
			target, ours := ownPath(imported)
			if !ours {
				continue
			}
			if reason := refuseImport(file, target); reason != "" {
				problems = append(problems, fmt.Sprintf("%s imports %s: %s", file.path, imported, reason))
			}
		}
	}
	return problems
}

// refuseImport says why file may not import the package at target, or "".
func refuseImport(file *goFile, target string) string {
	inTestservers := within(file.dir, testservers)
	if within(target, testservers) {
		if file.test || inTestservers || within(file.dir, demo) || within(file.dir, "e2e") {
			return ""
		}
		return "only tests and " + demo + " may start servers"
	}
	if inTestservers {
		return testservers + " is a leaf: it imports nothing of ours"
	}
	from, to := layer(file.dir), layer(target)
	if from == to {
		return ""
	}
	allowed, known := mayImport[from]
	if !known {
		return "no rule for the layer " + from
	}
	if !slices.Contains(allowed, to) {
		return fmt.Sprintf("%q may build on %q only", from, allowed)
	}
	return ""
}

// A client says which folders may import a third-party module: one module,
// one owner, so that no vendor type travels and each can be replaced alone.
type client struct {
	module string
	owners []string // folders, with those below them; empty means anywhere
	tests  bool     // any test may import it, too
}

// anywhere is the owner of modules that extend the standard library.
var anywhere []string

var clients = []client{
	{module: "github.com/jackc/pglogrepl", owners: []string{"sources/postgres"}},
	{module: "github.com/jackc/pgx/v5", owners: []string{"sources/postgres", "e2e", demo}},
	{module: "github.com/klauspost/compress", owners: []string{"changelog", "materialize", "sources/mysql/binlog", "sinks/kafka"}},
	{module: "github.com/pierrec/lz4/v4", owners: []string{"sinks/kafka"}},
	{module: "github.com/segmentio/kafka-go", owners: []string{"sinks/kafka"}},
	{module: "github.com/go-mysql-org/go-mysql", owners: []string{"sources/mysql", "e2e", demo}},
	{module: "github.com/twmb/franz-go", owners: []string{"e2e"}, tests: true},
	{module: "github.com/cockroachdb/pebble/v2", owners: []string{"changelog/rowstate"}},
	{module: "github.com/duckdb/duckdb-go/v2", owners: []string{"materialize/sql"}},
	{module: "github.com/apache/arrow-go/v18", owners: []string{"materialize/sql"}},
	{module: "github.com/parquet-go/parquet-go", owners: []string{"materialize/history", "sinks/parquet"}, tests: true},
	{module: "github.com/hamba/avro/v2", owners: []string{"schema/avro"}},
	{module: "github.com/alecthomas/kong", owners: []string{"cmd/cdc"}},
	{module: "go.yaml.in/yaml/v4", owners: []string{"cmd/cdc"}},
	{module: "github.com/vbauerster/mpb/v8", owners: []string{"cmd/cdc"}},
	{module: "github.com/prometheus/client_golang", owners: []string{"cmd/cdc"}},
	{module: "golang.org/x/term", owners: []string{"cmd/cdc"}},
	{module: "golang.org/x/sync", owners: anywhere},
	{module: "golang.org/x/time", owners: anywhere},
	{module: "golang.org/x/sys", owners: anywhere},
	{module: "github.com/twmb/avro", owners: testOnly, tests: true},
	{module: "pgregory.net/rapid", owners: testOnly, tests: true},
	{module: "github.com/cockroachdb/datadriven", owners: testOnly, tests: true},
}

// testOnly are the packages that hold tests for others to run, outside _test.go files.
var testOnly = []string{"changelog/logtest", "sources/sourcetest", "sinks/sinktest", "e2e"}

func checkThirdPartyOwners(t *tree) (problems []string) {
	for _, file := range t.files {
		for _, imported := range importsOf(file) {
			if _, ours := ownPath(imported); ours || standard(imported) {
				continue
			}
			if reason := refuseClient(file, imported); reason != "" {
				problems = append(problems, fmt.Sprintf("%s imports %s: %s", file.path, imported, reason))
			}
		}
	}
	return problems
}

func refuseClient(file *goFile, imported string) string {
	c, known := clientOf(imported)
	if !known {
		return "not a chosen dependency; give it an owner in repo_imports_test.go and a reason in docs/dependencies.md"
	}
	if len(c.owners) == 0 || (c.tests && file.test) {
		return ""
	}
	if slices.ContainsFunc(c.owners, func(owner string) bool { return within(file.dir, owner) }) {
		return ""
	}
	return "its only importers are " + strings.Join(c.owners, ", ")
}

func clientOf(imported string) (client, bool) {
	i := slices.IndexFunc(clients, func(c client) bool { return within(imported, c.module) })
	if i < 0 {
		return client{}, false
	}
	return clients[i], true
}

func importsOf(file *goFile) (paths []string) {
	for _, spec := range file.syntax.Imports {
		if imported, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, imported)
		}
	}
	return paths
}

// ownPath gives the folder of one of our packages.
func ownPath(imported string) (string, bool) {
	if imported == module {
		return "", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// standard tells a package of Go's library: its first element has no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// layer is the top folder of a package, "" for the root.
func layer(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	if first == "." {
		return ""
	}
	return first
}

// within tells whether name is folder or below it.
func within(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}
