package debezium

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Outcome says what became of a property.
type Outcome string

// Outcomes.
const (
	Translated  Outcome = "translated"
	Unneeded    Outcome = "not needed"
	Unsupported Outcome = "no counterpart"
	Unknown     Outcome = "unknown"
)

// Finding is what became of one property, or of a default that it leaves. Secrets are not repeated.
type Finding struct {
	Property string
	Outcome  Outcome
	// Note says what it became, or why not and what to do.
	Note string
}

// Setting is one line of the configuration.
type Setting struct {
	Key    string
	Values []string
}

// Translation is a configuration of ours.
type Translation struct {
	// Source is the source's name, Sink the sink's.
	Source, Sink                 string
	SourceSettings, SinkSettings []Setting
	Findings                     []Finding
}

// kind is a kind of connector.
type kind struct{ class, scheme, port string }

var kinds = []kind{
	{"io.debezium.connector.postgresql.PostgresConnector", "postgres", "5432"},
	{"io.debezium.connector.mysql.MySqlConnector", "mysql", "3306"},
	{"io.debezium.connector.mariadb.MariaDbConnector", "mysql", "3306"},
}

// Translate translates a connector. It is an error when it is of a class that captures no database of ours.
func Translate(c *Connector) (*Translation, error) {
	class := c.Properties["connector.class"]
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.class == class })
	if i < 0 {
		return nil, fmt.Errorf("connector.class %q is no connector for PostgreSQL, MySQL or MariaDB", class)
	}
	t := &translator{kind: kinds[i], left: maps.Clone(c.Properties), Translation: &Translation{Sink: "kafka"}}
	delete(t.left, "name")
	t.take("connector.class", "the scheme of the source's DSN")
	t.source(c)
	t.tables()
	t.sink()
	t.rest()
	slices.SortStableFunc(t.Findings, func(a, b Finding) int { return strings.Compare(a.Property, b.Property) })
	return t.Translation, nil
}

// translator takes properties away as it translates them.
type translator struct {
	kind kind
	left map[string]string
	*Translation
}

// take takes a property that became something.
func (t *translator) take(key, became string) (string, bool) {
	return t.takeAs(key, Translated, became)
}

func (t *translator) takeAs(key string, o Outcome, note string) (string, bool) {
	v, ok := t.left[key]
	if ok {
		delete(t.left, key)
		t.Findings = append(t.Findings, Finding{key, o, note})
	}
	return v, ok
}

func (t *translator) setSource(key string, values ...string) {
	t.SourceSettings = append(t.SourceSettings, Setting{key, values})
}

func (t *translator) setSink(key string, values ...string) {
	t.SinkSettings = append(t.SinkSettings, Setting{key, values})
}

