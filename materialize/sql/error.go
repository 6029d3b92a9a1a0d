package sql

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrNoSQL says that the program was built without DuckDB.
var ErrNoSQL = errors.New("built without SQL (needs cgo, and no build tag nosql)")

// Code says what kind of trouble an Error is, so that a caller can choose an exit code.
type Code string

// Codes of errors. They travel between processes; do not change them.
const (
	CodeSQL      Code = "SQL"      // the text, a name or a value in it is wrong, or it asks for what is not allowed
	CodeMoment   Code = "MOMENT"   // the moment cannot be answered
	CodeLog      Code = "LOG"      // the log is damaged or cannot be read
	CodeLimit    Code = "LIMIT"    // the query passed a limit of memory or disk
	CodeCanceled Code = "CANCELED" // the caller gave up
	CodeWorker   Code = "WORKER"   // the worker process died or does not speak the protocol
	CodeInternal Code = "INTERNAL" // anything else
)

// Error is why a query has no answer. It travels from the worker to its parent.
type Error struct {
	Code    Code
	Message string
	// Remedy says what to do; it may be empty.
	Remedy string
	// Line and Col are the place in the query's text, counted from 1, Col in characters; zero when there is none.
	Line, Col int
	cause     error
}

// Error is the message with its place.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d:%d: %s", e.Line, e.Col, e.Message)
}

// Unwrap is the cause, in the process where the error arose.
func (e *Error) Unwrap() error { return e.cause }

// errorAt makes an error about the byte at a place of the text.
func errorAt(text string, at int, format string, args ...any) *Error {
	line, col := place(text, at)
	return &Error{Code: CodeSQL, Message: fmt.Sprintf(format, args...), Line: line, Col: col}
}

// errorOf makes an error without a place.
func errorOf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: err}
}

// place is the line and the column of the byte at.
func place(text string, at int) (line, col int) {
	at = min(max(at, 0), len(text))
	line, start := 1, 0
	for i := range at {
		if text[i] == '\n' {
			line, start = line+1, i+1
		}
	}
	return line, utf8.RuneCountInString(text[start:at]) + 1
}
