package schema

import (
	"regexp"
	"strings"
)

// FullName is source.schema.table for messages, quoted as verbs want it back: see QuotedName.
func (t *Table) FullName() string { return QuotedName(t.Source, t.Schema, t.Name) }

// QuotedName joins the parts of a name by points, in double quotes where a part would else be taken for another one, or for several.
func QuotedName(parts ...string) string {
	written := make([]string, len(parts))
	for i, part := range parts {
		written[i] = part
		if !plainPart.MatchString(part) {
			written[i] = `"` + strings.ReplaceAll(part, `"`, `""`) + `"`
		}
	}
	return strings.Join(written, ".")
}

// plainPart is what stands without quotes: capitals could also be meant for lower case, and SQL reads a dash as minus.
var plainPart = regexp.MustCompile(`^[a-z_][a-z0-9_$]*$`)
