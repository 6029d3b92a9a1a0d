//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/sinks"
	"cdc/sinks/envelope"
)

// Goal: a reader of Debezium's topics finds in ours what Debezium would have written.
//
// Method: testdata/debezium holds what Debezium 3.5.0 emitted for given SQL. The same SQL is run against a real server that the
// program captures; then the log is encoded, and every message is compared with the recorded one of the same step and topic, field by
// field. What differs must be explained by a line of the table of differences, of which docs/debezium-compatibility.md is made; a line
// that explains nothing fails, too.

// debeziumRecording is what Debezium emitted for a connector.
type debeziumRecording struct {
	// files are those of testdata/debezium: <name>.steps, <name>.jsonl and <name>-<variant>.jsonl.
	name string
	// variants are the settings besides the default ones that were recorded, by what the records call them.
	variants []debeziumVariant
	// database is the name of the rig's database, which the recording calls rec.
	database string
	// source introduces the source to the encoder; its name in topics is srv.
	source envelope.Source
	// differences are the lines that may apply.
	differences []debeziumDifference
}

// debeziumVariant is a setting with which the SQL was recorded again, as far as records differ from the default ones.
type debeziumVariant struct {
	// file is what the file's name ends in, empty for the main one; name is what its records say.
	file, name string
	set        func(o *envelope.Options)
	// strict compares ours in strict mode.
	strict bool
}

// strictVariant is what the comparison of strict mode with the default records is called in differences.
const strictVariant = "strict"

func (v *debeziumVariant) title() string {
	if v.strict {
		return strictVariant
	}
	return v.name
}

// debeziumStep is a piece of SQL, whose records follow each other.
type debeziumStep struct{ name, sql string }

// debeziumMessage is a message, recorded or ours.
type debeziumMessage struct {
	Variant   string          `json:"variant"`
	Step      string          `json:"step"`
	Topic     string          `json:"topic"`
	Headers   json.RawMessage `json:"headers"`
	Key       json.RawMessage `json:"key"`
	Value     json.RawMessage `json:"value"`
	Tombstone bool            `json:"tombstone"`
	Failure   json.RawMessage `json:"failure"`
	// sameID is set for the end of a transaction that has the id of its beginning.
	sameID bool
}

const (
	debeziumDir = "testdata/debezium"
	// debeziumMarker is the table whose rows tell where a step ends.
	debeziumMarker = "marker"
	// snapshotStep is what the recording calls the copy after the step setupStep.
	snapshotStep, setupStep = "snapshot", "setup"
)

// steps reads the SQL.
func (r *debeziumRecording) steps(t *testing.T) []debeziumStep {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(debeziumDir, r.name+".steps"))
	if err != nil {
		t.Fatal(err)
	}
	var steps []debeziumStep
	for part := range strings.SplitSeq(string(text), "-- step: ") {
		if name, sql, ok := strings.Cut(part, "\n"); ok && name != "" {
			steps = append(steps, debeziumStep{name: name, sql: strings.TrimRight(sql, "\n") + "\n"})
		}
	}
	return steps
}

