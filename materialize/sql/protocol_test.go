package sql

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"testing"

	"cdc/schema"
)

// FuzzReadAnswer reads what claims to be a worker's answer: whatever it is, it must not make the parent panic.
func FuzzReadAnswer(f *testing.F) {
	var out bytes.Buffer
	w := frameWriter{w: &out}
	if err := w.json(frameHeader, Header{Columns: []schema.Column{{Name: "a", Kind: schema.Int32}, {Name: "b", Kind: schema.Text}}}); err != nil {
		f.Fatal(err)
	}
	w.begin(frameRows)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, 1)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, 11)
	w.buf = append(w.buf, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, 'x')
	if err := w.end(); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add([]byte{1, 0, 0, 0, 6})
	f.Add([]byte{255, 255, 255, 255, 5})
	f.Fuzz(func(_ *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		var header Header
		var layout *schema.Layout
		for {
			kind, payload, _, err := readFrame(r, nil)
			if err != nil {
				return
			}
			switch {
			case kind == frameHeader && json.Unmarshal(payload, &header) == nil:
				layout, _ = schema.NewLayout(header.Columns)
			case kind == frameRows && layout != nil:
				readRows(payload, &header, layout)
			}
		}
	})
}

func readRows(payload []byte, h *Header, layout *schema.Layout) {
	c, err := readChunk(payload)
	if err != nil {
		return
	}
	for i := range c.len() {
		row, err := layout.Row(c.row(i))
		if err != nil {
			return
		}
		for j := range h.Columns {
			if row.State(j) == schema.Present {
				schema.AppendText(nil, &h.Columns[j], row, j)
			}
		}
	}
}

func TestReadChunkRefusesEndsBeyondItsBytes(t *testing.T) {
	for _, payload := range [][]byte{
		{}, {1, 0, 0, 0}, {1, 0, 0, 0, 9, 0, 0, 0, 'x'}, {255, 255, 255, 255, 1, 0, 0, 0}, {2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 'x', 'y'},
	} {
		if _, err := readChunk(payload); err == nil {
			t.Errorf("%v was read", payload)
		}
	}
}
