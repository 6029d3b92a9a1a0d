package config

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"cdc/materialize"
	"cdc/sinks/connect"
	"cdc/sinks/envelope"
	"cdc/sources"
)

// Kinds of sinks.
const (
	KindKafka = "kafka"
	KindFile  = "file" // JSON lines, or Parquet by its format
)

// Sink is what is known of one sink.
type Sink struct {
	Name     string
	URL      SinkURL
	Password sources.Secret
	// Tables are patterns of the tables that are published, all when empty.
	Tables []string
	// Start is the moment behind which a new sink begins, the log's beginning when empty.
	Start    string
	Messages envelope.Options
	// WholeBefore completes old rows from the log.
	WholeBefore bool
	// Parquet makes files of that format, of changes and not of messages.
	Parquet bool

	Registry RegistrySettings

	Kafka KafkaSettings

	// RotateSize and RotateTime end a file.
	RotateSize int64
	RotateTime time.Duration
}

// RegistrySettings are those of a schema registry; URL is empty when there is none.
type RegistrySettings struct {
	URL      string
	User     string
	Password sources.Secret
	// CA is a file of certificates, the system's when empty.
	CA string
	// LookupOnly leaves the registering of schemas to others.
	LookupOnly   bool
	Keys, Values envelope.Subjects
	Names        connect.AvroNames
}

// KafkaSettings are those of a Kafka sink. Zero numbers stand for the cluster's defaults.
type KafkaSettings struct {
	Compression             string
	Partitions, Replication int
	// NoCreate leaves the making of topics to others.
	NoCreate     bool
	SASL         string
	TLS          string
	CA           string
	Cert, KeyPEM string
}

// SinkURL says where a sink is: kafka://user@host:port,host:port, or file:DIR. Its query holds settings.
type SinkURL string

// Kind is KindKafka, KindFile, or nothing for what is neither.
func (u SinkURL) Kind() string {
	scheme, _, ok := strings.Cut(string(u), ":")
	if scheme = strings.ToLower(scheme); ok && (scheme == KindKafka || scheme == KindFile) {
		return scheme
	}
	return ""
}

// String is the URL without a password's text.
func (u SinkURL) String() string {
	p, ok := DSN(u).url()
	if user, password, has := strings.Cut(p.user, ":"); ok && has && password != "" {
		p.user = user + ":" + sources.Redacted
		return p.String()
	}
	return string(u)
}

// Brokers are the addresses of a Kafka cluster, as host:port.
func (u SinkURL) Brokers() []string {
	p, _ := DSN(u).url()
	var brokers []string
	for host := range strings.SplitSeq(p.hosts, ",") {
		if host != "" && !strings.Contains(strings.TrimLeft(host, "["), ":") {
			host += ":9092"
		}
		if host != "" {
			brokers = append(brokers, host)
		}
	}
	return brokers
}

// User is the user's name, empty when there is none.
func (u SinkURL) User() string {
	p, _ := DSN(u).url()
	name, _, _ := strings.Cut(p.user, ":")
	return unescape(name)
}

// Dir is the folder of a file sink.
func (u SinkURL) Dir() string {
	_, rest, _ := strings.Cut(string(u), ":")
	rest, _, _ = strings.Cut(rest, "?")
	return unescape(strings.TrimPrefix(rest, "//"))
}

// sinkExamples say how URLs of sinks are written.
const sinkExamples = "write kafka://host:9092 or file:DIR, with settings behind a ?, as in kafka://host:9092?format=debezium-avro"

// perSink are the settings of each sink.
func perSink() []setting[Sink] {
	return slices.Concat([]setting[Sink]{
		{
			key: "url", sample: "URL", help: "Where the sink is: kafka://user@host:port,host:port or file:DIR.",
			set: one(func(s *Sink, v string) error { s.URL = SinkURL(v); return nil }),
		},
		{
			key: "password", sample: "SECRET", secret: true, kind: KindKafka, help: "Password of the URL's user, for SASL; in the file only as ${env:NAME} or file:PATH.",
			set: one(func(s *Sink, v string) error { s.Password = sources.Secret(v); return nil }),
		},
		{
			key: "tables", sample: "PATTERN", list: true, help: "Tables to publish, [source.]schema.table with * and ?; ! in front excludes. Without any, all that the log holds.",
			set: func(s *Sink, v []string) error { s.Tables = v; return nil },
		},
		{
			key: "start", sample: "MOMENT",
			help: "Begin a new sink behind a moment, as 'LSN 0/16B3748' or 'GTID …': where another program has stopped. Without, at the log's beginning.",
			set:  one(setStart),
		},
	}, messageSettings(), registrySettings(), kafkaSettings(), fileSettings())
}

