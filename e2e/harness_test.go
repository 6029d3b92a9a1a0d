//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Goal of the package: what the program promises holds for the built binary on
// a real server, whatever happens to either.
//
// Method: the program is run as its users run it. What it wrote is read back
// through its own verbs and from the folder, and compared with the source.
//
// CDC_BIN names a binary to test instead of building one; CDC_E2E_SEED repeats
// the choices of an earlier run.

const (
	// waitLimit bounds every wait for something that must happen, on a machine
	// that does other things.
	waitLimit = 3 * time.Minute
	// verbLimit bounds one run of a verb.
	verbLimit = 5 * time.Minute
	// stopLimit bounds an orderly end.
	stopLimit = time.Minute
	// pollEvery is the pause between two looks at a condition.
	pollEvery = 5 * time.Millisecond
	// logLinesShown of each log go with a test that failed.
	logLinesShown = 25
)

// program is the binary under test, built at its first use.
var program = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("CDC_BIN"); given != "" {
		return filepath.Abs(given)
	}
	path := filepath.Join(programDir, "cdc")
	build := exec.Command("go", "build", "-tags", "duckdb_arrow", "-o", path, "cdc/cmd/cdc")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build cdc: %w\n%s", err, out)
	}
	return path, nil
})

// programDir is where it is built.
var programDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "cdc-e2e-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir) // of no use to anybody
	os.Exit(code)
}

// command prepares a run of the program.
func command(t *testing.T, ctx context.Context, args ...string) *exec.Cmd {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = cleanEnviron()
	return cmd
}

// cleanEnviron is our environment without what configures tests or the program.
func cleanEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "CDC_") || strings.HasPrefix(variable, "PG")
	})
}

// until waits until a condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	if !within(waitLimit, holds) {
		t.Fatalf("waited %v for %s", waitLimit, what)
	}
}

func within(limit time.Duration, holds func() bool) bool {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
