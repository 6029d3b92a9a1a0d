package binlog

import (
	"testing"

	"cdc/sources/mysql/value"
)

var fuzzFormats = []*Format{{Version: 90704}, {Version: 101119, MariaDB: true}}

// No bytes may make reading an event panic, or give more than they hold.
func FuzzEvent(f *testing.F) {
	for _, raws := range recordings(f) {
		for _, raw := range raws {
			f.Add(raw[:len(raw)-checksumBytes])
		}
	}
	f.Add(event(TypeHeartbeat, ChecksumNone, append(make([]byte, 8), 'x')...))
	f.Add(event(TypeIncident, ChecksumNone, 1, 0, 2, 'h', 'i'))
	f.Add(event(TypeViewChange, ChecksumNone, make([]byte, 48)...))
	f.Add(event(TypeMariaStartEncryption, ChecksumNone, make([]byte, 17)...))
	f.Add(event(TypeExecuteLoadQuery, ChecksumNone, make([]byte, 40)...))
	var z Inflater
	z.BytesMax = 1 << 20
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) < HeaderBytes {
			_, _ = Split(raw, ChecksumDetect)
			return
		}
		_, _ = Split(raw, ChecksumCRC32)
		h, _ := ParseHeader(raw)
		e := Event{h, raw[HeaderBytes:]}
		for _, format := range fuzzFormats {
			v, err := parse(e, format, &z)
			if err != nil {
				continue
			}
			switch v := v.(type) {
			case *GTIDSet:
				compareGTIDSets(t, v.String())
			case MariaGTIDList:
				if len(v.GTIDs)*mariaListGTIDBytes > len(e.Body) {
					t.Fatalf("%d GTIDs of %d bytes", len(v.GTIDs), len(e.Body))
				}
			case Rows:
				if len(v.Before)+len(v.After)+len(v.Data) > len(e.Body)+z.BytesMax {
					t.Fatal("more than there is")
				}
			}
		}
	})
}

// What describes columns describes no more than there are bytes for, and only what decoders expect.
func FuzzTableMap(f *testing.F) {
	for _, raws := range recordings(f) {
		for _, raw := range raws {
			if Type(raw[4]) == TypeTableMap {
				f.Add(raw[HeaderBytes : len(raw)-checksumBytes])
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := ParseTableMap(Event{Header{Type: TypeTableMap}, body})
		if err != nil {
			return
		}
		for _, format := range fuzzFormats {
			columns, extra, err := m.Columns(format)
			if err != nil {
				continue
			}
			if len(columns) == 0 || len(columns) > columnsMax || len(columns) != len(extra) {
				t.Fatalf("%d columns, %d extras", len(columns), len(extra))
			}
			text, keys := 0, map[uint16]bool{}
			for i := range columns {
				c := &columns[i]
				text += len(c.Name)
				for _, label := range c.Labels {
					text += len(label) + 1
				}
				if c.Key != 0 && keys[c.Key] || int(c.Key) > len(columns) {
					t.Fatalf("column %d is number %d of the key", i, c.Key)
				}
				keys[c.Key] = true
				if c.Labels != nil && c.Type != value.TypeEnum && c.Type != value.TypeSet {
					t.Fatalf("type %d has labels", c.Type)
				}
			}
			// A field that is there twice replaces the first.
			if text > len(body) {
				t.Fatalf("%d bytes of text from %d", text, len(body))
			}
		}
	})
}

// Walking through images ends, whatever decodes them.
func FuzzRows(f *testing.F) {
	for _, raws := range recordings(f) {
		for _, raw := range raws {
			if Type(raw[4]).IsRows() {
				f.Add(raw[4], raw[HeaderBytes:len(raw)-checksumBytes], byte(1))
			}
		}
	}
	z := Inflater{BytesMax: 1 << 20}
	f.Fuzz(func(t *testing.T, kind byte, body []byte, step byte) {
		rows, err := ParseRows(Event{Header{Type: Type(kind)}, body}, &z)
		if err != nil {
			return
		}
		columns := make([]value.Column, rows.Width)
		for i := range columns {
			columns[i].Type = []value.Type{value.TypeTiny, value.TypeVarchar, value.TypeJSON}[i%3]
			columns[i].Meta = uint16(i % 3)
		}
		if n, err := countImages(&rows, columns); err == nil && n > max(len(rows.Data), 1) {
			t.Fatalf("%d images in %d bytes", n, len(rows.Data))
		}
		images, n := rows.Images(int(step)), 0
		for ; images.Next(); n++ {
			data := images.Image.Data
			images.Skip(data[min(int(step), len(data)):])
		}
		if images.Err() == nil && n > max(len(rows.Data), 1) {
			t.Fatalf("%d images in %d bytes", n, len(rows.Data))
		}
		for b := rows.Data; len(b) > 0; {
			_, rest, err := ParseJSONDiff(b)
			if err != nil {
				break
			}
			if len(rest) >= len(b) {
				t.Fatal("a difference of no bytes")
			}
			b = rest
		}
	})
}
