package testservers

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// CreateRole makes a role that can log in and nothing more, then runs the
// given statements in the database postgres. DSN knows its password
// afterwards.
func (p *Postgres) CreateRole(ctx context.Context, name, password string, statements ...string) error {
	all := append([]string{
		"CREATE ROLE " + quoteName(name) + " LOGIN PASSWORD " + quoteText(password),
	}, statements...)
	if _, err := p.SQL(ctx, superuserDatabase, strings.Join(all, ";\n")+";\n"); err != nil {
		return fmt.Errorf("create role %s: %w", name, err)
	}
	p.remember(name, password)
	return nil
}

func (p *Postgres) remember(role, password string) {
	p.rolesMu.Lock()
	defer p.rolesMu.Unlock()
	p.passwords[role] = password
}

// CaptureRole describes the role that capture logs in as, with the least
// privilege that it needs.
type CaptureRole struct {
	Name     string
	Password string
	Database string
	Schemas  []string // whose tables it reads; none = public
	// Owners are roles whose later tables it may read too; those of the role
	// that runs the statements are included anyway.
	Owners []string
	// CreatePublication lets it make publications of its own. PostgreSQL asks
	// besides that it owns the tables, so it also becomes a member of Owners.
	CreatePublication bool
}

// CaptureRoleSQL is exactly what an administrator runs, connected to the
// role's database, to let capture in: log in and replicate, read the tables of
// the schemas, those made later included, and nothing else.
func CaptureRoleSQL(r CaptureRole) []string {
	role, database := quoteName(r.Name), quoteName(r.Database)
	statements := []string{
		"CREATE ROLE " + role + " LOGIN REPLICATION NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD " + quoteText(r.Password),
		"GRANT CONNECT ON DATABASE " + database + " TO " + role,
	}
	schemas := r.Schemas
	if len(schemas) == 0 {
		schemas = []string{"public"}
	}
	for _, name := range schemas {
		schema := quoteName(name)
		statements = append(statements,
			"GRANT USAGE ON SCHEMA "+schema+" TO "+role,
			"GRANT SELECT ON ALL TABLES IN SCHEMA "+schema+" TO "+role,
			"ALTER DEFAULT PRIVILEGES IN SCHEMA "+schema+" GRANT SELECT ON TABLES TO "+role)
		for _, owner := range r.Owners {
			statements = append(statements, "ALTER DEFAULT PRIVILEGES FOR ROLE "+quoteName(owner)+
				" IN SCHEMA "+schema+" GRANT SELECT ON TABLES TO "+role)
		}
	}
	if !r.CreatePublication {
		return statements
	}
	statements = append(statements, "GRANT CREATE ON DATABASE "+database+" TO "+role)
	for _, owner := range r.Owners {
		statements = append(statements, "GRANT "+quoteName(owner)+" TO "+role)
	}
	return statements
}

// CreateCaptureRole runs CaptureRoleSQL in the role's database, all of it or
// nothing.
func (p *Postgres) CreateCaptureRole(ctx context.Context, r CaptureRole) error {
	if r.Name == "" || r.Password == "" || r.Database == "" {
		return errors.New("create capture role: name, password and database are needed")
	}
	text := "BEGIN;\n" + strings.Join(CaptureRoleSQL(r), ";\n") + ";\nCOMMIT;\n"
	if _, err := p.SQL(ctx, r.Database, text); err != nil {
		return fmt.Errorf("create capture role %s: %w", r.Name, err)
	}
	p.remember(r.Name, r.Password)
	return nil
}
