package postgres

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"cdc/sources"
)

const (
	connectTimeout = 20 * time.Second
	keepAlive      = 15 * time.Second
	// oldestVersion is the oldest major version that is supported: the first with TID range scans and logical messages.
	oldestVersion = 14
)

// pinned are the settings that every session runs under, whatever the role, the database or the server say: they decide how
// values are printed, and that nothing cuts a long copy short.
var pinned = map[string]string{
	"client_encoding": "UTF8", "datestyle": "ISO", "intervalstyle": "postgres", "extra_float_digits": "3", "timezone": "UTC",
	"bytea_output": "hex", "lc_monetary": "C", "row_security": "off", "statement_timeout": "0", "lock_timeout": "0",
	"idle_in_transaction_session_timeout": "0", "xmlbinary": "base64", "search_path": "pg_catalog",
}

// dsn is a parsed connection string.
type dsn struct {
	config   *pgconn.Config
	warnings []string
}

// parseDSN reads the options' connection string and decides about TLS: without sslmode it is off for loopback addresses and Unix
// sockets and verify-full everywhere else; a mode that was asked for is obeyed.
func parseDSN(o Options) (*dsn, error) {
	config, err := pgconn.ParseConfig(o.DSN)
	if err != nil {
		return nil, fmt.Errorf("parse DSN: %w", redact(err, o))
	}
	if strings.Contains(config.Host, "@") && !strings.HasPrefix(config.Host, "@") { // which begins the name of a socket
		return nil, errors.New("parse DSN: it has two @ in front of its host, which may be a part of the password; write %40 for the one that is")
	}
	mode, inDSN, err := keyOf(o.DSN, "sslmode")
	if err != nil {
		return nil, fmt.Errorf("parse DSN: %w", redact(err, o))
	}
	if !inDSN {
		mode = os.Getenv("PGSSLMODE")
	}
	d := &dsn{}
	switch mode {
	case "":
		mode = "verify-full"
		if onlyLocal(config) {
			mode = "disable"
		}
		if config, err = pgconn.ParseConfig(withKey(o.DSN, "sslmode", mode)); err != nil {
			return nil, fmt.Errorf("parse DSN: %w", redact(err, o))
		}
	case "disable", "allow", "prefer":
		if !onlyLocal(config) {
			d.warnings = append(d.warnings, "sslmode="+mode+" may send everything, the password's proof included, unencrypted")
		}
	case "require":
		d.warnings = append(d.warnings, "sslmode=require encrypts without checking who the server is; prefer verify-full")
	}
	if o.Password != "" {
		config.Password = string(o.Password)
	}
	config.ConnectTimeout = connectTimeout
	dialer := &net.Dialer{KeepAlive: keepAlive, Timeout: connectTimeout}
	config.DialFunc = dialer.DialContext
	for name, value := range pinned {
		config.RuntimeParams[name] = value
	}
	config.RuntimeParams["application_name"] = applicationName(o)
	d.config = config
	return d, nil
}

// applicationName tells sessions of this log from others: a hash of log and host, so that a session left over from this very
// program can be told from a second writer.
func applicationName(o Options) string {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	sum := sha256.Sum256(append(o.LogID[:], host...))
	return "cdc " + hex.EncodeToString(o.LogID[:4]) + " " + hex.EncodeToString(sum[:4])
}

func onlyLocal(c *pgconn.Config) bool {
	if !isLocal(c.Host) {
		return false
	}
	for _, f := range c.Fallbacks {
		if !isLocal(f.Host) {
			return false
		}
	}
	return true
}

func isLocal(host string) bool {
	if host == "localhost" || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func isURL(text string) bool {
	return strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
}

// keyOf is the value that a connection string gives to a key.
func keyOf(text, key string) (value string, ok bool, err error) {
	if isURL(text) {
		_, parameters, _ := strings.Cut(text, "?")
		query, err := url.ParseQuery(parameters)
		if err != nil {
			return "", false, errors.New("the parameters behind its ? cannot be read") // the cause would quote them
		}
		return query.Get(key), query.Has(key), nil
	}
	for rest := text; ; {
		var name, v string
		if name, v, rest, ok = cutKeyword(rest); !ok {
			return value, value != "", nil
		}
		if name == key {
			value = v
		}
	}
}

// cutKeyword splits the first key = value off a connection string of keywords; values may be quoted with ' and escaped with \.
func cutKeyword(text string) (name, value, rest string, ok bool) {
	const blank = " \t\n\r\f\v"
	name, rest, ok = strings.Cut(text, "=")
	if !ok {
		return "", "", "", false
	}
	name, rest = strings.Trim(name, blank), strings.TrimLeft(rest, blank)
	quoted := strings.HasPrefix(rest, "'")
	if quoted {
		rest = rest[1:]
	}
	var v strings.Builder
	i := 0
	for ; i < len(rest); i++ {
		c := rest[i]
		if c == '\\' && i+1 < len(rest) {
			i++
			v.WriteByte(rest[i])
			continue
		}
		if quoted && c == '\'' || !quoted && strings.IndexByte(blank, c) >= 0 {
			i++
			break
		}
		v.WriteByte(c)
	}
	return name, v.String(), rest[i:], true
}

// withKey adds a key to a connection string.
func withKey(text, key, value string) string {
	if !isURL(text) {
		return strings.TrimSpace(text + " " + key + "=" + value)
	}
	separator := "?"
	if strings.Contains(text, "?") {
		separator = "&"
	}
	return text + separator + key + "=" + value
}

// redact takes the connection string and the password out of an error's text.
func redact(err error, o Options) error {
	text := err.Error()
	for _, secret := range []string{o.DSN, string(o.Password)} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, sources.Redacted)
		}
	}
	if password, ok, keyErr := keyOf(o.DSN, "password"); keyErr == nil && ok {
		text = strings.ReplaceAll(text, password, sources.Redacted)
	}
	return errors.New(text)
}

// connect opens an ordinary session.
func (s *Source) connect(ctx context.Context) (*session, error) {
	config := s.dsn.config.Copy()
	delete(config.RuntimeParams, "lc_monetary") // catalog.prepare reads the server's own first
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, s.classifyConnect(err, false)
	}
	return &session{conn: conn}, nil
}

// connectWalsender opens a session of the walsender.
func (s *Source) connectWalsender(ctx context.Context) (*walsender, error) {
	config := s.dsn.config.Copy()
	config.RuntimeParams["replication"] = "database"
	w := &walsender{wire: &wire{}}
	config.BuildFrontend = w.wire.build
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, s.classifyConnect(err, true)
	}
	w.PgConn = conn
	return w, nil
}

// codeWrongPassword is invalid_password, which is the answer to an unknown role, too.
const codeWrongPassword = "28P01"

// refusedCodes are answers of the server to a login that trying again does not mend, each with its remedy.
var refusedCodes = map[string]string{
	codeWrongPassword: "give the right password: in the environment, a passfile or the DSN",
	"28000":           "let the role log in from here: check the role and pg_hba.conf",
	"3D000":           "name a database that exists",
}

// classifyConnect tells what trying again may mend from what it does not.
func (s *Source) classifyConnect(err error, replication bool) error {
	text := redact(err, s.o).Error()
	var reply *pgconn.PgError
	if errors.As(err, &reply) {
		if remedy, ok := refusedCodes[reply.Code]; ok {
			given := s.dsn.config.Password != ""
			if reply.Code == codeWrongPassword && !given {
				remedy = "no password was given; " + remedy
			}
			return &sources.Refused{Detail: "the server refused the login: " + reply.Message, Remedy: remedy, Password: given}
		}
		if replication && (reply.Code == "42501" || strings.Contains(reply.Message, "replication role")) {
			return &sources.Unfit{
				Detail: fmt.Sprintf("role %q may not replicate: %s", s.dsn.config.User, reply.Message),
				Remedy: "run: ALTER ROLE " + quoteName(s.dsn.config.User) + " REPLICATION;",
			}
		}
		return fmt.Errorf("connect: %s", text)
	}
	if isTLSError(err) {
		return &sources.Refused{
			Detail: "TLS failed: " + text,
			Remedy: "give sslrootcert, or an sslmode that fits the server; sslmode=disable sends everything unencrypted",
		}
	}
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return &sources.Refused{Detail: "the host is not known: " + text, Remedy: "check the host name in the DSN"}
	}
	return fmt.Errorf("connect: %s", text)
}

func isTLSError(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		authority    x509.UnknownAuthorityError
		host         x509.HostnameError
	)
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &authority) ||
		errors.As(err, &host) || strings.Contains(err.Error(), "server refused TLS connection")
}
