package postgres

import "log/slog"

// Secret is a text that is never printed.
type Secret string

const redacted = "***"

// String is three asterisks.
func (Secret) String() string { return redacted }

// GoString is three asterisks.
func (Secret) GoString() string { return redacted }

// LogValue is three asterisks.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is three asterisks.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
