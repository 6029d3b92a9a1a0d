package postgres

import (
	"fmt"
	"strings"
	"testing"

	"cdc/changelog"
)

// edgeTypes are made before the edge tables.
const edgeTypes = `CREATE EXTENSION citext; CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy, "q"');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN price AS numeric(10,2) CHECK (VALUE > 0);
CREATE DOMAIN cheap AS price CHECK (VALUE < 100);
CREATE DOMAIN feeling AS mood`

// edgeColumns have binary decoders: name, type, and values at the edges of the type as SQL expressions.
var edgeColumns = [][]string{
	{"b", "bool", "true", "false"},
	{"i2", "int2", "-32768", "32767"},
	{"i4", "int4", "-2147483648", "2147483647"},
	{"i8", "int8", "-9223372036854775808", "9223372036854775807"},
	{"f4", "float4", "'NaN'", "'-0'", "'Infinity'", "1.17549435e-38", "3.4028235e38", "0.1"},
	{"f8", "float8", "'NaN'", "'-0'", "'-Infinity'", "5e-324", "1.7976931348623157e308", "0.1"},
	{"n", "numeric", "'NaN'", "'Infinity'", "'-Infinity'", "0", "1.10", "-0.000000000000000000000000000001", "repeat('9', 1000)::numeric", "1e300"},
	{"n2", "numeric(12,4)", "-12345678.9012", "0"},
	{"n3", "numeric(5,-2)", "12345", "-99900"},
	{"t", "text", "''", "E'tab\\tnew\\nback\\\\slash'", "'é 😀 \\N'"},
	{"vc", "varchar(20)", "'  x '"},
	{"ch", "char(5)", "'ab'", "''"},
	{"nm", "name", "'a name'"},
	{"c1", `"char"`, "'x'", "''", `'\'`},
	{"ct", "citext", "'MiXed'"},
	{"by", "bytea", `'\x00ff41'`, `'\x'`},
	{"d", "date", "'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'", "'2024-02-29'", "'0001-01-01'"},
	{"ti", "time", "'24:00:00'", "'00:00:00'", "'23:59:59.999999'", "'04:05:06.7'"},
	{"tz", "timetz", "'24:00:00-15:59'", "'00:00:00+15:59'", "'23:59:59.999999+05:30'", "'04:05:06-08'"},
	{"ts", "timestamp", "'infinity'", "'-infinity'", "'4713-01-01 00:00:00 BC'", "'294276-12-31 23:59:59.999999'", "'0001-01-01'"},
	{"tt", "timestamptz", "'infinity'", "'-infinity'", "'4713-01-01 00:00:00+00 BC'", "'294276-12-31 23:59:59.999999+00'", "'2024-03-31 02:30:00.5+02'"},
	{"iv", "interval", "'178000000 years'", "'-1 year -2 mons +3 days -04:05:06.789'", "'0'", "'1 mon -1 day'"},
	{"u", "uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"},
	{"j", "json", `'{"a": 1.0, "a": 2, "b":1e400}'`, "'null'"},
	{"jb", "jsonb", `'{"a": 12345678901234567890.12345678901234567890, "b":1e2}'`, "'null'"},
	{"x", "xml", "'<a>b</a>'"},
	{"o", "oid", "4294967295", "0"},
	{"xi", "xid", "'4294967295'"},
	{"x8", "xid8", "'18446744073709551615'"},
	{"mo", "money", "'-$1,234.56'", "'-92233720368547758.08'", "'92233720368547758.07'", "'0'"},
	{"bi", "bit(3)", "B'101'"},
	{"vb", "varbit", "B''", "B'1011'", "B'111111111'"},
	{"ine", "inet", "'10.0.0.1/8'", "'10.0.0.1'", "'::1'", "'::ffff:1.2.3.4'", "'::1.2.3.4'", "'2001:db8::/32'", "'::'", "'1:0:0:2:0:0:0:3'", "'1:0:2:3:4:5:6:7'"},
	{"ci", "cidr", "'10.0.0.0/8'", "'10.0.0.1/32'", "'::/0'"},
	{"ma", "macaddr", "'08:00:2b:01:02:03'"},
	{"m8", "macaddr8", "'08:00:2b:01:02:03:04:05'"},
	{"l", "pg_lsn", "'16/B374D848'", "'0/0'"},
	{"e", "mood", `'happy, "q"'`},
	{"fe", "feeling", "'sad'"},
	{"p", "cheap", "9.90"},
	{"ia", "int4[]", "'{1,NULL,3}'", "'{}'", "'{{1,2},{3,4}}'", "'[0:1]={1,2}'", "'{{{1},{2}},{{3},{4}}}'", "'[-1:0][2:3]={{1,2},{3,4}}'"},
	{"ta", "text[]", `'{"a,b","NULL",NULL,"","q\"x","back\\s"," sp ",null}'`, `ARRAY[E'\v', '{', 'é']`},
	{"ba", "bool[]", "'{t,f}'"},
	{"fa", "float8[]", "'{NaN,-0,1e-5,1e20}'"},
	{"na", "numeric[]", "'{1.50,NaN,-Infinity}'"},
	{"da", "timestamptz[]", "'{infinity,2024-01-01 00:00:00+00}'"},
	{"bya", "bytea[]", `ARRAY['\x00'::bytea, '\x']`},
	{"ea", "mood[]", `ARRAY['sad', 'happy, "q"']::mood[]`},
	{"pa", "cheap[]", "'{1.00}'"},
	{"ja", "jsonb[]", `ARRAY['{"a": "b"}'::jsonb, 'null']`},
	{"iva", "interval[]", "ARRAY['1 day 02:00:00'::interval]"},
	{"ina", "inet[]", "'{::1,10.0.0.0/8}'"},
}

