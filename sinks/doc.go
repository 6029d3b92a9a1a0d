// Package sinks publishes what the log holds.
//
// A Sink is a destination: topics of a Kafka cluster, or files. Run reads the log's units in order and hands each to the sink, from
// where the destination itself says that it stands, so that every change is there once whatever was killed in between (G3). A sink
// never holds back a source: what it has not taken yet waits in the log.
//
// An Encoder turns a unit into messages. Package envelope has the encoders, package connect the schemas that their messages have,
// and the packages below this one the sinks; sinktest is the suite that all sinks pass.
package sinks
