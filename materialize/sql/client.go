package sql

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Limits of a worker as its parent sees it.
const (
	// cancelGrace is how long a worker has to end a query that was canceled; then it is killed.
	cancelGrace = 5 * time.Second
	// closeGrace is how long a worker has to end once its input is closed.
	closeGrace = 2 * time.Second
	// stderrBytes is how much of what a worker wrote last is kept to explain its death.
	stderrBytes = 4 << 10
	pipeBytes   = 256 << 10
)

// StartOptions say how a worker is started.
type StartOptions struct {
	// Exe is the program and Args its arguments, which make it call RunWorker on its standard input and output.
	Exe  string
	Args []string
	// Env is the worker's whole environment. It needs none; secrets have no place in it.
	Env []string
	// TempDir is where the worker gets a folder for its temporary files; the system's when empty.
	TempDir string
	// Logger takes news of interest to an operator; nil drops them.
	Logger *slog.Logger
	// Progress, when set, is called with the part of the log that a query has read, 0 to 1.
	Progress func(part float64)
}

// Worker is a child process that answers queries, one at a time. It is started on first use by its owner and lives until Close, or
// until it dies: then every call answers an Error of code WORKER and the owner may start another.
type Worker struct {
	o     StartOptions
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	write frameWriter
	tail  *tailBuffer
	temp  string // the worker's folder

	mu     sync.Mutex // guards what follows; never held while reading or writing
	busy   bool
	dead   error
	exited chan struct{} // closed when the process is gone
}

// Start starts a worker and waits until it is ready. ctx bounds the start only.
func Start(ctx context.Context, o StartOptions) (*Worker, error) {
	if !Built {
		return nil, ErrNoSQL
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	temp, err := os.MkdirTemp(o.TempDir, "cdc-sql-")
	if err != nil {
		return nil, fmt.Errorf("start sql worker: %w", err)
	}
	w := &Worker{o: o, tail: &tailBuffer{}, temp: temp, exited: make(chan struct{})}
	if err := w.spawn(); err != nil {
		return nil, errors.Join(fmt.Errorf("start sql worker: %w", err), os.RemoveAll(temp))
	}
	stop := context.AfterFunc(ctx, w.kill)
	err = w.greet()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(w.died(err), w.Close())
	}
	return w, nil
}

func (w *Worker) spawn() error {
	w.cmd = exec.Command(w.o.Exe, w.o.Args...)
	w.cmd.Env = append([]string{}, w.o.Env...) // not nil, which would mean ours
	w.cmd.Stderr = w.tail
	in, err := w.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	w.in, w.out, w.write = in, bufio.NewReaderSize(out, pipeBytes), frameWriter{w: in}
	return w.cmd.Start()
}

// greet exchanges the first frames.
func (w *Worker) greet() error {
	if err := w.write.json(frameHello, hello{Version: protocolVersion, TempDir: w.temp}); err != nil {
		return err
	}
	_, err := checkHello(w.out)
	return err
}

// Query asks a question. The answer's Rows must be closed before the next question; ctx governs the answer until then. What is
// wrong with the question is an *Error.
func (w *Worker) Query(ctx context.Context, q Question) (*Rows, error) {
	if err := w.take(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		w.release()
		return nil, &Error{Code: CodeCanceled, Message: err.Error(), cause: err}
	}
	if err := w.write.json(frameQuery, q); err != nil {
		w.release()
		return nil, w.died(err)
	}
	r := &Rows{w: w, ctx: ctx}
	r.stop = context.AfterFunc(ctx, r.cancel)
	if err := r.readHeader(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (w *Worker) take() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.dead != nil:
		return w.dead
	case w.busy:
		return errorOf(CodeInternal, "the sql worker is answering another query")
	}
	w.busy = true
	return nil
}

func (w *Worker) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = false
}

// died names the end of the worker, once.
func (w *Worker) died(cause error) error {
	w.kill()
	state := w.reap()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead == nil {
		e := errorOf(CodeWorker, "the sql worker (process %d) ended: %s: %w", w.cmd.Process.Pid, state, cause)
		if said := w.tail.String(); said != "" {
			e.Message += ": " + said
		}
		e.Remedy = "ask again: a new one is started; the capture is not affected"
		w.dead = e
		w.o.Logger.Warn("sql worker ended", "pid", w.cmd.Process.Pid, "state", state, "err", cause)
	}
	return w.dead
}

// Err is why the worker cannot be asked any more, nil while it can. A query that had to be killed leaves a dead worker behind.
func (w *Worker) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead
}

// reap waits for the process and returns how it ended.
func (w *Worker) reap() string {
	w.mu.Lock()
	select {
	case <-w.exited:
	default:
		_ = w.cmd.Wait() // how it ended is in ProcessState
		if err := os.RemoveAll(w.temp); err != nil {
			w.o.Logger.Warn("temporary files of the sql worker are left", "path", w.temp, "err", err)
		}
		close(w.exited)
	}
	w.mu.Unlock()
	return w.cmd.ProcessState.String()
}

func (w *Worker) kill() { _ = w.cmd.Process.Kill() } // it may have ended already

// Close ends the worker.
func (w *Worker) Close() error {
	_ = w.in.Close() // the worker ends when its input does
	timer := time.AfterFunc(closeGrace, w.kill)
	defer timer.Stop()
	w.reap()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead == nil {
		w.dead = errorOf(CodeWorker, "the sql worker was closed")
	}
	return nil
}

// tailBuffer keeps the end of what is written to it.
type tailBuffer struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - stderrBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tailBuffer) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}

var _ io.Writer = (*tailBuffer)(nil)

// Environ is the environment for a worker: what the system needs to start a program, and nothing that could be a secret.
func Environ() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
