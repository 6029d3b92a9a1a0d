package value

import (
	"fmt"
	"strings"
)

// hexes writes values as hexadecimal literals.
func hexes(values ...string) []string {
	for i, v := range values {
		values[i] = "x'" + v + "'"
	}
	return values
}

// quoted writes values as strings.
func quoted(values ...string) []string {
	for i, v := range values {
		values[i] = "'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(v) + "'"
	}
	return values
}

// manyLabels are labels l1, l2, ….
func manyLabels(n int) string {
	labels := make([]string, n)
	for i := range labels {
		labels[i] = fmt.Sprintf("'l%d'", i+1)
	}
	return strings.Join(labels, ",")
}

var (
	dates = quoted("0000-00-00", "2024-00-15", "2024-02-00", "0001-01-01", "9999-12-31", "2024-02-29", "1582-10-10", "1970-01-01", "0000-01-01")
	times = quoted("-838:59:59", "838:59:59", "00:00:00", "24:00:00", "-00:00:01", "12:34:56.789012", "-00:00:00.000001", "-00:00:00.5",
		"-12:34:56.999999", "-00:00:01.000001", "-00:01:00.1", "838:59:58.999999", "-838:59:58.999999", "00:00:00.01", "-00:00:00.99", "-00:00:01.10")
	datetimes = quoted("0000-00-00 00:00:00", "2024-00-15 01:02:03", "0001-01-01 00:00:00.000001", "9999-12-31 23:59:59.4", "1970-01-01 00:00:00",
		"2024-02-29 12:34:56.789012", "2000-01-01 23:59:59.100000", "2024-06-00 00:00:00.99", "2024-02-29 12:34:56.999999")
	stamps = quoted("0000-00-00 00:00:00", "1970-01-01 00:00:01", "2038-01-19 03:14:07", "2024-02-29 12:34:56.789012", "2000-01-01 00:00:00.5",
		"1970-01-01 00:00:01.000001", "2024-03-31 02:30:00", "1970-01-01 00:00:00.5", "1970-01-01 00:00:00", "2038-01-19 03:14:07.999999")
	floats  = []string{"0", "-0e0", "1.1", "-1.5", "3.4028234e38", "1.17549435e-38", "1e-45", "0.1", "16777217", "123456789", "1e10", "3.14159265", "-2.5e-7"}
	doubles = []string{
		"0", "-0e0", "1.1", "1e308", "1.7976931348623157e308", "5e-324", "2.2250738585072014e-308", "0.1", "9007199254740993",
		"123456789.123456789", "1e23", "9.999999999999999e22", "1e15", "1e16", "-2.5e-7", "0.30000000000000004",
	}
	wkb = []string{
		"ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('LINESTRING(0 0,1 1,2 -2.5)')", "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')",
		"ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')", "ST_GeomFromText('POINT(1 2)', 4326)",
	}
)

