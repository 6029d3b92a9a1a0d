package cdc_test

import (
	"fmt"
	"go/ast"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

var (
	codeFence = regexp.MustCompile("(?ms)^[ \t]*(```+|~~~+).*?^[ \t]*(```+|~~~+)[ \t]*$")
	codeSpan  = regexp.MustCompile("`[^`\n]+`")
	mdLink    = regexp.MustCompile(`\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)`)
	mdHeading = regexp.MustCompile(`(?m)^#{1,6}\s+(.+?)\s*#*\s*$`)
	htmlID    = regexp.MustCompile(`<a\s+(?:id|name)="([^"]+)"`)
	hasScheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:`)
)

func checkLinks(t *tree) (problems []string) {
	for _, doc := range slices.Sorted(maps.Keys(t.docs)) {
		text := codeSpan.ReplaceAllString(codeFence.ReplaceAllString(t.docs[doc], ""), "")
		for _, found := range mdLink.FindAllStringSubmatch(text, -1) {
			if reason := refuseLink(t, doc, found[1]); reason != "" {
				problems = append(problems, fmt.Sprintf("%s: link to %s: %s", doc, found[1], reason))
			}
		}
	}
	return problems
}

func refuseLink(t *tree, doc, link string) string {
	if hasScheme.MatchString(link) {
		return ""
	}
	file, anchor, _ := strings.Cut(link, "#")
	target := doc
	if file != "" {
		target = path.Join(path.Dir(doc), file)
		if target != "." && !t.names[target] {
			return "no such file"
		}
	}
	if anchor == "" {
		return ""
	}
	text, ok := t.docs[target]
	if !ok {
		return "only documents have anchors"
	}
	if !slices.Contains(anchorsOf(text), anchor) {
		return "no such heading in " + target
	}
	return ""
}

// anchorsOf lists what a heading can be linked by, as code hosts derive it.
func anchorsOf(text string) (anchors []string) {
	text = codeFence.ReplaceAllString(text, "")
	for _, found := range mdHeading.FindAllStringSubmatch(text, -1) {
		anchor := slug(found[1])
		for n := 1; slices.Contains(anchors, anchor); n++ {
			anchor = slug(found[1]) + "-" + strconv.Itoa(n)
		}
		anchors = append(anchors, anchor)
	}
	for _, found := range htmlID.FindAllStringSubmatch(text, -1) {
		anchors = append(anchors, found[1])
	}
	return anchors
}

func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
			return unicode.ToLower(r)
		default:
			return -1
		}
	}, heading)
}

var (
	goName   = regexp.MustCompile(`\b([a-z][a-z0-9]*)\.([A-Z]\w*)(?:\.([A-Z]\w*))?`)
	repoPath = regexp.MustCompile(`^[\w.-]+(?:/[\w.-]+)+/?$`)
)

const architecture = "ARCHITECTURE.md"

// mapDocs are held to the code: a name in them that the code lost is an error.
var mapDocs = []string{architecture, "docs/glossary.md"}

// checkDocNames: each `package.Name` of ours in a map of the code is exported
// under that package's name, and each `folder/file` in one of our folders is
// there.
func checkDocNames(t *tree) (problems []string) {
	exported := exportedNames(t)
	for _, doc := range mapDocs {
		text := codeFence.ReplaceAllString(t.docs[doc], "")
		for _, span := range codeSpan.FindAllString(text, -1) {
			for _, reason := range refuseSpan(t, exported, strings.Trim(span, "`")) {
				problems = append(problems, doc+" names "+reason)
			}
		}
	}
	return problems
}

func refuseSpan(t *tree, exported map[string]map[string]bool, span string) (reasons []string) {
	top, _, _ := strings.Cut(span, "/")
	if repoPath.MatchString(span) && t.names[top] && !t.names[strings.TrimSuffix(span, "/")] {
		reasons = append(reasons, span+", which does not exist")
	}
	for _, found := range goName.FindAllStringSubmatch(span, -1) {
		names, ours := exported[found[1]]
		wanted := found[2]
		if found[3] != "" {
			wanted += "." + found[3]
		}
		if ours && !names[wanted] {
			reasons = append(reasons, fmt.Sprintf("%s.%s, which package %s does not export", found[1], wanted, found[1]))
		}
	}
	return reasons
}

// exportedNames collects Name, Type.Method and Type.Field by package name.
func exportedNames(t *tree) map[string]map[string]bool {
	exported := map[string]map[string]bool{}
	for _, file := range t.files {
		if file.test || file.syntax.Name.Name == "main" {
			continue
		}
		names := exported[file.syntax.Name.Name]
		if names == nil {
			names = map[string]bool{}
			exported[file.syntax.Name.Name] = names
		}
		for _, decl := range file.syntax.Decls {
			addNames(names, decl)
		}
	}
	return exported
}

func addNames(names map[string]bool, decl ast.Decl) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		name := decl.Name.Name
		if receiver := receiverName(decl); receiver != "" {
			name = receiver + "." + name
		}
		names[name] = true
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					names[name.Name] = true
				}
			case *ast.TypeSpec:
				names[spec.Name.Name] = true
				for _, member := range members(spec.Type) {
					names[spec.Name.Name+"."+member] = true
				}
			}
		}
	}
}

