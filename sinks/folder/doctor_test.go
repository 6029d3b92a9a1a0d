package folder

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/changelog/vfs"
	"cdc/sinks"
)

// diagnose is what the doctor finds about files in the folder, a line a finding.
func diagnose(t *testing.T, o Options) string {
	t.Helper()
	s, err := New(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range s.Doctor(t.Context(), nil, sinks.Checkpoint{}) {
		fmt.Fprintf(&b, "%s %s: %s -> %s\n", f.Severity, f.Check, f.Detail, f.Remedy)
	}
	return b.String()
}

func TestDoctorLooksAtTheFolderAndMakesNothing(t *testing.T) {
	dir := t.TempDir()
	written := filepath.Join(dir, "written")
	if err := os.MkdirAll(filepath.Join(written, stateFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	commit := fmt.Sprintf(`{"format": %d, "log": "%032x", "offset": 7}`, commitFormat, 1)
	if err := os.WriteFile(filepath.Join(written, stateFolder, commitFile), []byte(commit), 0o600); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		o    Options
		want []string
	}{
		{Options{Dir: dir}, []string{"ok folder: " + dir + " can be written", "ok disk: "}},
		{Options{Dir: filepath.Join(dir, "a", "b")}, []string{"ok folder: " + filepath.Join(dir, "a", "b") + " is not there, and can be made in " + dir}},
		{Options{Dir: filepath.Join(written, stateFolder, commitFile, "x")}, []string{"problem folder: ", "not a directory", "-> name another folder"}},
		{Options{Dir: filepath.Join(written, stateFolder, commitFile)}, []string{"problem folder: ", "is no folder"}},
		{Options{Dir: written, Log: [16]byte{2}}, []string{"problem files: DIVERGED: the files in " + written + " were made from the log"}},
		{Options{Dir: dir, FS: crowded{}}, []string{"warning disk: 5 bytes are free, and files that are not finished take up to 1073741824 -> make room"}},
	} {
		got := diagnose(t, test.o)
		for _, want := range test.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: nothing says %q:\n%s", test.o.Dir, want, got)
			}
		}
	}
	if os.Getuid() != 0 { // to whom nothing is closed
		if got := diagnose(t, Options{Dir: filepath.Join(closed, "x")}); !strings.Contains(got, "problem folder: "+closed+" cannot be written") {
			t.Errorf("a closed folder: %s", got)
		}
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 2 {
		t.Errorf("the folder has %v, %v", names, err)
	}
}

// crowded is a disk with hardly any space.
type crowded struct{ vfs.OS }

func (crowded) Free(string) (int64, error) { return 5, nil }
