package mysql

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/changelog"
)

// flavour tells MySQL from MariaDB.
type flavour string

const (
	flavourMySQL   flavour = "MySQL"
	flavourMariaDB flavour = "MariaDB"
)

// version is major*10000 + minor*100 + patch.
type version int

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100) }

// server is what the server says of itself.
type server struct {
	flavour flavour
	text    string // of the version, as the server writes it
	comment string
	version version
	// identity tells the server from others. MySQL has a uuid of its own, which stays with its data. MariaDB has none: its number as
	// a replica, which a primary does not share with its replicas, together with server_uid (a hash of the network card and the port;
	// 10.5.26, 10.6.19, 10.11.9 and 11 have it) or else the host's name and the port. That may change when a machine or a container
	// is replaced and the data stays, so that another identity means no more than: do not trust file and position, look at the GTIDs.
	identity string
	serverID uint32
	domain   uint32 // MariaDB's gtid_domain_id
	hostname string
	readOnly bool
	foldCase bool // lower_case_table_names is not 0: names of tables and databases have no case

	binlog         bool
	format         string // ROW, MIXED, STATEMENT
	rowImage       string // FULL, NOBLOB, MINIMAL, FULL_NODUP
	rowMetadata    string // FULL, MINIMAL, NO_LOG; empty when the server has no such variable
	partialJSON    bool
	gtid           bool // transactions have GTIDs: always in MariaDB
	gtidMode       string
	gtidConsistent string
	checksum       string // CRC32, NONE
	compressed     bool
	// keepSeconds is how long the binlog is kept, 0 when it is not removed by age; binlogMax, when not zero, is the size beyond which
	// the oldest files are removed.
	keepSeconds int64
	binlogMax   int64
	cloud       string // whose service the server is, as far as that is known: "RDS", "Aurora"
}

// facts are the variables that server reads; no server has all of them.
var facts = []string{
	"version", "version_comment", "server_uuid", "server_uid", "server_id", "gtid_domain_id", "hostname", "port", "read_only",
	"lower_case_table_names", "log_bin", "binlog_format", "binlog_row_image", "binlog_row_metadata", "binlog_row_value_options",
	"gtid_mode", "enforce_gtid_consistency", "binlog_checksum", "binlog_transaction_compression", "log_bin_compress",
	"binlog_expire_logs_seconds", "expire_logs_days", "max_binlog_total_size", "binlog_space_limit", "basedir", "aurora_version",
}

// server asks the server what it is.
func (c *session) server() (server, error) {
	v, err := c.variables(facts)
	if err != nil {
		return server{}, fmt.Errorf("ask the server what it is: %w", err)
	}
	return serverOf(v)
}

// variables reads global variables; names that the server does not know are left out.
func (c *session) variables(names []string) (map[string]string, error) {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quoteText(name)
	}
	rows, err := c.query("SHOW GLOBAL VARIABLES WHERE Variable_name IN (" + strings.Join(quoted, ", ") + ")")
	if err != nil {
		return nil, err
	}
	values := make(map[string]string, len(rows))
	for _, r := range rows {
		if len(r) != 2 {
			return nil, errResult
		}
		values[strings.ToLower(r[0].s)] = r[1].s
	}
	return values, nil
}

func serverOf(v map[string]string) (server, error) {
	is := server{flavour: flavourMySQL, text: v["version"], comment: v["version_comment"], hostname: v["hostname"]}
	if strings.Contains(strings.ToLower(is.text+is.comment), "mariadb") {
		is.flavour = flavourMariaDB
	}
	var err error
	if is.version, err = parseVersion(is.text); err != nil {
		return server{}, err
	}
	var numbers [6]int64
	for i, name := range []string{"server_id", "gtid_domain_id", "lower_case_table_names", "max_binlog_total_size", "binlog_space_limit", "port"} {
		if text := v[name]; text != "" {
			if numbers[i], err = strconv.ParseInt(text, 10, 64); err != nil {
				return server{}, fmt.Errorf("the server's %s is %q", name, text)
			}
		}
	}
	is.serverID, is.domain, is.foldCase = uint32(numbers[0]), uint32(numbers[1]), numbers[2] != 0
	is.binlogMax = max(numbers[3], numbers[4])
	is.identity = v["server_uuid"]
	if is.flavour == flavourMariaDB {
		is.identity = fmt.Sprintf("%d/%s:%d", is.serverID, is.hostname, numbers[5])
		if uid := v["server_uid"]; uid != "" {
			is.identity = fmt.Sprintf("%d/%s", is.serverID, uid)
		}
	}
	is.binlogFacts(v)
	if is.keepSeconds, err = retention(v); err != nil {
		return server{}, err
	}
	switch {
	case v["aurora_version"] != "":
		is.cloud = "Aurora"
	case strings.HasPrefix(v["basedir"], "/rdsdbbin"):
		is.cloud = "RDS"
	}
	return is, nil
}

