package parquet

import (
	"errors"
	"fmt"

	"cdc/changelog"
	"cdc/sinks/folder"
)

// Options are what a sink needs. Folder.Dir and Source are required.
type Options struct {
	Folder folder.Options
	// Source is the name of a source, for logical messages, which belong to no table.
	Source func(changelog.SourceID) string
	// RowGroupBytes is the size of packed rows from which on a row group is written out.
	RowGroupBytes int64
	// BufferBytes bounds what all files of a round keep in memory until it is written out, by the size of packed rows. As columns
	// they take up to three times as much.
	BufferBytes int64
	// Writers bounds how many files that have a row group already are being written at once; beyond it, the one written to least
	// recently is finished.
	Writers int
}

// Defaults.
const (
	DefaultRowGroupBytes = 16 << 20
	DefaultBufferBytes   = 32 << 20
	// DefaultWriters is as many as take some ten MiB: each column of a writer has buffers of its own, of some ten KiB.
	DefaultWriters = 16
)

// rowGroupRows bounds the rows of a row group as readers split work by it.
const rowGroupRows = 1 << 17

// Validate joins all problems of the options.
func (o *Options) Validate() error {
	problems := []error{o.Folder.Validate()}
	if o.Source == nil {
		problems = append(problems, errors.New("no names of sources for Parquet files are given"))
	}
	if o.RowGroupBytes < 0 || o.BufferBytes < 0 || o.Writers < 0 {
		problems = append(problems, fmt.Errorf("sizes of Parquet files are negative: row group %d, buffer %d, writers %d", o.RowGroupBytes, o.BufferBytes, o.Writers))
	}
	return errors.Join(problems...)
}

// withDefaults fills in what is zero.
func (o Options) withDefaults() Options {
	if o.RowGroupBytes == 0 {
		o.RowGroupBytes = DefaultRowGroupBytes
	}
	if o.BufferBytes == 0 {
		o.BufferBytes = DefaultBufferBytes
	}
	if o.Writers == 0 {
		o.Writers = DefaultWriters
	}
	return o
}
