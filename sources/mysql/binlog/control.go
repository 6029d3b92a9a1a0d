package binlog

import (
	"bytes"
	"fmt"
)

// Rotate says which file follows: at the end of a file, and, with FlagArtificial and timestamp 0, at the beginning of a stream and
// of each file, for a replica that does not know where it is.
type Rotate struct {
	File     []byte
	Position uint64
}

// ParseRotate reads a ROTATE.
func ParseRotate(e Event) (Rotate, error) {
	r := reader{b: e.Body}
	rotate := Rotate{Position: r.u64(), File: r.rest()}
	if len(rotate.File) == 0 {
		r.fail()
	}
	return rotate, r.err(e.Type)
}

// ParseXID reads an XID, the commit of a transaction of a transactional engine. The number is the engine's.
func ParseXID(e Event) (uint64, error) {
	r := reader{b: e.Body}
	xid := r.u64()
	return xid, r.err(e.Type)
}

// XID names an XA transaction. Format is -1 in one that names none.
type XID struct {
	Format       int32
	GTRID, BQUAL []byte
}

// xidPartMax is the longest that each part of an XID may be.
const xidPartMax = 64

// Equal tells whether both name the same transaction.
func (x XID) Equal(other XID) bool {
	return x.Format == other.Format && bytes.Equal(x.GTRID, other.GTRID) && bytes.Equal(x.BQUAL, other.BQUAL)
}

// XAPrepare ends an XA transaction in the log: what came before it is prepared, and committed only when OnePhase is set or an
// XA COMMIT follows later (mysql-server, control_events.h: XA_prepare_event).
type XAPrepare struct {
	OnePhase bool
	XID      XID
}

// ParseXAPrepare reads an XA_PREPARE.
func ParseXAPrepare(e Event) (XAPrepare, error) {
	r := reader{b: e.Body}
	p := XAPrepare{OnePhase: r.u8() != 0}
	p.XID.Format = int32(r.u32())
	gtrid, bqual := r.u32(), r.u32()
	if gtrid > xidPartMax || bqual > xidPartMax {
		r.fail()
	}
	p.XID.GTRID, p.XID.BQUAL = r.sized(uint64(gtrid)), r.sized(uint64(bqual))
	return p, r.err(e.Type)
}

// Heartbeat says how far the server has read when it has nothing to send.
type Heartbeat struct {
	File     []byte
	Position uint64
}

// Fields of HEARTBEAT_V2 (mysql-server, codecs/binary.cpp: Heartbeat::decode).
const (
	heartbeatEnd      = 0
	heartbeatFile     = 1
	heartbeatPosition = 2
)

// ParseHeartbeat reads a HEARTBEAT or HEARTBEAT_V2. The first has its position in the header; MariaDB writes one that does not fit
// there before the name of the file.
func ParseHeartbeat(e Event) (Heartbeat, error) {
	r := reader{b: e.Body}
	if e.Type != TypeHeartbeatV2 {
		h := Heartbeat{Position: uint64(e.NextPos)}
		if e.NextPos == 0 {
			h.Position = r.u64()
		}
		if h.File = r.rest(); len(h.File) == 0 {
			r.fail()
		}
		return h, r.err(e.Type)
	}
	var h Heartbeat
	for !r.bad {
		field := r.packed()
		if field == heartbeatEnd {
			break
		}
		value := reader{b: r.packedBytes(), bad: r.bad}
		switch field {
		case heartbeatFile:
			h.File = value.b
		case heartbeatPosition:
			h.Position = value.packed()
			r.bad = r.bad || value.bad
		}
	}
	return h, r.err(e.Type)
}

// Incident says that the log lacks something that happened on the server.
type Incident struct {
	// Number is 1 for lost events.
	Number  uint16
	Message []byte
}

// ParseIncident reads an INCIDENT.
func ParseIncident(e Event) (Incident, error) {
	r := reader{b: e.Body}
	i := Incident{Number: r.u16()}
	i.Message = r.take(int(r.u8()))
	return i, r.err(e.Type)
}

// ViewChange says that the members of a replication group have changed. It takes a GTID like a transaction.
type ViewChange struct {
	ID  []byte
	Seq uint64
}

const viewIDBytes = 40

// ParseViewChange reads a VIEW_CHANGE. What certification needs after it is not read.
func ParseViewChange(e Event) (ViewChange, error) {
	r := reader{b: e.Body}
	id := r.take(viewIDBytes)
	if end := bytes.IndexByte(id, 0); end >= 0 {
		id = id[:end]
	}
	v := ViewChange{ID: id, Seq: r.u64()}
	return v, r.err(e.Type)
}

// ParseBinlogCheckpoint reads a MariaDB BINLOG_CHECKPOINT: the file from which the server would recover.
func ParseBinlogCheckpoint(e Event) (file []byte, err error) {
	r := reader{b: e.Body}
	file = r.sized(uint64(r.u32()))
	return file, r.err(e.Type)
}

// StartEncryption says that what follows it in a MariaDB file is encrypted. A server decrypts what it sends.
type StartEncryption struct {
	Scheme     byte
	KeyVersion uint32
	Nonce      []byte
}

const encryptionNonceBytes = 12

// ParseStartEncryption reads a START_ENCRYPTION.
func ParseStartEncryption(e Event) (StartEncryption, error) {
	r := reader{b: e.Body}
	s := StartEncryption{Scheme: r.u8(), KeyVersion: r.u32()}
	s.Nonce = r.take(encryptionNonceBytes)
	return s, r.err(e.Type)
}

// wrongType is the error of a function that is given an event of another type than it reads.
func wrongType(t Type, wanted string) error {
	return fmt.Errorf("read %s event as %s: %w", t, wanted, ErrMalformed)
}
