package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"cdc/cmd/cdc/internal/client"
)

const (
	// streamingLimit bounds the wait for a capture to stream, also on a machine that does other things.
	streamingLimit = 2 * time.Minute
	// stopLimit bounds the wait for a capture to end by itself.
	stopLimit = 30 * time.Second
	// pollEvery is the pause between two looks at a condition.
	pollEvery = 50 * time.Millisecond
)

// capture is a running 'cdc run'.
type capture struct {
	cmd     *exec.Cmd
	data    string
	sources int           // that it captures
	log     string        // path of what it writes
	done    chan struct{} // closed when it has ended
	err     error         // how it ended; read after done
}

// startCapture starts the program with arguments, to capture so many sources.
func startCapture(p *player, sources int, args ...string) (*capture, error) {
	c := &capture{data: p.data, sources: sources, log: filepath.Join(p.dir, "run.log"), done: make(chan struct{})}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start capture: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	c.cmd = exec.Command(p.o.Exe, args...)
	c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr = p.env, log, log
	c.cmd.SysProcAttr = childAttributes()
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start capture: %w", err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

func (c *capture) pid() int { return c.cmd.Process.Pid }

// streaming waits until the capture has copied the tables of every source and follows its stream.
func (c *capture) streaming(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, streamingLimit)
	defer cancel()
	server := client.New(c.data)
	defer server.Close()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		if status, err := server.Status(ctx); err == nil && status.PID == c.pid() && c.allStream(status) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-c.done:
			return fmt.Errorf("the capture has ended: %w: %s", c.err, c.tail())
		case <-ctx.Done():
			return fmt.Errorf("wait for the capture to stream: %w: %s", context.Cause(ctx), c.tail())
		}
	}
}

// allStream reports whether every source is copied whole and followed.
func (c *capture) allStream(status *client.Status) bool {
	return len(status.Sources) == c.sources && !slices.ContainsFunc(status.Sources, func(s client.Source) bool {
		return s.Phase != "streaming" || len(s.Copying) > 0
	})
}

// kill ends the capture as a crash does.
func (c *capture) kill() error {
	if err := c.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill capture: %w", err)
	}
	<-c.done
	return nil
}

// stop ends the capture as a supervisor does; one that does not listen is killed.
func (c *capture) stop() error {
	select {
	case <-c.done:
		return nil
	default:
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop capture: %w", err)
	}
	timer := time.NewTimer(stopLimit)
	defer timer.Stop()
	select {
	case <-c.done:
		if c.err != nil {
			return fmt.Errorf("stop capture: %w: %s", c.err, c.tail())
		}
		return nil
	case <-timer.C:
		return errors.Join(fmt.Errorf("stop capture: it did not end within %s", stopLimit), c.kill())
	}
}

// tailLines is how much of the capture's output explains a failure.
const tailLines = 8

func (c *capture) tail() string {
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
