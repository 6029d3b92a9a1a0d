//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"cdc/schema"
)

// workerFolder makes the test binary a worker on the folder that it names.
const workerFolder = "CDC_SQL_TEST_WORKER"

func TestMain(m *testing.M) {
	dir, isWorker := os.LookupEnv(workerFolder)
	if !isWorker {
		os.Exit(m.Run())
	}
	err := RunWorker(context.Background(), os.Stdin, os.Stdout, WorkerOptions{
		Dir: dir, Session: SessionOptions{MemoryBytes: 256 << 20, Threads: 2, Resolve: noWait},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func startWorker(t *testing.T, dir string) *Worker {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w, err := Start(t.Context(), StartOptions{Exe: exe, TempDir: t.TempDir(), Env: append(Environ(), workerFolder+"="+dir)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// smallWorld is a log of one table with three rows.
func smallWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	_, err := w.run(`source shop postgres
		table t id:bigint:key note:text
		insert t 1|one
		insert t 2|two
		insert t 3|three
		commit 2026-01-01T00:00:00Z`)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func readAll(t *testing.T, r *Rows) string {
	t.Helper()
	var b strings.Builder
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		columns := r.Header().Columns
		for i := range columns {
			if i > 0 {
				b.WriteString("|")
			}
			b.Write(schema.AppendText(nil, &columns[i], row, i))
		}
		b.WriteString("\n")
	}
}

func codeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestWorkerAnswersManyQuestions(t *testing.T) {
	w := smallWorld(t)
	worker := startWorker(t, w.dir)
	for range 3 {
		rows, err := worker.Query(t.Context(), Question{SQL: "SELECT id, note FROM t ORDER BY id", Wait: -1})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := readAll(t, rows), "1|one\n2|two\n3|three\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if n := len(rows.Header().Moments); n != 1 {
			t.Errorf("%d moments, want 1", n)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWorkerSendsErrorsWithTheirPlace(t *testing.T) {
	worker := startWorker(t, smallWorld(t).dir)
	_, err := worker.Query(t.Context(), Question{SQL: "SELECT *\nFROM nothing", Wait: -1})
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeSQL || e.Line != 2 || e.Col != 6 {
		t.Errorf("got %#v", err)
	}
	if _, err := worker.Query(t.Context(), Question{SQL: "SELECT 1", Wait: -1}); err != nil {
		t.Errorf("after an error: %v", err)
	}
}

func TestWorkerSeesWhatItsQuestionSaysIsDurable(t *testing.T) {
	w := smallWorld(t)
	worker := startWorker(t, w.dir)
	count := func() string {
		rows, err := worker.Query(t.Context(), Question{SQL: "SELECT count(*) FROM t", Wait: -1, Durable: w.log.Bounds().Next})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		return readAll(t, rows)
	}
	if got := count(); got != "3\n" {
		t.Errorf("got %q", got)
	}
	if _, err := w.run("insert t 4|four\ncommit 2026-01-01T00:00:01Z"); err != nil {
		t.Fatal(err)
	}
	if got := count(); got != "4\n" {
		t.Errorf("after another commit: got %q", got)
	}
}

func TestWorkerKeepsTheSessionsMoment(t *testing.T) {
	w := smallWorld(t)
	if _, err := w.run("insert t 4|four\ncommit 2026-02-01T00:00:00Z"); err != nil {
		t.Fatal(err)
	}
	worker := startWorker(t, w.dir)
	rows, err := worker.Query(t.Context(), Question{SQL: "SET cdc.as_of = '2026-01-02'", Wait: -1})
	if err != nil {
		t.Fatal(err)
	}
	if got := rows.Header().AsOf; got != "2026-01-02" {
		t.Errorf("session's moment is %q", got)
	}
	_ = rows.Close()
	rows, err = worker.Query(t.Context(), Question{SQL: "SELECT count(*) FROM t", Wait: -1})
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, rows); got != "3\n" {
		t.Errorf("got %q", got)
	}
	_ = rows.Close()
}

const endless = "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r"

func TestWorkerCancelEndsTheQueryAndKeepsTheWorker(t *testing.T) {
	worker := startWorker(t, smallWorld(t).dir)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := worker.Query(ctx, Question{SQL: endless, Wait: -1})
	if codeOf(err) != CodeCanceled {
		t.Fatalf("got %v", err)
	}
	rows, err := worker.Query(t.Context(), Question{SQL: "SELECT 1", Wait: -1})
	if err != nil {
		t.Fatalf("after a cancel: %v", err)
	}
	_ = rows.Close()
}

func TestWorkerAnswerThatIsNotReadIsGivenUp(t *testing.T) {
	worker := startWorker(t, smallWorld(t).dir)
	rows, err := worker.Query(t.Context(), Question{SQL: "SELECT range, repeat('x', 1000) FROM range(100000)", Wait: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rows.Next(); err != nil {
		t.Fatal(err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	rows, err = worker.Query(t.Context(), Question{SQL: "SELECT 1", Wait: -1})
	if err != nil {
		t.Fatal(err)
	}
	_ = rows.Close()
}

func TestWorkerDeathIsAnErrorThatNamesIt(t *testing.T) {
	worker := startWorker(t, smallWorld(t).dir)
	time.AfterFunc(200*time.Millisecond, func() { _ = worker.cmd.Process.Kill() })
	_, err := worker.Query(t.Context(), Question{SQL: endless, Wait: -1})
	if codeOf(err) != CodeWorker || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("got %v", err)
	}
	if _, err := worker.Query(t.Context(), Question{SQL: "SELECT 1"}); codeOf(err) != CodeWorker {
		t.Errorf("a dead worker answers %v", err)
	}
	if worker.Err() == nil {
		t.Error("a dead worker has no error")
	}
}

func TestWorkerWithoutALogSaysSo(t *testing.T) {
	worker := startWorker(t, t.TempDir()+"/none")
	if _, err := worker.Query(t.Context(), Question{SQL: "SELECT 1"}); codeOf(err) != CodeLog {
		t.Errorf("got %v", err)
	}
}

func TestStartOfSomethingElseIsAnError(t *testing.T) {
	if _, err := Start(t.Context(), StartOptions{Exe: "/bin/true"}); codeOf(err) != CodeWorker {
		t.Errorf("got %v", err)
	}
}

// TestWorkerEndsWithItsParent closes a worker's input while it is busy.
func TestWorkerEndsWithItsParent(t *testing.T) {
	w := smallWorld(t)
	in, parentOut := io.Pipe()
	parentIn, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- RunWorker(t.Context(), in, out, WorkerOptions{Dir: w.dir, Session: SessionOptions{Resolve: noWait}})
		_ = out.Close()
	}()
	f := frameWriter{w: parentOut}
	if err := f.json(frameHello, hello{Version: protocolVersion, TempDir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	if _, err := checkHello(parentIn); err != nil {
		t.Fatal(err)
	}
	if err := f.json(frameQuery, Question{SQL: endless}); err != nil {
		t.Fatal(err)
	}
	_ = parentOut.Close()
	if _, err := io.Copy(io.Discard, parentIn); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// TestWorkerLeavesNoFiles looks for the folder of a worker that was killed.
func TestWorkerLeavesNoFiles(t *testing.T) {
	worker := startWorker(t, smallWorld(t).dir)
	if _, err := os.Stat(worker.temp); err != nil {
		t.Fatal(err)
	}
	worker.kill()
	if _, err := worker.Query(t.Context(), Question{SQL: "SELECT 1"}); codeOf(err) != CodeWorker {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(worker.temp); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
}
