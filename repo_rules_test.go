package cdc_test

import (
	"strings"
	"testing"
)

// A rule that cannot fail is no rule: each is shown a small tree that keeps it
// and one that breaks it, and must tell them apart.
func TestRulesNoticeBreaches(t *testing.T) {
	decision := "# 0001. A title\n\n## Status\n\nAccepted\n\n## Context\n\nc\n\n## Decision\n\nd\n\n## Consequences\n\ne\n\n## Alternatives and why they lost\n\nf\n"
	tests := []struct {
		name  string
		check func(*tree) []string
		files map[string]string
		want  string // part of the one problem; empty for none
	}{
		{"known name at the top", checkTopLevel, map[string]string{"schema/a.go": "package schema"}, ""},
		{"unknown name at the top", checkTopLevel, map[string]string{"scratch/a.md": ""}, "scratch: not a known"},
		{"build output is not read", checkTopLevel, map[string]string{"bin/cdc": ""}, ""},

		{"source builds on the log", checkImportDirections, map[string]string{"sources/a.go": imports("sources", "cdc/changelog", "fmt")}, ""},
		{"log imports a source", checkImportDirections, map[string]string{"changelog/a.go": imports("changelog", "cdc/sources")}, `may build on ["schema"] only`},
		{"source imports a sink", checkImportDirections, map[string]string{"sources/postgres/a.go": imports("postgres", "cdc/sinks/kafka")}, "may build on"},
		{"view imports a source", checkImportDirections, map[string]string{"materialize/a_test.go": imports("materialize", "cdc/sources")}, "may build on"},
		{"anything imports the program", checkImportDirections, map[string]string{"schema/a.go": imports("schema", "cdc/cmd/cdc/internal/x")}, "may build on"},
		{"folder without a layer", checkImportDirections, map[string]string{"extra/a.go": imports("extra", "cdc/schema")}, "no rule for the layer"},
		{"test starts a server", checkImportDirections, map[string]string{"sources/postgres/a_test.go": imports("postgres", "cdc/e2e/testservers")}, ""},
		{"demo starts a server", checkImportDirections, map[string]string{"cmd/cdc/internal/demo/a.go": imports("demo", "cdc/e2e/testservers")}, ""},
		{"product starts a test server", checkImportDirections, map[string]string{"cmd/cdc/a.go": imports("main", "cdc/e2e/testservers")}, "may start servers"},
		{"test servers lean on the product", checkImportDirections, map[string]string{"e2e/testservers/a.go": imports("testservers", "cdc/schema")}, "is a leaf"},

		{"owner imports its client", checkThirdPartyOwners, map[string]string{"sources/postgres/a.go": imports("postgres", "github.com/jackc/pglogrepl")}, ""},
		{"another imports a client", checkThirdPartyOwners, map[string]string{"sinks/a.go": imports("sinks", "github.com/jackc/pglogrepl")}, "only importers are sources/postgres"},
		{"package below a module", checkThirdPartyOwners, map[string]string{"changelog/a.go": imports("changelog", "github.com/cockroachdb/pebble/v2/vfs")}, "only importers are changelog/rowstate"},
		{"oracle in the product", checkThirdPartyOwners, map[string]string{"sinks/kafka/a.go": imports("kafka", "github.com/twmb/franz-go/pkg/kgo")}, "only importers are e2e"},
		{"unchosen dependency", checkThirdPartyOwners, map[string]string{"sinks/a.go": imports("sinks", "example.com/x")}, "not a chosen dependency"},
		{"test tool in a test", checkThirdPartyOwners, map[string]string{"sinks/a_test.go": imports("sinks", "pgregory.net/rapid")}, ""},
		{"test tool in the product", checkThirdPartyOwners, map[string]string{"sinks/a.go": imports("sinks", "pgregory.net/rapid")}, "only importers are"},
		{"extended library anywhere", checkThirdPartyOwners, map[string]string{"sinks/a.go": imports("sinks", "golang.org/x/sync/errgroup")}, ""},

		{"package comment", checkPackageComments, map[string]string{"a/a.go": "// Package a is.\npackage a\n", "a/b_test.go": "package a_test\n"}, ""},
		{"program comment", checkPackageComments, map[string]string{"cmd/x/a.go": "// Command x does.\npackage main\n"}, ""},
		{"no package comment", checkPackageComments, map[string]string{"a/a.go": "package a\n"}, "has no comment"},
		{"comment of another name", checkPackageComments, map[string]string{"a/a.go": "// Package b is.\npackage a\n"}, "has no comment"},
		{"comment only in a test of a test-only folder", checkPackageComments, map[string]string{"e2e/a_test.go": "// Package e2e is.\npackage e2e_test\n"}, ""},

		{"documented names", checkExportedDocs, map[string]string{"a/a.go": "package a\n\n// T is.\ntype T int\n\nfunc (T) String() string { return \"\" }\n\n// Kinds.\nconst (\n\tA = 1\n)\n"}, ""},
		{"undocumented function", checkExportedDocs, map[string]string{"a/a.go": "package a\n\nfunc F() {}\n"}, "exported F has no comment"},
		{"undocumented method", checkExportedDocs, map[string]string{"a/a.go": "package a\n\n// T is.\ntype T[K any] struct{}\n\nfunc (*T[K]) Run() {}\n"}, "exported Run has no comment"},
		{"undocumented constant", checkExportedDocs, map[string]string{"a/a.go": "package a\n\nconst (\n\tA = 1 // one\n\tB = 2\n)\n"}, "exported B has no comment"},

		{"plain comment", checkMarks, map[string]string{"a/a.go": "package a // methodology\n"}, ""},
		{"mark in a comment", checkMarks, map[string]string{"a/a.go": "package a // TO" + "DO: later\n"}, "do it, or say why"},

		{"sleep in the product", checkForbiddenCalls, map[string]string{"a/a.go": uses("a", "time", "time.Sleep(1)")}, ""},
		{"sleep in a test", checkForbiddenCalls, map[string]string{"a/a_test.go": uses("a", "time", "time.Sleep(1)")}, "time.Sleep is not used here"},
		{"sleep under another name", checkForbiddenCalls, map[string]string{"a/a_test.go": "package a\n\nimport clock \"time\"\n\nfunc f() { clock.Sleep(1) }\n"}, "time.Sleep is not used here"},
		{"print in a package", checkForbiddenCalls, map[string]string{"a/a.go": uses("a", "fmt", "fmt.Println(1)")}, "fmt.Println is not used here"},
		{"print in the program", checkForbiddenCalls, map[string]string{"cmd/cdc/a.go": uses("main", "fmt", "fmt.Println(1)")}, ""},
		{"print in an example", checkForbiddenCalls, map[string]string{"a/a_test.go": "package a\n\nimport \"fmt\"\n\nfunc ExampleA() { fmt.Println(1) }\n"}, ""},
		{"print where a test is a program", checkForbiddenCalls, map[string]string{"a/a_test.go": "package a\n\nimport \"fmt\"\n\nfunc TestMain() { fmt.Println(1) }\n"}, ""},
		{"format is no print", checkForbiddenCalls, map[string]string{"a/a.go": uses("a", "fmt", "_ = fmt.Sprint(1)")}, ""},
		{"global logger", checkForbiddenCalls, map[string]string{"cmd/cdc/a.go": uses("main", "log/slog", `slog.Info("x")`)}, "slog.Info is not used here"},
		{"method of a logger", checkForbiddenCalls, map[string]string{"a/a.go": "package a\n\nimport \"log/slog\"\n\nfunc f(log *slog.Logger) { log.Info(\"x\") }\n"}, ""},

		{"function of full length", checkLengths, map[string]string{"a/a.go": longFunction(functionLinesMax)}, ""},
		{"function too long", checkLengths, map[string]string{"a/a.go": longFunction(functionLinesMax + 1)}, "a.f has 121 lines"},
		{"file too long", checkLengths, map[string]string{"a/a.go": "package a\n" + strings.Repeat("\n", fileLinesMax)}, "801 lines"},
		{"tests may be long", checkLengths, map[string]string{"a/a_test.go": longFunction(functionLinesMax + 1)}, ""},
		{"generated files may be long", checkLengths, map[string]string{"a/a.go": "// Code generated by x. DO NOT EDIT.\n" + longFunction(functionLinesMax+1)}, ""},

		{"links that resolve", checkLinks, map[string]string{"README.md": "[a](docs/a.md#one-two-1) [b](#top) [c](https://example.com/x)\n\n# Top\n", "docs/a.md": "# One: two\n# One, two\n[up](../README.md)\n"}, ""},
		{"link to no file", checkLinks, map[string]string{"README.md": "[a](docs/b.md)"}, "no such file"},
		{"link to no heading", checkLinks, map[string]string{"README.md": "[a](#nowhere)\n# Here"}, "no such heading"},
		{"link in code", checkLinks, map[string]string{"README.md": "```\n[a](b.md)\n```\n`[a](b.md)`"}, ""},

		{"names that exist", checkDocNames, map[string]string{architecture: "`schema.Row`, `schema.Row.Len`, `schema/a.go`, `fmt.Println`", "schema/a.go": "package schema\n\ntype Row struct{}\n\nfunc (Row) Len() int { return 0 }\n"}, ""},
		{"name that is gone", checkDocNames, map[string]string{architecture: "see `schema.Gone(x)`", "schema/a.go": "package schema\n"}, "names schema.Gone"},
		{"method that is gone", checkDocNames, map[string]string{architecture: "`schema.Row.Gone`", "schema/a.go": "package schema\n\ntype Row struct{ Len int }\n"}, "names schema.Row.Gone"},
		{"file that is gone", checkDocNames, map[string]string{architecture: "`schema/gone.go`", "schema/a.go": "package schema\n"}, "names schema/gone.go"},

		{"decision record", checkDecisions, map[string]string{"docs/decisions/0001-a.md": decision}, ""},
		{"record without alternatives", checkDecisions, map[string]string{"docs/decisions/0001-a.md": strings.Split(decision, "## Alt")[0]}, "headings are"},
		{"record of unknown status", checkDecisions, map[string]string{"docs/decisions/0001-a.md": strings.Replace(decision, "Accepted", "Perhaps", 1)}, "Status begins with"},
		{"record numbered twice", checkDecisions, map[string]string{"docs/decisions/0001-a.md": decision, "docs/decisions/0001-b.md": decision}, "next record in order is 0002"},
		{"record without a number", checkDecisions, map[string]string{"docs/decisions/a.md": decision}, "is named NNNN-slug.md"},

		{"proof that exists", checkProofNames, map[string]string{guaranteesDoc: "`TestG1G3Ack`", "a/a_test.go": "package a\n\nfunc TestG1G3Ack() {}\n"}, ""},
		{"proof that is gone", checkProofNames, map[string]string{guaranteesDoc: "`TestG1Gone`", "a/a_test.go": "package a\n\nfunc TestG1Here() {}\n"}, "names TestG1Gone"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			problems := test.check(fileMap(t, test.files))
			if test.want == "" {
				if len(problems) != 0 {
					t.Fatalf("problems in a good tree: %q", problems)
				}
				return
			}
			if len(problems) != 1 || !strings.Contains(problems[0], test.want) {
				t.Fatalf("problems = %q, want one with %q", problems, test.want)
			}
		})
	}
}

