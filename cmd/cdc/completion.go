package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell: bash, zsh or fish."`
}

// Help describes the verb with examples.
func (completionCmd) Help() string {
	return `Prints a script that completes verbs and flags, and names of tables, sources and sinks as the folder has them, for which it runs cdc. Names that the shell would not take as they are come quoted.

Examples:

	source <(cdc completion bash)
	cdc completion zsh > "${fpath[1]}/_cdc"
	cdc completion fish > ~/.config/fish/completions/cdc.fish`
}

// Run prints the script.
func (c *completionCmd) Run(_ context.Context, app *App, command *kong.Context) error {
	var b strings.Builder
	verbs := verbsOf(command.Model.Node)
	switch c.Shell {
	case "fish":
		writeFish(&b, verbs)
	case "zsh":
		b.WriteString("#compdef cdc\nautoload -U +X bashcompinit && bashcompinit\n")
		writeBash(&b, verbs)
	default:
		writeBash(&b, verbs)
	}
	_, err := fmt.Fprint(app.Stdout, b.String())
	return err
}

// verb is a verb with what may follow it.
type verb struct {
	name, help string
	words      []string // its flags and the verbs below it
}

// verbsOf are all verbs that are shown, those below others as "log verify"; the first is the program itself.
func verbsOf(root *kong.Node) []verb {
	verbs := []verb{{words: append(childrenOf(root), flagsOf(root)...)}}
	for _, node := range root.Children {
		if node.Hidden {
			continue
		}
		verbs = append(verbs, verb{name: node.Name, help: node.Help, words: append(childrenOf(node), flagsOf(node)...)})
		for _, child := range node.Children {
			verbs = append(verbs, verb{name: node.Name + " " + child.Name, help: child.Help, words: flagsOf(child)})
		}
	}
	return verbs
}

func childrenOf(node *kong.Node) (names []string) {
	for _, child := range node.Children {
		if !child.Hidden && child.Type == kong.CommandNode {
			names = append(names, child.Name)
		}
	}
	return names
}

// flagsOf are the flags of the verb and of all verbs.
func flagsOf(node *kong.Node) (names []string) {
	for _, group := range node.AllFlags(true) {
		for _, flag := range group {
			names = append(names, "--"+flag.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func writeBash(b *strings.Builder, verbs []verb) {
	b.WriteString("_cdc() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} verb= word words\n")
	b.WriteString("\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n\t\tcase $word in -*) ;; *) verb=${verb:+$verb }$word ;; esac\n\tdone\n")
	b.WriteString("\tcase $verb in\n")
	// Longer names first: a verb's arguments follow its name.
	for _, v := range slices.Backward(verbs) {
		pattern := "*"
		if v.name != "" {
			pattern = fmt.Sprintf("%q*", v.name)
		}
		fmt.Fprintf(b, "\t%s) words=%q ;;\n", pattern, strings.Join(v.words, " "))
	}
	b.WriteString("\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n")
	b.WriteString("\twhile IFS= read -r word; do COMPREPLY+=(\"$word\"); done < <(\"${COMP_WORDS[0]}\" complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n")
	b.WriteString("}\ncomplete -o default -F _cdc cdc\n")
}

func writeFish(b *strings.Builder, verbs []verb) {
	for _, v := range verbs {
		parent, name, nested := strings.Cut(v.name, " ")
		switch {
		case v.name == "":
		case nested:
			fmt.Fprintf(b, "complete -c cdc -n '__fish_seen_subcommand_from %s' -f -a %s -d %q\n", parent, name, v.help)
		default:
			fmt.Fprintf(b, "complete -c cdc -n __fish_use_subcommand -f -a %s -d %q\n", v.name, v.help)
		}
		condition := "__fish_use_subcommand"
		if v.name != "" {
			condition = "__fish_seen_subcommand_from " + v.name[strings.LastIndexByte(v.name, ' ')+1:]
		}
		for _, word := range v.words {
			if flag, ok := strings.CutPrefix(word, "--"); ok {
				fmt.Fprintf(b, "complete -c cdc -n '%s' -l %s\n", condition, flag)
			}
		}
	}
	b.WriteString("complete -c cdc -n 'not __fish_use_subcommand' -a '(cdc complete --raw -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'\n")
}
