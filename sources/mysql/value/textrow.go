package value

import (
	"fmt"
	"strconv"
	"strings"

	"cdc/schema"
)

// TextSession sets the session variables under which a SELECT of SelectExpr gives what TextDecoder reads: text in the character set of
// its column, times in UTC, CHAR without padding.
const TextSession = "SET NAMES utf8mb4, character_set_results = NULL, time_zone = '+00:00', sql_mode = ''"

// SelectExpr is what to select of the column so that its text loses nothing. Labels come as numbers, since a label does not tell the
// invalid value of an enum from an empty label; BIT, too, comes as a number. A FLOAT is printed with six digits, and FLOAT(m,d) with
// d after the point; a product with a double is a double, which is printed with all its digits, and one with 1 keeps its bits.
func (c *Column) SelectExpr() string {
	name := "`" + strings.ReplaceAll(c.Name, "`", "``") + "`"
	switch c.Type {
	case TypeEnum, TypeSet, TypeBit:
		return "CAST(" + name + " AS UNSIGNED)"
	case TypeFloat, TypeDouble:
		return name + "*1e0"
	}
	return name
}

// TextDecoder turns the rows of a SELECT of the columns' SelectExpr, as the text protocol sends them under TextSession, into packed
// rows: the same bytes that Decoder makes of the same values. It is for one goroutine and allocates nothing once its buffers have
// grown.
type TextDecoder struct{ d Decoder }

// CompileText makes a decoder of text rows. The table's columns must be those of Column.Schema, in the same order.
func CompileText(columns []Column, t *schema.Table) (*TextDecoder, error) {
	d, err := Compile(columns, t)
	if err != nil {
		return nil, err
	}
	return &TextDecoder{d: *d}, nil
}

// Row decodes one row, a text for each column and nil for a null, and returns dst with the packed row appended; after an error dst is
// unchanged.
func (t *TextDecoder) Row(dst []byte, fields [][]byte) ([]byte, error) {
	d := &t.d
	if len(fields) != len(d.fields) {
		return dst, fmt.Errorf("%w: %d values for %d columns", ErrImage, len(fields), len(d.fields))
	}
	b := &d.builder
	b.Reset(d.layout, dst)
	for i, text := range fields {
		if text == nil {
			b.Null(i)
			continue
		}
		if err := d.text(&d.fields[i], i, text); err != nil {
			return d.abandon(dst), d.failed(i, err)
		}
	}
	return b.Finish()
}

var errText = fmt.Errorf("%w: a text that is no value of the type", ErrImage)

// text sets column i to the value that text spells.
func (d *Decoder) text(f *field, i int, text []byte) error {
	b := &d.builder
	switch f.op {
	case opTiny, opShort, opMedium, opLong, opYear:
		return d.textSigned(f, i, text)
	case opUTiny, opUShort, opUMedium, opULong, opBit, opEnum, opSet:
		return d.textUnsigned(f, i, text)
	case opLongLong:
		if f.kind == schema.Uint64 {
			return d.textUnsigned(f, i, text)
		}
		return d.textSigned(f, i, text)
	case opFloat, opDouble:
		v, err := strconv.ParseFloat(string(text), 64)
		switch {
		case err != nil:
			return errText
		case f.op == opFloat:
			b.Float32(i, float32(v))
		default:
			b.Float64(i, v)
		}
		return nil
	case opDate, opTime, opDateTime, opTimestamp, opOldTime, opOldDateTime, opOldTimestamp:
		return d.textTemporal(f, i, text)
	case opDecimal:
		return setDecimal(b, i, text)
	case opINET, opJSON: // as the server prints them
		b.Bytes(i, text)
		return nil
	case opUUID:
		return schema.ParseText(b, i, &uuidColumn, text)
	case opZip: // the server has expanded it
		if f.cs != nil {
			return setText(b, i, f.cs, text)
		}
		b.Bytes(i, text)
		return nil
	}
	return d.stringValue(f, i, text)
}

