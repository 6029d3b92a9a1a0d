package testservers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// process is a child of ours and the processes it has started itself.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child was waited for
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how a server ends is read in its log
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// interrupt asks for a shutdown by a signal and waits; when ctx ends first the
// processes are killed.
func (p *process) interrupt(ctx context.Context, s os.Signal) error {
	if err := p.resume(); err != nil {
		return err
	}
	if err := p.signal(s); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("wait for shutdown: %w", context.Cause(ctx)), p.kill())
	}
}

// signal sends to the child only; one that has ended is no error.
func (p *process) signal(s os.Signal) error {
	err := p.cmd.Process.Signal(s)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// kill ends the child and its children at once, so that none can clean up, and
// waits until they are gone. The child is frozen first: a running postmaster
// would start new children while its old ones are listed.
func (p *process) kill() error {
	ctx, cancel := context.WithTimeout(context.Background(), killLimit)
	defer cancel()
	if err := p.freeze(ctx, p.pid()); err != nil {
		return err
	}
	children := childrenOf(p.pid())
	for _, pid := range append([]int{p.pid()}, children...) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill %d: %w", pid, err)
		}
	}
	return poll(ctx, func() (bool, error) {
		for _, pid := range children {
			if s := processState(pid); s != 0 && s != 'Z' {
				return false, nil
			}
		}
		select {
		case <-p.done:
			return true, nil
		default:
			return false, nil
		}
	})
}

// pause freezes the child and its children, and returns when none runs.
func (p *process) pause() error {
	ctx, cancel := context.WithTimeout(context.Background(), killLimit)
	defer cancel()
	if err := p.freeze(ctx, p.pid()); err != nil {
		return err
	}
	return p.freeze(ctx, childrenOf(p.pid())...)
}

// resume undoes pause, children first, and waits for nothing.
func (p *process) resume() error {
	for _, pid := range append(childrenOf(p.pid()), p.pid()) {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("resume %d: %w", pid, err)
		}
	}
	return nil
}

// freeze stops the processes and waits until the kernel says that they are
// stopped or gone.
func (p *process) freeze(ctx context.Context, pids ...int) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("freeze %d: %w", pid, err)
		}
	}
	return poll(ctx, func() (bool, error) {
		for _, pid := range pids {
			switch processState(pid) {
			case 0, 'T', 't', 'Z', 'X':
			default:
				return false, nil
			}
		}
		return true, nil
	})
}

// childrenOf lists the running children of a process. Every process of a
// PostgreSQL server is a child of the postmaster.
func childrenOf(parent int) []int {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	var pids []int
	for _, path := range stats {
		fields := statFields(path)
		if len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// processState is the kernel's letter for a process, 0 when it is gone.
func processState(pid int) byte {
	fields := statFields(fmt.Sprintf("/proc/%d/stat", pid))
	if len(fields) == 0 {
		return 0
	}
	return fields[0][0]
}

// statFields are the fields of a stat file after the program's name, which may
// itself hold spaces and brackets: state, parent, …
func statFields(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	end := strings.LastIndexByte(string(text), ')')
	if end < 0 {
		return nil
	}
	return strings.Fields(string(text[end+1:]))
}
