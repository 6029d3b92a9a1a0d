package avro

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hamba/avro/v2/registry"
)

// RegistryOptions say where a registry is and how to ask it.
type RegistryOptions struct {
	// URL is the registry's, with http or https, and the path under which it speaks Confluent's protocol. A user and a password in it
	// are used when User is empty.
	URL            string
	User, Password string
	// TLS is for https; nil for the system's certificates.
	TLS *tls.Config
	// Timeout bounds each request; 10 seconds when zero.
	Timeout time.Duration
	// LookupOnly asks for the ids of schemas that are registered already, and registers none.
	LookupOnly bool
}

const (
	defaultTimeout = 10 * time.Second
	// maxAnswerBytes bounds what is read of an answer: a schema of 4,096 columns takes 2 MiB.
	maxAnswerBytes = 16 << 20
)

// Registry gives schemas the ids that messages carry. It is safe for concurrent use, keeps the ids that it has learnt, and holds no
// connection that would have to be closed.
type Registry struct {
	options RegistryOptions
	url     string // for messages
	base    *url.URL
	http    *http.Client
	client  *registry.Client

	mu  sync.Mutex // guards ids
	ids map[registered]int32
}

// registered is a schema under a subject.
type registered struct{ subject, schema string }

// NewRegistry checks the options; it does not connect.
func NewRegistry(o RegistryOptions) (*Registry, error) {
	base, err := url.Parse(o.URL)
	if err != nil {
		var bad *url.Error
		if errors.As(err, &bad) {
			err = bad.Err // the rest has the password
		}
		return nil, fmt.Errorf("read the URL of the schema registry: %w", err)
	}
	if base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("the schema registry's URL %q is not one of http or https", base.Redacted())
	}
	if base.User != nil {
		if o.User == "" {
			o.User = base.User.Username()
			o.Password, _ = base.User.Password()
		}
		base.User = nil
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = o.TLS
	httpClient := &http.Client{Timeout: o.Timeout, Transport: bounded{transport}}
	client, err := registry.NewClient(base.String(), registry.WithHTTPClient(httpClient), registry.WithBasicAuth(o.User, o.Password))
	if err != nil {
		return nil, fmt.Errorf("make a client of the schema registry: %w", err)
	}
	return &Registry{options: o, url: base.String(), base: base, http: httpClient, client: client, ids: map[registered]int32{}}, nil
}

// bounded cuts answers off that no registry gives.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = http.MaxBytesReader(nil, response.Body, maxAnswerBytes)
	return response, nil
}

// ID is the id of the schema under the subject, which is registered when it is not yet. Asking again for the same costs no request.
func (r *Registry) ID(ctx context.Context, subject string, text []byte) (int32, error) {
	key := registered{subject: subject, schema: string(text)}
	r.mu.Lock()
	id, known := r.ids[key]
	r.mu.Unlock()
	if known {
		return id, nil
	}
	parsed, err := Parse(text)
	if err != nil {
		return 0, &Error{Class: Invalid, URL: r.url, Subject: subject, Detail: fmt.Sprintf("the schema of subject %q is not valid", subject), Err: err}
	}
	if url.PathEscape(subject) != subject { // the client puts it into a path as it is
		return 0, &Error{Class: Invalid, URL: r.url, Subject: subject, Detail: fmt.Sprintf("no subject can have the name %q", subject)}
	}
	if id, err = r.ask(ctx, subject, parsed, key.schema); err != nil {
		return 0, err
	}
	r.mu.Lock()
	r.ids[key] = id
	r.mu.Unlock()
	return id, nil
}

// ask has the registry give the id, and makes sure that readers who ask for it get the schema.
func (r *Registry) ask(ctx context.Context, subject string, parsed *Schema, text string) (int32, error) {
	var id int
	var err error
	if r.options.LookupOnly {
		id, _, err = r.client.IsRegistered(ctx, subject, text)
	} else {
		id, _, err = r.client.CreateSchema(ctx, subject, text)
	}
	if err != nil {
		return 0, r.refusal(ctx, err, subject, parsed)
	}
	if id < 0 || int64(id) != int64(int32(id)) {
		return 0, &Error{Class: Refused, URL: r.url, Subject: subject, Detail: fmt.Sprintf("id %d of subject %q does not fit into a message", id, subject)}
	}
	return int32(id), r.confirm(ctx, subject, id, parsed)
}

