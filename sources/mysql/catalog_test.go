package mysql

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cdc/schema"
)

// wide has a column of every kind that both servers have.
var wide = []string{
	`t1 TINYINT NOT NULL DEFAULT -1`, `t2 TINYINT UNSIGNED`, `s1 SMALLINT`, `m1 MEDIUMINT UNSIGNED`, `i1 INT`, `i2 INT UNSIGNED ZEROFILL`,
	`b1 BIGINT`, `b2 BIGINT UNSIGNED`, `bo BOOLEAN`, `f1 FLOAT`, `f2 FLOAT(7,3)`, `d1 DOUBLE UNSIGNED`, `n1 DECIMAL(65,30)`, `n2 DECIMAL(5)`, `bi BIT(13)`, `y YEAR`,
	`da DATE`, `ti TIME`, `ti6 TIME(6)`, `dt DATETIME`, `dt3 DATETIME(3)`, `ts TIMESTAMP NULL`, `ts6 TIMESTAMP(6) NULL`,
	`c1 CHAR(10)`, `c2 CHAR(255) CHARACTER SET latin1`, `v1 VARCHAR(20) COLLATE utf8mb4_bin`, `v2 VARCHAR(300) CHARACTER SET ucs2`,
	`bn BINARY(16)`, `vb VARBINARY(300)`, `te1 TINYTEXT`, `te2 TEXT CHARACTER SET gbk`, `te3 MEDIUMTEXT`, `te4 LONGTEXT`,
	`bl1 TINYBLOB`, `bl2 BLOB`, `bl3 MEDIUMBLOB`, `bl4 LONGBLOB`, `e1 ENUM('x','it''s','a,b','back\\slash','ÿ')`, `e2 ENUM('p') CHARACTER SET latin1`,
	`st SET('r','g','b') NOT NULL DEFAULT 'r'`, `js JSON`, `ge GEOMETRY`, `po POINT`, `ve INT AS (i1 + 1) VIRTUAL`, `so INT AS (i1 + 2) STORED`, "`o``d \"d\" 'n' ä 漢` INT",
	`inv INT INVISIBLE`,
}

var wideMySQL = []string{`vec VECTOR(3)`}

var wideMaria = []string{`u UUID`, `i4 INET4`, `i6 INET6`, `z1 VARCHAR(100) COMPRESSED`, `z2 TEXT COMPRESSED CHARACTER SET latin1`, `z3 BLOB COMPRESSED`, `uc VARCHAR(10) COLLATE uca1400_ai_ci`}

// TestCatalogueDescribesWhatTheBinlogSends compares the columns of information_schema with those of TABLE_MAP, as a whole.
func TestCatalogueDescribesWhatTheBinlogSends(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		columns := append(slices.Clone(wide), wideMySQL...)
		if r.maria() {
			columns = append(slices.Clone(wide), wideMaria...)
		}
		tables := map[string]string{
			"wide":        strings.Join(columns, ", ") + ", PRIMARY KEY (t1, st)",
			"o``dd 'n'ä":  "id INT PRIMARY KEY",
			"Unique":      "a INT, b INT NOT NULL, c INT NOT NULL, UNIQUE zz (c), UNIQUE aa (b), UNIQUE n (a)",
			"prefixed":    "a VARCHAR(50) NOT NULL, b INT NOT NULL, PRIMARY KEY (a(10)), UNIQUE (b)",
			"onlyprefix":  "a VARCHAR(50) NOT NULL, PRIMARY KEY (a(10))",
			"keyless":     "a INT, b INT",
			"down":        "a INT, b INT, PRIMARY KEY (a DESC, b)",
			"partitioned": "id INT PRIMARY KEY, v INT",
		}
		special := []string{"CREATE TABLE functional (id INT PRIMARY KEY, c VARCHAR(9), KEY ((CAST(c AS CHAR(3)))))", "SET sql_generate_invisible_primary_key = ON", "CREATE TABLE gipk (v INT)", "SET sql_generate_invisible_primary_key = OFF"}
		if r.maria() {
			special = []string{
				"CREATE TABLE versioned (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING",
				"CREATE TABLE versioned2 (id INT PRIMARY KEY, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START, e TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME(s, e)) WITH SYSTEM VERSIONING",
			}
		}
		from := r.end()
		r.sql("ALTER DATABASE CHARACTER SET utf8mb4")
		for name, body := range tables {
			suffix := ""
			if name == "partitioned" {
				suffix = " PARTITION BY HASH (id) PARTITIONS 3"
			}
			r.sql("CREATE TABLE `" + name + "` (" + body + ")" + suffix)
		}
		r.sql(special...)
		all, err := r.session().tables(func(n tableName) bool { return n.schema == r.db })
		if err != nil {
			t.Fatal(err)
		}
		if want := len(tables) + len(special)/2; len(all) < want {
			t.Errorf("%d tables, want %d at least", len(all), want)
		}
		for i := range all {
			r.sql("SET sql_mode = ''", "INSERT INTO "+all[i].quoted()+" () VALUES ()")
		}
		maps := r.tableMaps(from)
		for i := range all {
			got := slices.Clone(all[i].columns)
			for j := range got {
				got[j].Native = ""
			}
			want := maps[all[i].name]
			if len(want) != len(got) {
				t.Errorf("table %s: %d columns, want %d", all[i].name, len(got), len(want))
				continue
			}
			for j := range got {
				if !reflect.DeepEqual(got[j], want[j]) {
					t.Errorf("table %s:\ninformation_schema says %+v\nTABLE_MAP says          %+v", all[i].name, got[j], want[j])
				}
			}
		}
	})
}

