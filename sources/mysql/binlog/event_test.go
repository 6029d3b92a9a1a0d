package binlog

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"testing"
)

// event makes the bytes of an event, with a checksum when there is to be one.
func event(t Type, sum Checksum, body ...byte) []byte {
	b := make([]byte, HeaderBytes, HeaderBytes+len(body)+checksumBytes)
	b[4] = byte(t)
	b = append(b, body...)
	size := len(b)
	if sum == ChecksumCRC32 {
		size += checksumBytes
	}
	binary.LittleEndian.PutUint32(b[9:], uint32(size))
	if sum == ChecksumCRC32 {
		b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	}
	return b
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	for name, raws := range recordings(t) {
		sum := ChecksumCRC32
		for _, raw := range raws[1:] { // MariaDB's first ROTATE has no checksum
			for _, i := range []int{0, 4, 9, 13, len(raw) / 2, len(raw) - 5, len(raw) - 1} {
				damaged := slices.Clone(raw)
				damaged[i] ^= 1 << (i % 8)
				if _, err := Split(damaged, sum); err == nil {
					t.Fatalf("%s: byte %d of %d of type %s", name, i, len(raw), Type(raw[4]))
				}
			}
			if e, err := Split(raw, sum); err != nil || len(e.Body) != len(raw)-HeaderBytes-checksumBytes {
				t.Fatalf("%s: %s: %v", name, Type(raw[4]), err)
			}
		}
	}
}

func TestFormatDescriptionOfAFileInUseHasTheChecksumOfOneThatIsNot(t *testing.T) {
	for _, raws := range recordings(t) {
		raw := slices.Clone(raws[1])
		raw[17] |= byte(FlagInUse)
		if e, err := Split(raw, ChecksumNone); err != nil || e.Flags&FlagInUse == 0 {
			t.Error(err)
		}
	}
}

func TestFirstRotateIsReadWithChecksumAndWithout(t *testing.T) {
	for _, sum := range []Checksum{ChecksumNone, ChecksumCRC32} {
		raw := event(TypeRotate, sum, append(make([]byte, 8), "binlog.000001"...)...)
		e, err := Split(raw, ChecksumDetect)
		if err != nil {
			t.Fatal(err)
		}
		if rotate, err := ParseRotate(e); err != nil || string(rotate.File) != "binlog.000001" {
			t.Errorf("%+v, %v", rotate, err)
		}
	}
}

func TestEventsOfTheWrongSizeAreRefused(t *testing.T) {
	raw := event(TypeXID, ChecksumNone, make([]byte, 8)...)
	for n := range raw {
		if _, err := Split(raw[:n], ChecksumNone); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := Split(append(raw, 0), ChecksumNone); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	if _, err := Split(event(TypeXID, ChecksumNone), ChecksumCRC32); !errors.Is(err, ErrMalformed) {
		t.Error("an event without room for a checksum")
	}
	if _, err := Split(raw, 7); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}

func TestServerVersionsAreRead(t *testing.T) {
	for name, want := range map[string]uint32{
		"5.7.44-log": 50744, "8.0.36": 80036, "9.7.4-2": 90704, "10.11.19-MariaDB-0+deb12u1-log": 101119, "5.5.5-10.5.1-MariaDB": 100501,
		"11.8.2": 110802, "": 0, "x": 0, "9": 0, "9.7": 0, "9.7.": 0, "9.100.1": 0, "9999.1.1": 0,
	} {
		if got := versionNumber([]byte(name)); got != want {
			t.Errorf("%q is %d, want %d", name, got, want)
		}
	}
}

func TestFormatsOfOtherSizesAreRefused(t *testing.T) {
	for _, raws := range recordings(t) {
		e, err := Split(raws[1], ChecksumDetect)
		if err != nil {
			t.Fatal(err)
		}
		for offset, why := range map[int]string{1: "version", formatHeaderAt: "header", 57 + int(TypeTableMap) - 1: "table map"} {
			changed := e
			changed.Body = slices.Clone(e.Body)
			changed.Body[offset]++
			if _, err := ParseFormat(changed); !errors.Is(err, ErrUnsupported) {
				t.Errorf("another %s: %v", why, err)
			}
		}
	}
}

// No event that is cut short is read as if it were whole, where its kind allows to tell.
func TestCutEventsAreRefused(t *testing.T) {
	// Their last field is the rest of the event, or one that older servers leave out.
	open := []Type{TypeQuery, TypeRotate, TypeMariaAnnotateRows, TypeRowsQuery, TypeHeartbeat, TypeGTID, TypeAnonymousGTID, TypeFormatDescription, TypeMariaGTID, TypeUserVar, TypeBeginLoadQuery, TypeAppendBlock, TypeExecuteLoadQuery}
	for name, raws := range recordings(t) {
		s := stream{}
		s.each = func(e Event, _ []byte) {
			if v, err := parse(e, &s.format, &s.z); err != nil || slices.Contains(open, e.Type) || e.Type.IsRows() || v == nil {
				if err != nil {
					t.Errorf("%s: %s: %v", name, e.Type, err)
				}
				return
			}
			for n := range e.Body {
				cut := e
				cut.Body = e.Body[:n:n]
				if _, err := parse(cut, &s.format, &s.z); err == nil && e.Type != TypeTableMap {
					t.Errorf("%s: %s of %d bytes is read from %d", name, e.Type, len(e.Body), n)
				}
			}
		}
		s.read(t, raws)
	}
}