// Values of before.
const (
	beforeSource = "source"
	beforeFull   = "full"
)

// messageSettings say what is published of a change.
func messageSettings() []setting[Sink] {
	text := func(set func(*envelope.Options, string) error) func(*Sink, []string) error {
		return one(func(s *Sink, v string) error { return set(&s.Messages, v) })
	}
	return []setting[Sink]{
		{
			key: "format", sample: "FORMAT", preset: string(envelope.DebeziumJSON),
			help: "What is published: debezium-json, debezium-avro, flat-json, flat-avro or native; of a file sink also parquet.",
			set: one(func(s *Sink, v string) error {
				if s.Parquet = v == "parquet" && s.URL.Kind() == KindFile; s.Parquet {
					return nil
				}
				return chooseAs(&s.Messages.Format, v, envelope.DebeziumJSON, envelope.DebeziumAvro, envelope.FlatJSON, envelope.FlatAvro, envelope.Native)
			}),
		},
		{
			key: "before", sample: "MODE", preset: beforeSource,
			help: "Old rows of updates and deletes: source, as the database sent them, or full, completed from the log, for which the newest rows of all tables published are kept on disk.",
			set: one(func(s *Sink, v string) error {
				mode := ""
				err := choose(&mode, v, beforeSource, beforeFull)
				s.WholeBefore = mode == beforeFull
				return err
			}),
		},
		{
			key: "schemas", sample: "BOOL", preset: "false", help: "Put its schema into each JSON message, as schemas.enable of Kafka Connect does.",
			set: text(func(o *envelope.Options, v string) error { return setBool(&o.Schemas, v) }),
		},
		{
			key: "topic_prefix", sample: "NAME", help: "First part of topics and schema names, in the place of the source's name.",
			set: text(func(o *envelope.Options, v string) error { o.TopicPrefix = v; return nil }),
		},
		{
			key: "decimals", sample: "MODE", preset: string(envelope.DecimalPrecise), help: "Decimals as precise, string or double.",
			set: text(func(o *envelope.Options, v string) error {
				return chooseAs(&o.Decimals, v, envelope.DecimalPrecise, envelope.DecimalString, envelope.DecimalDouble)
			}),
		},
		{
			key: "times", sample: "MODE", help: "Dates and times as adaptive, adaptive_time_microseconds, connect or isostring; Debezium's default of each database when not set.",
			set: text(func(o *envelope.Options, v string) error {
				return chooseAs(&o.Times, v, envelope.TimeAdaptive, envelope.TimeAdaptiveTime, envelope.TimeConnect, envelope.TimeISO)
			}),
		},
		{
			key: "binary", sample: "MODE", preset: string(envelope.BinaryBytes), help: "Bytes as bytes, base64, base64-url-safe or hex.",
			set: text(func(o *envelope.Options, v string) error {
				return chooseAs(&o.Binary, v, envelope.BinaryBytes, envelope.BinaryBase64, envelope.BinaryURL, envelope.BinaryHex)
			}),
		},
		{
			key: "unsigned", sample: "MODE", preset: string(envelope.UnsignedLong), help: "MySQL's BIGINT UNSIGNED as long or precise.",
			set: text(func(o *envelope.Options, v string) error {
				return chooseAs(&o.Unsigned, v, envelope.UnsignedLong, envelope.UnsignedPrecise)
			}),
		},
		{
			key: "strict", sample: "BOOL", preset: "false", help: "Imitate Debezium also where it is wrong, for readers that depend on it.",
			set: text(func(o *envelope.Options, v string) error { return setBool(&o.Strict, v) }),
		},
		{
			key: "tombstones", sample: "BOOL", preset: "true", help: "Publish a tombstone behind each delete.",
			set: text(func(o *envelope.Options, v string) error { return setNot(&o.NoTombstones, v) }),
		},
		{
			key: "transactions", sample: "BOOL", preset: "false", help: "Publish beginnings and ends of transactions, and name the transaction in each change.",
			set: text(func(o *envelope.Options, v string) error { return setBool(&o.Transactions, v) }),
		},
		{
			key: "truncates", sample: "BOOL", preset: "false", help: "Publish truncates, which Debezium skips by default.",
			set: text(func(o *envelope.Options, v string) error { return setBool(&o.Truncates, v) }),
		},
		{
			key: "heartbeats", sample: "BOOL", preset: "false", help: "Publish to the topic __debezium-heartbeat.<prefix> the clock of a source that changes nothing.",
			set: text(func(o *envelope.Options, v string) error { return setBool(&o.Heartbeats, v) }),
		},
		{
			key: "context_headers", sample: "BOOL", preset: "true", help: "Say in the headers of each message which connector it comes from, as Debezium does.",
			set: text(func(o *envelope.Options, v string) error { return setNot(&o.NoContextHeaders, v) }),
		},
	}
}

