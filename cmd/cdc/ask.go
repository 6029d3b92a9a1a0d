package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
	"cdc/materialize"
	"cdc/schema"
)

// waitFlags say how long a question about the future waits.
type waitFlags struct {
	Wait time.Duration `default:"10s" placeholder:"TIME" help:"How long to wait for the log to pass the moment (${default})."`
}

// resolve says what a moment means for the named tables, for all when there are none. A moment that cannot be read is an error of
// usage.
func (f *waitFlags) resolve(ctx context.Context, log *Log, text string, tables ...string) (materialize.Resolved, error) {
	moment, err := materialize.ParseMoment(text)
	if err != nil {
		return materialize.Resolved{}, err
	}
	o := materialize.ResolveOptions{Wait: f.Wait, Positions: sourcePositions{}, Sources: materialize.SourcesOf(log, named(tables)...)}
	if f.Wait <= 0 {
		o.Wait = -1
	}
	return materialize.Resolve(ctx, log, moment, o)
}

// named are the names that are not empty.
func named(tables []string) []string {
	return slices.DeleteFunc(tables, func(name string) bool { return name == "" })
}

// inOrder is an error of usage when --from is after --to.
func inOrder(from, to changelog.Offset) error {
	if from <= to {
		return nil
	}
	return &exit.Error{
		Code: exit.Usage, What: fmt.Sprintf("--from is offset %d, which is later than --to, offset %d", from, to), Remedy: "exchange them",
	}
}

// rowFlags say where rows go.
type rowFlags struct {
	Output string `short:"o" placeholder:"FILE" help:"Write the rows to a file instead of the standard output."`
	Quiet  bool   `short:"q" help:"Print the rows and nothing else."`
}

// rowOutput is where a verb's rows go. Close must be called, with the verb's error, so that a half-written file does not stay.
type rowOutput struct {
	present.Output
	file      *os.File
	temporary string
	path      string
}

// open makes the output. A file appears under its name only when it is whole.
func (f *rowFlags) open(a *App) (*rowOutput, error) {
	o := &rowOutput{path: f.Output}
	o.Out, o.Err, o.Format, o.Quiet = a.Stdout, a.Stderr, present.Format(a.Format), f.Quiet
	o.Style = present.Style{Color: a.Color}
	if o.Terminal = a.Terminal; o.Terminal {
		o.Width = a.Width()
	}
	if f.Output == "" && o.Terminal && o.Format == present.Parquet {
		return nil, &exit.Error{Code: exit.Usage, What: "a Parquet file is not for a terminal", Remedy: "redirect the output, or name a file with --output", Err: present.ErrTerminal}
	}
	if f.Output == "" {
		return o, nil
	}
	o.Terminal, o.Width, o.Style = false, 0, present.Style{}
	name := f.Output
	if info, err := os.Stat(name); err != nil || info.Mode().IsRegular() {
		name += ".part"
		o.temporary = name
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, &exit.Error{Code: exit.Usage, What: err.Error(), Remedy: "name a file in a folder that can be written", Err: err}
	}
	o.file, o.Out = file, file
	return o, nil
}

// close gives the file its name when the rows are all there, and removes it otherwise.
func (o *rowOutput) close(err error) error {
	if o.file == nil {
		return err
	}
	if err == nil {
		err = o.file.Sync()
	}
	err = errors.Join(err, o.file.Close())
	switch {
	case o.temporary == "":
		return err
	case err != nil:
		return errors.Join(err, os.Remove(o.temporary))
	}
	return os.Rename(o.temporary, o.path)
}

// progress shows on stderr how far a pass over the log is. The bar goes away with done, which must be called before rows are
// printed, and may be called again.
func (a *App) progress(name string) (part func(float64), done func()) {
	p := present.NewProgress(present.ProgressOptions{Out: a.Stderr, Terminal: a.ErrTerminal, Logger: a.Logger})
	work := p.Start(name, "")
	return work.Part, p.Close
}

// sourceOf is the source that the table belongs to.
func sourceOf(log *Log, t *schema.Table) changelog.SourceID {
	info, _ := log.Catalog().Source(t.Source)
	return info.ID
}

