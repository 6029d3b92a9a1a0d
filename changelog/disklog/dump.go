package disklog

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"cdc/changelog"
	"cdc/changelog/segment"
	"cdc/changelog/vfs"
	"cdc/schema"
)

// DumpOptions say how much Dump prints. The zero value prints frames and units.
type DumpOptions struct {
	// Changes prints each change with its rows.
	Changes bool
}

// Dump prints the frames and units of the segments of a log's folder, or of one file of it when path ends in .seg or .side, as text
// that stays the same from build to build. It stops at the first damage, which it prints and returns.
func Dump(w io.Writer, fsys vfs.FS, path string, o DumpOptions) error {
	out := bufio.NewWriter(w)
	d := &dumper{out: out, o: o}
	err := d.dump(fsys, path)
	if err != nil {
		d.printf("error: %v\n", err)
	}
	return errors.Join(err, out.Flush())
}

// dumper prints files.
type dumper struct {
	out *bufio.Writer
	o   DumpOptions
	l   *Log
}

// printf prints; the writer keeps its first error for Flush.
func (d *dumper) printf(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format, args...) }

func (d *dumper) dump(fsys vfs.FS, path string) error {
	if !strings.HasSuffix(path, segmentSuffix) && !strings.HasSuffix(path, sideSuffix) {
		i, err := inspect(fsys, path)
		if err != nil {
			return err
		}
		for _, number := range i.numbers {
			if err := d.file(i.l, i.l.segmentPath(number)); err != nil {
				return err
			}
		}
		return nil
	}
	o := Options{FS: fsys, ReadOnly: true}.withDefaults()
	dir := filepath.Dir(filepath.Dir(path))
	if strings.HasSuffix(path, sideSuffix) {
		dir = filepath.Dir(dir)
	}
	return d.file(&Log{o: o, dir: dir, fs: o.FS, logger: o.Logger, decoder: segment.NewDecompressor()}, path)
}

