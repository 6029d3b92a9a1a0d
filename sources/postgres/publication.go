package postgres

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cdc/schema"
	"cdc/sources"
)

// choice is a table that is captured and how.
type choice struct {
	*tableInfo
	appendOnly bool
	named      bool
}

// selection is what the patterns and the publication make of the tables there are.
type selection struct {
	chosen []choice
	// left are tables that match and are not captured, each with the reason.
	left []leftOut
}

type leftOut struct {
	*tableInfo
	reason, remedy string
	// named says that the user asked for this very table.
	named bool
}

func (l leftOut) String() string { return l.quoted() + " " + l.reason + "; " + l.remedy }

// published is what publications say about a table.
type published struct {
	filter                         string
	columns                        []uint32 // attribute numbers, nil: all
	insert, update, delete, truncs bool
}

// whole reports whether all changes of a table are published, or all that append-only tables have.
func (p published) whole(appendOnly bool) bool {
	return p.insert && p.truncs && (appendOnly || p.update && p.delete)
}

// readPublished reads the tables of the publications.
func (c *catalog) readPublished(ctx context.Context, names []string) (map[uint32]published, error) {
	detail := `NULL, NULL`
	if c.version >= 15 {
		detail = `(SELECT pg_catalog.string_agg(a.attnum::text, ',') FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = k.oid AND a.attname = ANY(t.attnames)), t.rowfilter`
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quoteText(n)
	}
	rows, err := c.query(ctx, `
SELECT k.oid, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, `+detail+`
FROM pg_catalog.pg_publication p
JOIN pg_catalog.pg_publication_tables t ON t.pubname = p.pubname
JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname
JOIN pg_catalog.pg_class k ON k.relnamespace = n.oid AND k.relname = t.tablename
WHERE p.pubname IN (`+strings.Join(quoted, ", ")+`)`)
	if err != nil {
		return nil, fmt.Errorf("read publications: %w", err)
	}
	all := make(map[uint32]published, len(rows))
	for _, r := range rows {
		oid := uint32(r[0].int())
		p, twice := all[oid]
		p.insert, p.update, p.delete, p.truncs = p.insert || r[1].bool(), p.update || r[2].bool(), p.delete || r[3].bool(), p.truncs || r[4].bool()
		if !twice {
			p.filter, p.columns = r[6].text(), numbers(r[5].text())
		}
		all[oid] = p
	}
	return all, nil
}

// numbers reads numbers with commas between.
func numbers(text string) []uint32 {
	var all []uint32
	for part := range strings.SplitSeq(text, ",") {
		if n, err := strconv.ParseUint(part, 10, 32); err == nil {
			all = append(all, uint32(n))
		}
	}
	return all
}

// choose applies the patterns.
func (s *Source) choose(tables []*tableInfo) selection {
	var sel selection
	for _, t := range tables {
		if !s.tables.Wants(t.schema, t.name) {
			continue
		}
		appendOnly, named := s.appendOnly.Includes(t.schema, t.name), s.tables.Names(t.schema, t.name)
		reason, remedy := s.unfit(t, appendOnly)
		switch {
		case reason == "":
			sel.chosen = append(sel.chosen, choice{tableInfo: t, appendOnly: appendOnly, named: named})
		case t.readable || len(s.tables.Including()) > 0:
			sel.left = append(sel.left, leftOut{tableInfo: t, reason: reason, remedy: remedy, named: named})
		}
	}
	return sel
}

// checkWishes makes it an error when a table that was asked for by its name cannot be captured, or a pattern matches nothing: that
// is more often a slip than a wish.
func (s *Source) checkWishes(tables []*tableInfo, sel selection) error {
	for _, l := range sel.left {
		if l.named {
			return &sources.Unfit{Detail: "table " + l.quoted() + " " + l.reason, Remedy: l.remedy}
		}
	}
	return s.checkPatterns(tables)
}

