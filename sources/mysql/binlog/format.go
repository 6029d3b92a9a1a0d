package binlog

import (
	"bytes"
	"fmt"
)

// Format is a FORMAT_DESCRIPTION: who wrote the events that follow it, and how.
type Format struct {
	// Server is the version of the server as it names itself, like "9.7.0" or "10.11.19-MariaDB-log".
	Server string
	// Version is the same as a number: 10000 × major + 100 × minor + patch; 0 when it cannot be told.
	Version uint32
	// MariaDB tells which of the two families of servers it is.
	MariaDB bool
	// Checksum is how the events that follow are protected.
	Checksum Checksum
	// Created is when the server that writes the log started, if it did at the beginning of this file; otherwise 0. When it is
	// not 0, transactions that the log left open were rolled back.
	Created uint32
}

const (
	formatVersion     = 4
	serverNameBytes   = 50
	formatHeaderAt    = 2 + serverNameBytes + 4 // where the size of headers is
	formatBytesMin    = formatHeaderAt + 1 + 1  // with it and the checksum's algorithm, and no sizes of fixed parts
	mariaTypesMin     = 160                     // MariaDB's event types begin there, so its list of them is longer than MySQL's
	queryHeaderBytes  = 13
	tableHeaderBytes  = 8
	rowsHeaderBytes   = 10
	rowsV1HeaderBytes = 8
)

// postHeaders are the sizes of the fixed parts of events that a Format must list for its events to be read here. They have not
// changed since MySQL 5.6 and MariaDB 5.3; the format allows that they do.
var postHeaders = map[Type]byte{
	TypeQuery: queryHeaderBytes, TypeRotate: 8, TypeTableMap: tableHeaderBytes,
	TypeWriteRowsV1: rowsV1HeaderBytes, TypeUpdateRowsV1: rowsV1HeaderBytes, TypeDeleteRowsV1: rowsV1HeaderBytes,
	TypeWriteRows: rowsHeaderBytes, TypeUpdateRows: rowsHeaderBytes, TypeDeleteRows: rowsHeaderBytes,
	TypePartialUpdateRows:          rowsHeaderBytes,
	TypeMariaQueryCompressed:       queryHeaderBytes,
	TypeMariaWriteRowsCompressedV1: rowsV1HeaderBytes, TypeMariaUpdateRowsCompressedV1: rowsV1HeaderBytes,
	TypeMariaDeleteRowsCompressedV1: rowsV1HeaderBytes,
	TypeMariaWriteRowsCompressed:    rowsHeaderBytes, TypeMariaUpdateRowsCompressed: rowsHeaderBytes,
	TypeMariaDeleteRowsCompressed: rowsHeaderBytes,
}

// ParseFormat reads a FORMAT_DESCRIPTION (mysql-server, libs/mysql/binlog/event/control_events.h: Format_description_event). It
// refuses one whose events have other sizes than those that are read here.
func ParseFormat(e Event) (Format, error) {
	r := reader{b: e.Body}
	version := r.u16()
	name := r.take(serverNameBytes)
	var f Format
	f.Created = r.u32()
	header := r.u8()
	sizes := r.take(len(r.b) - 1)
	f.Checksum = Checksum(r.u8())
	if err := r.end(e.Type); err != nil {
		return Format{}, err
	}
	if version != formatVersion || header != HeaderBytes {
		return Format{}, fmt.Errorf("read %s event: binlog version %d, header of %d bytes: %w", e.Type, version, header, ErrUnsupported)
	}
	if end := bytes.IndexByte(name, 0); end >= 0 {
		name = name[:end]
	}
	f.Server = string(name)
	f.Version = versionNumber(name)
	f.MariaDB = len(sizes) >= mariaTypesMin || bytes.Contains(bytes.ToLower(name), []byte("mariadb"))
	return f, checkSizes(e.Type, sizes)
}

// checkSizes compares the sizes of fixed parts. A zero says that the server does not write the type: MySQL has dropped the first
// version of row events.
func checkSizes(t Type, sizes []byte) error {
	for i, size := range sizes {
		want, used := postHeaders[Type(i+1)]
		if used && size != want && size != 0 {
			return fmt.Errorf("read %s event: %s events have a fixed part of %d bytes, not %d: %w", t, Type(i+1), size, want, ErrUnsupported)
		}
	}
	return nil
}

// versionNumber reads the numbers that a version begins with: "5.7.44-log" is 50744. MariaDB may put "5.5.5-" in front, for
// replicas that cannot read a major version of two digits.
func versionNumber(name []byte) uint32 {
	if rest, found := bytes.CutPrefix(name, []byte("5.5.5-")); found {
		name = rest
	}
	var parts [3]uint32
	for i := range parts {
		n := 0
		for ; n < len(name) && name[n] >= '0' && name[n] <= '9' && n < 3; n++ {
			parts[i] = parts[i]*10 + uint32(name[n]-'0')
		}
		if n == 0 || parts[i] > 99 && i > 0 {
			return 0
		}
		if name = name[n:]; i < 2 {
			if len(name) == 0 || name[0] != '.' {
				return 0
			}
			name = name[1:]
		}
	}
	return parts[0]*10000 + parts[1]*100 + parts[2]
}
