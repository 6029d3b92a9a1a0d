package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cdc/sinks/envelope"
)

// loadSinks loads a configuration with a source, so that only sinks can be wrong.
func loadSinks(t *testing.T, file string, env map[string]string, urls ...string) (*Config, error) {
	t.Helper()
	r := Request{
		DSNs: []string{"postgres://cdc@db.example/shop"}, Sinks: urls,
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	}
	for name, v := range env {
		r.Environ = append(r.Environ, name+"="+v)
	}
	if file != "" {
		r.File = filepath.Join(t.TempDir(), "cdc.yaml")
		if err := os.WriteFile(r.File, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		r.DSNs = nil
	}
	return Load(r)
}

func TestSinkOfAURL(t *testing.T) {
	cfg, err := loadSinks(t, "", map[string]string{"CDC_ORDERS_PASSWORD": "secret-1"},
		"kafka://cdc@k1.example:9093,k2.example?name=orders&format=debezium-avro&registry=http://r.example&partitions=6&tables=public.*&tables=!public.x&tombstones=false",
		"file:/var/out?format=parquet&rotate_time=5m&before=full")
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings) != 0 {
		t.Errorf("warnings %q", cfg.Warnings)
	}
	k := cfg.Sinks[0]
	if got := strings.Join(k.URL.Brokers(), " "); k.Name != "orders" || got != "k1.example:9093 k2.example:9092" || k.URL.User() != "cdc" || k.Password != "secret-1" {
		t.Errorf("%s %s %s", k.Name, got, k.URL.User())
	}
	if k.Messages.Format != envelope.DebeziumAvro || !k.Messages.NoTombstones || k.Kafka.Partitions != 6 || k.Kafka.Compression != "lz4" || len(k.Tables) != 2 {
		t.Errorf("%+v", k)
	}
	f := cfg.Sinks[1]
	if k.WholeBefore || !f.WholeBefore {
		t.Errorf("old rows are completed for %s: %t, for %s: %t", k.Name, k.WholeBefore, f.Name, f.WholeBefore)
	}
	if f.Name != "file" || !f.Parquet || f.URL.Dir() != "/var/out" || f.RotateTime != 5*time.Minute || f.RotateSize != 128<<20 {
		t.Errorf("%+v", f)
	}
	for _, e := range cfg.Entries {
		if strings.Contains(e.Value, "secret-1") {
			t.Errorf("%s shows a secret", e.Key)
		}
	}
}

func TestSinkOfAFile(t *testing.T) {
	cfg, err := loadSinks(t, `
sources: {shop: {dsn: "postgres://cdc@db.example/shop"}}
sinks:
  orders:
    url: kafka://cdc@k.example
    password: ${env:KAFKA}
    tables: [public.orders]
    sasl: plain
`, map[string]string{"KAFKA": "secret-2"})
	if err != nil {
		t.Fatal(err)
	}
	if s := cfg.Sinks[0]; s.Name != "orders" || s.Password != "secret-2" || s.Kafka.SASL != "plain" || s.Messages.Format != envelope.DebeziumJSON {
		t.Errorf("%+v", s)
	}
}

func TestBadSinks(t *testing.T) {
	const source = "sources: {shop: {dsn: \"postgres://cdc@db.example/shop\"}}\n"
	for _, test := range []struct{ url, file, want string }{
		{url: "kafka", want: `"kafka" is no sink`},
		{url: "amqp://host", want: "is no sink"},
		{url: "kafka://", want: "no broker is named"},
		{url: "file:", want: "no folder is named"},
		{url: "kafka://h?formt=native", want: `did you mean "format"?`},
		{url: "kafka://h?format=debezium-jsn", want: `"debezium-jsn" is none of debezium-json`},
		{url: "kafka://h?format=parquet", want: `"parquet" is none of`},
		{url: "kafka://h?format=flat-avro", want: "needs a schema registry"},
		{url: "kafka://u:hidden@h", want: "CDC_KAFKA_PASSWORD"},
		{url: "kafka://u@h", want: "go together"},
		{url: "kafka://h?password=hidden", want: "CDC_KAFKA_PASSWORD"},
		{url: "kafka://h?rotate_size=1MB", want: "is a setting of file and Parquet sinks"},
		{url: "kafka://h?before=whole", want: `"whole" is none of source, full`},
		{url: "kafka://h?schemas=perhaps", want: "neither true nor false"},
		{url: "file:/x?format=debezium-avro&registry=http://r", want: "files hold no Avro"},
		{url: "kafka://h?key_subjects=table", want: `"table" is none of topic, record, topic-record`},
		{url: "kafka://h?register_schemas=no", want: "neither true nor false"},
		{url: "kafka://h?registry_password=hidden", want: "CDC_KAFKA_REGISTRY_PASSWORD"},
		{url: "kafka://h?format=flat-avro&registry=http://me:hidden@r", want: "CDC_KAFKA_REGISTRY_PASSWORD"},
		{url: "kafka://h?start=now", want: "means another moment every time"},
		{url: "kafka://h?start=20+seconds+ago", want: "means another moment every time"},
		{url: "kafka://h?start=LSN", want: "not a moment"},
		{url: "kafka://h?name=a+b", want: "is no name for a sink"},
		{file: source + "sinks: {x: {url: \"kafka://h\", partition: 3}}", want: `did you mean "partitions"?`},
		{file: source + "sinks: {x: {format: native}}", want: "is no URL of a sink"},
		{file: source + "sinks: {x: {url: \"kafka://u@h\", password: hidden}}", want: "a secret stands in the file"},
		{file: source + "sink: {}", want: `did you mean "sinks"?`},
	} {
		var urls []string
		if test.url != "" {
			urls = []string{test.url}
		}
		_, err := loadSinks(t, test.file, nil, urls...)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s%s: %v; want %s", test.url, test.file, err, test.want)
		}
	}
	if _, err := loadSinks(t, "", nil, "kafka://a", "kafka://b"); err == nil || !strings.Contains(err.Error(), "a second sink is named kafka") {
		t.Errorf("two sinks of one name: %v", err)
	}
}
