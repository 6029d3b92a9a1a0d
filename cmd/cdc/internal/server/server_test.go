package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/exit"
)

// fakeRun is a run of which the test decides everything.
type fakeRun struct {
	mu     sync.Mutex
	status client.Status
	next   changelog.Offset
	grown  chan struct{}
	asked  []any
	refuse error
}

func newFakeRun() *fakeRun {
	return &fakeRun{next: 8, grown: make(chan struct{}), status: client.Status{
		Running: true, Version: "v", Started: time.Unix(1e9, 0), Durable: 7,
		Sources: []client.Source{{Name: "shop", Phase: "streaming", Epoch: 2, LagSeconds: 0.5, LagBytes: 10, HeldBytes: -1, Clock: time.Now(), Tables: 3}},
	}}
}

func (f *fakeRun) Status() client.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *fakeRun) Next() changelog.Offset {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next
}

func (f *fakeRun) WaitDurable(ctx context.Context, _ changelog.Offset) error {
	select {
	case <-f.grown:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakeRun) grow(n changelog.Offset) {
	f.mu.Lock()
	f.next = n
	f.mu.Unlock()
	close(f.grown)
}

func (f *fakeRun) ask(r any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r)
	return f.refuse
}

func (f *fakeRun) Tag(_ context.Context, r client.TagRequest) error         { return f.ask(r) }
func (f *fakeRun) Resolve(_ context.Context, r client.ResolveRequest) error { return f.ask(r) }
func (f *fakeRun) Drop(_ context.Context, r client.DropRequest) error       { return f.ask(r) }

// start serves the run on a socket in dir until the test ends.
func start(t *testing.T, run Run, dir string) *client.Client {
	t.Helper()
	listener, err := ListenSocket(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Run: run, Metrics: prometheus.NewRegistry(), ReadyLag: time.Minute, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.ServeSocket(ctx, listener, dir) }()
	c := client.New(dir)
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if _, err := os.Stat(client.SocketPath(dir)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
	})
	return c
}

func TestSocketCarriesStatusRequestsAndErrors(t *testing.T) {
	run, dir, ctx := newFakeRun(), t.TempDir(), context.Background()
	c := start(t, run, dir)
	info, err := os.Stat(client.SocketPath(dir))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("socket: %v, %v", info.Mode(), err)
	}
	status, err := c.Status(ctx)
	if err != nil || status.Durable != 7 || len(status.Sources) != 1 || status.Sources[0].LagSeconds != 0.5 {
		t.Fatalf("status = %+v, %v", status, err)
	}
	if err := errors.Join(
		c.Tag(ctx, client.TagRequest{Name: "t", Offset: 3}), c.Resolve(ctx, client.ResolveRequest{Source: "shop", Action: "recopy", Table: "x"}),
		c.Drop(ctx, client.DropRequest{Source: "shop", Force: true}),
	); err != nil {
		t.Fatal(err)
	}
	if len(run.asked) != 3 || run.asked[1] != (client.ResolveRequest{Source: "shop", Action: "recopy", Table: "x"}) {
		t.Fatalf("asked = %+v", run.asked)
	}
	run.refuse = &exit.Error{Code: exit.Moment, What: "no", Where: "there", Remedy: "do"}
	err = c.Tag(ctx, client.TagRequest{Name: "t"})
	var e *exit.Error
	if !errors.As(err, &e) || e.Code != exit.Moment || e.Error() != "there: no; do" {
		t.Fatalf("error = %v", err)
	}
}

func TestDurableWaitsForMore(t *testing.T) {
	run, ctx := newFakeRun(), context.Background()
	c := start(t, run, t.TempDir())
	for _, after := range []changelog.Offset{0, 7} {
		if n, err := c.Durable(ctx, after); n != 8 || err != nil {
			t.Fatalf("after %d: %d, %v", after, n, err)
		}
	}
	answer := make(chan changelog.Offset)
	go func() {
		n, err := c.Durable(ctx, 8)
		if err != nil {
			t.Errorf("durable: %v", err)
		}
		answer <- n
	}()
	select {
	case n := <-answer:
		t.Fatalf("answered %d before there was more", n)
	default:
	}
	run.grow(12)
	if n := <-answer; n != 12 {
		t.Fatalf("n = %d", n)
	}
}

func TestSocketWorksInFoldersWithLongNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if !start(t, newFakeRun(), dir).Alive(context.Background()) {
		t.Fatal("nobody answers")
	}
}

