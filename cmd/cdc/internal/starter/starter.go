// Package starter writes the configuration that somebody begins with: the databases and sinks that were named, what was found at
// them, and every other setting with its text and default, commented out.
//
// Settings come from config.Docs, so that the file cannot say anything else than the program does.
package starter

import (
	"cdc/cmd/cdc/internal/config"
	"cdc/sources"
)

// File is a configuration to be written. Without sources or sinks it shows an example of one, commented out.
type File struct {
	Sources []Source
	Sinks   []Sink
}

// Source is a database and what was found at it.
type Source struct {
	Name string
	DSN  config.DSN
	// WithPassword says that the password was given in a way that the file has to repeat.
	WithPassword bool
	Findings     []sources.Finding
	Tables       []sources.Candidate
}

// Sink is a sink with the settings that were given for it, by key.
type Sink struct {
	Name, Kind   string
	WithPassword bool
	Settings     map[string][]string
}

// Examples are shown where nothing was named.
var (
	exampleSource = Source{Name: "shop", DSN: "postgres://cdc@db.example/shop"}
	exampleSink   = Sink{Name: "kafka", Kind: config.KindKafka, Settings: map[string][]string{"url": {"kafka://k1.example:9092,k2.example:9092"}}}
)

// YAML is the text of the file.
func (f *File) YAML() string {
	program, source, sink := config.Docs()
	w := &writer{}
	w.comment("Configuration for: cdc run -c FILE")
	w.comment("A line that is commented out shows a setting's default, or what its value looks like. 'cdc config check -c FILE' prints what")
	w.comment("is in force and where it comes from. A variable goes before this file, a flag before both.")
	for _, d := range program {
		w.blank()
		w.comment(d.Help)
		w.unset(d)
	}
	w.blank()
	list, hidden := f.Sources, len(f.Sources) == 0
	if hidden {
		list = []Source{exampleSource}
	}
	w.section("sources", "Databases to capture, each below the name that the log knows it by.", hidden, func() {
		for i := range list {
			w.source(&list[i], source)
		}
	})
	w.blank()
	outputs, hidden := f.Sinks, len(f.Sinks) == 0
	if hidden {
		outputs = []Sink{exampleSink}
	}
	w.section("sinks", "Where changes are published as well: Kafka, or files by file:DIR. The log holds all of them in any case.", hidden, func() {
		for i := range outputs {
			w.sink(&outputs[i], sink)
		}
	})
	return w.b.String()
}

func (w *writer) source(s *Source, docs []config.Doc) {
	w.open(s.Name)
	defer w.shut()
	w.findings(s.Findings)
	for _, d := range docs {
		if d.Only != "" && d.Only != config.KindName(s.DSN.Kind()) {
			continue
		}
		w.blank()
		w.comment(d.Help)
		switch {
		case d.Key == "dsn":
			w.set(d.Key, s.DSN.WithoutPassword())
		case d.Secret:
			w.password(d.Key, config.Variable(s.Name, d.Key), s.WithPassword)
		case d.Key == "tables" && len(s.Tables) > 0:
			w.tables(d.Key, s.Tables)
		default:
			w.unset(d)
		}
	}
}

func (w *writer) sink(s *Sink, docs []config.Doc) {
	w.open(s.Name)
	defer w.shut()
	for _, d := range docs {
		if d.Only != "" && d.Only != config.KindName(s.Kind) {
			continue
		}
		w.blank()
		w.comment(d.Help)
		values := s.Settings[d.Key]
		switch {
		case d.Secret:
			w.password(d.Key, config.Variable(s.Name, d.Key), s.WithPassword && d.Key == "password")
		case d.List && len(values) > 0:
			w.list(d.Key, values)
		case len(values) > 0:
			w.set(d.Key, values[0])
		default:
			w.unset(d)
		}
	}
}
