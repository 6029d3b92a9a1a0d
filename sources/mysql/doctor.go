package mysql

import (
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/sources"
)

// retentionMin is the shortest time that a binlog is to be kept: shorter, and one night without capture ends it.
const retentionMin = 24 * time.Hour

// Doctor looks at everything that capture needs and says what is missing. It changes nothing at the server. The error says that the
// server could not be asked.
func (s *Source) Doctor(ctx context.Context) ([]sources.Finding, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	is, err := c.server()
	if err != nil {
		return nil, err
	}
	g, err := c.grants(is)
	if err != nil {
		return nil, err
	}
	d := &doctor{s: s, c: c, is: is, findings: s.checkSettings(is)}
	d.login()
	d.add(s.checkGrants(is, g)...)
	for _, check := range []func() error{d.retention, d.files, d.replicas, d.tables} {
		if err := check(); err != nil {
			return d.findings, err
		}
	}
	return d.findings, nil
}

// Drop has nothing to do: a server of this kind keeps its binlog by age and size, not for its readers.
func (s *Source) Drop(context.Context) ([]string, error) { return nil, nil }

// doctor gathers findings.
type doctor struct {
	s        *Source
	c        *session
	is       server
	findings []sources.Finding
}

func (d *doctor) add(findings ...sources.Finding) { d.findings = append(d.findings, findings...) }

// denied reports whether the server refuses to say something to this account, which is found by checkGrants where it matters.
func denied(err error) bool { return codeOf(err) == mysql.ER_SPECIFIC_ACCESS_DENIED_ERROR }

func (d *doctor) login() {
	const check = "login"
	for _, text := range d.s.dsn.warnings {
		d.add(warning(check, text, ""))
	}
	secured := "without TLS"
	if conn, encrypted := d.c.wire.writer.(*tls.Conn); encrypted {
		secured = "by " + tls.VersionName(conn.ConnectionState().Version)
	}
	d.add(ok(check, fmt.Sprintf("logged in to %s %s", d.s.dsn.address, secured)))
}

// retention looks at how long the binlog is kept: what is gone before capture has read it is a gap.
func (d *doctor) retention() error {
	const check = "binlog retention"
	if !d.is.binlog {
		return nil
	}
	if d.is.binlogMax > 0 {
		d.add(warning(check, fmt.Sprintf("the oldest files of the binlog go when it has %s, however young they are", inBytes(uint64(d.is.binlogMax))), ""))
	}
	if d.is.cloud != "" {
		return d.cloudRetention()
	}
	kept := time.Duration(d.is.keepSeconds) * time.Second
	switch {
	case kept == 0:
		d.add(ok(check, "the binlog is not removed by its age"))
	case kept < retentionMin:
		remedy := "run: SET GLOBAL binlog_expire_logs_seconds = 604800;"
		if d.is.flavour == flavourMySQL && d.is.version < 8_00_00 || d.is.flavour == flavourMariaDB && d.is.version < 10_06_00 {
			remedy = "run: SET GLOBAL expire_logs_days = 7;"
		}
		d.add(warning(check, fmt.Sprintf("the binlog is kept for %s: when capture stays away for longer, there is a gap", kept), remedy))
	default:
		d.add(ok(check, fmt.Sprintf("the binlog is kept for %s", kept)))
	}
	return nil
}

// cloudRetention: RDS removes the binlog by a setting of its own, at once when it has none, whatever the server's variables say.
func (d *doctor) cloudRetention() error {
	const check = "binlog retention"
	const remedy = "run: CALL mysql.rds_set_configuration('binlog retention hours', 168);"
	rows, err := d.c.query("SELECT value FROM mysql.rds_configuration WHERE name = 'binlog retention hours'")
	if err != nil {
		if codeOf(err) == 0 {
			return err
		}
		d.add(warning(check, d.is.cloud+" removes the binlog after its 'binlog retention hours', at once when there are none; this account may not see them", remedy))
		return nil
	}
	hours := 0
	if len(rows) == 1 {
		hours, _ = strconv.Atoi(rows[0][0].s) // null is none
	}
	if kept := time.Duration(hours) * time.Hour; kept < retentionMin {
		d.add(warning(check, fmt.Sprintf("%s keeps the binlog for %d hours: when capture stays away for longer, there is a gap", d.is.cloud, hours), remedy))
		return nil
	}
	d.add(ok(check, fmt.Sprintf("%s keeps the binlog for %d hours", d.is.cloud, hours)))
	return nil
}

// files says what the binlog takes on the server's disk.
func (d *doctor) files() error {
	if !d.is.binlog {
		return nil
	}
	files, err := d.c.binlogFiles()
	if denied(err) {
		return nil
	}
	if err != nil {
		return err
	}
	total := uint64(0)
	for _, f := range files {
		total += f.bytes
	}
	if len(files) > 0 {
		d.add(ok("disk", fmt.Sprintf("the binlog has %d files of %s, from %s to %s", len(files), inBytes(total), files[0].name, files[len(files)-1].name)))
	}
	return nil
}

// replicas looks for another reader under our number: each of the two would end the other's stream.
func (d *doctor) replicas() error {
	const check = "server id in use"
	statement := "SHOW SLAVE HOSTS"
	if d.is.flavour == flavourMySQL && d.is.version >= 8_00_22 {
		statement = "SHOW REPLICAS"
	}
	rows, err := d.c.query(statement)
	if denied(err) {
		detail := "this account may not see who reads the binlog"
		if d.is.flavour == flavourMariaDB {
			detail += ": that takes REPLICATION MASTER ADMIN"
		}
		d.add(ok(check, detail))
		return nil
	}
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r[0].s == strconv.FormatUint(uint64(d.s.serverID()), 10) {
			d.add(warning(check, fmt.Sprintf("replica %s is connected: if it is not this source's capture, each ends the stream of the other", r[0].s),
				"give one of the two another server_id"))
			return nil
		}
	}
	d.add(ok(check, fmt.Sprintf("%d replicas are connected, none as %d", len(rows), d.s.serverID())))
	return nil
}

// tables says how many tables the account may read.
func (d *doctor) tables() error {
	where := "table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')"
	if database := d.s.dsn.database; database != "" {
		where = "table_schema = " + quoteText(database)
	}
	r, err := d.c.one("SELECT count(*) FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND " + where)
	if err != nil {
		return err
	}
	if r[0].s == "0" {
		d.add(warning("tables", "there is no table that the account may read", ""))
		return nil
	}
	d.add(ok("tables", r[0].s+" tables can be read"))
	return nil
}

// inBytes is a size as people read it.
func inBytes(n uint64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
