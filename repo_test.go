package cdc_test

import (
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// Goal: the rules of this repository that no linter knows are executable.
//
// Method: the tree is read once (Go files are parsed, whatever their build
// tags), and every rule is a function from a tree to a list of problems, each
// with its place. TestRepository runs all of them over this repository;
// TestRulesNoticeBreaches runs them over small trees made to break them.

// rewrite makes TestGuaranteeProofs write docs/guarantees.md anew.
var rewrite = flag.Bool("rewrite", false, "rewrite generated parts of the documents")

// A rule looks at a tree and names what is wrong in it, one line a problem.
type rule struct {
	name  string
	check func(*tree) []string
}

var rules = []rule{
	{"top level names", checkTopLevel},
	{"import directions", checkImportDirections},
	{"third-party owners", checkThirdPartyOwners},
	{"package comments", checkPackageComments},
	{"exported names are documented", checkExportedDocs},
	{"marks in comments", checkMarks},
	{"forbidden calls", checkForbiddenCalls},
	{"function and file length", checkLengths},
	{"links in documents", checkLinks},
	{"names in documents", checkDocNames},
	{"decision records", checkDecisions},
	{"dependencies are explained", checkDependencies},
	{"named proofs exist", checkProofNames},
}

func TestRepository(t *testing.T) {
	repository, err := readTree(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if len(repository.files) == 0 {
		t.Fatal("no Go files found: the rules would pass without having read anything")
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, problem := range r.check(repository) {
				t.Error(problem)
			}
		})
	}
}

// goFile is one parsed Go source.
type goFile struct {
	path   string // slash separated, from the root
	dir    string // "." at the root
	text   string
	syntax *ast.File
	test   bool
}

// tree is what the rules read: parsed Go files, other texts by path, and the
// names of everything else.
type tree struct {
	fsys  fs.FS
	fset  *token.FileSet
	files []*goFile
	docs  map[string]string // *.md
	names map[string]bool   // every file and folder
}

// Build output and captured data lie in the tree of whoever works on it, and
// are not part of it.
var ignoredTopLevel = []string{".git", "bin", "cdc-data"}

func readTree(fsys fs.FS) (*tree, error) {
	t := &tree{fsys: fsys, fset: token.NewFileSet(), docs: map[string]string{}, names: map[string]bool{}}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		// Tests of other packages make and remove files while this one reads.
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if slices.Contains(ignoredTopLevel, name) {
			if !entry.IsDir() { // .git of a worktree is a file; SkipDir would skip all beside it
				return nil
			}
			return fs.SkipDir
		}
		if name != "." {
			t.names[name] = true
		}
		if entry.IsDir() {
			if base := path.Base(name); base == "testdata" || base == "node_modules" {
				return fs.SkipDir
			}
			return nil
		}
		return t.addFile(name)
	})
	return t, err
}

func (t *tree) addFile(name string) error {
	extension := path.Ext(name)
	if extension != ".go" && extension != ".md" {
		return nil
	}
	text, err := fs.ReadFile(t.fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if extension == ".md" {
		t.docs[name] = string(text)
		return nil
	}
	syntax, err := parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.files = append(t.files, &goFile{
		path:   name,
		dir:    path.Dir(name),
		text:   string(text),
		syntax: syntax,
		test:   strings.HasSuffix(name, "_test.go"),
	})
	return nil
}

func (t *tree) position(pos token.Pos) string {
	return t.fset.Position(pos).String()
}

// packages groups the files of each folder.
func (t *tree) packages() map[string][]*goFile {
	dirs := map[string][]*goFile{}
	for _, file := range t.files {
		dirs[file.dir] = append(dirs[file.dir], file)
	}
	return dirs
}

// fileMap makes a tree from the texts of a few files.
func fileMap(t *testing.T, files map[string]string) *tree {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	made, err := readTree(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return made
}
