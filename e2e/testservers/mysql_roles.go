package testservers

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// MySQLCaptureRole describes the user that capture logs in as, with the least
// privilege that it needs.
type MySQLCaptureRole struct {
	Name      string
	Password  string
	Databases []string // whose tables it reads
	// Global are privileges beyond the least, such as SLAVE MONITOR, RELOAD.
	Global []string
}

// MySQLCaptureRoleSQL is exactly what an administrator runs to let capture in:
// receive the binary log and ask where it is, read the tables of the
// databases, those made later included, and nothing else.
func MySQLCaptureRoleSQL(f Flavour, r MySQLCaptureRole) []string {
	user := mysqlUser(r.Name)
	global := []string{"REPLICATION SLAVE", "REPLICATION CLIENT"}
	if f == FlavourMariaDB {
		global[1] = "BINLOG MONITOR"
	}
	global = append(global, r.Global...)
	statements := []string{
		"CREATE USER " + user + " IDENTIFIED BY " + quoteMySQLText(r.Password),
		"GRANT " + strings.Join(global, ", ") + " ON *.* TO " + user,
	}
	for _, database := range r.Databases {
		statements = append(statements, "GRANT SELECT ON "+mysqlPattern(database)+".* TO "+user)
	}
	return statements
}

// CreateCaptureRole runs MySQLCaptureRoleSQL. DSN knows the password
// afterwards.
func (m *MySQL) CreateCaptureRole(ctx context.Context, r MySQLCaptureRole) error {
	if r.Name == "" || r.Password == "" || len(r.Databases) == 0 {
		return errors.New("create capture role: name, password and databases are needed")
	}
	if _, err := m.SQL(ctx, "", strings.Join(MySQLCaptureRoleSQL(m.o.Flavour, r), ";\n")); err != nil {
		return fmt.Errorf("create capture role %s: %w", r.Name, err)
	}
	m.remember(r.Name, r.Password)
	return nil
}

// CreateUser makes a user who can log in from anywhere and nothing more, then
// runs the given statements. DSN knows the password afterwards.
func (m *MySQL) CreateUser(ctx context.Context, name, password string, statements ...string) error {
	all := append([]string{"CREATE USER " + mysqlUser(name) + " IDENTIFIED BY " + quoteMySQLText(password)}, statements...)
	if _, err := m.SQL(ctx, "", strings.Join(all, ";\n")); err != nil {
		return fmt.Errorf("create user %s: %w", name, err)
	}
	m.remember(name, password)
	return nil
}

// CreateOwner makes a user who may do everything in a database, and nothing
// outside it.
func (m *MySQL) CreateOwner(ctx context.Context, name, password, database string) error {
	return m.CreateUser(ctx, name, password, "GRANT ALL ON "+mysqlPattern(database)+".* TO "+mysqlUser(name))
}

func (m *MySQL) remember(user, password string) {
	m.usersMu.Lock()
	defer m.usersMu.Unlock()
	m.passwords[user] = password
}

// mysqlUser is an account that may come from anywhere.
func mysqlUser(name string) string { return quoteMySQLText(name) + "@'%'" }

// mysqlPattern is a database's name where GRANT reads a pattern.
func mysqlPattern(database string) string {
	return quoteMySQLName(strings.NewReplacer(`\`, `\\`, `_`, `\_`, `%`, `\%`).Replace(database))
}