// members are the fields of a struct or the methods of an interface.
func members(expr ast.Expr) (names []string) {
	var fields *ast.FieldList
	switch expr := expr.(type) {
	case *ast.StructType:
		fields = expr.Fields
	case *ast.InterfaceType:
		fields = expr.Methods
	default:
		return nil
	}
	for _, field := range fields.List {
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	return names
}

var (
	decisionName     = regexp.MustCompile(`^docs/decisions/(\d{4})-[a-z0-9-]+\.md$`)
	decisionStatus   = regexp.MustCompile(`(?m)^## Status\n+(Proposed|Accepted|Superseded by \[)`)
	decisionHeadings = []string{"Status", "Context", "Decision", "Consequences", "Alternatives and why they lost"}
)

func checkDecisions(t *tree) (problems []string) {
	next := 1
	for _, doc := range slices.Sorted(maps.Keys(t.docs)) {
		if !within(doc, "docs/decisions") || doc == "docs/decisions/README.md" {
			continue
		}
		found := decisionName.FindStringSubmatch(doc)
		if found == nil {
			problems = append(problems, doc+": a decision record is named NNNN-slug.md")
			continue
		}
		if number, _ := strconv.Atoi(found[1]); number != next {
			problems = append(problems, fmt.Sprintf("%s: the next record in order is %04d; numbers are neither skipped nor used twice", doc, next))
		}
		next++
		problems = append(problems, checkDecision(doc, found[1], t.docs[doc])...)
	}
	return problems
}

func checkDecision(doc, number, text string) (problems []string) {
	if !strings.HasPrefix(text, "# "+number+". ") {
		problems = append(problems, fmt.Sprintf("%s: the title is \"# %s. …\"", doc, number))
	}
	var headings []string
	for _, line := range strings.Split(text, "\n") {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			headings = append(headings, heading)
		}
	}
	if !slices.Equal(headings, decisionHeadings) {
		problems = append(problems, fmt.Sprintf("%s: headings are %q, want %q", doc, headings, decisionHeadings))
	}
	if !decisionStatus.MatchString(text) {
		problems = append(problems, doc+": Status begins with Proposed, Accepted or Superseded by [NNNN](…)")
	}
	return problems
}

const dependenciesDoc = "docs/dependencies.md"

func checkDependencies(t *tree) (problems []string) {
	for _, c := range clients {
		if !strings.Contains(t.docs[dependenciesDoc], "`"+c.module+"`") {
			problems = append(problems, fmt.Sprintf("%s does not explain %s", dependenciesDoc, c.module))
		}
	}
	return problems
}

const (
	guaranteesDoc = "docs/guarantees.md"
	guarantees    = 10
)

var (
	proofMention = regexp.MustCompile(`\bTest(?:G\d+)+[A-Z]\w*`)
	proofName    = regexp.MustCompile(`^Test((?:G\d+)+)[A-Z]`)
	proofID      = regexp.MustCompile(`G\d+`)
)

// checkProofNames: a test that docs/guarantees.md names exists.
func checkProofNames(t *tree) (problems []string) {
	known := map[string]bool{}
	for _, names := range proofs(t) {
		for name := range names {
			known[name] = true
		}
	}
	for _, name := range proofMention.FindAllString(t.docs[guaranteesDoc], -1) {
		if !known[name] {
			problems = append(problems, fmt.Sprintf("%s names %s, which no test is called; run make generate", guaranteesDoc, name))
		}
	}
	return problems
}

// proofs finds, for each guarantee, the tests named after it and their folders.
func proofs(t *tree) map[string]map[string]string {
	found := map[string]map[string]string{}
	for _, file := range t.files {
		for _, decl := range file.syntax.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok || !file.test || function.Recv != nil {
				continue
			}
			match := proofName.FindStringSubmatch(function.Name.Name)
			if match == nil {
				continue
			}
			for _, id := range proofID.FindAllString(match[1], -1) {
				if found[id] == nil {
					found[id] = map[string]string{}
				}
				found[id][function.Name.Name] = file.dir
			}
		}
	}
	return found
}

// TestGuaranteeProofs holds docs/guarantees.md to one list of tests for each
// guarantee. With -rewrite it writes the lists anew from the tests' names.
func TestGuaranteeProofs(t *testing.T) {
	repository, err := readTree(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	written, err := writeProofs(repository.docs[guaranteesDoc], proofs(repository))
	if err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		if err := os.WriteFile(guaranteesDoc, []byte(written), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// writeProofs replaces the text between the markers of each guarantee.
func writeProofs(doc string, found map[string]map[string]string) (string, error) {
	for n := 1; n <= guarantees; n++ {
		id := "G" + strconv.Itoa(n)
		begin, end := "<!-- proofs "+id+" -->\n", "<!-- end "+id+" -->"
		before, rest, ok := strings.Cut(doc, begin)
		_, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			return "", fmt.Errorf("%s has no pair of markers %q and %q", guaranteesDoc, strings.TrimSpace(begin), end)
		}
		doc = before + begin + proofList(found[id]) + end + after
	}
	return doc, nil
}

func proofList(names map[string]string) string {
	if len(names) == 0 {
		return "No test carries this id.\n"
	}
	var list strings.Builder
	for _, name := range slices.Sorted(maps.Keys(names)) {
		fmt.Fprintf(&list, "- `%s` in `%s`\n", name, names[name])
	}
	return list.String()
}
