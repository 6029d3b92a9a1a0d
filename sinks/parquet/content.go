package parquet

import (
	"container/list"
	"fmt"
	"io"

	"cdc/sinks/folder"
)

// content is what a file holds: rows of one table version. Changes wait, packed as the log has them, until they make a row group:
// a Parquet writer takes a hundred times as much for a table of few rows.
type content struct {
	format  *format
	shape   *shape
	file    *folder.File
	waiting queue
	writer  *writer // nil until the first row group is written
	place   *list.Element
}

var _ io.Closer = (*content)(nil)

// flush writes what waits as a row group.
func (c *content) flush() error {
	if c.writer == nil {
		if err := c.format.makeRoom(); err != nil {
			return err
		}
		c.writer = newWriter(c.file, c.shape, c.format.codec)
		c.place = c.format.writing.PushFront(c)
	}
	c.format.writing.MoveToFront(c.place)
	if err := c.writeWaiting(); err != nil {
		return err
	}
	if err := c.writer.w.Flush(); err != nil {
		return fmt.Errorf("write Parquet: %w", err)
	}
	return nil
}

// writeWaiting hands what waits to the writer.
func (c *content) writeWaiting() error {
	c.format.buffered -= int64(len(c.waiting.bytes))
	err := c.waiting.each(c.shape.table, c.writer.write)
	c.waiting.reset()
	return err
}

// Close writes the last row group and the footer.
func (c *content) Close() error {
	delete(c.format.filling, c)
	if c.place != nil {
		c.format.writing.Remove(c.place)
	}
	if c.writer == nil {
		c.writer = newWriter(c.file, c.shape, c.format.codec)
	}
	if err := c.writeWaiting(); err != nil {
		return err
	}
	if err := c.writer.w.Close(); err != nil {
		return fmt.Errorf("write Parquet: %w", err)
	}
	return nil
}
