package binlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Type is the kind of an event. Numbers below 160 are those of both servers (mysql-server, libs/mysql/binlog/event/binlog_event.h),
// the others MariaDB's (server, sql/log_event.h).
type Type byte

// Types of events.
const (
	TypeUnknown            Type = 0
	TypeStartV3            Type = 1
	TypeQuery              Type = 2
	TypeStop               Type = 3
	TypeRotate             Type = 4
	TypeIntVar             Type = 5
	TypeLoad               Type = 6
	TypeSlave              Type = 7
	TypeCreateFile         Type = 8
	TypeAppendBlock        Type = 9
	TypeExecLoad           Type = 10
	TypeDeleteFile         Type = 11
	TypeNewLoad            Type = 12
	TypeRand               Type = 13
	TypeUserVar            Type = 14
	TypeFormatDescription  Type = 15
	TypeXID                Type = 16
	TypeBeginLoadQuery     Type = 17
	TypeExecuteLoadQuery   Type = 18
	TypeTableMap           Type = 19
	TypeWriteRowsV0        Type = 20
	TypeUpdateRowsV0       Type = 21
	TypeDeleteRowsV0       Type = 22
	TypeWriteRowsV1        Type = 23
	TypeUpdateRowsV1       Type = 24
	TypeDeleteRowsV1       Type = 25
	TypeIncident           Type = 26
	TypeHeartbeat          Type = 27
	TypeIgnorable          Type = 28
	TypeRowsQuery          Type = 29
	TypeWriteRows          Type = 30
	TypeUpdateRows         Type = 31
	TypeDeleteRows         Type = 32
	TypeGTID               Type = 33
	TypeAnonymousGTID      Type = 34
	TypePreviousGTIDs      Type = 35
	TypeTransactionContext Type = 36
	TypeViewChange         Type = 37
	TypeXAPrepare          Type = 38
	TypePartialUpdateRows  Type = 39
	TypeTransactionPayload Type = 40
	TypeHeartbeatV2        Type = 41
	TypeGTIDTagged         Type = 42

	TypeMariaAnnotateRows           Type = 160
	TypeMariaBinlogCheckpoint       Type = 161
	TypeMariaGTID                   Type = 162
	TypeMariaGTIDList               Type = 163
	TypeMariaStartEncryption        Type = 164
	TypeMariaQueryCompressed        Type = 165
	TypeMariaWriteRowsCompressedV1  Type = 166
	TypeMariaUpdateRowsCompressedV1 Type = 167
	TypeMariaDeleteRowsCompressedV1 Type = 168
	TypeMariaWriteRowsCompressed    Type = 169
	TypeMariaUpdateRowsCompressed   Type = 170
	TypeMariaDeleteRowsCompressed   Type = 171
	// TypeMariaPartialRowData is a piece of a rows event that is too large for one packet (12.3). Nothing here reads it.
	TypeMariaPartialRowData Type = 172
)

