//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/materialize"
)

// logChanges is how many changes the logs hold that are appended to, scanned
// and replayed in this process.
func logChanges() int { return scaled(2_400_000) }

// logSegmentBytes makes so many segments of them that nearly all are sealed:
// the last one never is.
const logSegmentBytes = 16 << 20

// scanTarget and replayTarget are in changes per second and core.
const (
	scanTarget   = 5e6
	replayTarget = 1e6
)

// measureLog appends to a log, scans it and replays it, without any source.
func measureLog(b *testing.B, e *bench) {
	for _, changes := range []int{1, changesInTwenty} {
		w := openRows(b, filepath.Join(b.TempDir(), "log"), logSegmentBytes)
		transactions := "transactions of 1 change"
		if changes > 1 {
			transactions = fmt.Sprintf("transactions of %d changes", changes)
		}
		wall, cpu := spent(b, func() {
			w.write(b, logChanges()/changes, changes)
			w.durable(b)
		})
		e.add(b, figure{
			name: "append until durable, " + transactions, ours: rateText(float64(logChanges())/wall.Seconds(), "changes") + ", " + countText(float64(logChanges())/cpu.Seconds()) + " per CPU-second",
			value: float64(logChanges()) / wall.Seconds(), unit: fmt.Sprintf("append-%d-changes/s", changes),
		})
		if err := w.log.Seal(b.Context()); err != nil {
			b.Fatal(err)
		}
		addScan(b, e, w, transactions, fmt.Sprintf("scan-%d-changes/cpu-s", changes))
		if changes > 1 {
			addReplay(b, e, w)
		}
		if err := w.log.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// spent is what f takes on the clock and of this process's processor time.
func spent(b *testing.B, f func()) (wall, cpu time.Duration) {
	before, began := cpuOfSelf(b), time.Now()
	f()
	return time.Since(began), cpuOfSelf(b) - before
}

func addScan(b *testing.B, e *bench, w *rowWriter, transactions, unit string) {
	var rates []float64
	for range benchRounds {
		var s columnScan
		_, cpu := spent(b, func() {
			if err := s.scan(b.Context(), w); err != nil {
				b.Fatal(err)
			}
		})
		if s.changes != logChanges() {
			b.Fatalf("the scan saw %d changes, not %d", s.changes, logChanges())
		}
		rates = append(rates, float64(s.changes)/cpu.Seconds())
	}
	rate := median(rates)
	e.add(b, figure{
		name: "scan to batches of 3 columns, " + transactions, ours: countText(rate) + " changes per CPU-second",
		target: "≥ 5 M", met: rate >= scanTarget, value: rate, unit: unit,
	})
}

// scanBatchRows is how many rows a columnar batch has.
const scanBatchRows = 8192

// columnScan fills columnar batches with three columns of every after image.
type columnScan struct {
	changes         int
	ids             []int64
	amounts         []int32
	statuses        []byte
	statusEnds      []int32
	idSum, emptySum int64 // so that nothing of it can be left out
}

func (s *columnScan) scan(ctx context.Context, w *rowWriter) error {
	var c changelog.Change
	return eachUnit(ctx, w.log, changelog.NewTableSet(w.table.ID), func(u *changelog.Unit) error {
		for {
			ok, err := u.Next(&c)
			if err != nil || !ok {
				return err
			}
			s.changes++
			if !c.After.IsZero() {
				s.add(&c)
			}
		}
	})
}

func (s *columnScan) add(c *changelog.Change) {
	if len(s.ids) == scanBatchRows {
		s.emit()
	}
	s.ids = append(s.ids, c.After.Int(columnID))
	s.amounts = append(s.amounts, int32(c.After.Int(columnAmount)))
	s.statuses = append(s.statuses, c.After.Bytes(columnStatus)...)
	s.statusEnds = append(s.statusEnds, int32(len(s.statuses)))
}

// emit is where a reader would take the batch.
func (s *columnScan) emit() {
	for i := range s.ids {
		s.idSum += s.ids[i] + int64(s.amounts[i])
	}
	s.emptySum += int64(s.statusEnds[len(s.statusEnds)-1])
	s.ids, s.amounts, s.statuses, s.statusEnds = s.ids[:0], s.amounts[:0], s.statuses[:0], s.statusEnds[:0]
}

// addReplay rebuilds the table as of the log's end.
func addReplay(b *testing.B, e *bench, w *rowWriter) {
	var walls, perCPU []float64
	for range benchRounds {
		rows := 0
		wall, cpu := spent(b, func() {
			err := materialize.Tables(b.Context(), w.log, []materialize.Request{{Table: w.table.ID, At: w.last}}, materialize.Options{},
				func(batch *materialize.Batch) error {
					rows += batch.Len()
					return nil
				})
			if err != nil {
				b.Fatal(err)
			}
		})
		if rows != len(w.live) {
			b.Fatalf("the table has %d rows, not %d", rows, len(w.live))
		}
		walls, perCPU = append(walls, float64(logChanges())/wall.Seconds()), append(perCPU, float64(logChanges())/cpu.Seconds())
	}
	rate := median(perCPU)
	e.add(b, figure{
		name: fmt.Sprintf("replay to a table of %s rows", countText(float64(len(w.live)))),
		ours: rateText(median(walls), "changes") + ", " + countText(rate) + " per CPU-second", target: "≥ 1 M per core", met: rate >= replayTarget,
		value: rate, unit: "replay-changes/cpu-s",
	})
}
