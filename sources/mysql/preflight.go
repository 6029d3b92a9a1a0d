package mysql

import (
	"fmt"
	"strings"

	"cdc/sources"
)

// Oldest versions that are supported.
const (
	oldestMySQL   version = 5_07_00
	oldestMariaDB version = 10_05_00
)

const (
	remedyGTID = "run, and wait after each until SHOW STATUS LIKE 'Ongoing_anonymous_transaction_count' is 0: " +
		"SET GLOBAL enforce_gtid_consistency = ON; SET GLOBAL gtid_mode = OFF_PERMISSIVE; SET GLOBAL gtid_mode = ON_PERMISSIVE; SET GLOBAL gtid_mode = ON;"
	remedyLogBin = "set log_bin = binlog in the server's options and restart it"
)

// lookalikes speak the protocol and have no binlog to read, or hide it.
var lookalikes = []string{"tidb", "vitess", "planetscale", "singlestore", "memsql", "oceanbase", "doris", "starrocks", "clickhouse"}

// checkServer makes sure that the server can be captured at all: the error names everything that stands against it, each with its
// remedy. What works and may go wrong later is warned of.
func (s *Source) checkServer(is server, g grants) error {
	var details, remedies []string
	for _, f := range append(s.checkSettings(is), s.checkGrants(is, g)...) {
		switch f.Severity {
		case sources.SeverityProblem:
			details, remedies = append(details, f.Detail), append(remedies, f.Remedy)
		case sources.SeverityWarning:
			s.log.Warn("the server's configuration may harm capture", "source", s.o.Name, "check", f.Check, "detail", f.Detail, "remedy", f.Remedy)
		case sources.SeverityOK:
		}
	}
	if len(details) == 0 {
		return nil
	}
	return &sources.Unfit{Detail: strings.Join(details, "; "), Remedy: strings.Join(remedies, " ")}
}

func ok(check, detail string) sources.Finding {
	return sources.Finding{Check: check, Severity: sources.SeverityOK, Detail: detail}
}

func warning(check, detail, remedy string) sources.Finding {
	return sources.Finding{Check: check, Severity: sources.SeverityWarning, Detail: detail, Remedy: remedy}
}

func problem(check, detail, remedy string) sources.Finding {
	return sources.Finding{Check: check, Severity: sources.SeverityProblem, Detail: detail, Remedy: remedy}
}

// checkSettings looks at what the server is and how it writes its binlog.
func (s *Source) checkSettings(is server) []sources.Finding {
	found := []sources.Finding{checkVersion(is), s.checkServerID(is)}
	if !is.binlog {
		return append(found, problem("binlog", "the server writes no binlog: log_bin is OFF", remedyLogBin))
	}
	return append(found,
		ok("binlog", "log_bin is ON"), checkFormat(is), checkImage(is), checkMetadata(is), checkGTID(is), checkChecksum(is))
}

func checkVersion(is server) sources.Finding {
	const check = "server"
	oldest := oldestMySQL
	if is.flavour == flavourMariaDB {
		oldest = oldestMariaDB
	}
	said := strings.ToLower(is.text + " " + is.comment)
	for _, other := range lookalikes {
		if strings.Contains(said, other) {
			return problem(check, fmt.Sprintf("the server is no MySQL and no MariaDB: %s (%s)", is.text, is.comment), "name the DSN of a MySQL or MariaDB server")
		}
	}
	if is.version < oldest {
		return problem(check, fmt.Sprintf("the server runs %s %s", is.flavour, is.version), fmt.Sprintf("%s or newer is needed", oldest))
	}
	return ok(check, fmt.Sprintf("%s %s", is.flavour, is.text))
}

func (s *Source) checkServerID(is server) sources.Finding {
	const check = "server id"
	if id := s.serverID(); id == is.serverID {
		return problem(check, fmt.Sprintf("the source's server_id %d is that of the server itself", id), "give the source another server_id, or none")
	}
	return ok(check, fmt.Sprintf("capture appears to the server as replica %d", s.serverID()))
}

