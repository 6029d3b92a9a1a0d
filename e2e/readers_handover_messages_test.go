//go:build e2e && readers

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cdc/e2e/testservers"
)

// counterMessage is a message of the topic in short.
type counterMessage struct {
	record testservers.KafkaRecord
	id     int
	what   string
	ours   bool
	// place is empty for a tombstone.
	place string
	shape messageShape
}

// messageShape is what must not change when the program takes over: the schemas, and the names of fields and headers.
type messageShape struct{ key, value, fields, headers string }

// wantGoneOn compares the messages of each row with what was done to it, and looks at how many of the connector are repeated.
func (h *handover) wantGoneOn(right func(repeated int) bool) {
	h.t.Helper()
	rows, shapes := map[int][]counterMessage{}, map[messageShape]string{}
	messages := h.read()
	for _, m := range messages {
		rows[m.id] = append(rows[m.id], m)
		if m.place != "" {
			shapes[m.shape] += fmt.Sprintf(" %d/%d", m.record.Partition, m.record.Offset)
		}
	}
	if len(shapes) != 1 {
		for shape, offsets := range shapes {
			h.t.Errorf("messages%.60s are of the shape %+v", offsets, shape)
		}
	}
	last := h.lastOfConnector(messages)
	lastTx := h.history[last.id][theirs(rows[last.id])-1].tx
	repeated, ours := 0, 0
	for id, events := range h.history {
		r, o := h.compareRow(id, events, rows[id], lastTx)
		repeated, ours = repeated+r, ours+o
	}
	h.t.Logf("%d messages, %d of ours, of which %d repeat the connector's", len(messages), ours, repeated)
	if !right(repeated) {
		h.t.Errorf("%d messages are repeated", repeated)
	}
}

// lastOfConnector is the last message of the connector.
func (h *handover) lastOfConnector(messages []counterMessage) (last counterMessage) {
	for _, m := range messages {
		if !m.ours && m.place > last.place {
			last = m
		}
	}
	return last
}

// theirs counts messages before the first of ours.
func theirs(row []counterMessage) int {
	if n := slices.IndexFunc(row, func(m counterMessage) bool { return m.ours }); n >= 0 {
		return n
	}
	return len(row)
}

// compareRow compares a row's messages, and counts the repeated ones and ours.
func (h *handover) compareRow(id int, events []counterEvent, got []counterMessage, last string) (doubles, ours int) {
	h.t.Helper()
	theirs := theirs(got)
	ours = len(got) - theirs
	from := len(events) - ours
	if from > theirs || from < 0 || theirs > len(events) {
		h.t.Errorf("row %d: %d messages of the connector and %d of ours for %d changes", id, theirs, ours, len(events))
		return 0, ours
	}
	want := slices.Concat(events[:theirs], events[from:])
	for i, m := range got {
		switch {
		case m.what != want[i].what:
			h.t.Errorf("row %d: message %d is %q, want %q", id, i, m.what, want[i].what)
			return 0, ours
		case m.ours != (i >= theirs):
			h.t.Errorf("row %d: message %d of the connector is behind one of ours", id, i)
		case !bytes.Equal(m.record.Key, got[0].record.Key) || m.record.Partition != got[0].record.Partition:
			h.t.Errorf("row %d: %s in partition %d was %s in partition %d", id, m.record.Key, m.record.Partition, got[0].record.Key, got[0].record.Partition)
		}
	}
	for _, e := range events[from:theirs] {
		doubles++
		if e.tx != last && !h.anyRepeated {
			h.t.Errorf("row %d: %q of transaction %q is there twice, which is not the connector's last, %q", id, e.what, e.tx, last)
		}
	}
	return doubles, ours
}

// read reads the topic.
func (h *handover) read() (messages []counterMessage) {
	h.t.Helper()
	records, err := h.kafka.ReadTopic(h.t.Context(), h.topic, testservers.KafkaReadCommitted)
	must(h.t, err)
	for _, r := range records {
		messages = append(messages, h.message(r))
	}
	return messages
}

// message reads a message.
func (h *handover) message(r testservers.KafkaRecord) counterMessage {
	h.t.Helper()
	m := counterMessage{record: r, what: "tombstone"}
	var key struct{ ID int }
	m.shape.key = payload(h.t, r.Key, &key)
	m.id = key.ID
	for _, header := range r.Headers {
		switch header.Key {
		case "cdc.id":
			m.ours = true
		case "__debezium.context.runId": // of the connector alone
		default:
			m.shape.headers += header.Key + "=" + string(header.Value) + " "
		}
	}
	if r.Value == nil {
		return m
	}
	var value struct {
		Op     string
		After  struct{ N int }
		Source map[string]json.RawMessage
	}
	m.shape.value = h.withoutNewer(payload(h.t, r.Value, &value))
	m.what = value.Op
	if value.Op != "d" {
		m.what += " " + strconv.Itoa(value.After.N)
	}
	m.place = place(h.t, value.Source)
	for _, field := range h.newer {
		delete(value.Source, field)
	}
	var fields map[string]json.RawMessage
	payload(h.t, r.Value, &fields)
	m.shape.fields = fmt.Sprint(slices.Sorted(maps.Keys(fields)), slices.Sorted(maps.Keys(value.Source)))
	return m
}

// place is where the connector read a message, as text that compares. In PostgreSQL the end of the transaction before comes first, as
// transactions lie in the log side by side.
func place(t *testing.T, source map[string]json.RawMessage) string {
	t.Helper()
	if source["file"] != nil { // MySQL's
		return fmt.Sprintf("%s %20s %20s", source["file"], source["pos"], source["row"])
	}
	var sequence string
	var lsns [2]json.Number
	must(t, json.Unmarshal(source["sequence"], &sequence))
	must(t, json.Unmarshal([]byte(strings.ReplaceAll(sequence, `"`, "")), &lsns))
	return fmt.Sprintf("%20s %20s", lsns[0], lsns[1])
}

// payload reads what a converter with or without schemas has written, and returns the schema.
func payload(t *testing.T, text []byte, into any) (schema string) {
	t.Helper()
	var whole struct{ Schema, Payload json.RawMessage }
	must(t, json.Unmarshal(text, &whole))
	if whole.Payload != nil {
		text = whole.Payload
	}
	must(t, json.Unmarshal(text, into))
	return string(whole.Schema)
}

// withoutNewer leaves fields of newer Debeziums out of a schema.
func (h *handover) withoutNewer(schema string) string {
	for _, field := range h.newer {
		for _, kind := range []string{"string", "int64"} {
			schema = strings.Replace(schema, fmt.Sprintf(`,{"type":%q,"optional":true,"field":%q}`, kind, field), "", 1)
		}
	}
	return schema
}