func (s *Source) checkPatterns(tables []*tableInfo) error {
	for _, p := range slices.Concat(s.tables.All(), s.appendOnly.All()) {
		matches := func(t *tableInfo) bool { return p.Matches(s.o.Name, t.schema, t.name) }
		if !slices.ContainsFunc(tables, matches) {
			return &sources.Unfit{
				Detail: fmt.Sprintf("pattern %q matches no table", p),
				Remedy: "see the tables with \\dt *.* in psql; a partition is captured through its root, and unlogged tables cannot be",
			}
		}
	}
	return nil
}

// unfit says why a table cannot be captured, and what would mend it; empty when it can.
func (s *Source) unfit(t *tableInfo, appendOnly bool) (reason, remedy string) {
	role := quoteName(s.dsn.config.User)
	switch {
	case !t.readable:
		return "may not be read by role " + role, "run: GRANT USAGE ON SCHEMA " + quoteName(t.schema) + " TO " + role + "; GRANT SELECT ON " + t.quoted() + " TO " + role + ";"
	case slices.ContainsFunc(t.captured(), func(c columnInfo) bool { return !c.readable }):
		return "has columns that role " + role + " may not read", "run: GRANT SELECT ON " + t.quoted() + " TO " + role + ";"
	case t.rowSecured:
		return "has row security that hides rows from role " + role, "run: ALTER ROLE " + role + " BYPASSRLS;"
	case appendOnly:
		return "", ""
	case t.usable() == schema.IdentityNone:
		return noIdentity + ": its updates and deletes would not say which row they touch",
			"run: ALTER TABLE " + t.quoted() + " ADD PRIMARY KEY (…); or ALTER TABLE " + t.quoted() + " REPLICA IDENTITY FULL; or capture it with --append-only"
	}
	return "", ""
}

// noIdentity begins the reason of a table whose rows have no name.
const noIdentity = "has no usable identity"

// selectTables says what is captured: what the patterns name and the publications hold.
func (s *Source) selectTables(ctx context.Context, c *catalog, pubs publications) (selection, error) {
	all, err := c.candidates(ctx)
	if err != nil {
		return selection{}, err
	}
	held, err := c.readPublished(ctx, pubs.names())
	if err != nil {
		return selection{}, err
	}
	return s.choose(all).within(held, pubs, s.o.Name), nil
}

// within leaves out what is not published, and narrows tables to what is.
func (sel selection) within(held map[uint32]published, pubs publications, source string) selection {
	out := selection{left: sel.left}
	for _, t := range sel.chosen {
		p, ok := held[t.oid]
		if !ok {
			l := leftOut{tableInfo: t.tableInfo, named: t.named, reason: reasonLate, remedy: "run " + recopyCommand(source, t.tableInfo)}
			if !pubs.own {
				l.reason = fmt.Sprintf("is not in publication %q", pubs.main)
				l.remedy = "run: ALTER PUBLICATION " + quoteName(pubs.main) + " ADD TABLE ONLY " + t.quoted() + "; and " + recopyCommand(source, t.tableInfo)
			}
			out.left = append(out.left, l)
			continue
		}
		t.filter = p.filter
		t.appendOnly = t.appendOnly || !p.update && !p.delete
		if !p.whole(t.appendOnly) {
			out.left = append(out.left, leftOut{
				tableInfo: t.tableInfo, named: t.named,
				reason: fmt.Sprintf("is published in part: publication %q leaves out some of its changes", pubs.main),
				remedy: "run: ALTER PUBLICATION " + quoteName(pubs.main) + " SET (publish = 'insert, update, delete, truncate'); and " + recopyCommand(source, t.tableInfo),
			})
			continue
		}
		if p.columns != nil {
			t.columns = slices.DeleteFunc(t.columns, func(c columnInfo) bool { return !slices.Contains(p.columns, c.number) })
		}
		out.chosen = append(out.chosen, t)
	}
	return out
}

// reasonLate is why a table that matches is not captured although it could be.
const reasonLate = "was made after the copy"

// plainName is a name that neither the shell nor a pattern reads as anything else.
var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// recopyCommand copies one table.
func recopyCommand(source string, t *tableInfo) string {
	if !plainName.MatchString(t.schema) || !plainName.MatchString(t.name) {
		return "cdc resolve " + source + " --recopy '" + strings.ReplaceAll(t.quoted(), "'", `'\''`) + "'"
	}
	return "'cdc resolve " + source + " --recopy " + schema.QuotedName(t.schema, t.name) + "'"
}

