//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// figure is one line of the table.
type figure struct {
	name string
	// ours and reference are as people read them; reference is empty when
	// there is nothing to compare with.
	ours, reference string
	// ratio is ours to the reference; zero when there is no reference.
	ratio float64
	// target is the budget in words, empty for a figure that has none; met
	// says whether it was kept.
	target string
	met    bool
	// value is reported as a metric of the benchmark, in unit.
	value float64
	unit  string
}

// Verdicts of a figure.
const (
	verdictOK   = "ok"
	verdictMiss = "MISS"
	verdictNone = "–"
)

func (f *figure) verdict() string {
	switch {
	case f.target == "":
		return verdictNone
	case f.met:
		return verdictOK
	}
	return verdictMiss
}

func (f *figure) cells() []string {
	ratio := ""
	if f.ratio != 0 {
		ratio = fmt.Sprintf("%.2f", f.ratio)
	}
	cells := []string{f.name, f.ours, f.reference, ratio, f.target, f.verdict()}
	for i := range cells {
		if cells[i] == "" {
			cells[i] = verdictNone
		}
	}
	return cells
}

var figureHeads = []string{"figure", "ours", "reference", "ratio", "target", ""}

// benchReport collects the figures of one table; name is in the table's markers.
type benchReport struct {
	name    string
	figures []figure
}

// add takes a figure, and says it at once.
func (r *benchReport) add(b *testing.B, f figure) {
	b.Helper()
	r.figures = append(r.figures, f)
	b.Log(strings.Join(f.cells(), "  "))
	if f.unit != "" {
		b.ReportMetric(f.value, f.unit)
	}
}

// shown is where, with a warning when the figures mean little.
func shown(where []string) []string {
	if !testing.Short() {
		return where
	}
	return append(where, "short: a small part of the work was done, and these figures mean nothing")
}

// print writes the table for a terminal.
func (r *benchReport) print(w io.Writer, where []string) error {
	widths := make([]int, len(figureHeads))
	rows := [][]string{figureHeads}
	for i := range r.figures {
		rows = append(rows, r.figures[i].cells())
	}
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var text strings.Builder
	text.WriteString("\n")
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	text.WriteString("\n" + strings.Join(shown(where), "\n") + "\n\n")
	_, err := io.WriteString(w, text.String())
	return err
}

const benchmarksDoc = "../docs/benchmarks.md"

// markers enclose the table in the document.
func (r *benchReport) markers() (begin, end string) {
	return "<!-- " + r.name + " -->\n", "<!-- end " + r.name + " -->"
}

// writeDoc puts the table between the markers of the document.
func (r *benchReport) writeDoc(path string, where []string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	written, err := r.intoDoc(string(text), where)
	if err != nil {
		return fmt.Errorf("write figures into %s: %w", path, err)
	}
	return os.WriteFile(path, []byte(written), 0o644)
}

func (r *benchReport) intoDoc(doc string, where []string) (string, error) {
	begin, end := r.markers()
	before, rest, ok := strings.Cut(doc, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", errors.New("it has no pair of markers for them")
	}
	var text strings.Builder
	for _, line := range where {
		text.WriteString("- " + line + "\n")
	}
	row := func(cells []string) { text.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	text.WriteString("\n")
	row(figureHeads)
	row([]string{"---", "---:", "---:", "---:", "---", "---"})
	for i := range r.figures {
		row(r.figures[i].cells())
	}
	return before + begin + text.String() + end + after, nil
}

// metric is the prefix of a figure's name as part of the name of a metric.
func metric(prefix string) string {
	return strings.NewReplacer(": ", "-", " ", "-").Replace(strings.ToLower(prefix))
}

// rateText is a rate for people.
func rateText(n float64, what string) string { return countText(n) + " " + what + "/s" }

// countText is a number for people.
func countText(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.2f M", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.0f k", n/1e3)
	}
	return fmt.Sprintf("%.0f", n)
}

// sizeText is a number of bytes for people.
func sizeText(n float64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", n/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", n/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", n/(1<<10))
	}
	return fmt.Sprintf("%.0f B", n)
}

// milliText is a duration for people.
func milliText(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }

func secondText(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
