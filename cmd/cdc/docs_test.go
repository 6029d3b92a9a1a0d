package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
)

// Documents that are made of the program, so that they are always true; -rewrite writes them anew.
const (
	cliDoc           = "../../docs/cli.md"
	configurationDoc = "../../docs/configuration.md"
)

// rewriting reports whether documents are to be written anew.
func rewriting() bool {
	f := flag.Lookup("rewrite")
	return f != nil && f.Value.String() == "true"
}

func TestCommandLineIsDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Command line\n\nThis page is made of the program's own help: `go test ./cmd/cdc -run TestCommandLineIsDocumented -rewrite`.\n\n")
	b.WriteString("Every verb takes `--data` and, where it prints rows, `--format`. Flags repeat and are never split on commas. Settings and their variables are in [configuration](configuration.md), what to do when in [operations](operations.md).\n\n")
	b.WriteString("## Exit codes\n\n| code | meaning |\n| --- | --- |\n")
	for _, m := range exit.Meanings() {
		fmt.Fprintf(&b, "| %d | %s |\n", m.Code, m.Text)
	}
	b.WriteString("\nErrors are one message on stderr, `cdc: what happened; what to do`, or with `--json` one object `{\"code\", \"message\", \"where\", \"remedy\"}` whose code is the exit code. ")
	b.WriteString("`cdc run` ends with 0 on SIGTERM and with 130 on Ctrl-C; either way it finishes what it is writing. A second signal ends it at once, which loses nothing either.\n")
	b.WriteString("\n## cdc\n\n```text\n" + help(t, nil) + "```\n")
	var model cli
	parser, err := newParser(&model)
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range parser.Model.Children {
		writeVerb(t, &b, node, node.Name)
	}
	compare(t, cliDoc, b.String())
}

func writeVerb(t *testing.T, b *strings.Builder, node *kong.Node, path string) {
	if node.Hidden {
		return
	}
	if len(node.Children) == 0 || node.Children[0].Type != kong.CommandNode {
		fmt.Fprintf(b, "\n## cdc %s\n\n```text\n%s```\n", path, withoutGlobals(help(t, strings.Fields(path))))
		return
	}
	for _, child := range node.Children {
		writeVerb(t, b, child, path+" "+child.Name)
	}
}

// help is what a verb prints with --help.
func help(t *testing.T, verb []string) string {
	t.Helper()
	var model cli
	parser, err := newParser(&model)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	parser.Stdout, parser.Exit = &out, func(int) {}
	_, _ = parser.Parse(append(verb, "--help")) // it goes on after the help and misses arguments
	return out.String()
}

// withoutGlobals leaves out the flags that every verb has.
func withoutGlobals(text string) string {
	before, _, _ := strings.Cut(text, "\nGlobal flags:")
	before = strings.TrimSpace(helpFlag.ReplaceAllString(before, ""))
	return strings.TrimSpace(strings.TrimSuffix(before, "\nFlags:")) + "\n"
}

var helpFlag = regexp.MustCompile(`  -h, --help .*\n\n?`)

func TestSettingsAreDocumented(t *testing.T) {
	b, err := os.ReadFile(configurationDoc)
	if err != nil {
		t.Fatal(err)
	}
	program, source, sink := config.Docs()
	text := string(b)
	for name, docs := range map[string][]config.Doc{"program": program, "source": source, "sink": sink} {
		begin, end := "<!-- "+name+" settings -->\n", "<!-- end "+name+" settings -->"
		before, rest, ok := strings.Cut(text, begin)
		_, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("%s has no pair of markers %q and %q", configurationDoc, begin, end)
		}
		text = before + begin + settingsTable(docs) + end + after
	}
	compare(t, configurationDoc, text)
}

func settingsTable(docs []config.Doc) string {
	var b strings.Builder
	b.WriteString("| key | flag | variable | default | meaning |\n| --- | --- | --- | --- | --- |\n")
	code := func(text string) string {
		if text == "" {
			return ""
		}
		return "`" + text + "`"
	}
	for _, d := range docs {
		flag := code(d.Flag)
		if d.List && flag != "" {
			flag += ", repeated"
		}
		help := d.Help
		if d.Only != "" {
			help += " Of " + d.Only + " only."
		}
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s |\n", d.Key, flag, d.Variable, code(d.Default), strings.ReplaceAll(help, "|", "\\|"))
	}
	return b.String()
}

// compare holds a document to the text, or writes it.
func compare(t *testing.T, path, want string) {
	t.Helper()
	if rewriting() {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not up to date: go test ./cmd/cdc -run %s -rewrite", path, t.Name())
	}
}

// Every flag of run that is a setting must be one, under the same name, and the other way round.
func TestRunFlagsAndSettingsAreTheSame(t *testing.T) {
	var model cli
	parser, err := newParser(&model)
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]bool{}
	for _, node := range parser.Model.Children {
		if node.Name == "run" {
			for _, group := range node.AllFlags(false) {
				for _, f := range group {
					flags["--"+f.Name] = true
				}
			}
		}
	}
	program, source, _ := config.Docs()
	for _, d := range append(program, source...) {
		if d.Flag != "" && !flags[d.Flag] {
			t.Errorf("setting %s has no flag %s", d.Key, d.Flag)
		}
		delete(flags, d.Flag)
	}
	for _, other := range []string{"--help", "--data", "--format", "--json", "--no-color", "--config", "--name", "--sink", "--until-current"} {
		delete(flags, other)
	}
	if len(flags) != 0 {
		t.Errorf("flags without a setting: %v", flags)
	}
}

// Pages with command lines that people copy.
var commandDocs = []string{
	"README.md", "compose/README.md", "docs/configuration.md", "docs/operations.md",
	"docs/tailing.md", "docs/rebuilding.md", "docs/kafka.md", "docs/moving-from-debezium.md",
}

var (
	codeBlock   = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```")
	commandLine = regexp.MustCompile(`^(?:docker compose .* exec cdc |bin/)?cdc (.*)$`)
	shellRest   = regexp.MustCompile(`\s+(#|\||>|&&|<).*$`)
)

func TestCommandLinesOfDocumentsParse(t *testing.T) {
	lines := 0
	for _, doc := range commandDocs {
		text, err := os.ReadFile("../../" + doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range codeBlock.FindAllStringSubmatch(string(text), -1) {
			for line := range strings.Lines(block[1]) {
				command := commandLine.FindStringSubmatch(strings.TrimSpace(line))
				if command == nil {
					continue
				}
				var model cli
				parser, err := newParser(&model)
				if err != nil {
					t.Fatal(err)
				}
				lines++
				if _, err := parser.Parse(splitWords(shellRest.ReplaceAllString(command[1], ""))); err != nil {
					t.Errorf("%s: %s: %v", doc, strings.TrimSpace(line), err)
				}
			}
		}
	}
	if lines < 40 {
		t.Errorf("only %d command lines were found", lines)
	}
}
