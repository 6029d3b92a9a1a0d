package mysql

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"cdc/sources/mysql/value"
)

// keyOrder is the order in which an index has the rows of a table.
type keyOrder struct {
	parts []keyPart
	// mark tells orders apart. A cursor of one means nothing in another.
	mark string
}

// keyPart is one column of the order.
type keyPart struct {
	column     value.Column
	name       string // quoted
	charset    string // as the server names it
	descending bool
}

// errCursor says that a cursor is none of the table's order as it is.
var errCursor = errors.New("the order of the table's key has changed since its copy began; it must be copied anew")

// orderOf is the order of the table's key.
func orderOf(t *tableInfo) (keyOrder, error) {
	if !t.keyed() {
		return keyOrder{}, fmt.Errorf("table %s has no key", t.quoted())
	}
	var o keyOrder
	sum := fnv.New32a()
	for i, name := range t.key {
		at := slices.IndexFunc(t.columns, func(c value.Column) bool { return c.Name == name })
		if at < 0 {
			return keyOrder{}, fmt.Errorf("table %s has a key with a column %q that it has not", t.quoted(), name)
		}
		p := keyPart{column: t.columns[at], name: quoteName(name), charset: t.charsets[at], descending: t.descending[i]}
		if !p.comparable() {
			return keyOrder{}, fmt.Errorf("table %s: a key of type %s cannot be read in its order", t.quoted(), p.column.SQLType())
		}
		o.parts = append(o.parts, p)
		_, _ = fmt.Fprintf(sum, "%s\x00%s\x00%d\x00%t\x00", name, p.column.SQLType(), p.column.Collation, p.descending)
	}
	o.mark = strconv.FormatUint(uint64(sum.Sum32()), 36)
	return o, nil
}

// comparable reports whether a literal of the column's type can be written.
func (p *keyPart) comparable() bool {
	switch p.column.Type {
	case value.TypeTiny, value.TypeShort, value.TypeInt24, value.TypeLong, value.TypeLongLong, value.TypeYear, value.TypeNewDecimal,
		value.TypeFloat, value.TypeDouble, value.TypeEnum, value.TypeSet, value.TypeBit, value.TypeDate, value.TypeTime2,
		value.TypeDateTime2, value.TypeTimestamp2:
		return true
	}
	return p.isString()
}

func (p *keyPart) isString() bool {
	switch p.column.Type {
	case value.TypeVarchar, value.TypeVarString, value.TypeString:
		return true
	}
	return false
}

// collated reports whether a collation orders the column.
func (p *keyPart) collated() bool {
	return p.isString() && p.column.Collation != value.CollationBinary
}

// by is the order for ORDER BY.
func (o *keyOrder) by() string {
	terms := make([]string, len(o.parts))
	for i := range o.parts {
		terms[i] = o.parts[i].name
		if o.parts[i].descending {
			terms[i] += " DESC"
		}
	}
	return strings.Join(terms, ", ")
}

// cursor writes a key, given as the server sends its values: numbers and times as they are, strings in hexadecimal.
func (o *keyOrder) cursor(key [][]byte) string {
	b := append([]byte(o.mark), ':')
	for i := range o.parts {
		if i > 0 {
			b = append(b, ',')
		}
		if o.parts[i].isString() {
			b = hex.AppendEncode(append(b, 'x'), key[i])
		} else {
			b = append(b, key[i]...)
		}
	}
	return string(b)
}

// read is the inverse of cursor.
func (o *keyOrder) read(cursor string) ([]keyValue, error) {
	mark, rest, ok := strings.Cut(cursor, ":")
	if !ok || mark != o.mark {
		return nil, errCursor
	}
	texts := strings.Split(rest, ",")
	if len(texts) != len(o.parts) {
		return nil, errCursor
	}
	values := make([]keyValue, len(texts))
	for i, text := range texts {
		if values[i], ok = o.parts[i].value(text); !ok {
			return nil, errCursor
		}
	}
	return values, nil
}

// integer is the only value of a cursor, if the key is one column of integers in ascending order.
func (o *keyOrder) integer(cursor string) (*big.Int, bool) {
	if len(o.parts) != 1 || o.parts[0].descending || cursor == "" {
		return nil, false
	}
	switch o.parts[0].column.Type {
	case value.TypeTiny, value.TypeShort, value.TypeInt24, value.TypeLong, value.TypeLongLong:
		if values, err := o.read(cursor); err == nil {
			return new(big.Int).SetString(values[0].literal, 10)
		}
	}
	return nil, false
}

// keyValue is a value of a key column for a condition.
type keyValue struct {
	literal string
	number  uint64 // of an enum
	// odd dates are those of no calendar: MySQL says of none that it is equal to one, but compares them well.
	odd bool
}

