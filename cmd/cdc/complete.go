package main

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"cdc/cmd/cdc/internal/config"
	"cdc/schema"
)

// completeCmd is asked by completion scripts for the names that may stand at the end of a command line.
type completeCmd struct {
	Raw   bool     `help:"Print names as they are, for a shell that quotes them itself."`
	Words []string `arg:"" optional:"" passthrough:"" help:"The command line behind the program's name, the word to be completed last."`
}

// completeTimeout bounds how long a shell waits.
const completeTimeout = 2 * time.Second

// What a value may name, as the tag complete of flags and arguments says.
const (
	nameTables  = "tables"
	nameSources = "sources"
	nameTargets = "targets" // sources and sinks
)

// Run prints names, a line each. Whatever is wrong, it prints none: nobody has asked for an error.
func (c *completeCmd) Run(ctx context.Context, a *App, command *kong.Context) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	quiet := *a
	quiet.Logger = slog.New(slog.DiscardHandler)
	what, data := completed(command.Model.Node, words)
	if data != "" {
		quiet.Data = unquoteWord(data)
	}
	word := words[len(words)-1]
	var b strings.Builder
	for _, name := range namesWith(quiet.names(ctx, what), unquoteWord(word)) {
		text, ok := name, true
		if !c.Raw {
			text, ok = quoteWord(name, word)
		}
		if ok && !strings.ContainsAny(text, "\r\n") {
			b.WriteString(text + "\n")
		}
	}
	_, _ = a.Stdout.Write([]byte(b.String())) // a shell that has gone needs no names
	return nil
}

// completed says what the last of the words may name, and which folder the words before it name.
func completed(root *kong.Node, words []string) (what, data string) {
	node, at := root, 0
	var flag *kong.Flag // whose value comes next
	for _, word := range words[:len(words)-1] {
		switch {
		case flag != nil && word == "=": // bash takes --flag=value apart
		case flag != nil:
			if flag.Name == "data" {
				data = word
			}
			flag = nil
		case strings.HasPrefix(word, "-"):
			text, value, joined := strings.Cut(word, "=")
			if flag = flagOf(node, text); flag != nil && (flag.IsBool() || joined) {
				if flag.Name == "data" {
					data = value
				}
				flag = nil
			}
		default:
			if child := childOf(node, word); child != nil {
				node, at = child, 0
			} else {
				at++
			}
		}
	}
	last := words[len(words)-1]
	switch {
	case flag != nil && last != "=":
		return flag.Tag.Get("complete"), data
	case flag != nil, strings.HasPrefix(last, "-"), at >= len(node.Positional):
		return "", data
	}
	return node.Positional[at].Tag.Get("complete"), data
}

func childOf(node *kong.Node, name string) *kong.Node {
	i := slices.IndexFunc(node.Children, func(c *kong.Node) bool { return c.Type == kong.CommandNode && c.Name == name })
	if i < 0 {
		return nil
	}
	return node.Children[i]
}

func flagOf(node *kong.Node, text string) *kong.Flag {
	for _, group := range node.AllFlags(false) {
		for _, f := range group {
			if text == "--"+f.Name || f.Short != 0 && text == "-"+string(f.Short) {
				return f
			}
		}
	}
	return nil
}

// names are those that the folder has of what is asked for. Of a table there are its name alone, where it has it to itself, and that
// with its schema, and with its source: who has typed a part of one of them gets that one.
func (a *App) names(ctx context.Context, what string) (levels [][]string) {
	switch what {
	case nameTables:
		return a.tableNames(ctx)
	case nameSources:
		return [][]string{a.sourceNames(ctx)}
	case nameTargets:
		return [][]string{append(a.sourceNames(ctx), a.sinkNames()...)}
	}
	return nil
}

func (a *App) tableNames(ctx context.Context) [][]string {
	log, err := a.OpenLog(ctx)
	if err != nil {
		return nil
	}
	defer func() { _ = log.Close() }() // it was only read
	levels := make([][]string, 3)
	uses := map[string]int{}
	tables := log.Catalog().TablesAt(log.Bounds().Next)
	for i := range tables {
		t := tables[i].Table
		for level, name := range []string{schema.QuotedName(t.Name), schema.QuotedName(t.Schema, t.Name), t.FullName()} {
			levels[level] = append(levels[level], name)
			uses[name]++
		}
	}
	for level := range levels {
		levels[level] = slices.DeleteFunc(levels[level], func(name string) bool { return uses[name] > 1 })
	}
	return levels
}

// sourceNames are those that the log or the folder knows.
func (a *App) sourceNames(ctx context.Context) (names []string) {
	if log, err := a.OpenLog(ctx); err == nil {
		for _, s := range log.Catalog().Sources() {
			names = append(names, s.Name)
		}
		_ = log.Close() // it was only read
	}
	if known, err := config.ReadKnown(a.Data); err == nil {
		for _, k := range known {
			names = append(names, k.Name)
		}
	}
	return names
}

// sinkNames are those that have a folder here.
func (a *App) sinkNames() (names []string) {
	entries, err := os.ReadDir(sinksDir(a.Data))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// namesWith are the names of the first level that has any with the beginning, with or without the quotes that they are written in.
func namesWith(levels [][]string, beginning string) []string {
	for _, names := range levels {
		found := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			return !strings.HasPrefix(name, beginning) && !strings.HasPrefix(strings.ReplaceAll(name, `"`, ""), strings.ReplaceAll(beginning, `"`, ""))
		})
		if len(found) > 0 {
			slices.Sort(found)
			return slices.Compact(found)
		}
	}
	return nil
}

// plainWord are the characters that mean themselves to every shell.
const plainWord = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,+@%"

// quoteWord writes a name so that the shell takes it for one word, in the way in which the word that it takes the place of has begun.
func quoteWord(name, begun string) (text string, ok bool) {
	escaped := ""
	switch {
	case strings.HasPrefix(begun, "'"):
		return name, !strings.Contains(name, "'")
	case strings.HasPrefix(begun, `"`):
		escaped = "\"$`\\!"
	}
	var b strings.Builder
	for _, r := range name {
		if escaped != "" && strings.ContainsRune(escaped, r) || escaped == "" && r < 0x80 && !strings.ContainsRune(plainWord, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String(), true
}

// unquoteWord is what the shell makes of the beginning of a word.
func unquoteWord(word string) string {
	var b strings.Builder
	quote, escaped := rune(0), false
	for _, r := range word {
		switch {
		case escaped:
			b.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped = true
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case r == quote:
			quote = 0
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
