package binlog

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"

	"cdc/sources/mysql/value"
)

// bulk is a transaction of a recording whose first row event has many times its rows.
func bulk(t testing.TB, name string, copies int) (f Format, raws [][]byte) {
	t.Helper()
	all := recordings(t)[name]
	s := stream{}
	s.each = func(Event, []byte) {}
	s.read(t, all[:2])
	begin := 0
	for i, raw := range all {
		switch kind := Type(raw[4]); {
		case kind == TypeGTID || kind == TypeMariaGTID:
			begin = i
		case kind.IsRows():
			end := i
			for Type(all[end][4]) != TypeXID {
				end++
			}
			raws = slices.Clone(all[begin : end+1])
			raws[i-begin] = manyRows(t, raw, copies)
			return s.format, raws
		}
	}
	t.Fatal("no rows in the recording")
	return f, nil
}

// manyRows repeats the images of a row event.
func manyRows(t testing.TB, raw []byte, copies int) []byte {
	t.Helper()
	e, err := Split(raw, ChecksumCRC32)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := ParseRows(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	head := raw[: len(raw)-checksumBytes-len(rows.Data) : len(raw)-checksumBytes-len(rows.Data)]
	b := append(head, bytes.Repeat(rows.Data, copies)...)
	binary.LittleEndian.PutUint32(b[9:], uint32(len(b)+checksumBytes))
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// reading is what a source does with each event, but for decoding values.
type reading struct {
	format      Format
	z           Inflater
	set         GTIDSet
	pos         MariaPos
	description []byte
	columns     []value.Column
	images      int
}

func (r *reading) read(t testing.TB, raw []byte) {
	e, err := Split(raw, ChecksumCRC32)
	switch {
	case err != nil:
	case e.Type == TypeGTID:
		var g GTIDEvent
		g, err = ParseGTID(e)
		r.set.Add(g.GTID)
	case e.Type == TypeMariaGTID:
		var g MariaGTIDEvent
		g, err = ParseMariaGTIDEvent(e)
		r.pos.Add(g.GTID)
	case e.Type == TypeQuery:
		var q Query
		q, err = ParseQuery(e, &r.z)
		ParseStatement(StatementText{Text: q.Text, Schema: q.Schema, Mode: q.Status.SQLMode, Format: &r.format})
	case e.Type == TypeTableMap:
		var m TableMap
		if m, err = ParseTableMap(e); err == nil && !bytes.Equal(m.Description, r.description) {
			r.description = bytes.Clone(m.Description)
			r.columns, _, err = m.Columns(&r.format)
		}
	case e.Type.IsRows():
		var rows Rows
		if rows, err = ParseRows(e, &r.z); err == nil {
			var n int
			n, err = countImages(&rows, r.columns)
			r.images += n
		}
	case e.Type == TypeXID:
		_, err = ParseXID(e)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestReadingAStreamAllocatesNothing(t *testing.T) {
	for _, name := range []string{"mysql.events", "mariadb.events"} {
		format, raws := bulk(t, name, 50)
		r := reading{format: format}
		read := func() {
			for _, raw := range raws {
				r.read(t, raw)
			}
		}
		read()
		if n := testing.AllocsPerRun(20, read); n != 0 {
			t.Errorf("%s: %v allocations in %d events", name, n, len(raws))
		}
		if r.images != 22*100 {
			t.Errorf("%s: %d images", name, r.images)
		}
	}
}

func BenchmarkStream(b *testing.B) {
	for _, name := range []string{"mysql.events", "mariadb.events"} {
		format, raws := bulk(b, name, 50)
		bytes := 0
		for _, raw := range raws {
			bytes += len(raw)
		}
		b.Run("server="+name[:len(name)-len(".events")], func(b *testing.B) {
			r := reading{format: format}
			b.SetBytes(int64(bytes))
			b.ReportAllocs()
			for b.Loop() {
				for _, raw := range raws {
					r.read(b, raw)
				}
			}
			b.ReportMetric(float64(r.images)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// The same events through the library, which decodes the values, too.
func BenchmarkStreamOfTheLibrary(b *testing.B) {
	_, raws := bulk(b, "mysql.events", 50)
	parser := libraryReader("mysql")
	for _, raw := range recordings(b)["mysql.events"][1:2] {
		if _, err := parser.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
	rows := 0
	b.ReportAllocs()
	for b.Loop() {
		for _, raw := range raws {
			e, err := parser.Parse(raw)
			if err != nil {
				b.Fatal(err)
			}
			if r, is := e.Event.(*replication.RowsEvent); is {
				rows += len(r.Rows)
			}
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}