// recorded reads the records of a variant.
func (r *debeziumRecording) recorded(t *testing.T, v debeziumVariant) []debeziumMessage {
	t.Helper()
	name := r.name
	if v.file != "" {
		name += "-" + v.file
	}
	file, err := os.Open(filepath.Join(debeziumDir, name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	var all []debeziumMessage
	for lines.Scan() {
		var m debeziumMessage
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		if m.Variant == v.name && m.Topic != "" {
			all = append(all, m)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// play runs the steps while a process captures the database, with a row of the marker table behind each. setup is run before the
// process is started, and gets the first step's SQL.
func (r *debeziumRecording) play(c *capture, setup func(sql string), run func(sql string)) {
	c.t.Helper()
	steps := r.steps(c.t)
	if len(steps) == 0 || steps[0].name != setupStep {
		c.t.Fatalf("%s.steps does not begin with the step %q", r.name, setupStep)
	}
	setup(steps[0].sql)
	p := c.run()
	for i, step := range steps {
		if i > 0 {
			run(step.sql)
		}
		c.appSQL(fmt.Sprintf("insert into %s values (%d);", debeziumMarker, i))
	}
	c.awaitCurrent()
	p.stop()
}

// compare encodes the log with the settings of each variant and compares.
func (r *debeziumRecording) compare(c *capture) {
	c.t.Helper()
	steps := r.steps(c.t)
	var n debeziumCount
	schemas := func(o *envelope.Options) { o.Schemas = true }
	for _, v := range append([]debeziumVariant{{name: "default"}, {name: "default", strict: true}, {name: "schemas", set: schemas}}, r.variants...) {
		ours := r.encode(c, steps, v)
		n.compare(c.t, r, v, r.recorded(c.t, v), ours)
	}
	c.t.Logf("%s: messages compared %d, equal %d, deliberately different %d", r.name, n.compared, n.equal, n.different)
	for _, d := range r.differences {
		if n.used[d.Name] == 0 {
			c.t.Errorf("the difference %q explains nothing", d.Name)
		}
	}
}

// encode makes messages of the log.
func (r *debeziumRecording) encode(c *capture, steps []debeziumStep, v debeziumVariant) []debeziumMessage {
	c.t.Helper()
	source := r.source
	o := envelope.Options{
		Transactions: true, TopicPrefix: "srv", Source: func(changelog.SourceID) (envelope.Source, error) { return source, nil },
	}
	o.Strict = v.strict
	if v.set != nil {
		v.set(&o)
	}
	encoder, err := envelope.New(o)
	if err != nil {
		c.t.Fatal(err)
	}
	e := debeziumEncoding{steps: steps, step: -1, rename: strings.NewReplacer(r.database, "rec"), variant: v.name}
	err = units(openLog(c.t, c.data()), func(u *changelog.Unit) error { return e.unit(encoder, u) })
	if err != nil {
		c.t.Fatalf("encode the log for variant %s: %v", v.name, err)
	}
	return e.all
}

// debeziumEncoding gathers messages with the steps that they belong to.
type debeziumEncoding struct {
	steps   []debeziumStep
	step    int // the last one that has ended
	rename  *strings.Replacer
	variant string
	all     []debeziumMessage
}

// unit encodes one unit. That of a marker ends its step and is left out.
func (e *debeziumEncoding) unit(encoder *envelope.Encoder, u *changelog.Unit) error {
	first, marked := len(e.all), -1
	err := encoder.Encode(context.Background(), u, func(m *sinks.Message) error {
		got := e.message(m)
		if strings.HasSuffix(got.Topic, "."+debeziumMarker) && u.Meta.Kind == changelog.UnitTx {
			marked++
			number := strings.Trim(string(m.Key[bytes.LastIndexByte(m.Key, ':')+1:]), "}")
			step, err := strconv.Atoi(number)
			if err != nil {
				return fmt.Errorf("read marker %s: %w", m.Key, err)
			}
			e.step = step
		}
		e.all = append(e.all, got)
		return nil
	})
	if marked >= 0 {
		e.all = e.all[:first]
	}
	return err
}

func (e *debeziumEncoding) message(m *sinks.Message) debeziumMessage {
	got := debeziumMessage{Variant: e.variant, Step: snapshotStep, Topic: e.rename.Replace(m.Topic), Tombstone: m.Value == nil}
	if e.step >= 0 && e.step+1 < len(e.steps) {
		got.Step = e.steps[e.step+1].name
	}
	got.Key, got.Value = e.raw(m.Key), e.raw(m.Value)
	var b strings.Builder
	for i, h := range m.Headers {
		sign := ","
		if i == 0 {
			sign = "{"
		}
		value := e.rename.Replace(string(h.Value))
		if !strings.HasPrefix(value, "{") {
			value = strconv.Quote(value)
		}
		fmt.Fprintf(&b, "%s%q:%s", sign, h.Name, value)
	}
	if b.Len() > 0 {
		got.Headers = json.RawMessage(b.String() + "}")
	}
	return got
}

func (e *debeziumEncoding) raw(b []byte) json.RawMessage {
	if b == nil {
		return json.RawMessage("null")
	}
	return json.RawMessage(e.rename.Replace(string(b)))
}
