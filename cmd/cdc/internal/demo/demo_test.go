package demo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cdc/cmd/cdc/internal/client"
	"cdc/e2e/testservers"
)

// testPlayer is a player whose program is a shell script.
func testPlayer(t *testing.T, script string) (*player, *os.File) {
	t.Helper()
	dir := t.TempDir()
	exe := filepath.Join(dir, "cdc")
	if err := os.WriteFile(exe, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() }) // it was only for the test
	return &player{o: Options{Exe: exe, Out: out, Err: out}, dir: dir, data: filepath.Join(dir, "data"), env: os.Environ()}, out
}

func written(t *testing.T, f *os.File) string {
	t.Helper()
	text, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAStepShowsItsCommandAndItsOutput(t *testing.T) {
	p, out := testPlayer(t, `echo "ran $*"`)
	if err := p.cdc(t.Context(), "at", "20 seconds ago", "products"); err != nil {
		t.Fatal(err)
	}
	if got, want := written(t, out), "$ cdc at '20 seconds ago' products\nran at 20 seconds ago products\n"; got != want {
		t.Fatalf("printed %q", got)
	}
}

// A demo that goes on after a failure would tell that something works which does not.
func TestAStepFailsWithItsCommand(t *testing.T) {
	p, _ := testPlayer(t, "echo broken >&2; exit 7")
	if err := p.cdc(t.Context(), "verify"); err == nil || !strings.Contains(err.Error(), "'cdc verify' ended with exit code 7") {
		t.Fatalf("err = %v", err)
	}
	if _, err := p.ask(t.Context(), "changes"); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Fatalf("err = %v", err)
	}
}

func TestAnInterruptIsNoFailureOfAStep(t *testing.T) {
	p, _ := testPlayer(t, "exec sleep 60")
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	if err := p.cdc(ctx, "tail"); !errors.Is(err, why) {
		t.Fatalf("err = %v", err)
	}
}

func TestCaptureThatEndsIsNotWaitedFor(t *testing.T) {
	p, _ := testPlayer(t, "echo 'no such database' >&2; exit 4")
	c, err := startCapture(p, 1, "run")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.streaming(t.Context()); err == nil || !strings.Contains(err.Error(), "no such database") {
		t.Fatalf("err = %v", err)
	}
	if err := c.stop(); err != nil {
		t.Fatalf("stop of a capture that has ended: %v", err)
	}
}

func TestCaptureIsStoppedAndKilled(t *testing.T) {
	p, _ := testPlayer(t, "trap 'exit 0' TERM\nwhile :; do sleep 0.05; done")
	c, err := startCapture(p, 1, "run")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.kill(); err != nil {
		t.Fatal(err)
	}
	if c.err == nil {
		t.Fatal("a killed capture ended well")
	}
	if c, err = startCapture(p, 1, "run"); err != nil {
		t.Fatal(err)
	}
	_ = c.stop() // the trap may not be set yet: then the shell ends by the signal, which is an end too
	select {
	case <-c.done:
	default:
		t.Fatal("a stopped capture runs on")
	}
}

func TestQuotedIsWhatAShellTakes(t *testing.T) {
	for want, args := range map[string][]string{
		"at now products":                         {"at", "now", "products"},
		"at '20 seconds ago' products":            {"at", "20 seconds ago", "products"},
		`sql "select * from t as of 'yesterday'"`: {"sql", "select * from t as of 'yesterday'"},
		"history t 'id>3' ''":                     {"history", "t", "id>3", ""},
		"run postgres://cdc@127.0.0.1:5432/shop":  {"run", "postgres://cdc@127.0.0.1:5432/shop"},
	} {
		if got := quoted(args); got != want {
			t.Errorf("%q: %s", args, got)
		}
	}
}

// The environment of the user must not lead the demo to another database or folder.
func TestSettingsOfTheUserAreLeftOut(t *testing.T) {
	env := withoutSettings([]string{"PATH=/bin", "PGHOST=production", "MYSQL_PWD=secret", "CDC_DATA=/data", "HOME=/root", "CDC_FORMAT=json"})
	if !slices.Equal(env, []string{"PATH=/bin", "HOME=/root"}) {
		t.Fatalf("env = %q", env)
	}
}

const changesScript = `cat <<'END'
{"offset":3,"commit_offset":4,"position":"0/10","tx":null,"table":"public.orders","op":"r","key":{"id":1}}
{"offset":5,"commit_offset":8,"position":"0/20","tx":71,"table":"public.orders","op":"c","key":{"id":2}}
{"offset":6,"commit_offset":8,"position":"0/20","tx":71,"table":"public.order_items","op":"c","key":{"order_id":2,"line":1}}
{"offset":7,"commit_offset":8,"position":"0/20","tx":71,"table":"public.orders","op":"u","key":{"id":2}}
{"offset":9,"commit_offset":10,"position":"0/30","tx":72,"table":"public.orders","op":"u","key":{"id":2}}
{"offset":11,"commit_offset":12,"position":"0/40","tx":73,"table":"public.orders","op":"c","key":{"id":3}}
{"offset":13,"commit_offset":14,"position":"0/50","tx":72,"table":"public.orders","op":"u","key":{"id":1}}
END
`

