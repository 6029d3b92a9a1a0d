package parquet

import (
	"container/list"
	"context"
	"fmt"

	"github.com/parquet-go/parquet-go/compress"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks/folder"
)

// New makes a sink of Parquet files.
func New(o Options) (*folder.Sink, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return folder.New(o.Folder, &format{o: o.withDefaults(), codec: newCodec()})
}

// format writes changes as rows.
type format struct {
	o        Options
	codec    compress.Codec
	round    *folder.Round
	filling  map[*content]bool // those of the round with changes that wait
	buffered int64             // bytes of all that wait
	writing  list.List         // of *content with a writer, the one written to last in front
	names    map[*schema.Table]string
	messages map[changelog.SourceID]*messageTable
}

var _ folder.Format = (*format)(nil)

// Extension implements folder.Format.
func (f *format) Extension() string { return ".parquet" }

// Write implements folder.Format.
func (f *format) Write(ctx context.Context, r *folder.Round, u *changelog.Unit) (rows uint64, err error) {
	if f.round != r {
		f.round, f.buffered, f.filling = r, 0, map[*content]bool{}
		f.writing.Init()
	}
	var c changelog.Change
	for {
		ok, err := u.Next(&c)
		if err == nil {
			err = ctx.Err()
		}
		if !ok || err != nil {
			return rows, err
		}
		if c.Op == changelog.OpMessage {
			if err := f.messageRow(&u.Meta, &c); err != nil {
				return rows, err
			}
		}
		if err := f.writeChange(&u.Meta, &c); err != nil {
			return rows, fmt.Errorf("write change of %s at offset %d: %w", c.Table.FullName(), c.Offset, err)
		}
		rows++
	}
}

// writeChange adds a row to the table's file.
func (f *format) writeChange(m *changelog.UnitMeta, c *changelog.Change) error {
	content, err := f.content(c)
	if err != nil {
		return err
	}
	before := len(content.waiting.bytes)
	content.waiting.add(m, c)
	f.buffered += int64(len(content.waiting.bytes) - before)
	f.filling[content] = true
	if int64(len(content.waiting.bytes)) >= f.o.RowGroupBytes || content.waiting.changes >= rowGroupRows {
		return f.flush(content)
	}
	if f.buffered >= f.o.BufferBytes {
		return f.flushLargest()
	}
	return nil
}

// content is that of the file which the change goes to. A table version begins another file.
func (f *format) content(c *changelog.Change) (*content, error) {
	stream := f.name(c.Table)
	if file := f.round.Current(stream); file != nil && file.Content.(*content).shape.table != c.Table {
		if err := f.round.Complete(file); err != nil {
			return nil, err
		}
	}
	file, err := f.round.File(stream, c.Offset)
	if err != nil {
		return nil, err
	}
	if file.Content == nil {
		file.Content = &content{format: f, shape: newShape(c.Table), file: file}
	}
	return file.Content.(*content), nil
}

// name is the table's name as a stream.
func (f *format) name(t *schema.Table) string {
	name, ok := f.names[t]
	if !ok {
		if f.names == nil {
			f.names = map[*schema.Table]string{}
		}
		name = streamName(t)
		f.names[t] = name
	}
	return name
}

// streamName is the table's name in files and of their folder. Stored; do not change it.
func streamName(t *schema.Table) string { return t.Source + "." + t.Schema + "." + t.Name }

// flush ends the content's row group.
func (f *format) flush(c *content) error {
	delete(f.filling, c)
	return c.flush()
}

// flushLargest makes room by ending the largest row group.
func (f *format) flushLargest() error {
	var largest *content
	for c := range f.filling {
		if largest == nil || len(c.waiting.bytes) > len(largest.waiting.bytes) {
			largest = c
		}
	}
	return f.flush(largest)
}

// makeRoom finishes the file that was written to least recently when there are too many writers.
func (f *format) makeRoom() error {
	for f.writing.Len() >= f.o.Writers {
		if err := f.round.Complete(f.writing.Back().Value.(*content).file); err != nil {
			return err
		}
	}
	return nil
}
