package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"cdc/changelog"
	"cdc/sinks"
)

// Kafka's error codes that decide something (Kafka protocol guide, "Error Codes").
const (
	codeOffsetOutOfRange       = 1
	codeCorrupt                = 2
	codeUnknownTopic           = 3
	codeTooLarge               = 10
	codeTopicUnauthorized      = 29
	codeTopicExists            = 36
	codeOutOfOrder             = 45
	codeInvalidProducerEpoch   = 47
	codeInvalidTransaction     = 48
	codeInvalidProducerMapping = 49
	codeConcurrentTransactions = 51
	codeTransactionalIDDenied  = 53
	codeNotAttempted           = 55
	codeAuthenticationFailed   = 58
	codeUnknownProducer        = 59
	codeProducerFenced         = 90
)

// verdict is what an answer of the broker means for what was asked.
type verdict int

const (
	done   verdict = iota
	again          // the same again, to whom it may concern by now
	reopen         // nothing can be said about it: fence, read back, and go on from there
	fenced         // another process is the writer
	refuse         // it lasts until somebody changes something
)

// judge is the one place that decides what a code means. A code that is not known is refused: the sink waits with the broker's text,
// and neither skips nor guesses.
func judge(code int16) verdict {
	switch code {
	case 0:
		return done
	case codeUnknownTopic, 5, 6, 7, 8, 9, 13, 19, 20, // leaders, replicas and time
		14, 15, 16, codeConcurrentTransactions, 52, // coordinators
		41, 56, 74, 75, 78, 89, -1: // controller, a broker's disk, leader epochs, quotas, unknown
		return again
	case codeOutOfOrder, codeUnknownProducer, codeInvalidTransaction, codeInvalidProducerMapping:
		return reopen
	case codeInvalidProducerEpoch, codeProducerFenced:
		return fenced
	}
	return refuse
}

// remedies say what to do about codes that last.
var remedies = map[int16]string{
	codeCorrupt: "look for a faulty network or proxy between cdc and the broker",
	17: "a topic's name has at most 249 signs, and may not differ from another one's in '.' and '_' alone: leave the table out by the sink's tables, " +
		"and publish it, if it is wanted, by a sink of another name and topic_prefix",
	codeTopicUnauthorized:     "allow the sink's principal Write, Read and Describe on the topic, and Create where topics are to be created; " + doctorKnows,
	30:                        "allow the sink's principal what the broker names",
	31:                        "allow the sink's principal IdempotentWrite and Create on the cluster",
	32:                        "set the clocks of this machine and of the broker, or the topic's message.timestamp.before.max.ms and message.timestamp.after.max.ms",
	33:                        "choose a SASL mechanism that the listener has",
	35:                        "use a version of Kafka that cdc supports",
	37:                        "choose another number of partitions",
	38:                        "choose a replication factor that the brokers can give",
	40:                        "correct the topic's configs",
	44:                        "ask who runs the cluster what its policy for topics is",
	codeTransactionalIDDenied: "allow the sink's principal Write and Describe on the transactional id; " + doctorKnows,
	54:                        "let the listener authenticate",
	codeAuthenticationFailed:  "correct the user or the password",
	87:                        "look at the topic's cleanup.policy: a compacted topic takes no message without a key, as of a table without one",
}

// brokerError is an error code with what was being done. again and reopen are such errors, which sinks.Run tries again.
type brokerError struct {
	doing   string
	code    int16
	message string
}

func (e *brokerError) Error() string { return e.doing + ": " + e.text() }

// text is the broker's own words behind the code.
func (e *brokerError) text() string {
	text := fmt.Sprintf("Kafka error %d", e.code)
	if title := kafkago.Error(e.code).Title(); title != "" {
		text += " (" + title + ")"
	}
	if e.message != "" {
		return text + ": " + e.message
	}
	if d := kafkago.Error(e.code).Description(); d != "" {
		return text + ": " + d
	}
	return text
}

// problem turns a code into an error; nil when there is none.
func problem(doing string, code int16, message string) error {
	e := &brokerError{doing: doing, code: code, message: message}
	switch judge(code) {
	case done:
		return nil
	case again, reopen:
		return e
	case fenced:
		return &sinks.Stop{
			Kind: changelog.StopFenced, Detail: "another process has become the writer of this sink: " + e.Error(),
			Remedy: "let one process publish this log under this sink's name, and restart this one if it is to be the one",
		}
	}
	return &sinks.Refused{Detail: e.Error(), Remedy: remedies[code]}
}

// problemWith is problem for what an authorizer may refuse: it names the right that the sink's principal lacks.
func problemWith(r right, doing string, code int16, message string) error {
	err := problem(doing, code, message)
	var refused *sinks.Refused
	if !errors.As(err, &refused) {
		return err
	}
	switch code {
	case codeTopicUnauthorized:
		refused.Remedy = fmt.Sprintf("allow the sink's principal %s on the topic; %s", r, doctorKnows)
	case codeTransactionalIDDenied:
		refused.Remedy = fmt.Sprintf("allow the sink's principal %s on the transactional id; %s", r, doctorKnows)
	}
	return refused
}

const doctorKnows = "'cdc doctor' prints the command that does"

// diverged is the stop for a destination that is not what this sink has written.
func diverged(remedy, format string, args ...any) error {
	return &sinks.Stop{Kind: changelog.StopDiverged, Detail: fmt.Sprintf(format, args...), Remedy: remedy}
}

// lasting reports whether asking the same again at once is pointless.
func lasting(err error) bool {
	var stop *sinks.Stop
	var refused *sinks.Refused
	var broker *brokerError
	return errors.As(err, &stop) || errors.As(err, &refused) || errors.As(err, &broker) && judge(broker.code) == reopen
}

// Pauses between tries of one request.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = time.Second
)

// pauseAfter is the pause after so many tries.
func pauseAfter(tries int) time.Duration {
	return min(firstPause<<min(max(tries-1, 0), 10), maxPause)
}

// retry repeats f while its error may pass, for as long as limit.
func retry(ctx context.Context, limit time.Duration, f func() error) error {
	deadline := time.Now().Add(limit)
	for tries := 1; ; tries++ {
		err := f()
		if err == nil || lasting(err) || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(pauseAfter(tries)):
		case <-ctx.Done():
			return err
		}
	}
}
