//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// debeziumVolatile are the paths whose values belong to one run: times, places in the source's stream, numbers of transactions.
var debeziumVolatile = regexp.MustCompile(`^(value\.(payload\.)?(ts_ms|ts_us|ts_ns)` +
	`|value\.(payload\.)?source\.(ts_ms|ts_us|ts_ns|lsn|sequence|txId|xmin|file|pos|row|gtid|thread|server_id)` +
	`|value\.(payload\.)?(id|transaction\.id)|key\.(payload\.)?id of transaction` +
	`|headers\.__debezium\.context\.runId)$`)

// debeziumCount is the result of a comparison.
type debeziumCount struct {
	compared, equal, different int
	used                       map[string]int
	shown                      int
}

// unexplainedShown bounds what is printed of what nothing explains.
const unexplainedShown = 60

// debeziumPlace is where messages are compared in their order.
type debeziumPlace struct{ step, topic string }

// compare compares the messages of a variant, step by step and topic by topic. A file of a variant holds only what differs from the
// default, so of ours those messages are taken that have a recorded one of the same place, operation and key.
func (n *debeziumCount) compare(t *testing.T, r *debeziumRecording, v debeziumVariant, recorded, ours []debeziumMessage) {
	t.Helper()
	if n.used == nil {
		n.used = map[string]int{}
	}
	if v.name == "schemas" {
		recorded, ours = firstOfTopics(recorded), firstOfTopics(ours)
	}
	var places []debeziumPlace
	want, got := map[debeziumPlace][]debeziumMessage{}, map[debeziumPlace][]debeziumMessage{}
	noteIDs(recorded)
	noteIDs(ours)
	gather := func(into map[debeziumPlace][]debeziumMessage, all []debeziumMessage) {
		for _, m := range all {
			place := debeziumPlace{m.Step, m.Topic}
			if v.name == "schemas" {
				place.step = ""
			}
			if !slices.Contains(places, place) {
				places = append(places, place)
			}
			into[place] = append(into[place], m)
		}
	}
	gather(want, recorded)
	gather(got, ours)
	for _, place := range places {
		w, g := want[place], got[place]
		if v.file != "" {
			g = matching(w, g)
		}
		d := debeziumDiff{Connector: r.name, Variant: v.title(), Step: place.step, Topic: place.topic}
		for len(w)+len(g) > 0 {
			var a, b *debeziumMessage
			if len(w) > 0 {
				a = &w[0]
			}
			if len(g) > 0 {
				b = &g[0]
			}
			switch { // one of them may have no counterpart: a tombstone or a row of a copy stands for no change
			case a == nil || b == nil:
			case a.Tombstone && !b.Tombstone, isCopied(*a) && !isCopied(*b), unended(w) && !unended(g):
				b = nil
			case b.Tombstone && !a.Tombstone, isCopied(*b) && !isCopied(*a):
				a = nil
			}
			n.message(t, r, d, a, b)
			w, g = w[min(len(w), one(a)):], g[min(len(g), one(b)):]
		}
	}
}

// unended reports whether the first message begins a transaction that the next one does not end.
func unended(all []debeziumMessage) bool {
	return status(all[0]) == "BEGIN" && (len(all) == 1 || status(all[1]) != "END")
}

func status(m debeziumMessage) string {
	var v struct{ Status string }
	_ = json.Unmarshal(m.Value, &v) // none in a tombstone
	return v.Status
}

// isCopied reports whether the message is a row of a copy.
func isCopied(m debeziumMessage) bool { return operation(m) == "r" }

// one counts a message that is there.
func one(m *debeziumMessage) int {
	if m == nil {
		return 0
	}
	return 1
}

// firstOfTopics is the first message of each topic, or of BEGIN and END.
func firstOfTopics(all []debeziumMessage) []debeziumMessage {
	var first []debeziumMessage
	seen := map[string]bool{}
	for _, m := range all {
		name := m.Topic
		if strings.HasSuffix(name, ".transaction") && bytes.Contains(m.Value, []byte(`"END"`)) {
			name += " END"
		}
		if !seen[name] {
			seen[name] = true
			first = append(first, m)
		}
	}
	return first
}

// noteIDs notes which ends of transactions have the id of their beginnings.
func noteIDs(all []debeziumMessage) {
	var begun string
	for i := range all {
		var v struct{ Status, ID string }
		if !strings.HasSuffix(all[i].Topic, ".transaction") || json.Unmarshal(all[i].Value, &v) != nil {
			continue
		}
		if v.Status == "BEGIN" {
			begun = v.ID
		}
		all[i].sameID = v.Status == "END" && v.ID == begun
	}
}

// matching are ours of which a message is recorded.
func matching(recorded, ours []debeziumMessage) []debeziumMessage {
	var kept []debeziumMessage
	for _, w := range recorded {
		for i, g := range ours {
			if bytes.Equal(w.Key, g.Key) && operation(w) == operation(g) {
				kept = append(kept, g)
				ours = slices.Delete(slices.Clone(ours), i, i+1)
				break
			}
		}
	}
	return kept
}

func operation(m debeziumMessage) string {
	var v struct{ Op string }
	_ = json.Unmarshal(m.Value, &v) // none in a tombstone
	return v.Op
}

