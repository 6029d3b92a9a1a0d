// Command cdc captures databases' changes into a durable log and answers for any table at any moment of it.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
)

//go:generate go test . -run "IsDocumented|AreDocumented" -count 1 -rewrite

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(int(mainCode(os.Args[1:])))
}

// mainCode runs one command line and returns its exit code.
func mainCode(args []string) exit.Code {
	asJSON := wantsJSON(args)
	var model cli
	parser, err := newParser(&model)
	if err != nil {
		return exit.Print(os.Stderr, err, asJSON)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if err != nil {
		return exit.Print(os.Stderr, usageError(err), asJSON)
	}
	app, err := newApp(&model.globals, command)
	if err != nil {
		return exit.Print(os.Stderr, err, asJSON)
	}
	ctx, stop := interruptible()
	defer stop()
	command.BindTo(ctx, (*context.Context)(nil))
	return exit.Print(os.Stderr, interrupted(ctx, command.Run(app)), app.JSON)
}

func newParser(model *cli) (*kong.Kong, error) {
	return kong.New(model,
		kong.Name("cdc"),
		kong.Description("Captures databases' changes into a durable log and answers for any table at any moment of it."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: helpWidth}),
		kong.ExplicitGroups(verbGroups),
		kong.Vars{"version": version},
	)
}

const helpWidth = 110

// usageError gives an error of the command line its code and says where help is.
func usageError(err error) error {
	remedy := "run 'cdc --help' for all verbs"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context.Selected() != nil {
		remedy = "run 'cdc " + parse.Context.Selected().Path() + " --help'"
		if name := parse.Context.Selected().FullPath(); name != "" {
			remedy = "run '" + name + " --help'"
		}
	}
	what := strings.ReplaceAll(err.Error(), `one of "",`, "one of ") // an empty value is how a flag is not given
	what = dsnWord.ReplaceAllStringFunc(what, func(dsn string) string { return config.DSN(dsn).String() })
	return &exit.Error{Code: exit.Usage, What: what, Remedy: remedy, Err: errors.New(what)}
}

// dsnWord finds DSNs in messages of the command line, which repeat what they do not understand.
var dsnWord = regexp.MustCompile(`[A-Za-z]+://\S+`)

// wantsJSON finds out whether errors are to be JSON, for those of the command line itself.
func wantsJSON(args []string) bool {
	for i, arg := range args {
		switch {
		case arg == "--":
			return false
		case arg == "--json", arg == "--format=json", arg == "--format" && slices.Contains(args[i+1:min(i+2, len(args))], "json"):
			return true
		}
	}
	return false
}

// errTerminated is the cause of a context that a request to end has ended: for 'run', the usual way to stop.
var errTerminated = errors.New("terminated")

// interruptible is a context that ends with the first interrupt; a second one ends the process at once.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		received := <-signals
		signal.Stop(signals)
		if received == syscall.SIGTERM {
			cancel(errTerminated)
			return
		}
		cancel(exit.ErrInterrupted)
	}()
	return ctx, func() { cancel(nil) }
}

// interrupted is err, or that the verb was interrupted when that is why it failed.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, errTerminated)) {
		return exit.ErrInterrupted
	}
	return err
}
