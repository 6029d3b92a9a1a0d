package binlog

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"strconv"
)

// UUID names a MySQL server.
type UUID [16]byte

const uuidTextBytes = 36

// ParseUUID reads the text form with hyphens.
func ParseUUID(text string) (UUID, error) {
	var u UUID
	if len(text) != uuidTextBytes || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return u, fmt.Errorf("read UUID %.40q: %w", text, ErrMalformed)
	}
	var digits [32]byte
	n := copy(digits[:], text[:8])
	n += copy(digits[n:], text[9:13])
	n += copy(digits[n:], text[14:18])
	n += copy(digits[n:], text[19:23])
	copy(digits[n:], text[24:])
	if _, err := hex.Decode(u[:], digits[:]); err != nil {
		return u, fmt.Errorf("read UUID %.40q: %w", text, ErrMalformed)
	}
	return u, nil
}

// AppendText appends the text form, in lower case as the server prints it.
func (u UUID) AppendText(b []byte) ([]byte, error) {
	b = append(hex.AppendEncode(b, u[:4]), '-')
	b = append(hex.AppendEncode(b, u[4:6]), '-')
	b = append(hex.AppendEncode(b, u[6:8]), '-')
	b = append(hex.AppendEncode(b, u[8:10]), '-')
	return hex.AppendEncode(b, u[10:]), nil
}

func (u UUID) String() string {
	b, _ := u.AppendText(make([]byte, 0, uuidTextBytes))
	return string(b)
}

// TagBytesMax is the length of the longest tag.
const TagBytesMax = 32

// Tag divides the transactions of one server (MySQL 8.3). The zero value is no tag. Tags are comparable.
type Tag struct {
	length byte
	text   [TagBytesMax]byte
}

// ParseTag reads a tag: a letter or an underscore, then letters, digits and underscores. Letters are kept in lower case, as the
// server does.
func ParseTag(text string) (Tag, error) { return parseTag([]byte(text)) }

func parseTag(text []byte) (Tag, error) {
	var tag Tag
	if len(text) > TagBytesMax {
		return tag, fmt.Errorf("read GTID tag: %w: %d bytes", ErrMalformed, len(text))
	}
	for i, c := range text {
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9':
		default:
			return Tag{}, fmt.Errorf("read GTID tag %q: %w", text, ErrMalformed)
		}
		tag.text[i] = c
	}
	tag.length = byte(len(text))
	return tag, nil
}

func (t *Tag) bytes() []byte { return t.text[:t.length] }

func (t Tag) String() string { return string(t.bytes()) }

// GTID names a transaction of a MySQL server.
type GTID struct {
	UUID UUID
	Tag  Tag
	// GNO is its number among those with the same UUID and tag, from 1; 0 in the zero value and in ANONYMOUS_GTID.
	GNO uint64
}

// gnoMax is the largest number of a transaction (mysql-server, libs/mysql/gtids: GNO_END is the one after it).
const gnoMax = 1<<63 - 2

// String is the GTID as the server prints it: uuid:gno or uuid:tag:gno.
func (g GTID) String() string {
	b, _ := g.UUID.AppendText(nil)
	if g.Tag.length > 0 {
		b = append(append(b, ':'), g.Tag.bytes()...)
	}
	return string(strconv.AppendUint(append(b, ':'), g.GNO, 10))
}

func (g GTID) compareSource(uuid UUID, tag *Tag) int {
	return cmp.Or(bytes.Compare(g.UUID[:], uuid[:]), bytes.Compare(g.Tag.bytes(), tag.bytes()))
}

// GTIDEvent is a GTID, GTID_TAGGED or ANONYMOUS_GTID: it stands before each transaction of a MySQL server and says what follows.
// What a server does not tell is 0.
type GTIDEvent struct {
	// GTID is the transaction's; its zero value in ANONYMOUS_GTID.
	GTID GTID
	// StatementBased says that the transaction may hold statements instead of rows.
	StatementBased bool
	// LastCommitted and Sequence are logical times within one file: the transaction depends on none after LastCommitted.
	LastCommitted, Sequence int64
	// OriginalCommit is when the transaction was committed on the server that executed it first, ImmediateCommit when on the one
	// that wrote this log, in microseconds since 1970 (8.0.1).
	OriginalCommit, ImmediateCommit uint64
	// Bytes is the size of the whole transaction, this event included, as it was before compression (8.0.2).
	Bytes uint64
	// OriginalServer and ImmediateServer are the versions of those servers, like 80036 (8.0.14).
	OriginalServer, ImmediateServer uint32
	// CommitGroup is the ticket of a group of transactions that replication commits together.
	CommitGroup uint64
}

const (
	gtidStatementBased  = 1
	gtidLogicalClock    = 2       // the kind of logical clock that every server since 5.7.5 writes
	gtidOriginalFollows = 1 << 55 // in the immediate commit timestamp
	gtidVersionFollows  = 1 << 31 // in the immediate server version
	gtidVersionUnknown  = 999999
)

// ParseGTID reads a GTID, GTID_TAGGED or ANONYMOUS_GTID.
func ParseGTID(e Event) (GTIDEvent, error) {
	if e.Type == TypeGTIDTagged {
		return parseTagged(e)
	}
	r := reader{b: e.Body}
	var g GTIDEvent
	g.StatementBased = r.u8()&gtidStatementBased != 0
	copy(g.GTID.UUID[:], r.take(len(g.GTID.UUID)))
	g.GTID.GNO = r.u64()
	parseGTIDClock(&r, &g)
	return g, checkGTID(&r, e.Type, &g)
}

