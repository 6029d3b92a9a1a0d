// Package connect has the data model of Kafka Connect: the schemas that messages have, and the two forms in which readers expect
// them, JSON as Connect's JsonConverter writes it and Avro as Confluent's AvroConverter does.
//
// Values never become objects: whoever has one writes it to an Output, piece by piece, under the Schema that it has.
//
// Sources: the classes ConnectSchema, JsonConverter (Apache Kafka, connect/api and connect/json) and AvroData (Confluent schema
// registry, avro-data).
package connect
