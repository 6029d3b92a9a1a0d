package value

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"
)

// narrow is a small table of the usual types.
func narrow() []Column {
	all := KnownName | KnownKey
	return []Column{
		{Name: "id", Type: TypeLongLong, Known: all | KnownSign, Key: 1},
		{Name: "name", Type: TypeVarchar, Meta: 160, Known: all | KnownCollation, Collation: 255, Nullable: true},
		{Name: "qty", Type: TypeLong, Known: all | KnownSign, Nullable: true},
		{Name: "amount", Type: TypeNewDecimal, Meta: 12<<8 | 2, Known: all | KnownSign, Nullable: true},
		{Name: "active", Type: TypeTiny, Known: all | KnownSign, Nullable: true},
		{Name: "ts", Type: TypeTimestamp2, Meta: 6, Known: all, Nullable: true},
	}
}

// narrowImages are row images of the narrow table.
func narrowImages(rows int) []byte {
	var b []byte
	for i := range rows {
		b = append(b, 0)
		b = binary.LittleEndian.AppendUint64(b, uint64(i))
		name := fmt.Sprintf("customer number %d", i)
		b = append(append(b, byte(len(name))), name...)
		b = binary.LittleEndian.AppendUint32(b, uint32(i*7))
		b = binary.BigEndian.AppendUint16(append(b, 0x80), 0) // ten digits before the point: one byte and four
		b = append(binary.BigEndian.AppendUint16(b, uint16(i)), byte(i%100))
		b = append(b, byte(i&1))
		b = binary.BigEndian.AppendUint32(b, 1700000000+uint32(i))
		b = append(b, 0x01, byte(i>>8), byte(i))
	}
	return b
}

const benchmarkRows = 1000

// BenchmarkImage decodes the rows of an event, and the same event with go-mysql for comparison.
func BenchmarkImage(b *testing.B) {
	images := narrowImages(benchmarkRows)
	ours := 0.0
	b.Run("cdc", func(b *testing.B) {
		columns := narrow()
		d, err := Compile(columns, table(b, columns))
		if err != nil {
			b.Fatal(err)
		}
		var dst []byte
		present := []byte{0x3f}
		b.SetBytes(int64(len(images)))
		b.ReportAllocs()
		cpu := cpuTime()
		for b.Loop() {
			dst = dst[:0]
			for rest := images; len(rest) > 0; {
				if dst, rest, err = d.Image(dst, present, rest); err != nil {
					b.Fatal(err)
				}
			}
		}
		ours = report(b, cpu, b.N*benchmarkRows)
	})
	b.Run("go-mysql", func(b *testing.B) {
		parser := replication.NewBinlogParser()
		for _, e := range [][]byte{formatEvent(), mapEvent()} {
			if _, err := parser.Parse(e); err != nil {
				b.Fatal(err)
			}
		}
		event := rowsOf(images)
		b.SetBytes(int64(len(images)))
		b.ReportAllocs()
		cpu := cpuTime()
		for b.Loop() {
			e, err := parser.Parse(event)
			if err != nil {
				b.Fatal(err)
			}
			if n := len(e.Event.(*replication.RowsEvent).Rows); n != benchmarkRows {
				b.Fatalf("%d rows", n)
			}
		}
		b.ReportMetric(ours/report(b, cpu, b.N*benchmarkRows), "cdc/go-mysql")
	})
}

// cpuTime is what the process has used, which on a busy machine is less than what the clock shows.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // the arguments are right
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report adds the rows a second of processor time, garbage collection included.
func report(b *testing.B, from time.Duration, rows int) float64 {
	rate := float64(rows) / (cpuTime() - from).Seconds()
	b.ReportMetric(rate, "rows/cpu-s")
	return rate
}

// binlogEvent puts the common header before the body of an event.
func binlogEvent(t replication.EventType, body []byte) []byte {
	e := append(make([]byte, 4), byte(t))
	e = binary.LittleEndian.AppendUint32(e, 1)
	e = binary.LittleEndian.AppendUint32(e, uint32(19+len(body)))
	return append(append(e, make([]byte, 6)...), body...)
}

// formatEvent is that of a server from before there were checksums.
func formatEvent() []byte {
	body := append([]byte{4, 0}, "5.5.0"...)
	body = append(append(body, make([]byte, 50-5+4)...), 19)
	lengths := make([]byte, 40)
	lengths[replication.TABLE_MAP_EVENT-1] = 8
	for t := replication.WRITE_ROWS_EVENTv2; t <= replication.DELETE_ROWS_EVENTv2; t++ {
		lengths[t-1] = 10
	}
	return binlogEvent(replication.FORMAT_DESCRIPTION_EVENT, append(body, lengths...))
}

func mapEvent() []byte {
	body := []byte{7, 0, 0, 0, 0, 0, 1, 0, 1, 'd', 0, 1, 't', 0, 6}
	body = append(body, byte(TypeLongLong), byte(TypeVarchar), byte(TypeLong), byte(TypeNewDecimal), byte(TypeTiny), byte(TypeTimestamp2))
	return binlogEvent(replication.TABLE_MAP_EVENT, append(body, 5, 160, 0, 12, 2, 6, 0x3e))
}

func rowsOf(images []byte) []byte {
	return binlogEvent(replication.WRITE_ROWS_EVENTv2, append([]byte{7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 6, 0x3f}, images...))
}

// BenchmarkTextRow decodes rows of a SELECT.
func BenchmarkTextRow(b *testing.B) {
	columns := narrow()
	d, err := CompileText(columns, table(b, columns))
	if err != nil {
		b.Fatal(err)
	}
	fields := narrowText()
	var dst []byte
	b.ReportAllocs()
	cpu := cpuTime()
	for b.Loop() {
		if dst, err = d.Row(dst[:0], fields); err != nil {
			b.Fatal(err)
		}
	}
	report(b, cpu, b.N)
}

func narrowText() (fields [][]byte) {
	for _, text := range []string{"12345", "customer number 12345", "86415", "1234567890.12", "1", "2024-02-29 12:34:56.789012"} {
		fields = append(fields, []byte(text))
	}
	return fields
}
