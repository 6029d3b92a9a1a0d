//go:build e2e

// Package e2e runs the built binary against real servers: what it promises is
// tested, and what it may cost is measured.
package e2e

import (
	"context"
	"flag"
	"net/url"
	"os"
	"testing"

	"cdc/e2e/testservers"
)

var writeBenchmarks = flag.Bool("write-benchmarks", false, "write the measured figures into docs/benchmarks.md; wants all measurements of a table to run")

// A measurement measures one or more figures of one budget in a setting E. Its
// name is the name of its sub-benchmark and of its section in
// docs/benchmarks.md.
type measurement[E any] struct {
	name string
	run  func(b *testing.B, e E)
}

func names[E any](all []measurement[E]) (names []string) {
	for _, m := range all {
		names = append(names, m.name)
	}
	return names
}

// measure makes every measurement once and reports whether all could be made.
func measure[E any](b *testing.B, all []measurement[E], e E) bool {
	complete := true
	for _, m := range all {
		ran := false
		ok := b.Run(m.name, func(b *testing.B) {
			if ran {
				return // the first run is the measurement, however short
			}
			ran = true
			m.run(b, e)
		})
		complete = complete && ran && ok
	}
	return complete
}

// resultsTable is the name of the table in docs/benchmarks.md.
const resultsTable = "results"

// measurements are in the order in which they run: those on a quiet disk first.
var measurements = []measurement[*bench]{
	{"latency", measureLatency},
	{"stream", measureStream},
	{"copy", measureCopy},
	{"log", measureLog},
	{"size", measureSize},
	{"memory", measureMemory},
	{"restart", measureRestart},
}

// shortPart is how much less is done with -short: enough to see that the
// measurements work, too little for their figures to mean anything.
const shortPart = 20

// scaled is an amount of work.
func scaled(n int) int {
	if testing.Short() {
		return n / shortPart
	}
	return n
}

// benchRounds is how often the two sides of a ratio take turns.
const benchRounds = 3

// bench is what all measurements share.
type bench struct {
	*benchReport
	pg     *testservers.Postgres
	binary string
	super  string // name of the superuser
}

// BenchmarkBudgets measures the budgets, each with its reference in the same
// run, and prints one table of all of them. A figure that misses its target is
// printed as MISS and fails nothing: machines differ, and a measurement on a
// shared one is no test. What fails is a measurement that could not be made.
func BenchmarkBudgets(b *testing.B) {
	binary, err := program()
	if err != nil {
		b.Fatal(err)
	}
	e := &bench{benchReport: &benchReport{name: resultsTable}, binary: binary, pg: testservers.Start(b, testservers.PostgresOptions{
		Name: "bench", Settings: serverSettings,
	})}
	dsn, err := url.Parse(e.pg.SuperuserDSN("postgres"))
	if err != nil {
		b.Fatal(err)
	}
	e.super = dsn.User.Username()
	complete := measure(b, measurements, e)
	e.publish(b, complete, "PostgreSQL "+e.pg.Version())
}

// publish prints the table, and writes it into the document when that is asked
// for and all figures are there.
func (r *benchReport) publish(b *testing.B, complete bool, servers string) {
	where := describeMachine(b, servers)
	if err := r.print(os.Stdout, where); err != nil {
		b.Fatal(err)
	}
	if !*writeBenchmarks {
		return
	}
	if !complete || testing.Short() {
		b.Fatal("not all measurements were made in full: docs/benchmarks.md stays as it is")
	}
	if err := r.writeDoc(benchmarksDoc, where); err != nil {
		b.Fatal(err)
	}
}

// serverSettings make a server that is not what is measured: nothing happens
// in it behind our back, and it does not wait for its disk.
var serverSettings = map[string]string{
	"shared_buffers":     "256MB",
	"max_wal_size":       "8GB",
	"checkpoint_timeout": "1h",
	"autovacuum":         "off",
}

// sql runs statements as the superuser.
func (e *bench) sql(b *testing.B, database, statements string) string {
	b.Helper()
	out, err := e.pg.SQL(context.WithoutCancel(b.Context()), database, statements)
	if err != nil {
		b.Fatal(err)
	}
	return out
}
