package mysql

import (
	"fmt"
	"slices"
	"strings"
)

// Privileges that capture needs.
const (
	privilegeSlave   = "REPLICATION SLAVE"
	privilegeClient  = "REPLICATION CLIENT"
	privilegeMonitor = "BINLOG MONITOR" // what MariaDB calls REPLICATION CLIENT
	privilegeSelect  = "SELECT"
	privilegeAll     = "ALL PRIVILEGES"
	privilegeSuper   = "SUPER"
)

// grants is what an account may do, roles that are in force included.
type grants struct {
	account string // as the server quotes it
	global  []string
	// scopes are the grants on databases and tables, and what is revoked of the global ones in some databases.
	scopes []scope
	roles  bool // the account has roles, which may not be in force
	fold   bool // names have no case
}

type scope struct {
	database   string // a pattern with % and _ when table is empty
	table      string
	privileges []string
	revoked    bool
}

// grants asks what the account may do.
func (c *session) grants(is server) (grants, error) {
	rows, err := c.query("SHOW GRANTS")
	if err != nil {
		return grants{}, fmt.Errorf("ask what the account may do: %w", err)
	}
	r, err := c.one("SELECT CURRENT_USER()")
	if err != nil {
		return grants{}, fmt.Errorf("ask for the account: %w", err)
	}
	g := grants{account: quoteAccount(r[0].s), fold: is.foldCase}
	for _, row := range rows {
		g.add(row[0].s)
	}
	return g, nil
}

// quoteAccount quotes user@host; the host has no @ in it.
func quoteAccount(account string) string {
	i := strings.LastIndexByte(account, '@')
	if i < 0 {
		return quoteText(account)
	}
	return quoteText(account[:i]) + "@" + quoteText(account[i+1:])
}

// add reads one line of SHOW GRANTS. What it does not know gives nothing.
func (g *grants) add(line string) {
	rest, revoked := strings.CutPrefix(line, "REVOKE ")
	if !revoked {
		var granted bool
		if rest, granted = strings.CutPrefix(line, "GRANT "); !granted {
			return
		}
	}
	var privileges []string
	for {
		name, more := cutPrivilege(rest)
		if name == "" {
			g.roles = g.roles || strings.HasPrefix(rest, "`") || strings.HasPrefix(rest, "'")
			return
		}
		privileges, rest = append(privileges, name), more
		if strings.HasPrefix(rest, "ON ") {
			break
		}
		if rest = strings.TrimPrefix(rest, ", "); rest == more {
			rest = strings.TrimPrefix(rest, ",") // lists of dynamic privileges have no blanks
		}
		if rest == more {
			return
		}
	}
	database, table, ok := cutObject(strings.TrimPrefix(rest, "ON "))
	switch {
	case !ok: // routines, proxies
	case database == "*" && revoked:
	case database == "*":
		g.global = append(g.global, privileges...)
	default:
		if table == "*" {
			table = ""
		}
		g.scopes = append(g.scopes, scope{database: database, table: table, privileges: privileges, revoked: revoked})
	}
}

// cutPrivilege cuts a privilege's name off the front. One that holds for some columns only has them in parentheses, and is named with
// them.
func cutPrivilege(text string) (name, rest string) {
	i := 0
	for i < len(text) && (text[i] >= 'A' && text[i] <= 'Z' || text[i] == '_' || text[i] == ' ') {
		if strings.HasPrefix(text[i:], " ON ") {
			return text[:i], text[i+1:]
		}
		i++
	}
	name, rest = text[:i], text[i:]
	if strings.HasPrefix(rest, "(") && name != "" {
		end := endOfColumns(rest)
		return name + rest[:end], strings.TrimPrefix(rest[end:], " ")
	}
	return strings.TrimSpace(name), rest
}

// endOfColumns is where a list of columns in parentheses ends; their names may be quoted.
func endOfColumns(text string) int {
	quoted := false
	for i := range len(text) {
		switch {
		case text[i] == '`':
			quoted = !quoted
		case text[i] == ')' && !quoted:
			return i + 1
		}
	}
	return len(text)
}

// cutObject reads *.*, `db`.* or `db`.`table`.
func cutObject(text string) (database, table string, ok bool) {
	text = strings.TrimPrefix(text, "TABLE ")
	database, text, ok = cutName(text)
	if !ok || !strings.HasPrefix(text, ".") {
		return "", "", false
	}
	table, _, ok = cutName(text[1:])
	return database, table, ok
}

func cutName(text string) (name, rest string, ok bool) {
	if rest, star := strings.CutPrefix(text, "*"); star {
		return "*", rest, true
	}
	if !strings.HasPrefix(text, "`") {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] != '`':
			b.WriteByte(text[i])
		case strings.HasPrefix(text[i:], "``"):
			b.WriteByte('`')
			i++
		default:
			return b.String(), text[i+1:], true
		}
	}
	return "", "", false
}

func has(privileges []string, any ...string) bool {
	return slices.ContainsFunc(privileges, func(p string) bool { return p == privilegeAll || slices.Contains(any, p) })
}

// everywhere reports whether the account has one of the privileges for the whole server.
func (g grants) everywhere(any ...string) bool { return has(g.global, any...) }

// selects reports whether the account may read every column of a table.
func (g grants) selects(database, table string) bool {
	all := g.everywhere(privilegeSelect)
	for _, s := range g.scopes {
		if !has(s.privileges, privilegeSelect) {
			continue
		}
		switch {
		case s.revoked && s.table == "" && g.same(s.database, database):
			all = false
		case s.revoked:
		case s.table == "" && g.matches(s.database, database), g.same(s.table, table) && g.same(s.database, database):
			return true
		}
	}
	return all
}

// selectsIn reports whether the account may read something in a database, or in any when it is empty.
func (g grants) selectsIn(database string) bool {
	if g.everywhere(privilegeSelect) {
		return true
	}
	return slices.ContainsFunc(g.scopes, func(s scope) bool {
		return !s.revoked && has(s.privileges, privilegeSelect) &&
			(database == "" || g.same(s.database, database) || s.table == "" && g.matches(s.database, database))
	})
}

func (g grants) same(a, b string) bool { return a == b || g.fold && strings.EqualFold(a, b) }

// matches reports whether a database's name is one of the pattern's: _ stands for one character, % for any number of them, and \
// takes the next as it is.
func (g grants) matches(pattern, name string) bool {
	if g.fold {
		pattern, name = strings.ToLower(pattern), strings.ToLower(name)
	}
	return like([]rune(pattern), []rune(name))
}

func like(pattern, name []rune) bool {
	for i, p := range pattern {
		switch {
		case p == '%':
			for j := range len(name) + 1 {
				if like(pattern[i+1:], name[j:]) {
					return true
				}
			}
			return false
		case p == '\\' && i+1 < len(pattern):
			return len(name) > 0 && name[0] == pattern[i+1] && like(pattern[i+2:], name[1:])
		case len(name) == 0 || p != '_' && p != name[0]:
			return false
		}
		name = name[1:]
	}
	return len(name) == 0
}

// grant is the statement that gives the account a privilege.
func (g grants) grant(privilege, object string) string {
	return "GRANT " + privilege + " ON " + object + " TO " + g.account + ";"
}

// onDatabase is a database as GRANT wants it, where _ and % stand for others unless they are escaped.
func onDatabase(name string) string {
	return quoteName(strings.NewReplacer(`\`, `\\`, "_", `\_`, "%", `\%`).Replace(name)) + ".*"
}