// preparePublication makes sure that the publication exists before the slot does: a slot that is older than its publication can
// never be read.
func (s *Source) preparePublication(ctx context.Context, c *catalog) error {
	pubs := s.publications()
	if !pubs.own {
		return s.checkNamedPublication(ctx, c, pubs)
	}
	all, err := c.candidates(ctx)
	if err != nil {
		return err
	}
	sel := s.choose(all)
	if err := s.checkWishes(all, sel); err != nil {
		return err
	}
	var tables, inserts []string
	for _, t := range sel.chosen {
		if t.appendOnly {
			inserts = append(inserts, "ONLY "+t.quoted())
		} else {
			tables = append(tables, "ONLY "+t.quoted())
		}
	}
	if err := s.makePublication(ctx, c, pubs.main, tables, "insert, update, delete, truncate"); err != nil {
		return err
	}
	if pubs.inserts == "" {
		return nil
	}
	return s.makePublication(ctx, c, pubs.inserts, inserts, "insert, truncate")
}

// makePublication creates a publication, or gives an existing one of ours the tables.
func (s *Source) makePublication(ctx context.Context, c *catalog, name string, tables []string, publish string) error {
	rows, err := c.query(ctx, `SELECT puballtables FROM pg_catalog.pg_publication WHERE pubname = $1`, name)
	if err != nil {
		return err
	}
	sql := createPublicationSQL(name, tables, publish)
	switch {
	case len(rows) > 0 && len(tables) > 0:
		sql = "ALTER PUBLICATION " + quoteName(name) + " SET TABLE " + strings.Join(tables, ", ")
	case len(rows) > 0:
		sql = "DROP PUBLICATION " + quoteName(name) + "; " + sql
	}
	if err := c.exec(ctx, sql); err != nil {
		return s.classifyPublication(name, sql, err)
	}
	return nil
}

func createPublicationSQL(name string, tables []string, publish string) string {
	sql := "CREATE PUBLICATION " + quoteName(name)
	if len(tables) > 0 {
		sql += " FOR TABLE " + strings.Join(tables, ", ")
	}
	return sql + " WITH (publish = '" + publish + "', publish_via_partition_root = true)"
}

func (s *Source) classifyPublication(name, sql string, err error) error {
	if code := codeOf(err); code == "42501" {
		return &sources.Unfit{
			Detail: fmt.Sprintf("the role may not make publication %q: %s", name, err),
			Remedy: "let the owner of the tables run: " + sql + "; and start again with --publication " + strconv.Quote(name),
		}
	}
	return fmt.Errorf("make publication %q: %w", name, err)
}

func (s *Source) checkNamedPublication(ctx context.Context, c *catalog, pubs publications) error {
	rows, err := c.query(ctx, `SELECT 1 FROM pg_catalog.pg_publication WHERE pubname = $1`, pubs.main)
	if err != nil {
		return err
	}
	all, err := c.candidates(ctx)
	if err != nil {
		return err
	}
	sel := s.choose(all)
	if len(rows) > 0 {
		held, err := c.readPublished(ctx, pubs.names())
		if err != nil {
			return err
		}
		return s.checkWishes(all, sel.within(held, pubs, s.o.Name))
	}
	return &sources.Unfit{
		Detail: fmt.Sprintf("publication %q does not exist", pubs.main),
		Remedy: "let the owner of the tables run: " + sel.publicationSQL(pubs.main) + ";",
	}
}

// publicationSQL makes a publication of all tables that one may hold: the server refuses updates and deletes of a table without an
// identity from the moment that they are published.
func (sel selection) publicationSQL(name string) string {
	var tables []string
	for _, t := range sel.chosen {
		if t.usable() != schema.IdentityNone {
			tables = append(tables, "ONLY "+t.quoted())
		}
	}
	return createPublicationSQL(name, tables, "insert, update, delete, truncate")
}
