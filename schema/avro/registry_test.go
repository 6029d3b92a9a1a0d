package avro

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr/srfake"
)

const (
	numbers = `{"type":"record","name":"shop.N","fields":[{"name":"n","type":"int"}]}`
	texts   = `{"type":"record","name":"shop.T","fields":[{"name":"t","type":"string"}]}`
)

func TestRegisterAsksOnce(t *testing.T) {
	fake := srfake.New()
	defer fake.Close()
	var requests atomic.Int64
	fake.Intercept(func(http.ResponseWriter, *http.Request) bool { requests.Add(1); return false })
	r := registryAt(t, RegistryOptions{URL: fake.URL()})
	first := id(t, r, "t-value", numbers)
	if second := id(t, r, "t-value", texts); second == first {
		t.Errorf("two schemas have the id %d", first)
	}
	asked := requests.Load()
	if again := id(t, r, "t-value", numbers); again != first || requests.Load() != asked {
		t.Errorf("the id is %d, was %d, and took %d more requests", again, first, requests.Load()-asked)
	}
	if another := id(t, registryAt(t, RegistryOptions{URL: fake.URL() + "/"}), "t-value", numbers); another != first {
		t.Errorf("another process gets %d, this one got %d", another, first)
	}
}

func TestLookupRegistersNothing(t *testing.T) {
	fake := srfake.New()
	defer fake.Close()
	r := registryAt(t, RegistryOptions{URL: fake.URL(), LookupOnly: true})
	if _, err := r.ID(t.Context(), "t-value", []byte(numbers)); class(err) != Refused || !strings.Contains(err.Error(), "registering is off") {
		t.Fatalf("a schema that is not there: %v", err)
	}
	want := id(t, registryAt(t, RegistryOptions{URL: fake.URL()}), "t-value", numbers)
	if got := id(t, r, "t-value", numbers); got != want {
		t.Errorf("looked up %d, registered %d", got, want)
	}
}

func TestAnswersAreClassed(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		class  Class
		text   string
	}{
		{"down for now", 503, "busy", Unavailable, "HTTP 503"},
		{"its store fails", 500, `{"error_code":50001,"message":"store"}`, Unavailable, "store (HTTP 500)"},
		{"too many requests", 429, "", Unavailable, "HTTP 429"},
		{"who are you", 401, `{"error_code":401,"message":"Unauthorized"}`, Refused, "Unauthorized (HTTP 401)"},
		{"you may not", 403, "", Refused, "HTTP 403 Forbidden"},
		{"not a registry", 404, "<html>", Refused, "HTTP 404"},
		{"a page", 200, "<html>", Refused, ""},
		{"not such a schema", 409, `{"error_code":409,"message":"incompatible"}`, Incompatible, "incompatible (HTTP 409)"},
		{"not a schema", 422, `{"error_code":42201,"message":"Invalid schema"}`, Invalid, "Invalid schema"},
		{"read only", 422, `{"error_code":42205,"message":"READONLY"}`, Refused, "READONLY"},
		{"an id too large", 200, `{"id":3000000000}`, Refused, "id 3000000000"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			defer server.Close()
			_, err := registryAt(t, RegistryOptions{URL: server.URL}).ID(t.Context(), "t-value", []byte(numbers))
			if err == nil || class(err) != test.class || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), server.URL) {
				t.Errorf("got class %d: %v", class(err), err)
			}
		})
	}
}

func TestUnreachableIsUnavailable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	if _, err := registryAt(t, RegistryOptions{URL: server.URL}).ID(t.Context(), "t-value", []byte(numbers)); class(err) != Unavailable {
		t.Errorf("nobody listens: %v", err)
	}
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer slow.Close()
	defer close(release)
	if _, err := registryAt(t, RegistryOptions{URL: slow.URL, Timeout: 50 * time.Millisecond}).ID(t.Context(), "t-value", []byte(numbers)); class(err) != Unavailable {
		t.Errorf("no answer in time: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := registryAt(t, RegistryOptions{URL: slow.URL}).ID(ctx, "t-value", []byte(numbers)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller gave up: %v", err)
	}
}

