//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"

	"cdc/changelog"
	"cdc/changelog/disklog"
)

// Built says that the program can answer SQL.
const Built = true

// WorkerOptions say what a worker works on.
type WorkerOptions struct {
	// Dir is the log's folder. It is opened read-only, when the first question comes.
	Dir string
	// Session says how queries are answered; its TempDir is the one that the parent made.
	Session SessionOptions
	// Logger takes news of interest to an operator; nil drops them.
	Logger *slog.Logger
}

// RunWorker answers the questions that come from in until it ends, or ctx is done. It is what the child process calls, with its
// standard input and output. It takes no notice of an interrupt from the terminal, which is for the parent.
func RunWorker(ctx context.Context, in io.Reader, out io.Writer, o WorkerOptions) (err error) {
	signal.Ignore(os.Interrupt)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w := server{o: o, write: frameWriter{w: out}, questions: make(chan asked)}
	defer func() { err = errors.Join(err, w.close()) }()
	r := bufio.NewReader(in)
	h, err := checkHello(r)
	if err != nil {
		return fmt.Errorf("greet parent: %w", err)
	}
	w.o.Session.TempDir = h.TempDir
	if err := w.write.json(frameHello, hello{Version: protocolVersion}); err != nil {
		return fmt.Errorf("greet parent: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- w.read(ctx, r) }()
	for {
		select {
		case q := <-w.questions:
			err := w.serve(q)
			q.cancel()
			if err != nil {
				return err
			}
		case err := <-ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// server is the worker's side of the protocol.
type server struct {
	o         WorkerOptions
	write     frameWriter
	questions chan asked
	durable   atomic.Uint64 // next offset of the log as its writer says

	log     changelog.Log
	session *Session
}

// asked is a question with the context of its answer, which a cancel of the parent ends.
type asked struct {
	Question
	ctx    context.Context
	cancel context.CancelFunc
}

// read takes frames from the parent until it goes away.
func (w *server) read(ctx context.Context, r io.Reader) error {
	var buf []byte
	cancel := func() {} // of the last question
	defer func() { cancel() }()
	for {
		kind, payload, grown, err := readFrame(r, buf)
		buf = grown
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read from parent: %w", err)
		}
		switch kind {
		case frameCancel:
			cancel()
		case frameQuery:
			var q asked
			if err := json.Unmarshal(payload, &q.Question); err != nil {
				return fmt.Errorf("read question: %w", err)
			}
			q.ctx, q.cancel = context.WithCancel(ctx)
			cancel = q.cancel
			select {
			case w.questions <- q:
			case <-ctx.Done():
				return ctx.Err()
			}
		default:
			return fmt.Errorf("read from parent: unexpected frame of kind %d", kind)
		}
	}
}

// serve answers one question. An error is about the parent, not about the question.
func (w *server) serve(q asked) error {
	err := w.answer(q.ctx, q.Question)
	var broken *pipeError
	if errors.As(err, &broken) {
		return broken
	}
	if err == nil {
		w.write.begin(frameEnd)
		return w.write.end()
	}
	e := classify(err)
	if q.ctx.Err() != nil {
		e = &Error{Code: CodeCanceled, Message: "the query was canceled"}
	}
	return w.write.json(frameError, e)
}

func (w *server) answer(ctx context.Context, q Question) error {
	w.durable.Store(max(w.durable.Load(), uint64(q.Durable)))
	if err := w.open(ctx); err != nil {
		return err
	}
	if err := w.refresh(ctx); err != nil {
		return err
	}
	w.session.o.Resolve.Wait = q.Wait
	err := w.session.Query(ctx, q.SQL, q.AsOf, answerWriter{w})
	if err == nil || classify(err).Code != CodeInternal {
		return err
	}
	// DuckDB may be of no use after an error of its own: the next question gets a new one.
	asOf := w.session.asOf
	err = errors.Join(err, w.session.Close())
	if w.session, _ = NewSession(ctx, w.log, w.session.o); w.session != nil {
		w.session.asOf = asOf
	}
	return err
}

// open opens the log and DuckDB for the first question.
func (w *server) open(ctx context.Context) (err error) {
	if w.session != nil {
		return nil
	}
	if w.log == nil {
		o := disklog.Options{ReadOnly: true, Logger: w.o.Logger}
		if w.durable.Load() != 0 {
			o.DurableHint = func() changelog.Offset { return changelog.Offset(w.durable.Load()) }
		}
		if w.log, err = openLog(w.o.Dir, o); err != nil {
			return &Error{Code: CodeLog, Message: err.Error(), cause: err}
		}
	}
	o := w.o.Session
	o.Progress = func(part float64) { _ = w.write.json(frameProgress, part) } // a broken pipe shows with the next frame
	w.session, err = NewSession(ctx, w.log, o)
	return err
}

// openLog keeps a nil *Log out of the interface.
func openLog(dir string, o disklog.Options) (changelog.Log, error) {
	l, err := disklog.Open(dir, o)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// refresh takes in what has become durable since the last question, as far as somebody says that there is any.
func (w *server) refresh(ctx context.Context) error {
	if n := changelog.Offset(w.durable.Load()); n > w.log.Bounds().Next {
		return w.log.WaitDurable(ctx, n-1)
	}
	return nil
}

func (w *server) close() (err error) {
	if w.session != nil {
		err = w.session.Close()
	}
	if w.log != nil {
		err = errors.Join(err, w.log.Close())
	}
	return err
}

// pipeError says that the parent cannot be reached.
type pipeError struct{ cause error }

func (e *pipeError) Error() string { return "write to parent: " + e.cause.Error() }
func (e *pipeError) Unwrap() error { return e.cause }

// answerWriter sends an answer to the parent.
type answerWriter struct{ w *server }

func (a answerWriter) Header(h *Header) error { return piped(a.w.write.json(frameHeader, h)) }

func (a answerWriter) Rows(arena []byte, ends []int) error { return piped(a.w.write.rows(arena, ends)) }

func piped(err error) error {
	if err == nil {
		return nil
	}
	return &pipeError{err}
}

func (f *frameWriter) rows(arena []byte, ends []int) error {
	f.begin(frameRows)
	f.buf = binary.LittleEndian.AppendUint32(f.buf, uint32(len(ends)))
	for _, end := range ends {
		f.buf = binary.LittleEndian.AppendUint32(f.buf, uint32(end))
	}
	f.buf = append(f.buf, arena...)
	return f.end()
}
