package disklog

import (
	"errors"
	"fmt"
	"log/slog"

	"cdc/changelog"
	"cdc/changelog/segment"
	"cdc/changelog/vfs"
)

// Options say how a folder is opened. The zero value opens it for writing on the machine's file system.
type Options struct {
	// FS is the file system; nil is the machine's.
	FS vfs.FS
	// SegmentBytes is the size at which a file is full; zero is DefaultSegmentBytes. A file may pass it by one group.
	SegmentBytes int64
	// ReadOnly opens a folder that another process may be writing to. Nothing in it is changed.
	ReadOnly bool
	// DurableHint is the writer's Bounds().Next, for a reader of a log that is being written (ReadOnly); nil: the reader makes
	// what it finds durable itself before it believes it.
	DurableHint func() changelog.Offset
	// KeepOpenForm leaves full segments as they are instead of sealing them in the background; Seal still does.
	KeepOpenForm bool
	// Logger takes news of interest to an operator; nil drops them.
	Logger *slog.Logger
}

// Sizes of segments.
const (
	DefaultSegmentBytes = 128 << 20
	minSegmentBytes     = 4 << 10
	maxSegmentBytes     = 4 << 30
)

// Validate joins all problems of the options.
func (o *Options) Validate() error {
	var problems []error
	if o.SegmentBytes != 0 && (o.SegmentBytes < minSegmentBytes || o.SegmentBytes > maxSegmentBytes) {
		problems = append(problems, fmt.Errorf("segment size %d is not between %d and %d", o.SegmentBytes, minSegmentBytes, int64(maxSegmentBytes)))
	}
	if o.DurableHint != nil && !o.ReadOnly {
		problems = append(problems, errors.New("a durable hint is for a log that is opened read-only"))
	}
	return errors.Join(problems...)
}

// withDefaults fills in what is zero.
func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.OS{}
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = DefaultSegmentBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Limits of what waits in memory.
const (
	// maxPendingBytes of units may wait for the disk; Append blocks above it, so that a slow disk slows the source down.
	maxPendingBytes = 8 << 20
	// frameTargetBytes is the size before compression at which a frame of a large group ends, so that a reader needs little
	// memory and begins near where it wants to.
	frameTargetBytes = 1 << 20
	// indexBytes is how much of an open segment one index entry covers.
	indexBytes = 256 << 10
	// keepBufferBytes is the largest buffer kept for the next group.
	keepBufferBytes = 16 << 20
)

// segmentOverhead bounds what a frame adds to its payload.
const segmentOverhead = segment.FrameHeaderBytes + 8
