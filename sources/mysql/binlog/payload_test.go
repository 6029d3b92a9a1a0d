package binlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

func compressed(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

// appendPacked appends a length-encoded integer.
func appendPacked(b []byte, v uint64) []byte {
	if v <= 250 {
		return append(b, byte(v))
	}
	return binary.LittleEndian.AppendUint64(append(b, 254), v)
}

// payloadEvent makes a TRANSACTION_PAYLOAD; expanded is not told when it is negative.
func payloadEvent(compression uint64, expanded int, data []byte) Event {
	field := func(b []byte, kind byte, v uint64) []byte {
		value := appendPacked(nil, v)
		return append(append(b, kind, byte(len(value))), value...)
	}
	body := field(nil, payloadCompression, compression)
	if expanded >= 0 {
		body = field(body, payloadExpanded, uint64(expanded))
	}
	body = append(field(body, payloadSize, uint64(len(data))), payloadEnd)
	return Event{Header{Type: TypeTransactionPayload}, append(body, data...)}
}

func drain(p *Payload, e Event) (types []Type, err error) {
	if err := p.Open(e); err != nil {
		return nil, err
	}
	for {
		inner, err := p.Next()
		if err == io.EOF {
			return types, nil
		}
		if err != nil {
			return types, err
		}
		types = append(types, inner.Type)
	}
}

func TestPayloadsAreUnpackedEventByEvent(t *testing.T) {
	events := bytes.Join([][]byte{event(TypeQuery, ChecksumNone, 1, 2, 3), event(TypeWriteRows, ChecksumNone, make([]byte, 300_000)...), event(TypeXID, ChecksumNone, make([]byte, 8)...)}, nil)
	var p Payload
	for name, e := range map[string]Event{
		"zstd":          payloadEvent(compressionZSTD, len(events), compressed(t, events)),
		"no size":       payloadEvent(compressionZSTD, -1, compressed(t, events)),
		"none":          payloadEvent(compressionNone, len(events), events),
		"none, no size": payloadEvent(compressionNone, -1, events),
		"two frames":    payloadEvent(compressionZSTD, len(events), append(compressed(t, events[:40]), compressed(t, events[40:])...)),
	} {
		types, err := drain(&p, e)
		if err != nil || len(types) != 3 || types[2] != TypeXID {
			t.Errorf("%s: %v, %v", name, types, err)
		}
	}
	p.Close()
	if types, err := drain(&p, payloadEvent(compressionZSTD, 0, compressed(t, nil))); err != nil || len(types) != 0 {
		t.Error(types, err)
	}
	p.Close()
}

func TestPayloadsThatLieAreRefused(t *testing.T) {
	one := event(TypeXID, ChecksumNone, make([]byte, 8)...)
	long := event(TypeXID, ChecksumNone, make([]byte, 8)...)
	binary.LittleEndian.PutUint32(long[9:], 1<<20)
	huge := event(TypeXID, ChecksumNone, make([]byte, 8)...)
	binary.LittleEndian.PutUint32(huge[9:], 1<<32-1)
	short := event(TypeXID, ChecksumNone)
	binary.LittleEndian.PutUint32(short[9:], 5)
	nested := event(TypeTransactionPayload, ChecksumNone, 0)
	z := compressed(t, one)
	var p Payload
	defer p.Close()
	for name, c := range map[string]struct {
		e    Event
		want error
	}{
		"size too small":       {payloadEvent(compressionZSTD, len(one)-1, z), ErrMalformed},
		"size too large":       {payloadEvent(compressionZSTD, len(one)+1, z), ErrMalformed},
		"cut":                  {payloadEvent(compressionZSTD, len(one), z[:len(z)-3]), ErrMalformed},
		"no zstd":              {payloadEvent(compressionZSTD, len(one), one), ErrMalformed},
		"unknown compression":  {payloadEvent(7, len(one), one), ErrUnsupported},
		"event longer":         {payloadEvent(compressionNone, len(one), long), ErrMalformed},
		"event of 4 GiB":       {payloadEvent(compressionNone, -1, huge), ErrTooLarge},
		"event of five bytes":  {payloadEvent(compressionNone, -1, short), ErrMalformed},
		"half a header":        {payloadEvent(compressionNone, -1, one[:10]), ErrMalformed},
		"payload in a payload": {payloadEvent(compressionNone, -1, nested), ErrMalformed},
		"no fields":            {Event{Header{Type: TypeTransactionPayload}, []byte{0}}, ErrMalformed},
		"no end":               {Event{Header{Type: TypeTransactionPayload}, []byte{2, 1, 0, 1, 1, 0}}, ErrMalformed},
		"size beyond":          {Event{Header{Type: TypeTransactionPayload}, []byte{2, 1, 0, 1, 1, 9, 0}}, ErrMalformed},
	} {
		if types, err := drain(&p, c.e); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", name, types, err)
		}
	}
	if _, err := drain(&p, payloadEvent(compressionZSTD, len(one), z)); err != nil {
		t.Error("a good payload after bad ones:", err)
	}
}