// TestOnlyBaseTablesAreListed has everything that is no table in the database.
func TestOnlyBaseTablesAreListed(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		r.sql("CREATE TABLE a (id INT PRIMARY KEY)", "CREATE VIEW v AS SELECT * FROM a", "CREATE TABLE `p` (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 4")
		if r.maria() {
			r.sql("CREATE SEQUENCE sq")
		}
		c := r.session()
		for _, few := range []bool{true, false} {
			if !few {
				for i := range 2 * singly {
					r.sql(fmt.Sprintf("CREATE TABLE t%02d (id INT PRIMARY KEY)", i))
				}
			}
			all, err := c.tables(func(n tableName) bool { return n.schema == r.db })
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for i := range all {
				names = append(names, all[i].name)
				if all[i].obstacle() != "" {
					t.Errorf("table %s: %s", all[i].name, all[i].obstacle())
				}
			}
			if want := map[bool]int{true: 2, false: 2 + 2*singly}[few]; len(names) != want || names[0] != "a" || names[1] != "p" {
				t.Errorf("tables %q, want %d of them", names, want)
			}
		}
		all, err := c.tables(func(n tableName) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if all[i].schema != r.db {
				t.Errorf("table %s is none that the account was granted", all[i].quoted())
			}
		}
		if _, ok, err := c.table(r.db, "none"); ok || err != nil {
			t.Errorf("a table that is none: %v, %v", ok, err)
		}
		if _, ok, err := c.table(r.db, "v"); ok || err != nil {
			t.Errorf("a view: %v, %v", ok, err)
		}
	})
}

