package mysql

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/sources/mysql/value"
)

const (
	// connectTimeout bounds connecting and logging in, unless the DSN says otherwise.
	connectTimeout = 20 * time.Second
	// querySilence bounds the silence of a server that was asked something small.
	querySilence = 60 * time.Second
	keepAlive    = 15 * time.Second
	readBytes    = 64 << 10
)

// session is one connection to the server, in its own words. It is for one goroutine; close may be called by another, and ends what
// is under way.
type session struct {
	conn     *client.Conn
	wire     *wire
	in       *bufio.Reader
	sequence byte
	ended    func() error // why the session's context is over, if it is
	stop     func() bool
	buf      []byte // the last packet, until the next is read
	large    []byte // holds a packet that is larger than what in holds
	row      [][]byte
	catalog  *catalog // set when it has been asked for tables
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

// patience sets how long the server may be silent from now on before the session fails; a stream of rows may last for ever.
func (c *session) patience(silence time.Duration) { c.wire.limit(silence) }

// farewell bounds how long a session tries to take leave, without which the server writes a warning into its log.
const farewell = 100 * time.Millisecond

// close ends the session.
func (c *session) close() {
	if c.stop() {
		c.wire.limit(farewell)
		_, _ = c.wire.writer.Write([]byte{1, 0, 0, 0, mysql.COM_QUIT})
	}
	_ = c.wire.Close() // nothing is left to be written
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
	if err := c.send(mysql.COM_QUERY, []byte(sql)); err != nil {
		return err
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
		case c.buf[0] == mysql.EOF_HEADER && len(c.buf) <= eofBytes: // a value that begins so is longer than 16 MB
			return nil
		case c.buf[0] == mysql.ERR_HEADER:
			return errorPacket(c.buf)
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
		return 0, errorPacket(c.buf)
	case mysql.LocalInFile_HEADER:
		return 0, errors.New("the server asks for a file of ours")
	}
	n, size, ok := lengthEncoded(c.buf)
	if !ok || size != len(c.buf) || n > columnsMax {
		return 0, errResult
	}
	for range n + 1 { // the columns, and the mark behind them
		if err := c.packet(); err != nil {
			return 0, err
		}
	}
	return int(n), nil
}

const (
	// columnsMax is the most columns of a result that is read; tables have 4,096 at most.
	columnsMax = 8192
	// packetMax is the most bytes of one row: the server's own bound, max_allowed_packet, ends at 1 GiB.
	packetMax = 1<<30 + 1<<24
	// partMax is the size of a part of a packet that another one follows.
	partMax = 1<<24 - 1
	// eofBytes is the size of the mark that ends columns and rows.
	eofBytes = 5
)

var errResult = errors.New("the server's result cannot be read")

// send begins a command.
func (c *session) send(command byte, payload []byte) error {
	if len(payload)+1 >= partMax {
		return fmt.Errorf("send statement: %d bytes are too many", len(payload))
	}
	n := len(payload) + 1
	packet := append(make([]byte, 0, 4+n), byte(n), byte(n>>8), byte(n>>16), 0, command)
	c.sequence = 1
	if _, err := c.wire.writer.Write(append(packet, payload...)); err != nil {
		return fmt.Errorf("send statement: %w", c.why(err))
	}
	return nil
}

// packet reads the server's next packet into buf. It is never empty. What fits into the connection's buffer stays there.
func (c *session) packet() error {
	n, err := c.part()
	if err != nil {
		return err
	}
	if n == 0 {
		return errResult
	}
	if n > c.in.Size() {
		return c.largePacket(n)
	}
	if c.buf, err = c.in.Peek(n); err != nil {
		return fmt.Errorf("read result: %w", c.why(err))
	}
	_, err = c.in.Discard(n) // it is there
	return err
}

// part reads the head of a packet's next part, and returns the part's size.
func (c *session) part() (int, error) {
	head, err := c.in.Peek(4)
	if err != nil {
		return 0, fmt.Errorf("read result: %w", c.why(err))
	}
	n := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if head[3] != c.sequence {
		return 0, errResult
	}
	c.sequence++
	_, err = c.in.Discard(4)
	return n, err
}

// largePacket reads a packet whose first part has so many bytes.
func (c *session) largePacket(n int) (err error) {
	for c.large = c.large[:0]; ; {
		whole := len(c.large) + n
		if whole > packetMax {
			return errResult
		}
		c.large = slices.Grow(c.large, n)[:whole]
		c.buf = c.large
		if _, err := io.ReadFull(c.in, c.large[whole-n:]); err != nil {
			return fmt.Errorf("read result: %w", c.why(err))
		}
		if n < partMax {
			return nil
		}
		if n, err = c.part(); err != nil {
			return err
		}
	}
}

// why is the reason of a failure of the connection.
func (c *session) why(err error) error {
	if cause := c.ended(); cause != nil {
		return cause
	}
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("the server was silent for %s", time.Duration(c.wire.silence.Load()))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the server closed the connection")
	}
	return err
}

// errorPacket reads the server's error.
func errorPacket(b []byte) error {
	if len(b) < 3 {
		return errResult
	}
	e := &mysql.MyError{Code: uint16(b[1]) | uint16(b[2])<<8, State: mysql.DEFAULT_MYSQL_STATE}
	text := b[3:]
	if len(text) >= 6 && text[0] == '#' {
		e.State, text = string(text[1:6]), text[6:]
	}
	e.Message = string(text)
	return e
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
