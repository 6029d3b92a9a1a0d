package testservers

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// RegistryOptions says how to start a registry of schemas. The zero value
// starts one on a free port.
type RegistryOptions struct {
	Name string       // shown in logs; "" = registry
	Port int          // 0 = a free one
	Log  *slog.Logger // what is done to the server; nil = nothing
}

// Registry is a registry of schemas with the API of Confluent's: Apicurio's.
// As there, a subject takes only schemas that read what the one before wrote.
// Not as there, the API knows no /mode, and messages are Java's exceptions.
type Registry struct {
	daemon
	install javaInstall
}

// StartRegistry starts a registry and returns when it takes schemas. It lives
// until Stop or until this process ends; ctx bounds the start only.
func StartRegistry(ctx context.Context, o RegistryOptions) (*Registry, error) {
	inst, err := findApicurio()
	if err != nil {
		return nil, err
	}
	acc, err := serverAccount()
	if err != nil {
		return nil, err
	}
	if err := inst.reachable(acc); err != nil {
		return nil, err
	}
	r := &Registry{install: inst}
	r.daemon = daemon{
		kind: r, name: cmp.Or(o.Name, "registry"), version: inst.version, log: o.Log, account: acc,
		host: loopback, port: o.Port, choosePort: o.Port == 0, stopSignal: syscall.SIGTERM,
	}
	if err := r.open("", watch{executable: inst.java}); err != nil {
		return nil, err
	}
	if err := r.create(ctx); err != nil {
		r.discard()
		return nil, err
	}
	return r, nil
}

// create makes the data folder, which the server fills, and starts it.
func (r *Registry) create(ctx context.Context) error {
	if err := os.Mkdir(r.dataDir(), 0o700); err != nil {
		return err
	}
	if err := r.account.own(r.dataDir()); err != nil {
		return err
	}
	if err := r.firstStart(ctx); err != nil {
		return err
	}
	// Apicurio's own default lets everything in.
	return r.set(ctx, "/config", `{"compatibility":"BACKWARD"}`)
}

// sharedRegistry starts the one registry of this test binary at its first use.
var sharedRegistry = sync.OnceValues(func() (*Registry, error) {
	return StartRegistry(context.Background(), RegistryOptions{Name: "shared registry"})
})

// SharedRegistry is the registry of this test binary: started at the first call
// and stopped when the process ends. Tests share it, so the names of their
// subjects must differ. Without it the test is skipped, or fails if
// CDC_TEST_REQUIRE=1.
func SharedRegistry(tb TB) *Registry {
	tb.Helper()
	r, err := sharedRegistry()
	return required(tb, r, err)
}

// StartRegistryFor starts a registry of the test's own, by the same rules as
// SharedRegistry, and stops it at the end of the test.
func StartRegistryFor(tb TB, o RegistryOptions) *Registry {
	tb.Helper()
	r, err := StartRegistry(tb.Context(), o)
	return started(tb, r, err)
}

// URL is the root of the API, to which clients add /subjects and the like.
func (r *Registry) URL() string { return "http://" + r.Addr() + "/apis/ccompat/v7" }

// configure does nothing: the port is an argument.
func (r *Registry) configure() error { return nil }

// command is the server, which writes what it has to a file before it answers,
// so that a killed one comes back with it.
func (r *Registry) command() *exec.Cmd {
	const heapMB = 300
	args := append(r.install.flags(heapMB, r.runDir()),
		"-Dquarkus.http.host="+loopback, "-Dquarkus.http.port="+strconv.Itoa(r.port),
		`-Dquarkus.log.category."io.quarkus".level=INFO`, // says when it listens
		"-Dapicurio.datasource.url=jdbc:h2:file:"+filepath.Join(r.dataDir(), "registry")+";WRITE_DELAY=0",
		"-jar", filepath.Join(r.install.home, "apicurio-registry-app-"+r.install.version+"-runner.jar"))
	return exec.Command(r.install.java, args...)
}

// accepting reports whether the server has said so in its log.
func (r *Registry) accepting(int) bool {
	text, err := r.logSince(r.began)
	return err == nil && strings.Contains(text, "Listening on: http://")
}

// set puts a document.
func (r *Registry) set(ctx context.Context, path, document string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, r.URL()+path, bytes.NewReader([]byte(document)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("configure registry: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, err := io.ReadAll(response.Body)
		return fmt.Errorf("configure registry: %s: %s (%w)", response.Status, text, err)
	}
	return nil
}