// confirm compares fingerprints: messages under an id that names another schema could be read by nobody. Whoever may not read the
// registry must believe it.
func (r *Registry) confirm(ctx context.Context, subject string, id int, parsed *Schema) error {
	held, err := r.client.GetSchema(ctx, id)
	if err != nil {
		if err = r.wrap(ctx, err, subject, fmt.Sprintf("read schema %d of subject %q", id, subject)); isRefused(err) {
			return nil
		}
		return err
	}
	if held.Fingerprint() != parsed.Fingerprint() {
		return &Error{
			Class: Refused, URL: r.url, Subject: subject, Changes: Changes(&Schema{parsed: held}, parsed),
			Detail: fmt.Sprintf("id %d, given for the schema of subject %q, names another schema", id, subject),
		}
	}
	return nil
}

func isRefused(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Class == Refused
}

// refusal adds to the registry's error what helps to decide what to do.
func (r *Registry) refusal(ctx context.Context, err error, subject string, parsed *Schema) error {
	detail := fmt.Sprintf("register the schema of subject %q", subject)
	if r.options.LookupOnly {
		detail = fmt.Sprintf("look the schema of subject %q up (registering is off)", subject)
	}
	var answer registry.Error
	notFound := errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
	err = r.wrap(ctx, err, subject, detail)
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	e.Missing = notFound && r.options.LookupOnly
	if e.Class != Incompatible {
		return e
	}
	e.Detail = fmt.Sprintf("subject %q does not take the new schema", subject)
	if e.Level = r.level(ctx, subject); e.Level != "" {
		e.Detail += fmt.Sprintf(" (its compatibility is %s)", e.Level)
	}
	if newest, err := r.client.GetLatestSchema(ctx, subject); err == nil {
		if e.Changes = Changes(&Schema{parsed: newest}, parsed); len(e.Changes) > 0 {
			e.Err = nil // the registry says the same in many more words
		}
	}
	return e
}

// Compatible reports whether the subject would take the schema, and when not, what has changed against its newest one. A subject that
// does not exist takes any.
func (r *Registry) Compatible(ctx context.Context, subject string, text []byte) (ok bool, changes []string, err error) {
	parsed, err := Parse(text)
	if err != nil {
		return false, nil, err
	}
	newest, err := r.client.GetLatestSchema(ctx, subject)
	var answer registry.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return true, nil, nil
	}
	if err == nil {
		ok, err = r.client.IsCompatible(ctx, subject, string(text))
	}
	if err != nil {
		return false, nil, r.wrap(ctx, err, subject, fmt.Sprintf("check the schema of subject %q", subject))
	}
	if ok {
		return true, nil, nil
	}
	return false, Changes(&Schema{parsed: newest}, parsed), nil
}

// level is the subject's compatibility level, or else the registry's; empty when it does not tell. The library looks for it under
// another name than registries give it.
func (r *Registry) level(ctx context.Context, subject string) string {
	response, err := r.config(ctx, subject)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	var config struct{ CompatibilityLevel string }
	if json.NewDecoder(response.Body).Decode(&config) != nil {
		return ""
	}
	return config.CompatibilityLevel
}

// Check asks the registry for its compatibility level, which every registry has, and changes nothing. An error says that it cannot be
// reached, or does not let the user in.
func (r *Registry) Check(ctx context.Context) error {
	const detail = "ask for its compatibility level"
	response, err := r.config(ctx, "")
	if err != nil {
		return r.wrap(ctx, err, "", detail)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return r.wrap(ctx, registry.Error{StatusCode: response.StatusCode}, "", detail)
	}
	var config struct{ CompatibilityLevel string }
	if err := json.NewDecoder(response.Body).Decode(&config); err != nil || config.CompatibilityLevel == "" {
		return &Error{Class: Refused, URL: r.url, Detail: "what answers there is no schema registry"}
	}
	return nil
}

// config asks for the settings of a subject, or of the registry when it is empty.
func (r *Registry) config(ctx context.Context, subject string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base.JoinPath("config", subject).String()+"?defaultToGlobal=true", nil)
	if err != nil {
		return nil, err
	}
	if r.options.User != "" {
		request.SetBasicAuth(r.options.User, r.options.Password)
	}
	return r.http.Do(request)
}