func TestLeftOverSocketIsReplaced(t *testing.T) {
	dir := t.TempDir()
	old, err := net.Listen("unix", client.SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	if unix, ok := old.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(false)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if client.New(dir).Alive(context.Background()) {
		t.Fatal("a left-over socket is alive")
	}
	if !start(t, newFakeRun(), dir).Alive(context.Background()) {
		t.Fatal("nobody answers")
	}
}

// public serves the run over HTTP and returns the address.
func public(t *testing.T, run Run) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Run: run, Metrics: prometheus.NewRegistry(), ReadyLag: time.Minute, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.ServeHTTP(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return "http://" + listener.Addr().String()
}

func fetch(t *testing.T, method, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestNothingCanBeChangedOverHTTP(t *testing.T) {
	address := public(t, newFakeRun())
	for _, path := range []string{client.PathTag, client.PathResolve, client.PathDrop, client.PathDurable, "/debug/pprof/"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if code, _ := fetch(t, method, address+path); code != http.StatusNotFound {
				t.Errorf("%s %s answered %d", method, path, code)
			}
		}
	}
	if code, body := fetch(t, http.MethodGet, address+client.PathStatus); code != http.StatusOK || !strings.Contains(body, `"name":"shop"`) {
		t.Errorf("status: %d %s", code, body)
	}
	if code, body := fetch(t, http.MethodGet, address+"/metrics"); code != http.StatusOK || !strings.Contains(body, `cdc_source_lag_seconds{source="shop"} 0.5`) {
		t.Errorf("metrics: %d %s", code, body)
	}
	if code, body := fetch(t, http.MethodGet, address+"/healthz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("health: %d %s", code, body)
	}
}

func TestReadinessNamesWhatIsInTheWay(t *testing.T) {
	run := newFakeRun()
	address := public(t, run)
	change := func(f func(*client.Status)) {
		run.mu.Lock()
		defer run.mu.Unlock()
		f(&run.status)
	}
	check := func(code int, want string) {
		t.Helper()
		if got, body := fetch(t, http.MethodGet, address+"/readyz"); got != code || body != want+"\n" {
			t.Errorf("%d %q, want %d %q", got, body, code, want)
		}
	}
	check(http.StatusOK, "ready")
	change(func(s *client.Status) { s.Sources[0].LagSeconds = 61 })
	check(http.StatusServiceUnavailable, "source shop is 61 s behind")
	change(func(s *client.Status) { s.Sources[0].Phase = "copying" })
	check(http.StatusServiceUnavailable, "source shop is copying")
	change(func(s *client.Status) { s.Sources[0].Phase, s.Sources[0].Error = "waiting", "no route" })
	check(http.StatusServiceUnavailable, "source shop is waiting: no route")
	change(func(s *client.Status) {
		s.Full, s.Sources[0].Phase = true, "stopped"
		s.Sources[0].Stops = []client.Stop{{Kind: "GAP", Detail: "lost"}}
	})
	check(http.StatusServiceUnavailable, "the disk is full: nothing is captured until there is space\nsource shop is stopped: GAP: lost")
	change(func(s *client.Status) { s.Full, s.Sources = false, nil })
	check(http.StatusServiceUnavailable, "there is no source")
}

// Two sources of two kinds: each has its metrics and its readiness, whatever the other does.
func TestSourcesAreToldApart(t *testing.T) {
	run := newFakeRun()
	run.status.Sources[0].Kind = "postgres"
	run.status.Sources = append(run.status.Sources, client.Source{
		Name: "bills", Kind: "mysql", Phase: "stopped", Epoch: 1, Offset: 40, Clock: time.Unix(1e9, 0), LagSeconds: 300, LagBytes: -1, HeldBytes: -1,
		Stops: []client.Stop{{Kind: "GAP", Detail: "purged"}}, Copying: []string{"bills.a"}, Copy: &client.Copy{Rows: 5, RowsEstimated: 10, SecondsLeft: 2},
	})
	address := public(t, run)
	_, body := fetch(t, http.MethodGet, address+"/metrics")
	for _, want := range []string{
		`cdc_source_info{kind="mysql",source="bills"} 1`, `cdc_source_info{kind="postgres",source="shop"} 1`,
		`cdc_source_phase{phase="stopped",source="bills"} 1`, `cdc_source_phase{phase="streaming",source="bills"} 0`,
		`cdc_source_phase{phase="streaming",source="shop"} 1`, `cdc_source_lag_seconds{source="bills"} 300`, `cdc_source_lag_seconds{source="shop"} 0.5`,
		`cdc_source_offset{source="bills"} 40`, `cdc_source_clock_seconds{source="bills"} 1e+09`, `cdc_source_connected{source="bills"} 0`,
		`cdc_source_connected{source="shop"} 1`, `cdc_source_stopped{kind="GAP",source="bills",table=""} 1`, `cdc_source_copying_tables{source="bills"} 1`,
		`cdc_snapshot_remaining_seconds{source="bills"} 2`, `cdc_source_lag_bytes{source="shop"} 10`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	for path, want := range map[string]int{
		"/readyz": http.StatusServiceUnavailable, "/readyz?source=shop": http.StatusOK, "/readyz?source=bills": http.StatusServiceUnavailable,
		"/readyz?source=other": http.StatusNotFound,
	} {
		if code, body := fetch(t, http.MethodGet, address+path); code != want || strings.Contains(body, "source shop") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	run := newFakeRun()
	run.status.Sources[0].Stops = []client.Stop{{Kind: "SCHEMA", Table: "a"}, {Kind: "SCHEMA", Table: "b"}}
	run.status.Sources[0].Copy = &client.Copy{Rows: 5, RowsEstimated: 10}
	code, body := fetch(t, http.MethodGet, public(t, run)+"/metrics")
	if code != http.StatusOK || !strings.Contains(body, `cdc_source_stopped{kind="SCHEMA",source="shop",table="b"} 1`) {
		t.Fatalf("%d %s", code, body)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil || len(problems) != 0 {
		t.Fatalf("%v, %v", problems, err)
	}
}
