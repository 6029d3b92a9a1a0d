package value

import (
	"strconv"
	"strings"
)

// SQLType is the declared type in one spelling for both servers and both ways of learning of it. What only one of them tells is
// left out: display widths, ZEROFILL, the digits of FLOAT(m,d).
func (c *Column) SQLType() string {
	switch c.Type {
	case TypeTiny, TypeShort, TypeInt24, TypeLong, TypeLongLong, TypeFloat, TypeDouble:
		return c.withSign(plainTypes[c.Type])
	case TypeNewDecimal:
		return c.withSign("decimal(" + strconv.Itoa(int(c.Meta>>8)) + "," + strconv.Itoa(int(c.Meta&0xff)) + ")")
	case TypeGeometry:
		if c.Class != "" {
			return c.Class
		}
	case TypeBit:
		return "bit(" + strconv.Itoa(int(c.Meta)) + ")"
	case TypeTime2, TypeDateTime2, TypeTimestamp2:
		if c.Meta == 0 {
			return plainTypes[c.Type]
		}
		return plainTypes[c.Type] + "(" + strconv.Itoa(int(c.Meta)) + ")"
	case TypeEnum, TypeSet:
		return c.withCharset(plainTypes[c.Type] + "(" + quoteLabels(c.Labels) + ")")
	case TypeBlob, TypeBlobZip:
		return c.withCharset(c.blobName()) + c.compressed()
	case TypeVarchar, TypeVarString, TypeVarcharZip:
		return c.withCharset(c.lengthName("varchar", "varbinary")) + c.compressed()
	case TypeString:
		if c.Native == nativeUUID || c.Native == nativeINET4 || c.Native == nativeINET6 {
			return c.Native
		}
		return c.withCharset(c.lengthName("char", "binary"))
	}
	if name, ok := plainTypes[c.Type]; ok {
		return name
	}
	return "type " + strconv.Itoa(int(c.Type))
}

var plainTypes = map[Type]string{
	TypeDecimal: "decimal", TypeTiny: "tinyint", TypeShort: "smallint", TypeInt24: "mediumint", TypeLong: "int",
	TypeLongLong: "bigint", TypeFloat: "float", TypeDouble: "double", TypeTimestamp: "timestamp", TypeTimestamp2: "timestamp",
	TypeDate: "date", TypeNewDate: "date", TypeTime: "time", TypeTime2: "time", TypeDateTime: "datetime", TypeDateTime2: "datetime",
	TypeYear: "year", TypeVector: "vector", TypeJSON: "json", TypeEnum: "enum", TypeSet: "set", TypeGeometry: "geometry",
}

func (c *Column) withSign(name string) string {
	if c.Unsigned {
		return name + " unsigned"
	}
	return name
}

// withCharset names the character set of text; the names of byte types say it all.
func (c *Column) withCharset(name string) string {
	cs := charsetOf(c.Collation)
	if cs == nil || c.Collation == CollationBinary {
		return name
	}
	return name + " character set " + cs.name
}

func (c *Column) compressed() string {
	if c.Type == TypeBlobZip || c.Type == TypeVarcharZip {
		return " compressed"
	}
	return ""
}

// lengthName is the name with the length in characters, or in bytes for bytes.
func (c *Column) lengthName(text, bytes string) string {
	length := int(c.Meta)
	if c.Type == TypeVarcharZip && length > 0 {
		length-- // the byte that says how the value is compressed
	}
	name, width := text, 1
	if c.Collation == CollationBinary {
		name = bytes
	} else if cs := charsetOf(c.Collation); cs != nil {
		width = cs.width
	}
	return name + "(" + strconv.Itoa(length/width) + ")"
}

// blobName tells the sizes of TEXT and BLOB by the bytes of their length.
func (c *Column) blobName() string {
	if c.Native == nativeJSON {
		return nativeJSON
	}
	name := "text"
	if c.Collation == CollationBinary {
		name = "blob"
	}
	switch c.Meta {
	case 1:
		return "tiny" + name
	case 3:
		return "medium" + name
	case 4:
		return "long" + name
	}
	return name
}

// quoteLabels writes labels as COLUMN_TYPE of information_schema does.
func quoteLabels(labels []string) string {
	var b strings.Builder
	for i, label := range labels {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\'')
		_, _ = labelQuoter.WriteString(&b, label)
		b.WriteByte('\'')
	}
	return b.String()
}

// labelQuoter escapes as append_unescaped of the servers does (sql/sql_show.cc, sql/unireg.cc).
var labelQuoter = strings.NewReplacer("'", "''", `\`, `\\`, "\x00", `\0`, "\n", `\n`, "\r", `\r`)