var edges = []edge{
	{typ: "TINYINT", values: []string{"-128", "127", "0", "-1"}},
	{typ: "TINYINT(1)", values: []string{"1", "0", "-128"}},
	{typ: "TINYINT UNSIGNED", values: []string{"0", "255", "128"}},
	{typ: "SMALLINT", values: []string{"-32768", "32767", "-1"}},
	{typ: "SMALLINT UNSIGNED", values: []string{"0", "65535"}},
	{typ: "MEDIUMINT", values: []string{"-8388608", "8388607", "-1", "0"}},
	{typ: "MEDIUMINT UNSIGNED", values: []string{"0", "16777215"}},
	{typ: "INT", values: []string{"-2147483648", "2147483647", "-1"}},
	{typ: "INT UNSIGNED", values: []string{"0", "4294967295"}},
	{typ: "INT(6) UNSIGNED ZEROFILL", values: []string{"0", "42", "4294967295"}},
	{typ: "INT NOT NULL", values: []string{"7"}},
	{typ: "BIGINT", values: []string{"-9223372036854775808", "9223372036854775807", "-1"}},
	{typ: "BIGINT UNSIGNED", values: []string{"0", "18446744073709551615", "9223372036854775808"}},
	{typ: "BIGINT(20) UNSIGNED ZEROFILL", values: []string{"0", "7", "18446744073709551615"}},
	{typ: "FLOAT", values: floats},
	{typ: "FLOAT UNSIGNED", values: []string{"0", "1.1"}},
	{typ: "FLOAT(7,2)", values: []string{"0", "1.1", "99999.99", "-99999.99", "0.01"}},
	{typ: "FLOAT(25)", values: []string{"1.1"}},
	{typ: "DOUBLE", values: doubles},
	{typ: "DOUBLE(10,3) UNSIGNED ZEROFILL", values: []string{"0", "1.1", "1234567.891", "0.1"}},
	{typ: "DOUBLE(30,20)", values: []string{"0.1", "1.1"}},
	{typ: "DECIMAL(10,2)", values: []string{"0", "-0.00", "1.5", "-99999999.99", "99999999.99", "0.01", "-0.01", "100"}},
	{typ: "DECIMAL(18,0)", values: []string{"0", "999999999999999999", "-999999999999999999", "1000000000"}},
	{typ: "DECIMAL(18,18)", values: []string{"0", "0.999999999999999999", "-0.000000000000000001"}},
	{typ: "DECIMAL(19,9)", values: []string{"0", "9999999999.999999999", "-1.000000001", "0.1"}},
	{typ: "DECIMAL(30,30)", values: []string{"0", "0.5", "-0.000000000000000000000000000001"}},
	{typ: "DECIMAL(65,0)", values: []string{"0", strings.Repeat("9", 65), "-" + strings.Repeat("9", 65), "1000000000000000000"}},
	{typ: "DECIMAL(65,30)", values: []string{"0", strings.Repeat("9", 35) + "." + strings.Repeat("9", 30), "-0." + strings.Repeat("0", 29) + "1", "1", "123456789"}},
	{typ: "DECIMAL(1,0)", values: []string{"0", "9", "-9"}},
	{typ: "DECIMAL(1,1)", values: []string{"0", "0.9", "-0.9"}},
	{typ: "DECIMAL(10,0) UNSIGNED", values: []string{"0", "9999999999"}},
	{typ: "DECIMAL(8,3) UNSIGNED ZEROFILL", values: []string{"0", "1.5", "99999.999"}},
	{typ: "BIT(1)", values: []string{"b'0'", "b'1'"}},
	{typ: "BIT(8)", values: []string{"b'0'", "b'10000001'"}},
	{typ: "BIT(14)", values: []string{"0", "13679", "1", "8192", "16383"}},
	{typ: "BIT(64)", values: []string{"0", "x'FFFFFFFFFFFFFFFF'", "1", "x'8000000000000000'"}},
	{typ: "YEAR", values: []string{"1901", "0000", "2155", "2000"}},
	{typ: "DATE", values: dates},
	{typ: "TIME", values: times},
	{typ: "TIME(1)", values: times},
	{typ: "TIME(2)", values: times},
	{typ: "TIME(3)", values: times},
	{typ: "TIME(4)", values: times},
	{typ: "TIME(5)", values: times},
	{typ: "TIME(6)", values: times},
	{typ: "DATETIME", values: datetimes},
	{typ: "DATETIME(1)", values: datetimes},
	{typ: "DATETIME(2)", values: datetimes},
	{typ: "DATETIME(3)", values: datetimes},
	{typ: "DATETIME(4)", values: datetimes},
	{typ: "DATETIME(5)", values: datetimes},
	{typ: "DATETIME(6)", values: datetimes},
	{typ: "TIMESTAMP NULL", values: stamps},
	{typ: "TIMESTAMP(1) NULL", values: stamps},
	{typ: "TIMESTAMP(3) NULL", values: stamps},
	{typ: "TIMESTAMP(5) NULL", values: stamps},
	{typ: "TIMESTAMP(6) NULL", values: stamps},
	{only: "mysql", typ: "TIMESTAMP(6) NULL", values: quoted("2038-01-19 03:14:07.499999")},
	{typ: "CHAR(5)", values: quoted("", "ab", "ab   ", "héllo", "日本語", "😀😀😀😀😀")},
	{typ: "CHAR(0)", values: quoted("")},
	{typ: "CHAR(255)", values: quoted("", "x", strings.Repeat("😀", 255))},
	{typ: "CHAR(255) CHARACTER SET latin1", values: quoted("", "é", strings.Repeat("ÿ", 255))},
	{typ: "CHAR(4) CHARACTER SET ucs2", values: quoted("", "a", "a  ", "日本")},
	{typ: "BINARY(4)", values: hexes("", "61", "61000000", "00000000", "61006200", "20202020", "6120", "FFFFFFFF")},
	{typ: "BINARY(255)", values: hexes("", "61", strings.Repeat("FF", 255))},
	{typ: "BINARY(1)", values: hexes("00", "20")},
	{typ: "BINARY(0)", values: hexes("")},
	{typ: "VARBINARY(4)", values: hexes("", "00", "6100", "FFFFFFFF")},
	{typ: "VARBINARY(300)", values: hexes("", "00", strings.Repeat("61", 300))},
	{typ: "VARCHAR(20)", values: quoted("", " ", "a ", "héllo ∆ 😀", `quote'"\`, "tab\tline\n\x00\x1a")},
	{typ: "VARCHAR(63) CHARACTER SET utf8mb4", values: quoted("", strings.Repeat("😀", 63))},
	{typ: "VARCHAR(64) CHARACTER SET utf8mb4", values: quoted("", strings.Repeat("😀", 64))},
	{typ: "VARCHAR(20) CHARACTER SET utf8mb3", values: quoted("", "∆ß", "日本語")},
	{typ: "VARCHAR(20) CHARACTER SET latin1", values: quoted("", "áé€", "ÿ", "½")},
	{typ: "VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin", values: quoted("é")},
	{typ: "VARCHAR(20) CHARACTER SET ascii", values: quoted("", "plain")},
	{typ: "VARCHAR(20) CHARACTER SET ucs2", values: quoted("", "∆ß", "日本語")},
	{typ: "VARCHAR(20) CHARACTER SET utf16", values: quoted("", "∆ß", "😀")},
	{typ: "VARCHAR(20) CHARACTER SET utf16le", values: quoted("", "∆ß", "😀")},
	{typ: "VARCHAR(20) CHARACTER SET utf32", values: quoted("", "∆ß", "😀")},
	{typ: "VARCHAR(20) CHARACTER SET gbk", values: quoted("", "乪", "中文abc")},
	{typ: "VARCHAR(20) CHARACTER SET gb2312", values: quoted("", "中文abc")},
	{only: "mysql", typ: "VARCHAR(20) CHARACTER SET gb18030", values: quoted("", "中文abc", "😀", "é", "㐀")},
	{typ: "VARCHAR(20) CHARACTER SET big5", values: quoted("", "中文abc")},
	{typ: "VARCHAR(20) CHARACTER SET sjis", values: quoted("", "日本語abc", `\~`, "ｶﾅ")},
	{typ: "VARCHAR(20) CHARACTER SET cp932", values: quoted("", "日本語abc", "①")},
	{typ: "VARCHAR(20) CHARACTER SET ujis", values: quoted("", "日本語abc", "ｶﾅ", "丂")},
	{typ: "VARCHAR(20) CHARACTER SET eucjpms", values: quoted("", "日本語abc", "①", "丂")},
	{typ: "VARCHAR(20) CHARACTER SET euckr", values: quoted("", "한국어abc")},
	{typ: "VARCHAR(20) CHARACTER SET koi8r", values: quoted("", "привет")},
	{typ: "VARCHAR(20) CHARACTER SET koi8u", values: quoted("", "привіт")},
	{typ: "VARCHAR(20) CHARACTER SET cp1251", values: quoted("", "привіт€")},
	{typ: "VARCHAR(20) CHARACTER SET cp1250", values: quoted("", "žluťoučký")},
	{typ: "VARCHAR(20) CHARACTER SET latin2", values: quoted("", "žluťoučký")},
	{typ: "VARCHAR(20) CHARACTER SET greek", values: quoted("", "αβγ")},
	{typ: "VARCHAR(20) CHARACTER SET hebrew", values: quoted("", "שלום")},
	{typ: "VARCHAR(20) CHARACTER SET tis620", values: quoted("", "ไทย")},
	{typ: "VARCHAR(20) CHARACTER SET swe7", values: quoted("", "Åå")},
	{typ: "VARCHAR(20) CHARACTER SET cp850", values: quoted("", "é")},
	{typ: "VARCHAR(10) CHARACTER SET binary", values: hexes("", "FF")},
	{only: "mariadb", typ: "VARCHAR(20) COLLATE uca1400_ai_ci", values: quoted("", "é😀")},
	{only: "mysql", typ: "VARCHAR(20) COLLATE utf8mb4_ja_0900_as_cs", values: quoted("", "é😀")},
	{typ: "TINYTEXT", values: quoted("", "é", "a ")},
	{typ: "TEXT", values: quoted("", "é😀", strings.Repeat("x", 300))},
	{typ: "TEXT CHARACTER SET latin1", values: quoted("", "héllo€")},
	{typ: "MEDIUMTEXT CHARACTER SET gbk", values: quoted("", "中文")},
	{typ: "LONGTEXT", values: append(quoted("", "é"), "repeat('x', 70000)")},
	{typ: "TINYBLOB", values: hexes("", "00FF")},
	{typ: "BLOB", values: hexes("", "00FF", "2020")},
	{typ: "MEDIUMBLOB", values: hexes("", "00FF")},
	{typ: "LONGBLOB", values: append(hexes("", "00FF"), "repeat(x'00', 70000)")},
	{typ: "TEXT CHARACTER SET binary", values: hexes("", "00FF")},
	{typ: `ENUM('a','b,c','it''s','','\\x','é')`, values: []string{"1", "2", "3", "4", "5", "6", "0"}},
	{typ: `ENUM('a','b')`, values: []string{"1", "2", "0"}},
	{typ: `ENUM('q','é','日') CHARACTER SET ucs2`, values: []string{"1", "2", "3", "0"}},
	{typ: `ENUM('é') CHARACTER SET latin1`, values: []string{"1", "0"}},
	{typ: `ENUM('x','y') CHARACTER SET binary`, values: []string{"1", "2"}},
	{typ: "ENUM(" + manyLabels(255) + ")", values: []string{"1", "255"}},
	{typ: "ENUM(" + manyLabels(256) + ")", values: []string{"1", "256", "0"}},
	{typ: "SET('x','y','z')", values: []string{"0", "1", "5", "7", "'z,x'"}},
	{typ: "SET('a','')", values: []string{"0", "1", "2", "3"}},
	{typ: "SET('é','日') CHARACTER SET ucs2", values: []string{"0", "1", "3"}},
	{typ: "SET(" + manyLabels(9) + ")", values: []string{"0", "256", "511"}},
	{typ: "SET(" + manyLabels(17) + ")", values: []string{"65536", "131071"}},
	{typ: "SET(" + manyLabels(25) + ")", values: []string{"0", "16777216"}},
	{typ: "SET(" + manyLabels(33) + ")", values: []string{"0", "4294967296"}},
	{typ: "SET(" + manyLabels(64) + ")", values: []string{"0", "9223372036854775808", "18446744073709551615", "1"}},
	{typ: "GEOMETRY", values: wkb},
	{typ: "POINT", values: wkb[:1]},
	{typ: "POLYGON", values: wkb[2:3]},
	{only: "mysql", typ: "POINT SRID 4326", values: wkb[4:]},
	{only: "mysql", typ: "VECTOR(3)", values: []string{"TO_VECTOR('[1,2.5,-3]')", "TO_VECTOR('[0]')"}},
	{only: "mariadb", typ: "UUID", values: quoted("123e4567-e89b-12d3-a456-426614174000", "00000000-0000-0000-0000-000000000000",
		"ffffffff-ffff-ffff-ffff-ffffffffffff", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "018e4c2a-7b3f-7abc-8def-0123456789ab",
		"1ec9414c-232a-6b00-b3c8-9e6bdeced846", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b810-9dad-11d1-00b4-00c04fd430c8", "20000000-0000-0000-0000-000000000020")},
	{only: "mariadb", typ: "INET4", values: quoted("10.0.0.1", "10.0.0.0", "0.0.0.0", "255.255.255.255", "32.32.32.32")},
	{only: "mariadb", typ: "INET6", values: quoted("2001:db8::1", "::", "::1", "::ffff:1.2.3.4", "::1.2.3.4", "::0.1.2.3", "::2.3", "1::", "::ffff:0:0", "::1:0:0",
		"1:0:2:0:3:0:4:0", "1:0:0:2:0:0:3:4", "1:0:0:2:0:0:0:4", "fe80::20", "1:2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:0", "ffff::ffff:1.2.3.4", "64:ff9b::1.2.3.4", "::ffff", "::1:2")},
	{only: "mariadb", typ: "VARCHAR(100) COMPRESSED", values: append(quoted("", "short"), "repeat('abc', 33)", "repeat('é', 100)", "repeat('abc', 32)")},
	{only: "mariadb", typ: "VARCHAR(500) CHARACTER SET latin1 COMPRESSED", values: append(quoted("", "é"), "repeat('abc', 160)")},
	{only: "mariadb", typ: "VARCHAR(254) CHARACTER SET latin1 COMPRESSED", values: append(quoted("", "é"), "repeat('abc', 84)")},
	{only: "mariadb", typ: "VARCHAR(255) CHARACTER SET latin1 COMPRESSED", values: append(quoted("", "é"), "repeat('abc', 84)")},
	{only: "mariadb", typ: "VARBINARY(500) COMPRESSED", values: append(hexes("", "00"), "repeat(x'00', 400)")},
	{only: "mariadb", typ: "TEXT COMPRESSED", values: append(quoted("", "é"), "repeat('é', 1000)", "repeat('é', 1000)", "repeat('é', 500)")},
	{only: "mariadb", typ: "LONGBLOB COMPRESSED", values: append(hexes("", "00"), "repeat(x'00', 100000)")},
	{only: "mariadb", typ: "JSON", values: quoted(`{"a": 12345678901234567890.5, "b":[1,2]}`, "null", "[]", `"é"`)},
}

// jsonEdges are values of MySQL's JSON, which is the only binary one.
var jsonEdges = []string{
	`'null'`, `'true'`, `'false'`, `'{}'`, `'[]'`, `'""'`, `'0'`, `'-1'`, `'1.0'`, `'-0.0'`, `'1e20'`, `'1e15'`, `'1e14'`, `'123456789012345678'`,
	`'32767'`, `'32768'`, `'-32768'`, `'-32769'`, `'65535'`, `'65536'`, `'2147483647'`, `'2147483648'`, `'-2147483649'`, `'4294967295'`,
	`'4294967296'`, `'9223372036854775807'`, `'9223372036854775808'`, `'18446744073709551615'`, `'18446744073709551616'`, `'-9223372036854775809'`,
	`'[1, 2, 3]'`, `'[[], {}, [[]], {"a": {}}]'`, `'{"bb": 1, "a": 2, "c": 3, "": 4}'`, `'{"é": "日本 😀"}'`,
	`'{"a": [true, false, null, 1, -1, 1.5, "x"]}'`, `'"quote \\" slash \\\\ / \\b\\f\\n\\r\\t \\u0001 \\u001f \\u007f \\u00e9"'`,
	`'[0.1, 1.1, 1e308, 5e-324, 1.7976931348623157e308, 1e23, 9.999999999999999e22, 1e-5, 1e-14, 1e-15, 1e-16, 123456789.123456789, 0.30000000000000004, 9007199254740993.0, -2.5e-7, 1e16, 100000000000000000000.5]'`,
	`CAST(1.50 AS JSON)`, `JSON_ARRAY(CAST(1.50 AS DECIMAL(10,2)), CAST(-0.001 AS DECIMAL(10,3)), CAST(0 AS DECIMAL(10,2)), CAST(99999999999999999999999999999999999.999999999999999999999999999999 AS DECIMAL(65,30)))`,
	`JSON_ARRAY(DATE'2024-02-29', TIME'-838:59:59', TIME'00:00:00.000001', TIMESTAMP'2024-02-29 12:34:56', TIMESTAMP'2024-02-29 12:34:56.789', TIME'12:00:00')`,
	`JSON_ARRAY(CAST('0000-00-00' AS DATE), CAST('2024-00-00 00:00:00' AS DATETIME))`,
	`JSON_OBJECT('d', DATE'2024-02-29', 't', CAST('2024-02-29 01:02:03' AS DATETIME(3)))`,
	`JSON_ARRAY(x'00ff', b'101', CAST('abc' AS BINARY), CAST('' AS BINARY))`, `JSON_ARRAY(CAST(REPEAT('a', 57) AS BINARY), CAST(REPEAT('a', 58) AS BINARY), CAST(REPEAT('a', 114) AS BINARY), CAST(REPEAT('a', 200) AS BINARY))`, `JSON_ARRAY(CAST(REPEAT(x'00', 100000) AS BINARY))`,
	`JSON_ARRAY(CAST(2024 AS YEAR), true, 1 = 1)`, `CAST(ST_GeomFromText('POINT(1 2)') AS JSON)`, `JSON_ARRAY(CAST(1.1 AS FLOAT), PI(), 1e0, 0e0)`,
	`CONCAT('[', REPEAT('1,', 30000), '1]')`, `CONCAT('["', REPEAT('x', 70000), '", 70000, -70000, 7, true, 4294967295, 4294967296]')`,
	`CONCAT('{"k": "', REPEAT('y', 100000), '", "a": {"b": [1, 100000]}}')`, `CONCAT(REPEAT('[', 100), REPEAT(']', 100))`,
	`CONCAT('"', REPEAT('z', 127), '"')`, `CONCAT('"', REPEAT('z', 128), '"')`, `CONCAT('"', REPEAT('z', 16384), '"')`,
	`'"\\ud83d\\ude00"'`, `'  { "b" : 1 , "a" : [ ] , "b" : 2 } '`,
}

func init() {
	edges = append(edges, edge{only: "mysql", typ: "JSON", values: jsonEdges}, edge{only: "mysql", typ: "JSON", values: jsonDoubles()})
}

// jsonDoubles are doubles of every exponent.
func jsonDoubles() (values []string) {
	for e := -323; e <= 308; e++ {
		values = append(values, fmt.Sprintf("'[1e%d, -1.5e%d, 7.123456789012345e%d]'", e, min(e, 307), min(e, 307)))
	}
	return values
}
