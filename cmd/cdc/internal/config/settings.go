package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"cdc/sources"
)

// setting describes one setting: its key in the file, from which the names of its flag and variable follow, and how its text
// becomes a value of T.
type setting[T any] struct {
	key    string
	help   string
	sample string // what the value looks like
	preset string // the default as text, empty for none
	list   bool   // may have several values
	secret bool   // has no flag and is never printed
	kind   string // of databases or sinks that it is for, empty for all
	single bool   // may be given to one source at a time only
	set    func(t *T, values []string) error
}

// kindNames are the kinds of databases and of sinks as people call them.
var kindNames = map[string]string{KindPostgres: "PostgreSQL", KindMySQL: "MySQL and MariaDB", KindKafka: "Kafka", KindFile: "file and Parquet"}

// globals are the settings of the program.
func globals() []setting[Config] {
	return []setting[Config]{
		{
			key: "http", sample: "HOST:PORT", preset: "127.0.0.1:7070", set: setHTTP,
			help: "Address of health, readiness, metrics and status over HTTP, or off. Without it, a default address that is taken is a warning.",
		},
		{
			key: "log_level", sample: "LEVEL", preset: "info", help: "Least level of log lines: debug, info, warn or error.",
			set: one(func(c *Config, v string) error { return choose(&c.LogLevel, v, "debug", "info", "warn", "error") }),
		},
		{
			key: "log_format", sample: "FORM", preset: "auto", help: "Form of log lines: text, json, or auto for text on a terminal, else JSON.",
			set: one(func(c *Config, v string) error { return choose(&c.LogFormat, v, "auto", "text", "json") }),
		},
		{
			key: "min_free_disk", sample: "SIZE", preset: "512MiB", help: "Free disk space below which cdc run does not start.",
			set: one(func(c *Config, v string) error { return setBytes(&c.MinFreeDisk, v) }),
		},
		{
			key: "segment_size", sample: "SIZE", preset: "128MiB", help: "Size of the log's files, 4KiB to 4GiB.",
			set: one(func(c *Config, v string) error { return setBytes(&c.SegmentSize, v) }),
		},
		{
			key: "ready_lag", sample: "DURATION", preset: "60s", help: "Lag of a source above which /readyz says no.",
			set: one(func(c *Config, v string) error { return setDuration(&c.ReadyLag, v) }),
		},
	}
}

// perSource are the settings of each source.
func perSource() []setting[Source] {
	return []setting[Source]{
		{
			key: "dsn", sample: "DSN", help: "Where the database is: a URL or keywords and values as libpq reads them, or mysql://user@host:port/database.",
			set: one(func(s *Source, v string) error { s.DSN = DSN(v); return nil }),
		},
		{
			key: "password", sample: "SECRET", secret: true, help: "Password; in the file only as ${env:NAME} or file:PATH.",
			set: one(func(s *Source, v string) error { s.Password = sources.Secret(v); return nil }),
		},
		{
			key: "tables", sample: "PATTERN", list: true, help: "Tables to capture, [source.]schema.table with * and ?; ! in front excludes. Without any, all that the role may read.",
			set: func(s *Source, v []string) error { s.Tables = v; return nil },
		},
		{
			key: "append_only", kind: KindPostgres, sample: "PATTERN", list: true, help: "Tables of which only inserts and truncates are captured, as they have no identity.",
			set: func(s *Source, v []string) error { s.AppendOnly = v; return nil },
		},
		{
			key: "publication", kind: KindPostgres, sample: "NAME", help: "Publication to use as it is, instead of one of our own.",
			set: one(func(s *Source, v string) error { s.Publication = v; return nil }),
		},
		{
			key: "slot", kind: KindPostgres, single: true, sample: "NAME", help: "Name of the replication slot, instead of cdc_<source>_<log id>.",
			set: one(func(s *Source, v string) error { s.Slot = v; return nil }),
		},
		{
			key: "copy_readers", sample: "N", help: "Connections that copy tables side by side at first, 1 to 32; 2 when not set.",
			set: one(func(s *Source, v string) error { return setCount(&s.CopyReaders, v, 1, 32) }),
		},
		{
			key: "copy_rows_per_second", sample: "N", help: "Rows a second that copies in chunks read at most; 0, or not set, for no limit.",
			set: one(func(s *Source, v string) error { return setCount(&s.CopyRowsPerSecond, v, 0, 1e9) }),
		},
		{
			key: "server_id", kind: KindMySQL, single: true, sample: "N", help: "Number under which cdc reads the binlog, other than that of every replica of the server; 0, or not set, for one that is chosen.",
			set: one(func(s *Source, v string) error { return setCount(&s.ServerID, v, 0, math.MaxUint32) }),
		},
		{
			key: "max_held_wal", kind: KindPostgres, sample: "SIZE", help: "WAL held back at the server above which cdc drops its own slot and stops with GAP; never, when not set.",
			set: one(func(s *Source, v string) error { return setBytes(&s.MaxHeldWAL, v) }),
		},
		{
			key: "max_clock_skew", sample: "DURATION", preset: "60s", help: "How far a commit's time may be ahead of the source's own clock and still be believed.",
			set: one(func(s *Source, v string) error { return setDuration(&s.MaxClockSkew, v) }),
		},
	}
}

