//go:build e2e

package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// A measurement that nobody can read about is one that nobody can judge.
func TestEveryMeasurementIsDescribed(t *testing.T) {
	all := slices.Concat(names(measurements), names(mysqlMeasurements), names(kafkaMeasurements))
	wantDescribed(t, all, resultsTable, mysqlResultsTable, kafkaResultsTable)
}

// wantDescribed asks the document for sections of measurements and places for tables.
func wantDescribed(t *testing.T, measurements []string, tables ...string) {
	t.Helper()
	doc, err := os.ReadFile(benchmarksDoc)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range measurements {
		if !strings.Contains(string(doc), "\n### "+name+"\n") {
			t.Errorf("docs/benchmarks.md has no section %q", name)
		}
	}
	for _, table := range tables {
		if _, err := (&benchReport{name: table}).intoDoc(string(doc), nil); err != nil {
			t.Errorf("docs/benchmarks.md cannot take %s: %v", table, err)
		}
	}
}

func TestFiguresAreWrittenBetweenTheirMarkers(t *testing.T) {
	r := benchReport{name: "figures", figures: []figure{
		{name: "rate", ours: "9/s", reference: "10/s", ratio: 0.9, target: "ratio ≥ 1"},
		{name: "size", ours: "9 B", target: "≤ 10 B", met: true},
		{name: "note", ours: "1 s"},
	}}
	begin, end := r.markers()
	got, err := r.intoDoc("before\n"+begin+"old\n"+end+"\nafter\n", []string{"a machine"})
	if err != nil {
		t.Fatal(err)
	}
	want := "before\n" + begin + `- a machine

| figure | ours | reference | ratio | target |  |
| --- | ---: | ---: | ---: | --- | --- |
| rate | 9/s | 10/s | 0.90 | ratio ≥ 1 | MISS |
| size | 9 B | – | – | ≤ 10 B | ok |
| note | 1 s | – | – | – | – |
` + end + "\nafter\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if _, err := r.intoDoc("no markers", nil); err == nil {
		t.Error("a document without markers is accepted")
	}
}

func TestPercentilesAreOfTheNearestRank(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	if p50, p99 := percentile(hundred, 50), percentile(hundred, 99); p50 != 50 || p99 != 99 {
		t.Errorf("p50 and p99 of 1 to 100 are %d and %d", p50, p99)
	}
	if one := percentile(hundred[:1], 99); one != 1 {
		t.Errorf("p99 of one value is %d", one)
	}
	if m := median([]int{3, 1, 2}); m != 2 {
		t.Errorf("median of 3, 1, 2 is %d", m)
	}
}