var nameOfSource = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$`)

// source translates where the database is and how it is read.
func (t *translator) source(c *Connector) {
	prefix, _ := t.take("topic.prefix", "the source's name, with which topics begin")
	if prefix == "" {
		prefix, _ = t.take("database.server.name", "the source's name, with which topics begin")
	}
	switch t.Source = prefix; {
	case prefix == "":
		t.Source = "source"
	case !nameOfSource.MatchString(prefix):
		t.Source = "source"
		t.setSink("topic_prefix", prefix)
	}
	t.setSource("dsn", t.dsn())
	if _, ok := t.take("database.password", "a variable: set it to the password"); ok {
		t.setSource("password", "${env:DATABASE_PASSWORD}")
	}
	if v, ok := t.take("publication.name", "publication"); ok {
		t.setSource("publication", v)
		t.takeAs("publication.autocreate.mode", Unneeded, "cdc takes the publication as it is")
	} else if t.kind.scheme == "postgres" {
		t.takeAs("publication.autocreate.mode", Unneeded, "cdc makes a publication of exactly the captured tables")
	}
	if v, ok := t.take("database.server.id", "server_id: stop the connector before cdc reads under its number"); ok {
		t.setSource("server_id", v)
	}
	if v, ok := t.left["snapshot.mode"]; ok && v != "initial" && v != "when_needed" {
		t.takeAs("snapshot.mode", Unsupported, "cdc always copies each table once, as it must know every row; the copies are published as op r")
	}
	t.takeAs("slot.name", Unsupported, "cdc reads a slot of its own; drop this one when the connector is gone: SELECT pg_drop_replication_slot(…)")
}

// dsn makes the source's DSN, without a password.
func (t *translator) dsn() string {
	const became = "the source's DSN"
	host, _ := t.take("database.hostname", became)
	port, _ := t.take("database.port", became)
	user, _ := t.take("database.user", became)
	database, _ := t.take("database.dbname", became)
	if port == "" {
		port = t.kind.port
	}
	u := url.URL{Scheme: t.kind.scheme, Host: net.JoinHostPort(host, port), Path: "/" + database}
	if user != "" {
		u.User = url.User(user)
	}
	query := url.Values{}
	if mode, ok := t.take("database.sslmode", became+": sslmode"); ok {
		query.Set("sslmode", mode)
	}
	if cert, ok := t.take("database.sslrootcert", became+": sslrootcert"); ok {
		query.Set("sslrootcert", cert)
	}
	if mode, ok := t.take("database.ssl.mode", became+": tls"); ok {
		query.Set("tls", map[string]string{
			"disabled": "disable", "preferred": "require", "required": "require", "verify_ca": "verify-ca", "verify_identity": "verify-full",
		}[strings.ToLower(mode)])
	}
	u.RawQuery = query.Encode()
	return strings.TrimSuffix(u.String(), "/")
}

// lists are the properties that choose tables: each text becomes patterns.
var lists = []struct {
	key, exclude, rest string
}{
	{key: "schema.include.list", rest: ".*"},
	{key: "database.include.list", rest: ".*"},
	{key: "table.include.list"},
	{key: "schema.exclude.list", exclude: "!", rest: ".*"},
	{key: "database.exclude.list", exclude: "!", rest: ".*"},
	{key: "table.exclude.list", exclude: "!"},
}

func (t *translator) tables() {
	var patterns []string
	if t.left["table.include.list"] != "" { // it says more than the list of schemas that it goes with
		t.takeAs("schema.include.list", Unneeded, "table.include.list says more")
		t.takeAs("database.include.list", Unneeded, "table.include.list says more")
	}
	for _, list := range lists {
		text, ok := t.take(list.key, "tables")
		if !ok {
			continue
		}
		for item := range strings.SplitSeq(text, ",") {
			pattern, exact := globOf(strings.TrimSpace(item) + strings.ReplaceAll(list.rest, ".", `\.`))
			if !exact {
				t.Findings = append(t.Findings, Finding{list.key, Unsupported, fmt.Sprintf("%q is more than a pattern with * and ? can say; write its tables out", item)})
				continue
			}
			patterns = append(patterns, list.exclude+pattern)
		}
	}
	if len(patterns) > 0 {
		t.setSource("tables", patterns...)
	}
}

// globOf is a regular expression as a pattern with * and ?; not exact when there is none that means the same.
func globOf(expression string) (pattern string, exact bool) {
	expression = strings.TrimSuffix(strings.TrimPrefix(expression, "^"), "$")
	var b strings.Builder
	for i := 0; i < len(expression); i++ {
		switch c := expression[i]; {
		case c == '\\' && i+1 < len(expression) && strings.IndexByte(`.-_$`, expression[i+1]) >= 0:
			i++
			b.WriteByte(expression[i])
		case c == '.' && i+1 < len(expression) && expression[i+1] == '*':
			i++
			b.WriteByte('*')
		case c == '.':
			b.WriteByte('.') // what people mean by a dot between two names
		case strings.IndexByte(`*+?[](){}|\^$`, c) >= 0:
			if c == '*' && strings.HasSuffix(b.String(), ".") {
				b.WriteByte('*')
				continue
			}
			return "", false
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

// choices are properties whose values are ours under another name.
var choices = []struct{ property, key string }{
	{"decimal.handling.mode", "decimals"},
	{"time.precision.mode", "times"},
	{"binary.handling.mode", "binary"},
	{"bigint.unsigned.handling.mode", "unsigned"},
	{"tombstones.on.delete", "tombstones"},
	{"provide.transaction.metadata", "transactions"},
}

// sink translates what is published.
func (t *translator) sink() {
	brokers, ok := t.takeAs("schema.history.internal.kafka.bootstrap.servers", Translated, "the sink's URL; there is no history of schemas to keep")
	if !ok {
		brokers = "KAFKA:9092"
		t.Findings = append(t.Findings, Finding{"bootstrap.servers", Unknown, "a connector's file does not name the brokers: put them into the sink's URL"})
	}
	t.SinkSettings = append([]Setting{{"url", []string{"kafka://" + brokers}}}, t.SinkSettings...)
	t.format()
	for _, c := range choices {
		if v, ok := t.take(c.property, c.key); ok {
			t.setSink(c.key, v)
		}
	}
	if v, ok := t.take("heartbeat.interval.ms", "heartbeats, about once a second; an idle source holds nothing back without them, either"); ok && v != "0" {
		t.setSink("heartbeats", "true")
	}
	if v, ok := t.left["skipped.operations"]; ok {
		switch v {
		case "none":
			t.take("skipped.operations", "truncates")
			t.setSink("truncates", "true")
		case "t":
			t.takeAs("skipped.operations", Unneeded, "truncates are not published by default")
		default:
			t.takeAs("skipped.operations", Unsupported, "cdc publishes all changes of a row; only truncates can be left out")
		}
	}
}

// format translates converters and the transformation that leaves the new row alone.
func (t *translator) format() {
	avro, bare := false, map[string]bool{}
	for _, part := range []string{"key", "value"} {
		class, _ := t.take(part+".converter", "format")
		avro = avro || strings.HasSuffix(class, "AvroConverter")
		if v, ok := t.take(part+".converter.schemas.enable", "schemas"); ok && v == "false" {
			bare[part] = true
		}
		t.registry(part)
		if v, ok := t.take(part+".converter.auto.register.schemas", "register_schemas"); ok && part == "value" {
			t.setSink("register_schemas", v)
		}
		t.subjects(part)
	}
	flat := false
	if names, ok := t.left["transforms"]; ok {
		flat = t.transforms(names)
	}
	format := map[[2]bool]string{{false, false}: "debezium-json", {false, true}: "flat-json", {true, false}: "debezium-avro", {true, true}: "flat-avro"}
	t.setSink("format", format[[2]bool{avro, flat}])
	switch {
	case avro:
	case len(bare) == 0:
		t.setSink("schemas", "true")
	case len(bare) == 1:
		t.Findings = append(t.Findings, Finding{"converter.schemas.enable", Unsupported, "messages have schemas in keys and values, or in neither: here in neither"})
	}
	t.names(avro)
}

// registry translates where the schema registry is, and as whom to ask it: keys and values have one.
func (t *translator) registry(part string) {
	at, _ := t.take(part+".converter.schema.registry.url", "registry, the first one")
	t.takeAs(part+".converter.basic.auth.credentials.source", Unneeded, "a user is taken from where it is")
	user, _ := t.take(part+".converter.basic.auth.user.info", "registry_user, and a variable: set it to the password")
	if part != "value" || at == "" {
		return
	}
	at, _, _ = strings.Cut(at, ",")
	if scheme, rest, ok := strings.Cut(at, "://"); ok {
		if i := strings.LastIndexByte(rest, '@'); i >= 0 {
			at, user = scheme+"://"+rest[i+1:], rest[:i]
		}
	}
	t.setSink("registry", at)
	if name, _, ok := strings.Cut(user, ":"); ok {
		t.setSink("registry_user", name)
		t.setSink("registry_password", "${env:REGISTRY_PASSWORD}")
	}
}

// names translates what becomes of characters that a name may not have in Avro, which Debezium replaces in JSON, too.
func (t *translator) names(avro bool) {
	const unicode = "avro_unicode"
	apart := false
	for _, property := range []string{"schema.name.adjustment.mode", "field.name.adjustment.mode"} {
		switch {
		case !avro && t.left[property] == "none":
			t.takeAs(property, Unneeded, "names in JSON stay as they are")
		case !avro:
			t.takeAs(property, Unsupported, "names in JSON stay as they are")
		case t.left[property] == unicode:
			t.take(property, "avro_names, for types and fields")
			apart = true
		default:
			t.takeAs(property, Unneeded, "Avro's names are adjusted by default")
		}
	}
	if apart {
		t.setSink("avro_names", unicode)
	}
}

// subjectStrategies are Confluent's classes.
var subjectStrategies = map[string]string{"TopicNameStrategy": "topic", "RecordNameStrategy": "record", "TopicRecordNameStrategy": "topic-record"}

// subjects translates the strategy by which a converter names subjects.
func (t *translator) subjects(part string) {
	property := part + ".converter." + part + ".subject.name.strategy"
	class := t.left[property]
	if class == "" {
		return
	}
	strategy, ok := subjectStrategies[class[strings.LastIndexByte(class, '.')+1:]]
	if !ok {
		t.takeAs(property, Unsupported, "subjects are named by topic, record or topic-record")
		return
	}
	t.take(property, part+"_subjects")
	t.setSink(part+"_subjects", strategy)
}

// transforms reports whether one of the transformations leaves the new row alone. Others have no counterpart.
func (t *translator) transforms(names string) (flat bool) {
	t.take("transforms", "format")
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		prefix := "transforms." + name + "."
		mine := strings.HasSuffix(t.left[prefix+"type"], "ExtractNewRecordState")
		flat = flat || mine
		for key := range t.left {
			switch {
			case !strings.HasPrefix(key, prefix):
			case mine:
				t.takeAs(key, Translated, "format: the new row with __deleted and __version")
			default:
				t.takeAs(key, Unsupported, "cdc has no transformations: let a view of 'cdc sql' or the reader do it")
			}
		}
	}
	return flat
}

// unneeded are beginnings of properties that have nothing to do here, with the reason.
var unneeded = []struct{ prefix, why string }{
	{"plugin.name", "cdc reads pgoutput, which every server has"},
	{"heartbeat.", "the slot moves on while nothing of ours changes"},
	{"schema.history.", "versions of tables are in the log"},
	{"snapshot.", "a first copy needs no setting; --copy-readers and --copy-rows-per-second tune it"},
	{"incremental.snapshot.", "'cdc snapshot TABLE' copies again beside the stream"},
	{"signal.", "'cdc snapshot TABLE' copies again beside the stream"},
	{"max.batch.size", "batches form by themselves"},
	{"max.queue.size", "what waits is in the log"},
	{"poll.interval.ms", "nothing is polled"},
	{"tasks.max", "there is one process"},
	{"slot.", "cdc makes its slot as it needs it"},
	{"status.update.interval.ms", "positions are acknowledged as soon as they are durable"},
	{"errors.", "nothing is skipped: a change that cannot be read or published is a named stop"},
	{"event.processing.failure.handling.mode", "nothing is skipped: a change that cannot be read is a named stop"},
	{"include.schema.changes", "versions of tables are in the log"},
	{"topic.creation.", "partitions and replication_factor of the sink"},
	{"connect.", "connections are kept and made again by themselves"},
	{"retriable.", "failed connections are tried again for ever"},
}

// unsupported are beginnings of properties that do something which cdc does not.
var unsupported = []struct{ prefix, why string }{
	{"column.", "all columns are captured as they are; hide them by a view at the source"},
	{"message.key.columns", "keys are those of the tables"},
	{"converters", "there are no converters of one's own"},
	{"hstore.handling.mode", "hstore is published as JSON"},
	{"interval.handling.mode", "intervals are published as numbers of microseconds"},
	{"producer.override.", "settings of the sink: compression and tls"},
	{"predicates", "there are no predicates"},
	{"database.ssl.", "give the files in the DSN: tls_ca, tls_cert, tls_key"},
	{"database.initial.statements", "sessions are set up as capture needs them"},
}

// rest says what became of all other properties.
func (t *translator) rest() {
	for _, key := range slices.Sorted(maps.Keys(t.left)) {
		t.takeAs(key, Unknown, "this property is not known here; look into docs/configuration.md for what it did")
		f := &t.Findings[len(t.Findings)-1]
		for _, u := range unneeded {
			if strings.HasPrefix(key, u.prefix) {
				f.Outcome, f.Note = Unneeded, u.why
			}
		}
		for _, u := range unsupported {
			if strings.HasPrefix(key, u.prefix) {
				f.Outcome, f.Note = Unsupported, u.why
			}
		}
	}
}
