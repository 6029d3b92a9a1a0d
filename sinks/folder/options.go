package folder

import (
	"errors"
	"fmt"
	"time"

	"cdc/changelog/vfs"
)

// Options say where files go and when they are finished. Dir is required; the zero value of all else is a default.
type Options struct {
	// FS is the file system; nil is the machine's.
	FS vfs.FS
	// Dir is the folder. It is made when it is not there.
	Dir string
	// Log is the identity of the log that is published; zero when it is not to be compared with what the folder was made from.
	Log [16]byte
	// Interval is how long after a round's first change its files are finished.
	Interval time.Duration
	// FileBytes is the size from which on a file is followed by another one.
	FileBytes int64
	// RoundBytes is the size of all files of a round from which on they are finished before the interval is over.
	RoundBytes int64
	// OpenFiles bounds how many files are open at once, however many a round has.
	OpenFiles int
}

// Defaults.
const (
	DefaultInterval   = time.Minute
	DefaultFileBytes  = 128 << 20
	DefaultRoundBytes = 1 << 30
	// DefaultOpenFiles is below the usual limit of 1,024 a process, which has the log and its connections open too.
	DefaultOpenFiles = 128
)

// Limits of options. A shorter interval would make more files than a reader can use.
const (
	minInterval  = time.Second
	minFileBytes = 1 << 10
)

// Validate joins all problems of the options.
func (o *Options) Validate() error {
	var problems []error
	if o.Dir == "" {
		problems = append(problems, errors.New("no folder for files is named"))
	}
	if o.Interval != 0 && o.Interval < minInterval {
		problems = append(problems, fmt.Errorf("interval %s of files is less than %s", o.Interval, minInterval))
	}
	if o.FileBytes != 0 && o.FileBytes < minFileBytes {
		problems = append(problems, fmt.Errorf("file size %d is less than %d bytes", o.FileBytes, minFileBytes))
	}
	if o.RoundBytes != 0 && o.RoundBytes < minFileBytes {
		problems = append(problems, fmt.Errorf("size %d of all unfinished files is less than %d bytes", o.RoundBytes, minFileBytes))
	}
	if o.OpenFiles < 0 {
		problems = append(problems, fmt.Errorf("number %d of open files is negative", o.OpenFiles))
	}
	return errors.Join(problems...)
}

// withDefaults fills in what is zero.
func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.OS{}
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.FileBytes == 0 {
		o.FileBytes = DefaultFileBytes
	}
	if o.RoundBytes == 0 {
		o.RoundBytes = DefaultRoundBytes
	}
	if o.OpenFiles == 0 {
		o.OpenFiles = DefaultOpenFiles
	}
	return o
}
