//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cdc/e2e/testservers"
)

// demoLimit is how long the demo may take without a terminal.
const demoLimit = 2 * time.Minute

// The demo plays through once where there is no terminal, shows every step, and
// leaves nothing behind.
func TestDemo(t *testing.T) {
	temp, work := t.TempDir(), t.TempDir()
	if err := os.Chmod(temp, 0o777); err != nil { // its server runs as another user
		t.Fatal(err)
	}
	for dir := temp; dir != "/"; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil && info.Mode().Perm()&0o001 == 0 {
			if err := os.Chmod(dir, info.Mode().Perm()|0o011); err != nil {
				t.Fatal(err)
			}
		}
	}
	began := time.Now()
	cmd := command(t, t.Context(), "demo")
	cmd.Dir = work
	cmd.Env = append(cmd.Env, "TMPDIR="+temp)
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, text)
	}
	if took := time.Since(began); took > demoLimit {
		t.Errorf("the demo took %v", took)
	}
	words := []string{"live changes", "20 seconds ago", "cdc diff", "cdc history", "cdc show", "LSN", "cdc verify", "equal", "kill -9", "cdc sql"}
	switch {
	case !strings.Contains(text, "Neither MySQL nor MariaDB"):
		words = append(words, "cdc doctor mysql://", "cdc diff shelves", "cdc history parcels", "cdc at 'GTID", "at one moment", "warehouse.payments equal")
	case os.Getenv("CDC_TEST_REQUIRE") == "1":
		t.Error("the demo found neither MySQL nor MariaDB")
	}
	for _, word := range words {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
			t.Errorf("the demo does not show %q", word)
		}
	}
	for _, dir := range []string{temp, work} {
		within(stopLimit, func() bool { return len(entries(t, dir)) == 0 })
		if left := entries(t, dir); len(left) > 0 {
			t.Errorf("the demo left %q", left)
		}
	}
	// What removes a folder is gone a moment after it.
	within(stopLimit, func() bool { return len(processesIn(t, temp, work)) == 0 })
	if left := processesIn(t, temp, work); len(left) > 0 {
		t.Errorf("the demo left processes %q", left)
	}
	if t.Failed() {
		t.Logf("output:\n%s", text)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(found))
	for i, e := range found {
		names[i] = e.Name()
	}
	return names
}

// processesIn are the command lines of processes that name one of the folders.
func processesIn(t *testing.T, dirs ...string) (found []string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		line, _ := os.ReadFile(path) // it may have ended meanwhile
		if slices.ContainsFunc(dirs, func(dir string) bool { return strings.Contains(string(line), dir) }) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// The demo of topics shows a real broker, its outage and the comparison.
func TestDemoOfTopics(t *testing.T) {
	testservers.SharedKafka(t)
	cmd := command(t, t.Context(), "demo", "--kafka")
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, out)
	}
	for _, word := range []string{"Kafka 4", "topic {", "sink kafka", "kill -9", "publishing again", "add up to", "All steps worked"} {
		if !strings.Contains(string(out), word) {
			t.Errorf("the demo does not show %q:\n%s", word, out)
		}
	}
}
