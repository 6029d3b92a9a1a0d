package folder

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"time"

	"cdc/changelog"
)

// Format says what lies in files. Its methods are called by one goroutine at a time.
type Format interface {
	// Extension is what files' names end in, with its dot.
	Extension() string
	// Write puts the changes of a unit into files of the round. It returns how many messages that were. A unit is valid during
	// the call, a round until it ends: what the format keeps for each file belongs into File.Content.
	Write(ctx context.Context, r *Round, u *changelog.Unit) (messages uint64, err error)
}

// Round is what has been written and is not finished. It is for the goroutine that the Format is called by.
type Round struct {
	o         *Options
	extension string
	after     changelog.Offset // the last unit before the round
	began     time.Time        // when its first file did
	streams   map[string]*File // by folder; the files that are being written
	done      []finished       // complete and durable
	files     int              // begun
	bytes     int64
	open      list.List // of *File, the one written to last in front
	buffers   [][]byte  // not in use
	timer     *time.Timer
}

func newRound(o *Options, extension string, after changelog.Offset) *Round {
	return &Round{o: o, extension: extension, after: after, streams: map[string]*File{}}
}

// File is the file for a change of the stream, a new one if need be. Each stream has its files in a folder of its name; offsets of a
// stream do not go down, and changes of one offset are in one file.
func (r *Round) File(stream string, n changelog.Offset) (*File, error) {
	f := r.streams[stream]
	if f != nil && f.size >= r.o.FileBytes && n > f.last {
		if err := r.Complete(f); err != nil {
			return nil, err
		}
		f = nil
	}
	if f == nil {
		f = &File{round: r, stream: stream, first: n}
		r.streams[stream] = f
		if r.began.IsZero() {
			r.began = time.Now()
		}
	}
	if n < f.last {
		return nil, fmt.Errorf("write to file of %s: offset %d after %d", stream, n, f.last)
	}
	f.last = n
	return f, nil
}

// Complete ends a file before its time; the stream's next change, of a higher offset, begins another one.
func (r *Round) Complete(f *File) error {
	if err := f.complete(); err != nil {
		return err
	}
	delete(r.streams, f.stream)
	r.done = append(r.done, finished{From: f.temporary, To: finalName(f.stream, f.first, f.last, r.extension)})
	return nil
}

// Current is the stream's file that is being written, nil when there is none.
func (r *Round) Current(stream string) *File { return r.streams[stream] }

// isEmpty reports whether nothing has been written.
func (r *Round) isEmpty() bool { return r.began.IsZero() }

// isFull reports whether the round is to end.
func (r *Round) isFull() bool {
	return !r.isEmpty() && (r.bytes >= r.o.RoundBytes || time.Since(r.began) >= r.o.Interval)
}

// complete ends all files.
func (r *Round) complete() error {
	for _, f := range r.streams {
		if err := r.Complete(f); err != nil {
			return err
		}
	}
	return nil
}

// discard closes what is open. The files stay until Open removes them.
func (r *Round) discard() error {
	var problems []error
	if r.timer != nil {
		r.timer.Stop()
	}
	for r.open.Len() > 0 {
		problems = append(problems, r.open.Front().Value.(*File).drop())
	}
	return errors.Join(problems...)
}
