package main

import (
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/present"
	"cdc/schema"
)

// statusShape is that of a source's row and of a sink's: what one of the two does not have is null there.
var statusShape = present.Shape(
	present.Field{Name: "source", Kind: schema.Text}, present.Field{Name: "kind", Kind: schema.Text},
	present.Field{Name: "phase", Kind: schema.Text}, present.Field{Name: "epoch", Kind: schema.Uint32},
	present.Field{Name: "position", Kind: schema.Text}, present.Field{Name: "offset", Kind: schema.Uint64},
	present.Field{Name: "clock", Kind: schema.TimestampTZ}, present.Field{Name: "lag_seconds", Kind: schema.Float64},
	present.Field{Name: "lag_bytes", Kind: schema.Int64}, present.Field{Name: "held_bytes", Kind: schema.Int64},
	present.Field{Name: "tables", Kind: schema.Int32}, present.Field{Name: "untracked", Kind: schema.Int32},
	present.Field{Name: "stop", Kind: schema.Text}, present.Field{Name: "error", Kind: schema.Text},
	present.Field{Name: "sink", Kind: schema.Text}, present.Field{Name: "lag_offsets", Kind: schema.Uint64},
	present.Field{Name: "messages", Kind: schema.Uint64}, present.Field{Name: "bytes", Kind: schema.Uint64},
	present.Field{Name: "waiting_bytes", Kind: schema.Int64}, present.Field{Name: "retries", Kind: schema.Uint64},
)

// printStatusRows is the status for programs: a row for each source, and then one for each sink.
func (a *App) printStatusRows(status *client.Status) error {
	flags := rowFlags{}
	out, err := flags.open(a)
	if err != nil {
		return err
	}
	record, err := out.Record(statusShape)
	if err != nil {
		return err
	}
	for i := range status.Sources {
		setSourceRow(record.Begin(), &status.Sources[i])
		if err := record.End(); err != nil {
			return err
		}
	}
	for i := range status.Sinks {
		setSinkRow(record.Begin(), &status.Sinks[i])
		if err := record.End(); err != nil {
			return err
		}
	}
	return record.Close()
}

// Places in statusShape.
const (
	statusClock = 6
	statusStop  = 12
	statusSink  = 14
	statusEnd   = 20
)

func setSourceRow(b *schema.Builder, s *client.Source) {
	b.String(0, s.Name)
	b.String(1, s.Kind)
	b.String(2, s.Phase)
	b.Int(3, int64(s.Epoch))
	setText(b, 4, s.Position)
	b.Uint64(5, uint64(s.Offset))
	if s.Clock.IsZero() {
		b.Null(statusClock)
	} else {
		b.Int(statusClock, s.Clock.UnixMicro()-schema.UnixEpoch2000)
	}
	if s.LagSeconds < 0 {
		b.Null(7)
	} else {
		b.Float64(7, s.LagSeconds)
	}
	setKnown(b, 8, s.LagBytes)
	setKnown(b, 9, s.HeldBytes)
	b.Int(10, int64(s.Tables))
	b.Int(11, int64(len(s.Untracked)))
	stop := ""
	if len(s.Stops) > 0 {
		stop = s.Stops[0].Kind
	}
	setText(b, statusStop, stop)
	setText(b, 13, s.Error)
	setNulls(b, statusSink, statusEnd)
}

func setSinkRow(b *schema.Builder, s *client.Sink) {
	b.Null(0)
	setText(b, 1, s.Kind)
	b.String(2, s.Phase)
	setNulls(b, 3, 5)
	b.Uint64(5, uint64(s.Offset))
	setNulls(b, statusClock, statusStop)
	setText(b, statusStop, s.Stop)
	setText(b, 13, s.Error)
	b.String(statusSink, s.Name)
	b.Uint64(15, uint64(s.LagOffsets))
	b.Uint64(16, s.Messages)
	b.Uint64(17, s.Bytes)
	b.Int(18, s.Waiting)
	b.Uint64(19, s.Retries)
}

// setNulls sets the columns from one up to another to null.
func setNulls(b *schema.Builder, from, to int) {
	for i := from; i < to; i++ {
		b.Null(i)
	}
}

// setKnown sets a number of which -1 says that it is not known.
func setKnown(b *schema.Builder, i int, v int64) {
	if v < 0 {
		b.Null(i)
		return
	}
	b.Int(i, v)
}

// setText sets a text, an empty one as null.
func setText(b *schema.Builder, i int, text string) {
	if text == "" {
		b.Null(i)
		return
	}
	b.String(i, text)
}
