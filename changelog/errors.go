package changelog

import (
	"errors"
	"fmt"
)

// Sentinels that callers branch on.
var (
	// ErrClosed says that the log was closed.
	ErrClosed = errors.New("log is closed")
	// ErrTrimmed says that the offset lies before the first one kept.
	ErrTrimmed = errors.New("offset is older than the log's first")
	// ErrPoisoned says that an fsync failed earlier: nothing may be appended until the process starts anew.
	ErrPoisoned = errors.New("log is poisoned by a failed fsync")
	// ErrReadOnly says that the folder was opened for reading.
	ErrReadOnly = errors.New("log is open for reading only")
	// ErrInUse says that another process holds the folder.
	ErrInUse = errors.New("folder is in use by another process")
	// ErrNoSpace says that the disk is full; appends go on by themselves when there is space.
	ErrNoSpace = errors.New("no space left on the log's disk")
	// ErrTooLarge says that a unit, or one change of it, is larger than the log can hold; trying again does not help.
	ErrTooLarge = errors.New("larger than the log can hold")
)

// CorruptError reports damage with its place. Healthy data around it stays readable.
type CorruptError struct {
	// File is the name of the file within the folder, At the byte offset in it.
	File string
	At   int64
	// Offset is the log offset from which on data is affected, zero when it is not known.
	Offset Offset
	// What says what was found.
	What string
}

func (e *CorruptError) Error() string {
	if e.Offset != 0 {
		return fmt.Sprintf("log is damaged: %s at byte %d (offset %d): %s", e.File, e.At, e.Offset, e.What)
	}
	return fmt.Sprintf("log is damaged: %s at byte %d: %s", e.File, e.At, e.What)
}
