package cdc_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	functionLinesMax = 120
	fileLinesMax     = 800
)

// longFunctions may pass functionLinesMax, each for the reason beside it. The
// key is folder.Function or folder.Type.Method.
var longFunctions = map[string]string{}

// longFiles may pass fileLinesMax, each for the reason beside it.
var longFiles = map[string]string{}

func checkPackageComments(t *tree) (problems []string) {
	packages := t.packages()
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		problems = append(problems, checkPackageComment(t, dir, packages[dir])...)
	}
	return problems
}

func checkPackageComment(t *tree, dir string, files []*goFile) (problems []string) {
	name, documented := "", false
	for _, file := range files {
		if name == "" || !file.test {
			name = strings.TrimSuffix(file.syntax.Name.Name, "_test")
		}
		if at, detached := detachedPackageComment(file); detached {
			problems = append(problems, t.position(at)+": a blank line cuts this comment off from its package clause")
		}
		doc := file.syntax.Doc.Text()
		wanted := "Package " + file.syntax.Name.Name + " "
		if file.syntax.Name.Name == "main" {
			wanted = "Command "
		}
		documented = documented || strings.HasPrefix(doc, wanted) || strings.HasPrefix(doc, "Package "+name+" ")
	}
	if !documented {
		problems = append(problems, fmt.Sprintf("%s: package %s has no comment that begins \"Package %s …\" (\"Command …\" for a program) directly above its package clause", dir, name, name))
	}
	return problems
}

// detachedPackageComment finds a package comment that a blank line cut off, so
// that no reader of the documentation ever sees it.
func detachedPackageComment(file *goFile) (token.Pos, bool) {
	if file.syntax.Doc != nil {
		return token.NoPos, false
	}
	for _, group := range file.syntax.Comments {
		if group.Pos() < file.syntax.Package && strings.HasPrefix(group.Text(), "Package "+file.syntax.Name.Name+" ") {
			return group.Pos(), true
		}
	}
	return token.NoPos, false
}

// Methods that a standard interface explains better than a comment could.
var selfExplaining = []string{
	"Error", "String", "GoString", "Unwrap", "Is", "As", "LogValue", "Len", "Less", "Swap",
	"MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "Format",
}

func checkExportedDocs(t *tree) (problems []string) {
	for _, file := range t.files {
		if file.test || file.syntax.Name.Name == "main" || ast.IsGenerated(file.syntax) {
			continue
		}
		for _, decl := range file.syntax.Decls {
			for _, name := range undocumented(decl) {
				problems = append(problems, fmt.Sprintf("%s: exported %s has no comment", t.position(name.Pos()), name.Name))
			}
		}
	}
	return problems
}

func undocumented(decl ast.Decl) (names []*ast.Ident) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		receiver := receiverName(decl)
		hidden := decl.Recv != nil && (!ast.IsExported(receiver) || slices.Contains(selfExplaining, decl.Name.Name))
		if decl.Name.IsExported() && decl.Doc == nil && !hidden {
			names = append(names, decl.Name)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			names = append(names, undocumentedSpec(decl, spec)...)
		}
	}
	return names
}

func undocumentedSpec(decl *ast.GenDecl, spec ast.Spec) (names []*ast.Ident) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() && spec.Doc == nil && decl.Doc == nil {
			names = append(names, spec.Name)
		}
	case *ast.ValueSpec:
		if spec.Doc != nil || spec.Comment != nil || decl.Doc != nil {
			return nil
		}
		for _, name := range spec.Names {
			if name.IsExported() {
				names = append(names, name)
			}
		}
	}
	return names
}

// Work that is left open belongs where work is tracked, not in the source.
var mark = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)

func checkMarks(t *tree) (problems []string) {
	for _, file := range t.files {
		for _, group := range file.syntax.Comments {
			for _, comment := range group.List {
				if found := mark.FindString(comment.Text); found != "" {
					problems = append(problems, fmt.Sprintf("%s: the comment holds %s; do it, or say why it is not done", t.position(comment.Pos()), found))
				}
			}
		}
	}
	return problems
}

// A ban forbids calls, by package path and function, in the files it applies to.
type ban struct {
	pkg       string
	functions *regexp.Regexp
	applies   func(file *goFile, function string) bool
	instead   string
}

