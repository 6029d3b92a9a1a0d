package binlog

import (
	"bytes"
	"encoding/hex"
	"strconv"
)

// xa reads XA statements and the XID they name.
func (p *statementReader) xa() {
	t := p.advance()
	switch {
	case t.isAny("START", "BEGIN"):
		p.s.Kind = StatementXAStart // JOIN and RESUME are not in a log
	case t.is("END"):
		p.s.Kind = StatementXAEnd
	case t.is("PREPARE"):
		p.s.Kind = StatementXAPrepare
	case t.is("COMMIT"):
		p.s.Kind = StatementXACommit
	case t.is("ROLLBACK"):
		p.s.Kind = StatementXARollback
	default:
		return
	}
	p.s.XID = XID{Format: 1, GTRID: p.literal()}
	if p.acceptSign(',') {
		p.s.XID.BQUAL = p.literal()
		if p.acceptSign(',') {
			p.s.XID.Format = p.xidFormat()
		}
	}
	if p.s.Kind == StatementXACommit && p.accept("ONE") {
		p.expect("PHASE")
	}
	p.end()
}

func (p *statementReader) xidFormat() int32 {
	t := p.advance()
	n, err := strconv.ParseInt(string(t.text), 0, 64)
	if err != nil || n != int64(int32(n)) {
		p.failed = true
	}
	return int32(n)
}

// literal reads a string, or bytes in hexadecimal digits as a server writes them: X'6162' or 0x6162.
func (p *statementReader) literal() []byte {
	t := p.advance()
	digits, isHex := bytes.CutPrefix(t.text, []byte("0x"))
	switch {
	case t.kind == tokenString:
		if bytes.IndexByte(t.text, '\\') >= 0 && !p.lexer.noBackslash || bytes.IndexByte(t.text, t.quote) >= 0 {
			p.failed = true // escapes are not read; servers write none
		}
		return t.text
	case t.is("X") && p.t.kind == tokenString && p.t.at == t.end:
		digits = p.advance().text
	case t.kind == tokenWord && isHex:
	default:
		p.failed = true
		return nil
	}
	b := make([]byte, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(b, digits); err != nil || len(digits)%2 != 0 {
		p.failed = true
		return nil
	}
	return b
}