// TestKeysOfTables says which columns name a row.
func TestKeysOfTables(t *testing.T) {
	both, mysql, maria := 0, 1, 2
	for _, test := range []struct {
		where     int
		body, key string
		identity  schema.Identity
		obstacle  string
	}{
		{both, "b INT, a INT, PRIMARY KEY (a, b)", "a,b", schema.IdentityKey, ""},
		{both, "a INT NOT NULL, b INT NOT NULL, UNIQUE zz (b), UNIQUE aa (a)", "b", schema.IdentityKey, ""},
		{both, "a INT, b INT NOT NULL, UNIQUE zz (b, a)", "", schema.IdentityFull, ""},
		{both, "a VARCHAR(99) NOT NULL, b INT NOT NULL, PRIMARY KEY (a(9)), UNIQUE zz (b)", "b", schema.IdentityUniq, ""},
		{both, "a VARCHAR(99) NOT NULL, PRIMARY KEY (a(9))", "", schema.IdentityFull, ""},
		{both, "a INT, KEY (a)", "", schema.IdentityFull, ""},
		{mysql, "a INT NOT NULL, b INT NOT NULL, c INT, UNIQUE ((a + b)), UNIQUE (c, b)", "", schema.IdentityFull, ""},
		{maria, "a TEXT NOT NULL UNIQUE, b INT PRIMARY KEY", "b", schema.IdentityKey, "hidden column"},
	} {
		t.Run(test.body, func(t *testing.T) {
			eachReadRig(t, func(t *testing.T, r *readRig) {
				if test.where == maria && !r.maria() || test.where == mysql && r.maria() {
					return
				}
				r.sql("CREATE TABLE t (" + test.body + ")")
				info := r.info("t")
				v := r.version("t")
				var names []string
				for _, k := range v.KeyColumns() {
					names = append(names, v.Columns[k].Name)
				}
				if got := strings.Join(names, ","); got != test.key || v.Identity != test.identity {
					t.Errorf("key %q, identity %s; want %q, %s", got, v.Identity, test.key, test.identity)
				}
				if got := info.obstacle(); (got == "") != (test.obstacle == "") || !strings.Contains(got, test.obstacle) {
					t.Errorf("obstacle %q, want %q", got, test.obstacle)
				}
			})
		})
	}
}

// TestVersionsKeepTheNumbersOfColumns follows columns by their names.
func TestVersionsKeepTheNumbersOfColumns(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		r.sql("CREATE TABLE t (a INT PRIMARY KEY, b INT, c INT)")
		first := r.version("t")
		r.sql("ALTER TABLE t ADD COLUMN z INT FIRST, DROP COLUMN b, ADD COLUMN y TEXT")
		info := r.info("t")
		second, err := info.version("shop", 1, first, 0)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range second.Columns {
			got = append(got, fmt.Sprintf("%s=%d", second.Columns[i].Name, second.Columns[i].ID))
		}
		if s := strings.Join(got, " "); s != "z=4 a=1 c=3 y=5" {
			t.Errorf("columns %s", s)
		}
	})
}

// TestDefaultsOfColumns tells literals from what is computed.
func TestDefaultsOfColumns(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		r.sql(`CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT DEFAULT 7, b VARCHAR(20) DEFAULT 'it''s', c INT, d VARCHAR(9) NOT NULL DEFAULT '',
 e DATETIME DEFAULT CURRENT_TIMESTAMP, f INT AS (a + 1), g VARCHAR(36) DEFAULT (UUID()), h DECIMAL(5,2) DEFAULT -1.5, i INT NOT NULL, j VARCHAR(9) DEFAULT 'NULL', k DATE DEFAULT '2024-02-29')`)
		want := map[string]columnDefault{
			"id": {generated: true}, "a": {text: "7"}, "b": {text: "it's"}, "c": {null: true}, "d": {}, "e": {expression: true}, "f": {generated: true},
			"g": {expression: true}, "h": {text: "-1.50"}, "i": {null: true}, "j": {text: "NULL"}, "k": {text: "2024-02-29"},
		}
		info := r.info("t")
		for i, c := range info.columns {
			if info.defaults[i] != want[c.Name] {
				t.Errorf("column %s: %+v, want %+v", c.Name, info.defaults[i], want[c.Name])
			}
		}
	})
}

// TestColumnsThatTheAccountMayNotReadAreSeen grants some columns of a table only.
func TestColumnsThatTheAccountMayNotReadAreSeen(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		r.sql("CREATE TABLE t (a INT PRIMARY KEY, b INT, c INT)")
		name := r.db + "_some"
		if err := r.m.CreateUser(t.Context(), name, "Secret-1", "GRANT SELECT (a, c) ON "+r.db+".t TO '"+name+"'@'%'"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.sql("DROP USER '" + name + "'@'%'") })
		info, ok, err := sessionAt(t, r.m.DSN(name, r.db)).table(r.db, "t")
		if err != nil || !ok {
			t.Fatalf("%v, %v", ok, err)
		}
		if !strings.Contains(info.obstacle(), "may not read") {
			t.Errorf("obstacle %q", info.obstacle())
		}
	})
}
