package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// shape is how the server stores and publishes a table, by a key for each part. The server sends nothing when stored rows change
// other than by INSERT, UPDATE, DELETE and TRUNCATE; two shapes of a table show that it happened. The log keeps the last one, so that
// it shows also when nobody was there to see it.
type shape map[string]string

// Kinds of parts, the first letter of their keys. A number follows.
const (
	partColumn    = 'a' // attribute, dropped ones included: the transaction that last altered it
	partFile      = 'f' // the table's file
	partPartition = 'p' // a partition at any level: its file
	partLabel     = 'e' // label of an enum that a column's type is made of: the transaction that last altered it
	partField     = 'c' // field of a composite that a column's type is made of, type.number: likewise
	partPublished = 'm' // publication that holds the table: the rows of the catalogue that say so
)

// attachedMark follows the file of a partition that was a table of its own before.
const attachedMark = "+"

// shapesSQL reads nothing that takes a lock on the tables: whoever holds one would keep us waiting. A partition was attached when it
// and its place among the partitions were made by different transactions; what it depends on tells when it was made, as no later
// statement touches that.
const shapesSQL = `
WITH RECURSIVE parts(root, oid, attached) AS (
  SELECT r.oid, r.oid, false FROM pg_catalog.pg_class r WHERE r.oid = ANY($1::oid[]) AND r.relkind = 'p'
  UNION ALL
  SELECT p.root, i.inhrelid, i.xmin <> (SELECT d.xmin FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = c.reltype AND d.refobjid = c.oid LIMIT 1)
  FROM parts p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
), made(root, oid) AS (
  SELECT a.attrelid, a.atttypid FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384
  UNION
  SELECT m.root, x.oid FROM made m JOIN pg_catalog.pg_type t ON t.oid = m.oid, LATERAL (
    SELECT t.typelem UNION ALL SELECT t.typbasetype UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
    WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) x(oid)
  WHERE x.oid >= 16384
)
SELECT a.attrelid, 'a' || a.attnum, a.xmin::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0
UNION ALL SELECT c.oid, 'f', c.relfilenode::text FROM pg_catalog.pg_class c WHERE c.oid = ANY($1::oid[]) AND c.relkind = 'r'
UNION ALL SELECT p.root, 'p' || p.oid, c.relfilenode || CASE WHEN p.attached THEN '+' ELSE '' END
  FROM parts p JOIN pg_catalog.pg_class c ON c.oid = p.oid WHERE p.oid <> p.root
UNION ALL SELECT m.root, 'e' || e.oid, e.xmin::text FROM made m JOIN pg_catalog.pg_enum e ON e.enumtypid = m.oid
UNION ALL SELECT m.root, 'c' || t.typrelid || '.' || a.attnum, a.xmin::text FROM made m JOIN pg_catalog.pg_type t ON t.oid = m.oid AND t.typtype = 'c'
  JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0
UNION ALL `

// publishedSQL tells how each publication comes to hold the table. Taking a table out and back in makes a new row.
func (c *catalog) publishedSQL(publications []string) string {
	bySchema, join := "''", ""
	if c.version >= 15 {
		bySchema = `coalesce(n.oid || '.' || n.xmin, '')`
		join = ` LEFT JOIN pg_catalog.pg_publication_namespace n ON n.pnpubid = p.oid AND n.pnnspid = c.relnamespace`
	}
	quoted := make([]string, len(publications))
	for i, name := range publications {
		quoted[i] = quoteText(name)
	}
	return `
SELECT c.oid, 'm' || p.oid, p.xmin || ' ' || coalesce(r.oid || '.' || r.xmin, '') || ' ' || ` + bySchema + `
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_publication p ON p.pubname IN (` + strings.Join(quoted, ", ") + `)
LEFT JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid` + join + `
WHERE c.oid = ANY($1::oid[]) AND (p.puballtables OR r.oid IS NOT NULL OR ` + bySchema + ` <> '')`
}

// readShapes reads the shapes of the tables that exist.
func (c *catalog) readShapes(ctx context.Context, oids []uint32, pubs publications) (map[uint32]shape, error) {
	rows, err := c.query(ctx, shapesSQL+c.publishedSQL(pubs.names()), oidArray(oids))
	if err != nil {
		return nil, fmt.Errorf("read shapes of tables: %w", err)
	}
	shapes := map[uint32]shape{}
	for _, r := range rows {
		oid := uint32(r[0].int())
		if shapes[oid] == nil {
			shapes[oid] = shape{}
		}
		shapes[oid][r[1].text()] = r[2].text()
	}
	return shapes, nil
}

// String is the form that the log keeps.
func (s shape) String() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s)) {
		b.WriteString(key + "=" + s[key] + ";")
	}
	return b.String()
}

// parseShape reads what String wrote.
func parseShape(text string) shape {
	s := shape{}
	for part := range strings.SplitSeq(text, ";") {
		if key, value, ok := strings.Cut(part, "="); ok && key != "" {
			s[key] = value
		}
	}
	return s
}

// columns is the highest attribute number.
func (s shape) columns() uint32 {
	most := uint64(0)
	for key := range s {
		if key[0] == partColumn {
			n, err := strconv.ParseUint(key[1:], 10, 32)
			if err == nil {
				most = max(most, n)
			}
		}
	}
	return uint32(most)
}

// lost says what may have changed the table's rows between two shapes without their having been sent; empty for nothing.
func (s shape) lost(now shape) string {
	if len(s) == 0 || len(now) == 0 {
		return ""
	}
	if s["f"] != now["f"] && s.differs(now, partColumn) {
		// ALTER … TYPE … USING replaces the file even when the type stays. VACUUM FULL does too, but alters no column.
		return "its stored rows were rewritten"
	}
	if s.differs(now, partPublished) {
		return "its publication was changed, and may have left out changes"
	}
	for key, before := range s {
		after, ok := now[key]
		switch {
		case key[0] == partPartition && !ok:
			return "a partition was dropped or detached"
		case key[0] == partPartition && strings.TrimSuffix(before, attachedMark) != strings.TrimSuffix(after, attachedMark):
			return "a partition was emptied or rewritten by itself"
		case (key[0] == partLabel || key[0] == partField) && ok && before != after:
			return "the type of one of its columns was altered"
		}
	}
	return s.gained(now)
}

// gained says what has come to a table with rows of its own.
func (s shape) gained(now shape) string {
	types := map[string]bool{} // composite types that were there
	for key := range s {
		if relation, _, ok := strings.Cut(key, "."); ok && key[0] == partField {
			types[relation] = true
		}
	}
	for key, after := range now {
		if _, ok := s[key]; ok {
			continue
		}
		relation, _, _ := strings.Cut(key, ".")
		switch {
		case key[0] == partPartition && strings.HasSuffix(after, attachedMark):
			return "a table was attached to it as a partition"
		case key[0] == partField && types[relation]:
			return "the type of one of its columns was altered"
		}
	}
	return ""
}

// differs reports whether any part of the kind differs.
func (s shape) differs(now shape, kind byte) bool {
	only := func(all shape) shape {
		all = maps.Clone(all)
		maps.DeleteFunc(all, func(key, _ string) bool { return key[0] != kind })
		return all
	}
	return !maps.Equal(only(s), only(now))
}
