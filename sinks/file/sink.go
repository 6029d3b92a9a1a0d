package file

import (
	"context"
	"errors"

	"cdc/changelog"
	"cdc/sinks"
	"cdc/sinks/folder"
)

// Options are what a sink needs. Folder.Dir and Encoder are required.
type Options struct {
	Folder  folder.Options
	Encoder sinks.Encoder
}

// Validate joins all problems of the options.
func (o *Options) Validate() error {
	err := o.Folder.Validate()
	if o.Encoder == nil {
		err = errors.Join(err, errors.New("no encoder for files is given"))
	}
	return err
}

// New makes a sink of files of JSON lines.
func New(o Options) (*folder.Sink, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return folder.New(o.Folder, &format{encoder: o.Encoder})
}

// format writes messages as lines.
type format struct {
	encoder sinks.Encoder
	line    []byte
}

var _ folder.Format = (*format)(nil)

// Extension implements folder.Format.
func (f *format) Extension() string { return ".jsonl" }

// Write implements folder.Format.
func (f *format) Write(ctx context.Context, r *folder.Round, u *changelog.Unit) (messages uint64, err error) {
	err = f.encoder.Encode(ctx, u, func(m *sinks.Message) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		messages++
		file, err := r.File(m.Topic, m.Identity.Offset)
		if err != nil {
			return err
		}
		f.line = appendLine(f.line[:0], m)
		_, err = file.Write(f.line)
		if cap(f.line) > keepLineBytes {
			f.line = nil
		}
		return err
	})
	return messages, err
}

// keepLineBytes is the largest buffer kept for the next line: not that of one enormous message.
const keepLineBytes = 1 << 20
