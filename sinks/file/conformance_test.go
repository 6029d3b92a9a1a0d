package file_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/changelog/vfs"
	"cdc/sinks"
	"cdc/sinks/file"
	"cdc/sinks/folder"
	"cdc/sinks/sinktest"
)

func TestConformance(t *testing.T) {
	sinktest.Run(t, sinktest.Options{
		Locked: true,
		Open: func(t *testing.T) sinktest.Destination {
			return &destination{Disk: sinktest.NewDisk(), t: t, options: folder.Options{Dir: t.TempDir(), Interval: time.Second}}
		},
	})
}

// Small files and few handles lead over all the borders that sizes make.
func TestConformanceOfSmallFiles(t *testing.T) {
	sinktest.Run(t, sinktest.Options{
		Locked: true, LargeBytes: 1 << 20,
		Open: func(t *testing.T) sinktest.Destination {
			return &destination{Disk: sinktest.NewDisk(), t: t, options: folder.Options{
				Dir: t.TempDir(), Interval: time.Second, FileBytes: 1 << 10, RoundBytes: 3 << 10, OpenFiles: 1,
			}}
		},
	})
}

// destination is a folder of JSON lines.
type destination struct {
	*sinktest.Disk
	t       *testing.T
	options folder.Options
}

// Sink implements sinktest.Destination.
func (d *destination) Sink(e sinks.Encoder) (sinks.Sink, error) {
	return d.Start(func(fs vfs.FS) (sinks.Sink, error) {
		o := d.options
		o.FS = fs
		return file.New(file.Options{Folder: o, Encoder: e})
	})
}

// line is one line of a file, for a reader.
type line struct {
	Offset     changelog.Offset
	Part       uint8
	Key, Value json.RawMessage
	Headers    []struct{ Name, Value string }
}

// Messages implements sinktest.Destination.
func (d *destination) Messages(f func(*sinks.Message)) {
	d.t.Helper()
	names, err := filepath.Glob(filepath.Join(d.options.Dir, "*", "*.jsonl"))
	if err != nil {
		d.t.Fatal(err)
	}
	last := map[string]changelog.Offset{}
	for _, name := range names { // sorted
		topic := topicOf(filepath.Base(filepath.Dir(name)))
		var first, end, seen changelog.Offset
		if _, err := fmt.Sscanf(filepath.Base(name), "%d-%d.jsonl", &first, &end); err != nil || first <= last[topic] || end < first {
			d.t.Fatalf("file %s after offset %d: %v", name, last[topic], err)
		}
		last[topic] = end
		d.lines(name, func(l *line) {
			if l.Offset < first || l.Offset > end {
				d.t.Fatalf("file %s has a line of offset %d", name, l.Offset)
			}
			seen = l.Offset
			f(l.message(topic))
		})
		if seen != end {
			d.t.Fatalf("file %s ends with offset %d", name, seen)
		}
	}
}

func (d *destination) lines(name string, f func(*line)) {
	d.t.Helper()
	in, err := os.Open(name)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	for scanner := bufio.NewScanner(in); scanner.Scan(); {
		var l line
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			d.t.Fatalf("file %s: line %q: %v", name, scanner.Bytes(), err)
		}
		f(&l)
	}
}

func (l *line) message(topic string) *sinks.Message {
	m := &sinks.Message{Topic: topic, Key: l.Key, Value: l.Value, Identity: sinks.Identity{Offset: l.Offset, Part: l.Part}}
	if string(m.Value) == "null" {
		m.Value = nil
	}
	for _, h := range l.Headers {
		m.Headers = append(m.Headers, sinks.Header{Name: h.Name, Value: []byte(h.Value)})
	}
	return m
}

func topicOf(folder string) string { return strings.ReplaceAll(folder, "%20", " ") }
