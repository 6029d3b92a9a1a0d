// Package kafka is the sink that writes messages to Kafka topics, each in its partition exactly once whatever is killed.
//
// Open makes this process the one writer: it fences every partition that the sink is known to write with an empty aborted
// transaction (a bumped producer epoch alone fences nobody), and only then reads back the identity of each partition's last message,
// which every message carries in the header cdc.id. Each partition goes on after its own identity. A topic that is met later is
// fenced and read back in the same way before the first message; messages to it are held meanwhile, and topics that are met while others
// are opened are opened together.
//
// Messages are put into record batches of format 2, encoded here. A partition has one batch on its way at most, and the same bytes
// are sent until the broker has answered: what was appended already is recognised by its producer, epoch and sequence. What has been
// unanswered for long is not sent again, as the broker may have forgotten the producer: the sink is opened anew, which fences and
// reads back. docs/formats/kafka.md describes the header and how keys are spread over partitions.
//
// The package talks to brokers through the protocol package of kafka-go over connections of its own, so that a request is either
// answered or its connection is gone, and a leader is looked for when it has moved and not by the clock.
package kafka
