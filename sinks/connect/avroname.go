package connect

import (
	"strconv"
	"strings"
	"unicode/utf16"
)

// AvroNames says what becomes of characters that no name may have in Avro, by Debezium's schema.name.adjustment.mode and
// field.name.adjustment.mode.
type AvroNames string

// Ways to adjust names.
const (
	// AvroUnderscore puts an underscore in the place of each, and in front of a leading digit.
	AvroUnderscore AvroNames = "avro"
	// AvroUnicode puts _u and the character's hexadecimal number there, also for an underscore, so that no two names become one.
	AvroUnicode AvroNames = "avro_unicode"
)

// typeName adjusts the full name of a type. Debezium looks at the first character of the whole name only; here no part of a
// namespace begins with a digit or is empty either, as Avro would refuse the schema.
func (n AvroNames) typeName(full string) string {
	parts := strings.Split(full, ".")
	for i, part := range parts {
		parts[i] = n.part(part)
	}
	return strings.Join(parts, ".")
}

// fieldName adjusts the name of a field, in which a point is not allowed.
func (n AvroNames) fieldName(name string) string { return n.part(name) }

func (n AvroNames) part(name string) string {
	if name == "" {
		return "_"
	}
	var b strings.Builder
	for i, unit := range utf16.Encode([]rune(name)) { // Debezium sees the characters of Java
		digit := unit >= '0' && unit <= '9'
		switch {
		case unit >= 'a' && unit <= 'z', unit >= 'A' && unit <= 'Z', digit && i > 0, unit == '_' && n != AvroUnicode:
			b.WriteByte(byte(unit))
		case n == AvroUnicode:
			b.WriteString("_u" + hexUnit(unit))
		case digit:
			b.WriteString("_" + string(rune(unit)))
		default:
			b.WriteByte('_')
		}
	}
	return b.String()
}

// hexUnit is the number as Debezium writes it: two zeros before one or two digits, nothing before three.
func hexUnit(unit uint16) string {
	text := strconv.FormatUint(uint64(unit), 16)
	if len(text) <= 2 {
		return "00" + text
	}
	return text
}