// registrySettings say where schemas of Avro are registered, and how.
func registrySettings() []setting[Sink] {
	text := func(key, sample, preset, help string, set func(*RegistrySettings, string) error) setting[Sink] {
		return setting[Sink]{key: key, sample: sample, preset: preset, help: help, set: one(func(s *Sink, v string) error { return set(&s.Registry, v) })}
	}
	subjects := func(key, of string, at func(*RegistrySettings) *envelope.Subjects) setting[Sink] {
		help := "Subjects of the schemas of " + of + " by topic (<topic>-" + of[:len(of)-1] + "), record (the schema's name) or topic-record."
		return text(key, "STRATEGY", string(envelope.SubjectTopic), help, func(r *RegistrySettings, v string) error {
			return chooseAs(at(r), v, envelope.SubjectTopic, envelope.SubjectRecord, envelope.SubjectTopicRecord)
		})
	}
	password := text("registry_password", "SECRET", "", "Password at the schema registry; in the file only as ${env:NAME} or file:PATH.", func(r *RegistrySettings, v string) error {
		r.Password = sources.Secret(v)
		return nil
	})
	password.secret = true
	return []setting[Sink]{
		text("registry", "URL", "", "Schema registry for Avro, as Confluent's.", func(r *RegistrySettings, v string) error { r.URL = v; return nil }),
		text("registry_user", "NAME", "", "User at the schema registry.", func(r *RegistrySettings, v string) error { r.User = v; return nil }),
		password,
		text("registry_ca", "FILE", "", "Certificates that the registry's is verified by; the system's when not set.", func(r *RegistrySettings, v string) error { r.CA = v; return nil }),
		text("register_schemas", "BOOL", "true", "Register schemas that the registry does not have; else they are only looked up.", func(r *RegistrySettings, v string) error {
			return setNot(&r.LookupOnly, v)
		}),
		subjects("key_subjects", "keys", func(r *RegistrySettings) *envelope.Subjects { return &r.Keys }),
		subjects("value_subjects", "values", func(r *RegistrySettings) *envelope.Subjects { return &r.Values }),
		text("avro_names", "MODE", string(connect.AvroUnderscore), "Names that Avro does not allow, with _ for each such character (avro), or with _uXXXX for it and for _ (avro_unicode), which keeps all names apart.",
			func(r *RegistrySettings, v string) error {
				return chooseAs(&r.Names, v, connect.AvroUnderscore, connect.AvroUnicode)
			}),
	}
}

