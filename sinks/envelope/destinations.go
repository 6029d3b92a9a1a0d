package envelope

import (
	"cmp"
	"slices"

	"cdc/schema"
	"cdc/sinks"
)

// Topics are those to which messages of the tables are published under the options, in the order of their names. Of several versions of
// a table the last one counts.
func (o *Options) Topics(tables []*schema.Table) []sinks.Topic {
	byName := map[string]sinks.Topic{}
	for _, t := range tables {
		prefix := cmp.Or(o.TopicPrefix, t.Source)
		name := topicName(prefix, t.Schema, t.Name)
		byName[name] = sinks.Topic{Name: name, Keyless: len(t.KeyColumns()) == 0}
		if o.Transactions {
			name := topicName(prefix, "transaction")
			byName[name] = sinks.Topic{Name: name}
		}
		if o.Heartbeats {
			name := topicName(heartbeatPrefix, prefix)
			byName[name] = sinks.Topic{Name: name}
		}
	}
	topics := make([]sinks.Topic, 0, len(byName))
	for _, t := range byName {
		topics = append(topics, t)
	}
	slices.SortFunc(topics, func(a, b sinks.Topic) int { return cmp.Compare(a.Name, b.Name) })
	return topics
}
