package mysql

import "log/slog"

// Secret is text that is never printed.
type Secret string

const redacted = "***"

// String hides the text.
func (Secret) String() string { return redacted }

// GoString hides the text.
func (Secret) GoString() string { return redacted }

// LogValue hides the text.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the text.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
