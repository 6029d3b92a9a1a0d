package envelope

import (
	"context"
	"testing"

	"cdc/changelog"
	"cdc/sinks"
)

// BenchmarkEncode is what a message of a row of seven columns costs in each format.
func BenchmarkEncode(b *testing.B) {
	l := newTestLog(b)
	table := l.table("orders", everyKind()[:7]...)
	row := l.row(table, "7", "t", "1.50", "12.5", "a note of some length", `\x00ff`, "2024-02-29")
	const changes = 1000
	for range changes {
		l.change(changelog.OpUpdate, table, row, row)
	}
	unit := l.unitBytes()
	encoders := map[string]sinks.Encoder{}
	for _, f := range []Format{DebeziumJSON, DebeziumAvro, FlatJSON, FlatAvro} {
		encoders[string(f)] = l.encoder(Options{Format: f, Serializer: newReader(b).serializer(AvroOptions{})})
	}
	encoders["debezium-json-schemas"] = l.encoder(Options{Schemas: true})
	native, err := NewNative(Options{Source: testSource})
	if err != nil {
		b.Fatal(err)
	}
	encoders[string(Native)] = native
	for name, e := range encoders {
		b.Run("format="+name, func(b *testing.B) {
			var bytes, messages int
			encode := func() {
				var u changelog.Unit
				if _, err := changelog.DecodeUnit(unit, &u); err != nil {
					b.Fatal(err)
				}
				u.Attach(l.catalog, nil, nil)
				if err := e.Encode(context.Background(), &u, func(m *sinks.Message) error {
					messages++
					bytes += len(m.Key) + len(m.Value)
					return nil
				}); err != nil {
					b.Fatal(err)
				}
			}
			encode() // schemas are registered once
			messages, bytes = 0, 0
			b.ReportAllocs()
			for b.Loop() {
				encode()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(messages), "ns/message")
			b.ReportMetric(float64(bytes)/float64(messages), "bytes/message")
		})
	}
}
