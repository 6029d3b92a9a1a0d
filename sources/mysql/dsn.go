package mysql

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

// dsn says where the server is and how to log in.
type dsn struct {
	network, address string // "tcp" and host:port, or "unix" and a path
	host             string // for TLS and messages
	user, database   string
	password         Secret
	tls              *tls.Config // nil: plaintext
	timeout          time.Duration
	warnings         []string
}

// parseDSN reads the connection string of the options.
func parseDSN(o Options) (*dsn, error) {
	u, err := url.Parse(o.DSN)
	if err != nil {
		return nil, errors.New("the DSN is not a URL of the form mysql://user@host:port/database")
	}
	if u.Scheme != "mysql" && u.Scheme != "mariadb" {
		return nil, fmt.Errorf("DSN scheme %q: want mysql://", u.Scheme)
	}
	d := &dsn{network: "tcp", host: u.Hostname(), user: u.User.Username(), password: o.Password, timeout: connectTimeout}
	if own, ok := u.User.Password(); ok && d.password == "" {
		d.password = Secret(own)
	}
	port := u.Port()
	if port == "" {
		port = "3306"
	}
	d.address = net.JoinHostPort(d.host, port)
	if len(u.Path) > 1 {
		d.database = u.Path[1:]
	}
	return d, nil
}
