package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/cmd/cdc/internal/config"
	"cdc/schema"
)

// oddLog is a log with tables of odd names, beside sinks and a source that has not captured anything yet.
func oddLog(t *testing.T) (dir string) {
	t.Helper()
	dir = newShopLog(t)
	log, err := disklog.Open(dir, disklog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &shopLog{t: t, log: log, xid: 800, lsn: 0x2000000}
	for i, name := range [][2]string{{"public", "a b"}, {"Odd", `say "it's"`}, {"public", "twice"}, {"other", "twice"}, {"public", "$(touch gone)"}} {
		table := s.register(&schema.Table{
			Source: "shop", Schema: name[0], Name: name[1], SourceTable: uint32(90 + i), Identity: schema.IdentityKey,
			Columns: []schema.Column{{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", NotNull: true, Key: 1}},
		})
		s.state(table, changelog.TableEmpty, "")
	}
	s.commit(changelog.UnitTx, "2022-06-10T12:00:00Z")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(sinksDir(dir), "kafka"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := config.WriteKnown(dir, []config.Known{{Name: "billing", DSN: "mysql://h/billing"}}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNamesAreCompleted(t *testing.T) {
	dir := oddLog(t)
	for _, test := range []struct {
		words []string
		want  string
	}{
		{[]string{"at", "now", "prod"}, "products"},
		{[]string{"at", "now", "public.prod"}, "public.products"},
		{[]string{"at", "now", "shop.public.prod"}, "shop.public.products"},
		{[]string{"at", "now", "tw"}, ""},
		{[]string{"history", "other.tw"}, "other.twice"},
		{[]string{"at", "now", "a"}, `\"a\ b\"`},
		{[]string{"at", "now", `\"a`}, `\"a\ b\"`},
		{[]string{"at", "now", `'"a`}, `"a b"`},
		{[]string{"at", "now", `"\"a`}, `\"a b\"`},
		{[]string{"at", "now", "say"}, `\"say\ \"\"it\'s\"\"\"`},
		{[]string{"at", "now", `'"say`}, ""},
		{[]string{"at", "prod"}, ""},
		{[]string{"at", "--format", "csv", "now", "prod"}, "products"},
		{[]string{"diff", "--from", "=", "now", "prod"}, "products"},
		{[]string{"diff", "--from=now", "--quiet", "prod"}, "products"},
		{[]string{"drop", ""}, "billing\nshop"},
		{[]string{"resolve", ""}, "billing\nkafka\nshop"},
		{[]string{"resolve", "shop", "prod"}, "products"},
		{[]string{"snapshot", "--source", "b"}, "billing"},
		{[]string{"snapshot", "--source", "=", "b"}, "billing"},
		{[]string{"snapshot", "--so"}, ""},
		{[]string{"log", "verify", "prod"}, ""},
		{[]string{"nonsense", "prod"}, ""},
		{[]string{"at", "--data", filepath.Join(dir, "none"), "now", "prod"}, ""},
		{[]string{""}, ""},
		{nil, ""},
	} {
		v := runVerb(t, dir, verbInput{args: append([]string{"complete", "--"}, test.words...)})
		if got := strings.TrimSuffix(v.out, "\n"); got != test.want || v.problems != "" || v.code != 0 {
			t.Errorf("%q is completed by %q, want %q; %s", test.words, got, test.want, v.problems)
		}
	}
	raw := runVerb(t, dir, verbInput{args: []string{"complete", "--raw", "--", "at", "now", "a"}})
	if raw.out != "\"a b\"\n" {
		t.Errorf("raw names are %q", raw.out)
	}
}

// A real bash runs the script, and takes what it offers as the one word that names the table.
func TestBashTakesCompletedNamesAsTheyAre(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err) // the project's own scripts need it
	}
	dir := oddLog(t)
	script := runVerb(t, dir, verbInput{args: []string{"completion", "bash"}}).out
	program := filepath.Join(t.TempDir(), "cdc")
	if err := os.Symlink(os.Args[0], program); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ words, want []string }{
		{[]string{"at", "now", ""}, []string{`"$(touch gone)"`, `"a b"`, `"say ""it's"""`, "products"}},
		{[]string{"at", "now", "a"}, []string{`"a b"`}},
		{[]string{"drop", ""}, []string{"billing", "shop"}},
		{[]string{"dro"}, []string{"drop"}},
	} {
		const after = "\nCOMP_WORDS=(\"$0\" \"$@\"); COMP_CWORD=$#; _cdc\nfor word in \"${COMPREPLY[@]}\"; do eval \"set -- $word\"; echo \"$#:$1\"; done\n"
		command := exec.CommandContext(t.Context(), bash, append([]string{"-c", script + after, program}, test.words...)...)
		command.Env = []string{asProgram + "=1", "CDC_DATA=" + dir, "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
		command.Dir = dir
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got := strings.Split(strings.TrimSpace(string(out)), "\n")
		for _, want := range test.want {
			if !slices.Contains(got, "1:"+want) {
				t.Errorf("%q: bash has the words %q, and not %s", test.words, got, want)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "gone")); err == nil {
		t.Error("a name was run as a command")
	}
}
