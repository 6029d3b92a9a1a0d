package testservers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// DSN is the URL of a database for a user; it holds the password of the
// superuser and of the roles made by CreateRole and CreateCaptureRole.
func (p *Postgres) DSN(user, database string) string { return p.DSNVia(p.Addr(), user, database) }

// DSNVia is DSN by way of another address, that of a Proxy before the server.
func (p *Postgres) DSNVia(addr, user, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(user), Host: addr, Path: "/" + database}
	if password := p.passwordOf(user); password != "" {
		u.User = url.UserPassword(user, password)
	}
	query := url.Values{}
	for name, value := range p.params {
		query.Set(name, value)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// SuperuserDSN is the URL of a database for the superuser.
func (p *Postgres) SuperuserDSN(database string) string { return p.DSN(p.super, database) }

func (p *Postgres) passwordOf(user string) string {
	if user == p.super {
		return p.password
	}
	p.rolesMu.Lock()
	defer p.rolesMu.Unlock()
	return p.passwords[user]
}

// SQL runs statements in a database as the superuser with psql and returns
// what they print: rows in lines, columns parted by |, null as nothing. Each
// statement commits by itself unless the text says BEGIN; the first error ends
// the run.
func (p *Postgres) SQL(ctx context.Context, database, statements string) (string, error) {
	return p.SQLAs(ctx, p.super, database, statements)
}

// SQLAs is SQL for another user.
func (p *Postgres) SQLAs(ctx context.Context, user, database, statements string) (string, error) {
	cmd := exec.CommandContext(ctx, p.Bin("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-")
	cmd.Env = append(p.clientEnv(user, database), "PATH="+os.Getenv("PATH"))
	cmd.Stdin = strings.NewReader(statements)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", fmt.Errorf("run psql: %w", ErrNoServer)
		}
		return "", fmt.Errorf("run psql: %w: %s", err, lastLines(problems.String(), 5))
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// clientEnv makes libpq programs connect to the server without arguments, and
// keeps passwords off their command line.
func (p *Postgres) clientEnv(user, database string) []string {
	env := []string{
		"PGHOST=" + p.host, "PGPORT=" + strconv.Itoa(p.port), "PGUSER=" + user,
		"PGDATABASE=" + database, "PGPASSWORD=" + p.passwordOf(user), "PGCONNECT_TIMEOUT=60",
		"LC_ALL=C.UTF-8",
	}
	for name, value := range p.params {
		env = append(env, "PG"+strings.ToUpper(name)+"="+value)
	}
	return env
}

// Command prepares a libpq program of the server, such as pgbench or
// pg_recvlogical, with its connection settings in the environment.
func (p *Postgres) Command(ctx context.Context, user, database, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.Bin(program), args...)
	cmd.Env = append(os.Environ(), p.clientEnv(user, database)...)
	return cmd
}

// quoteName and quoteText write a name and a text as SQL.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteText(text string) string { return `'` + strings.ReplaceAll(text, `'`, `''`) + `'` }