var bans = []ban{
	{
		pkg:       "time",
		functions: regexp.MustCompile(`^Sleep$`),
		applies:   func(file *goFile, _ string) bool { return file.test },
		instead:   "wait for a condition, or use testing/synctest",
	},
	{
		pkg:       "fmt",
		functions: regexp.MustCompile(`^Print(f|ln)?$`),
		applies: func(file *goFile, function string) bool {
			// An Example's output is its assertion, and a program may print; so
			// may TestMain, where a test binary starts itself as a program.
			program := within(file.dir, "cmd") || file.syntax.Name.Name == "main" || function == "TestMain"
			return !program && !strings.HasPrefix(function, "Example")
		},
		instead: "return the text, or write it to an io.Writer that was passed in",
	},
	{
		pkg:       "log/slog",
		functions: regexp.MustCompile(`^((Debug|Info|Warn|Error)(Context)?|Log|LogAttrs|With|Default|SetDefault)$`),
		applies:   func(*goFile, string) bool { return true },
		instead:   "use the *slog.Logger that was passed in",
	},
	{
		pkg:       "log",
		functions: regexp.MustCompile(`^(Print|Fatal|Panic)(f|ln)?$`),
		applies:   func(*goFile, string) bool { return true },
		instead:   "return the error, or use the *slog.Logger that was passed in",
	},
}

// allowedCalls are the exceptions, each for the reason beside it. The key is
// file:package.Function.
var allowedCalls = map[string]string{}

func checkForbiddenCalls(t *tree) (problems []string) {
	for _, file := range t.files {
		local := localNames(file)
		for _, decl := range file.syntax.Decls {
			function := ""
			if f, ok := decl.(*ast.FuncDecl); ok {
				function = f.Name.Name
			}
			ast.Inspect(decl, func(node ast.Node) bool {
				selector, ok := node.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if problem := bannedUse(t, file, function, local, selector); problem != "" {
					problems = append(problems, problem)
				}
				return true
			})
		}
	}
	return problems
}

func bannedUse(t *tree, file *goFile, function string, local map[string]string, selector *ast.SelectorExpr) string {
	ident, ok := selector.X.(*ast.Ident)
	if !ok {
		return ""
	}
	for _, b := range bans {
		if local[ident.Name] != b.pkg || !b.functions.MatchString(selector.Sel.Name) || !b.applies(file, function) {
			continue
		}
		used := path.Base(b.pkg) + "." + selector.Sel.Name
		if allowedCalls[file.path+":"+used] != "" {
			continue
		}
		return fmt.Sprintf("%s: %s is not used here; %s", t.position(selector.Pos()), used, b.instead)
	}
	return ""
}

// localNames maps the names under which a file knows its imports to their paths.
func localNames(file *goFile) map[string]string {
	names := map[string]string{}
	for i, imported := range importsOf(file) {
		name := path.Base(imported)
		if alias := file.syntax.Imports[i].Name; alias != nil {
			name = alias.Name
		}
		names[name] = imported
	}
	return names
}

func checkLengths(t *tree) (problems []string) {
	for _, file := range t.files {
		if file.test || ast.IsGenerated(file.syntax) {
			continue
		}
		if lines := strings.Count(file.text, "\n"); lines > fileLinesMax && longFiles[file.path] == "" {
			problems = append(problems, fmt.Sprintf("%s: %d lines, more than %d; ask what second noun hides in it", file.path, lines, fileLinesMax))
		}
		for _, decl := range file.syntax.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := t.fset.Position(function.End()).Line - t.fset.Position(function.Pos()).Line + 1
			if lines > functionLinesMax && longFunctions[functionKey(file, function)] == "" {
				problems = append(problems, fmt.Sprintf("%s: %s has %d lines, more than %d; split it, or give its reason in longFunctions in repo_go_test.go",
					t.position(function.Pos()), functionKey(file, function), lines, functionLinesMax))
			}
		}
	}
	return problems
}

func functionKey(file *goFile, function *ast.FuncDecl) string {
	if receiver := receiverName(function); receiver != "" {
		return file.dir + "." + receiver + "." + function.Name.Name
	}
	return file.dir + "." + function.Name.Name
}

// receiverName is the name of a method's type, "" for a function.
func receiverName(function *ast.FuncDecl) string {
	if function.Recv == nil || len(function.Recv.List) == 0 {
		return ""
	}
	expr := function.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}