func TestSubjectIsTheOrderWithTheRichestLife(t *testing.T) {
	p, _ := testPlayer(t, changesScript)
	got, err := (&walk{player: p}).findSubject(t.Context())
	if want := (subject{order: 2, versions: 1, tx: 71, position: "0/20", items: 1}); err != nil || got != want {
		t.Fatalf("subject = %+v (%v)", got, err)
	}
	empty, _ := testPlayer(t, "exit 0")
	if _, err := (&walk{player: empty}).findSubject(t.Context()); err == nil {
		t.Fatal("an empty log has a subject")
	}
}

// What the demo says of transactions being in the log once must be able to be wrong.
func TestG3TransactionInTheLogTwiceOrNeverIsSeen(t *testing.T) {
	for _, test := range []struct {
		committed []uint64
		fine      bool
	}{{[]uint64{71, 73}, true}, {[]uint64{71, 72}, false}, {[]uint64{71, 99}, false}} {
		p, _ := testPlayer(t, changesScript)
		if err := (&walk{player: p}).exactlyOnce(t.Context(), test.committed, "now"); (err == nil) != test.fine {
			t.Errorf("%d: err = %v", test.committed, err)
		}
	}
}

const paymentsScript = `cat <<'END'
{"offset":3,"commit_offset":4,"position":"u:1-5","tx":null,"table":"warehouse.payments","op":"r","key":{"id":1},"after":{"id":1,"order_id":9}}
{"offset":5,"commit_offset":6,"position":"u:1-6","tx":6,"table":"warehouse.payments","op":"c","key":{"id":2},"after":{"id":2,"order_id":2}}
{"offset":7,"commit_offset":8,"position":"u:1-7","tx":7,"table":"warehouse.payments","op":"u","key":{"id":2},"after":{"id":2,"order_id":2}}
{"offset":9,"commit_offset":10,"position":"u:1-8","tx":8,"table":"warehouse.payments","op":"c","key":{"id":3},"after":{"id":3,"order_id":3}}
{"offset":11,"commit_offset":12,"position":"u:1-9","tx":9,"table":"warehouse.payments","op":"c","key":{"id":3},"after":{"id":3,"order_id":3}}
END
`

func TestG3PaymentInTheLogTwiceOrNeverIsSeen(t *testing.T) {
	for _, test := range []struct {
		committed []uint64
		fine      bool
	}{{[]uint64{2}, true}, {[]uint64{2, 3}, false}, {[]uint64{2, 4}, false}} {
		p, _ := testPlayer(t, paymentsScript)
		if err := (&walk{player: p}).bookedOnce(t.Context(), test.committed, "now"); (err == nil) != test.fine {
			t.Errorf("%d: err = %v", test.committed, err)
		}
	}
}

func TestPaymentOfTheSubjectIsTheChangeThatBookedIt(t *testing.T) {
	p, _ := testPlayer(t, paymentsScript)
	if got, err := (&walk{player: p, subject: subject{order: 2}}).findPayment(t.Context()); err != nil || got.Position != "u:1-6" {
		t.Fatalf("position = %q (%v)", got.Position, err)
	}
	if _, err := (&walk{player: p, subject: subject{order: 5}}).findPayment(t.Context()); err == nil {
		t.Fatal("an order without a payment has one")
	}
}

// What the demo says of two databases at one moment must be able to be wrong.
func TestDatabasesThatDoNotAgreeAreSeen(t *testing.T) {
	for n, fine := range map[string]bool{"0": true, "2": false} {
		p, _ := testPlayer(t, "echo n; echo "+n)
		if err := (&walk{player: p, house: &warehouse{server: &testservers.MySQL{}}}).agree(t.Context()); (err == nil) != fine {
			t.Errorf("%s orders: err = %v", n, err)
		}
	}
}

func TestCaptureStreamsWhenAllSourcesDo(t *testing.T) {
	streaming, copying := client.Source{Phase: "streaming"}, client.Source{Phase: "streaming", Copying: []string{"payments"}}
	c := &capture{sources: 2}
	for _, test := range []struct {
		sources []client.Source
		want    bool
	}{{[]client.Source{streaming}, false}, {[]client.Source{streaming, copying}, false}, {[]client.Source{streaming, streaming}, true}} {
		if got := c.allStream(&client.Status{Sources: test.sources}); got != test.want {
			t.Errorf("%+v: %v", test.sources, got)
		}
	}
}

func TestPauseEndsWithItsConditionAndWithTheContext(t *testing.T) {
	p, out := testPlayer(t, "")
	looks := 0
	err := p.pause(t.Context(), "(waiting)", func() (bool, error) { looks++; return looks == 3, nil })
	if err != nil || strings.Count(written(t, out), "(waiting)") != 1 {
		t.Fatalf("err = %v, printed %q", err, written(t, out))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.pause(ctx, "", func() (bool, error) { return false, nil }); !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v", err)
	}
}
