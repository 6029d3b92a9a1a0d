package e2e

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
	// Strict says whether strict mode does as Debezium does.
	Strict bool
	// Applies reports whether the difference is this one. Lines are asked in order.
	Applies func(d debeziumDiff) bool
}
