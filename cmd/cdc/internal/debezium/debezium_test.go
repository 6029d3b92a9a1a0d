package debezium

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"cdc/cmd/cdc/internal/config"
)

// Each connector is shown as the file that it becomes, and what became of every property.
func TestTranslations(t *testing.T) {
	datadriven.RunTest(t, "testdata/translations", func(t *testing.T, d *datadriven.TestData) string {
		connector, err := Read([]byte(d.Input))
		if err != nil {
			return err.Error() + "\n"
		}
		translation, err := Translate(connector)
		if err != nil {
			return err.Error() + "\n"
		}
		loads(t, translation.YAML())
		var b strings.Builder
		b.WriteString(translation.YAML())
		for _, f := range translation.Findings {
			fmt.Fprintf(&b, "%s | %s | %s\n", f.Outcome, f.Property, f.Note)
		}
		if strings.Contains(b.String(), "s3cret") {
			t.Errorf("%s: a secret is repeated", d.Pos)
		}
		for key := range connector.Properties {
			if key != "name" && !strings.Contains(b.String(), "| "+key+" |") {
				t.Errorf("%s: nothing is said of %s", d.Pos, key)
			}
		}
		return b.String()
	})
}

// loads makes sure that the file means something to cdc run.
func loads(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cdc.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	lookup := func(name string) (string, bool) {
		if name == "DATABASE_PASSWORD" || name == "REGISTRY_PASSWORD" {
			return "secret", true
		}
		return "", false
	}
	cfg, err := config.Load(config.Request{File: path, LookupEnv: lookup})
	if err != nil || len(cfg.Sources) != 1 || len(cfg.Sinks) != 1 || len(cfg.Warnings) > 0 {
		t.Errorf("%s\nis read as %+v: %v", text, cfg, err)
	}
}

func TestExpressionsAsPatterns(t *testing.T) {
	for _, test := range []struct {
		expression, pattern string
		exact               bool
	}{
		{`public.orders`, "public.orders", true},
		{`public\.orders`, "public.orders", true},
		{`^public\..*$`, "public.*", true},
		{`public.*`, "public*", true},
		{`public.(a|b)`, "", false},
		{`public\.order[s]`, "", false},
		{`public\.x+`, "", false},
	} {
		if pattern, exact := globOf(test.expression); exact != test.exact || pattern != test.pattern {
			t.Errorf("%s: %q, exact %t", test.expression, pattern, exact)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"name":"x","config":{"connector.class":"io.debezium.connector.mysql.MySqlConnector","tasks.max":1}}`))
	f.Add([]byte("connector.class=x\ntransforms=a,b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Read(text)
		if err != nil {
			return
		}
		if translation, err := Translate(c); err == nil {
			translation.YAML()
		}
	})
}
