package testservers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

// mysqlConnectLimit bounds the dial of a connection.
const mysqlConnectLimit = 10 * time.Second

// DSN is the URL of a database for a user; it holds the password of the
// superuser and of the users made by CreateUser and CreateCaptureRole.
func (m *MySQL) DSN(user, database string) string { return m.DSNVia(m.Addr(), user, database) }

// DSNVia is DSN by way of another address, that of a Proxy before the server.
func (m *MySQL) DSNVia(addr, user, database string) string {
	u := url.URL{Scheme: string(m.o.Flavour), User: url.User(user), Host: addr, Path: "/" + database}
	if password := m.Password(user); password != "" {
		u.User = url.UserPassword(user, password)
	}
	if m.ca != "" {
		u.RawQuery = url.Values{"tls": {"verify-full"}, "tls-ca": {m.ca}}.Encode()
	}
	return u.String()
}

// SuperuserDSN is the URL of a database for the superuser.
func (m *MySQL) SuperuserDSN(database string) string { return m.DSN(m.super, database) }

// Superuser is the name of the user that may do everything.
func (m *MySQL) Superuser() string { return m.super }

// Password is that of the superuser or of a user made here, else "".
func (m *MySQL) Password(user string) string {
	if user == m.super {
		return m.password
	}
	m.usersMu.Lock()
	defer m.usersMu.Unlock()
	return m.passwords[user]
}

// SQL runs statements as the superuser in a database, "" for none, and returns
// what they print: rows in lines, columns parted by |, null as nothing. The
// first error ends the run.
func (m *MySQL) SQL(ctx context.Context, database, statements string) (string, error) {
	return m.SQLAs(ctx, m.super, database, statements)
}

// SQLAs is SQL for another user.
func (m *MySQL) SQLAs(ctx context.Context, user, database, statements string) (string, error) {
	s, err := m.Open(ctx, user, database)
	if err != nil {
		return "", err
	}
	defer s.Close()
	return s.SQL(ctx, statements)
}

// MySQLSession is one connection, for what spans several statements:
// transactions, locks, settings. It is not for concurrent use.
type MySQLSession struct{ conn *client.Conn }

// Open connects a user to a database, "" for none.
func (m *MySQL) Open(ctx context.Context, user, database string) (*MySQLSession, error) {
	config, err := m.tlsConfig()
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", m.name, err)
	}
	// The client knows no context once it has dialled, and a frozen server
	// never greets it.
	release := func() bool { return true }
	defer func() { release() }()
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{Timeout: mysqlConnectLimit}).DialContext(ctx, network, address)
		if err == nil {
			release = context.AfterFunc(ctx, func() { conn.Close() })
		}
		return conn, err
	}
	conn, err := client.ConnectWithDialer(ctx, "tcp", m.Addr(), user, m.Password(user), database, dial,
		func(c *client.Conn) error {
			c.SetTLSConfig(config)
			return errors.Join(c.SetCapability(mysql.CLIENT_MULTI_STATEMENTS), c.SetCollation("utf8mb4_general_ci"))
		})
	if err != nil {
		return nil, fmt.Errorf("connect to %s as %s: %w", m.name, user, errors.Join(err, context.Cause(ctx)))
	}
	return &MySQLSession{conn: conn}, nil
}

// tlsConfig trusts the server's own CA; nil is plaintext.
func (m *MySQL) tlsConfig() (*tls.Config, error) {
	if m.ca == "" {
		return nil, nil
	}
	config, err := trusting(m.ca)
	if err != nil {
		return nil, err
	}
	config.ServerName = m.host
	return config, nil
}

// SQL is MySQL.SQL within the session. When ctx ends first the session is lost.
func (s *MySQLSession) SQL(ctx context.Context, statements string) (string, error) {
	defer s.cutWhen(ctx)()
	var out []string
	var failed error
	_, err := s.conn.ExecuteMultiple(statements, func(r *mysql.Result, err error) {
		if err != nil {
			failed = err
			return
		}
		out, failed = appendRows(out, r)
	})
	if err := errors.Join(err, failed); err != nil {
		return "", fmt.Errorf("run SQL: %w", errors.Join(err, context.Cause(ctx)))
	}
	return strings.Join(out, "\n"), nil
}

// Each runs a query and calls f with each row as the server wrote it, nil for
// null, valid for that call.
func (s *MySQLSession) Each(ctx context.Context, query string, f func(row [][]byte)) error {
	defer s.cutWhen(ctx)()
	r, err := s.conn.Execute(query)
	if err != nil {
		return fmt.Errorf("run SQL: %w", errors.Join(err, context.Cause(ctx)))
	}
	defer r.Close()
	if !r.HasResultset() {
		return nil
	}
	for _, data := range r.RowDatas {
		row, err := splitRow(data, len(r.Fields))
		if err != nil {
			return err
		}
		f(row)
	}
	return nil
}

// cutWhen cuts the connection when ctx ends. The socket is closed, as the client's own Close is not for two goroutines.
func (s *MySQLSession) cutWhen(ctx context.Context) (release func() bool) {
	return context.AfterFunc(ctx, func() { _ = s.conn.Conn.Conn.Close() })
}

// ID is the server's number of the connection, for KILL.
func (s *MySQLSession) ID() uint32 { return s.conn.GetConnectionID() }

// Close ends the connection, and with it a transaction that is open.
func (s *MySQLSession) Close() { _ = s.conn.Quit() }

// appendRows adds the rows of a result with each value as the server wrote it:
// the client's own parsing would print numbers in another way.
func appendRows(out []string, r *mysql.Result) ([]string, error) {
	if !r.HasResultset() {
		return out, nil
	}
	for _, data := range r.RowDatas {
		row, err := splitRow(data, len(r.Fields))
		if err != nil {
			return out, err
		}
		values := make([]string, len(row))
		for i, value := range row {
			values[i] = string(value)
		}
		out = append(out, strings.Join(values, "|"))
	}
	return out, nil
}

func splitRow(data mysql.RowData, columns int) (row [][]byte, err error) {
	row = make([][]byte, columns)
	for i := range row {
		value, null, n, err := mysql.LengthEncodedString(data)
		if err != nil {
			return nil, fmt.Errorf("read column %d of a row: %w", i+1, err)
		}
		if !null {
			row[i] = value
		}
		data = data[n:]
	}
	return row, nil
}

// Bin is the path of a program such as mysql, mysqlbinlog or mariadb: the
// server's own, else the one in PATH. It is the bare name when there is none,
// so that running it says what is missing.
func (m *MySQL) Bin(name string) string { return m.install.program(name) }

// Command prepares a client program of the server, such as mysqldump or
// mysqlbinlog, with its connection settings and then args as arguments. The
// password is in the environment.
func (m *MySQL) Command(ctx context.Context, user, program string, args ...string) *exec.Cmd {
	flags := []string{"--no-defaults", "--protocol=tcp", "--host=" + m.host, "--port=" + strconv.Itoa(m.port), "--user=" + user}
	if m.ca != "" {
		flags = append(flags, "--ssl-ca="+m.ca)
		if m.o.Flavour == FlavourMariaDB {
			flags = append(flags, "--ssl-verify-server-cert")
		} else {
			flags = append(flags, "--ssl-mode=VERIFY_IDENTITY")
		}
	}
	cmd := exec.CommandContext(ctx, m.Bin(program), append(flags, args...)...)
	cmd.Env = append(os.Environ(), "MYSQL_PWD="+m.Password(user))
	return cmd
}

// quoteMySQLName and quoteMySQLText write a name and a text as SQL.
func quoteMySQLName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

func quoteMySQLText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}