// An id that stands for another schema would make every message unreadable.
func TestIDOfAnotherSchemaIsRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodPost {
			_, _ = io.WriteString(w, `{"id":7}`)
			return
		}
		_, _ = io.WriteString(w, `{"schema":"{\"type\":\"record\",\"name\":\"N\",\"fields\":[]}"}`)
	}))
	defer server.Close()
	_, err := registryAt(t, RegistryOptions{URL: server.URL}).ID(t.Context(), "t-value", []byte(numbers))
	if class(err) != Refused || !strings.Contains(err.Error(), `id 7, given for the schema of subject "t-value", names another schema: column "n" (int) is new`) {
		t.Errorf("got %v", err)
	}
}

func TestPasswordIsSentAndNeverShown(t *testing.T) {
	var user, password string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		user, password, _ = request.BasicAuth()
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	at := strings.Replace(server.URL, "http://", "http://ann:hush@", 1)
	_, err := registryAt(t, RegistryOptions{URL: at}).ID(t.Context(), "t-value", []byte(numbers))
	if user != "ann" || password != "hush" {
		t.Errorf("sent as %q with %q", user, password)
	}
	if err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("the error is %v", err)
	}
	if _, err := NewRegistry(RegistryOptions{URL: "http://ann:hush@[bad"}); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("the error is %v", err)
	}
	if _, err := NewRegistry(RegistryOptions{URL: "ftp://ann:hush@host"}); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("the error is %v", err)
	}
}

func TestTLSIsVerified(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	_, err := registryAt(t, RegistryOptions{URL: server.URL}).ID(t.Context(), "t-value", []byte(numbers))
	if class(err) != Refused || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that nobody knows: %v", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	if _, err = registryAt(t, RegistryOptions{URL: server.URL, TLS: &tls.Config{RootCAs: pool}}).ID(t.Context(), "t-value", []byte(numbers)); class(err) != Unavailable {
		t.Errorf("a certificate that is known: %v", err)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	if _, err := registryAt(t, RegistryOptions{URL: strings.Replace(plain.URL, "http:", "https:", 1)}).ID(t.Context(), "t-value", []byte(numbers)); class(err) != Refused {
		t.Errorf("no TLS there: %v", err)
	}
}

func TestWhatCannotBeAskedIsInvalid(t *testing.T) {
	r := registryAt(t, RegistryOptions{URL: "http://127.0.0.1:1"})
	if _, err := r.ID(t.Context(), "a/b c", []byte(numbers)); class(err) != Invalid {
		t.Errorf("a name that is no subject: %v", err)
	}
	if _, err := r.ID(t.Context(), "t-value", []byte(`{"type":"record"}`)); class(err) != Invalid {
		t.Errorf("a schema that is none: %v", err)
	}
}

func TestCheckTellsARegistryFromWhatIsNone(t *testing.T) {
	for _, test := range []struct {
		status int
		answer string
		want   Class
	}{
		{http.StatusOK, `{"compatibilityLevel":"BACKWARD"}`, 255},
		{http.StatusOK, `<html>`, Refused},
		{http.StatusOK, `{}`, Refused},
		{http.StatusNotFound, ``, Refused},
		{http.StatusUnauthorized, ``, Refused},
		{http.StatusServiceUnavailable, ``, Unavailable},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			if request.Method != http.MethodGet {
				t.Errorf("%s changes something", request.Method)
			}
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, test.answer)
		}))
		err := registryAt(t, RegistryOptions{URL: server.URL}).Check(t.Context())
		if class(err) != test.want || (err == nil) != (test.want == 255) {
			t.Errorf("HTTP %d %s: %v", test.status, test.answer, err)
		}
		server.Close()
	}
}

func registryAt(t *testing.T, o RegistryOptions) *Registry {
	t.Helper()
	r, err := NewRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func id(t *testing.T, r *Registry, subject, schema string) int32 {
	t.Helper()
	n, err := r.ID(t.Context(), subject, []byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// class is the error's, 255 when it is no Error.
func class(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return 255
}
