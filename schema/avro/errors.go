package avro

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/hamba/avro/v2/registry"
)

// Class says what an error of a registry asks of whoever meets it.
type Class uint8

// Classes.
const (
	// Unavailable: the registry cannot be reached, or cannot answer now. Trying again is right, for as long as it takes.
	Unavailable Class = iota
	// Refused: it lasts until somebody changes something at the registry, or in how it is addressed.
	Refused
	// Incompatible: the subject does not take the schema after those that it holds. Trying again cannot help.
	Incompatible
	// Invalid: the registry does not take the schema at all.
	Invalid
)

// Error is every error of a Registry but those of a context.
type Error struct {
	Class Class
	// URL is the registry's, without a password.
	URL     string
	Subject string
	// Level is the subject's compatibility level and Changes what is new against its newest schema, when Class is Incompatible and the
	// registry has told.
	Level   string
	Changes []string
	// Missing says that the registry does not have the schema, and that registering is off.
	Missing bool
	// Detail is what was asked or found, Err what the registry or the connection said.
	Detail string
	Err    error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "schema registry %s: %s", e.URL, e.Detail)
	if len(e.Changes) > 0 {
		b.WriteString(": " + strings.Join(e.Changes, "; "))
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// readOnlySubject is the code of a registry, or a subject, that takes no new schemas for now. The numbers are Confluent's.
const readOnlySubject = 42205

// classOf says what an error of the client means. Only what is known to last is not tried again at once.
func classOf(err error) Class {
	var answer registry.Error
	if errors.As(err, &answer) {
		return classOfStatus(answer)
	}
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var connection *url.Error
	switch {
	case errors.As(err, &certificate), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return Refused
	case errors.As(err, &connection):
		return Unavailable
	}
	return Refused // an answer that is not a registry's
}

func classOfStatus(answer registry.Error) Class {
	switch status := answer.StatusCode; {
	case status == http.StatusConflict:
		return Incompatible
	case status == http.StatusUnprocessableEntity && answer.Code != readOnlySubject:
		return Invalid
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return Unavailable
	}
	return Refused
}

// wrap makes an Error of an error of the client; one of the context stays what it is.
func (r *Registry) wrap(ctx context.Context, err error, subject, detail string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &Error{Class: classOf(err), URL: r.url, Subject: subject, Detail: detail, Err: clean(err)}
}

// clean leaves out what an error of HTTP repeats of the request.
func clean(err error) error {
	var answer registry.Error
	var connection *url.Error
	switch {
	case errors.As(err, &answer) && answer.Message != "":
		return fmt.Errorf("%s (HTTP %d)", answer.Message, answer.StatusCode)
	case errors.As(err, &answer):
		return fmt.Errorf("HTTP %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	case errors.As(err, &connection):
		return connection.Err
	}
	return err
}
