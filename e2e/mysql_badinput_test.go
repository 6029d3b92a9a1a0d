//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"cdc/e2e/testservers"
)

func TestBadLoginsToMySQLAreToldApart(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		server := testservers.SharedMySQL(t, f)
		c := smallMySQLRig(t, server)
		dsn := c.dsn()
		c.runWith(strings.Replace(dsn, server.Addr(), "127.0.0.1:1", 1)).refuses(t, exitUnreachable, "127.0.0.1", "refused", "check")
		c.runWith(strings.Replace(dsn, server.Addr(), "no-such-host.invalid:3306", 1)).refuses(t, exitUnreachable, "no-such-host.invalid")
		r := c.runWith(strings.Replace(dsn, c.role+":", c.role+":wrong", 1))
		r.refuses(t, exitUnreachable, "password", c.role)
		if _, secret, _ := strings.Cut(c.password(), "="); strings.Contains(r.err+r.out, secret) {
			t.Errorf("the password is shown: %v", r)
		}
		r.refuses(t, exitUnreachable, "source "+c.database+":", "the DSN and its password come from the command line")
		bare, _ := c.login()
		execute(t, []string{"MYSQL_PWD=hushhush"}, "doctor", "--data", c.data(), bare).
			refuses(t, exitUnreachable, "source "+c.database+":", "the password from the variable MYSQL_PWD")
		c.runWith(strings.TrimSuffix(dsn, "/"+c.database)+"/no_such_database").refuses(t, exitUnfit, "no_such_database")
		c.thenWorks()
	})
}

func TestTLSOfMySQLThatIsRefusedIsSaid(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := ownServer(t, testservers.MySQLOptions{Flavour: f, TLS: true})
		plain, _, _ := strings.Cut(c.dsn(), "?")
		// MariaDB does not say that this is the reason.
		c.runWith(plain+"?tls=disable").refuses(t, exitUnreachable, "tls=")
		c.runWith(plain+"?tls=verify-full").refuses(t, exitUnreachable, "certificate")
		c.thenWorks()
	})
}

func TestMySQLWithoutPrivilegesIsRefusedWithTheRemedy(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := smallMySQLRig(t, testservers.SharedMySQL(t, f))
		for name, what := range map[string]struct {
			grant []string
			says  []string
		}{
			"_none":   {nil, []string{"REPLICATION SLAVE", "GRANT"}},
			"_slave":  {[]string{"GRANT REPLICATION SLAVE ON *.* TO %"}, []string{"GRANT"}},
			"_select": {[]string{"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO %"}, []string{"SELECT", "GRANT SELECT"}},
		} {
			user := c.database + name
			var grants []string
			for _, grant := range what.grant {
				grants = append(grants, strings.ReplaceAll(grant, "%", "'"+user+"'@'%'"))
			}
			if err := c.server.CreateUser(t.Context(), user, "secret", grants...); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.dropUser(user) })
			c.runWith(strings.Replace(c.server.DSN(user, c.database), "mariadb://", "mysql://", 1)).refuses(t, exitUnfit, what.says...)
		}
		c.runWith(c.dsn(), "--tables", "nothing_like_it").refuses(t, exitUnfit, "nothing_like_it")
		c.thenWorks()
	})
}

func (c *mysqlRig) dropUser(user string) {
	if out := c.ask("DROP USER '" + user + "'"); out != "" {
		c.t.Logf("drop user: %s", out)
	}
}

func TestMySQLThatCannotBeCapturedIsRefused(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		for name, what := range map[string]struct {
			options testservers.MySQLOptions
			says    []string
		}{
			"no binlog": {testservers.MySQLOptions{NoBinlog: true}, []string{"log_bin", "restart"}},
			"statement": {testservers.MySQLOptions{Settings: map[string]string{"binlog_format": "STATEMENT"}}, []string{"binlog_format", "STATEMENT", "SET GLOBAL binlog_format"}},
		} {
			what.options.Flavour = f
			what.options.Name = name + " " + string(f)
			c := smallMySQLRig(t, testservers.StartMySQLFor(t, what.options))
			c.runWith(c.dsn()).refuses(t, exitUnfit, what.says...)
		}
	})
}

// Without names in the binlog, columns are those of the catalogue: that works,
// with a warning, for as long as they fit.
func TestMinimalMetadataIsWarnedOf(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := ownServer(t, testservers.MySQLOptions{Flavour: f, Settings: map[string]string{"binlog_row_metadata": "MINIMAL"}})
		p := c.run()
		if !strings.Contains(p.text(), "binlog_row_metadata") {
			t.Errorf("nothing is said of binlog_row_metadata:\n%s", p.text())
		}
		c.appSQL("INSERT INTO orders VALUES (4, 'd'); UPDATE orders SET note = 'e' WHERE id = 1")
		c.awaitCurrent()
		c.verify()
		p.stop()
	})
}

// A second run of the folder, and a number that the server itself has, are
// refused.
func TestG9SecondWriterOfMySQLIsRefused(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := smallMySQLRig(t, testservers.SharedMySQL(t, f))
		c.runWith(c.dsn(), "--server-id", "1").refuses(t, exitUnfit, "server_id", "1")
		p := c.run()
		c.runWith(c.dsn()).refuses(t, exitInUse, c.data())
		c.appSQL("INSERT INTO orders VALUES (4, 'd')")
		c.awaitCurrent()
		c.verify()
		p.stop()
	})
}

func TestBadQuestionsAboutMySQLAreRefused(t *testing.T) {
	bothFlavours(t, func(t *testing.T, f testservers.Flavour) {
		c := smallMySQLRig(t, testservers.SharedMySQL(t, f))
		c.catchUp()
		c.cdc("at", "GTID nonsense", "orders").refuses(t, exitUsage, "nonsense")
		c.cdc("at", "GTID 0-1-999999999", "orders", "--wait", "0s").refuses(t, exitMoment)
		c.cdc("at", "LSN 0/16B", "orders").refuses(t, exitUsage, "LSN")
		c.cdc("at", "now", "ordres").refuses(t, exitUsage, "ordres", "orders")
		c.thenWorks()
	})
}
