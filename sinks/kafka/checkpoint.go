package kafka

import (
	"encoding/json"
	"fmt"

	"cdc/changelog"
	"cdc/sinks"
)

// state is what a checkpoint says besides the offset. Stored; do not change the names.
type state struct {
	Topics map[string]topicState `json:"topics"`
	// After is the last unit that has arrived, when it lies before the checkpoint's offset: the cluster has lost messages, and they
	// are being sent again.
	After *changelog.Offset `json:"after,omitempty"`
}

// topicState has for each partition where the sink's last message that is known to have arrived ends, 0 for none, and the offset in
// the log that it has.
type topicState struct {
	Ends []int64            `json:"ends"`
	Last []changelog.Offset `json:"last"`
}

func (st state) encode() []byte {
	text, err := json.Marshal(st)
	if err != nil {
		panic(fmt.Sprintf("a map of numbers cannot be encoded: %v", err)) // a bug: nothing in it can fail
	}
	return text
}

// parseState returns the topics that a checkpoint knows, and the last unit that has arrived.
func parseState(c sinks.Checkpoint) (topics map[string]topicState, after changelog.Offset, err error) {
	if len(c.State) == 0 {
		return nil, c.Offset, nil
	}
	var st state
	err = json.Unmarshal(c.State, &st)
	for name, t := range st.Topics {
		if err == nil && (len(t.Ends) == 0 || len(t.Ends) != len(t.Last)) {
			err = fmt.Errorf("topic %q has %d ends and %d last offsets", name, len(t.Ends), len(t.Last))
		}
	}
	if err != nil {
		return nil, 0, &sinks.Stop{
			Kind: changelog.StopCorrupt, Detail: fmt.Sprintf("the state in the sink's checkpoint cannot be read: %v", err), Remedy: publishAgain,
		}
	}
	if st.After != nil {
		return st.Topics, min(c.Offset, *st.After), nil
	}
	return st.Topics, c.Offset, nil
}

// place is what is known of a partition before it is written.
type place struct {
	// first and end are the partition's offsets before this process fenced it.
	first, end int64
	// last is its last message of this sink.
	last found
	// recorded says that the checkpoint knows the topic, and with which end and last message of the partition.
	recorded     bool
	recordedEnd  int64
	recordedLast changelog.Offset
	// saved is the checkpoint, next the first offset that the log does not have yet.
	saved, next changelog.Offset
}

// shrunk reports whether the partition ends before what the checkpoint knows of it.
func (p *place) shrunk() bool { return p.recorded && p.end < p.recordedEnd }

// resume says up to where messages have arrived. lost is that some are gone from the partition's end, which have to be sent again.
func (p *place) resume(name string) (floor sinks.Identity, lost bool, err error) {
	saved := sinks.Identity{Offset: p.saved, Part: 255}
	found := p.last.end > 0
	shrunk := p.shrunk()
	switch {
	case found && p.last.id.Offset >= p.next:
		err = diverged("bring back the log that wrote it; or publish this one, which has another history, to other topics or under another id",
			"%s holds change %d of this log, which ends before %d: an older copy of the log has been put in its place", name, p.last.id.Offset, p.next)
	case shrunk && !found:
		err = diverged(publishAgain, "%s ends at %d and held messages of this sink up to %d: the topic has been made anew", name, p.end, p.recordedEnd)
	case shrunk && p.last.id.Offset > p.recordedLast:
		err = diverged("delete the topic, and then "+publishAgain,
			"%s ends at %d and held messages of this sink up to %d, and later ones follow what is missing: the topic has been made anew, or the cluster has lost messages, while the sink wrote", name, p.end, p.recordedEnd)
	case shrunk:
		return p.last.id, true, nil
	case found && p.last.id.After(saved):
		return p.last.id, false, nil
	case !found && !p.recorded && p.first > 0 && p.saved == 0:
		err = diverged("delete the topic and make it anew",
			"%s begins at %d, holds no message of this sink, and no checkpoint is left: whether changes were published to it before is not known", name, p.first)
	}
	return saved, false, err
}
