package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"cdc/cmd/cdc/internal/exit"
	"cdc/sources"
)

// request is a request with an environment and, when text is not empty, a file.
func request(t *testing.T, text string, env map[string]string) Request {
	t.Helper()
	r := Request{LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
	for name, v := range env {
		r.Environ = append(r.Environ, name+"="+v)
	}
	if text != "" {
		r.File = filepath.Join(t.TempDir(), "cdc.yaml")
		if err := os.WriteFile(r.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func origins(c *Config) map[string]string {
	all := map[string]string{}
	for _, e := range c.Entries {
		all[e.Key] = e.Value + " from " + e.Origin
	}
	return all
}

func TestFlagsBeatVariablesBeatFileBeatsDefault(t *testing.T) {
	r := request(t, "log_level: error\nready_lag: 5s\nsources:\n  shop:\n    dsn: postgres://h/shop\n    slot: filed\n    copy_readers: 4\n    publication: filed\n",
		map[string]string{"CDC_LOG_LEVEL": "warn", "CDC_SHOP_SLOT": "named", "CDC_SLOT": "any", "CDC_COPY_READERS": "7"})
	r.Flags = map[string][]string{"log-level": {"debug"}, "slot": {"flagged"}}
	c, err := Load(r)
	if err != nil {
		t.Fatal(err)
	}
	got := origins(c)
	for key, want := range map[string]string{
		"log_level":                 "debug from --log-level",
		"ready_lag":                 "5s from " + r.File + ":2",
		"http":                      "127.0.0.1:7070 from default",
		"sources.shop.slot":         "flagged from --slot",
		"sources.shop.copy_readers": "7 from CDC_COPY_READERS",
		"sources.shop.publication":  "filed from " + r.File + ":8",
	} {
		if got[key] != want {
			t.Errorf("%s = %q, want %q", key, got[key], want)
		}
	}
	if c.LogLevel != "debug" || c.ReadyLag != 5*time.Second || c.Sources[0].CopyReaders != 7 || c.HTTPGiven {
		t.Errorf("config = %+v", c)
	}
	delete(r.Flags, "slot")
	if c, err = Load(r); err != nil || c.Sources[0].Slot != "named" {
		t.Errorf("slot = %q, %v: the source's own variable goes before that of all", c.Sources[0].Slot, err)
	}
}

func TestEveryProblemIsNamedWithItsLine(t *testing.T) {
	r := request(t, `http: nowhere
log_levle: info
log_level: loud
log_level: info
ready_lag: soon
segment_size: many
sources:
  shop:
    dns: postgres://h/shop
  bills:
    dsn: postgres://u:secret@h/bills
    password: secret
    copy_readers: 99
    max_held_wal: [1, 2]
  odd.name:
    dsn: postgres://h/x
  what:
    dsn: http://h/x
    slot: {a: b}
    publication: ${PUB}
    password: ${env:UNSET}
`, nil)
	_, err := Load(r)
	var e *exit.Error
	if !errors.As(err, &e) || e.Code != exit.Usage {
		t.Fatalf("error = %v", err)
	}
	text := strings.ReplaceAll(e.Error(), r.File, "F")
	for _, want := range []string{
		`F:1: http: "nowhere" is no address`,
		`F:2: unknown key "log_levle"; did you mean "log_level"?`,
		`F:3: log_level: "loud" is none of debug, info, warn, error`,
		`F:4: key "log_level" stands a second time; the first is on line 3`,
		`F:5: ready_lag: "soon" is no duration`,
		`F:6: segment_size: "many" is no size`,
		`F:9: unknown key "dns"; did you mean "dsn"?`,
		`F:8: source shop has no dsn`,
		`F:11: dsn: a secret stands in the file`,
		`F:12: password: a secret stands in the file`,
		`F:13: copy_readers of source bills: "99" is no number from 1 to 32`,
		`F:14: max_held_wal of source bills: want one value, not 2`,
		`F:15: "odd.name" is no name for a source`,
		`F:18: "http://h/x" is no DSN`,
		`F:19: slot: want a text`,
		`F:20: publication: ${PUB} is no reference`,
		`F:21: password: the variable UNSET is not set`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "u:secret") || strings.Count(text, "\n") != 17 {
		t.Errorf("%d lines:\n%s", strings.Count(text, "\n"), text)
	}
}

func TestFileThatIsNoYAMLIsNamed(t *testing.T) {
	for _, text := range []string{"a: [", "- x\n", "\tx: 1"} {
		r := request(t, text, nil)
		if _, err := Load(r); err == nil || !strings.Contains(err.Error(), r.File) {
			t.Errorf("%q: error = %v", text, err)
		}
	}
	if _, err := Load(Request{File: filepath.Join(t.TempDir(), "gone.yaml"), LookupEnv: os.LookupEnv}); err == nil {
		t.Error("a missing file was accepted")
	}
}

func TestSecretsComeFromVariablesAndFilesOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("from file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := request(t, "sources:\n  a:\n    dsn: postgres://u:${env:PW}@h/a\n    password: ${env:PW}\n  b:\n    dsn: postgres://h/b\n    password: file:"+path+"\n  c:\n    dsn: postgres://h/c\n",
		map[string]string{"PW": "from variable", "CDC_C_PASSWORD": "own variable"})
	c, err := Load(r)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []sources.Secret{"from variable", "from file", "own variable"} {
		if c.Sources[i].Password != want {
			t.Errorf("source %d has the wrong password", i)
		}
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "others may read") {
		t.Errorf("warnings = %q", c.Warnings)
	}
	if printed := fmt.Sprintf("%v %+v %#v", c, c.Sources, c.Sources); strings.Contains(printed, "from variable") || strings.Contains(printed, "from file") {
		t.Errorf("a secret is printed: %s", printed)
	}
}

func TestSourcesAreNamedAfterTheirDatabases(t *testing.T) {
	env := map[string]string{}
	r := request(t, "", env)
	r.DSNs = []string{"postgres://h/shop", "postgres://h2/shop", "host=h dbname='my bills'"}
	_, err := Load(r)
	if err == nil || !strings.Contains(err.Error(), "a second source is named shop") || !strings.Contains(err.Error(), "--name") {
		t.Fatalf("error = %v", err)
	}
	r.Names = []string{"a", "b", "bills"}
	c, err := Load(r)
	if err != nil || c.Sources[0].Name != "a" || c.Sources[2].Name != "bills" {
		t.Fatalf("%+v, %v", c, err)
	}
	for dsn, want := range map[string]string{
		"postgres://u:p@h1:1,h2:2/shop%20a?sslmode=disable": "shop a", "postgres://u@h": "u", "postgresql:///x?dbname=y": "y",
		"postgres://h/?password=x": "db of variable", "user=me password='a b'": "db of variable", "dbname=z": "z", "mysql://u@h/m?tls=true": "m",
	} {
		got := DSN(dsn).Database(func(name string) (string, bool) { return "db of variable", name == "PGDATABASE" })
		if got != want && (want != "u" || got != "db of variable") {
			t.Errorf("%s is database %q, want %q", dsn, got, want)
		}
	}
}

func TestPasswordsLeaveDSNs(t *testing.T) {
	tests := []struct{ dsn, shown, kept string }{
		{"mysql://u:p%40x@h:3306/db?tls=true", "mysql://u:***@h:3306/db?tls=true", "mysql://u@h:3306/db?tls=true"},
		{"mysql://u:p@x@h/db", "mysql://u:***@h/db", "mysql://u@h/db"},
		{"mariadb://u:p@[::1]:3306", "mariadb://u:***@[::1]:3306", "mariadb://u@[::1]:3306"},
		{"mysql://u@h/db?Password=p&tls=true", "mysql://u@h/db?Password=***&tls=true", "mysql://u@h/db?tls=true"},
		{"postgres://u:p%40x@h1:1,h2/db?sslmode=require", "postgres://u:***@h1:1,h2/db?sslmode=require", "postgres://u@h1:1,h2/db?sslmode=require"},
		{"postgres://u@h/db?password=p&a=b&sslpassword=q", "postgres://u@h/db?password=***&a=b&sslpassword=***", "postgres://u@h/db?a=b"},
		{"postgres://h/db", "postgres://h/db", "postgres://h/db"},
		{"host=h password='a \\' b' dbname=x", "host=h password=*** dbname=x", "host=h dbname=x"},
		{"password = secret user=u", "password=*** user=u", "user=u"},
		{"host=h dbname=x", "host=h dbname=x", "host=h dbname=x"},
	}
	for _, test := range tests {
		if got := DSN(test.dsn).String(); got != test.shown {
			t.Errorf("%s is shown as %s, want %s", test.dsn, got, test.shown)
		}
		if got := DSN(test.dsn).WithoutPassword(); got != test.kept {
			t.Errorf("%s is kept as %s, want %s", test.dsn, got, test.kept)
		}
	}
}

// What is no DSN, or is cut in the wrong place for what stands in its password, is not printed either.
func TestPasswordsOfWhatIsNoDSNAreNotPrinted(t *testing.T) {
	for _, dsn := range []string{"postgres:/u:hunter2@h/db", "u:hunter2@h", "postgres://u:x/hunter2@h/db", "mysql:/u:hunter2@h/db", "u:hunter2@tcp(h:3306)/db", "mysql://u:x/hunter2@h/db", "mysql://u:x?hunter2@h/db"} {
		r := request(t, "", nil)
		r.DSNs = []string{dsn}
		if _, err := Load(r); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

// A / or ? in a password cuts the DSN before its @: all that may be the password is hidden.
func TestPasswordsThatCutDSNsAreHidden(t *testing.T) {
	for dsn, want := range map[string]string{
		"mysql://u:x/hunter2@h/db": "mysql://***@h/db", "mysql://u:x?hunter2@h/db": "mysql://***@h/db", "postgres://u:1/hunter2@h/db": "postgres://***@h/db",
		"postgres://h/db?user=a@b": "postgres://h/db?user=a@b",
	} {
		if got := DSN(dsn).String(); got != want {
			t.Errorf("%s is shown as %s, want %s", dsn, got, want)
		}
	}
}

func TestMySQLSourceWithoutADatabaseNeedsAName(t *testing.T) {
	r := request(t, "", map[string]string{"PGDATABASE": "other", "PGUSER": "me"})
	r.DSNs = []string{"mysql://u:hunter2@h:3306"}
	_, err := Load(r)
	if err == nil || !strings.Contains(err.Error(), "mysql://u:***@h:3306 names no database") || !strings.Contains(err.Error(), "--name") {
		t.Fatalf("error = %v", err)
	}
	r.Names = []string{"all"}
	if c, err := Load(r); err != nil || c.Sources[0].Name != "all" || c.Sources[0].DSN.Kind() != KindMySQL {
		t.Fatalf("%+v, %v", c, err)
	}
}

func TestPasswordOfMySQLClients(t *testing.T) {
	for _, test := range []struct {
		dsn  string
		env  map[string]string
		want sources.Secret
	}{
		{"mysql://u@h/m", map[string]string{"MYSQL_PWD": "client's"}, "client's"},
		{"mysql://u@h/m", map[string]string{"MYSQL_PWD": "client's", "CDC_M_PASSWORD": "own"}, "own"},
		{"mysql://u:dsn@h/m", map[string]string{"MYSQL_PWD": "client's"}, ""}, // the DSN's own goes before it
		{"postgres://u@h/m", map[string]string{"MYSQL_PWD": "client's"}, ""},
	} {
		r := request(t, "", test.env)
		r.DSNs = []string{test.dsn}
		c, err := Load(r)
		if err != nil || c.Sources[0].Password != test.want {
			t.Errorf("%s with %v: wrong password, %v", test.dsn, test.env, err)
			continue
		}
		if got := origins(c)["sources.m.password"]; test.want != "" && !strings.HasPrefix(got, "*** from ") {
			t.Errorf("%s: password is %q", test.dsn, got)
		}
	}
}

func TestSettingsOfAnotherKindAreRefused(t *testing.T) {
	both := []string{"postgres://h/pg", "mysql://h/my"}
	for _, test := range []struct {
		file  string
		dsns  []string
		flags map[string][]string
		env   map[string]string
		want  string // empty: accepted
	}{
		{file: "sources:\n  my:\n    dsn: mysql://h/my\n    slot: x\n", want: "F:4: slot is a setting of PostgreSQL sources, and my is one of MySQL and MariaDB"},
		{file: "sources:\n  pg:\n    dsn: postgres://h/pg\n    server_id: 7\n", want: "F:4: server_id is a setting of MySQL and MariaDB sources, and pg is one of PostgreSQL"},
		{file: "sources:\n  my:\n    dsn: mysql://h/my\n    server_idd: 7\n", want: `unknown key "server_idd"; did you mean "server_id"?`},
		{file: "sources:\n  my:\n    dsn: mysql://h/my\n    server_id: 4294967296\n", want: "no number from 0 to 4294967295"},
		{dsns: both[1:], flags: map[string][]string{"max-held-wal": {"1GiB"}}, want: "--max-held-wal: max_held_wal is a setting of PostgreSQL sources"},
		{dsns: both[1:], env: map[string]string{"CDC_MY_APPEND_ONLY": "log"}, want: "CDC_MY_APPEND_ONLY: append_only is a setting of PostgreSQL"},
		{dsns: both[:1], env: map[string]string{"CDC_SERVER_ID": "9"}, want: "CDC_SERVER_ID: server_id is a setting of MySQL"},
		{dsns: both, flags: map[string][]string{"publication": {"p"}, "server-id": {"9"}, "slot": {"s"}}},
		{dsns: append([]string{"mysql://h/more"}, both...), flags: map[string][]string{"server-id": {"9"}}, want: "--server-id: one server id for 2 sources"},
		{dsns: both, flags: map[string][]string{"append-only": {"my.shop.log"}}, want: `pattern "my.shop.log" is for source my: append_only is a setting of PostgreSQL sources`},
	} {
		r := request(t, test.file, test.env)
		r.DSNs, r.Flags = test.dsns, test.flags
		c, err := Load(r)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%+v: %v", test, err)
		case test.want == "":
			if pg, my := c.Sources[0], c.Sources[1]; pg.Publication != "p" || pg.ServerID != 0 || my.Publication != "" || my.ServerID != 9 || my.Slot != "" {
				t.Errorf("sources = %+v", c.Sources)
			}
		case err == nil || !strings.Contains(err.Error(), strings.Replace(test.want, "F:", r.File+":", 1)):
			t.Errorf("error = %v, want %s", err, test.want)
		}
	}
}

func TestKnownSourcesGoOn(t *testing.T) {
	dir := t.TempDir()
	shop := Source{Name: "shop", DSN: "postgres://u:secret@h/shop", Password: "secret", Tables: []string{"public.*"}, MaxClockSkew: time.Minute, CopyReaders: 3, CopyRowsPerSecond: 9, MaxHeldWAL: 5}
	if err := WriteKnown(dir, Remember(nil, shop.Known())); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, knownName))
	if err != nil || strings.Contains(string(b), "secret") {
		t.Fatalf("kept: %s, %v", b, err)
	}
	known, err := ReadKnown(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := request(t, "", nil)
	r.Known = known
	c, err := Load(r)
	if err != nil {
		t.Fatal(err)
	}
	want := shop
	want.DSN, want.Password = "postgres://u@h/shop", ""
	want.DSNFrom, want.PasswordFrom = "the folder", "a passfile"
	if !reflect.DeepEqual(c.Sources, []Source{want}) {
		t.Errorf("sources = %+v", c.Sources)
	}

	// A DSN describes its source anew and the others go on; a file's sources are all there are.
	r.DSNs = []string{"postgres://other/shop", "postgres://h/bills"}
	if c, err = Load(r); err != nil || len(c.Sources) != 2 || c.Sources[0].Tables != nil || c.Sources[0].DSN != "postgres://other/shop" {
		t.Errorf("%+v, %v", c, err)
	}
	r = request(t, "sources:\n  bills:\n    dsn: postgres://h/bills\n", nil)
	r.Known = known
	if c, err = Load(r); err != nil || len(c.Sources) != 1 || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "source shop of this folder is not in") {
		t.Errorf("%+v, %v", c, err)
	}
	if left := Forget(known, "shop"); len(left) != 0 {
		t.Errorf("left = %v", left)
	}
}

func TestPatternsReachTheirSource(t *testing.T) {
	r := request(t, "", map[string]string{"CDC_B_APPEND_ONLY": "x.log_*\n\nlog"})
	r.DSNs = []string{"postgres://h/a", "postgres://h/b"}
	r.Flags = map[string][]string{"tables": {"a.public.*", "!secret,too", `b."odd.schema".t`, "*.x.y"}}
	c, err := Load(r)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a.public.*", "!secret,too", "*.x.y"}; !reflect.DeepEqual(c.Sources[0].Tables, want) {
		t.Errorf("a has %q, want %q", c.Sources[0].Tables, want)
	}
	if want := []string{"!secret,too", `b."odd.schema".t`, "*.x.y"}; !reflect.DeepEqual(c.Sources[1].Tables, want) {
		t.Errorf("b has %q, want %q", c.Sources[1].Tables, want)
	}
	if want := []string{"x.log_*", "log"}; !reflect.DeepEqual(c.Sources[1].AppendOnly, want) {
		t.Errorf("b's append-only are %q, want %q", c.Sources[1].AppendOnly, want)
	}
}

func TestVariablesThatMeanNothingAreWarnedOf(t *testing.T) {
	r := request(t, "", map[string]string{"CDC_HTPT": "off", "CDC_DATA": "d", "CDC_TEST_POSTGRES": "x", "CDC_SHOP_TABLES": "a", "HOME": "/"})
	r.DSNs = []string{"postgres://h/shop"}
	c, err := Load(r)
	if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], `CDC_HTPT means nothing here; did you mean "CDC_HTTP"?`) {
		t.Errorf("warnings = %q, %v", c.Warnings, err)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "10B": 10, "4KiB": 4096, "1.5 MiB": 3 << 19, "2GB": 2e9, "1TiB": 1 << 40} {
		var got int64
		if err := setBytes(&got, text); err != nil || got != want {
			t.Errorf("%s = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "x", "1ZB", "NaN", "1e30GiB"} {
		var got int64
		if err := setBytes(&got, text); err == nil {
			t.Errorf("%q was taken as %d", text, got)
		}
	}
}

// The variables of one source must not be those of the program or of another setting.
func TestVariablesAreDistinct(t *testing.T) {
	program, source, _ := Docs()
	seen := map[string]bool{}
	for _, d := range append(program, source...) {
		if seen[d.Variable] || d.Help == "" {
			t.Errorf("%s: variable used twice, or no help", d.Key)
		}
		seen[d.Variable] = true
	}
	for _, g := range program {
		for _, s := range source {
			if strings.HasSuffix(g.Variable, "_"+strings.ToUpper(s.Key)) {
				t.Errorf("%s could be %s of a source", g.Variable, s.Key)
			}
		}
	}
}
