package mysql

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
	"cdc/sources/sourcetest"
)

// dump asks for the binlog from a place and reads it until the server says no.
func dump(c *session, serverID uint32, file string, pos uint32) error {
	request := binary.LittleEndian.AppendUint32(nil, pos)
	request = binary.LittleEndian.AppendUint16(request, 0)
	request = binary.LittleEndian.AppendUint32(request, serverID)
	return follow(c, mysql.COM_BINLOG_DUMP, append(request, file...))
}

// dumpGTID asks MySQL for what is not in a set, and MariaDB for what is behind a position.
func dumpGTID(c *session, serverID uint32, gtids string) error {
	if strings.Contains(c.conn.GetServerVersion(), "MariaDB") {
		if err := c.exec("SET @mariadb_slave_capability = 4, @slave_connect_state = " + quoteText(gtids)); err != nil {
			return err
		}
		return dump(c, serverID, "", 4)
	}
	set, err := binlog.ParseGTIDSet(gtids)
	if err != nil {
		return err
	}
	encoded, err := set.AppendBinary(nil)
	if err != nil {
		return err
	}
	request := binary.LittleEndian.AppendUint16(nil, 4)
	request = binary.LittleEndian.AppendUint32(request, serverID)
	request = binary.LittleEndian.AppendUint32(request, 0)
	request = binary.LittleEndian.AppendUint64(request, 4)
	request = binary.LittleEndian.AppendUint32(request, uint32(len(encoded)))
	return follow(c, mysql.COM_BINLOG_DUMP_GTID, append(request, encoded...))
}

func follow(c *session, command byte, request []byte) error {
	if err := c.exec("SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32'"); err != nil {
		return err
	}
	if err := c.send(command, request); err != nil {
		return err
	}
	for {
		if err := c.packet(); err != nil {
			return err
		}
		if c.buf[0] == mysql.ERR_HEADER {
			return errorPacket(c.buf)
		}
	}
}

// stopOf makes sure that an error of the stream is a named stop.
func stopOf(t *testing.T, s *Source, err error, kind changelog.StopKind) {
	t.Helper()
	var stop *sources.Stop
	if classified := s.classifyDump(err); !errors.As(classified, &stop) || stop.Kind != kind || stop.Remedy == "" || stop.Unrecorded != (kind == changelog.StopFenced) {
		t.Errorf("%v is %#v, want a stop %s", err, classified, kind)
	}
}

func unfitBy(t *testing.T, s *Source, err error, mention string) {
	t.Helper()
	var unfit *sources.Unfit
	if classified := s.classifyDump(err); !errors.As(classified, &unfit) || !strings.Contains(unfit.Remedy, mention) {
		t.Errorf("%v is %v, want it unfit with %q", err, classified, mention)
	}
}

func TestWhatAServerMeansThatDoesNotSendItsBinlog(t *testing.T) {
	for _, f := range []testservers.Flavour{testservers.FlavourMySQL, testservers.FlavourMariaDB} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			m := testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f})
			db := m.Database(t)
			s := sourceAt(t, m.DSN(m.Role(t, testservers.MySQLCaptureRole{Databases: []string{db}}), db))
			session := func() *session {
				c := sessionAt(t, s.o.DSN)
				c.patience(sourcetest.Patience)
				return c
			}
			end, err := m.BinlogEnd(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			stopOf(t, s, dump(session(), 7, "binlog.999999", 4), changelog.StopGap)
			stopOf(t, s, dump(session(), 7, end.File, uint32(end.Offset)+1000), changelog.StopDiverged)

			// A transaction that this server has never committed.
			foreign := strings.Split(end.GTIDs, ":")[0] + ":1-1000000"
			if f == testservers.FlavourMariaDB {
				foreign = "0-1-1000000"
			}
			stopOf(t, s, dumpGTID(session(), 7, foreign), changelog.StopDiverged)

			// Its first transactions are purged.
			first := strings.Split(end.GTIDs, ":")[0] + ":1"
			if f == testservers.FlavourMariaDB {
				first = "0-1-1"
			}
			if err := m.PurgeBinlog(t.Context()); err != nil {
				t.Fatal(err)
			}
			stopOf(t, s, dumpGTID(session(), 7, first), changelog.StopGap)
			stopOf(t, s, dump(session(), 7, end.File, 4), changelog.StopGap)

			weak := sourceAt(t, account(t, m, "_weak", withPassword))
			c, err := weak.connect(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			unfitBy(t, weak, dump(c, 7, end.File, 4), "GRANT REPLICATION SLAVE ON *.* TO")
		})
	}
}

