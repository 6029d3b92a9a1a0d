package testservers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// KafkaTool is a program of Kafka itself: the main class.
type KafkaTool string

// Programs that are clients.
const (
	KafkaConsoleConsumer     KafkaTool = "org.apache.kafka.tools.consumer.ConsoleConsumer"
	KafkaACLs                KafkaTool = "org.apache.kafka.tools.AclCommand"
	KafkaProducerPerformance KafkaTool = "org.apache.kafka.tools.ProducerPerformance"
)

// Command prepares a program of Kafka. It is up to the caller to name the
// cluster in the way of the program, by Addrs or AdminAddrs, and to have the
// program end.
func (k *Kafka) Command(ctx context.Context, tool KafkaTool, args ...string) (*exec.Cmd, error) {
	inst := k.install
	if len(k.brokers) == 0 {
		var err error
		if inst, err = findKafka(""); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(filepath.Join(inst.home, "lib", "kafka-tools-"+inst.version+".jar")); err != nil {
		return nil, fmt.Errorf("find %s: %w", tool, ErrNoServer)
	}
	return inst.client(ctx, inst.classpath(), string(tool), args...), nil
}

// StreamsCommand prepares a program in one file of Java source, which Java
// compiles as it starts, with Kafka Streams. It needs what 'make readers'
// installs; without it the error is ErrNoServer.
func (k *Kafka) StreamsCommand(ctx context.Context, source string, args ...string) (*exec.Cmd, error) {
	streams, err := findJavaProgram("Kafka Streams", "kafka-streams", "")
	if err != nil {
		return nil, err
	}
	kafka, err := findKafka(streams.version) // whose jars are those that Streams asks for
	if err != nil {
		return nil, err
	}
	return kafka.client(ctx, streams.classpath()+string(filepath.ListSeparator)+kafka.classpath(), source, args...), nil
}

// client prepares a program that is no server.
func (i javaInstall) client(ctx context.Context, classpath, program string, args ...string) *exec.Cmd {
	const heapMB = 256
	flags := append(i.flags(heapMB, os.TempDir()), "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classpath, program)
	return exec.CommandContext(ctx, i.java, append(flags, args...)...)
}

// Run runs a program of Kafka and returns what it prints.
func (k *Kafka) Run(ctx context.Context, tool KafkaTool, args ...string) (string, error) {
	cmd, err := k.Command(ctx, tool, args...)
	if err != nil {
		return "", err
	}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run %s: %w: %s", tool, err, lastLines(problems.String(), 5))
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}
