//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a run of 'cdc run'.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// start starts 'cdc run' and does not wait for anything.
func (c *capture) start(flags ...string) *process {
	c.t.Helper()
	dsn, _ := c.login()
	args := append([]string{"run", dsn, "--data", c.data(), "--http", "off", "--log-level", "info"}, c.flags...)
	return startProcess(c, append(args, flags...)...)
}

// startProcess starts a run of the program, whose log is kept with the capture.
func startProcess(c *capture, args ...string) *process {
	c.t.Helper()
	c.runs++
	p := &process{t: c.t, cmd: command(c.t, context.Background(), args...), done: make(chan struct{}), log: filepath.Join(c.dir, fmt.Sprintf("run-%03d.log", c.runs))}
	log, err := os.Create(p.log)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(p.cmd.Env, c.password())
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState says how it ended
		close(p.done)
	}()
	c.t.Cleanup(p.kill)
	return p
}

// run starts 'cdc run' and waits until it streams.
func (c *capture) run(flags ...string) *process {
	c.t.Helper()
	p := c.start(flags...)
	c.awaitStreaming(p)
	until(c.t, "the folder to know its source", func() bool {
		_, err := os.Stat(filepath.Join(c.data(), "sources.json"))
		return err == nil || p.ended()
	})
	return p
}

// awaitStreaming waits until the process reads the stream of changes.
func (c *capture) awaitStreaming(p *process) {
	c.t.Helper()
	until(c.t, "the stream to be read", func() bool { return c.origin.read() || p.ended() })
	if p.ended() {
		c.t.Fatalf("cdc run ended with code %d:\n%s", p.code(), p.text())
	}
}

// awaitCurrent waits until the program has all that is committed by now.
func (c *capture) awaitCurrent() {
	c.t.Helper()
	end := c.origin.end()
	until(c.t, "the program to pass "+end, func() bool { return c.origin.passed(end) })
}

// verify compares all tables with the source, while a process captures it.
func (c *capture) verify() {
	c.t.Helper()
	dsn, _ := c.login()
	for try := 1; ; try++ {
		r := c.cdc("verify", dsn)
		if r.code == 0 {
			return
		}
		// A table without snapshots can be compared only while nobody writes to the server, which other tests may share; and the place
		// of a snapshot is known only when nobody commits beside it.
		disturbed := strings.Contains(r.err, "the server was written to meanwhile") || strings.Contains(r.err, "the server committed without a pause")
		if try == verifyTries || !disturbed {
			c.t.Errorf("tables differ from the source: %v", r)
			return
		}
	}
}

// verifyTries is how often a comparison is tried that others disturb.
const verifyTries = 30

// catchUp brings the log up to date by a run of its own, and verifies it.
func (c *capture) catchUp() {
	c.t.Helper()
	c.start("--until-current").wantExit(0)
	p := c.run()
	c.awaitCurrent()
	c.verify()
	p.stop()
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// code is the exit code of a process that has ended.
func (p *process) code() int { return p.cmd.ProcessState.ExitCode() }

// text is all that the process wrote.
func (p *process) text() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (p *process) signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s) // a process that has ended is seen by the waits
}

// kill ends the process by SIGKILL and waits until it is gone.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// stop ends the process as a supervisor does.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	p.wantExit(0)
}

// wantExit waits for the end of the process.
func (p *process) wantExit(code int) {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(waitLimit):
		p.t.Fatalf("cdc run did not end within %v:\n%s", waitLimit, tail(p.text(), logLinesShown))
	}
	if p.code() != code {
		p.t.Fatalf("cdc run ended with code %d, want %d:\n%s", p.code(), code, tail(p.text(), logLinesShown))
	}
}
