package mysql

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"cdc/sources"
)

const (
	portDefault = 3306
	// connectTimeoutMax bounds what connect_timeout may be.
	connectTimeoutMax = time.Hour
)

// dsn says where the server is and how to log in.
type dsn struct {
	network, address string // "tcp" and host:port, or "unix" and a path
	host             string // for TLS and messages
	user, database   string
	password         sources.Secret
	tls              *tls.Config // nil: plaintext
	timeout          time.Duration
	warnings         []string
}

// String is the place, without the password.
func (d dsn) String() string { return "mysql://" + d.user + "@" + d.address + "/" + d.database }

// GoString is String.
func (d dsn) GoString() string { return d.String() }

// parseDSN reads the connection string of the options. No error of it quotes what may be a part of a password.
func parseDSN(o Options) (*dsn, error) {
	parts, err := cutDSN(o.DSN)
	if err == nil {
		var d *dsn
		if d, err = parts.dsn(o); err == nil {
			return d, nil
		}
	}
	return nil, fmt.Errorf("parse DSN: %w", err)
}

// dsnParts is a DSN in its parts, as they stand in it.
type dsnParts struct{ user, password, host, port, database, query string }

// cutDSN splits scheme://user:password@host:port/database?query. The password may hold anything but / and ?, for which it has %2F and
// %3F: a DSN with an @ behind one of these is refused, since what looks like its host, database or keys would be a password's rest.
func cutDSN(text string) (p dsnParts, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if scheme = strings.ToLower(scheme); !ok || scheme != "mysql" && scheme != "mariadb" {
		return p, errors.New("want a URL of the form mysql://user@host:port/database")
	}
	authority, behind := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, behind = rest[:i], rest[i:]
	}
	if strings.Contains(behind, "@") {
		return p, errors.New("there is an @ behind the host: in a password write / as %2F and ? as %3F, and elsewhere @ as %40")
	}
	path, query, _ := strings.Cut(behind, "?")
	p.database, p.query = strings.TrimPrefix(path, "/"), query
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		p.user, p.password, _ = strings.Cut(authority[:i], ":")
		authority = authority[i+1:]
	}
	p.host, p.port, ok = cutPort(authority)
	if !ok {
		return p, errors.New("the host is not of the form host:port; an IPv6 address stands in brackets")
	}
	return p, nil
}

// cutPort splits host:port; the host may be an IPv6 address in brackets.
func cutPort(text string) (host, port string, ok bool) {
	if in, isBracket := strings.CutPrefix(text, "["); isBracket {
		host, port, ok = strings.Cut(in, "]")
		if _, err := netip.ParseAddr(host); err != nil || !ok || port != "" && port[0] != ':' {
			return "", "", false
		}
		return host, strings.TrimPrefix(port, ":"), true
	}
	host, port, _ = strings.Cut(text, ":")
	return host, port, !strings.ContainsAny(port, ":") && !strings.ContainsAny(host, "[]")
}

func (p dsnParts) dsn(o Options) (*dsn, error) {
	d := &dsn{timeout: connectTimeout}
	password := ""
	for _, part := range []struct {
		what, text string
		to         *string
	}{{"user", p.user, &d.user}, {"password", p.password, &password}, {"host", p.host, &d.host}, {"database", p.database, &d.database}} {
		var err error
		if *part.to, err = url.PathUnescape(part.text); err != nil {
			return nil, fmt.Errorf("the %s is not escaped as in a URL: write %% as %%25", part.what)
		}
		if strings.Contains(*part.to, "\x00") {
			return nil, fmt.Errorf("the %s has a zero byte in it", part.what)
		}
	}
	if d.user == "" {
		return nil, errors.New("no user is named: want mysql://user@host:port/database")
	}
	d.password = cmp.Or(o.Password, sources.Secret(password))
	port := portDefault
	if p.port != "" {
		n, err := strconv.ParseUint(p.port, 10, 16)
		if err != nil || n == 0 {
			return nil, errors.New("the port is not a number from 1 to 65535")
		}
		port = int(n)
	}
	keys, err := parseKeys(p.query)
	if err != nil {
		return nil, err
	}
	if err := d.locate(port, keys["socket"]); err != nil {
		return nil, err
	}
	if text, ok := keys["connect_timeout"]; ok {
		n, err := strconv.Atoi(text)
		if d.timeout = time.Duration(n) * time.Second; err != nil || n < 1 || d.timeout > connectTimeoutMax {
			return nil, fmt.Errorf("connect_timeout is not a number of seconds from 1 to %d", int(connectTimeoutMax.Seconds()))
		}
	}
	return d, d.encrypt(keys)
}

// locate says where the server listens. Without a host it is this machine.
func (d *dsn) locate(port int, socket string) error {
	if socket != "" && d.host != "" && !isLoopback(d.host) {
		return errors.New("a socket is on this machine: leave out the host, or the socket")
	}
	d.host = cmp.Or(d.host, "localhost")
	d.network, d.address = "tcp", net.JoinHostPort(d.host, strconv.Itoa(port))
	if socket != "" {
		d.network, d.address = "unix", socket
	}
	return nil
}

// local reports whether what is sent does not leave the machine.
func (d *dsn) local() bool { return d.network == "unix" || isLoopback(d.host) }

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// dsnKeys are the parameters of a DSN. As in the server's own options, - and _ are the same.
var dsnKeys = []string{"connect_timeout", "socket", "tls", "tls_ca", "tls_cert", "tls_key"}

// parseKeys reads the part of a DSN behind its ?.
func parseKeys(query string) (map[string]string, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("the parameters behind its ? cannot be read") // the cause would quote them
	}
	keys := make(map[string]string, len(values))
	for name, all := range values {
		key := strings.ReplaceAll(name, "-", "_")
		if !slices.Contains(dsnKeys, key) {
			return nil, unknownKey(key)
		}
		if _, twice := keys[key]; twice || len(all) > 1 {
			return nil, fmt.Errorf("the parameter %s is given twice", key)
		}
		if all[0] == "" || strings.Contains(all[0], "\x00") {
			return nil, fmt.Errorf("the parameter %s is empty", key)
		}
		keys[key] = all[0]
	}
	return keys, nil
}

// otherKeys are names that other clients have for ours.
var otherKeys = map[string]string{
	"ssl_mode": "tls", "sslmode": "tls", "ssl": "tls", "ssl_ca": "tls_ca", "sslrootcert": "tls_ca", "ssl_cert": "tls_cert",
	"sslcert": "tls_cert", "ssl_key": "tls_key", "sslkey": "tls_key", "timeout": "connect_timeout", "unix_socket": "socket",
}

func unknownKey(key string) error {
	nearest, best := "", 4 // of more than three steps, nothing is meant
	for _, name := range dsnKeys {
		if n := editDistance(key, name); n < best {
			nearest, best = name, n
		}
	}
	if name, ok := otherKeys[strings.ToLower(key)]; ok {
		nearest = name
	}
	if nearest == "" { // it may be anything, and is not repeated
		return errors.New("there is an unknown parameter behind its ?: there are " + strings.Join(dsnKeys, ", "))
	}
	return fmt.Errorf("the parameter %q is unknown: is %s meant?", key, nearest)
}

// editDistance is the number of bytes to insert, remove or replace in a to make it b.
func editDistance(a, b string) int {
	const long = 32
	if len(a) > long {
		return long
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0]++
		for j := range len(b) {
			step := before
			if a[i] != b[j] {
				step++
			}
			before = row[j+1]
			row[j+1] = min(step, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
