package sinks

import "cdc/schema"

// newFilter remembers what wanted has said of each table version, as it is asked about every change; nil for nil. The filter is for
// one goroutine.
func newFilter(wanted func(*schema.Table) bool) func(*schema.Table) bool {
	if wanted == nil {
		return nil
	}
	var answers []answer // by version
	return func(t *schema.Table) bool {
		if int(t.Version) < len(answers) && answers[t.Version] != unasked {
			return answers[t.Version] == yes
		}
		for int(t.Version) >= len(answers) {
			answers = append(answers, unasked)
		}
		answers[t.Version] = no
		if wanted(t) {
			answers[t.Version] = yes
		}
		return answers[t.Version] == yes
	}
}

type answer uint8

const (
	unasked answer = iota
	no
	yes
)
