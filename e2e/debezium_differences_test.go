package e2e

import "regexp"

// debeziumDiff is a leaf in which a message differs from the recorded one. Recorded or Ours is empty where it is missing; the path is
// "message" when the whole message is.
type debeziumDiff struct {
	Connector, Variant, Step, Topic, Op string
	Path, Recorded, Ours                string
}

// debeziumDifference is a deliberate difference: a line of docs/debezium-compatibility.md.
type debeziumDifference struct {
	// Name is the line's title, Debezium what Debezium does, Ours what we do and why.
	Name, Debezium, Ours string
	// Strict says that strict mode does as Debezium does; the comparison is made in that mode, too.
	Strict bool
	// Everywhere is for what differs in nearly every message, so that it does not hide in the count which messages differ otherwise.
	Everywhere bool
	// Applies reports whether the difference is this one. Lines are asked in order.
	Applies func(d debeziumDiff) bool
}

// where is a pattern of differences. Each field is a regular expression for the whole of its text; an empty one fits anything.
type where struct{ Variant, Step, Topic, Op, Path, Recorded, Ours string }

// anyOf is an Applies that holds for any of the patterns.
func anyOf(all ...where) func(debeziumDiff) bool {
	type pattern [7]*regexp.Regexp
	patterns := make([]pattern, len(all))
	for i, w := range all {
		for k, text := range [...]string{w.Variant, w.Step, w.Topic, w.Op, w.Path, w.Recorded, w.Ours} {
			if text != "" {
				patterns[i][k] = regexp.MustCompile(`(?s)^(?:` + text + `)$`)
			}
		}
	}
	return func(d debeziumDiff) bool {
		for _, p := range patterns {
			fits := true
			for k, text := range [...]string{d.Variant, d.Step, d.Topic, d.Op, d.Path, d.Recorded, d.Ours} {
				fits = fits && (p[k] == nil || p[k].MatchString(text))
			}
			if fits {
				return true
			}
		}
		return false
	}
}