// Doc is what is said about a setting in the documentation.
type Doc struct {
	Key, Flag, Variable, Sample, Default, Help string
	List, Secret                               bool
	// Only names the kind of database or sink that the setting is for, empty for all.
	Only string
}

// Docs are all settings: those of the program, of a source, and of a sink.
func Docs() (program, source, sink []Doc) {
	for _, s := range globals() {
		program = append(program, docOf(s, variableOf(s.key)))
	}
	for _, s := range perSource() {
		source = append(source, docOf(s, "CDC_<SOURCE>_"+strings.ToUpper(s.key)))
	}
	for _, s := range perSink() {
		d := docOf(s, "CDC_<SINK>_"+strings.ToUpper(s.key))
		d.Flag = ""
		sink = append(sink, d)
	}
	return program, source, sink
}

func docOf[T any](s setting[T], variable string) Doc {
	d := Doc{Key: s.key, Variable: variable, Sample: s.sample, Default: s.preset, Help: s.help, List: s.list, Secret: s.secret, Only: kindNames[s.kind]}
	if !s.secret && s.key != "dsn" {
		d.Flag = "--" + flagOf(s.key)
	}
	return d
}

func flagOf(key string) string { return strings.ReplaceAll(key, "_", "-") }

func variableOf(key string) string { return "CDC_" + strings.ToUpper(key) }

// sourceVariable is CDC_<NAME>_<KEY> of a source or sink, with _ for whatever no variable's name may hold.
func sourceVariable(source, key string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, source)
	return "CDC_" + name + "_" + strings.ToUpper(key)
}

// Variable is the variable of a setting of one source or sink.
func Variable(name, key string) string { return sourceVariable(name, key) }

// KindName is what people call a kind of databases or sinks, as in Doc.Only.
func KindName(kind string) string { return kindNames[kind] }

// one makes a setter of the only value.
func one[T any](set func(*T, string) error) func(*T, []string) error {
	return func(t *T, values []string) error {
		if len(values) != 1 {
			return fmt.Errorf("want one value, not %d", len(values))
		}
		return set(t, values[0])
	}
}

func setHTTP(c *Config, values []string) error {
	if len(values) != 1 {
		return fmt.Errorf("want one value, not %d", len(values))
	}
	if values[0] == "off" {
		c.HTTP = ""
		return nil
	}
	host, port, err := net.SplitHostPort(values[0])
	if err != nil || port == "" {
		return fmt.Errorf("%q is no address: want HOST:PORT, or off", values[0])
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q is no port", port)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	c.HTTP = net.JoinHostPort(host, port)
	return nil
}

func choose(dst *string, value string, allowed ...string) error {
	if !slices.Contains(allowed, value) {
		return fmt.Errorf("%q is none of %s", value, strings.Join(allowed, ", "))
	}
	*dst = value
	return nil
}

func setCount[T int | uint32](dst *T, value string, least, most int64) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < least || n > most {
		return fmt.Errorf("%q is no number from %d to %d", value, least, most)
	}
	*dst = T(n)
	return nil
}

func setDuration(dst *time.Duration, value string) error {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is no duration: write 500ms, 60s, 5m", value)
	}
	*dst = d
	return nil
}

// sizeUnits are the units of sizes, the longer names first.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"kB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"B", 1},
}

var errSize = errors.New("write 512MiB, 10GiB, 2GB or a number of bytes")

// setBytes reads a size as people write it.
func setBytes(dst *int64, value string) error {
	text, unit := value, int64(1)
	for _, u := range sizeUnits {
		if number, ok := strings.CutSuffix(value, u.name); ok {
			text, unit = strings.TrimSpace(number), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if bytes := n * float64(unit); err != nil || !(bytes >= 0 && bytes < 1<<62) { // as NaN is neither
		return fmt.Errorf("%q is no size: %w", value, errSize)
	}
	*dst = int64(n * float64(unit))
	return nil
}