func kafkaSettings() []setting[Sink] {
	text := func(key, sample, preset, help string, set func(*KafkaSettings, string) error) setting[Sink] {
		return setting[Sink]{key: key, kind: KindKafka, sample: sample, preset: preset, help: help, set: one(func(s *Sink, v string) error { return set(&s.Kafka, v) })}
	}
	return []setting[Sink]{
		text("compression", "CODEC", "lz4", "Compression of batches: none, gzip, snappy, lz4 or zstd.", func(k *KafkaSettings, v string) error {
			return choose(&k.Compression, v, "none", "gzip", "snappy", "lz4", "zstd")
		}),
		text("create_topics", "BOOL", "true", "Make topics that are missing.", func(k *KafkaSettings, v string) error { return setNot(&k.NoCreate, v) }),
		text("partitions", "N", "", "Partitions of topics that cdc makes; the cluster's default when not set.", func(k *KafkaSettings, v string) error {
			return setCount(&k.Partitions, v, 1, 10000)
		}),
		text("replication_factor", "N", "", "Replicas of topics that cdc makes; the cluster's default when not set.", func(k *KafkaSettings, v string) error {
			return setCount(&k.Replication, v, 1, 32)
		}),
		text("sasl", "MECHANISM", "", "How the URL's user logs in: plain, scram-sha-256 or scram-sha-512 (the default with a user).", func(k *KafkaSettings, v string) error {
			return choose(&k.SASL, v, "plain", "scram-sha-256", "scram-sha-512")
		}),
		text("tls", "MODE", "", "TLS: on, off, or no-verify; off on loopback and on elsewhere, when not set.", func(k *KafkaSettings, v string) error {
			return choose(&k.TLS, v, "on", "off", "no-verify")
		}),
		text("tls_ca", "FILE", "", "Certificates that the brokers' are verified by; the system's when not set.", func(k *KafkaSettings, v string) error { k.CA = v; return nil }),
		text("tls_cert", "FILE", "", "Certificate that cdc shows to brokers.", func(k *KafkaSettings, v string) error { k.Cert = v; return nil }),
		text("tls_key", "FILE", "", "Private key of that certificate.", func(k *KafkaSettings, v string) error { k.KeyPEM = v; return nil }),
	}
}

func fileSettings() []setting[Sink] {
	return []setting[Sink]{
		{
			key: "rotate_size", kind: KindFile, sample: "SIZE", preset: "128MiB", help: "Size at which a file is finished.",
			set: one(func(s *Sink, v string) error { return setBytes(&s.RotateSize, v) }),
		},
		{
			key: "rotate_time", kind: KindFile, sample: "DURATION", preset: "60s", help: "Age at which a file is finished.",
			set: one(func(s *Sink, v string) error { return setDuration(&s.RotateTime, v) }),
		},
	}
}

// setStart takes a moment that means the same whenever it is asked for: a sink that has lost its checkpoint starts there again.
func setStart(s *Sink, v string) error {
	m, err := materialize.ParseMoment(v)
	switch {
	case err != nil:
		return err
	case m.Kind == materialize.MomentNow, m.Kind == materialize.MomentAgo:
		return fmt.Errorf("%q means another moment every time; name a time, or one of LSN, GTID, TX, TAG and OFFSET", v)
	}
	s.Start = v
	return nil
}

func setBool(dst *bool, value string) error {
	v, err := strconv.ParseBool(value)
	if err != nil {
		return fmt.Errorf("%q is neither true nor false", value)
	}
	*dst = v
	return nil
}

// setNot sets what a setting that is false means.
func setNot(dst *bool, value string) error {
	err := setBool(dst, value)
	*dst = !*dst
	return err
}

// chooseAs is choose for named texts.
func chooseAs[T ~string](dst *T, value string, allowed ...T) error {
	texts := make([]string, len(allowed))
	for i, a := range allowed {
		texts[i] = string(a)
	}
	var chosen string
	err := choose(&chosen, value, texts...)
	*dst = T(chosen)
	return err
}

// addSinks puts the sinks together: those of the command line and those of the file.
func (l *loader) addSinks() {
	seen := map[string]string{}
	for _, text := range l.request.Sinks {
		if c, ok := l.sinkOfURL(text); ok {
			l.addSink(c, seen)
		}
	}
	for _, s := range l.file.sinks {
		l.addSink(candidate{name: s.name, where: s.where, values: s.values}, seen)
	}
}

// sinkOfURL takes a URL of the command line apart: its query holds settings, its name among them.
func (l *loader) sinkOfURL(text string) (candidate, bool) {
	const where = "--sink"
	bare, query, _ := strings.Cut(text, "?")
	c := candidate{name: SinkURL(text).Kind(), where: where, values: map[string]value{"url": {texts: []string{bare}, origin: where}}}
	if c.name == "" {
		l.fail(problem{where: where, what: fmt.Sprintf("%q is no sink", shown(text)), remedy: sinkExamples})
		return c, false
	}
	settings, err := url.ParseQuery(query)
	if err != nil {
		l.fail(problem{where: where, what: fmt.Sprintf("the settings of %s cannot be read: %v", SinkURL(bare), err), remedy: sinkExamples})
		return c, false
	}
	keys := keysOf(perSink())
	for key, texts := range settings {
		switch {
		case key == "name" && len(texts) == 1:
			c.name = texts[0]
		case strings.HasSuffix(key, "password"):
			l.fail(problem{where: where, what: "a secret stands in the URL", remedy: "put it into " + sourceVariable(c.name, key)})
			return c, false
		case key == "url" || !slices.Contains(keys, key):
			l.fail(problem{where: where, what: fmt.Sprintf("unknown setting %q", key), remedy: didYouMean(key, append([]string{"name"}, keys...))})
			return c, false
		default:
			c.values[key] = value{texts: texts, origin: where}
		}
	}
	return c, true
}