// allocated is how many bytes f makes.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A few kilobytes that expand to a gigabyte cost no more than the bound.
func TestBombsAreRefusedWithinTheBound(t *testing.T) {
	const limit = 1 << 20
	bomb := event(TypeWriteRows, ChecksumNone)
	binary.LittleEndian.PutUint32(bomb[9:], 1<<30)
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed, zstd.WithWindowSize(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	_, _ = w.Write(bomb)
	for range 64 {
		_, _ = w.Write(zeros)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p := Payload{EventBytesMax: limit}
	defer p.Close()
	if n := allocated(func() { _, err = drain(&p, payloadEvent(compressionZSTD, -1, packed.Bytes())) }); !errors.Is(err, ErrTooLarge) || n > 16<<20 {
		t.Errorf("%v after %d bytes", err, n)
	}
	// The event may be as large as it says, and then does not come.
	p.EventBytesMax = 2 << 30
	if n := allocated(func() { _, err = drain(&p, payloadEvent(compressionNone, -1, bomb)) }); !errors.Is(err, ErrMalformed) || n > 1<<20 {
		t.Errorf("%v after %d bytes", err, n)
	}
	// Neither does what would be far back.
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 1, 0, 0}
	if n := allocated(func() { _, err = drain(&p, payloadEvent(compressionZSTD, -1, frame)) }); !errors.Is(err, ErrTooLarge) || n > 16<<20 {
		t.Errorf("%v after %d bytes", err, n)
	}
}

func zipped(t testing.TB, size uint32, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	out.Write(binary.BigEndian.AppendUint32([]byte{0x84}, size))
	w := zlib.NewWriter(&out)
	_, _ = w.Write(b)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestCompressedEventsOfMariaDBThatLieAreRefused(t *testing.T) {
	text := bytes.Repeat([]byte("x"), 1000)
	var z Inflater
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"good":              {zipped(t, 1000, text), nil},
		"shorter":           {zipped(t, 1001, text), ErrMalformed},
		"longer":            {zipped(t, 999, text), ErrMalformed},
		"4 GiB":             {zipped(t, 1<<32-1, text), ErrTooLarge},
		"256 MiB":           {zipped(t, inflatedBytesMax, text), ErrMalformed},
		"empty":             {nil, ErrMalformed},
		"not compressed":    {[]byte{4, 0, 0, 0, 1, 'x'}, ErrMalformed},
		"another algorithm": {[]byte{0x94, 0, 0, 0, 1, 'x'}, ErrUnsupported},
		"no zlib":           {[]byte{0x81, 1, 'x'}, ErrMalformed},
		"cut":               {zipped(t, 1000, text)[:12], ErrMalformed},
		"no length":         {[]byte{0x80, 'x'}, ErrMalformed},
		"good again":        {zipped(t, 1000, text), nil},
	} {
		var out []byte
		var err error
		n := allocated(func() { out, err = z.inflate(TypeMariaQueryCompressed, c.b) })
		if !errors.Is(err, c.want) || n > 1<<20 || c.want == nil && !bytes.Equal(out, text) {
			t.Errorf("%s: %d bytes, %v after %d bytes", name, len(out), err, n)
		}
	}
}

func FuzzPayload(f *testing.F) {
	one := event(TypeXID, ChecksumNone, make([]byte, 8)...)
	f.Add(payloadEvent(compressionZSTD, len(one), compressed(f, one)).Body)
	f.Add(payloadEvent(compressionNone, len(one), one).Body)
	for _, raws := range recordings(f) {
		for _, raw := range raws {
			if Type(raw[4]) == TypeTransactionPayload {
				f.Add(raw[HeaderBytes : len(raw)-checksumBytes])
			}
		}
	}
	var p Payload
	p.EventBytesMax = 1 << 20
	f.Fuzz(func(t *testing.T, body []byte) {
		e := Event{Header{Type: TypeTransactionPayload}, body}
		if p.Open(e) != nil {
			return
		}
		for range 1000 {
			inner, err := p.Next()
			if err != nil {
				return
			}
			if len(inner.Body) > p.EventBytesMax || int(inner.Size) != len(inner.Body)+HeaderBytes {
				t.Fatalf("event of %d bytes has %d", inner.Size, len(inner.Body))
			}
		}
	})
}
