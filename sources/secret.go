package sources

import "log/slog"

// Secret is a text that is never printed.
type Secret string

// Redacted stands in the place of a secret.
const Redacted = "***"

// String is three asterisks.
func (Secret) String() string { return Redacted }

// GoString is three asterisks.
func (Secret) GoString() string { return Redacted }

// LogValue is three asterisks.
func (Secret) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText is three asterisks.
func (Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