var typeNames = map[Type]string{
	TypeStartV3: "START_EVENT_V3", TypeQuery: "QUERY", TypeStop: "STOP", TypeRotate: "ROTATE", TypeIntVar: "INTVAR",
	TypeLoad: "LOAD", TypeSlave: "SLAVE", TypeCreateFile: "CREATE_FILE", TypeAppendBlock: "APPEND_BLOCK",
	TypeExecLoad: "EXEC_LOAD", TypeDeleteFile: "DELETE_FILE", TypeNewLoad: "NEW_LOAD", TypeRand: "RAND",
	TypeUserVar: "USER_VAR", TypeFormatDescription: "FORMAT_DESCRIPTION", TypeXID: "XID",
	TypeBeginLoadQuery: "BEGIN_LOAD_QUERY", TypeExecuteLoadQuery: "EXECUTE_LOAD_QUERY", TypeTableMap: "TABLE_MAP",
	TypeWriteRowsV0: "WRITE_ROWS_V0", TypeUpdateRowsV0: "UPDATE_ROWS_V0", TypeDeleteRowsV0: "DELETE_ROWS_V0",
	TypeWriteRowsV1: "WRITE_ROWS_V1", TypeUpdateRowsV1: "UPDATE_ROWS_V1", TypeDeleteRowsV1: "DELETE_ROWS_V1",
	TypeIncident: "INCIDENT", TypeHeartbeat: "HEARTBEAT", TypeIgnorable: "IGNORABLE", TypeRowsQuery: "ROWS_QUERY",
	TypeWriteRows: "WRITE_ROWS", TypeUpdateRows: "UPDATE_ROWS", TypeDeleteRows: "DELETE_ROWS", TypeGTID: "GTID",
	TypeAnonymousGTID: "ANONYMOUS_GTID", TypePreviousGTIDs: "PREVIOUS_GTIDS",
	TypeTransactionContext: "TRANSACTION_CONTEXT", TypeViewChange: "VIEW_CHANGE", TypeXAPrepare: "XA_PREPARE",
	TypePartialUpdateRows: "PARTIAL_UPDATE_ROWS", TypeTransactionPayload: "TRANSACTION_PAYLOAD",
	TypeHeartbeatV2: "HEARTBEAT_V2", TypeGTIDTagged: "GTID_TAGGED",
	TypeMariaAnnotateRows: "ANNOTATE_ROWS", TypeMariaBinlogCheckpoint: "BINLOG_CHECKPOINT", TypeMariaGTID: "MARIADB_GTID",
	TypeMariaGTIDList: "GTID_LIST", TypeMariaStartEncryption: "START_ENCRYPTION",
	TypeMariaQueryCompressed: "QUERY_COMPRESSED", TypeMariaWriteRowsCompressedV1: "WRITE_ROWS_COMPRESSED_V1",
	TypeMariaUpdateRowsCompressedV1: "UPDATE_ROWS_COMPRESSED_V1", TypeMariaDeleteRowsCompressedV1: "DELETE_ROWS_COMPRESSED_V1",
	TypeMariaWriteRowsCompressed: "WRITE_ROWS_COMPRESSED", TypeMariaUpdateRowsCompressed: "UPDATE_ROWS_COMPRESSED",
	TypeMariaDeleteRowsCompressed: "DELETE_ROWS_COMPRESSED", TypeMariaPartialRowData: "PARTIAL_ROW_DATA",
}

// String is the type's name as the manuals spell it, its number when it has none here.
func (t Type) String() string {
	if name, known := typeNames[t]; known {
		return name
	}
	return fmt.Sprintf("type %d", byte(t))
}

// Known tells whether the type has a name here. A server may send others; those that a replica may skip carry FlagIgnorable.
func (t Type) Known() bool {
	_, known := typeNames[t]
	return known
}

// Flags of an event's header.
type Flags uint16

// Flags.
const (
	// FlagInUse is set in FORMAT_DESCRIPTION while the file is being written.
	FlagInUse Flags = 1 << 0
	// FlagThreadSpecific marks a statement that depends on its thread: it uses a temporary table.
	FlagThreadSpecific Flags = 1 << 2
	// FlagSuppressUse marks a statement that does not need its default database.
	FlagSuppressUse Flags = 1 << 3
	// FlagArtificial marks an event that the server made for the stream; it is in no file and moves no position.
	FlagArtificial Flags = 1 << 5
	// FlagRelayLog marks an event that a replica made for its relay log.
	FlagRelayLog Flags = 1 << 6
	// FlagIgnorable marks an event that a replica that does not know its type may skip.
	FlagIgnorable Flags = 1 << 7
	// FlagSkipReplication is MariaDB's: the session had @@skip_replication.
	FlagSkipReplication Flags = 1 << 15
)

// HeaderBytes is the size of the header that every event begins with.
const HeaderBytes = 19

// Header is what every event begins with.
type Header struct {
	// Timestamp is when the statement began, in seconds since 1970, by the clock of the server that first executed it; 0 in
	// events that a server made for the stream.
	Timestamp uint32
	Type      Type
	ServerID  uint32
	// Size is that of the whole event, its checksum included.
	Size uint32
	// NextPos is where the next event begins in the file. It wraps at 4 GiB, and is 0 in events that are in no file.
	NextPos uint32
	Flags   Flags
}

// ParseHeader reads the header of an event.
func ParseHeader(raw []byte) (Header, error) {
	if len(raw) < HeaderBytes {
		return Header{}, fmt.Errorf("read event header: %w: %d bytes", ErrMalformed, len(raw))
	}
	return Header{
		Timestamp: binary.LittleEndian.Uint32(raw),
		Type:      Type(raw[4]),
		ServerID:  binary.LittleEndian.Uint32(raw[5:]),
		Size:      binary.LittleEndian.Uint32(raw[9:]),
		NextPos:   binary.LittleEndian.Uint32(raw[13:]),
		Flags:     Flags(binary.LittleEndian.Uint16(raw[17:])),
	}, nil
}

