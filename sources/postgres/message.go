package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Messages of the pgoutput plugin, protocol version 1. Every length is checked against the bytes at hand; nothing is allocated
// for a length that a message merely claims.
const (
	messageBegin    = 'B'
	messageCommit   = 'C'
	messageOrigin   = 'O'
	messageRelation = 'R'
	messageType     = 'Y'
	messageInsert   = 'I'
	messageUpdate   = 'U'
	messageDelete   = 'D'
	messageTruncate = 'T'
	messageLogical  = 'M'
	// messageStreamAbort does not belong to version 1, but some servers send it for a transaction that was never streamed.
	messageStreamAbort = 'A'
)

// Kinds of a column in a tuple.
const (
	columnNull      = 'n'
	columnUnchanged = 'u'
	columnText      = 't'
	columnBinary    = 'b'
)

// Kinds of a tuple.
const (
	tupleNew     = 'N'
	tupleOldKey  = 'K'
	tupleOldFull = 'O'
)

// errMessage is the cause of every error about bytes that are no message.
var errMessage = errors.New("bytes are not a pgoutput message")

// reader reads a message from front to back. Its first failure sticks: what is read afterwards is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	head := r.b[:n:n]
	r.b = r.b[n:]
	return head
}

func (r *reader) u8() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// text is a string that a zero byte ends.
func (r *reader) text() []byte {
	end := bytes.IndexByte(r.b, 0)
	if end < 0 {
		r.bad, r.b = true, nil
		return nil
	}
	head := r.b[:end:end]
	r.b = r.b[end+1:]
	return head
}

// column is the next column of a tuple.
func (r *reader) column() (kind byte, data []byte) {
	kind = r.u8()
	switch kind {
	case columnNull, columnUnchanged:
		return kind, nil
	case columnText, columnBinary:
		size := r.u32()
		if size > maxMessageBytes {
			r.bad = true
			return 0, nil
		}
		return kind, r.take(int(size))
	}
	r.bad = true
	return 0, nil
}

// end says whether the message was read to its end and no further.
func (r *reader) end(kind byte) error {
	if r.bad || len(r.b) != 0 {
		return fmt.Errorf("read message %q: %w", kind, errMessage)
	}
	return nil
}

// beginMessage opens a transaction.
type beginMessage struct {
	commit LSN // where its commit record begins
	time   int64
	xid    uint32
}

func parseBegin(b []byte) (m beginMessage, err error) {
	r := reader{b: b}
	m.commit, m.time, m.xid = LSN(r.u64()), int64(r.u64()), r.u32()
	return m, r.end(messageBegin)
}

// commitMessage closes it.
type commitMessage struct {
	flags       byte
	commit, end LSN
	time        int64
}

func parseCommit(b []byte) (m commitMessage, err error) {
	r := reader{b: b}
	m.flags, m.commit, m.end, m.time = r.u8(), LSN(r.u64()), LSN(r.u64()), int64(r.u64())
	return m, r.end(messageCommit)
}

// relationMessage describes a table before its first change on a connection and after every change of its shape.
type relationMessage struct {
	oid          uint32
	schema, name string
	identity     byte // d default, n nothing, f full, i index
	columns      []relationColumn
}

type relationColumn struct {
	key  bool
	name string
	typ  uint32
	mod  int32
}

// minColumnBytes is the least that a column of a relation message takes: flags, the end of the name, type and modifier.
const minColumnBytes = 1 + 1 + 4 + 4

func parseRelation(b []byte) (m relationMessage, err error) {
	r := reader{b: b}
	m.oid, m.schema, m.name, m.identity = r.u32(), string(r.text()), string(r.text()), r.u8()
	if m.schema == "" {
		m.schema = "pg_catalog"
	}
	n := int(r.u16())
	if n*minColumnBytes > len(r.b) {
		r.bad = true
		return m, r.end(messageRelation)
	}
	m.columns = make([]relationColumn, n)
	for i := range m.columns {
		c := &m.columns[i]
		c.key = r.u8()&1 != 0
		c.name, c.typ, c.mod = string(r.text()), r.u32(), int32(r.u32())
	}
	return m, r.end(messageRelation)
}

// truncateMessage empties tables.
type truncateMessage struct {
	options byte
	oids    []uint32
}

const (
	truncateCascade = 1
	truncateRestart = 2
)

func parseTruncate(b []byte) (m truncateMessage, err error) {
	r := reader{b: b}
	n := r.u32()
	m.options = r.u8()
	if uint64(n)*4 != uint64(len(r.b)) {
		r.bad = true
		return m, r.end(messageTruncate)
	}
	m.oids = make([]uint32, n)
	for i := range m.oids {
		m.oids[i] = r.u32()
	}
	return m, r.end(messageTruncate)
}

// logicalMessage is what pg_logical_emit_message wrote.
type logicalMessage struct {
	transactional   bool
	lsn             LSN
	prefix, content []byte
}

func parseLogical(b []byte) (m logicalMessage, err error) {
	r := reader{b: b}
	m.transactional, m.lsn, m.prefix = r.u8()&1 != 0, LSN(r.u64()), r.text()
	size := r.u32()
	if size > maxMessageBytes {
		r.bad = true
	}
	m.content = r.take(int(size))
	return m, r.end(messageLogical)
}

// envelope is the frame around messages of the stream: the payload of one CopyData.
type envelope struct {
	keepalive bool
	// start is where the message lies, end how far the server had read when it sent it.
	start, end LSN
	sent       int64
	// reply asks for a status at once.
	reply   bool
	message []byte
}

func parseEnvelope(b []byte) (e envelope, err error) {
	r := reader{b: b}
	switch kind := r.u8(); kind {
	case 'w':
		e.start, e.end, e.sent = LSN(r.u64()), LSN(r.u64()), int64(r.u64())
		if r.bad || len(r.b) == 0 {
			return e, fmt.Errorf("read stream data: %w", errMessage)
		}
		e.message = r.b
		return e, nil
	case 'k':
		e.keepalive = true
		e.end, e.sent, e.reply = LSN(r.u64()), int64(r.u64()), r.u8() != 0
		return e, r.end(kind)
	default:
		return e, fmt.Errorf("read stream message %q: %w", kind, errMessage)
	}
}
