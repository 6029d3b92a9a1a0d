package mysql

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/changelog"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
)

// dumpMeaning is what one of the server's reasons not to send the binlog means. The servers have one number for all of them, so the text
// has to tell; it does not depend on the server's language.
type dumpMeaning struct {
	said   string // in lower case, as MariaDB and MySQL up to 8.0.25 have it
	kind   changelog.StopKind
	unfit  string // the remedy of a server that is not fit, when kind is empty
	fenced bool
}

var dumpMeanings = []dumpMeaning{
	// Both servers say so to the first reader, though what MariaDB says sounds as if it were for the second.
	{said: "same server_uuid/server_id", kind: changelog.StopFenced, fenced: true},

	{said: "could not find first log file name", kind: changelog.StopGap},
	{said: "could not find next log", kind: changelog.StopGap},
	{said: "purged required binary logs", kind: changelog.StopGap},
	{said: "purged binary logs containing gtids", kind: changelog.StopGap},
	{said: "could not find gtid state requested by slave in any binlog files", kind: changelog.StopGap},

	{said: "slave has more gtids than the master has", kind: changelog.StopDiverged},
	{said: "start replication from position > file size", kind: changelog.StopDiverged},
	{said: "start replication from impossible position", kind: changelog.StopDiverged},
	{said: "not in the master's binlog", kind: changelog.StopDiverged},
	{said: "is missing the gtid", kind: changelog.StopDiverged},

	{said: "did not pass crc check", kind: changelog.StopCorrupt},
	{said: "bogus data in log event", kind: changelog.StopCorrupt},
	{said: "corrupted data in log event", kind: changelog.StopCorrupt},
	{said: "binlog truncated in the middle of event", kind: changelog.StopCorrupt},

	{said: "exceeded max_allowed_packet", unfit: "run: SET GLOBAL max_allowed_packet = 1073741824;"},
	{said: "larger than slave_max_allowed_packet", unfit: "run: SET GLOBAL slave_max_allowed_packet = 1073741824;"},
	{said: "gtid_mode = off instead of on", unfit: remedyGTID},
	{said: "cannot replicate anonymous transaction", unfit: remedyGTID},
	{said: "checksum that master is configured to log", unfit: "run: SET GLOBAL binlog_checksum = CRC32;"},
	{said: "binary log is not open", unfit: remedyLogBin},
	{said: "server_id was not set", unfit: "set server_id = 1, or another number, in the server's options and restart it"},
	{said: "server_id is 0", unfit: "set server_id = 1, or another number, in the server's options and restart it"},
}

// errSlaveSameID is MariaDB's error for a reader whose place another one has taken.
const errSlaveSameID = 4052

// olderWords are what MySQL called things before 8.0.26.
var olderWords = strings.NewReplacer("source", "master", "replica ", "slave ")

// classifyDump tells what an error of the binlog's stream means: a named stop, a server that is not fit, or else what trying again may
// mend. The stop's position is the caller's to fill in.
func (s *Source) classifyDump(err error) error {
	if errors.Is(err, binlog.ErrChecksum) {
		return s.dumpStop(changelog.StopCorrupt, err.Error())
	}
	var reply *mysql.MyError
	if !errors.As(err, &reply) {
		return err
	}
	switch reply.Code {
	case mysql.ER_SPECIFIC_ACCESS_DENIED_ERROR, mysql.ER_ACCESS_DENIED_ERROR:
		return &sources.Unfit{
			Detail: fmt.Sprintf("the account may not read the binlog: %s", reply.Message),
			Remedy: "run: " + grants{account: quoteText(s.dsn.user) + "@'…'"}.grant(privilegeSlave, "*.*"),
		}
	case mysql.ER_MASTER_FATAL_ERROR_READING_BINLOG, errSlaveSameID:
	default:
		return err
	}
	said := olderWords.Replace(strings.ToLower(reply.Message))
	for _, m := range dumpMeanings {
		switch {
		case !strings.Contains(said, m.said):
		case m.kind == "":
			return &sources.Unfit{Detail: "the server does not send its binlog: " + reply.Message, Remedy: m.unfit}
		case m.fenced:
			return &sources.Stop{Unrecorded: true, Stop: changelog.Stop{
				Kind: m.kind, Detail: fmt.Sprintf("another reader of the binlog has taken the place of this one, with the same server id %d: %s", s.serverID(), reply.Message),
				Remedy: "stop the other one, or give one of the two a server_id of its own",
			}}
		default:
			return s.dumpStop(m.kind, "the server does not send the binlog from where the log ends: "+reply.Message)
		}
	}
	return err
}

func (s *Source) dumpStop(kind changelog.StopKind, detail string) error {
	return &sources.Stop{Stop: changelog.Stop{Kind: kind, Detail: detail, Remedy: s.resolveRemedy()}}
}

func (s *Source) resolveRemedy() string {
	return "run 'cdc resolve " + s.o.Name + " --recopy': a new epoch begins with a copy of the tables, and the log says what it does not hold"
}
