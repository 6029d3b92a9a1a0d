package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"cdc/cmd/cdc/internal/exit"
	"cdc/materialize/sql"
)

// TestVerbs runs command lines over the log of a small shop and shows what they print. After the standard output follow, where
// there is any, the standard error and the exit code. `terminal` as an argument of the command makes the output a terminal's.
func TestVerbs(t *testing.T) {
	dir := newShopLog(t)
	datadriven.Walk(t, "testdata/verbs", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.HasArg("sql") && !sql.Built {
				return d.Expected
			}
			var b strings.Builder
			for _, line := range strings.Split(d.Input, "\n") {
				v := runVerb(t, dir, verbInput{args: splitWords(line), terminal: d.HasArg("terminal"), color: d.HasArg("color")})
				b.WriteString(v.text())
			}
			return b.String()
		})
	})
}

type verbInput struct {
	args     []string
	stdin    string
	terminal bool
	color    bool
}

type verbOutput struct {
	out, problems string
	code          exit.Code
}

func (v verbOutput) text() string {
	text := v.out
	if v.problems != "" {
		text += "-- stderr\n" + v.problems
	}
	if v.code != exit.OK {
		text += fmt.Sprintf("-- exit %d\n", v.code)
	}
	text = durationPattern.ReplaceAllString(text, ", D")
	return strings.ReplaceAll(text, "\x1b", "<esc>")
}

// durationPattern is how long a verb took.
var durationPattern = regexp.MustCompile(`, (\d+ ms|\d+\.\d s)\b`)

// runVerb runs one command line in this process, as main does.
func runVerb(t *testing.T, dir string, in verbInput) verbOutput {
	t.Helper()
	var model cli
	parser, err := newParser(&model)
	if err != nil {
		t.Fatal(err)
	}
	var out, problems bytes.Buffer
	app := &App{
		Data: dir, Stdin: strings.NewReader(in.stdin), Stdout: &out, Stderr: &problems, Terminal: in.terminal, Color: in.color,
		Logger: slog.New(slog.DiscardHandler), LookupEnv: func(string) (string, bool) { return "", false },
		Environ: func() []string { return nil },
	}
	command, err := parser.Parse(in.args)
	if err != nil {
		return verbOutput{problems: err.Error() + "\n", code: exit.Usage}
	}
	app.Format = model.Format
	app.JSON = model.JSON || model.Format == "json"
	switch {
	case app.JSON:
		app.Format = "json"
	case app.Format == "" && in.terminal:
		app.Format = "table"
	case app.Format == "":
		app.Format = "csv"
	}
	app.Given = given(command)
	ctx := t.Context()
	command.BindTo(ctx, (*context.Context)(nil))
	err = command.Run(app)
	code := exit.Print(&problems, err, app.JSON)
	return verbOutput{out: out.String(), problems: strings.ReplaceAll(problems.String(), dir, "DIR"), code: code}
}

// splitWords splits a command line at blanks; ' and " keep words together.
func splitWords(line string) (words []string) {
	var word strings.Builder
	quote, started := rune(0), false
	for _, r := range line {
		switch {
		case quote == 0 && (r == '\'' || r == '"'):
			quote, started = r, true
		case r == quote:
			quote = 0
		case r == ' ' && quote == 0:
			if started || word.Len() > 0 {
				words = append(words, word.String())
			}
			started = false
			word.Reset()
		default:
			word.WriteRune(r)
		}
	}
	if started || word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}

func splitCells(text string) []string { return strings.Split(text, "|") }

// TestMain lets the test binary be the worker that 'cdc sql' starts, and the program that scripts run.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || len(os.Args) > 1 && os.Args[1] == "sqlworker" {
		os.Exit(int(mainCode(os.Args[1:])))
	}
	os.Exit(m.Run())
}