func (is *server) binlogFacts(v map[string]string) {
	on := func(name string) bool { return v[name] == "ON" || v[name] == "1" }
	is.readOnly, is.binlog = on("read_only"), on("log_bin")
	is.format, is.rowImage, is.rowMetadata = v["binlog_format"], v["binlog_row_image"], v["binlog_row_metadata"]
	is.partialJSON = strings.Contains(v["binlog_row_value_options"], "PARTIAL_JSON")
	is.gtidMode, is.gtidConsistent = v["gtid_mode"], v["enforce_gtid_consistency"]
	is.gtid = is.flavour == flavourMariaDB || is.gtidMode == "ON"
	is.checksum = v["binlog_checksum"]
	is.compressed = on("binlog_transaction_compression") || on("log_bin_compress")
}

// retention is how long the binlog is kept, in seconds. Where the server has both variables, MariaDB gives both the same value and
// MySQL has at most one that is not zero.
func retention(v map[string]string) (int64, error) {
	var seconds float64
	for _, unit := range []struct {
		name    string
		seconds float64
	}{{"binlog_expire_logs_seconds", 1}, {"expire_logs_days", 86400}} {
		if text := v[unit.name]; text != "" {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil || !(n >= 0 && n < 1<<32) {
				return 0, fmt.Errorf("the server's %s is %q", unit.name, text)
			}
			seconds = max(seconds, n*unit.seconds)
		}
	}
	return int64(seconds), nil
}

// parseVersion reads the number that a version begins with. MariaDB's greeting, which is not what is read here, has another before it.
func parseVersion(text string) (version, error) {
	end := strings.IndexFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end < 0 {
		end = len(text)
	}
	parts := strings.Split(text[:end], ".")
	var v version
	for i := range 3 {
		n := 0
		if i < len(parts) {
			var err error
			if n, err = strconv.Atoi(parts[i]); err != nil || n > 99 {
				return 0, fmt.Errorf("the server's version %q cannot be read", text)
			}
		}
		v = v*100 + version(n)
	}
	return v, nil
}

// now is the server's clock.
func (c *session) now() (changelog.Micros, error) {
	// SYSDATE, since NOW is the time of the statement; in the session's zone, which connect has made that of UTC.
	r, err := c.one("SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)")
	if err != nil {
		return 0, fmt.Errorf("ask the server for its time: %w", err)
	}
	n, err := strconv.ParseInt(r[0].s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("ask the server for its time: %q", r[0].s)
	}
	return changelog.Micros(n), nil
}

// errNoBinlog says that the server writes no binlog.
var errNoBinlog = errors.New("the server writes no binlog")

// binlogEnd is where the binlog ends, and the GTIDs that it has by then: gtid_executed of MySQL, gtid_binlog_pos of MariaDB. The
// server reads the GTIDs first, so they may lack transactions before the position and have none after it.
func (c *session) binlogEnd() (file string, pos uint64, gtids string, err error) {
	maria := strings.Contains(c.conn.GetServerVersion(), "MariaDB")
	if maria {
		if gtids, err = c.gtidBinlogPos(); err != nil {
			return "", 0, "", err
		}
	}
	r, err := c.binlogStatus(maria)
	if err != nil {
		return "", 0, "", fmt.Errorf("ask for the end of the binlog: %w", err)
	}
	if pos, err = strconv.ParseUint(r[1].s, 10, 64); err != nil {
		return "", 0, "", fmt.Errorf("ask for the end of the binlog: %w", errResult)
	}
	if !maria && len(r) > 4 {
		gtids = withoutBreaks(r[4].s)
	}
	return r[0].s, pos, gtids, nil
}

