package mysql

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cdc/sources"
)

func TestPartsOfADSN(t *testing.T) {
	type want struct{ network, address, user, password, database string }
	for text, want := range map[string]want{
		"mysql://u:p@db.example.com:3307/shop":      {"tcp", "db.example.com:3307", "u", "p", "shop"},
		"MariaDB://u@127.0.0.1":                     {"tcp", "127.0.0.1:3306", "u", "", ""},
		"mysql://u@[::1]:3307/":                     {"tcp", "[::1]:3307", "u", "", ""},
		"mysql://u@[::1]":                           {"tcp", "[::1]:3306", "u", "", ""},
		"mysql://u@/shop":                           {"tcp", "localhost:3306", "u", "", "shop"},
		"mysql://u@/shop?socket=/run/my%20sql.sock": {"unix", "/run/my sql.sock", "u", "", "shop"},
		"mysql://u@localhost?socket=/s":             {"unix", "/s", "u", "", ""},
		"mysql://a%40b:%2F%3F%25%3A@h/a%2Fb%20c":    {"tcp", "h:3306", "a@b", "/?%:", "a/b c"},
		"mysql://u:a@b:c#d e@h/x":                   {"tcp", "h:3306", "u", "a@b:c#d e", "x"},
		"mysql://u:@h/":                             {"tcp", "h:3306", "u", "", ""},
	} {
		d, err := parseDSN(Options{DSN: text})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := struct{ network, address, user, password, database string }{d.network, d.address, d.user, string(d.password), d.database}
		if got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	d, err := parseDSN(Options{DSN: "mysql://u:p@localhost/?connect-timeout=7", Password: "other"})
	if err != nil || d.password != "other" || d.timeout != 7*time.Second {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestDSNsThatAreRefused(t *testing.T) {
	for text, mention := range map[string]string{
		"":                                   "mysql://user@host",
		"host=localhost":                     "mysql://user@host",
		"postgres://u@h/d":                   "mysql://user@host",
		"mysql://h/d":                        "user",
		"mysql://u@h:0/d":                    "port",
		"mysql://u@h:65536/d":                "port",
		"mysql://u@h:x/d":                    "port",
		"mysql://u@::1/d":                    "brackets",
		"mysql://u@[::1/d":                   "brackets",
		"mysql://u@[x]/d":                    "brackets",
		"mysql://u@[::1]x/d":                 "brackets",
		"mysql://u:%zz@h/d":                  "%25",
		"mysql://u@h/%zz":                    "database",
		"mysql://u@h/a%00b":                  "zero byte",
		"mysql://u@h/d?tls=preferred":        "nearest is require",
		"mysql://u@h/d?tls=true":             "nearest is verify-full",
		"mysql://u@h/d?tls=what":             "verify-ca",
		"mysql://u@h/d?tsl=require":          "is tls meant",
		"mysql://u@h/d?conect_timeout=3":     "is connect_timeout meant",
		"mysql://u@h/d?ssl-mode=REQUIRED":    "is tls meant",
		"mysql://u@h/d?charset=utf8":         "there are connect_timeout, socket",
		"mysql://u@h/d?tls=require&tls=x":    "twice",
		"mysql://u@h/d?tls_ca=a&tls-ca=b":    "twice",
		"mysql://u@h/d?tls=":                 "empty",
		"mysql://u@h/d?connect_timeout=0":    "seconds",
		"mysql://u@h/d?connect_timeout=5s":   "seconds",
		"mysql://u@h/d?x=%zz":                "cannot be read",
		"mysql://u@db.example.com?socket=/s": "leave out",
		"mysql://u@h/d?tls_cert=a":           "belong together",
		"mysql://u@h/d?tls=require&tls_ca=a": "verify-ca",
		"mysql://u@h/d?tls=disable&tls_ca=a": "no use",
		"mysql://u@h/d?tls_ca=/nowhere":      "read tls_ca",
	} {
		if _, err := parseDSN(Options{DSN: text}); err == nil || !strings.Contains(err.Error(), mention) {
			t.Errorf("%s: %v, want it to mention %q", text, err, mention)
		}
	}
}

func TestTLSIsVerifiedUnlessTheServerIsLocalOrTheUserSaysOtherwise(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.crt")
	writeCA(t, ca)
	for _, test := range []struct {
		dsn           string
		tls, verified bool
		warning       string
	}{
		{"mysql://u@localhost/db", false, false, ""},
		{"mysql://u@127.8.0.1/db", false, false, ""},
		{"mysql://u@[::1]/db", false, false, ""},
		{"mysql://u@[::ffff:127.0.0.1]/db", false, false, ""},
		{"mysql://u@/db?socket=/s", false, false, ""},
		{"mysql://u@/db?socket=/s&tls=verify-full", true, true, ""},
		{"mysql://u@localhost/db?tls_ca=" + ca, true, true, ""},
		{"mysql://u@db.example.com/db", true, true, ""},
		{"mysql://u@10.0.0.1/db", true, true, ""},
		{"mysql://u@localhost.example.com/db", true, true, ""},
		{"mysql://u@db.example.com/db?tls=require", true, false, "without checking"},
		{"mysql://u@db.example.com/db?tls=disable", false, false, "unencrypted"},
		{"mysql://u@127.0.0.1/db?tls=disable", false, false, ""},
		{"mysql://u@db.example.com/db?tls=verify-ca", true, false, "any server"},
		{"mysql://u@db.example.com/db?tls=verify-ca&tls_ca=" + ca, true, false, ""},
		{"mysql://u@db.example.com/db?tls=verify-full&tls_ca=" + ca, true, true, ""},
	} {
		d, err := parseDSN(Options{DSN: test.dsn})
		if err != nil {
			t.Errorf("%s: %v", test.dsn, err)
			continue
		}
		if (d.tls != nil) != test.tls || d.tls != nil && d.tls.InsecureSkipVerify == test.verified {
			t.Errorf("%s: %+v", test.dsn, d.tls)
		}
		if got := strings.Join(d.warnings, "; "); test.warning == "" && got != "" || !strings.Contains(got, test.warning) {
			t.Errorf("%s: warnings %q", test.dsn, got)
		}
	}
	if err := os.WriteFile(ca, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := parseDSN(Options{DSN: "mysql://u@h/db?tls_ca=" + ca}); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("a file without a certificate: %v", err)
	}
}

// secretWord is a password, or the part of one that an error could quote.
const secretWord = "hunter2"

func TestSecretsAreNeverPrinted(t *testing.T) {
	s := sources.Secret(secretWord)
	encoded, err := json.Marshal(struct{ P sources.Secret }{s})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "password", s)
	printed := []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %q", s, s, s, s), string(encoded), log.String()}
	d, err := parseDSN(Options{DSN: "mysql://u:" + secretWord + "@localhost/db"})
	if err != nil {
		t.Fatal(err)
	}
	printed = append(printed, fmt.Sprintf("%v %+v %#v %s", d, d, d, d.String()), fmt.Sprintf("%+v", *d))
	for _, text := range printed {
		if strings.Contains(text, secretWord) {
			t.Errorf("printed: %s", text)
		}
	}
	for _, text := range []string{
		"mysql://u:hunter2@localhost:bad/db", "mysql://u:hunter2%@localhost/db", "mysql://u:hunter2/x@localhost/db", "mysql://u:hunter2?x@localhost/db",
		"mysql://u:x?hunter2=1@localhost/db", "mysql://u:x/hunter2@localhost/db", "mysql://u:hunter2@localhost/db?hunter2=1", "hunter2", "mysql:u:hunter2@localhost",
		"mysql://:hunter2@localhost", "mysql://u:hunter2@localhost/?tls=hunter2", "mysql://u:hunter2@localhost/?connect_timeout=hunter2",
		"mysql://u:hunter2@[localhost/", "mysql://u:hunter2@h/%zz", "mysql://u:hunter2\x00%00@h/", "mysql://u:hunter2@h/?x=%zz",
	} {
		err := Options{DSN: text, Name: "x", Password: secretWord}.Validate()
		if err == nil || strings.Contains(err.Error(), secretWord) {
			t.Errorf("error of a bad DSN: %v", err)
		}
	}
}

// Whatever a DSN is, it is read without a panic, its error shows no password, and what is read of it is whole.
func FuzzParseDSN(f *testing.F) {
	for _, text := range []string{
		"mysql://u:p@h:3306/db?tls=verify-full&connect_timeout=3", "mariadb://u@[::1]:1/?socket=/s", "mysql://u:a%40b@h", "mysql://@", "mysql://u:p?x@h/d",
		"mysql://u@/a%2Fb?tls=disable", "mysql://u:p/x@h", "mysql://u@[fe80::1%25eth0]/x",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const secret = "Zq9hunter2Zq9"
		text = strings.NewReplacer("tls_", "", "tls-", "").Replace(text) // so that no files are read
		d, err := parseDSN(Options{DSN: text})
		switch {
		case err == nil && (d.user == "" || d.address == "" || d.timeout <= 0 || d.network != "tcp" && d.network != "unix"):
			t.Fatalf("%q is read as %v", text, d)
		case err == nil && d.tls == nil && !d.local() && len(d.warnings) == 0:
			t.Fatalf("%q is plaintext without a warning", text)
		}
		// The same with a password in it.
		scheme, rest, ok := strings.Cut(text, "://")
		if !ok {
			return
		}
		if _, err := parseDSN(Options{DSN: scheme + "://u:" + secret + rest}); err != nil && strings.Contains(err.Error(), secret) {
			t.Fatalf("the error shows the password: %v", err)
		}
		d, err = parseDSN(Options{DSN: scheme + "://u:" + secret + "@" + rest})
		if err != nil && strings.Contains(err.Error(), secret) || err == nil && strings.Contains(d.String(), secret) && !strings.Contains(rest, "@") {
			t.Fatalf("the password is shown: %v %v", d, err)
		}
	})
}
