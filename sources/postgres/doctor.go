package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cdc/sources"
)

// Doctor implements sources.Database.
func (s *Source) Doctor(ctx context.Context) ([]sources.Finding, error) {
	c, err := s.openCatalog(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	d := &doctor{s: s, c: c}
	for _, check := range []func(context.Context) error{d.server, d.login, d.settings, d.slots, d.tables} {
		if err := check(ctx); err != nil {
			return d.findings, err
		}
	}
	return d.findings, nil
}

// doctor gathers findings.
type doctor struct {
	s        *Source
	c        *catalog
	findings []sources.Finding
}

func (d *doctor) add(check string, severity sources.Severity, detail, remedy string) {
	d.findings = append(d.findings, sources.Finding{Check: check, Severity: severity, Detail: detail, Remedy: remedy})
}

// judge turns an error that names its remedy into a finding, and passes others on.
func (d *doctor) judge(check, fine string, err error) error {
	var unfit *sources.Unfit
	var refused *sources.Refused
	switch {
	case err == nil:
		d.add(check, sources.SeverityOK, fine, "")
	case errors.As(err, &unfit):
		d.add(check, sources.SeverityProblem, unfit.Detail, unfit.Remedy)
	case errors.As(err, &refused):
		d.add(check, sources.SeverityProblem, refused.Detail, refused.Remedy)
	default:
		return err
	}
	return nil
}

func (d *doctor) server(ctx context.Context) error {
	return d.judge("server", fmt.Sprintf("PostgreSQL %d with wal_level logical", d.c.version), d.s.checkServer(ctx, d.c))
}

func (d *doctor) login(ctx context.Context) error {
	ws, err := d.s.connectWalsender(ctx)
	if err == nil {
		closeConn(ws.PgConn)
	}
	return d.judge("replication login", "role "+quoteName(d.s.dsn.config.User)+" may replicate", err)
}

func (d *doctor) settings(ctx context.Context) error {
	r, err := d.c.one(ctx, `
SELECT pg_catalog.current_setting('max_slot_wal_keep_size'), (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'),
       pg_catalog.current_setting('server_encoding')`)
	if err != nil {
		return err
	}
	if size := r[0].text(); size == "-1" {
		d.add("held WAL", sources.SeverityWarning, "max_slot_wal_keep_size is -1: if capture stays away, its slot fills the server's disk",
			"run: ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();")
	} else {
		d.add("held WAL", sources.SeverityOK, "a slot holds back at most "+size, "")
	}
	const shortTimeout = 10_000
	if ms := r[1].int(); ms > 0 && ms < shortTimeout {
		d.add("wal_sender_timeout", sources.SeverityWarning, fmt.Sprintf("%d ms: a short pause of the network ends the stream", ms),
			"run: ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf();")
	} else {
		d.add("wal_sender_timeout", sources.SeverityOK, fmt.Sprintf("%d ms", ms), "")
	}
	if encoding := r[2].text(); encoding == "SQL_ASCII" {
		d.add("encoding", sources.SeverityWarning, "the database does not know the encoding of its text: bytes that are not UTF-8 stop capture", "")
	} else {
		d.add("encoding", sources.SeverityOK, encoding, "")
	}
	return nil
}

func (d *doctor) slots(ctx context.Context) error {
	slot, ok, err := d.c.readSlot(ctx, d.s.slot())
	if err != nil {
		return err
	}
	if ok {
		severity, remedy := sources.SeverityOK, ""
		if slot.status == "lost" || slot.status == "unreserved" {
			severity, remedy = sources.SeverityProblem, d.s.resolveRemedy()
		}
		d.add("slot", severity, fmt.Sprintf("%q holds back %d bytes of WAL (%s)", d.s.slot(), slot.held, slot.status), remedy)
		return nil
	}
	r, err := d.c.one(ctx, `
SELECT (SELECT count(*) FROM pg_catalog.pg_replication_slots), pg_catalog.current_setting('max_replication_slots'),
       (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'walsender'), pg_catalog.current_setting('max_wal_senders')`)
	if err != nil {
		return err
	}
	d.room("replication slots", r[0].int(), r[1].int(), "max_replication_slots")
	d.room("walsenders", r[2].int(), r[3].int(), "max_wal_senders")
	return nil
}

// room checks that one more fits.
func (d *doctor) room(what string, used, most int64, setting string) {
	detail := fmt.Sprintf("%d of %d in use", used, most)
	if used < most {
		d.add(what, sources.SeverityOK, detail, "")
		return
	}
	d.add(what, sources.SeverityProblem, detail, fmt.Sprintf("run: ALTER SYSTEM SET %s = %d; and restart the server", setting, most+10))
}

func (d *doctor) tables(ctx context.Context) error {
	all, err := d.c.candidates(ctx)
	if err != nil {
		return err
	}
	sel := d.s.choose(all)
	if err := d.judge("patterns", fmt.Sprintf("%d tables match and can be captured", len(sel.chosen)), d.s.checkPatterns(all)); err != nil {
		return err
	}
	for _, l := range sel.left {
		severity := sources.SeverityWarning
		if l.named {
			severity = sources.SeverityProblem
		}
		d.add("table "+l.quoted(), severity, l.reason, l.remedy)
	}
	return d.publication(ctx, sel)
}

func (d *doctor) publication(ctx context.Context, sel selection) error {
	pubs := d.s.publications()
	if !pubs.own {
		return d.namedPublication(ctx, pubs, sel)
	}
	r, err := d.c.one(ctx, `SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_publication WHERE pubname = $1),
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')`, pubs.main)
	if err != nil {
		return err
	}
	foreign, err := d.foreign(ctx, sel)
	switch {
	case err != nil:
		return err
	case r[0].bool():
		d.add("publication", sources.SeverityOK, fmt.Sprintf("%q exists", pubs.main), "")
	case len(foreign) > 0:
		name := "cdc_" + d.s.o.Name
		d.add("publication", sources.SeverityProblem, "the role may not publish what it does not own: "+listed(foreign),
			"let the owner of the tables run: "+sel.publicationSQL(name)+"; and give --publication "+name)
	case !r[1].bool():
		d.add("publication", sources.SeverityProblem, "the role may not make a publication in this database",
			"run: GRANT CREATE ON DATABASE "+quoteName(d.s.Database())+" TO "+quoteName(d.s.dsn.config.User)+";")
	default:
		d.add("publication", sources.SeverityOK, "the role may make one", "")
	}
	return nil
}

// namedPublication looks at a publication that somebody has made: it is used as it is, so that tables which it does not hold whole are
// not captured.
func (d *doctor) namedPublication(ctx context.Context, pubs publications, sel selection) error {
	err := d.s.checkNamedPublication(ctx, d.c, pubs)
	if err != nil {
		return d.judge("publication", "", err)
	}
	held, err := d.c.readPublished(ctx, pubs.names())
	if err != nil {
		return err
	}
	within := sel.within(held, pubs, d.s.o.Name)
	d.add("publication", sources.SeverityOK, fmt.Sprintf("%q exists, with %d of the tables", pubs.main, len(within.chosen)), "")
	var missing, add []string
	for _, l := range within.left[len(sel.left):] {
		if _, ok := held[l.oid]; ok {
			d.add("table "+l.quoted(), sources.SeverityWarning, l.reason, l.remedy)
			continue
		}
		missing, add = append(missing, l.quoted()), append(add, "ONLY "+l.quoted())
	}
	if len(missing) > 0 {
		d.add("publication", sources.SeverityWarning,
			fmt.Sprintf("%q does not hold %d of the tables, which are not captured: %s", pubs.main, len(missing), listed(missing)),
			"let their owner run: ALTER PUBLICATION "+quoteName(pubs.main)+" ADD TABLE "+strings.Join(add, ", ")+"; or leave them out by --tables")
	}
	return nil
}

// foreign are the chosen tables that the role does not own.
func (d *doctor) foreign(ctx context.Context, sel selection) (names []string, err error) {
	oids := make([]uint32, len(sel.chosen))
	for i, t := range sel.chosen {
		oids[i] = t.oid
	}
	rows, err := d.c.query(ctx, `SELECT oid FROM pg_catalog.pg_class
WHERE oid = ANY($1::oid[]) AND NOT pg_catalog.pg_has_role(relowner, 'USAGE')`, oidArray(oids))
	if err != nil {
		return nil, fmt.Errorf("read owners: %w", err)
	}
	for _, t := range sel.chosen {
		if slices.ContainsFunc(rows, func(r row) bool { return uint32(r[0].int()) == t.oid }) {
			names = append(names, t.quoted())
		}
	}
	return names, nil
}

// listed names the first few of many.
func listed(names []string) string {
	const most = 3
	if more := len(names) - most; more > 0 {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}