func TestASecondReaderWithTheSameNumberFencesTheFirst(t *testing.T) {
	bothFlavours(t, func(t *testing.T, m *testservers.MySQL) {
		db := m.Database(t)
		s := sourceAt(t, m.DSN(m.Role(t, testservers.MySQLCaptureRole{Databases: []string{db}}), db))
		end, err := m.BinlogEnd(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		const id = 4242
		ended := make(chan error, 1)
		first, second := sessionAt(t, s.o.DSN), sessionAt(t, s.o.DSN)
		reader := first.conn.GetConnectionID()
		go func() { ended <- dump(first, id, end.File, 4) }()
		waitForDump(t, m, reader)
		go func() { _ = dump(second, id, end.File, 4) }()
		select {
		case err := <-ended:
			stopOf(t, s, err, changelog.StopFenced)
		case <-time.After(sourcetest.Patience):
			t.Fatal("the first goes on")
		}
	})
}

// waitForDump waits until the server has sent its binlog to the reader with this connection. There may be others, which are gone
// without the server having noticed.
func waitForDump(t *testing.T, m *testservers.MySQL, connection uint32) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(sourcetest.Patience); time.Now().Before(deadline); <-ticker.C {
		out, err := m.SQL(t.Context(), "", fmt.Sprintf(
			"SELECT count(*) FROM information_schema.processlist WHERE id = %d AND command LIKE 'Binlog Dump%%' AND state LIKE '%%sent all binlog%%'", connection))
		if err == nil && out == "1" {
			return
		}
	}
	t.Fatal("nobody reads the binlog")
}

// What the servers of other versions say, from their source code.
func TestReasonsOfOtherVersions(t *testing.T) {
	s := sourceAt(t, "mysql://u@localhost/")
	fatal := func(text string) error {
		return fmt.Errorf("read binlog: %w", &mysql.MyError{Code: mysql.ER_MASTER_FATAL_ERROR_READING_BINLOG, Message: text})
	}
	for text, kind := range map[string]changelog.StopKind{
		"A slave with the same server_uuid/server_id as this slave has connected to the master; the first event 'a' at 4":                                                                   changelog.StopFenced,
		"A replica with the same server_uuid/server_id as this replica has connected to the source":                                                                                         changelog.StopFenced,
		"The slave is connecting using CHANGE MASTER TO MASTER_AUTO_POSITION = 1, but the master has purged binary logs containing GTIDs that the slave requires.":                          changelog.StopGap,
		"Cannot replicate because the master purged required binary logs. Replicate the missing transactions from elsewhere":                                                                changelog.StopGap,
		"Could not find GTID state requested by slave in any binlog files. Probably the slave state is too old and required binlog files have been purged.":                                 changelog.StopGap,
		"could not find next log; the first event 'binlog.000002' at 4":                                                                                                                     changelog.StopGap,
		"Slave has more GTIDs than the master has, using the master's SERVER_UUID.":                                                                                                         changelog.StopDiverged,
		"Client requested master to start replication from impossible position; the first event":                                                                                            changelog.StopDiverged,
		"Error: connecting slave requested to start from GTID 0-1-9, which is not in the master's binlog":                                                                                   changelog.StopDiverged,
		"The binlog on the master is missing the GTID 0-1-9 requested by the slave (even though both a prior and a subsequent sequence number does exist), and GTID strict mode is enabled": changelog.StopDiverged,
		"event read from binlog did not pass crc check; the first event":                                                                                                                    changelog.StopCorrupt,
		"binlog truncated in the middle of event; consider out of disk space on source; the first event":                                                                                    changelog.StopCorrupt,
		"bogus data in log event": changelog.StopCorrupt,
	} {
		stopOf(t, s, fatal(text), kind)
	}
	for text, mention := range map[string]string{
		"log event entry exceeded max_allowed_packet; Increase max_allowed_packet on source":                               "max_allowed_packet",
		"The replication sender thread cannot start in AUTO_POSITION mode: this server has GTID_MODE = OFF instead of ON.": "gtid_mode = ON",
		"Cannot replicate anonymous transaction when AUTO_POSITION = 1, at file binlog.000001, position 157.":              "gtid_mode = ON",
		"Binary log is not open":                       "log_bin",
		"Misconfigured source - source server_id is 0": "server_id = 1",
		"Slave can not handle replication events with the checksum that master is configured to log; the first event": "binlog_checksum",
	} {
		unfitBy(t, s, fatal(text), mention)
	}
	stopOf(t, s, fmt.Errorf("event at 5: %w", binlog.ErrChecksum), changelog.StopCorrupt)
	for _, other := range []error{
		fatal("memory allocation failed reading log event"),
		&mysql.MyError{Code: mysql.ER_SERVER_SHUTDOWN}, errors.New("the server closed the connection"),
	} {
		if got := s.classifyDump(other); got != other {
			t.Errorf("%v is %v, want it tried again", other, got)
		}
	}
}
