package mysql

import "log/slog"

// Secret is text that is never printed.
type Secret string

// String hides the text.
func (Secret) String() string { return "***" }

// GoString hides the text.
func (Secret) GoString() string { return "***" }

// LogValue hides the text.
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }
