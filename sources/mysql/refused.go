package mysql

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/sources"
)

// Errors of the server that the client library has no names for.
const (
	errAccountLocked      = 3118
	errInsecureTransport  = 3159
	errMariaAccountLocked = 4151
)

const (
	remedyPassword = "give the right user and password, in the environment or the DSN, for an account that may log in from this host"
	remedyMethod   = "let the account log in with a password, for example: ALTER USER … IDENTIFIED BY '…';"
	remedyAllow    = "let the account log in from here: CREATE USER 'user'@'host' with the host in the message, or run: FLUSH HOSTS;"
	remedyExpired  = "give the account a new password: ALTER USER … IDENTIFIED BY '…';"
	remedyLocked   = "run: ALTER USER … ACCOUNT UNLOCK;"
)

// refusedCodes are answers of the server to a login that trying again does not mend, each with its remedy.
var refusedCodes = map[uint16]string{
	mysql.ER_ACCESS_DENIED_ERROR:             remedyPassword,
	mysql.ER_DBACCESS_DENIED_ERROR:           "let the account use the database, or name another one",
	mysql.ER_BAD_DB_ERROR:                    "name a database that exists",
	mysql.ER_HOST_IS_BLOCKED:                 remedyAllow,
	mysql.ER_HOST_NOT_PRIVILEGED:             remedyAllow,
	mysql.ER_ACCESS_DENIED_NO_PASSWORD_ERROR: remedyMethod,
	mysql.ER_NOT_SUPPORTED_AUTH_MODE:         remedyMethod,
	mysql.ER_PLUGIN_IS_NOT_LOADED:            remedyMethod,
	mysql.ER_MUST_CHANGE_PASSWORD:            remedyExpired,
	mysql.ER_MUST_CHANGE_PASSWORD_LOGIN:      remedyExpired,
	errAccountLocked:                         remedyLocked,
	errMariaAccountLocked:                    remedyLocked,
	errInsecureTransport:                     "take tls=disable out of the DSN, or on this machine put tls=verify-full or tls=verify-ca and tls_ca into it",
}

// busyCodes are answers of a server that has no room at the moment.
var busyCodes = map[uint16]string{
	mysql.ER_CON_COUNT_ERROR:           "free connections, or raise max_connections",
	mysql.ER_TOO_MANY_USER_CONNECTIONS: "raise max_user_connections of the account",
	mysql.ER_USER_LIMIT_REACHED:        "raise the limits of the account: ALTER USER … WITH MAX_USER_CONNECTIONS 0 MAX_CONNECTIONS_PER_HOUR 0;",
}

// classifyLogin tells what trying again may mend from what it does not.
func (s *Source) classifyLogin(err error) error {
	var reply *mysql.MyError
	if errors.As(err, &reply) {
		return s.classifyReply(reply)
	}
	text := s.redact(err.Error())
	var dns *net.DNSError
	switch {
	case isTLSError(err):
		return &sources.Refused{Detail: "TLS failed: " + text, Remedy: tlsRemedy(err)}
	case errors.As(err, &dns) && dns.IsNotFound:
		return &sources.Refused{Detail: "the host is not known: " + text, Remedy: "check the host name in the DSN"}
	case errors.Is(err, errClearPassword):
		return &sources.Refused{Detail: text + ", and the connection is not encrypted", Remedy: "encrypt it: tls=verify-full in the DSN"}
	case strings.Contains(text, "auth plugin"):
		return &sources.Refused{Detail: "the account's way to log in is not known here: " + text, Remedy: remedyMethod}
	}
	return fmt.Errorf("connect to %s: %s", s.dsn.address, text)
}

func (s *Source) classifyReply(reply *mysql.MyError) error {
	said := s.redact(reply.Message)
	if remedy, ok := refusedCodes[reply.Code]; ok {
		if reply.Code == mysql.ER_ACCESS_DENIED_ERROR {
			switch {
			case s.dsn.password == "":
				remedy = "no password was given; " + remedy
			case s.dsn.tls == nil && s.dsn.network == "tcp":
				remedy += "; an account that requires TLS needs tls=verify-full in the DSN"
			}
		}
		return &sources.Refused{Detail: "the server refused the login: " + said, Remedy: remedy, Password: s.dsn.password != ""}
	}
	if remedy, ok := busyCodes[reply.Code]; ok {
		return fmt.Errorf("connect to %s: %s; %s", s.dsn.address, said, remedy)
	}
	return fmt.Errorf("connect to %s: %s (%d)", s.dsn.address, said, reply.Code)
}

// redact takes the connection string and the password out of a text.
func (s *Source) redact(text string) string {
	for _, secret := range []string{s.o.DSN, string(s.dsn.password)} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, sources.Redacted)
		}
	}
	return text
}

const noTLSAtServer = "does not support TLS"

func isTLSError(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		authority    x509.UnknownAuthorityError
		host         x509.HostnameError
	)
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &authority) ||
		errors.As(err, &host) || strings.Contains(err.Error(), noTLSAtServer) || strings.Contains(err.Error(), "tls: ")
}

func tlsRemedy(err error) string {
	var host x509.HostnameError
	switch {
	case strings.Contains(err.Error(), noTLSAtServer):
		return "give the server a certificate (ssl_cert, ssl_key); tls=disable in the DSN sends everything unencrypted"
	case errors.As(err, &host):
		return "connect by a name that the certificate holds; certificates that a server has made for itself hold none: give its tls_ca and tls=verify-ca"
	}
	return "give the CA that signed the server's certificate as tls_ca; tls=require does without, and does not check who the server is"
}
