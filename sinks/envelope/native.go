package envelope

import (
	"fmt"
	"strconv"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks"
)

// native publishes a change in the words of the log, as 'cdc tail --json' prints it: all values as the log has them, what is absent
// left out. An update that has given the row another key is followed by a tombstone under the old one.
func (e *Encoder) native(t *table) error {
	c := &e.change
	e.count(t.collection)
	row := c.After
	if row.IsZero() {
		row = c.Before
	}
	e.message.Key = nil
	if t.keySchema != nil && !row.IsZero() {
		e.key = appendRow(e.key[:0], c.Table, row, c.Table.KeyColumns())
		e.message.Key = e.key
	}
	e.message.Topic, e.message.Headers = t.topic, append(e.message.Headers[:0], e.source.context...)
	e.message.Identity = sinks.Identity{Offset: c.Offset, Part: partChange}
	dst := e.appendNativeHead(e.value[:0])
	dst = append(dst, `,"key":`...)
	if e.message.Key == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, e.message.Key...)
	}
	dst = appendRowOrNull(append(dst, `,"before":`...), c.Table, c.Before)
	dst = appendRowOrNull(append(dst, `,"after":`...), c.Table, c.After)
	dst = append(append(dst, `,"before_is":"`...), nativeImages[c.Image]...)
	e.value = append(dst, `"}`...)
	e.message.Value = e.value
	if err := e.emit(&e.message); err != nil {
		return err
	}
	switch {
	case c.Op == changelog.OpDelete:
		return e.tombstone(t)
	case c.Op == changelog.OpUpdate && t.keySchema != nil && t.keyMoved(c.Before, c.After):
		e.key = appendRow(e.key[:0], c.Table, c.Before, c.Table.KeyColumns())
		e.message.Key = e.key
		return e.tombstone(t)
	}
	return nil
}

var nativeImages = [...]string{changelog.ImageNone: "none", changelog.ImageKey: "key", changelog.ImageFull: "full"}

// nativeMessage publishes a logical message.
func (e *Encoder) nativeMessage() error {
	c := &e.change
	dst := append(e.appendNativeHead(e.value[:0]), `,"key":null,"before":null,"after":{"prefix":`...)
	dst = append(schema.AppendJSONString(dst, c.Prefix), `,"content":`...)
	e.value = append(schema.AppendJSONString(dst, fmt.Appendf(nil, `\x%x`, c.Content)), `},"before_is":"none"}`...)
	e.message.Topic, e.message.Key, e.message.Value, e.message.Headers = e.source.messages, nil, e.value, e.message.Headers[:0]
	e.message.Identity = sinks.Identity{Offset: c.Offset, Part: partChange}
	return e.emit(&e.message)
}

// appendNativeHead writes where the change stands.
func (e *Encoder) appendNativeHead(dst []byte) []byte {
	c, m := &e.change, e.origin.meta
	dst = strconv.AppendUint(append(dst, `{"offset":`...), uint64(c.Offset), 10)
	dst = strconv.AppendUint(append(dst, `,"commit_offset":`...), uint64(m.Commit()), 10)
	dst = append(e.appendPlace(append(dst, `,"position":"`...)), `","commit_time":"`...)
	dst = append(m.CommitTime.Time().UTC().AppendFormat(dst, "2006-01-02 15:04:05.999999-07"), `","source":`...)
	dst = schema.AppendJSONString(dst, []byte(e.source.Name))
	if m.XID == 0 {
		dst = append(dst, `,"tx":null,"table":`...)
	} else {
		dst = append(strconv.AppendUint(append(dst, `,"tx":`...), m.XID, 10), `,"table":`...)
	}
	if c.Table == nil {
		dst = append(dst, "null"...)
	} else {
		dst = schema.AppendJSONString(dst, e.tables[c.Table.Version].collection.name)
	}
	return append(append(dst, `,"op":"`...), byte(c.Op), '"')
}

// appendPlace writes the position as people of its kind of source do.
func (e *Encoder) appendPlace(dst []byte) []byte {
	p := &e.origin.place
	switch {
	case p.LSN != 0:
		return fmt.Appendf(dst, "%X/%X", uint32(p.LSN>>32), uint32(p.LSN))
	case p.GTID != "":
		return append(dst, p.GTID...)
	}
	return strconv.AppendUint(append(append(dst, p.File...), ':'), p.Offset, 10)
}

func appendRowOrNull(dst []byte, t *schema.Table, r schema.Row) []byte {
	if r.IsZero() {
		return append(dst, "null"...)
	}
	return appendRow(dst, t, r, nil)
}

// appendRow writes the columns that are listed, or all that the row holds.
func appendRow(dst []byte, t *schema.Table, r schema.Row, columns []int) []byte {
	dst = append(dst, '{')
	first := len(dst)
	member := func(i int) {
		if r.State(i) == schema.Absent {
			return
		}
		if len(dst) > first {
			dst = append(dst, ',')
		}
		dst = append(schema.AppendJSONString(dst, []byte(t.Columns[i].Name)), ':')
		dst = schema.AppendJSON(dst, &t.Columns[i], r, i)
	}
	if columns == nil {
		for i := range t.Columns {
			member(i)
		}
	}
	for _, i := range columns {
		member(i)
	}
	return append(dst, '}')
}