// A package comment that a blank line cuts off breaks two rules at once: it is
// no package comment, and it is said where it stands.
func TestDetachedPackageCommentIsNamed(t *testing.T) {
	problems := checkPackageComments(fileMap(t, map[string]string{"a/a.go": "// Package a is.\n\npackage a\n"}))
	if len(problems) != 2 || !strings.Contains(problems[0], "a/a.go:1:1: a blank line cuts") {
		t.Fatalf("problems = %q", problems)
	}
}

func TestDependenciesMustBeExplained(t *testing.T) {
	var explained strings.Builder
	for _, c := range clients {
		explained.WriteString("`" + c.module + "`\n")
	}
	whole := explained.String()
	if problems := checkDependencies(fileMap(t, map[string]string{dependenciesDoc: whole})); len(problems) != 0 {
		t.Fatalf("problems = %q", problems)
	}
	cut := strings.Replace(whole, "`"+clients[0].module+"`", "", 1)
	if problems := checkDependencies(fileMap(t, map[string]string{dependenciesDoc: cut})); len(problems) != 1 {
		t.Fatalf("problems = %q, want one", problems)
	}
}

func TestProofsAreWrittenBetweenTheirMarkers(t *testing.T) {
	var doc strings.Builder
	for _, id := range []string{"G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8", "G9", "G10"} {
		doc.WriteString(id + "\n<!-- proofs " + id + " -->\nold\n<!-- end " + id + " -->\n")
	}
	tests := fileMap(t, map[string]string{"a/a_test.go": "package a\n\nfunc TestG1G10Both() {}\n\nfunc TestGTIDSet() {}\n"})
	written, err := writeProofs(doc.String(), proofs(tests))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(written, "old") || strings.Contains(written, "TestGTIDSet") {
		t.Fatalf("not rewritten:\n%s", written)
	}
	if got := strings.Count(written, "- `TestG1G10Both` in `a`\n"); got != 2 {
		t.Fatalf("the proof of two guarantees is listed %d times:\n%s", got, written)
	}
	again, err := writeProofs(written, proofs(tests))
	if err != nil || again != written {
		t.Fatalf("writing twice differs: %v", err)
	}
	if _, err := writeProofs("G1 without markers", nil); err == nil {
		t.Fatal("a document without markers was accepted")
	}
}

func imports(pkg string, paths ...string) string {
	return "package " + pkg + "\n\nimport (\n\t_ \"" + strings.Join(paths, "\"\n\t_ \"") + "\"\n)\n"
}

func uses(pkg, imported, statement string) string {
	return "package " + pkg + "\n\nimport \"" + imported + "\"\n\nfunc f() { " + statement + " }\n"
}

// longFunction is a file with one function of so many lines.
func longFunction(lines int) string {
	return "package a\n\nfunc f() {" + strings.Repeat("\n", lines-1) + "}\n"
}
