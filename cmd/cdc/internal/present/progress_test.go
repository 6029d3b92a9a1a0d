package present

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Where there is no terminal, long work says now and then how far it is, and short work says nothing.
func TestProgressLogsNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := NewProgress(ProgressOptions{Logger: slog.New(slog.NewTextHandler(&out, nil)), Every: 10 * time.Second})
		short, long := p.Start("short", "rows"), p.Start("long", "rows")
		short.Set(5, 5)
		short.Done()
		for i := range int64(25) {
			<-time.After(time.Second) // by the clock of the test's bubble
			long.Set(i, 20)
		}
		long.Done()
		p.Close()
		if strings.Contains(out.String(), "short") {
			t.Errorf("short work was said:\n%s", out.String())
		}
		if lines := strings.Count(out.String(), "\n"); lines != 3 {
			t.Errorf("%d lines, want 2 on the way and 1 at the end:\n%s", lines, out.String())
		}
		if !strings.Contains(out.String(), "msg=done work=long elapsed=25s done=24 total=24 unit=rows") {
			t.Errorf("the end is not said:\n%s", out.String())
		}
	})
}

func TestProgressDrawsBarsOnATerminal(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(ProgressOptions{Out: &out, Terminal: true, Delay: 1})
	whole, part := p.Start("copy orders", "rows"), p.Start("read\x1b[31m", "")
	whole.Set(30, 60)
	part.Part(0.5)
	whole.Done()
	p.Close() // part is not done: its bar goes away
	text := out.String()
	if !strings.Contains(text, "copy orders") || !strings.Contains(text, "of 60 rows") && !strings.Contains(text, "of 30 rows") {
		t.Errorf("no bar of the copy: %q", text)
	}
	if strings.Contains(text, "read\x1b[31m") {
		t.Errorf("a name steers the terminal: %q", text)
	}
	whole.Set(1, 2) // after the end nothing happens
	p.Close()
}

func TestProgressIsSilentWithoutAnywhereToGo(t *testing.T) {
	p := NewProgress(ProgressOptions{})
	p.Start("x", "").Part(0.3)
	p.Close()
}

func TestRemainingTimeIsAGuessByTheRate(t *testing.T) {
	for _, test := range []struct {
		elapsed    time.Duration
		done, rest int64
		want       time.Duration // zero: none
	}{
		{10 * time.Second, 100, 50, 5 * time.Second},
		{10 * time.Second, 0, 50, 0},
		{10 * time.Second, 100, 0, 0},
		{10 * time.Second, 1, 1 << 60, 0},
	} {
		if got, ok := remaining(test.elapsed, test.done, test.rest); got != test.want || ok != (test.want != 0) {
			t.Errorf("%d done in %s, %d to go: %s left, %t", test.done, test.elapsed, test.rest, got, ok)
		}
	}
}