// parseGTIDClock reads what servers have added over time, as far as it is there (mysql-server, control_events.cpp:
// Gtid_event::Gtid_event).
func parseGTIDClock(r *reader, g *GTIDEvent) {
	if len(r.b) < 1+8+8 || r.u8() != gtidLogicalClock {
		return
	}
	g.LastCommitted, g.Sequence = int64(r.u64()), int64(r.u64())
	if len(r.b) < 7 {
		return
	}
	g.ImmediateCommit = r.u56()
	g.OriginalCommit = g.ImmediateCommit
	if g.ImmediateCommit&gtidOriginalFollows != 0 {
		g.ImmediateCommit &^= gtidOriginalFollows
		g.OriginalCommit = r.u56()
	}
	if len(r.b) > 0 {
		g.Bytes = r.packed()
	}
	if len(r.b) >= 4 {
		g.ImmediateServer = r.u32()
		g.OriginalServer = g.ImmediateServer
		if g.ImmediateServer&gtidVersionFollows != 0 {
			g.ImmediateServer &^= gtidVersionFollows
			g.OriginalServer = r.u32()
		}
	}
	if len(r.b) >= 8 {
		g.CommitGroup = r.u64()
	}
}

// checkGTID holds for all three kinds: only an anonymous transaction has no number.
func checkGTID(r *reader, t Type, g *GTIDEvent) error {
	if (t == TypeAnonymousGTID) != (g.GTID.GNO == 0) || g.GTID.GNO > gnoMax {
		r.fail()
	}
	if t == TypeAnonymousGTID {
		g.GTID = GTID{}
	}
	if g.OriginalServer == gtidVersionUnknown {
		g.OriginalServer = 0
	}
	if g.ImmediateServer == gtidVersionUnknown {
		g.ImmediateServer = 0
	}
	return r.err(t)
}

// taggedVersion is that of mysql::serialization.
const taggedVersion = 1

// Fields of GTID_TAGGED (mysql-server, control_events.h: Gtid_event::define_fields).
const (
	taggedFlags = iota
	taggedUUID
	taggedGNO
	taggedTag
	taggedLastCommitted
	taggedSequence
	taggedImmediateCommit
	taggedOriginalCommit
	taggedBytes
	taggedImmediateServer
	taggedOriginalServer
	taggedCommitGroup
	taggedEnd
)

// parseTagged reads a GTID_TAGGED, a message of mysql::serialization: version, size, the last field that a reader must know, then
// fields in the order of their numbers. Fields that are not sent have defaults.
func parseTagged(e Event) (GTIDEvent, error) {
	message := reader{b: e.Body}
	version, size, needed := message.varint(), message.varint(), message.varint()
	// The size counts the message from its first byte.
	header := uint64(len(e.Body) - len(message.b))
	if version != taggedVersion && !message.bad {
		return GTIDEvent{}, fmt.Errorf("read %s event: serialization version %d: %w", e.Type, version, ErrUnsupported)
	}
	if size < header {
		message.fail()
		size = header
	}
	r := reader{b: message.sized(size - header), bad: message.bad}
	if needed >= taggedEnd && !r.bad {
		return GTIDEvent{}, fmt.Errorf("read %s event: field %d: %w", e.Type, needed, ErrUnsupported)
	}
	var g GTIDEvent
	seen := 0
	for len(r.b) > 0 {
		field := r.varint()
		if field >= taggedEnd {
			break // newer ones, that may be ignored
		}
		if 1<<field <= seen {
			r.fail()
		}
		seen |= 1 << field
		parseTaggedField(&r, &g, field)
	}
	const required = 1<<taggedUUID | 1<<taggedGNO
	if seen&required != required {
		r.fail()
	}
	if seen&(1<<taggedOriginalCommit) == 0 {
		g.OriginalCommit = g.ImmediateCommit
	}
	if seen&(1<<taggedOriginalServer) == 0 {
		g.OriginalServer = g.ImmediateServer
	}
	return g, checkGTID(&r, e.Type, &g)
}

func parseTaggedField(r *reader, g *GTIDEvent, field uint64) {
	switch field {
	case taggedFlags:
		g.StatementBased = r.varint()&gtidStatementBased != 0
	case taggedUUID:
		for i := range g.GTID.UUID {
			b := r.varint()
			if b > 255 {
				r.fail()
			}
			g.GTID.UUID[i] = byte(b)
		}
	case taggedGNO:
		g.GTID.GNO = uint64(r.signedVarint())
	case taggedTag:
		g.GTID.Tag = readTag(r)
	case taggedLastCommitted:
		g.LastCommitted = r.signedVarint()
	case taggedSequence:
		g.Sequence = r.signedVarint()
	case taggedImmediateCommit:
		g.ImmediateCommit = r.varint()
	case taggedOriginalCommit:
		g.OriginalCommit = r.varint()
	case taggedBytes:
		g.Bytes = r.varint()
	case taggedImmediateServer:
		g.ImmediateServer = uint32(r.varint())
	case taggedOriginalServer:
		g.OriginalServer = uint32(r.varint())
	case taggedCommitGroup:
		g.CommitGroup = r.varint()
	}
}

// readTag reads a tag with its length before it.
func readTag(r *reader) Tag {
	tag, err := parseTag(r.sized(r.varint()))
	if err != nil {
		r.fail()
	}
	return tag
}