// asOf says what a moment came to, for the footer: the offset and the position of the source that the rows are from, and whether
// a later append could change it.
func asOf(r materialize.Resolved, source changelog.SourceID) string {
	for i := range r.Sources {
		c := &r.Sources[i]
		if c.Source.ID != source {
			continue
		}
		text := "as of " + momentText(r.Moment, c.Clock) + fmt.Sprintf(" = offset %d", c.Offset)
		if c.Position != "" {
			text += " (" + c.Position + ")"
		}
		return text + sealedText(r.Moment, c.Sealed)
	}
	return fmt.Sprintf("as of %s = offset %d", momentText(r.Moment, 0), r.Cut.Max())
}

// sealedText says whether a later append could change the answer. Now is another moment each time, and nobody expects it to stay.
func sealedText(m materialize.Moment, sealed bool) string {
	switch {
	case sealed:
		return ", sealed"
	case m.Kind == materialize.MomentNow:
		return ""
	}
	return ", not sealed yet"
}

// momentText is the moment with the time that it came to.
func momentText(m materialize.Moment, clock changelog.Micros) string {
	if m.Kind == materialize.MomentTime {
		return timeText(m.Time)
	}
	if clock == 0 {
		return m.String()
	}
	return m.String() + " (" + timeText(clock) + ")"
}

// timeText is a time for people: UTC, with as many decimals as there are.
func timeText(t changelog.Micros) string {
	if t == 0 {
		return ""
	}
	return t.Time().Format("2006-01-02 15:04:05.999999Z")
}

// completeness lists how far each source had come, when there are several.
func completeness(o *present.Output, r materialize.Resolved) error {
	if len(r.Sources) < 2 {
		return nil
	}
	parts := make([]string, len(r.Sources))
	for i := range r.Sources {
		c := &r.Sources[i]
		parts[i] = fmt.Sprintf("%s to %s = offset %d%s", c.Source.Name, timeText(c.Clock), c.Offset, sealedText(r.Moment, c.Sealed))
		if c.Clock == 0 {
			parts[i] = c.Source.Name + " not yet"
		}
	}
	return o.Note("sources: %s", strings.Join(parts, "; "))
}

// elapsed is a duration for a footer.
func elapsed(since time.Time) string {
	d := time.Since(since)
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// parseWhere reads conditions on a table's columns: col=value, and with != < <= > >= in its place; \N is null.
func parseWhere(t *schema.Table, conditions []string) (*materialize.Predicate, error) {
	if len(conditions) == 0 {
		return nil, nil
	}
	p := &materialize.Predicate{}
	for _, text := range conditions {
		column, op, value, err := cutCondition(text)
		if err == nil {
			err = p.And(t, column, op, value)
		}
		if err != nil {
			return nil, &exit.Error{
				Code: exit.Usage, What: err.Error(), Where: text, Err: err,
				Remedy: `write conditions as column=value, the column in double quotes if need be; != < <= > >= work too, and \N is null`,
			}
		}
	}
	return p, nil
}

var comparisons = []struct {
	sign string
	op   materialize.Compare
}{
	{"!=", materialize.NotEqual},
	{"<=", materialize.LessEqual},
	{">=", materialize.GreaterEqual},
	{"=", materialize.Equal},
	{"<", materialize.Less},
	{">", materialize.Greater},
}

// quotedColumn is a column in double quotes, as one needs whose name has a sign in it.
var quotedColumn = regexp.MustCompile(`^"(?:[^"]|"")+"`)

func cutCondition(text string) (column string, op materialize.Compare, value string, err error) {
	at := len(quotedColumn.FindString(text))
	if sign := strings.IndexAny(text[at:], "=<>!"); at == 0 || sign != 0 {
		at = strings.IndexAny(text, "=<>!")
	}
	if at <= 0 {
		return "", 0, "", errors.New("this is no condition")
	}
	for _, c := range comparisons {
		value, ok := strings.CutPrefix(text[at:], c.sign)
		if !ok {
			continue
		}
		op = c.op
		if value == `\N` {
			if op, ok = nullComparison(op); !ok {
				return "", 0, "", errors.New("null has no order")
			}
		}
		return text[:at], op, value, nil
	}
	return "", 0, "", errors.New("this is no condition")
}

func nullComparison(op materialize.Compare) (materialize.Compare, bool) {
	switch op {
	case materialize.Equal:
		return materialize.IsNull, true
	case materialize.NotEqual:
		return materialize.IsNotNull, true
	}
	return op, false
}

// spillOptions are the options of a rebuild that this process makes.
func (a *App) spillOptions() materialize.Options {
	return materialize.Options{SpillDir: os.TempDir()}
}

// closing closes c and keeps the first error.
func closing(c io.Closer, err *error) { *err = errors.Join(*err, c.Close()) }
