package mysql

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
)

const (
	// heartbeatPeriod is how often a server that has nothing to send says so.
	heartbeatPeriod = time.Second
	// streamSilence is how long a server may send nothing, not even a heartbeat, before it is taken for gone. It may be busy: it
	// reads its binlog from disk.
	streamSilence = 30 * time.Second
	// firstOffset is where the first event of a binlog file begins.
	firstOffset = 4
)

// feed is the binlog as one connection receives it.
type feed struct {
	*session
}

// next is the next event, valid until the following call.
func (f *feed) next() ([]byte, error) {
	if err := f.packet(); err != nil {
		return nil, err
	}
	switch f.buf[0] {
	case mysql.OK_HEADER:
		return f.buf[1:], nil
	case mysql.ERR_HEADER:
		return nil, errorPacket(f.buf)
	case mysql.EOF_HEADER:
		return nil, errors.New("the server has ended the stream")
	}
	return nil, fmt.Errorf("read binlog: a packet that begins with %#x", f.buf[0])
}

// startFeed asks the server for its binlog from the position on.
func (s *Source) startFeed(ctx context.Context, srv server, from *Position) (*feed, error) {
	c, err := s.login(ctx)
	if err != nil {
		return nil, err
	}
	f := &feed{session: c}
	if err = f.prepare(s, srv, from); err == nil {
		err = f.dump(s, from)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// prepare registers as a replica and says what we understand.
func (f *feed) prepare(s *Source, srv server, from *Position) error {
	statements := []string{
		fmt.Sprintf("SET @master_heartbeat_period = %d, @source_heartbeat_period = %[1]d", heartbeatPeriod.Nanoseconds()),
		"SET @master_binlog_checksum = @@global.binlog_checksum, @source_binlog_checksum = @@global.binlog_checksum",
		// The same for every connection of this source: the server then ends an older one that it still takes for alive.
		fmt.Sprintf("SET @slave_uuid = %s, @replica_uuid = %[1]s", quoteText(s.replicaUUID())),
	}
	if srv.flavour == flavourMariaDB {
		// MARIA_SLAVE_CAPABILITY_GTID: GTIDs are sent as they are, and not made into BEGIN.
		statements = append(statements, "SET @mariadb_slave_capability = 4")
		if from.Flavour == FlavourMariaDB {
			statements = append(statements, "SET @slave_connect_state = "+quoteText(from.readFrom().String()),
				// A GTID that the server does not have is an error.
				"SET @slave_gtid_strict_mode = 1", "SET @slave_gtid_ignore_duplicates = 0")
		}
	}
	for _, sql := range statements {
		if err := f.exec(sql); err != nil {
			return fmt.Errorf("prepare the stream: %w", err)
		}
	}
	return f.register(s)
}

// register makes us visible among the server's replicas.
func (f *feed) register(s *Source) error {
	host := "cdc-" + s.o.Name
	host = host[:min(len(host), 60)]
	b := binary.LittleEndian.AppendUint32(nil, s.serverID())
	b = append(append(b, byte(len(host))), host...)
	b = append(b, make([]byte, 1+1+2+4+4)...) // no user, password nor port, no rank, and the source's id
	err := f.send(mysql.COM_REGISTER_SLAVE, b)
	if err == nil {
		err = f.packet()
	}
	if err == nil && f.buf[0] == mysql.ERR_HEADER {
		err = errorPacket(f.buf)
	}
	if err != nil {
		return fmt.Errorf("register as a replica: %w", err)
	}
	return nil
}

// dump sends the command that starts the stream.
func (f *feed) dump(s *Source, from *Position) error {
	f.patience(streamSilence)
	if from.Flavour == FlavourMySQL {
		set, err := from.GTIDs.AppendBinary(nil)
		if err != nil {
			return err
		}
		b := binary.LittleEndian.AppendUint16(nil, 0)
		b = binary.LittleEndian.AppendUint32(b, s.serverID())
		b = binary.LittleEndian.AppendUint32(b, 0) // the file follows from the set
		b = binary.LittleEndian.AppendUint64(b, firstOffset)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(set)))
		return f.send(mysql.COM_BINLOG_DUMP_GTID, append(b, set...))
	}
	file, offset := from.File, from.Offset
	if from.Flavour == FlavourMariaDB {
		file, offset = "", firstOffset // they follow from @slave_connect_state
	}
	if offset > 1<<32-1 {
		return fmt.Errorf("position %s is behind what the protocol can ask for", from.place())
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(offset))
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint32(b, s.serverID())
	return f.send(mysql.COM_BINLOG_DUMP, append(b, file...))
}

// replicaUUID is stable for the source and the log.
func (s *Source) replicaUUID() string {
	h := s.fingerprint()
	id := s.o.LogID
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(h), uint16(h>>32), uint16(id[0])<<4&0xfff|uint16(id[1])>>4, uint16(h>>52),
		uint64(id[2])<<40|uint64(id[3])<<32|uint64(id[4])<<24|uint64(id[5])<<16|uint64(id[6])<<8|uint64(id[7]))
}

func (s *Source) fingerprint() uint64 {
	h := fnv.New64a()
	_, _ = h.Write(s.o.LogID[:]) // it never fails
	_, _ = h.Write([]byte(s.o.Name))
	return h.Sum64()
}
