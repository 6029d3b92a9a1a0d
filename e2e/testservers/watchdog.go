package testservers

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// watchdogScript waits until its standard input closes, which happens when its
// owner asks for it or is gone. It then ends every process of the given
// executable that works in the data folder, gently first, frees the shared
// memory of a server that could not do so itself (its pid file is still there
// and names it), and removes the folder. $1 executable, $2 data, $3 folder to
// remove or empty, $4 how long to be gentle, in tenths of a second.
//
// The kernel's own means, a parent death signal, is bound to the thread that
// started the child, and Go ends threads as it likes.
const watchdogScript = `
trap '' HUP INT TERM
while read -r line; do :; done
ours() {
	for p in /proc/[0-9]*; do
		if [ "$p/cwd" -ef "$2" ] && [ "$p/exe" -ef "$1" ]; then echo "${p#/proc/}"; fi
	done
}
read -r postmaster 2>/dev/null <"$2/postmaster.pid"
for pid in $(ours "$1" "$2"); do
	kill -CONT "$pid"
	if [ "$pid" = "$postmaster" ]; then kill -QUIT "$pid"; fi
done 2>/dev/null
n=0
while [ -n "$(ours "$1" "$2")" ] && [ $n -lt 100 ]; do
	n=$((n+1))
	if [ $n -gt $4 ]; then kill -KILL $(ours "$1" "$2") 2>/dev/null; fi
	sleep 0.1
done
segment=$(sed -n '7s/.* //p' "$2/postmaster.pid" 2>/dev/null)
if [ -n "$segment" ]; then ipcrm -m "$segment" 2>/dev/null; fi
if [ -n "$3" ]; then rm -rf "$3"; fi
`

// watchdogLimit bounds the wait for the watchdog's work; the script itself
// gives up after 10 s of pauses between looks at all processes.
const watchdogLimit = 60 * time.Second

// postgresPatience lets a postmaster end its children and free its memory.
const postgresPatience = 30

// watch says what a watchdog ends and removes.
type watch struct {
	account    account // as whom it runs: that of the server, so that it may signal it
	executable string
	data       string
	remove     string // "" = nothing
	patience   int    // tenths of a second until it kills
}

// watchdog is a shell that outlives this process to clean up after it.
type watchdog struct {
	process  *process
	pipe     io.Closer // its other end is the watchdog's standard input
	released bool
}

func startWatchdog(w watch) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "cdc-watchdog", w.executable, w.data, w.remove, strconv.Itoa(w.patience))
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = w.account.sysProcAttr()
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start watchdog: %w", err)
	}
	proc, err := startProcess(cmd)
	if err != nil {
		return nil, fmt.Errorf("start watchdog: %w", err)
	}
	return &watchdog{process: proc, pipe: pipe}, nil
}

// release makes the watchdog do its work and waits for it. Only the first call
// does something.
func (w *watchdog) release() error {
	if w.released {
		return nil
	}
	w.released = true
	_ = w.pipe.Close() // fails only when the watchdog is gone, which the wait shows
	ctx, cancel := context.WithTimeout(context.Background(), watchdogLimit)
	defer cancel()
	select {
	case <-w.process.done:
	case <-ctx.Done():
		return fmt.Errorf("wait for watchdog: %w", ctx.Err())
	}
	if state := w.process.cmd.ProcessState; !state.Success() {
		return fmt.Errorf("clean up by watchdog: %s", strings.TrimSpace(state.String()))
	}
	return nil
}
