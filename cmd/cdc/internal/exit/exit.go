// Package exit says how the program ends: which exit code an error has, and how the error is written for people and for scripts.
//
// The codes are part of the command line's contract; see docs/cli.md.
package exit

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Code is an exit code of the program.
type Code int

// Exit codes. Scripts rely on them; do not change them.
const (
	OK          Code = 0
	Bug         Code = 1  // a bug, or an error that nobody has classified
	Usage       Code = 2  // command line, configuration or SQL
	Moment      Code = 3  // the moment cannot be answered
	Unreachable Code = 4  // a source or sink cannot be reached, or refused the login or TLS
	Unfit       Code = 5  // a source cannot be captured as it is: privilege, wal_level, slot, identity
	Stopped     Code = 6  // every source, or a sink that was waited for, is in a named stop
	Differs     Code = 7  // verify found a difference
	InUse       Code = 8  // another process holds the folder
	Log         Code = 9  // the log is damaged or cannot be written
	Disk        Code = 10 // too little disk to start
	Build       Code = 11 // not in this build
	Interrupted Code = 130
)

// Meanings are all codes with what they mean, in order, for the documentation.
func Meanings() []Meaning {
	return []Meaning{
		{OK, "done"},
		{Bug, "a bug, or an error that has no other code"},
		{Usage, "usage, configuration or SQL"},
		{Moment, "the moment cannot be answered"},
		{Unreachable, "a source or a sink cannot be reached, or refused the login or TLS"},
		{Unfit, "a source cannot be captured as it is (privilege, wal_level, slot, identity)"},
		{Stopped, "every source, or a sink that is waited for, is in a named stop"},
		{Differs, "`verify` found a difference"},
		{InUse, "another process holds the folder"},
		{Log, "the log is damaged or cannot be written"},
		{Disk, "too little disk to start"},
		{Build, "not in this build"},
		{Interrupted, "interrupted"},
	}
}

// Meaning is what a code means.
type Meaning struct {
	Code Code
	Text string
}

// Error is an error with everything that is said about it. Code, What are required.
type Error struct {
	Code Code
	// What happened, in lower case, without a full stop.
	What string
	// Where it happened: a file and line, a source, a table. Often empty.
	Where string
	// Remedy is what to do about it.
	Remedy string
	// Err is the cause, for errors.Is and errors.As. It is not printed.
	Err error
}

func (e *Error) Error() string {
	text := e.What
	if e.Where != "" {
		text = e.Where + ": " + text
	}
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Print writes what Of says about err to w, as text or as one JSON object, and returns the exit code. Nothing is written for nil.
func Print(w io.Writer, err error, asJSON bool) Code {
	if err == nil {
		return OK
	}
	e := Of(err)
	if asJSON {
		return e.printJSON(w)
	}
	fmt.Fprintln(w, "cdc: "+indent(e.Error()))
	return e.Code
}

func (e *Error) printJSON(w io.Writer) Code {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(struct {
		Code    Code   `json:"code"`
		Message string `json:"message"`
		Where   string `json:"where,omitempty"`
		Remedy  string `json:"remedy,omitempty"`
	}{e.Code, e.What, e.Where, e.Remedy})
	if err != nil {
		fmt.Fprintln(w, "cdc: "+indent(e.Error()))
	}
	return e.Code
}

// indent sets further lines of a message below its first.
func indent(text string) string {
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n     ")
}