// value reads a value of a cursor.
func (p *keyPart) value(text string) (v keyValue, ok bool) {
	only := func(characters string) bool { return text != "" && strings.Trim(text, characters) == "" }
	switch p.column.Type {
	case value.TypeEnum, value.TypeSet, value.TypeBit, value.TypeYear:
		n, err := strconv.ParseUint(text, 10, 64)
		return keyValue{literal: text, number: n}, err == nil
	case value.TypeFloat, value.TypeDouble:
		if !strings.Contains(text, "e") {
			text += "e0" // a double, and no decimal
		}
		return keyValue{literal: text}, only("0123456789+-.e")
	case value.TypeTime2:
		return keyValue{literal: "'" + text + "'"}, only("0123456789-:.")
	case value.TypeDate, value.TypeDateTime2, value.TypeTimestamp2:
		// As a number, since no literal of a date may have zeros for month or day, or a day that its month has not.
		return keyValue{literal: dateDigits.Replace(text), odd: !inCalendar(text)}, only("0123456789-: .") && len(text) >= len(time.DateOnly)
	}
	if !p.isString() {
		return keyValue{literal: text}, only("0123456789-.")
	}
	raw, hexed := strings.CutPrefix(text, "x")
	bytes, err := hex.DecodeString(raw)
	switch {
	case !hexed || err != nil:
		return keyValue{}, false
	case p.column.Native != "":
		return keyValue{literal: quoteText(string(bytes))}, true // uuid, inet4, inet6: as they are printed
	case p.column.Collation == value.CollationBinary:
		return keyValue{literal: "x'" + raw + "'"}, true
	}
	return keyValue{literal: "_" + p.charset + " x'" + raw + "'"}, true
}

var dateDigits = strings.NewReplacer("-", "", ":", "", " ", "")

func inCalendar(text string) bool {
	_, err := time.Parse(time.DateOnly, text[:min(len(text), len(time.DateOnly))])
	return err == nil
}

// beyond is the condition for keys behind the values, upTo for those that are not. Neither server finds the place of a comparison of
// rows, (a, b) > (1, 2), in an index: both read it from its beginning.
func (o *keyOrder) beyond(values []keyValue) string { return o.side(values, ">", ">") }
func (o *keyOrder) upTo(values []keyValue) string   { return o.side(values, "<", "<=") }

// side compares columns in turn: strictly is the operator for each, last that for the last one. The first comparison of all is there
// for a server that gives up to make ranges of the others.
func (o *keyOrder) side(values []keyValue, strictly, last string) string {
	n := len(o.parts) - 1
	condition := o.parts[n].compare(last, values[n])
	for i := n - 1; i >= 0; i-- {
		p, v := &o.parts[i], values[i]
		condition = p.compare(strictly+"=", v) + " AND (" + p.compare(strictly, v) + " OR " + p.compare("=", v) + " AND (" + condition + "))"
	}
	return condition
}

var turned = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}

// compare is a condition on one column, in its order.
func (p *keyPart) compare(op string, v keyValue) string {
	if p.descending {
		op = turned[op]
	}
	switch {
	case p.column.Type == value.TypeEnum && p.listed():
		return p.among(op, v.number)
	case op == "=" && v.odd:
		return p.name + " >= " + v.literal + " AND " + p.name + " <= " + v.literal
	}
	return p.name + " " + op + " " + v.literal
}

// listMost is how many labels of an enum are listed in a condition at the most.
const listMost = 256

// listed reports whether labels may stand for their numbers.
func (p *keyPart) listed() bool {
	return len(p.column.Labels) <= listMost && !slices.Contains(p.column.Labels, "")
}

// among is the condition that an enum's number compares so with n. It lists labels: an enum is in the order of its numbers, but the
// servers make ranges of its index from equalities with labels only. The number 0 is the invalid value, whose label is empty.
func (p *keyPart) among(op string, n uint64) string {
	count := uint64(len(p.column.Labels))
	from, to := uint64(0), count // inclusive
	switch op {
	case ">":
		from = n + 1
	case ">=":
		from = n
	case "<=":
		to = n
	case "<":
		if n == 0 {
			return "FALSE"
		}
		to = n - 1
	case "=":
		from, to = n, n
	}
	var terms []string
	for k := from; k <= min(to, count); k++ {
		if k == 0 {
			terms = append(terms, p.name+" = ''")
		} else {
			terms = append(terms, p.name+" = _utf8mb4 x'"+hex.EncodeToString([]byte(p.column.Labels[k-1]))+"'")
		}
	}
	if len(terms) == 0 {
		return "FALSE"
	}
	return "(" + strings.Join(terms, " OR ") + ")"
}
