package postgres

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"cdc/schema"
)

const (
	closeTimeout = 2 * time.Second
	// wireBufferBytes is how much is read at once: the walsender sends one small message a change.
	wireBufferBytes = 256 << 10
	// maxMessageBytes bounds one message, as Postgres does.
	maxMessageBytes = 1<<30 - 1
	// silenceMin is the shortest silence after which a connection counts as lost. We ask for an answer every second.
	silenceMin   = 60 * time.Second
	writeTimeout = 20 * time.Second
)

// wire stands between a connection and the client library's reader. It lets the library read to the end of a message and no
// further, so that the stream that follows can be read here, many messages at a time and in place, without losing a byte.
type wire struct {
	in *bufio.Reader
	// left is what the library may still read of the message at the front.
	left int
}

// build is for the client library: it makes the wire read from the connection that is being opened.
func (w *wire) build(r io.Reader, out io.Writer) *pgproto3.Frontend {
	*w = wire{in: bufio.NewReaderSize(r, wireBufferBytes)}
	return pgproto3.NewFrontend(w, out)
}

// walsender is a session that speaks the walsender's commands.
type walsender struct {
	*pgconn.PgConn
	wire *wire
}

const messageHeaderBytes = 5

// Read gives the library what it may have of the message at the front.
func (w *wire) Read(p []byte) (int, error) {
	if w.left == 0 {
		header, err := w.in.Peek(messageHeaderBytes)
		if err != nil {
			return 0, err
		}
		length := int(binary.BigEndian.Uint32(header[1:]))
		if length < 4 || length > maxMessageBytes {
			return 0, fmt.Errorf("read message: length %d", length)
		}
		w.left = length + 1
	}
	if len(p) > w.left {
		p = p[:w.left]
	}
	n, err := w.in.Read(p)
	w.left -= n
	return n, err
}

// feed is a connection on which the server streams.
type feed struct {
	conn net.Conn
	in   *bufio.Reader
	pid  uint32
	// silence is how long nothing may be heard.
	silence time.Duration
	big     []byte // a message larger than the buffer
	skip    int    // bytes of the last message, still in the buffer
	gather  gather

	writeMu sync.Mutex // guards writes to conn
}

// startFeed sends the command that turns the connection into a stream. On success it takes the connection over.
func startFeed(ctx context.Context, conn *walsender, sql string, silence time.Duration) (*feed, error) {
	conn.Frontend().SendQuery(&pgproto3.Query{String: sql})
	if err := conn.Frontend().Flush(); err != nil {
		return nil, fmt.Errorf("start replication: %w", err)
	}
	for {
		message, err := conn.ReceiveMessage(ctx)
		if err != nil {
			return nil, fmt.Errorf("start replication: %w", err)
		}
		switch m := message.(type) {
		case *pgproto3.CopyBothResponse:
			return takeOver(conn, silence)
		case *pgproto3.ErrorResponse:
			return nil, fmt.Errorf("start replication: %w", pgconn.ErrorResponseToPgError(m))
		}
	}
}

func takeOver(conn *walsender, silence time.Duration) (*feed, error) {
	hijacked, err := conn.Hijack()
	if err != nil {
		return nil, fmt.Errorf("start replication: %w", err)
	}
	if conn.wire.left != 0 {
		return nil, errors.New("start replication: the stream begins within a message")
	}
	return &feed{conn: hijacked.Conn, in: conn.wire.in, pid: hijacked.PID, silence: silence}, nil
}

// next is the payload of the next CopyData message; it is valid until the following call.
func (f *feed) next() ([]byte, error) {
	for {
		kind, body, err := f.message()
		if err != nil {
			return nil, err
		}
		switch kind {
		case 'd':
			return body, nil
		case 'E':
			var reply pgproto3.ErrorResponse
			if err := reply.Decode(body); err != nil {
				return nil, fmt.Errorf("read stream: %w", err)
			}
			return nil, fmt.Errorf("read stream: %w", pgconn.ErrorResponseToPgError(&reply))
		case 'N', 'S':
			// Notices and settings do not concern the stream.
		case 'c', 'C', 'Z':
			return nil, errors.New("read stream: the server ended it")
		default:
			return nil, fmt.Errorf("read stream: message %q does not belong into a stream", kind)
		}
	}
}

