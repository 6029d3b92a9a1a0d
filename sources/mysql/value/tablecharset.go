package value

import (
	"bytes"
	"compress/flate"
	_ "embed" // for the table
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"
)

// The character sets that are not Unicode are read through tables that were asked of the servers, so that they are exact where a
// library has another opinion: the servers differ from WHATWG's and from Unicode's mappings in many places. charset.bin holds them;
// TestCharsetTables compares each with the servers, and writes the file with -rewrite.
//
// A table has a cell for every byte sequence that may be a character, with its code point; zero where there is none. The cells are
//
//	0 … 255              one byte
//	256 … 33023          two bytes, the first from 0x80 on: 256 + (first-0x80)*256 + second
//	33024 … 49407        three bytes, the first 0x8f (EUC-JP): 33024 + (second-0x80)*128 + third-0x80
//	33024 … 72443        four bytes of GB 18030 in the basic plane: 33024 + their number in the order of the standard
//
//go:embed charset.bin
var charsetFile []byte

const (
	pairCells   = 256
	tripleCells = pairCells + 128*256
	tripleEnd   = tripleCells + 128*128
	quadCells   = tripleCells
	quadEnd     = quadCells + 39420
	// Beyond the basic plane GB 18030 counts on without a table.
	quadSupplement = 189000

	tripleLead = 0x8f
)

// cellTable is the table of one character set.
type cellTable struct {
	name  string
	width int
	cells []uint16
	// ascii says that bytes below 0x80 stand for themselves.
	ascii bool
}

// tableCharsets are the character sets of charset.bin, each unpacked when it is used first.
func tableCharsets() []*charset {
	var all []*charset
	for file := charsetFile; len(file) > 0; {
		name := string(file[1 : 1+file[0]])
		file = file[1+file[0]:]
		width, size := int(file[0]), binary.LittleEndian.Uint32(file[1:])
		packed := file[5 : 5+size]
		file = file[5+size:]
		unpack := sync.OnceValue(func() *cellTable { return unpackTable(name, width, packed) })
		all = append(all, &charset{name: name, width: width, appendUTF8: func(dst, text []byte) ([]byte, error) {
			return unpack().appendUTF8(dst, text)
		}})
	}
	return all
}

// unpackTable reads a table: the differences of neighbouring cells, their low bytes before their high ones, deflated. The file is
// part of the program, so that damage is a bug.
func unpackTable(name string, width int, packed []byte) *cellTable {
	raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		panic(fmt.Sprintf("charset.bin: %s: %v", name, err))
	}
	n := len(raw) / 2
	t := &cellTable{name: name, width: width, cells: make([]uint16, n), ascii: true}
	last := uint16(0)
	for i := range t.cells {
		last += uint16(raw[i]) | uint16(raw[n+i])<<8
		t.cells[i] = last
		t.ascii = t.ascii && (i >= utf8.RuneSelf || int(last) == i)
	}
	return t
}

// pack is the inverse of unpackTable.
func (t *cellTable) pack() []byte {
	raw := make([]byte, 2*len(t.cells))
	last := uint16(0)
	for i, c := range t.cells {
		raw[i], raw[len(t.cells)+i] = byte(c-last), byte((c-last)>>8)
		last = c
	}
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression) // the level is one there is
	_, _ = w.Write(raw)
	_ = w.Close()
	return out.Bytes()
}

func (t *cellTable) appendUTF8(dst, text []byte) ([]byte, error) {
	start := len(dst)
	for len(text) > 0 {
		if t.ascii {
			n := asciiPrefix(text)
			dst, text = append(dst, text[:n]...), text[n:]
			if len(text) == 0 {
				break
			}
		}
		r, n := t.character(text)
		if n == 0 {
			return dst[:start], ErrCharset
		}
		dst, text = utf8.AppendRune(dst, r), text[n:]
	}
	return dst, nil
}

// asciiPrefix is the number of leading bytes that are ASCII.
func asciiPrefix(text []byte) int {
	n := 0
	for len(text)-n >= 8 && binary.LittleEndian.Uint64(text[n:])&0x8080808080808080 == 0 {
		n += 8
	}
	for n < len(text) && text[n] < utf8.RuneSelf {
		n++
	}
	return n
}

// character reads the first character and its size, zero when there is none.
func (t *cellTable) character(text []byte) (r rune, n int) {
	c := text[0]
	if u := t.cells[c]; u != 0 || c == 0 {
		return rune(u), 1
	}
	if c < 0x80 || len(t.cells) == pairCells || len(text) < 2 {
		return 0, 0
	}
	if u := t.cells[pairCells+int(c-0x80)<<8+int(text[1])]; u != 0 {
		return rune(u), 2
	}
	switch {
	case len(t.cells) == tripleEnd && c == tripleLead && len(text) >= 3 && text[1] >= 0x80 && text[2] >= 0x80:
		if u := t.cells[tripleCells+int(text[1]-0x80)<<7+int(text[2]-0x80)]; u != 0 {
			return rune(u), 3
		}
	case len(t.cells) == quadEnd && len(text) >= 4:
		return t.quad(text)
	}
	return 0, 0
}

// quad reads a character of four bytes of GB 18030.
func (t *cellTable) quad(text []byte) (r rune, n int) {
	number, ok := quadNumber(text)
	switch {
	case !ok:
		return 0, 0
	case number >= quadSupplement && number < quadSupplement+utf8.MaxRune-0xffff:
		return rune(number-quadSupplement) + 0x10000, 4
	case quadCells+number < len(t.cells) && t.cells[quadCells+number] != 0:
		return rune(t.cells[quadCells+number]), 4
	}
	return 0, 0
}

// quadNumber counts sequences of four bytes: letters from 0x81 on and digits from 0x30 on take turns.
func quadNumber(b []byte) (number int, ok bool) {
	ok = b[0] >= 0x81 && b[0] <= 0xfe && b[1] >= 0x30 && b[1] <= 0x39 && b[2] >= 0x81 && b[2] <= 0xfe && b[3] >= 0x30 && b[3] <= 0x39
	return ((int(b[0]-0x81)*10+int(b[1]-0x30))*126+int(b[2]-0x81))*10 + int(b[3]-0x30), ok
}