func (l *loader) addSink(c candidate, seen map[string]string) {
	if !sourceName.MatchString(c.name) {
		l.fail(problem{where: c.where, what: fmt.Sprintf("%q is no name for a sink: want up to 63 letters, digits, _ and -", shown(c.name))})
		return
	}
	if first, ok := seen[c.name]; ok {
		l.fail(problem{where: c.where, what: fmt.Sprintf("a second sink is named %s, as in %s", c.name, first), remedy: "give it another with name=…, behind the ? of its URL"})
		return
	}
	seen[c.name] = c.where
	s, before := Sink{Name: c.name}, len(l.problems)
	for _, setting := range perSink() {
		l.setOfSink(&s, setting, c)
		if setting.key == "url" && s.URL.Kind() == "" {
			l.fail(problem{where: c.where, what: fmt.Sprintf("sink %s: %q is no URL of a sink", c.name, shown(string(s.URL))), remedy: sinkExamples})
			return
		}
	}
	if len(l.problems) == before {
		l.checkSink(&s, c.where)
	}
	l.config.Sinks = append(l.config.Sinks, s)
}

// setOfSink sets one setting: its variable, then where the sink was named, then the default.
func (l *loader) setOfSink(s *Sink, setting setting[Sink], c candidate) {
	v, given := c.values[setting.key]
	name := sourceVariable(c.name, setting.key)
	if text, ok := l.request.LookupEnv(name); ok && text != "" {
		v, given = value{texts: splitVariable(text, setting.list), origin: name}, true
	}
	switch {
	case v.bad:
		return
	case given && !setting.fits(s.URL.Kind()) && s.URL != "":
		l.fail(problem{where: v.origin, what: fmt.Sprintf("%s is a setting of %s sinks, and %s is another", setting.key, kindNames[setting.kind], c.name), remedy: "leave it out"})
		return
	case !given && (setting.preset == "" || !setting.fits(s.URL.Kind())):
		return
	case !given:
		v = value{texts: []string{setting.preset}, origin: defaultOrigin}
	}
	if err := setting.set(s, v.texts); err != nil {
		l.fail(problem{where: v.origin, what: fmt.Sprintf("%s of sink %s: %v", setting.key, c.name, err)})
		return
	}
	l.entry("sinks."+c.name+"."+setting.key, setting.secret, v)
}

// checkSink finds settings that do not go together.
func (l *loader) checkSink(s *Sink, where string) {
	fail := func(what, remedy string) {
		l.fail(problem{where: where, what: "sink " + s.Name + ": " + what, remedy: remedy})
	}
	avro := s.Messages.Format == envelope.DebeziumAvro || s.Messages.Format == envelope.FlatAvro
	p, _ := DSN(s.URL).url()
	_, password, _ := strings.Cut(p.user, ":")
	switch {
	case s.URL.Kind() == KindKafka && len(s.URL.Brokers()) == 0:
		fail("no broker is named", sinkExamples)
	case s.URL.Kind() == KindFile && s.URL.Dir() == "":
		fail("no folder is named", sinkExamples)
	case password != "":
		fail("a secret stands in the URL", "put it into "+sourceVariable(s.Name, "password")+", or into the file as password: ${env:NAME}")
	case hasPassword(s.Registry.URL):
		fail("a secret stands in the registry's URL", "write the user into registry_user, and put the password into "+sourceVariable(s.Name, "registry_password"))
	case s.URL.Kind() == KindKafka && (s.URL.User() == "") != (s.Password == ""):
		fail("a user and a password go together", "write kafka://user@host:port and set "+sourceVariable(s.Name, "password"))
	case avro && s.Registry.URL == "" && !s.Parquet:
		fail("format "+string(s.Messages.Format)+" needs a schema registry", "set registry to its URL")
	case avro && s.URL.Kind() == KindFile:
		fail("files hold no Avro", "choose debezium-json, flat-json, native or parquet")
	}
}