// binlogStatus asks in the words of the version, and in the old ones where something in between has another version than the server.
func (c *session) binlogStatus(maria bool) ([]text, error) {
	statements := []string{"SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"}
	if v, err := parseVersion(c.conn.GetServerVersion()); maria || err == nil && v < 80200 {
		slices.Reverse(statements)
	}
	rows, err := c.query(statements[0])
	if codeOf(err) == mysql.ER_PARSE_ERROR {
		rows, err = c.query(statements[1])
	}
	switch {
	case err != nil:
		return nil, err
	case len(rows) == 0:
		return nil, errNoBinlog
	case len(rows[0]) < 2:
		return nil, errResult
	}
	return rows[0], nil
}

// gtidExecuted is what MySQL has committed, gtidPurged what of it the binlog does not have any more.
func (c *session) gtidExecuted() (string, error) { return c.gtids("@@GLOBAL.gtid_executed") }
func (c *session) gtidPurged() (string, error)   { return c.gtids("@@GLOBAL.gtid_purged") }

// gtidOwned is what MySQL is committing. The server writes each with the number of the thread that owns it, as in uuid:5#12.
func (c *session) gtidOwned() (string, error) {
	text, err := c.gtids("@@GLOBAL.gtid_owned")
	return owner.ReplaceAllString(text, ""), err
}

var owner = regexp.MustCompile(`#[0-9]+`)

// gtidBinlogPos is the last GTID of each domain in MariaDB's binlog, gtidCurrentPos that of what it has applied, as a replica too.
func (c *session) gtidBinlogPos() (string, error)  { return c.gtids("@@GLOBAL.gtid_binlog_pos") }
func (c *session) gtidCurrentPos() (string, error) { return c.gtids("@@GLOBAL.gtid_current_pos") }

// gtidBinlogState is the last GTID of each domain and server in MariaDB's binlog.
func (c *session) gtidBinlogState() (string, error) { return c.gtids("@@GLOBAL.gtid_binlog_state") }

// gtidAt is MariaDB's gtid_binlog_pos as it was at a place of the binlog; ok is false when there is no such place, or the server
// cannot read the file up to there: an event is larger than its max_allowed_packet.
func (c *session) gtidAt(file string, pos uint64) (gtids string, ok bool, err error) {
	r, err := c.one(fmt.Sprintf("SELECT BINLOG_GTID_POS(%s, %d)", quoteText(file), pos))
	if err != nil {
		return "", false, fmt.Errorf("ask for the GTIDs at a place of the binlog: %w", err)
	}
	return withoutBreaks(r[0].s), !r[0].null, nil
}

// isBoundary reports whether an event of the binlog begins at the place, or the binlog ends there.
func (c *session) isBoundary(at place) (bool, error) {
	_, err := c.query(fmt.Sprintf("SHOW BINLOG EVENTS IN %s FROM %d LIMIT 1", quoteText(at.file), at.offset))
	if codeOf(err) == mysql.ER_ERROR_WHEN_EXECUTING_COMMAND {
		return false, nil
	}
	return err == nil, err
}

func (c *session) gtids(expression string) (string, error) {
	r, err := c.one("SELECT " + expression)
	if err != nil {
		return "", fmt.Errorf("ask for the server's GTIDs: %w", err)
	}
	return withoutBreaks(r[0].s), nil
}

// withoutBreaks is a set of GTIDs in one line.
func withoutBreaks(s string) string { return strings.ReplaceAll(s, "\n", "") }

// binlogFile is one file of the binlog.
type binlogFile struct {
	name  string
	bytes uint64
}

// binlogFiles are the files that the server still has, oldest first.
func (c *session) binlogFiles() ([]binlogFile, error) {
	rows, err := c.query("SHOW BINARY LOGS")
	if err != nil {
		return nil, fmt.Errorf("list the files of the binlog: %w", err)
	}
	files := make([]binlogFile, len(rows))
	for i, r := range rows {
		if len(r) < 2 {
			return nil, errResult
		}
		bytes, err := strconv.ParseUint(r[1].s, 10, 64)
		if err != nil {
			return nil, errResult
		}
		files[i] = binlogFile{name: r[0].s, bytes: bytes}
	}
	return files, nil
}

// serverID is the number under which the source appears to the server as a replica. Without one of the options it is made of the log
// and the source's name, so that it stays from run to run and two logs hardly ever have the same.
func (s *Source) serverID() uint32 {
	if s.o.ServerID != 0 {
		return s.o.ServerID
	}
	sum := sha256.Sum256(append(s.o.LogID[:], s.o.Name...))
	// The upper half: administrators count from 1.
	return binary.LittleEndian.Uint32(sum[:]) | 1<<31
}
