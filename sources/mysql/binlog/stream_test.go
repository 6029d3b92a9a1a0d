package binlog

import (
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// recordings are streams of servers, one raw event after the other.
func recordings(t testing.TB) map[string][][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.events")
	if err != nil || len(files) == 0 {
		t.Fatalf("recordings: %v, %v", files, err)
	}
	streams := map[string][][]byte{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for len(b) > 0 {
			size := binary.LittleEndian.Uint32(b[9:])
			streams[filepath.Base(file)] = append(streams[filepath.Base(file)], b[:size])
			b = b[size:]
		}
	}
	return streams
}

// stream reads the events of a recording as a source does.
type stream struct {
	format  Format
	z       Inflater
	payload Payload
	sum     Checksum
	// each is called for every event, those in payloads included, with raw nil.
	each func(e Event, raw []byte)
}

func (s *stream) read(t testing.TB, raws [][]byte) {
	t.Helper()
	s.sum = ChecksumDetect
	for _, raw := range raws {
		e, err := Split(raw, s.sum)
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == TypeFormatDescription {
			if s.format, err = ParseFormat(e); err != nil {
				t.Fatal(err)
			}
			s.sum = s.format.Checksum
		}
		s.each(e, raw)
		if e.Type != TypeTransactionPayload {
			continue
		}
		if err := s.payload.Open(e); err != nil {
			t.Fatal(err)
		}
		for {
			inner, err := s.payload.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			s.each(inner, nil)
		}
	}
}
