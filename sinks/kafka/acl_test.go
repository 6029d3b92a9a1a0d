package kafka

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"cdc/e2e/testservers"
	"cdc/sinks"
)

// documentedGrants are the command lines of docs/kafka.md that give a sink's principal its rights, as words without the program's name.
func documentedGrants(t *testing.T) (commands [][]string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/kafka.md")
	must(t, err)
	_, after, _ := strings.Cut(string(text), "```sh\nkafka-acls.sh")
	block, _, _ := strings.Cut(after, "```")
	for line := range strings.Lines(strings.ReplaceAll("kafka-acls.sh"+block, "\\\n", " ")) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "kafka-acls.sh" {
			t.Fatalf("%q is no command that this test knows", line)
		}
		commands = append(commands, words[1:])
	}
	return commands
}

// operation is one that a command line gives: the place of the line and of the word.
type operation struct {
	line, at int
	name     string
}

func operationsOf(commands [][]string) (all []operation) {
	for i, words := range commands {
		for at, word := range words {
			if word == "--operation" {
				all = append(all, operation{line: i, at: at, name: words[at+1]})
			}
		}
	}
	return all
}

// grant runs the lines with Kafka's own tool for a user, but for the operation that is left out.
func grant(t *testing.T, k *testservers.Kafka, commands [][]string, user string, without *operation) {
	t.Helper()
	for i, words := range commands {
		words = slices.Clone(words)
		for at, word := range words {
			switch word {
			case "k1.example:9093":
				words[at] = k.AdminAddrs()[0]
			case "User:cdc":
				words[at] = "User:" + user
			}
		}
		if without != nil && without.line == i {
			words = slices.Delete(words, without.at, without.at+2)
		}
		out, err := k.Run(t.Context(), testservers.KafkaACLs, words...)
		must(t, err)
		if !strings.Contains(out, "User:"+user) {
			t.Fatalf("%v says %q", words, out)
		}
	}
}

// Goal: the commands of the documentation give a sink what it needs, no more and no less.
//
// Method: they are taken out of it and run by Kafka's own tool. A sink publishes with all of them; for each operation that is left out
// another user's sink is refused with a message that names it, unless Kafka has it come with another: Describe does.
func TestDocumentedGrantsAreThoseThatASinkNeeds(t *testing.T) {
	commands := documentedGrants(t)
	operations := operationsOf(commands)
	if len(commands) != 2 || len(operations) != 6 {
		t.Fatalf("the documentation has %d commands with %d operations", len(commands), len(operations))
	}
	users := []testservers.KafkaUser{{Name: "all", Password: "secret"}}
	for i := range operations {
		users = append(users, testservers.KafkaUser{Name: fmt.Sprintf("without%d", i), Password: "secret"})
	}
	k := testservers.StartKafkaFor(t, testservers.KafkaOptions{Security: testservers.KafkaSASLPlaintext, Authorize: true, Users: users})
	sinkOf := func(user string) (*history, *Sink, string) {
		h := newHistory()
		topic := "shop." + user
		h.grow(20, topic)
		h.commit(h.count(topic, "k"))
		o := h.options(k)
		o.SASL = &SASL{Mechanism: ScramSHA512, User: user, Password: "secret"}
		return h, open(t, o), topic
	}
	t.Run("all", func(t *testing.T) {
		grant(t, k, commands, "all", nil)
		h, s, topic := sinkOf("all")
		eventually(t, func() error { return publish(t.Context(), s, h, sinks.Checkpoint{}) }, "")
		h.check(t, k, topic)
	})
	for i, without := range operations {
		t.Run(fmt.Sprintf("without %s of line %d", without.name, without.line+1), func(t *testing.T) {
			user := users[i+1].Name
			grant(t, k, commands, user, &without)
			h, s, topic := sinkOf(user)
			if without.name == "Describe" {
				eventually(t, func() error { return publish(t.Context(), s, h, sinks.Checkpoint{}) }, "")
				h.check(t, k, topic)
				return
			}
			on := "on the topic;"
			if without.line == 1 {
				on = "on the transactional id;"
			}
			eventually(t, func() error { return publish(t.Context(), s, h, sinks.Checkpoint{}) }, "allow the sink's principal "+without.name+" "+on)
		})
	}
}
