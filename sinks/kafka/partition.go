package kafka

import (
	"fmt"
	"time"

	"cdc/changelog"
	"cdc/sinks"
)

// partition is a partition that a session writes. Index, topic and floor do not change; the session's mutex guards the rest.
type partition struct {
	topic *topic
	index int32
	// floor is up to where messages had arrived when the session began with the partition.
	floor sinks.Identity
	// end is where the last message that has arrived ends, last its offset in the log.
	end  int64
	last changelog.Offset

	leader   int32
	sequence int32
	// flight is the batch on its way, full are those that wait for it, filling the one that messages are added to.
	flight  *batch
	full    []*batch
	filling *batch
	// busy says that a sender, the list of a broker or a timer has the partition.
	busy bool
}

func (p *partition) name() string {
	return fmt.Sprintf("partition %d of topic %s", p.index, p.topic.name)
}

// oldest is the first batch that has not arrived, or nil.
func (p *partition) oldest() *batch {
	switch {
	case p.flight != nil:
		return p.flight
	case len(p.full) > 0:
		return p.full[0]
	}
	return p.filling
}

// depart is the batch to send: the one on its way again, or the next.
func (p *partition) depart() *batch {
	if p.flight != nil {
		return p.flight
	}
	if len(p.full) > 0 {
		p.flight = p.full[0]
		p.full[0] = nil
		if p.full = p.full[1:]; len(p.full) == 0 {
			p.full = nil
		}
		return p.flight
	}
	p.flight, p.filling = p.filling, nil
	return p.flight
}

// unanswered is how long the batch has been sent without an answer, by the clock that has gone further: one of them stands while a
// machine is suspended, the other may be set.
func (b *batch) unanswered(now time.Time) time.Duration {
	if b.firstTry.IsZero() {
		return 0
	}
	return max(now.Sub(b.firstTry), now.Round(0).Sub(b.firstTry.Round(0)))
}

// arrived is the last unit that has arrived with all before it: the last one written, if nothing of it or before it is on its way.
func arrived(written changelog.Offset, topics map[string]*topic) changelog.Offset {
	for _, t := range topics {
		for _, p := range t.partitions {
			if b := p.oldest(); b != nil {
				written = min(written, b.before)
			}
		}
	}
	return written
}