// textColumns travel as text only.
var textColumns = [][]string{
	{"r4", "int4range", "'[1,10)'", "'empty'", "'(,)'"},
	{"mr", "int4multirange", "'{[1,3),[5,8)}'"},
	{"pr", "pair", `ROW(1, 'x,y "z"')`, "ROW(null, null)"},
	{"pt", "point", "'(NaN,Infinity)'"},
	{"bx", "box[]", "ARRAY['((1,2),(3,4))'::box, '((0,0),(1,1))']"},
	{"hs", "hstore", `'"k 1"=>"v\"1", n=>NULL'`},
	{"tv", "tsvector", "'fat:1A cat:3'"},
	{"jp", "jsonpath", "'$.a[*] ? (@ > 1)'"},
	{"iv2", "int2vector", "'1 2 3'"},
	{"rc", "regclass", "'pg_class'"},
	{"moa", "money[]", "ARRAY['1.5'::money]"},
}

// edgeTable makes a table with the columns, one row for each value, all other columns null.
func edgeTable(name string, columns [][]string) []string {
	var defs []string
	for _, c := range columns {
		defs = append(defs, c[0]+" "+c[1])
	}
	statements := []string{
		"CREATE TABLE " + name + " (id int PRIMARY KEY, " + strings.Join(defs, ", ") + ")",
		"INSERT INTO " + name + " VALUES (0)",
	}
	id := 0
	for _, c := range columns {
		for _, v := range c[2:] {
			id++
			statements = append(statements, fmt.Sprintf("INSERT INTO %s (id, %s) VALUES (%d, %s)", name, c[0], id, v))
		}
	}
	return statements
}

// Every value is the same whether it was copied or streamed, in binary or as text, and is what the server prints.
func TestEveryTypeIsTheSameCopiedAndStreamedInBinaryAndText(t *testing.T) {
	all := append(append([][]string{}, edgeColumns...), textColumns...)
	packed := map[string]map[string][]byte{} // mode and way → row → bytes
	for mode, columns := range map[string][][]string{"binary": edgeColumns, "text": all} {
		t.Run(mode, func(t *testing.T) {
			r := newRig(t, append([]string{edgeTypes}, edgeTable("edge", columns)...)...)
			r.run()
			r.same("edge")
			var names []string
			for _, c := range columns {
				names = append(names, c[0])
			}
			list := strings.Join(names, ", ")
			r.sql("INSERT INTO edge (id, " + list + ") SELECT id + 1000, " + list + " FROM edge")
			r.sync()
			r.same("edge")
			for way, rows := range r.edgeValues() {
				packed[mode+" "+way] = rows
			}
		})
	}
	want := packed["binary copied"]
	if len(want) < 100 {
		t.Fatalf("%d values, want at least 100", len(want))
	}
	for way, rows := range packed {
		for value, bytes := range want {
			if string(rows[value]) != string(bytes) {
				t.Errorf("%s: value %s is %q, copied in binary it is %q", way, value, rows[value], bytes)
			}
		}
	}
}

// edgeValues are the packed values of the table edge by column and row, copied and streamed.
func (r *rig) edgeValues() map[string]map[string][]byte {
	all := map[string]map[string][]byte{"copied": {}, "streamed": {}}
	r.units(func(u *changelog.Unit) {
		way := "streamed"
		if u.Meta.Kind == changelog.UnitCopy {
			way = "copied"
		}
		var c changelog.Change
		for {
			ok, err := u.Next(&c)
			if err != nil {
				r.Fatal(err)
			}
			if !ok {
				return
			}
			for i := 1; i < len(c.Table.Columns); i++ {
				key := fmt.Sprintf("%s of row %d", c.Table.Columns[i].Name, c.After.Int(0)%1000)
				all[way][key] = append([]byte{byte(c.After.State(i))}, c.After.Value(i)...)
			}
		}
	})
	return all
}
