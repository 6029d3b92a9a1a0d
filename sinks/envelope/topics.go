package envelope

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks"
)

// topicOwner is the table whose changes a topic has.
type topicOwner struct {
	id                   schema.TableID
	source, schema, name string
}

func ownerOf(t *schema.Table) topicOwner {
	return topicOwner{id: t.ID, source: t.Source, schema: t.Schema, name: t.Name}
}

// same reports whether both are one table: renamed, or dropped and made again under its name.
func (o topicOwner) same(other topicOwner) bool {
	return o.id == other.id || o.source == other.source && o.schema == other.schema && o.name == other.name
}

// topic is that of the table's changes.
func (e *Encoder) topic(o topicOwner) string {
	return topicName(cmp.Or(e.o.TopicPrefix, o.source), o.schema, o.name)
}

// String is the table as a pattern of tables that matches nothing else.
func (o topicOwner) String() string {
	parts := []string{o.source, o.schema, o.name}
	for i, part := range parts {
		if !plainName(part) {
			parts[i] = `"` + strings.ReplaceAll(part, `"`, `""`) + `"`
		}
	}
	return strings.Join(parts, ".")
}

func plainName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' })
}

// index learns the owners of topics that the log knows, once for all versions up to the one that is met.
func (e *Encoder) index(met schema.VersionID) {
	if e.o.Tables == nil || met <= e.indexed {
		return
	}
	e.indexed, e.owners = met, make(map[string][]topicOwner)
	for _, v := range e.o.Tables() {
		owner := ownerOf(v)
		topic := e.topic(owner)
		if !slices.ContainsFunc(e.owners[topic], owner.same) {
			e.owners[topic] = append(e.owners[topic], owner)
		}
		e.indexed = max(e.indexed, v.Version)
	}
}

// rival is another table with the topic: one that was published, or that the log knows.
func (e *Encoder) rival(topic string, owner topicOwner) (topicOwner, bool) {
	if other, ok := e.topics[topic]; ok && !owner.same(other) {
		return other, true
	}
	for _, other := range e.owners[topic] {
		if !owner.same(other) {
			return other, true
		}
	}
	return topicOwner{}, false
}

// mostShared bounds the pairs that a stop lists.
const mostShared = 10

// sharedTopic is the stop for two tables of one topic. It names the other pairs too, which would be stops one after another.
func (e *Encoder) sharedTopic(topic string, owner, other topicOwner) *sinks.Stop {
	if owner.id < other.id {
		owner, other = other, owner // the newer one is more likely to be done without
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(e.owners)) {
		for _, o := range e.owners[name][1:] {
			if name != topic {
				pairs = append(pairs, e.owners[name][0].String()+" and "+o.String())
			}
		}
	}
	detail := fmt.Sprintf("tables %s and %s have one topic, %s, as the parts of its name are joined by points and have letters, digits, '.', '_' and '-' only",
		other, owner, topic)
	if n := len(pairs); n > mostShared {
		pairs = append(pairs[:mostShared], fmt.Sprintf("%d more", n-mostShared))
	}
	if len(pairs) > 0 {
		detail += "; so have " + strings.Join(pairs, ", ")
	}
	return &sinks.Stop{
		Kind: changelog.StopSchema, Detail: detail,
		Remedy: fmt.Sprintf("leave one of the two out by the sink's tables, as in '!%s', and publish it, if it is wanted, by a sink of another name and topic_prefix", owner),
	}
}
