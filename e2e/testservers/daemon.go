package testservers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

const loopback = "127.0.0.1"

// portTakenWords are how a server says in its log that another has its port.
var portTakenWords = []string{"Address already in use", "seems to be in use by another process"}

// daemon is what the servers here have in common: a folder of their own, a
// child process that works in it, and a watchdog that ends both. Its methods
// may be called concurrently; those that change its state run one at a time.
type daemon struct {
	kind       kind
	name       string
	version    string
	log        *slog.Logger // nil = nothing
	account    account
	dir        string // holds data, run, the log and the certificates
	host       string // 127.0.0.1 unless external
	port       int
	choosePort bool           // the first start takes a free one
	stopSignal syscall.Signal // asks for a fast shutdown
	disposable bool           // Stop kills it: nothing is lost that is kept, and nothing left elsewhere
	watchdog   *watchdog      // nil for an external server

	mu      sync.Mutex // guards process and began, and keeps state changes apart
	process *process   // nil when stopped
	began   int64      // where the log of the process begins
}

// kind is what a daemon asks of the server that it runs.
type kind interface {
	configure() error       // writes what names the port
	command() *exec.Cmd     // program and arguments
	accepting(pid int) bool // the process of this id can be connected to
}

// open makes the folder, the one asked for or a temporary one, and its
// watchdog, and starts nothing.
func (d *daemon) open(asked string, w watch) error {
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	dir, temporary, err := serverDir(asked, d.account)
	if err != nil {
		return err
	}
	d.dir, d.disposable = dir, temporary && w.patience == 0
	w.account, w.data, w.remove = d.account, d.dataDir(), removable(dir, temporary)
	d.watchdog, err = startWatchdog(w)
	if err != nil && temporary {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// firstStart chooses the port and starts the server.
func (d *daemon) firstStart(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for attempt := 1; ; attempt++ {
		if d.choosePort {
			port, err := freePort()
			if err != nil {
				return err
			}
			d.port = port
		}
		if err := d.kind.configure(); err != nil {
			return err
		}
		err := d.start(ctx)
		if err == nil || !d.choosePort || attempt == portAttempts || !errors.Is(err, errPortTaken) {
			return err
		}
	}
}

// Stop ends the server and removes its folder when that is temporary. It does
// so by a fast shutdown, and if ctx ends first, it kills the server and says so;
// a server that leaves nothing behind is killed at once. A second Stop does
// nothing; an external server is left alone.
func (d *daemon) Stop(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.disposable && d.process != nil {
		_ = d.process.kill() // the watchdog finishes what is left
		d.process = nil
	}
	err := d.stop(ctx)
	if d.watchdog != nil {
		err = errors.Join(err, d.watchdog.release())
	}
	return err
}

// Restart stops the server if it runs, and starts it on the same port with the
// same files. After Kill it is the way back.
func (d *daemon) Restart(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.watchdog == nil {
		return fmt.Errorf("restart %s: %w", d.name, ErrExternal)
	}
	if err := d.stop(ctx); err != nil {
		return err
	}
	return d.start(ctx)
}

// discard gives up a server whose creation went wrong.
func (d *daemon) discard() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process != nil {
		_ = d.process.kill() // the watchdog finishes what is left
		d.process = nil
	}
	_ = d.watchdog.release()
}

// start runs the server and waits until it accepts connections. The caller
// holds mu.
func (d *daemon) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	d.began = d.logSize()
	proc, err := d.launch()
	if err != nil {
		return fmt.Errorf("start %s: %w", d.name, err)
	}
	d.process = proc
	err = poll(ctx, func() (bool, error) {
		select {
		case <-proc.done:
			return false, d.startFailure()
		default:
			return d.kind.accepting(proc.pid()), nil
		}
	})
	if err != nil {
		_ = proc.kill() // err says why
		d.process = nil
		return fmt.Errorf("start %s: %w", d.name, err)
	}
	d.log.Info("server started", "server", d.name, "version", d.version, "port", d.port, "dir", d.dir)
	return nil
}

// launch starts the server as our child.
func (d *daemon) launch() (*process, error) {
	logFile, err := os.OpenFile(d.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	if err := d.account.own(d.logFile()); err != nil {
		return nil, err
	}
	cmd := d.kind.command()
	cmd.Dir = d.dataDir()
	cmd.Env = d.account.environment(d.runDir())
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = d.account.sysProcAttr()
	return startProcess(cmd)
}

// startFailure explains a server that ended by itself, from what it wrote to
// its log.
func (d *daemon) startFailure() error {
	text, err := d.logSince(d.began)
	if err != nil {
		return err
	}
	for _, words := range portTakenWords {
		if strings.Contains(text, words) {
			return fmt.Errorf("%w: %d", errPortTaken, d.port)
		}
	}
	return fmt.Errorf("server ended: %s", lastLines(text, 10))
}

// stop shuts the server down and waits for it. The caller holds mu.
func (d *daemon) stop(ctx context.Context) error {
	if d.process == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	err := d.process.interrupt(ctx, d.stopSignal)
	d.process = nil
	if err != nil {
		return fmt.Errorf("stop %s: %w", d.name, err)
	}
	d.log.Info("server stopped", "server", d.name)
	return nil
}

// Dir is the folder of the server: data, log and, with TLS, the certificates.
func (d *daemon) Dir() string { return d.dir }

// Port is the TCP port on 127.0.0.1.
func (d *daemon) Port() int { return d.port }

// Addr is the host:port of the server, the target of a Proxy.
func (d *daemon) Addr() string { return net.JoinHostPort(d.host, strconv.Itoa(d.port)) }

// Version is the full version, such as 15.18.
func (d *daemon) Version() string { return d.version }

// CAFile is the certificate that clients of a server with TLS must trust.
func (d *daemon) CAFile() string { return filepath.Join(d.dir, caFile) }

// LogTail is the last n lines of the server's log.
func (d *daemon) LogTail(n int) string {
	text, err := d.logSince(0)
	if err != nil {
		return ""
	}
	return lastLines(text, n)
}

// StopAfter stops the server at the end of the test. The end of its log is
// shown with a test that failed.
func (d *daemon) StopAfter(tb TB) {
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("last lines of the log of %s:\n%s", d.name, d.LogTail(logLinesShown))
		}
		// The context of the test is over by now.
		if err := d.Stop(context.Background()); err != nil {
			tb.Errorf("stop server: %v", err)
		}
	})
}

func (d *daemon) dataDir() string { return filepath.Join(d.dir, "data") }
func (d *daemon) runDir() string  { return filepath.Join(d.dir, "run") }
func (d *daemon) logFile() string { return filepath.Join(d.dir, "server.log") }

func (d *daemon) logSize() int64 {
	info, err := os.Stat(d.logFile())
	if err != nil {
		return 0
	}
	return info.Size()
}

// logSince is what the log holds after so many bytes.
func (d *daemon) logSince(began int64) (string, error) {
	text, err := os.ReadFile(d.logFile())
	if err != nil {
		return "", err
	}
	return string(text[min(began, int64(len(text))):]), nil
}

// socketDir is where the Unix socket goes; "" (none) when the path is too long
// for one.
func (d *daemon) socketDir() string {
	if len(d.runDir()) > socketPathLimit {
		return ""
	}
	return d.runDir()
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
