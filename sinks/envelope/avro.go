package envelope

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"cdc/changelog"
	"cdc/schema/avro"
	"cdc/sinks"
	"cdc/sinks/connect"
)

// Subjects says under which name the schemas of a topic are registered, by the names of Confluent's strategies.
type Subjects string

// Subject name strategies.
const (
	SubjectTopic       Subjects = "topic"        // <topic>-key and <topic>-value
	SubjectRecord      Subjects = "record"       // the name of the schema
	SubjectTopicRecord Subjects = "topic-record" // <topic>-<name of the schema>
)

// AvroOptions say where schemas are registered. Registry is required.
type AvroOptions struct {
	Registry *avro.Registry
	// Keys and Values are the strategies of either; SubjectTopic when empty.
	Keys, Values Subjects
	// Names is connect.AvroUnderscore when empty.
	Names connect.AvroNames
}

// Avro makes keys and values as Confluent's serializer does: a zero byte, the number of the schema in the registry, the value in
// Avro's binary encoding. A schema is registered before the first message that has it, so those of several versions of a table may
// take turns. It is for one goroutine, and keeps a little for every schema that it has seen.
//
// An error of Begin is one of the registry: a *sinks.Stop when it does not take a schema, a *sinks.Refused when somebody must change
// something, and else one that passes.
//
// Source: wire format of Confluent's schema registry.
type Avro struct {
	connect.Avro
	o    AvroOptions
	ids  map[avroUse][headerBytes]byte
	last [2]lastUse // of a key and of a value
}

var _ connect.Serializer = (*Avro)(nil)

// avroUse is a schema where it is used.
type avroUse struct {
	schema *connect.Schema
	topic  string
	part   connect.Part
}

// lastUse spares a look into the map while messages of one table follow each other.
type lastUse struct {
	avroUse
	header [headerBytes]byte
}

// headerBytes is what stands before a value: the zero byte and the number.
const headerBytes = 1 + 4

// NewAvro checks the options.
func NewAvro(o AvroOptions) (*Avro, error) {
	err := errors.Join(
		choice("subject names of keys", o.Keys, SubjectTopic, SubjectRecord, SubjectTopicRecord),
		choice("subject names of values", o.Values, SubjectTopic, SubjectRecord, SubjectTopicRecord),
		choice("names in Avro", o.Names, connect.AvroUnderscore, connect.AvroUnicode),
	)
	if o.Registry == nil {
		err = errors.Join(err, errors.New("no schema registry"))
	}
	if o.Names == "" {
		o.Names = connect.AvroUnderscore
	}
	return &Avro{o: o, ids: map[avroUse][headerBytes]byte{}}, err
}

// Begin implements connect.Serializer.
func (a *Avro) Begin(ctx context.Context, dst []byte, topic string, part connect.Part, s *connect.Schema) error {
	use := avroUse{schema: s, topic: topic, part: part}
	last := &a.last[part]
	if last.avroUse != use {
		header, err := a.header(ctx, use)
		if err != nil {
			return err
		}
		last.avroUse, last.header = use, header
	}
	a.Reset(append(dst, last.header[:]...))
	return nil
}

// End implements connect.Serializer.
func (a *Avro) End() ([]byte, error) { return a.Encoded(), nil }

// header is what stands before the values of a schema, which is registered when this process has not done so yet.
func (a *Avro) header(ctx context.Context, use avroUse) (header [headerBytes]byte, err error) {
	if header, ok := a.ids[use]; ok {
		return header, nil
	}
	text, err := connect.AvroSchema(use.schema, a.o.Names)
	if err != nil {
		return header, &sinks.Stop{
			Kind: changelog.StopSchema, Detail: fmt.Sprintf("topic %s cannot have an Avro schema: %v", use.topic, err),
			Remedy: fmt.Sprintf("set avro_names=%s, which keeps them apart and changes the names of all schemas of the sink, or leave the table out of the sink", connect.AvroUnicode),
		}
	}
	subject := a.subject(use)
	id, err := a.o.Registry.ID(ctx, subject, text)
	if err != nil {
		return header, registryError(err, subject)
	}
	binary.BigEndian.PutUint32(header[1:], uint32(id))
	a.ids[use] = header
	return header, nil
}

// subject is the name under which the schema is registered.
func (a *Avro) subject(use avroUse) string {
	strategy, suffix := a.o.Keys, "-key"
	if use.part == connect.Value {
		strategy, suffix = a.o.Values, "-value"
	}
	switch name := connect.AvroName(use.schema, a.o.Names); strategy {
	case SubjectRecord:
		return name
	case SubjectTopicRecord:
		return use.topic + "-" + name
	}
	return use.topic + suffix
}

// registryError says what an error of the registry means to a sink.
func registryError(err error, subject string) error {
	var e *avro.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Class {
	case avro.Refused:
		remedy := "check the registry's URL, its user and password, and what that user may do there"
		if e.Missing {
			remedy = "register the schema, or let the sink do it"
		}
		return &sinks.Refused{Detail: e.Error(), Remedy: remedy}
	case avro.Incompatible:
		return &sinks.Stop{
			Kind: changelog.StopSchema, Detail: e.Error(),
			Remedy: fmt.Sprintf("when its readers can do with the new schema, let the subject take it (PUT /config/%s {\"compatibility\": \"NONE\"}; "+
				"in Apicurio, where NONE leaves the registry's own level, another one, such as FORWARD for a new column) and try the sink again; else publish to new topics with another topic prefix", subject),
		}
	case avro.Invalid:
		return &sinks.Stop{
			Kind: changelog.StopSchema, Detail: e.Error(),
			Remedy: "see what the registry says of the schema; another format can be chosen, or the table left out",
		}
	}
	return err
}