// message compares two messages, of which one may be missing.
func (n *debeziumCount) message(t *testing.T, r *debeziumRecording, d debeziumDiff, recorded, ours *debeziumMessage) {
	t.Helper()
	n.compared++
	var diffs []debeziumDiff
	switch {
	case ours == nil:
		d.Path, d.Recorded = "message", short(recorded.Key)+" "+short(recorded.Value)
		d.Op = operation(*recorded)
		diffs = append(diffs, d)
	case recorded == nil:
		d.Path, d.Ours = "message", short(ours.Key)+" "+short(ours.Value)
		d.Op = operation(*ours)
		diffs = append(diffs, d)
	default:
		d.Op = operation(*recorded)
		diffs = compareMessages(t, d, recorded, ours)
	}
	if len(diffs) == 0 {
		n.equal++
		return
	}
	explained, everywhere := true, true
	for _, d := range diffs {
		strict := d.Variant == strictVariant
		i := slices.IndexFunc(r.differences, func(line debeziumDifference) bool { return !(strict && line.Strict) && line.Applies(d) })
		if i >= 0 {
			n.used[r.differences[i].Name]++
			everywhere = everywhere && r.differences[i].Everywhere
			continue
		}
		explained = false
		if n.shown++; n.shown <= unexplainedShown {
			t.Errorf("%s %s, step %q, topic %s, op %q, %s:\n  recorded %s\n  ours     %s", d.Connector, d.Variant, d.Step, d.Topic, d.Op, d.Path, short([]byte(d.Recorded)), short([]byte(d.Ours)))
		} else {
			t.Fail()
		}
	}
	switch {
	case explained && everywhere:
		n.equal++
	case explained:
		n.different++
	}
}

// short cuts what is printed.
func short(b []byte) string {
	const limit = 300
	if len(b) > limit {
		return string(b[:limit]) + "…"
	}
	return string(b)
}

// compareMessages lists the leaves that differ.
func compareMessages(t *testing.T, d debeziumDiff, recorded, ours *debeziumMessage) []debeziumDiff {
	t.Helper()
	var diffs []debeziumDiff
	for _, part := range []struct {
		name           string
		recorded, ours json.RawMessage
	}{{"headers", recorded.Headers, ours.Headers}, {"key", recorded.Key, ours.Key}, {"value", recorded.Value, ours.Value}} {
		w, g := leavesOf(t, part.name, part.recorded), leavesOf(t, part.name, part.ours)
		for _, path := range union(w, g) {
			a, inRecorded := w.values[path]
			b, inOurs := g.values[path]
			if inRecorded && inOurs && (a == b || volatile(d.Topic, path)) {
				continue
			}
			d.Path, d.Recorded, d.Ours = path, a, b
			diffs = append(diffs, d)
		}
	}
	if recorded.sameID != ours.sameID {
		d.Path, d.Recorded, d.Ours = "the id of BEGIN", fmt.Sprint(recorded.sameID), fmt.Sprint(ours.sameID)
		diffs = append(diffs, d)
	}
	return diffs
}

func volatile(topic, path string) bool {
	if strings.HasSuffix(topic, ".transaction") && strings.HasPrefix(path, "key.") {
		path += " of transaction"
	}
	return debeziumVolatile.MatchString(path)
}

// leaves are the values of a message by their paths, as they are written. The order of an object's members is one more leaf.
type leaves struct {
	paths  []string
	values map[string]string
}

func (l *leaves) add(path, value string) {
	l.paths = append(l.paths, path)
	l.values[path] = value
}

func union(a, b leaves) []string {
	paths := slices.Clone(a.paths)
	for _, path := range b.paths {
		if _, ok := a.values[path]; !ok {
			paths = append(paths, path)
		}
	}
	return paths
}

func leavesOf(t *testing.T, name string, raw json.RawMessage) leaves {
	t.Helper()
	l := leaves{values: map[string]string{}}
	if len(raw) == 0 {
		return l
	}
	if err := l.walk(name, raw); err != nil {
		t.Fatalf("read %s: %v\n%s", name, err, raw)
	}
	return l
}

func (l *leaves) walk(path string, raw json.RawMessage) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' && raw[0] != '[' {
		l.add(path, string(raw))
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.Token(); err != nil {
		return err
	}
	if raw[0] == '[' {
		return l.walkArray(path, dec)
	}
	empty := true
	for dec.More() {
		empty = false
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if err := l.walk(path+"."+fmt.Sprint(name), value); err != nil {
			return err
		}
	}
	if empty {
		l.add(path, "{}")
	}
	return nil
}

// walkArray names the fields of a schema and the collections of a transaction by their names, others by their numbers.
func (l *leaves) walkArray(path string, dec *json.Decoder) error {
	n := 0
	for ; dec.More(); n++ {
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		name := fmt.Sprint(n)
		var item struct {
			Field      string `json:"field"`
			Collection string `json:"data_collection"`
		}
		if json.Unmarshal(value, &item) == nil && item.Field+item.Collection != "" {
			name = item.Field + item.Collection
		}
		if err := l.walk(path+"["+name+"]", value); err != nil {
			return err
		}
	}
	if n == 0 {
		l.add(path, "[]")
	}
	return nil
}
