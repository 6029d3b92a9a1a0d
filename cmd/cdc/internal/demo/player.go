package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
	"unicode/utf8"

	"cdc/cmd/cdc/internal/present"
)

// player runs commands as a user would and prints what they print.
type player struct {
	o       Options
	dir     string // everything of this demo
	data    string // the log's folder
	env     []string
	style   present.Style
	step    int
	started time.Time
}

// headingColumns is the width of a heading's line.
const headingColumns = 78

// heading begins a step.
func (p *player) heading(title string, text ...string) {
	p.step++
	line := fmt.Sprintf("── %d  %s ", p.step, title)
	line += strings.Repeat("─", max(0, headingColumns-utf8.RuneCountInString(line)))
	fmt.Fprintf(p.o.Out, "\n%s\n", p.style.Bold(line))
	for _, line := range text {
		fmt.Fprintln(p.o.Out, line)
	}
	fmt.Fprintln(p.o.Out)
}

// say prints a line of the story.
func (p *player) say(format string, args ...any) { fmt.Fprintf(p.o.Out, format+"\n", args...) }

// did prints that something is done, with how long it took.
func (p *player) did(began time.Time, format string, args ...any) {
	p.say(" %s %-70s %s", p.style.Green("✓"), fmt.Sprintf(format, args...), p.style.Dim(fmt.Sprintf("%.1f s", time.Since(began).Seconds())))
}

// show prints a command as it would be typed.
func (p *player) show(command string) { p.say("%s", p.style.Cyan("$ "+command)) }

// cdc prints a command of the program and runs it: its output goes where ours does.
func (p *player) cdc(ctx context.Context, args ...string) error {
	p.show("cdc " + quoted(args))
	cmd := p.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = p.o.Out, p.o.Err
	if err := cmd.Run(); err != nil {
		return failure(ctx, args, err, "")
	}
	return nil
}

// ask runs a command of the program without showing it and returns its output.
func (p *player) ask(ctx context.Context, args ...string) ([]byte, error) {
	var out, problems bytes.Buffer
	cmd := p.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return nil, failure(ctx, args, err, problems.String())
	}
	return out.Bytes(), nil
}

// prompt hands the terminal to a command of the program until the user leaves it.
func (p *player) prompt(ctx context.Context, args ...string) error {
	p.show("cdc " + quoted(args))
	cmd := p.command(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.o.In, p.o.Out, p.o.Err
	if err := cmd.Run(); err != nil {
		return failure(ctx, args, err, "")
	}
	return nil
}

func (p *player) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.o.Exe, args...)
	cmd.Env = p.env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopLimit
	return cmd
}

// failure says which command failed.
func failure(ctx context.Context, args []string, err error, said string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return fmt.Errorf("'cdc %s' ended with exit code %d %s", quoted(args), ended.ExitCode(), strings.TrimSpace(said))
	}
	return fmt.Errorf("run 'cdc %s': %w", quoted(args), err)
}

// quoted are arguments as a shell takes them.
func quoted(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = arg
		if arg == "" || strings.ContainsAny(arg, " *?!<>&|;()$\"\\") {
			words[i] = "'" + arg + "'"
		}
		if strings.Contains(arg, "'") {
			words[i] = `"` + arg + `"`
		}
	}
	return strings.Join(words, " ")
}

// pause waits until the condition holds, and says for what.
func (p *player) pause(ctx context.Context, what string, ready func() (bool, error)) error {
	said := false
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		done, err := ready()
		if done || err != nil {
			return err
		}
		if !said {
			said = true
			p.say("%s", p.style.Dim(what))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
