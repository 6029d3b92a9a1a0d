package mysql

import (
	"slices"
	"testing"
)

func grantsOf(lines ...string) grants {
	g := grants{account: "'cdc'@'%'"}
	for _, line := range lines {
		g.add(line)
	}
	return g
}

func TestGrantsAsServersWriteThem(t *testing.T) {
	for _, test := range []struct {
		name, line string
		global     []string
	}{
		{"MySQL 8", "GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `cdc`@`%`", []string{"SELECT", "REPLICATION SLAVE", "REPLICATION CLIENT"}},
		{"MySQL 5.7", "GRANT REPLICATION SLAVE ON *.* TO 'cdc'@'%'", []string{"REPLICATION SLAVE"}},
		{"MariaDB", "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `cdc`@`%` IDENTIFIED BY PASSWORD '*ABC'", []string{"REPLICATION SLAVE", "BINLOG MONITOR"}},
		{"all", "GRANT ALL PRIVILEGES ON *.* TO 'root'@'localhost' WITH GRANT OPTION", []string{"ALL PRIVILEGES"}},
		{"dynamic", "GRANT BACKUP_ADMIN,REPLICATION_SLAVE_ADMIN ON *.* TO `root`@`%`", []string{"BACKUP_ADMIN", "REPLICATION_SLAVE_ADMIN"}},
		{"none", "GRANT USAGE ON *.* TO `cdc`@`%`", []string{"USAGE"}},
		{"database", "GRANT SELECT ON `shop`.* TO `cdc`@`%`", nil},
		{"role", "GRANT `SELECT ON *.* TO`@`%` TO `cdc`@`%`", nil},
		{"proxy", "GRANT PROXY ON ''@'' TO 'root'@'localhost' WITH GRANT OPTION", nil},
		{"routine", "GRANT EXECUTE ON PROCEDURE `shop`.`*` TO `cdc`@`%`", nil},
		{"partial revoke", "REVOKE SELECT ON `mysql`.* FROM `cdc`@`%`", nil},
		{"columns", "GRANT SELECT (`a`, `) ON *.* TO`), INSERT ON `shop`.`t` TO `cdc`@`%`", nil},
		{"default role", "SET DEFAULT ROLE `reader` FOR `cdc`@`%`", nil},
		{"nothing", "", nil},
		{"cut off", "GRANT SELECT", nil},
		{"cut off", "GRANT SELECT (`a", nil},
		{"cut off", "GRANT SELECT ON `shop", nil},
	} {
		if got := grantsOf(test.line).global; !slices.Equal(got, test.global) {
			t.Errorf("%s: %q gives %q", test.name, test.line, got)
		}
	}
	if !grantsOf("GRANT `reader`@`%`,`writer`@`%` TO `cdc`@`%`").roles || grantsOf("GRANT SELECT ON *.* TO `cdc`@`%`").roles {
		t.Error("roles are not seen")
	}
}

func TestWhatGrantsLetRead(t *testing.T) {
	for _, test := range []struct {
		lines           []string
		database, table string
		table1, some    bool // the whole table, something in the database
	}{
		{[]string{"GRANT SELECT ON *.* TO `a`@`%`"}, "shop", "orders", true, true},
		{[]string{"GRANT SELECT ON *.* TO `a`@`%`", "REVOKE SELECT ON `shop`.* FROM `a`@`%`"}, "shop", "orders", false, true},
		{[]string{"GRANT ALL PRIVILEGES ON `shop`.* TO `a`@`%`"}, "shop", "orders", true, true},
		{[]string{"GRANT ALL PRIVILEGES ON `shop`.* TO `a`@`%`"}, "shop2", "orders", false, false},
		{[]string{"GRANT INSERT ON `shop`.* TO `a`@`%`"}, "shop", "orders", false, false},
		{[]string{"GRANT SELECT ON `shop\\_%`.* TO `a`@`%`"}, "shop_1", "orders", true, true},
		{[]string{"GRANT SELECT ON `shop\\_%`.* TO `a`@`%`"}, "shopx1", "orders", false, false},
		{[]string{"GRANT SELECT ON `sh_p`.* TO `a`@`%`"}, "shop", "orders", true, true},
		{[]string{"GRANT SELECT ON `sh_p`.`orders` TO `a`@`%`"}, "shop", "orders", false, false},
		{[]string{"GRANT SELECT, INSERT ON `shop`.`orders` TO `a`@`%`"}, "shop", "orders", true, true},
		{[]string{"GRANT SELECT ON `shop`.`orders` TO `a`@`%`"}, "shop", "lines", false, true},
		{[]string{"GRANT SELECT (`id`) ON `shop`.`orders` TO `a`@`%`"}, "shop", "orders", false, false},
		{[]string{"GRANT SELECT (`id`), SELECT ON `shop`.`orders` TO `a`@`%`"}, "shop", "orders", true, true},
		{[]string{"GRANT SELECT ON `a``b`.`c.d` TO `a`@`%`"}, "a`b", "c.d", true, true},
		{[]string{"GRANT SELECT ON `Shop`.* TO `a`@`%`"}, "shop", "orders", false, false},
		{nil, "shop", "orders", false, false},
	} {
		g := grantsOf(test.lines...)
		if got := g.selects(test.database, test.table); got != test.table1 {
			t.Errorf("%q let read %s.%s: %v", test.lines, test.database, test.table, got)
		}
		if got := g.selectsIn(test.database); got != test.some {
			t.Errorf("%q let read in %s: %v", test.lines, test.database, got)
		}
	}
	folded := grantsOf("GRANT SELECT ON `Shop`.* TO `a`@`%`")
	folded.fold = true
	if !folded.selects("shop", "orders") {
		t.Error("names have a case though the server gives them none")
	}
}

func FuzzGrants(f *testing.F) {
	f.Add("GRANT SELECT (`a`, `b`), INSERT ON `shop`.`t` TO `cdc`@`%`", "shop", "t")
	f.Add("GRANT SELECT ON `sh\\_%`.* TO `cdc`@`%`", "sh_1", "t")
	f.Fuzz(func(_ *testing.T, line, database, table string) {
		g := grantsOf(line[:min(len(line), 100)])
		g.selects(database[:min(len(database), 20)], table)
	})
}
