package starter

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cdc/cmd/cdc/internal/config"
	"cdc/sources"
)

// load reads a text as cdc run -c does, with the passwords of a source shop and of a sink k set.
func load(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cdc.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set := map[string]string{"CDC_SHOP_PASSWORD": "secret", "CDC_K_PASSWORD": "secret"}
	lookup := func(name string) (string, bool) { v, ok := set[name]; return v, ok }
	return config.Load(config.Request{File: path, LookupEnv: lookup})
}

func TestTemplateLoads(t *testing.T) {
	var f File
	c, err := load(t, f.YAML())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sources)+len(c.Sinks)+len(c.Warnings) != 0 {
		t.Errorf("the template says something: %+v", c)
	}
	examples := regexp.MustCompile(`(?m)^# ((?:sources|sinks):| )`).ReplaceAllString(f.YAML(), "$1")
	if c, err = load(t, examples); err != nil || len(c.Sources) != 1 || len(c.Sinks) != 1 {
		t.Errorf("without the first marks of its comments: %v\n%s", err, examples)
	}
}

// Every setting is in the file, under its own text and with its default.
func TestEverySettingIsShown(t *testing.T) {
	f := File{
		Sources: []Source{{Name: "pg", DSN: "postgres://h/pg"}, {Name: "my", DSN: "mysql://h/my"}},
		Sinks:   []Sink{{Name: "k", Kind: config.KindKafka}, {Name: "f", Kind: config.KindFile}},
	}
	text := f.YAML()
	program, source, sink := config.Docs()
	for _, d := range slices.Concat(program, source, sink) {
		if !strings.Contains(text, "# "+d.Help+"\n") || !strings.Contains(text, " "+d.Key+": "+d.Default) {
			t.Errorf("%s is not in the file", d.Key)
		}
	}
}

// Each default is one: with all of them in force, nothing changes.
func TestDefaultsInTheFileAreTheDefaults(t *testing.T) {
	f := File{Sources: []Source{{Name: "pg", DSN: "postgres://h/pg"}}}
	program, source, _ := config.Docs()
	text := f.YAML()
	for _, d := range slices.Concat(program, source) {
		if d.Default != "" {
			text = strings.Replace(text, "# "+d.Key+": "+d.Default, d.Key+": "+d.Default, 1)
		}
	}
	want, err := load(t, f.YAML())
	if err != nil {
		t.Fatal(err)
	}
	got, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range want.Entries {
		if got.Entries[i].Key != e.Key || got.Entries[i].Value != e.Value {
			t.Errorf("%s is %s, and %s by default", e.Key, got.Entries[i].Value, e.Value)
		}
	}
}

// Whatever a server calls its tables and says of itself, the file can be read, its list names exactly them, and no password is in it.
func TestOddNamesStayInTheirPlaces(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"a\nsinks:", "x: y", "- z", "\u2028b", "\u0085", "a.b", `q"q`, "*", "!x", "#", "Ä", "yes"}))
		table := sources.Candidate{Schema: name.Draw(r, "schema"), Name: name.Draw(r, "table"), Keyed: true}
		if table.Schema == "" || table.Name == "" || strings.ContainsRune(table.Schema+table.Name, 0) {
			return // no server has such a name
		}
		odd := sources.Candidate{Schema: name.Draw(r, "schema"), Name: name.Draw(r, "table"), Obstacle: "no " + name.Draw(r, "obstacle"), Remedy: name.Draw(r, "remedy")}
		f := File{Sources: []Source{{
			Name: "shop", DSN: "postgres://u:hunter2@h/shop", WithPassword: true, Tables: []sources.Candidate{table, odd},
			Findings: []sources.Finding{{Check: name.Draw(r, "check"), Severity: sources.SeverityWarning, Detail: name.Draw(r, "detail"), Remedy: "x"}},
		}}}
		text := f.YAML()
		if strings.Contains(text, "hunter2") {
			r.Fatal("the password is in the file")
		}
		c, err := load(t, text)
		if err != nil || len(c.Sources) != 1 || len(c.Sinks) != 0 || c.Sources[0].Password != "secret" || len(c.Sources[0].Tables) != 0 {
			r.Fatalf("%v in\n%s", err, text)
		}
		chosen := regexp.MustCompile(`(?m)^    # (tables:|  - )`).ReplaceAllString(text, "    $1")
		if c, err = load(t, chosen); err != nil {
			r.Fatalf("with its tables: %v in\n%s", err, chosen)
		}
		set, err := sources.ParsePatterns("shop", c.Sources[0].Tables)
		if err != nil || !set.Names(table.Schema, table.Name) {
			r.Fatalf("%q does not name %q.%q: %v", c.Sources[0].Tables, table.Schema, table.Name, err)
		}
	})
}

func TestSinksKeepWhatWasSaid(t *testing.T) {
	f := File{Sinks: []Sink{{Name: "k", Kind: config.KindKafka, WithPassword: true, Settings: map[string][]string{
		"url": {"kafka://u@h:1"}, "tables": {"public.*", "!public.audit_*"}, "compression": {"lz4"}, "tombstones": {"false"},
	}}}}
	c, err := load(t, f.YAML())
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Sinks[0]; s.Name != "k" || s.URL != "kafka://u@h:1" || len(s.Tables) != 2 || s.Kafka.Compression != "lz4" || !s.Messages.NoTombstones || s.Password != "secret" {
		t.Errorf("%+v", s)
	}
}
