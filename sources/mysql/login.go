package mysql

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

// login makes a session as the server gives it.
func (s *Source) login(ctx context.Context) (*session, error) {
	within, cancel := context.WithTimeoutCause(ctx, s.dsn.timeout, fmt.Errorf("no login within %s", s.dsn.timeout))
	defer cancel()
	w := &wire{watched: s.dsn.tls == nil && s.dsn.network == "tcp"}
	conn, err := s.handshake(within, w)
	if err != nil {
		if cause := context.Cause(within); cause != nil {
			err = cause
		} else if w.clear {
			err = errClearPassword // the client library hides the cause
		}
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, s.classifyLogin(err)
	}
	w.watched, w.seen = false, nil
	w.limit(querySilence)
	w.writer = conn.Conn.Conn // TLS, if there is any
	return &session{
		conn: conn, wire: w, in: bufio.NewReaderSize(conn.Conn.Conn, readBytes),
		ended: func() error { return context.Cause(ctx) },
		stop:  context.AfterFunc(ctx, func() { _ = w.Close() }),
	}, nil
}

// handshake connects and logs in, both within the context. The client library trusts the server's packets to have the length that
// they should have.
func (s *Source) handshake(ctx context.Context, w *wire) (conn *client.Conn, err error) {
	closed := func() bool { return true }
	defer func() {
		if p := recover(); p != nil {
			conn, err = nil, fmt.Errorf("the server's part of the login cannot be read: %v", p)
		}
		if !closed() && err == nil {
			err = context.Cause(ctx)
		}
		if err != nil && w.Conn != nil {
			_ = w.Close()
		}
	}()
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{KeepAlive: keepAlive}
		raw, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		w.Conn = raw
		closed = context.AfterFunc(ctx, func() { _ = raw.Close() })
		return w, nil
	}
	return client.ConnectWithDialer(ctx, s.dsn.network, s.dsn.address, s.dsn.user, string(s.dsn.password), "", dial, s.connectionOptions)
}

func (s *Source) connectionOptions(c *client.Conn) error {
	if s.dsn.tls != nil {
		c.SetTLSConfig(s.dsn.tls.Clone())
	}
	c.SetAttributes(map[string]string{"program_name": "cdc " + s.o.Name})
	// A server must not be able to ask for our files; and results and statements have the form that session knows.
	c.UnsetCapability(mysql.CLIENT_LOCAL_FILES | mysql.CLIENT_DEPRECATE_EOF | mysql.CLIENT_QUERY_ATTRIBUTES)
	return nil
}

// wire is the connection below TLS. It bounds the server's silence, and sees to it that no password leaves in the clear.
type wire struct {
	net.Conn
	writer  net.Conn     // what the session writes to
	silence atomic.Int64 // in nanoseconds; 0 during a login, which has a limit as a whole
	// watched is set during a login without TLS; seen is what the server has sent in it.
	watched, clear bool
	seen           []byte
}

var errClearPassword = errors.New("the server asks for the password in clear text")

// loginBytesMax is more than any server sends in a login.
const loginBytesMax = 64 << 10

func (w *wire) limit(silence time.Duration) { w.silence.Store(int64(silence)) }

// until is when the server has been silent for too long.
func (w *wire) until() time.Time {
	if silence := w.silence.Load(); silence > 0 {
		return time.Now().Add(time.Duration(silence))
	}
	return time.Time{}
}

func (w *wire) Read(p []byte) (int, error) {
	if err := w.SetReadDeadline(w.until()); err != nil {
		return 0, err
	}
	n, err := w.Conn.Read(p)
	if !w.watched {
		return n, err
	}
	// The client library would send the password as it is to a server, or to whoever stands in between, that asks for it.
	w.seen = append(w.seen, p[:n]...)
	w.clear = bytes.Contains(w.seen, []byte(mysql.AUTH_CLEAR_PASSWORD))
	switch {
	case w.clear:
		return 0, errClearPassword
	case len(w.seen) > loginBytesMax:
		return 0, errResult
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(w.until()); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}