// file prints one file.
func (d *dumper) file(l *Log, path string) (err error) {
	d.l = l
	r, err := segment.OpenReader(l.fs, path, filepath.Base(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	h := r.Header
	l.id = h.ID.Log
	if h.ID.Kind == segment.KindSide {
		d.printf("side segment %d of log %x\n", h.ID.Number, h.ID.Log)
		return d.sideFrames(r)
	}
	form := "open"
	if h.Form == segment.FormSealed {
		form = "sealed"
	}
	d.printf("segment %d of log %x, %s form, from offset %d, previous footer %x\n", h.ID.Number, h.ID.Log, form, h.First, h.Previous)
	if h.Form == segment.FormSealed {
		if err := d.footer(r); err != nil {
			return err
		}
	}
	return d.frames(r)
}

// footer prints the index of a sealed segment.
func (d *dumper) footer(r *segment.Reader) error {
	f, err := r.Footer(d.l.decoder)
	if err != nil {
		return err
	}
	d.printf("footer at %d: offsets %d to %d, body %x, original %x, hash %x\n", f.Pos, f.First, f.Next-1, f.Body, f.Original, f.Hash)
	for _, id := range f.Sides {
		d.printf("  side segment %d\n", id)
	}
	for i := range f.Blocks {
		b := &f.Blocks[i]
		d.printf("  block at %d: offsets %d to %d, tables %v\n", b.Pos, b.First, b.Next()-1, b.Tables)
		for j := range b.Last {
			d.printf("    last %s\n", metaText(&b.Last[j]))
		}
	}
	return nil
}

// frames prints the frames of a segment. What follows the last one in the open form is not printed: it was reserved, or torn.
func (d *dumper) frames(r *segment.Reader) error {
	l := d.l
	catalog, err := l.readDictionary(r)
	if err != nil {
		return err
	}
	s := &segmentInfo{number: r.Header.ID.Number, first: r.Header.First, next: r.Header.First, last: true}
	if size, err := r.Size(); err != nil {
		return err
	} else if r.Header.Form == segment.FormOpen {
		if err := l.scan(r, size, s, maxOffset); err != nil {
			return err
		}
	}
	h, _, err := r.Frame(segment.HeaderBytes, 1<<62)
	if err != nil {
		return err
	}
	d.frame(segment.HeaderBytes, &h)
	units, err := l.openUnits(s, s.first)
	if err != nil {
		return err
	}
	for {
		raw, err := units.read(s.first)
		if raw == nil || err != nil {
			return errors.Join(err, units.close())
		}
		d.frame(units.frame, &units.header)
		err = eachUnit(raw, units.first, units.at, func(u *changelog.Unit) error { return d.unit(u, catalog) })
		if err != nil {
			return errors.Join(units.corrupt(err), units.close())
		}
	}
}

func (d *dumper) frame(pos int64, h *segment.FrameHeader) {
	d.printf("%s frame at %d: first %d, count %d, units %d, synced %d, %s, %d bytes stored, %d raw, crc %08x\n",
		h.Type, pos, h.First, h.Count, h.Units, h.Synced, h.Codec, h.Stored, h.Raw, h.CRC)
}

// sideFrames prints the frames of a side file.
func (d *dumper) sideFrames(r *segment.Reader) error {
	size, err := r.Size()
	if err != nil {
		return err
	}
	for pos := int64(segment.HeaderBytes); pos < size; {
		h, frame, err := r.Frame(pos, size)
		if err != nil {
			return err
		}
		if _, err := d.l.decoder.Payload(&h, frame, nil); err != nil {
			return r.Corrupt(pos, 0, err)
		}
		d.frame(pos, &h)
		pos += h.Size()
	}
	return nil
}

// unit prints a unit and, when asked, its changes.
func (d *dumper) unit(u *changelog.Unit, catalog *changelog.Catalog) error {
	u.LoadPosition()
	d.printf("  %s\n", metaText(&u.Meta))
	if ref, ok := u.Side(); ok {
		d.printf("    side segment %d: %d changes, %d bytes, sha256 %x\n", ref.ID, ref.Changes, ref.Bytes, ref.SHA256)
	}
	err := u.CatalogRecords(func(n changelog.Offset, record []byte) error {
		d.printf("    %d catalog record %x\n", n, record)
		return nil
	})
	if err == nil {
		err = catalog.Apply(&u.Meta, u.CatalogRecords)
	}
	if err != nil || !d.o.Changes {
		return err
	}
	side := sideReader{l: d.l}
	if err := side.attach(u, catalog, nil); err != nil {
		return err
	}
	for c := (changelog.Change{}); ; {
		ok, err := u.Next(&c)
		if !ok || err != nil {
			return errors.Join(err, side.close())
		}
		d.change(&c)
	}
}

func (d *dumper) change(c *changelog.Change) {
	switch {
	case c.Op == changelog.OpMessage:
		d.printf("    %d m prefix %q content %x\n", c.Offset, c.Prefix, c.Content)
	default:
		d.printf("    %d %c %s v%d", c.Offset, c.Op, c.Table.FullName(), c.Table.Version)
		if !c.Before.IsZero() {
			d.printf(" before(%d) %s", c.Image, rowText(c.Before))
		}
		if !c.After.IsZero() {
			d.printf(" after %s", rowText(c.After))
		}
		if c.FromState != nil {
			d.printf(" from state %x", c.FromState)
		}
		if c.Cascade || c.Restart {
			d.printf(" cascade=%t restart=%t", c.Cascade, c.Restart)
		}
		d.printf("\n")
	}
}

// rowText is a row column by column: - for an absent value, null, or the packed bytes.
func rowText(r schema.Row) string {
	var b strings.Builder
	b.WriteByte('[')
	for i := range r.Layout().Columns() {
		if i > 0 {
			b.WriteByte(' ')
		}
		switch r.State(i) {
		case schema.Absent:
			b.WriteByte('-')
		case schema.Null:
			b.WriteString("null")
		case schema.Present:
			fmt.Fprintf(&b, "%x", r.Value(i))
		}
	}
	b.WriteByte(']')
	return b.String()
}

// metaText is one line about a unit.
func metaText(m *changelog.UnitMeta) string {
	kind := fmt.Sprintf("kind %d", m.Kind)
	switch m.Kind {
	case changelog.UnitTx:
		kind = "tx"
	case changelog.UnitCopy:
		kind = "copy"
	case changelog.UnitTick:
		kind = "tick"
	case changelog.UnitControl:
		kind = "control"
	}
	return fmt.Sprintf("%s %d to %d, flags %x, source %d epoch %d, xid %d, position %x, committed %s, clock %s",
		kind, m.First, m.Commit(), m.Flags, m.Source, m.Epoch, m.XID, m.Position, m.CommitTime, m.Clock)
}