// message reads a message of the protocol, in place when it fits into the buffer.
func (f *feed) message() (kind byte, body []byte, err error) {
	if f.skip > 0 {
		_, _ = f.in.Discard(f.skip) // it is in the buffer
		f.skip = 0
	}
	header, err := f.peek(messageHeaderBytes)
	if err != nil {
		return 0, nil, err
	}
	kind = header[0]
	size := int(binary.BigEndian.Uint32(header[1:])) - 4
	if size < 0 || size > maxMessageBytes {
		return 0, nil, fmt.Errorf("read stream: message of %d bytes", size)
	}
	if messageHeaderBytes+size <= f.in.Size() {
		whole, err := f.peek(messageHeaderBytes + size)
		if err != nil {
			return 0, nil, err
		}
		f.skip = len(whole)
		return kind, whole[messageHeaderBytes:], nil
	}
	_, _ = f.in.Discard(messageHeaderBytes)
	body, err = f.readBig(size)
	return kind, body, err
}

// peek waits only when the buffer does not hold n bytes, and no longer than a connection may be silent.
func (f *feed) peek(n int) ([]byte, error) {
	before := f.in.Buffered()
	if before < n {
		time.Sleep(f.gather.pause())
		if err := f.conn.SetReadDeadline(time.Now().Add(f.silence)); err != nil {
			return nil, fmt.Errorf("read stream: %w", err)
		}
	}
	b, err := f.in.Peek(n)
	if err != nil {
		return nil, fmt.Errorf("read stream: %w", err)
	}
	if before < n {
		f.gather.read(f.in.Buffered()-before, time.Now())
	}
	return b, nil
}

// readBig reads a message that does not fit into the buffer, growing only as bytes arrive.
func (f *feed) readBig(size int) ([]byte, error) {
	f.big = f.big[:0]
	for len(f.big) < size {
		piece := min(size-len(f.big), 1<<20)
		at := len(f.big)
		f.big = append(f.big, make([]byte, piece)...)
		if err := f.conn.SetReadDeadline(time.Now().Add(f.silence)); err != nil {
			return nil, fmt.Errorf("read stream: %w", err)
		}
		if _, err := io.ReadFull(f.in, f.big[at:]); err != nil {
			return nil, fmt.Errorf("read stream: %w", err)
		}
	}
	body := f.big
	if cap(f.big) > bigKept {
		f.big = nil
	}
	return body, nil
}

// bigKept is how large a buffer for one message may be and be kept for the next.
const bigKept = 8 << 20

// statusBytes is the size of a status update with its CopyData header.
const statusBytes = messageHeaderBytes + 34

// status tells the server how far we are: what has arrived, and what is durable here. flushed is never zero: the server would
// take nothing from it, but the client library's own function would say that everything that arrived is durable.
func (f *feed) status(received, flushed LSN, reply bool) error {
	var b [statusBytes]byte
	b[0] = 'd'
	binary.BigEndian.PutUint32(b[1:], statusBytes-1)
	b[5] = 'r'
	binary.BigEndian.PutUint64(b[6:], uint64(max(received, flushed)))
	binary.BigEndian.PutUint64(b[14:], uint64(flushed))
	binary.BigEndian.PutUint64(b[22:], uint64(flushed))
	binary.BigEndian.PutUint64(b[30:], uint64(time.Now().UnixMicro()-schema.UnixEpoch2000))
	if reply {
		b[38] = 1
	}
	f.writeMu.Lock()
	defer f.writeMu.Unlock()
	if err := f.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("send status: %w", err)
	}
	if _, err := f.conn.Write(b[:]); err != nil {
		return fmt.Errorf("send status: %w", err)
	}
	return nil
}

func (f *feed) close() { _ = f.conn.Close() }