// Checksum says how events are protected. The numbers are those of FORMAT_DESCRIPTION (enum_binlog_checksum_alg).
type Checksum byte

// Checksums.
const (
	ChecksumNone  Checksum = 0
	ChecksumCRC32 Checksum = 1
	// ChecksumDetect takes the last four bytes for a checksum if they are the right one. It is for the ROTATE that a server sends
	// before the first FORMAT_DESCRIPTION, when nothing yet says whether there are checksums.
	ChecksumDetect Checksum = 255
)

const checksumBytes = 4

// Event is one event, without its checksum.
type Event struct {
	Header
	// Body is what follows the header. It points into the bytes that were split.
	Body []byte
}

// Split splits the bytes of an event, as a server sends them after the OK byte or as they lie in a file, and verifies its checksum.
// FORMAT_DESCRIPTION says itself whether it has one; sum is not looked at then.
func Split(raw []byte, sum Checksum) (Event, error) {
	h, err := ParseHeader(raw)
	if err != nil {
		return Event{}, err
	}
	if uint64(h.Size) != uint64(len(raw)) {
		return Event{}, fmt.Errorf("read %s event: %w: it says %d bytes and has %d", h.Type, ErrMalformed, h.Size, len(raw))
	}
	if h.Type == TypeFormatDescription {
		return splitFormat(h, raw)
	}
	switch sum {
	case ChecksumNone:
		return Event{h, raw[HeaderBytes:]}, nil
	case ChecksumCRC32:
		return checked(h, raw)
	case ChecksumDetect:
		if e, err := checked(h, raw); err == nil {
			return e, nil
		}
		return Event{h, raw[HeaderBytes:]}, nil
	}
	return Event{}, fmt.Errorf("read %s event: checksum algorithm %d: %w", h.Type, sum, ErrUnsupported)
}

// splitFormat splits a FORMAT_DESCRIPTION, whose last five bytes are the algorithm and room for a checksum. The room is there even
// when events have none, and then holds anything: the server changes the event before it sends it.
func splitFormat(h Header, raw []byte) (Event, error) {
	// An event of another type whose type is damaged must not pass for a format without checksums.
	if len(raw) < HeaderBytes+formatBytesMin+checksumBytes || raw[HeaderBytes] != formatVersion || raw[HeaderBytes+formatHeaderAt] != HeaderBytes {
		return Event{}, fmt.Errorf("read %s event: %w", h.Type, ErrMalformed)
	}
	switch sum := Checksum(raw[len(raw)-checksumBytes-1]); sum {
	case ChecksumNone:
		return Event{h, raw[HeaderBytes : len(raw)-checksumBytes]}, nil
	case ChecksumCRC32:
		return checked(h, raw)
	default:
		return Event{}, fmt.Errorf("read %s event: checksum algorithm %d: %w", h.Type, sum, ErrUnsupported)
	}
}

// checked verifies the CRC32 (IEEE) over header and body that an event ends with.
func checked(h Header, raw []byte) (Event, error) {
	body := len(raw) - checksumBytes
	if body < HeaderBytes {
		return Event{}, fmt.Errorf("read %s event: %w: no room for a checksum", h.Type, ErrMalformed)
	}
	want := binary.LittleEndian.Uint32(raw[body:])
	if crc32.ChecksumIEEE(raw[:body]) != want && (h.Type != TypeFormatDescription || crcNotInUse(h, raw[:body]) != want) {
		return Event{}, fmt.Errorf("read %s event of %d bytes that ends at %d: %w", h.Type, h.Size, h.NextPos, ErrChecksum)
	}
	return Event{h, raw[HeaderBytes:body]}, nil
}

// crcNotInUse is the checksum without FlagInUse: the server computes that of FORMAT_DESCRIPTION so, and sets the flag afterwards.
func crcNotInUse(h Header, raw []byte) uint32 {
	var flags [2]byte
	binary.LittleEndian.PutUint16(flags[:], uint16(h.Flags&^FlagInUse))
	sum := crc32.ChecksumIEEE(raw[:HeaderBytes-2])
	sum = crc32.Update(sum, crc32.IEEETable, flags[:])
	return crc32.Update(sum, crc32.IEEETable, raw[HeaderBytes:])
}
