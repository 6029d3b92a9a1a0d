package exit

import (
	"context"
	"errors"

	"cdc/changelog"
	"cdc/materialize"
	"cdc/sinks"
	"cdc/sources"
)

// ErrInterrupted is the cause of a context that an interrupt has ended.
var ErrInterrupted = errors.New("interrupted")

// Of classifies an error: it is the one place that decides about exit codes. An *Error in the chain has decided already.
func Of(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	if e := ofSource(err); e != nil {
		return e
	}
	if e := ofSink(err); e != nil {
		return e
	}
	if e := ofMoment(err); e != nil {
		return e
	}
	if e := ofLog(err); e != nil {
		return e
	}
	if errors.Is(err, ErrInterrupted) || errors.Is(err, context.Canceled) {
		return &Error{Code: Interrupted, What: "interrupted", Err: err}
	}
	return &Error{Code: Bug, What: err.Error(), Err: err}
}

// ofSource knows the errors of sources.
func ofSource(err error) *Error {
	var stop *sources.Stop
	var unfit *sources.Unfit
	var refused *sources.Refused
	switch {
	case errors.As(err, &stop):
		return &Error{Code: Stopped, What: string(stop.Kind) + ": " + stop.Detail, Where: stop.TableName, Remedy: stop.Remedy, Err: err}
	case errors.As(err, &unfit):
		return &Error{Code: Unfit, What: unfit.Detail, Remedy: unfit.Remedy, Err: err}
	case errors.As(err, &refused):
		return &Error{Code: Unreachable, What: refused.Detail, Remedy: refused.Remedy, Err: err}
	}
	return nil
}

// ofSink knows the errors of sinks.
func ofSink(err error) *Error {
	var stop *sinks.Stop
	var refused *sinks.Refused
	switch {
	case errors.As(err, &stop):
		return &Error{Code: Stopped, What: string(stop.Kind) + ": " + stop.Detail, Remedy: stop.Remedy, Err: err}
	case errors.As(err, &refused):
		return &Error{Code: Unreachable, What: refused.Detail, Remedy: refused.Remedy, Err: err}
	}
	return nil
}

// ofMoment knows the errors of questions to the log.
func ofMoment(err error) *Error {
	var unanswerable *materialize.UnanswerableError
	var name *materialize.NameError
	switch {
	case errors.As(err, &unanswerable):
		return &Error{Code: Moment, What: unanswerable.Error(), Err: err}
	case errors.As(err, &name):
		return &Error{Code: Usage, What: name.Error(), Remedy: nameRemedy(name), Err: err}
	case errors.Is(err, materialize.ErrMoment): // its text says how moments are written
		return &Error{Code: Usage, What: err.Error(), Err: err}
	case errors.Is(err, changelog.ErrTrimmed):
		return &Error{Code: Moment, What: err.Error(), Remedy: "ask for a later moment; 'cdc status' shows the earliest", Err: err}
	}
	return nil
}

func nameRemedy(e *materialize.NameError) string {
	if e.Kind == "table" && len(e.Matches)+len(e.Nearest) == 0 {
		return "'cdc tables' lists what the log holds, each name as it is to be written"
	}
	return ""
}

// ofLog knows the errors of the log.
func ofLog(err error) *Error {
	var corrupt *changelog.CorruptError
	switch {
	case errors.As(err, &corrupt):
		return &Error{
			Code: Log, What: err.Error(), Where: corrupt.File,
			Remedy: "the rest stays readable: run 'cdc log verify' to see all of the damage, then restore the file from a copy", Err: err,
		}
	case errors.Is(err, changelog.ErrInUse):
		return &Error{Code: InUse, What: err.Error(), Remedy: "stop the other process, or give this one a folder of its own with --data", Err: err}
	case errors.Is(err, changelog.ErrNoSpace):
		return &Error{Code: Disk, What: err.Error(), Remedy: "free some space and start again; nothing is lost", Err: err}
	case errors.Is(err, changelog.ErrPoisoned):
		return &Error{Code: Log, What: err.Error(), Remedy: "check the disk, then start again: what was acknowledged is safe", Err: err}
	case errors.Is(err, changelog.ErrUnit):
		return &Error{Code: Log, What: err.Error(), Remedy: "run 'cdc log verify'", Err: err}
	}
	return nil
}
