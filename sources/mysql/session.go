package mysql

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/sources/mysql/value"
)

const (
	// connectTimeout bounds connecting and logging in.
	connectTimeout = 10 * time.Second
	// queryTimeout bounds the silence of a server that was asked something small.
	queryTimeout = 60 * time.Second
)

// session is one connection to the server, in its own words. It is for one goroutine; close may be called by another, and ends what
// is under way.
type session struct {
	conn *client.Conn
	stop func() bool
	buf  []byte
	row  [][]byte
}

// connect logs in and sets what values are read under. The session ends with the context.
func (s *Source) connect(ctx context.Context) (*session, error) {
	c, err := s.login(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.exec(value.TextSession); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// login makes a session as the server gives it.
func (s *Source) login(ctx context.Context) (*session, error) {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{Timeout: connectTimeout, KeepAlive: 15 * time.Second}
		return d.DialContext(ctx, network, address)
	}
	within, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := client.ConnectWithDialer(within, s.dsn.network, s.dsn.address, s.dsn.user, string(s.dsn.password), "", dial, s.connectionOptions)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, s.classifyLogin(err)
	}
	conn.ReadTimeout, conn.WriteTimeout = queryTimeout, queryTimeout
	c := &session{conn: conn}
	c.stop = context.AfterFunc(ctx, func() { _ = conn.Conn.Close() })
	return c, nil
}

func (s *Source) connectionOptions(c *client.Conn) error {
	if s.dsn.tls != nil {
		c.SetTLSConfig(s.dsn.tls.Clone())
	}
	c.ReadTimeout, c.WriteTimeout = connectTimeout, connectTimeout
	// A server must not be able to ask for our files.
	c.UnsetCapability(mysql.CLIENT_LOCAL_FILES)
	return nil
}

// close ends the session.
func (c *session) close() {
	c.stop()
	_ = c.conn.Conn.Close() // nothing was written
}

// exec runs a statement without a result.
func (c *session) exec(sql string) error {
	return c.each(sql, func([][]byte) error { return nil })
}

// query gives the rows of a small result as text, nil for null.
func (c *session) query(sql string) ([][]text, error) {
	var rows [][]text
	err := c.each(sql, func(fields [][]byte) error {
		row := make([]text, len(fields))
		for i, f := range fields {
			row[i] = text{s: string(f), null: f == nil}
		}
		rows = append(rows, row)
		return nil
	})
	return rows, err
}

// one gives the only row of a result.
func (c *session) one(sql string) ([]text, error) {
	rows, err := c.query(sql)
	if err == nil && len(rows) != 1 {
		err = fmt.Errorf("ask the server: %d rows in the place of one", len(rows))
	}
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}

// text is one value of a small result.
type text struct {
	s    string
	null bool
}

// each calls f with each row of a result as the text protocol sends it, nil for null. The fields are valid during the call; an error
// of f ends the session's use.
func (c *session) each(sql string, f func(fields [][]byte) error) error {
	c.conn.ResetSequence()
	packet := append(make([]byte, 4, 5+len(sql)), mysql.COM_QUERY)
	if err := c.conn.WritePacket(append(packet, sql...)); err != nil {
		return fmt.Errorf("send statement: %w", err)
	}
	columns, err := c.head()
	if err != nil || columns == 0 {
		return err
	}
	if cap(c.row) < columns {
		c.row = make([][]byte, columns)
	}
	row := c.row[:columns]
	for {
		if err := c.packet(); err != nil {
			return err
		}
		switch {
		case c.buf[0] == mysql.EOF_HEADER && len(c.buf) < 1<<24-1 && (len(c.buf) <= 5 || c.conn.HasCapability(mysql.CLIENT_DEPRECATE_EOF)):
			return nil
		case c.buf[0] == mysql.ERR_HEADER:
			return c.conn.HandleErrorPacket(c.buf)
		}
		if err := splitRow(c.buf, row); err != nil {
			return err
		}
		if err := f(row); err != nil {
			return err
		}
	}
}

// head reads what precedes the rows and returns the number of columns, 0 when there is no result.
func (c *session) head() (columns int, err error) {
	if err := c.packet(); err != nil {
		return 0, err
	}
	switch c.buf[0] {
	case mysql.OK_HEADER:
		return 0, nil
	case mysql.ERR_HEADER:
		return 0, c.conn.HandleErrorPacket(c.buf)
	case mysql.LocalInFile_HEADER:
		return 0, errors.New("the server asks for a file of ours")
	}
	n, _, size := mysql.LengthEncodedInt(c.buf)
	if size != len(c.buf) || n > columnsMax {
		return 0, errResult
	}
	for range n {
		if err := c.packet(); err != nil {
			return 0, err
		}
	}
	if !c.conn.HasCapability(mysql.CLIENT_DEPRECATE_EOF) {
		err = c.packet()
	}
	return int(n), err
}

// columnsMax is the most columns of a result that is read; tables have 4,096 at most.
const columnsMax = 8192

var errResult = errors.New("the server's result cannot be read")

func (c *session) packet() error {
	var err error
	c.buf, err = c.conn.ReadPacketReuseMem(c.buf[:0])
	if err == nil && len(c.buf) == 0 {
		err = errResult
	}
	if err != nil {
		return fmt.Errorf("read result: %w", err)
	}
	return nil
}

// splitRow cuts a row of the text protocol into its values.
func splitRow(b []byte, row [][]byte) error {
	for i := range row {
		if len(b) == 0 {
			return errResult
		}
		if b[0] == 0xfb { // null
			row[i], b = nil, b[1:]
			continue
		}
		n, size, ok := lengthEncoded(b)
		if !ok || n > uint64(len(b)-size) {
			return errResult
		}
		row[i], b = b[size:size+int(n):size+int(n)], b[size+int(n):]
	}
	if len(b) != 0 {
		return errResult
	}
	return nil
}

// lengthEncoded reads a number of the protocol's variable form.
func lengthEncoded(b []byte) (n uint64, size int, ok bool) {
	switch b[0] {
	case 0xfc:
		size = 3
	case 0xfd:
		size = 4
	case 0xfe:
		size = 9
	case 0xff:
		return 0, 0, false
	default:
		return uint64(b[0]), 1, true
	}
	if len(b) < size {
		return 0, 0, false
	}
	for i := size - 1; i > 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	return n, size, true
}

// codeOf is the server's number of an error, 0 when it is none of the server's.
func codeOf(err error) uint16 {
	var e *mysql.MyError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// quoteName quotes an identifier.
func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// quoteText quotes a text for a session without NO_BACKSLASH_ESCAPES.
func quoteText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`, "\x00", `\0`, "\n", `\n`, "\r", `\r`, "\x1a", `\Z`).Replace(s) + "'"
}

var _ = tls.VersionTLS12