func checkFormat(is server) sources.Finding {
	const check = "binlog_format"
	if is.format == "ROW" {
		return ok(check, "ROW")
	}
	return problem(check, fmt.Sprintf("binlog_format is %s: the binlog may have statements in the place of rows", is.format),
		"run: SET GLOBAL binlog_format = 'ROW'; and write it into the server's options: sessions from before keep theirs until they end")
}

func checkImage(is server) sources.Finding {
	const check = "binlog_row_image"
	switch is.rowImage {
	case "FULL", "FULL_NODUP", "":
		if is.partialJSON {
			return warning(check, "binlog_row_value_options is PARTIAL_JSON: changes of JSON are completed from the rows that the log holds", "")
		}
		return ok(check, "FULL")
	}
	return warning(check, fmt.Sprintf("binlog_row_image is %s: rows are completed from those that the log holds", is.rowImage),
		"run: SET GLOBAL binlog_row_image = 'FULL';")
}

// checkMetadata: without names in the binlog, rows are read by the columns that the table has when we look. That is right as long as no
// column is added, dropped or moved between a change and our reading it; a change whose columns do not fit is a named stop. A server
// that can do no better, MySQL 5.7, is captured all the same.
func checkMetadata(is server) sources.Finding {
	const check = "binlog_row_metadata"
	switch is.rowMetadata {
	case "FULL":
		return ok(check, "FULL")
	case "":
		return warning(check, "the server does not name columns in its binlog: columns that are changed while capture lags behind may end it",
			"upgrade to MySQL 8.0 or newer")
	}
	return warning(check, fmt.Sprintf("binlog_row_metadata is %s: columns that are changed while capture lags behind may end it", is.rowMetadata),
		"run: SET GLOBAL binlog_row_metadata = 'FULL'; and write it into the server's options")
}

func checkGTID(is server) sources.Finding {
	const check = "gtid_mode"
	switch {
	case is.flavour == flavourMariaDB:
		return ok(check, "MariaDB always writes GTIDs")
	case is.gtid:
		return ok(check, "ON")
	}
	return warning(check, fmt.Sprintf("gtid_mode is %s: capture goes by file and position, and cannot follow a failover to a replica", is.gtidMode), remedyGTID)
}

func checkChecksum(is server) sources.Finding {
	const check = "binlog_checksum"
	if is.checksum == "NONE" {
		return warning(check, "binlog_checksum is NONE: damage of the binlog may go unnoticed", "run: SET GLOBAL binlog_checksum = CRC32;")
	}
	return ok(check, is.checksum)
}

// checkGrants looks at what the account may do.
func (s *Source) checkGrants(is server, g grants) []sources.Finding {
	const check = "privileges"
	role := ""
	if g.roles {
		role = " (or if a role of the account has it, put it in force: SET DEFAULT ROLE …)"
	}
	var found []sources.Finding
	missing := func(privilege, purpose, object string) {
		found = append(found, problem(check, fmt.Sprintf("the account %s lacks %s, %s", g.account, privilege, purpose),
			"run: "+g.grant(privilege, object)+role))
	}
	if !g.everywhere(privilegeSlave) {
		missing(privilegeSlave, "to read the binlog", "*.*")
	}
	client := []string{privilegeClient, privilegeSuper}
	if is.flavour == flavourMariaDB {
		client = []string{privilegeMonitor, privilegeClient}
	}
	if !g.everywhere(client...) {
		missing(client[0], "to ask where the binlog ends", "*.*")
	}
	if database := s.dsn.database; !g.selectsIn(database) {
		object := "*.*"
		if database != "" {
			object = onDatabase(database)
		}
		missing(privilegeSelect, "to read the tables", object)
	}
	if len(found) == 0 {
		found = append(found, ok(check, "the account "+g.account+" may read the binlog and tables"))
	}
	return found
}
