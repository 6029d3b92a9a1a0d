package sql

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"cdc/changelog"
)

// protocolVersion is that of the frames between a worker and its parent, which are of one build but for an upgrade in between.
const protocolVersion = 1

// frameKind is what a frame holds.
type frameKind uint8

// Kinds of frames. A frame is its size as u32 little-endian, counted from the kind on, the kind, and the payload.
const (
	frameHello    frameKind = 1 // first, to the worker and then from it: hello as JSON
	frameQuery    frameKind = 2 // to the worker: Question as JSON
	frameCancel   frameKind = 3 // to the worker: the query under way is to end
	frameHeader   frameKind = 4 // Header as JSON
	frameRows     frameKind = 5 // u32 number of rows, the u32 end of each, the rows
	frameEnd      frameKind = 6 // the answer is complete
	frameError    frameKind = 7 // Error as JSON; the answer ends
	frameProgress frameKind = 8 // the part of the log that has been read, as JSON
)

// maxFrameBytes bounds a frame. A chunk of rows holds one row at least, whatever its size.
const maxFrameBytes = 1<<31 - 1

type hello struct {
	Version int
	// TempDir is the folder that the parent made for the worker's temporary files, and removes when it is gone.
	TempDir string
}

// checkHello reads the first frame.
func checkHello(r io.Reader) (h hello, err error) {
	kind, payload, _, err := readFrame(r, nil)
	if err != nil {
		return h, err
	}
	if kind != frameHello || json.Unmarshal(payload, &h) != nil || h.Version != protocolVersion {
		return h, fmt.Errorf("the other side does not speak version %d of the worker's protocol", protocolVersion)
	}
	return h, nil
}

// Question is what a worker is asked.
type Question struct {
	SQL string
	// AsOf is the moment of the tables that name none, unless the text itself sets another. Empty is the session's: what SET
	// cdc.as_of chose in an earlier question, else now.
	AsOf string
	// Wait is how long to wait for the log to pass a moment, as in materialize.ResolveOptions.
	Wait time.Duration
	// Durable is the next offset of the log as its writer says, so that the worker sees all that is durable when it is asked; zero
	// when there is no writer to ask.
	Durable changelog.Offset
}

// frameWriter writes frames. It is for one goroutine.
type frameWriter struct {
	w   io.Writer
	buf []byte
}

// begin starts a frame.
func (f *frameWriter) begin(kind frameKind) { f.buf = append(f.buf[:0], 0, 0, 0, 0, byte(kind)) }

// end completes the frame and writes it at once.
func (f *frameWriter) end() error {
	size := len(f.buf) - 4
	if size > maxFrameBytes {
		return fmt.Errorf("write frame: %d bytes, more than %d", size, maxFrameBytes)
	}
	binary.LittleEndian.PutUint32(f.buf, uint32(size))
	_, err := f.w.Write(f.buf)
	return err
}

func (f *frameWriter) json(kind frameKind, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f.begin(kind)
	f.buf = append(f.buf, text...)
	return f.end()
}

// readFrame reads the next frame into buf, which it may replace. io.EOF says that the other side is gone between two frames.
func readFrame(r io.Reader, buf []byte) (kind frameKind, payload, grown []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, buf, err
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size < 1 || size > maxFrameBytes {
		return 0, nil, buf, fmt.Errorf("read frame: size %d", size)
	}
	buf, err = readGrowing(r, buf[:0], int(size)-1)
	return frameKind(head[4]), buf, buf, err
}

// readStep bounds how much memory a frame takes before its bytes are there.
const readStep = 1 << 20

func readGrowing(r io.Reader, buf []byte, size int) ([]byte, error) {
	for len(buf) < size {
		step := min(size-len(buf), readStep)
		start := len(buf)
		buf = append(buf, make([]byte, step)...)
		if _, err := io.ReadFull(r, buf[start:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return buf[:start], err
		}
	}
	return buf, nil
}

// chunk is the rows of one frame.
type chunk struct {
	ends  []byte // u32 each
	arena []byte
}

func readChunk(payload []byte) (chunk, error) {
	if len(payload) < 4 {
		return chunk{}, fmt.Errorf("read rows: %d bytes", len(payload))
	}
	n := uint64(binary.LittleEndian.Uint32(payload))
	if rest := uint64(len(payload) - 4); n > rest/4 {
		return chunk{}, fmt.Errorf("read rows: %d rows in %d bytes", n, rest)
	}
	c := chunk{ends: payload[4 : 4+4*n], arena: payload[4+4*n:]}
	before := uint32(0)
	for i := range int(n) {
		end := c.end(i)
		if end < before || int(end) > len(c.arena) {
			return chunk{}, fmt.Errorf("read rows: row %d ends at %d of %d bytes", i, end, len(c.arena))
		}
		before = end
	}
	return c, nil
}

func (c *chunk) len() int         { return len(c.ends) / 4 }
func (c *chunk) end(i int) uint32 { return binary.LittleEndian.Uint32(c.ends[4*i:]) }

// row is the packed bytes of row i.
func (c *chunk) row(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = c.end(i - 1)
	}
	return c.arena[start:c.end(i)]
}
