package starter

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/present"
	"cdc/sources"
)

// writer writes lines at a depth. Within a section that is hidden every line is commented out once more.
type writer struct {
	b      strings.Builder
	depth  int
	hidden bool
}

func (w *writer) line(text string) {
	if w.hidden {
		w.b.WriteString("# ")
	}
	w.b.WriteString(strings.Repeat("  ", w.depth) + text + "\n")
}

func (w *writer) blank() {
	if w.hidden {
		w.b.WriteString("#")
	}
	w.b.WriteString("\n")
}

// apart sets what follows apart from what stands before it.
func (w *writer) apart(wanted bool) {
	if wanted {
		w.blank()
	}
}

// comment writes text that may come from a server, so that it stays on its line.
func (w *writer) comment(text string) { w.line("# " + present.Clean(text)) }

func (w *writer) set(key, value string) { w.line(key + ": " + Scalar(value)) }

func (w *writer) list(key string, values []string) {
	w.line(key + ":")
	for _, v := range values {
		w.line("  - " + Scalar(v))
	}
}

// unset shows a setting that is not set.
func (w *writer) unset(d config.Doc) {
	value := d.Default
	if value == "" {
		value = d.Sample
	}
	if d.List {
		value = "[" + value + "]"
	}
	w.line("# " + d.Key + ": " + value)
}

func (w *writer) password(key, variable string, given bool) {
	text := key + ": ${env:" + variable + "}"
	if !given {
		text = "# " + text
	}
	w.line(text)
}

func (w *writer) open(name string) {
	w.line(Scalar(name) + ":")
	w.depth++
}

func (w *writer) shut() { w.depth-- }

// section writes a part of the file below its key.
func (w *writer) section(key, about string, hidden bool, write func()) {
	w.comment(about)
	if hidden {
		w.comment("An example, when the first mark of each line is taken away:")
	}
	w.hidden = hidden
	w.open(key)
	write()
	w.shut()
	w.hidden = false
}

func (w *writer) findings(all []sources.Finding) {
	if len(all) == 0 {
		return
	}
	w.comment("What 'cdc doctor' found here:")
	for _, f := range all {
		if strings.HasPrefix(f.Check, "table ") {
			continue // stands in the list of tables
		}
		w.comment(fmt.Sprintf("  %-8s %s: %s", f.Severity, f.Check, f.Detail))
		if f.Remedy != "" {
			w.comment("           " + f.Remedy)
		}
	}
}

// tables lists what can be captured as patterns to choose from, and what cannot with the reason.
func (w *writer) tables(key string, all []sources.Candidate) {
	var fit, unfit []sources.Candidate
	for _, t := range all {
		if t.Obstacle == "" {
			fit = append(fit, t)
		} else {
			unfit = append(unfit, t)
		}
	}
	w.comment(fmt.Sprintf("Found: %d that can be captured, with the server's estimates of their rows, and %d that cannot.", len(fit), len(unfit)))
	if len(fit) > 0 {
		w.comment(key + ":")
	}
	for _, t := range fit {
		note := fmt.Sprintf("about %d rows", t.Rows)
		if t.Rows == 0 {
			note = "empty, or never analysed"
		}
		if !t.Keyed {
			note += ", without a key: copied as one, at a snapshot"
		}
		w.line("#   - " + Scalar(pattern(t.Schema, t.Name)) + " # " + note)
	}
	for _, t := range unfit {
		w.comment("Not captured: " + pattern(t.Schema, t.Name) + " " + t.Obstacle)
		if t.Remedy != "" {
			w.comment("              " + t.Remedy)
		}
	}
}

// pattern names exactly one table.
func pattern(schema, table string) string { return exactly(schema) + "." + exactly(table) }

// exactly quotes a name in which a pattern would see anything but a name.
func exactly(name string) string {
	plain := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' }
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !plain(r) }) < 0 {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// Scalar is a text as YAML reads it back: plain where nothing in it could mean anything else.
func Scalar(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:@?=&,", r)
	}
	first := text != "" && (text[0] == '/' || text[0] == '_' || text[0] >= 'a' && text[0] <= 'z' || text[0] >= 'A' && text[0] <= 'Z')
	if first && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 && text[len(text)-1] != ':' && !word[strings.ToLower(text)] {
		return text
	}
	if strings.IndexFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) < 0 && utf8.ValidString(text) {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return strconv.Quote(text)
}

// word are texts that YAML, in one version or another, takes for something else.
var word = map[string]bool{"y": true, "n": true, "yes": true, "no": true, "on": true, "off": true, "true": true, "false": true, "null": true}
