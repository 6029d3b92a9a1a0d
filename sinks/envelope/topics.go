package envelope

import (
	"fmt"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks"
)

// topicOwners is the full name of the table by topic.
type topicOwners map[string]string

// claim reserves the topic for the table, whose versions share it.
func (o topicOwners) claim(topic string, t *schema.Table) error {
	if other, ok := o[topic]; ok && other != t.FullName() {
		return &sinks.Stop{
			Kind:   changelog.StopSchema,
			Detail: fmt.Sprintf("tables %s and %s have one topic, %s, as a topic's name may have letters, digits, '.', '_' and '-' only", other, t.FullName(), topic),
			Remedy: "rename one of the tables, or leave one out of the sink",
		}
	}
	o[topic] = t.FullName()
	return nil
}
