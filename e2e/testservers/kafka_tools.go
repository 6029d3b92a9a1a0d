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
	const heapMB = 256
	flags := append(inst.flags(heapMB, os.TempDir()), "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", inst.classpath(), string(tool))
	return exec.CommandContext(ctx, inst.java, append(flags, args...)...), nil
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
