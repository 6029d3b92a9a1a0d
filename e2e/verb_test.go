//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// result is what a verb left behind.
type result struct {
	args     []string
	code     int
	out, err string
}

func (r result) String() string {
	return fmt.Sprintf("cdc %s: exit code %d\n%s%s", strings.Join(r.args, " "), r.code, tail(r.out, 10), tail(r.err, logLinesShown))
}

// cdc runs a verb on the folder.
func (c *capture) cdc(args ...string) result {
	c.t.Helper()
	return execute(c.t, []string{c.password()}, append(args, "--data", c.data())...)
}

// must is cdc for a verb that has to succeed; it returns its output.
func (c *capture) must(args ...string) string {
	c.t.Helper()
	r := c.cdc(args...)
	if r.code != 0 {
		c.t.Fatal(r)
	}
	return r.out
}

// execute runs the program with further variables in its environment.
func execute(t *testing.T, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), verbLimit)
	defer cancel()
	cmd := command(t, ctx, args...)
	cmd.Env = append(cmd.Env, env...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run cdc %v: %v", args, err)
	}
	return result{args: args, code: cmd.ProcessState.ExitCode(), out: out.String(), err: problems.String()}
}
