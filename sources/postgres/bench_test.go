package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"syscall"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

// benchRows is the backlog of the benchmarks.
const benchRows = 300_000

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const benchTable = `CREATE TABLE bench (id bigint PRIMARY KEY, name text, qty int, amount numeric(12,2), active bool, ts timestamptz, payload jsonb)`

const benchInsert = `INSERT INTO bench SELECT i, 'name of row ' || i, i %% 1000, (i %% 100000) / 7.0, i %% 2 = 0, now(), '{"a": 1, "b": "text"}' FROM generate_series(1, %d) i`

// discard takes transactions and forgets them, and says when it has seen enough.
type discard struct {
	changes, want int
}

var errEnough = errors.New("enough")

func (d *discard) Change(*sources.Row) error { d.changes++; return nil }
func (d *discard) Truncate(*schema.Table, changelog.TruncateOptions) error {
	return nil
}
func (d *discard) Message([]byte, []byte) error { return nil }
func (d *discard) SourceTime(changelog.Micros)  {}
func (d *discard) Commit(context.Context, sources.Commit) (changelog.Offset, error) {
	if d.changes >= d.want {
		return 0, errEnough
	}
	return 0, nil
}

// BenchmarkStream reads a backlog of changes from a slot and decodes them, without a log. Beside its rate it reports that of
// pg_recvlogical on a copy of the slot, in the same run.
func BenchmarkStream(b *testing.B) {
	r := newRig(b, benchTable)
	r.open()
	ctx := context.Background()
	r.sql(`CREATE PUBLICATION bench FOR TABLE bench`, `SELECT pg_create_logical_replication_slot('`+r.db+`', 'pgoutput')`,
		fmt.Sprintf(benchInsert, benchRows))
	for b.Loop() {
		r.sql(`SELECT pg_copy_logical_replication_slot('` + r.db + `', '` + r.db + `_2')`)
		ws, err := r.src.connectWalsender(ctx)
		if err != nil {
			b.Fatal(err)
		}
		c, err := r.src.openCatalog(ctx)
		if err != nil {
			b.Fatal(err)
		}
		feed, err := startFeed(ctx, ws, startSQL(r.db+"_2", 0, publications{main: "bench"}, true), silenceMin)
		if err != nil {
			b.Fatal(err)
		}
		st := &stream{
			feed: feed, out: &discard{want: benchRows}, guide: &tailGuide{s: r.src, c: c}, types: c.types,
			relations: map[uint32]*relation{}, asked: make(chan struct{}, 1),
		}
		if path := os.Getenv("CDC_BENCH_PROFILE"); path != "" {
			f, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			_ = pprof.StartCPUProfile(f)
		}
		begun, used := time.Now(), cpu()
		if err := st.run(ctx); !errors.Is(err, errEnough) {
			b.Fatal(err)
		}
		b.ReportMetric(benchRows/time.Since(begun).Seconds(), "changes/s")
		b.ReportMetric(benchRows/(cpu()-used).Seconds(), "changes/cpu-s")
		pprof.StopCPUProfile()
		feed.close()
		c.close()
		r.eventuallyFree(r.db + "_2")
		b.ReportMetric(r.recvlogical(b), "recvlogical-changes/s")
	}
}

func (r *rig) eventuallyFree(slot string) {
	for r.sql(`SELECT count(*) FROM pg_replication_slots WHERE slot_name = '`+slot+`' AND active`) != "0" {
	}
	r.sql(`SELECT pg_drop_replication_slot('` + slot + `')`)
}

// recvlogical is the rate of the server's own client on a copy of the slot.
func (r *rig) recvlogical(b *testing.B) float64 {
	slot := r.db + "_3"
	r.sql(`SELECT pg_copy_logical_replication_slot('` + r.db + `', '` + slot + `')`)
	end := r.sql(`SELECT pg_current_wal_insert_lsn()`)
	cmd := r.pg.Command(context.Background(), "postgres", r.db, "pg_recvlogical", "-S", slot, "-d", r.dsn, "--start", "-f", "/dev/null", "--endpos", end,
		"-o", "proto_version=1", "-o", "publication_names=bench", "-o", "binary=true")
	begun := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	rate := benchRows / time.Since(begun).Seconds()
	r.eventuallyFree(slot)
	return rate
}

// BenchmarkCopy copies a table with one reader, without a log.
func BenchmarkCopy(b *testing.B) {
	r := newRig(b, benchTable, fmt.Sprintf(benchInsert, benchRows), `ANALYZE bench`)
	r.open()
	for b.Loop() {
		ver, err := r.src.Verification(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		infos, err := ver.(*verification).v.candidates(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		version, err := ver.(*verification).v.table("shop", infos[0], false)
		if err != nil {
			b.Fatal(err)
		}
		begun, used := time.Now(), cpu()
		rows := 0
		if err := ver.Read(context.Background(), version, func([]byte) error { rows++; return nil }); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(rows)/time.Since(begun).Seconds(), "rows/s")
		b.ReportMetric((cpu()-used).Seconds()*1e6/float64(rows), "cpu-s/Mrow")
		ver.Close()
	}
}