var uuidColumn = schema.Column{Name: nativeUUID, Kind: schema.UUID}

func (d *Decoder) textSigned(f *field, i int, text []byte) error {
	v, ok := parseSigned(text)
	if bits := integerBits(f.kind); !ok || v<<(64-bits)>>(64-bits) != v {
		return errText
	}
	d.builder.Int(i, v)
	return nil
}

func (d *Decoder) textUnsigned(f *field, i int, text []byte) error {
	v, ok := parseUnsigned(text)
	if !ok {
		return errText
	}
	switch f.op {
	case opEnum, opSet:
		return f.labels.set(&d.builder, i, v)
	case opBit:
		if f.meta < maxBits && v>>f.meta != 0 {
			return errText
		}
		setBits(&d.builder, i, f.meta, v)
		return nil
	}
	if bits := integerBits(f.kind); bits < 64 && v>>bits != 0 {
		return errText
	}
	d.builder.Int(i, int64(v))
	return nil
}

// integerBits is the width of an integer kind.
func integerBits(k schema.Kind) int {
	switch k {
	case schema.Int8, schema.Uint8:
		return 8
	case schema.Int16, schema.Uint16:
		return 16
	case schema.Int32, schema.Uint32:
		return 32
	}
	return 64
}

// textTemporal reads YYYY-MM-DD, YYYY-MM-DD hh:mm:ss.ffffff and -hhh:mm:ss.ffffff, whose fractions may be shorter or missing.
func (d *Decoder) textTemporal(f *field, i int, text []byte) error {
	s := timeScanner{text: text}
	if f.kind == schema.Time {
		negative := s.accept('-')
		hours, minutes, seconds, micros := s.clock()
		if s.bad || len(s.text) > 0 {
			return errText
		}
		return d.setTime(i, negative, int64(hours), int64(minutes), int64(seconds), int64(micros))
	}
	c := schema.CalendarFields{Year: s.number('-'), Month: s.number('-')}
	if f.kind == schema.CalendarDate {
		c.Day = s.number(0)
	} else {
		c.Day = s.number(' ')
		c.Hour, c.Minute, c.Second, c.Micro = s.clock()
	}
	switch {
	case s.bad || len(s.text) > 0:
		return errText
	case f.kind == schema.CalendarDate:
		return d.setDate(i, c.Year, c.Month, c.Day)
	}
	return d.setDateTime(i, c)
}

// timeScanner takes fields off a text.
type timeScanner struct {
	text []byte
	bad  bool
}

func (s *timeScanner) accept(c byte) bool {
	if len(s.text) == 0 || s.text[0] != c {
		return false
	}
	s.text = s.text[1:]
	return true
}

// number reads digits and the mark behind them; none when the mark is zero.
func (s *timeScanner) number(mark byte) int {
	v, n := 0, 0
	for n < len(s.text) && n < 5 && s.text[n] >= '0' && s.text[n] <= '9' {
		v = v*10 + int(s.text[n]-'0')
		n++
	}
	s.text = s.text[n:]
	if n == 0 || mark != 0 && !s.accept(mark) {
		s.bad = true
	}
	return v
}

func (s *timeScanner) clock() (hours, minutes, seconds, micros int) {
	hours, minutes, seconds = s.number(':'), s.number(':'), s.number(0)
	if !s.accept('.') {
		return hours, minutes, seconds, 0
	}
	digits := 0
	for ; digits < maxFractionDigits && digits < len(s.text) && s.text[digits] >= '0' && s.text[digits] <= '9'; digits++ {
		micros = micros*10 + int(s.text[digits]-'0')
	}
	s.text = s.text[digits:]
	s.bad = s.bad || digits == 0
	for ; digits < maxFractionDigits; digits++ {
		micros *= 10
	}
	return hours, minutes, seconds, micros
}
