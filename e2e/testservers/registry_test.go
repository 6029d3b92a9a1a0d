//go:build e2e

// These tests run once, with the end-to-end tests: Java takes its time to start.

package testservers

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// register asks for a version of a subject and gives the status and the answer.
func register(t *testing.T, r *Registry, subject, schema string) (int, string) {
	t.Helper()
	body := `{"schema":"` + strings.ReplaceAll(schema, `"`, `\"`) + `"}`
	response, err := http.Post(r.URL()+"/subjects/"+subject+"/versions", "application/vnd.schemaregistry.v1+json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestRegistryRefusesAnIncompatibleSchemaAlsoAfterItWasKilled(t *testing.T) {
	t.Parallel()
	r := StartRegistryFor(t, RegistryOptions{})
	const (
		first        = `{"type":"record","name":"r","fields":[{"name":"a","type":"long"}]}`
		incompatible = `{"type":"record","name":"r","fields":[{"name":"a","type":"long"},{"name":"b","type":"long"}]}`
		compatible   = `{"type":"record","name":"r","fields":[{"name":"a","type":"long"},{"name":"b","type":"long","default":0}]}`
	)
	status, id := register(t, r, "s", first)
	if status != http.StatusOK {
		t.Fatalf("register: %d %s", status, id)
	}
	if status, text := register(t, r, "s", incompatible); status != http.StatusConflict {
		t.Errorf("register what cannot read the first: %d %s", status, text)
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, again := register(t, r, "s", first); status != http.StatusOK || again != id {
		t.Errorf("register the first again: %d %s, was %s", status, again, id)
	}
	if status, text := register(t, r, "s", incompatible); status != http.StatusConflict {
		t.Errorf("register what cannot read the first: %d %s", status, text)
	}
	if status, text := register(t, r, "s", compatible); status != http.StatusOK {
		t.Errorf("register what can: %d %s", status, text)
	}
}

func TestRegistrySaysThatThePortIsTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, err := StartRegistry(t.Context(), RegistryOptions{Port: l.Addr().(*net.TCPAddr).Port})
	if err == nil {
		r.StopAfter(t)
	}
	if errors.Is(err, ErrNoServer) {
		RequireServer(t, err)
	}
	if !errors.Is(err, errPortTaken) {
		t.Fatalf("start on a taken port: %v", err)
	}
}
