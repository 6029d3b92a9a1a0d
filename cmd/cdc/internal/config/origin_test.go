package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSourcesKnowWhereTheirDSNAndPasswordComeFrom(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hush"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		file string
		dsn  string
		env  map[string]string
		want string
	}{
		"variable of the source": {
			dsn: "postgres://u@h/shop", env: map[string]string{"CDC_SHOP_PASSWORD": "hush", "PGPASSWORD": "other"},
			want: "the DSN comes from the command line, the password from the variable CDC_SHOP_PASSWORD",
		},
		"on the command line": {dsn: "mysql://u:hush@h/shop", want: "the DSN and its password come from the command line"},
		"variable of the file": {
			file: "sources:\n  shop:\n    dsn: postgres://u@h/shop\n    password: ${env:DB_PW}\n", env: map[string]string{"DB_PW": "hush"},
			want: "the DSN comes from F:3, the password from the variable DB_PW (F:4)",
		},
		"file of the file": {
			file: "sources:\n  shop:\n    dsn: mysql://u@h/shop\n    password: file:" + secret + "\n",
			want: "the DSN comes from F:3, the password from the file " + secret + " (F:4)",
		},
		"variable in the DSN of the file": {
			file: "sources:\n  shop:\n    dsn: postgres://u:${env:DB_PW}@${env:DB_HOST}/shop\n", env: map[string]string{"DB_PW": "hush", "DB_HOST": "h"},
			want: "the DSN and its password come from the variable DB_PW and the variable DB_HOST (F:3)",
		},
		"a DSN in a variable": {
			env: map[string]string{"CDC_DSN": "postgres://u:hush@h/shop"}, want: "the DSN and its password come from the variable CDC_DSN",
		},
		"of MySQL's clients": {
			dsn: "mysql://u@h/shop", env: map[string]string{"MYSQL_PWD": "hush"},
			want: "the DSN comes from the command line, the password from the variable MYSQL_PWD",
		},
		"of libpq": {
			dsn: "postgres://u@h/shop", env: map[string]string{"PGPASSWORD": "hush"},
			want: "the DSN comes from the command line, the password from the variable PGPASSWORD",
		},
		"a passfile": {
			dsn: "postgres://u@h/shop", env: map[string]string{"PGPASSFILE": "/p"},
			want: "the DSN comes from the command line, the password from the passfile /p",
		},
		"a service": {
			dsn: "postgres://u@h/shop", env: map[string]string{"PGSERVICE": "s"},
			want: "the DSN comes from the command line, the password from the service file or else a passfile",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t, test.file, test.env)
			if test.dsn != "" {
				r.DSNs = []string{test.dsn}
			}
			c, err := Load(r)
			if err != nil {
				t.Fatal(err)
			}
			s := &c.Sources[0]
			if got := strings.ReplaceAll(s.Origin(true), r.File+":", "F:"); got != test.want {
				t.Errorf("origin = %q, want %q", got, test.want)
			}
			if got := s.Origin(true) + s.Origin(false); strings.Contains(got, "hush") || strings.Contains(s.Origin(false), "password") {
				t.Errorf("too much is said: %q", got)
			}
		})
	}
}

func TestSourcesOfTheFolderSaySo(t *testing.T) {
	r := request(t, "", nil)
	r.Known = []Known{{Name: "shop", DSN: "mysql://u@h/shop"}}
	c, err := Load(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Sources[0].Origin(true); got != "the DSN comes from the folder" {
		t.Errorf("origin = %q", got)
	}
}
